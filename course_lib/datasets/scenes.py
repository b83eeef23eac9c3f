r"""Little landscapes and their line drawings, drawn by the computer: 64×64 pixels, as many as one wants, from a seed.

A scene is painted from back to front, at twice its size, as a map of *parts*: sky, mountains, meadow, house, trees.
Its picture gives each part the part's colour; its drawing has a line wherever two objects meet. So nearly all of the
colours can be told from the drawing alone:

* a part's colour is always the same but for a small variation, and the part shows in its outline;
* where there is a moon instead of a sun it is night, and then *everything* has other colours;

and two things cannot be told: a roof is red or blue by the toss of a coin, and the blades of grass on the meadow are
drawn at random in the picture and not at all in the drawing.
"""

from typing import NamedTuple

import numpy as np

PARTS = ("sky", "sun", "moon", "star", "cloud", "mountain", "snow", "meadow", "lake", "path",
         "wall", "roof", "door", "window", "trunk", "leaves", "conifer")  # fmt: skip

# What a part looks like by day and at night: red, green, blue from 0 to 1.
DAY = np.array([
    (0.56, 0.78, 0.95), (0.99, 0.84, 0.20), (0.95, 0.94, 0.80), (1.00, 1.00, 0.85), (0.97, 0.97, 0.98),
    (0.55, 0.50, 0.58), (0.96, 0.97, 1.00), (0.50, 0.75, 0.30), (0.20, 0.48, 0.78), (0.86, 0.76, 0.55),
    (0.96, 0.88, 0.70), (0.80, 0.25, 0.20), (0.45, 0.27, 0.15), (0.75, 0.88, 0.95), (0.42, 0.28, 0.17),
    (0.20, 0.55, 0.20), (0.08, 0.36, 0.26),
])  # fmt: skip
NIGHT = DAY * (0.30, 0.33, 0.50)
for _part, _colour in (("sky", (0.07, 0.08, 0.25)), ("moon", (0.95, 0.94, 0.80)), ("star", (1.0, 1.0, 0.85)),
                       ("window", (1.0, 0.85, 0.35)), ("cloud", (0.30, 0.31, 0.42))):  # fmt: skip
    NIGHT[PARTS.index(_part)] = _colour
ROOFS = np.array([(0.80, 0.25, 0.20), (0.25, 0.38, 0.72)])  # by day; which of the two, the drawing does not say


class Scenes(NamedTuple):
    """Some scenes.

    ``drawing`` has shape (N, 1, 64, 64) and ``colour`` (N, 3, 64, 64), both uint8, white is 255; ``parts`` has shape
    (N, 64, 64) and holds indices into :data:`PARTS`; ``night`` has shape (N,).
    """

    drawing: np.ndarray
    colour: np.ndarray
    parts: np.ndarray
    night: np.ndarray


class _Canvas:
    """A map of objects and one of parts, painted from back to front. Positions run from 0 to 1, ``v`` downwards."""

    def __init__(self, size):
        along = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.v, self.u = along[:, None], along[None]  # (S, 1) and (1, S)
        self.objects, self.parts = np.zeros((2, size, size), np.int32)
        self.count = 0

    def paint(self, inside, part):
        """One object: its line is drawn where it ends."""
        self.count += 1
        self.objects[inside] = self.count
        self.parts[inside] = PARTS.index(part)

    def ellipse(self, u, v, ru, rv):
        return ((self.u - u) / ru) ** 2 + ((self.v - v) / rv) ** 2 < 1

    def box(self, left, right, top, bottom):
        return (self.u > left) & (self.u < right) & (self.v > top) & (self.v < bottom)

    def triangle(self, u, half, top, bottom):
        """Standing on its base; ``half`` is half of its width."""
        return (self.v < bottom) & (np.abs(self.u - u) * (bottom - top) < half * (self.v - top))


def draw(N, rng, size=64):
    """Draw some scenes.

    Parameters
    ----------
    N : int
    rng : numpy.random.Generator
    size : int
        Height and width in pixels.

    Returns
    -------
    Scenes
    """
    drawing, colour = np.empty((N, 1, size, size), np.uint8), np.empty((N, 3, size, size), np.uint8)
    parts, night = np.empty((N, size, size), np.uint8), np.arange(N) % 3 == 0  # one in three is a night
    for n in range(N):
        canvas = _Canvas(2 * size)
        _compose(canvas, night[n], rng)
        drawing[n, 0] = np.rint(255 * (1 - _lines(canvas.objects)))
        colour[n] = np.rint(255 * _picture(canvas.parts, night[n], rng)).transpose(2, 0, 1)
        parts[n] = canvas.parts[::2, ::2]
    order = rng.permutation(N)
    return Scenes(drawing[order], colour[order], parts[order], night[order])


