"""Chapter 09: two networks that play against each other, and pictures made of drawings.

============  ========================================================================================
``losses``    the value of the game and its optimum; cross-entropy from logits; what each network minimises
``networks``  the blocks, a U-Net as generator, a discriminator that judges patches
``training``  the two steps in turn, the curves, what is measured on held-out pictures
``toy``       the same game in one dimension, where everything can be drawn
============  ========================================================================================
"""

from course_lib.pix2pix.losses import bce_from_logits, best_discriminator, discriminator_loss, generator_loss
from course_lib.pix2pix.networks import (
    DISCRIMINATOR,
    GENERATOR,
    build_discriminator,
    build_generator,
    downsample,
    patch_size,
    upsample,
)
from course_lib.pix2pix.toy import play
from course_lib.pix2pix.training import (
    Trainer,
    grain,
    l1,
    l1_step,
    mean_image,
    to_network,
    to_picture,
    train_step,
)

__all__ = [
    "DISCRIMINATOR", "GENERATOR", "Trainer", "bce_from_logits", "best_discriminator", "build_discriminator",
    "build_generator", "discriminator_loss", "downsample", "generator_loss", "grain", "l1", "l1_step", "mean_image",
    "patch_size", "play", "to_network", "to_picture", "train_step", "upsample",
]  # fmt: skip
