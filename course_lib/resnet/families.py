"""Other ways to spend parameters and multiply-adds: VGG, GoogLeNet, DenseNet, MobileNet, as the ledger sees them."""

from course_lib.cnn.ledger import ledger
from course_lib.resnet.specification import Cost, conv

# Convolutions of the five VGG networks: filters, or (filters, size) where the filter is not 3×3; 0 is a pooling.
VGG = {
    "A": (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    "B": (64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    "C": (64, 64, 0, 128, 128, 0, 256, 256, (256, 1), 0, 512, 512, (512, 1), 0, 512, 512, (512, 1), 0),
    "D": (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0),
    "E": (64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0),
}


def vgg(column):
    """Chapter 04's ledger of one of the networks A to E on (3, 224, 224)."""
    network = []
    for entry in VGG[column]:
        OC, K = entry if isinstance(entry, tuple) else (entry, 3)
        network.append(("conv", OC, K, 1, K // 2) if OC else ("pool", 2, 2))
    network += [("flatten",), ("linear", 4096), ("linear", 4096), ("linear", 1000)]
    return ledger(network, (3, 224, 224))


def inception_block(C, one, three, five, pool, side):
    """GoogLeNet's block: four branches side by side, with biases and without normalisation.

    ``three`` and ``five`` are (maps after the 1×1, maps after the 3×3 or 5×5).
    """
    branches = [(C, one, 1), (C, three[0], 1), (*three, 3), (C, five[0], 1), (*five, 5), (C, pool, 1)]
    total = Cost(0, 0)
    for channels, OC, K in branches:
        total += conv(channels, OC, K, side, normalised=False)
    return total


def dense_block(C, growth, layers, side):
    """DenseNet's block: each layer sees all maps before it and adds ``growth`` to them, through a 1×1 to 4·growth.

    Normalisation stands before each convolution, so its two numbers a map are those of the input.
    """
    total = Cost(0, 0)
    for k in range(layers):
        seen = C + k * growth
        weights = seen * 4 * growth + 9 * 4 * growth * growth
        total += Cost(weights + 2 * seen + 2 * 4 * growth, weights * side * side)
    return total


def separable_block(C, OC, side, stride=1):
    """MobileNet's block: a 3×3 filter for each map alone, then a 1×1 across the maps."""
    after = -(-side // stride)
    return conv(C, C, 3, after, groups=C) + conv(C, OC, 1, after)
