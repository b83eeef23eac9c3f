"""Other ways to spend parameters and multiply-adds: VGG, GoogLeNet, DenseNet, MobileNet, as the ledger sees them."""

from course_lib.cnn.ledger import ledger
from course_lib.resnet.specification import Cost, conv, linear

# Convolutions of the five VGG networks: filters, or (filters, size) where the filter is not 3×3; 0 is a pooling.
VGG = {
    "A": (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    "B": (64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    "C": (64, 64, 0, 128, 128, 0, 256, 256, (256, 1), 0, 512, 512, (512, 1), 0, 512, 512, (512, 1), 0),
    "D": (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0),
    "E": (64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0),
}

# GoogLeNet's nine blocks: side of the maps, maps of each branch (Szegedy and others, 2015, table 1).
INCEPTION = (
    (28, 64, (96, 128), (16, 32), 32), (28, 128, (128, 192), (32, 96), 64),
    (14, 192, (96, 208), (16, 48), 64), (14, 160, (112, 224), (24, 64), 64), (14, 128, (128, 256), (24, 64), 64),
    (14, 112, (144, 288), (32, 64), 64), (14, 256, (160, 320), (32, 128), 128),
    (7, 256, (160, 320), (32, 128), 128), (7, 384, (192, 384), (48, 128), 128),
)  # fmt: skip
# MobileNet's thirteen blocks: maps that come out, stride (Howard and others, 2017, table 1).
SEPARABLE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


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


def googlenet(classes=1000):
    """GoogLeNet on 224×224, as it is used: without the two auxiliary heads of its training."""
    total = conv(3, 64, 7, 112, normalised=False) + conv(64, 64, 1, 56, normalised=False)
    total, C = total + conv(64, 192, 3, 56, normalised=False), 192
    for side, one, three, five, pool in INCEPTION:
        total, C = total + inception_block(C, one, three, five, pool, side), one + three[1] + five[1] + pool
    return total + linear(C, classes)


def densenet(blocks=(6, 12, 24, 16), growth=32, classes=1000):
    """DenseNet-121 (or another) on 224×224: between blocks a 1×1 halves the maps and an average pooling the sides."""
    C, side = 2 * growth, 56
    total = conv(3, C, 7, 112)
    for k, count in enumerate(blocks):
        total, C = total + dense_block(C, growth, count, side), C + count * growth
        total += Cost(2 * C, 0)  # the normalisation behind each block
        if k < len(blocks) - 1:
            total += Cost(C * (C // 2), C * (C // 2) * side * side)
            C, side = C // 2, side // 2
    return total + linear(C, classes)


def mobilenet(classes=1000):
    """MobileNet on 224×224, at full width."""
    total, C, side = conv(3, 32, 3, 112), 32, 112
    for OC, stride in SEPARABLE:
        total, C, side = total + separable_block(C, OC, side, stride), OC, side // stride
    return total + linear(C, classes)
