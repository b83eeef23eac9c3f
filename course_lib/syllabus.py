"""The chapters in their order: the one list that the release, the grader, the tests and the README read."""

from typing import NamedTuple


class Chapter(NamedTuple):
    """One chapter. Its name is the name of its four rooms.

    ``notebooks/NN_name/name.ipynb``, ``course_lib/name.py``, ``autograder/exercises/name.py``,
    ``tests/test_name.py``.
    """

    number: int
    name: str
    title: str
    minutes: int  # for a student who does every exercise
    packages: tuple[str, ...]  # what an answer may import besides Python's own library
    teaches: str  # one line, for the README

    @property
    def folder(self) -> str:
        """The chapter's folder and nbgrader assignment, such as ``01_convolution``."""
        return f"{self.number:02d}_{self.name}"


CHAPTERS = (
    Chapter(1, "convolution", "Convolution", 150, ("numpy", "matplotlib"),
            "the sliding filter, its sizes, channels and batches, im2col, the matrix behind it"),
    Chapter(2, "pooling", "Pooling", 105, ("numpy", "matplotlib"),
            "one number for each window: maximum and mean, small shifts, unpooling, images of any size"),
    Chapter(3, "conv_layer", "Convolutional layers", 180, ("numpy", "matplotlib"),
            "backpropagation through convolution, ReLU and pooling, checked against numerical gradients"),
    Chapter(4, "cnn", "A network from the pieces", 240, ("numpy", "matplotlib", "tqdm"),
            "softmax and cross-entropy, layers in a row, optimisers, the ledger, 98 of 100 digits read right"),
    Chapter(5, "gpu", "The GPU", 150, ("numpy", "matplotlib", "cupy"),
            "one program for CPU and GPU, hidden copies, honest timing, kernels, overlapping copies, the roofline"),
    Chapter(6, "augmentation", "Data augmentation", 150, ("numpy", "matplotlib"),
            "flip to mixup with one sampler, the same in four backends, one network in three frameworks, the time"),
    Chapter(7, "resnet", "Residual networks", 210, ("numpy", "matplotlib", "tensorflow", "keras"),
            "batch normalisation and the residual branch by hand; ResNet-18 to 152 from one table, plain ones beside"),
    Chapter(8, "unet", "U-Net", 210, ("numpy", "matplotlib", "tensorflow", "keras"),
            "transposed convolution three ways, the U-Net, losses for unequal classes, hearts measured slice by slice"),
    Chapter(9, "pix2pix", "Drawings into pictures", 180, ("numpy", "matplotlib", "keras", "tensorflow"),
            "two networks that play against each other, a U-Net and a PatchGAN, scenes coloured from their drawings"),
    Chapter(10, "mask_rcnn", "Detection and instance masks", 300, ("numpy", "matplotlib", "torch"),
            "boxes, anchors, suppression, RoIAlign, three heads, average precision; objects followed through a video"),
    Chapter(11, "rnn", "Sequences", 240, ("numpy", "matplotlib"),
            "text as numbers, models that count, a recurrent network and the way back through time, LSTM, sampling"),
    Chapter(12, "attention", "Attention", 210, ("numpy", "matplotlib", "torch"),
            "soft lookup, masks, positions, heads, the Transformer block, a translator of dates, attention on images"),
)  # fmt: skip


class UnknownChapter(KeyError):
    """No chapter has this name."""

    def __str__(self):  # KeyError's own would put the sentence in quotation marks
        return self.args[0]


def chapter(name: str) -> Chapter:
    """The chapter with this name, folder (``01_convolution``) or number (``1``, ``"01"``).

    Raises
    ------
    UnknownChapter
        If there is none; the message lists those there are.
    """
    for candidate in CHAPTERS:
        if str(name).lstrip("0") == str(candidate.number) or name in (candidate.name, candidate.folder):
            return candidate
    raise UnknownChapter(f"there is no chapter {name!r}; the chapters are {', '.join(c.folder for c in CHAPTERS)}")
