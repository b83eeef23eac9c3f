"""Chapter 04: a network from the pieces. Everything that the notebook builds, in the order in which it builds it.

==============  ======================================================================================
``layers``      softmax, cross-entropy, Linear, Flatten, Sequential, He initialisation
``optimizers``  SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam
``ledger``      what an architecture costs before it is built: shapes, parameters, memory, multiply-adds
``training``    epochs, validation, learning curves, the digits
==============  ======================================================================================

Convolution, pooling and ReLU are chapter 03's and keep their place there.
"""

from course_lib.cnn.layers import Flatten, Linear, Sequential, SoftmaxCrossEntropy, cross_entropy, he, softmax
from course_lib.cnn.ledger import ALEXNET_FIRST, LENET5, VGG16, build, count_parameters, ledger
from course_lib.cnn.optimizers import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSProp
from course_lib.cnn.training import (
    DIGIT_NETWORK,
    accuracy,
    classify,
    confusion_matrix,
    cosine,
    fit,
    predict,
    train_epoch,
)

__all__ = [
    "ALEXNET_FIRST", "DIGIT_NETWORK", "LENET5", "SGD", "VGG16", "AdaGrad", "Adam", "Flatten", "Linear", "Momentum",
    "Nesterov", "RMSProp", "Sequential", "SoftmaxCrossEntropy", "accuracy", "build", "classify", "confusion_matrix",
    "cosine", "count_parameters", "cross_entropy", "fit", "he", "ledger", "predict", "softmax", "train_epoch",
]  # fmt: skip
