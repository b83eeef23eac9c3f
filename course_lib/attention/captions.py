"""Attention over the regions of an image: a decoder that writes a caption (after Xu et al., 2015)."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from course_lib.attention import training
from course_lib.attention.blocks import TransformerBlock
from course_lib.attention.decoding import greedy_decode
from course_lib.attention.transformer import Transformer
from course_lib.datasets.captioned_scenes import BOS, EOS, REGIONS, SIDE, WORDS, decode, scenes

__all__ = ["Captioner", "captioner", "describe", "exact_match", "fit", "scenes", "show"]
LONGEST = 6  # five words and <eos>


class Captioner(Transformer):
    """A Transformer's decoder whose memory is an image: one row for each of the 3×3 regions.

    Parameters
    ----------
    d, heads, hidden, layers, Block
        See :class:`course_lib.attention.Transformer`.
    """

    def __init__(self, d=96, heads=4, hidden=192, layers=1, Block=TransformerBlock):
        super().__init__(len(WORDS), d, heads, hidden, layers, longest=LONGEST + 1, Block=Block)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 24, 3, stride=2, padding=1), nn.BatchNorm2d(24), nn.ReLU(),  # (N, 24, 24, 24)
            nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.BatchNorm2d(48), nn.ReLU(),  # (N, 48, 12, 12)
            nn.Conv2d(48, d, 4, stride=4), nn.BatchNorm2d(d), nn.ReLU(),  # (N, d, 3, 3)
        )  # fmt: skip
        self.regions = nn.Parameter(0.1 * torch.randn(REGIONS**2, d))  # where each region is

    def encode(self, source):
        """Images (N, 3, 48, 48) as memory (N, 9, d)."""
        return self.norm_source(self.encoder(source).flatten(2).transpose(1, 2) + self.regions)

    def decode(self, target, memory, source):
        """Scores (N, T, V) for the word after each of ``target`` (N, T)."""
        everywhere = torch.ones(len(memory), memory.shape[1], dtype=torch.long)  # no region is padding
        return super().decode(target, memory, everywhere)


def captioner(seed, Block=TransformerBlock):
    """A fresh :class:`Captioner`, its weights drawn from ``seed``."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Captioner(Block=Block)


def fit(model, pictures, epochs, seed, progress=False):
    """Teacher forcing on images and captions; see :func:`course_lib.attention.training.fit`."""

    def batches(pictures, size, rng):
        order = rng.permutation(len(pictures.images))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield torch.from_numpy(pictures.images[rows]), torch.from_numpy(pictures.captions[rows])

    return training.fit(model, pictures, epochs, seed, lr=3e-3, batch_size=64, progress=progress, batches=batches)


@torch.no_grad()
def describe(model, images):
    """Captions of images (N, 3, 48, 48), and where the last block looked: (N, 6) int and (N, 6, 3, 3)."""
    model.eval()
    memory = model.encode(torch.as_tensor(images))
    written = greedy_decode(lambda target: model.decode(target, memory, None), len(memory), BOS, EOS, LONGEST)
    start = torch.full((len(memory), 1), BOS)
    model.decode(torch.cat([start, written[:, :-1]], dim=1), memory, None)
    weights = model.decoder[-1].look_at_memory.weights.mean(dim=1)  # (N, T, 9), over the heads
    return written.numpy(), weights.unflatten(2, (REGIONS, REGIONS)).numpy()


def exact_match(model, pictures):
    """The share of images whose whole caption is right, 0..1."""
    written, _ = describe(model, pictures.images)
    right = pictures.captions[:, 1 : written.shape[1] + 1]
    return float((written == right).all(axis=1).mean()) if written.shape[1] == LONGEST else 0.0


def show(model, pictures, n):
    """The first ``n`` images, and beside each where the model looked for each word.

    Returns
    -------
    matplotlib.figure.Figure
    """
    written, weights = describe(model, pictures.images[:n])
    words = [0, 1, 3, 4]  # not the comma
    figure, axes = plt.subplots(n, 1 + len(words), figsize=(9.5, 2.1 * n), squeeze=False, layout="constrained")
    for row, image, caption, looks in zip(axes, pictures.images, written, weights, strict=False):
        picture = np.moveaxis(image, 0, -1)
        row[0].imshow(picture)
        row[0].set_title(decode(caption), fontsize=9)
        for ax, t in zip(row[1:], words, strict=True):
            light = np.kron(looks[t] if t < len(looks) else np.zeros((REGIONS, REGIONS)), np.ones((SIDE, SIDE)))
            ax.imshow(picture * (0.15 + 0.85 * light[..., None] / max(light.max(), 1e-9)))
            ax.set_title(f"looked for “{WORDS[caption[t]]}”" if t < len(caption) else "", fontsize=9)
        for ax in row:
            ax.axis("off")
    plt.close(figure)
    return figure
