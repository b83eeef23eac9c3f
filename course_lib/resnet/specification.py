"""The five published networks and the wide ones, reckoned from one table without building any of them."""

from typing import NamedTuple

ROWS = {  # depth: kind of block, blocks in each of the four stages
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


class Cost(NamedTuple):
    """Trained numbers, and multiplications (each with its addition) for one image."""

    parameters: int
    multiply_adds: int

    def __add__(self, other):
        return Cost(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def row(depth):
    """The kind of block and the blocks of each stage."""
    if depth not in ROWS:
        raise ValueError(f"there is no ResNet-{depth} in the table; there are {', '.join(map(str, ROWS))}")
    return ROWS[depth]


def conv(C, OC, K, side, groups=1, normalised=True):
    """A K×K convolution to OC maps of ``side`` by ``side``: with batch normalisation (2 a map), or with a bias."""
    weights = K * K * (C // groups) * OC
    return Cost(weights + (2 if normalised else 1) * OC, weights * side * side)


def linear(D, K):
    """A linear layer from D to K numbers, with bias."""
    return Cost(D * K + K, D * K)


def block_cost(kind, C, filters, stride, side, stride_on="3x3"):
    """One residual block on C maps of ``side`` by ``side``.

    Parameters
    ----------
    kind : {"basic", "bottleneck"}
    C, filters, stride, side : int
    stride_on : {"3x3", "1x1"}
        Which convolution of a bottleneck has the stride: torchvision's choice, or the paper's.

    Returns
    -------
    (Cost, int, int)
        And the maps and the side of what comes out.
    """
    after = -(-side // stride)
    if kind == "basic":
        out = filters
        cost = conv(C, filters, 3, after) + conv(filters, filters, 3, after)
    else:
        out, narrow = 4 * filters, after if stride_on == "1x1" else side
        cost = conv(C, filters, 1, narrow) + conv(filters, filters, 3, after) + conv(filters, out, 1, after)
    if stride != 1 or C != out:
        cost += conv(C, out, 1, after)
    return cost, out, after


def cost(depth, classes=1000, side=224, stride_on="1x1"):
    """Parameters and multiply-adds of a published network.

    Parameters
    ----------
    depth : int
    classes, side : int
    stride_on : {"1x1", "3x3"}
        See :func:`block_cost`; parameters do not depend on it.

    Returns
    -------
    Cost
    """
    kind, blocks = row(depth)
    side = -(-side // 2)
    total, C = conv(3, 64, 7, side), 64
    side = -(-side // 2)  # max pooling
    for stage, count in enumerate(blocks):
        for k in range(count):
            stride = 2 if stage > 0 and k == 0 else 1
            more, C, side = block_cost(kind, C, 64 * 2**stage, stride, side, stride_on)
            total += more
    return total + linear(C, classes)


def wide_resnet_parameters(depth, width, classes=10):
    r"""Trained numbers of the Wide ResNet WRN-depth-width on 3-channel images.

    .. math:: \text{depth} = 6n + 4, \qquad \text{filters } 16k, 32k, 64k, \quad k = \text{width}

    A 3×3 convolution to 16 maps; three stages of n blocks; each block normalises, then convolves, twice (BN of C maps,
    3×3 from C to F, BN of F, 3×3 from F to F), and where C ≠ F a 1×1 convolution from C to F stands in the straight
    path; a last BN; a linear layer with bias. Convolutions have no bias. After Zagoruyko and Komodakis (2016).

    Parameters
    ----------
    depth, width, classes : int

    Returns
    -------
    int
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"the depth must be 6n + 4 (10, 16, 22, 28, ...), not {depth}")
    n, C = (depth - 4) // 6, 16
    total = 9 * 3 * 16
    for F in (16 * width, 32 * width, 64 * width):
        for _ in range(n):
            total += 2 * C + 9 * C * F + 2 * F + 9 * F * F
            if C != F:
                total += C * F
            C = F
    return total + 2 * C + C * classes + classes
