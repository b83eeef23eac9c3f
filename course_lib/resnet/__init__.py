"""Chapter 07: residual networks. NumPy first, then Keras.

``normalization``   batch normalisation and the residual branch in NumPy, forward and backward
``blocks``          basic and bottleneck blocks, whole networks, a new head on a saved body
``specification``   ResNet-18 to 152 and Wide ResNets, reckoned from one table
``families``        VGG, GoogLeNet, DenseNet and MobileNet in the same ledger
``drawing``         a model with its straight paths, as a picture
``training``        plain against residual
``twin``            the same block in PyTorch
"""

from course_lib.resnet.blocks import (
    bottleneck_block,
    build_resnet,
    conv_bn,
    free_block,
    plain_block,
    residual_block,
    resnet,
    with_new_head,
)
from course_lib.resnet.drawing import drawing
from course_lib.resnet.families import (
    dense_block,
    densenet,
    googlenet,
    inception_block,
    mobilenet,
    separable_block,
    vgg,
)
from course_lib.resnet.normalization import BatchNorm, Residual, batch_norm_backward
from course_lib.resnet.specification import ROWS, block_cost, cost, wide_resnet_parameters
from course_lib.resnet.specification import conv as conv_cost
from course_lib.resnet.training import accuracy, compare, prepare, train

_TWIN = ("TorchBlock", "block_weights", "to_torch", "twin_of_block")


def __getattr__(name):
    """The twin is loaded when it is asked for: nothing else here needs PyTorch."""
    if name in _TWIN:
        from course_lib.resnet import twin

        return getattr(twin, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ROWS", "BatchNorm", "Residual", "TorchBlock", "accuracy", "batch_norm_backward", "block_cost", "block_weights",
    "bottleneck_block", "build_resnet", "compare", "conv_bn", "conv_cost", "cost", "dense_block", "densenet",
    "drawing", "free_block", "googlenet", "inception_block", "mobilenet", "plain_block", "prepare", "residual_block",
    "resnet", "separable_block", "to_torch", "train", "twin_of_block", "vgg", "wide_resnet_parameters",
    "with_new_head",
]  # fmt: skip
