"""The widgets: every control has a label and moves the picture, and there is a picture without a kernel."""

import ipywidgets
import numpy as np
import pytest
import torch

from course_lib import augmentation, cnn, conv_layer, convolution, explore, gpu, mask_rcnn, pix2pix, pooling, rnn, unet

RNG = np.random.default_rng(0)
IMAGE = np.arange(1.0, 17.0).reshape(4, 4)
FILTER = np.array([[1.0, 1, 1], [2, 0, 1], [-1, -1, 0]])


class Doubled(conv_layer.Conv2D):
    """A layer with a wrong gradient."""

    def backward(self, dy):
        return 2 * super().backward(dy)


def gates():
    """The sentence "abcab" before an LSTM of 4 units and 3 characters."""
    shapes = {"E": (3, 2), "W": (16, 2), "U": (16, 4), "b": (16,), "V": (3, 4), "bz": (3,)}
    weights = {name: RNG.normal(size=shape) for name, shape in shapes.items()}
    return explore.gates(rnn.lstm_step, weights, [0, 1, 2, 0, 1], ["a", " ", "\n"])


def heart():
    """Five slices of 16×16 pixels."""
    probabilities = RNG.dirichlet(np.ones(4), (5, 16, 16))
    images = RNG.integers(0, 256, (5, 16, 16), dtype=np.uint8)
    return explore.heart(images, probabilities, RNG.integers(0, 4, (5, 16, 16)), unet.dice)


def suppression():
    """Six boxes around two objects."""
    boxes = torch.tensor([[10.0, 10, 50, 50], [80, 80, 110, 120]]).repeat(3, 1) + 3 * torch.arange(6.0)[:, None]
    scores, classes = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.3, 0.2]), torch.tensor([0, 1] * 3)
    return explore.suppression(mask_rcnn.nms, boxes, scores, classes, ["disc", "square"])


def attention_map():
    """Two layers with two heads over two texts."""

    def look(text):
        return "2026", np.random.default_rng(len(text)).dirichlet(np.ones(len(text)), (2, 2, 4))

    return explore.attention_map(look, ["21 Nov", "1 <b>"])


WIDGETS = {
    "slide": lambda: explore.slide(convolution.conv2d, IMAGE, FILTER),
    "pool": lambda: explore.pool(pooling.max_pool2d, RNG.integers(0, 9, (6, 6))),
    "gradient_errors": lambda: explore.gradient_errors(
        conv_layer.gradient_check, {"right": conv_layer.Conv2D, "doubled": Doubled}
    ),
    "probabilities": lambda: explore.probabilities(cnn.softmax),
    "descent": lambda: explore.descent({"SGD": cnn.SGD}),
    "pipeline": lambda: explore.pipeline(gpu.schedule),
    "warp": lambda: explore.warp(augmentation.warp, RNG.random((32, 32))),
    "depth": explore.depth,
    "heart": heart,
    "duel": lambda: explore.duel(pix2pix.best_discriminator),
    "suppression": suppression,
    "gates": gates,
    "attention_map": attention_map,
}
"""By its name, what makes a widget, with the course's own functions."""


def test_no_widget_is_left_out():
    assert set(WIDGETS) == set(explore.__all__) - {"Explorer"}


every_widget = pytest.mark.parametrize("name", WIDGETS)


def values(control):
    """A few values that a learner can give a control."""
    if isinstance(control, (ipywidgets.Dropdown, ipywidgets.SelectionSlider)):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    if isinstance(control, ipywidgets.IntSlider):
        return sorted({control.min, (control.min + control.max) // 2 // control.step * control.step, control.max})
    return [control.value + 1, control.value - 1]


def parts(widget):
    return [part for control in widget.controls.values() for part in getattr(control, "parts", [control])]


@every_widget
def test_every_control_is_labelled_and_has_its_place_in_the_tab_order(name):
    for part in parts(WIDGETS[name]()):
        assert part.description or part.tooltip, part
        assert part.tabbable is not False


@every_widget
def test_every_value_of_a_control_gives_a_picture(name):
    widget = WIDGETS[name]()
    pictures = {widget.picture.value}
    for part in parts(widget):
        for value in values(part):
            part.value = value
            assert "no picture" not in widget.picture.value, (part.description, value, widget.picture.value)
            pictures.add(widget.picture.value)
    assert len(pictures) > 2


@every_widget
def test_where_there_is_no_kernel_the_page_has_the_picture(name):
    bundle = WIDGETS[name]()._repr_mimebundle_()
    assert "<" in bundle["text/html"]