def _compose(canvas, night, rng):
    """Paint the objects of one scene from back to front."""
    u, v, draw = canvas.u, canvas.v, rng.uniform
    horizon = draw(0.45, 0.58)
    # ---- the sky
    x, y, r = draw(0.12, 0.88), draw(0.12, 0.20), draw(0.075, 0.10)
    if night:
        moon = canvas.ellipse(x, y, r, r) & ~canvas.ellipse(x + 0.45 * r, y - 0.2 * r, 0.85 * r, 0.85 * r)
        canvas.paint(moon, "moon")
        for _ in range(rng.integers(5, 11)):
            canvas.paint(canvas.ellipse(draw(0, 1), draw(0, 0.35), 0.02, 0.02), "star")
    else:
        canvas.paint(canvas.ellipse(x, y, r, r), "sun")
    for _ in range(rng.integers(0, 3)):
        x, y, r = draw(0, 1), draw(0.10, 0.30), draw(0.07, 0.11)
        puffs = [canvas.ellipse(x + k * r, y + draw(-0.2, 0.2) * r, r, 0.55 * r) for k in (-1, 0, 1)]
        canvas.paint(np.any(puffs, axis=0), "cloud")
    for _ in range(rng.integers(0, 4)):
        x, half, top = draw(0, 1), draw(0.18, 0.35), horizon - draw(0.15, 0.33)
        mountain = canvas.triangle(x, half, top, 1)
        canvas.paint(mountain, "mountain")
        if horizon - top > 0.22:
            edge = top + 0.09 + 0.02 * np.abs((u * 16) % 2 - 1)  # a zigzag
            canvas.paint(mountain & (v < edge), "snow")
    # ---- the ground
    meadow = v > horizon + draw(0, 0.025) * np.sin(draw(4, 9) * u + draw(0, 6))
    canvas.paint(meadow, "meadow")
    if rng.random() < 0.5:
        lake = canvas.ellipse(draw(0.1, 0.9), draw(0.85, 0.95), draw(0.18, 0.32), draw(0.05, 0.09))
        canvas.paint(lake & meadow, "lake")
    things = []  # what stands on the meadow, the furthest first
    if rng.random() < 0.75:
        things.append((draw(0.68, 0.82), "house", draw(0.25, 0.75)))
    things += [(draw(horizon + 0.08, 0.95), "tree", draw(0.03, 0.97)) for _ in range(rng.integers(1, 5))]
    for foot, what, x in sorted(things):
        (_house if what == "house" else _tree)(canvas, x, foot, rng)


def _house(canvas, x, foot, rng):
    w, h, roof = rng.uniform(0.13, 0.19), rng.uniform(0.18, 0.24), rng.uniform(0.13, 0.18)
    way = (canvas.v > foot) & (np.abs(canvas.u - x) < 0.035 + 0.35 * (canvas.v - foot))
    canvas.paint(way, "path")
    canvas.paint(canvas.box(x - w, x + w, foot - h, foot), "wall")
    canvas.paint(canvas.triangle(x, 1.2 * w, foot - h - roof, foot - h + 0.02), "roof")
    canvas.paint(canvas.box(x - 0.035, x + 0.035, foot - 0.11, foot), "door")
    for side in (-1, 1):
        middle = x + side * 0.58 * w
        canvas.paint(canvas.box(middle - 0.03, middle + 0.03, foot - 0.72 * h, foot - 0.72 * h + 0.06), "window")


def _tree(canvas, x, foot, rng):
    height = rng.uniform(0.18, 0.30) * (0.5 + foot)  # what is nearer is larger
    canvas.paint(canvas.box(x - 0.016, x + 0.016, foot - 0.5 * height, foot), "trunk")
    if rng.random() < 0.5:
        canvas.paint(canvas.ellipse(x, foot - 0.68 * height, 0.30 * height, 0.36 * height), "leaves")
    else:
        canvas.paint(canvas.triangle(x, 0.28 * height, foot - 1.1 * height, foot - 0.22 * height), "conifer")


def _lines(objects):
    """Where two objects meet: (2H, 2W) to (H, W), 1 on a line."""
    edge = np.zeros(objects.shape, bool)
    edge[:, 1:] |= objects[:, 1:] != objects[:, :-1]
    edge[1:] |= objects[1:] != objects[:-1]
    return np.minimum(1, 1.5 * _halve(edge[..., None].astype(np.float32)))[..., 0]


def _picture(parts, night, rng):
    """The colours of a map of parts: (2H, 2W) to (H, W, 3), from 0 to 1."""
    palette = (NIGHT if night else DAY).copy()
    roof = ROOFS[rng.integers(2)]
    palette[PARTS.index("roof")] = roof * (0.30, 0.33, 0.50) if night else roof
    palette = palette + rng.uniform(-0.02, 0.02, size=palette.shape)
    towards_horizon = np.linspace(0.92, 1.15, len(parts), dtype=np.float32)[:, None]
    light = np.where(parts == PARTS.index("sky"), towards_horizon, np.float32(1))
    image = _halve(palette.astype(np.float32)[parts] * light[..., None])
    blades = rng.normal(size=image.shape[:2])[..., None] * (0.06, 0.08, 0.04) * (0.4 if night else 1)
    image += blades * _halve((parts == PARTS.index("meadow"))[..., None].astype(np.float32))
    return np.clip(image, 0, 1)


def _halve(image):
    """The mean of every 2×2 pixels: (2H, 2W, C) to (H, W, C)."""
    rows = image[::2] + image[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4
