"""Widgets that run the learner's own function, one small picture at a time.

A widget is a few controls and one piece of HTML that is made anew whenever a control moves, in a few milliseconds.
All controls work from the keyboard (Tab to reach one, arrow keys to move it). Where there is no kernel, the page
shows the first picture. Each chapter's widgets stand in the module of its name.
"""

from course_lib.explore.attention import attention_map
from course_lib.explore.augmentation import warp
from course_lib.explore.cnn import descent, probabilities
from course_lib.explore.controls import Explorer
from course_lib.explore.conv_layer import gradient_errors
from course_lib.explore.convolution import slide
from course_lib.explore.gpu import pipeline
from course_lib.explore.mask_rcnn import suppression
from course_lib.explore.pix2pix import duel
from course_lib.explore.pooling import pool
from course_lib.explore.resnet import depth
from course_lib.explore.rnn import gates
from course_lib.explore.unet import heart

__all__ = [
    "Explorer",
    "attention_map",
    "depth",
    "descent",
    "duel",
    "gates",
    "gradient_errors",
    "heart",
    "pipeline",
    "pool",
    "probabilities",
    "slide",
    "suppression",
    "warp",
]
