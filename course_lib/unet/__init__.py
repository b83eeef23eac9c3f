"""Chapter 08: images in, images out. Everything that the notebook builds, in the order in which it builds it.

==============  ======================================================================================
``upsampling``  transposed convolution in NumPy, three ways
``networks``    the U-Net in Keras, its calculator, its relatives without skips, FCN, SegNet, autoencoder
``losses``      weighted cross-entropy, soft Dice; Dice, intersection over union, ejection fraction
``training``    the loop, predictions, a patient segmented, an autoencoder's surprise
==============  ======================================================================================
"""

from course_lib.unet.losses import (
    class_weights,
    dice,
    ejection_fraction,
    iou,
    soft_dice_loss,
    weighted_cross_entropy,
)
from course_lib.unet.networks import (
    build_autoencoder,
    build_fcn,
    build_plain,
    build_segnet,
    build_unet,
    crop,
    double_conv,
    down,
    unet_sizes,
    unet_table,
    up,
)
from course_lib.unet.training import ce_and_dice, fit, predict, scores, segment, separation, surprise
from course_lib.unet.upsampling import (
    as_convolution,
    conv_transpose2d,
    conv_transpose2d_matrix,
    conv_transpose2d_zeros,
    cover,
    insert_zeros,
    strided_conv_matrix,
    transposed_size,
)

__all__ = [
    "as_convolution", "build_autoencoder", "build_fcn", "build_plain", "build_segnet", "build_unet", "ce_and_dice",
    "class_weights", "conv_transpose2d", "conv_transpose2d_matrix", "conv_transpose2d_zeros", "cover", "crop",
    "dice", "double_conv", "down", "ejection_fraction", "fit", "insert_zeros", "iou", "predict", "scores",
    "segment", "separation", "soft_dice_loss", "strided_conv_matrix", "surprise", "transposed_size", "unet_sizes",
    "unet_table", "up", "weighted_cross_entropy",
]  # fmt: skip
