"""Scenes of shapes with a box, a class and a mask for each object, and videos of moving shapes, from a seed.

Objects are painted from the back to the front. What an object hides is not part of the other's mask, and a box is the
smallest one around what is *visible*: as in COCO. The outlines are those of :mod:`course_lib.datasets.coloured_shapes`.
"""

from typing import NamedTuple

import numpy as np

from course_lib.datasets import coloured_shapes

CLASSES = ("disc", "square", "triangle", "star")
_OUTLINES = {name: coloured_shapes.INSIDE[coloured_shapes.CLASSES.index(name)] for name in CLASSES}
VISIBLE = 0.4  # the least visible share of an annotated object


class Scene(NamedTuple):
    """An image and its ``n`` objects.

    ``image`` (3, H, W) uint8; ``boxes`` (n, 4) float32, each (x1, y1, x2, y2) in pixels, edges of pixels being whole
    numbers; ``classes`` (n,) int64, indices into :data:`CLASSES`; ``masks`` (n, H, W) bool; ``ids`` (n,) int64, which
    object of a video this is.
    """

    image: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    masks: np.ndarray
    ids: np.ndarray


class Thing(NamedTuple):
    """One object before it is painted: where its centre is, in pixels, and what it looks like."""

    kind: int
    x: float
    y: float
    radius: float
    angle: float
    colour: np.ndarray  # (3,), 0..1
    stripes: float = 0.0  # depth of a texture


def boxes_of(masks):
    """The smallest box around each mask.

    Parameters
    ----------
    masks : ndarray of bool, shape (n, H, W)
        None of them empty.

    Returns
    -------
    ndarray of float32, shape (n, 4)
        ``(x1, y1, x2, y2)``; a mask of the single pixel in row 3, column 5 has the box (5, 3, 6, 4).
    """
    masks = np.asarray(masks, bool)
    rows, columns = masks.any(axis=2), masks.any(axis=1)  # (n, H), (n, W)
    if not rows.any(axis=1).all():
        raise ValueError("a mask without a single pixel has no box")
    H, W = masks.shape[1:]
    return np.stack([columns.argmax(1), rows.argmax(1), W - columns[:, ::-1].argmax(1), H - rows[:, ::-1].argmax(1)],
                    axis=1).astype(np.float32)  # fmt: skip


def _cover(thing, height, width):
    """How much of each pixel the thing covers, 0..1, shape (height, width)."""
    cover = np.zeros((height, width), np.float32)
    reach = thing.radius * 1.1 + 2
    top, bottom = max(0, int(thing.y - reach)), min(height, int(thing.y + reach) + 1)
    left, right = max(0, int(thing.x - reach)), min(width, int(thing.x + reach) + 1)
    if top >= bottom or left >= right:
        return cover
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    p, q = (x + 0.5 - thing.x) / thing.radius, (y + 0.5 - thing.y) / thing.radius
    c, s = np.cos(thing.angle), np.sin(thing.angle)
    distance = _OUTLINES[CLASSES[thing.kind]](c * p + s * q, c * q - s * p) * thing.radius  # in pixels
    cover[top:bottom, left:right] = np.clip(0.5 - distance, 0, 1)
    return cover


def paint(things, background, noise, visible=VISIBLE):
    """Paint things, the last in front, over a background.

    Parameters
    ----------
    things : sequence of Thing
        Their places in it become ``ids``.
    background : ndarray, shape (3, H, W), 0..1
    noise : ndarray, shape (3, H, W)
        Added at the end.
    visible : float
        A thing of which less than this share is visible is painted and not annotated.

    Returns
    -------
    Scene
    """
    image, (height, width) = background.copy(), background.shape[1:]
    y, x = np.mgrid[:height, :width]
    masks, whole = np.zeros((len(things), height, width), bool), np.zeros(len(things))
    for k, thing in enumerate(things):
        cover = _cover(thing, height, width)
        wave = np.sin(0.9 * (np.cos(thing.angle) * (x - thing.x) + np.sin(thing.angle) * (y - thing.y)))
        texture = 1 - thing.stripes * (0.5 + 0.5 * wave)
        image += (thing.colour[:, None, None] * texture - image) * cover
        masks[:k] &= cover < 0.5
        masks[k] = cover >= 0.5
        whole[k] = masks[k].sum()
    seen = masks.sum(axis=(1, 2))
    ids = np.flatnonzero(seen >= np.maximum(visible * whole, 12))
    return Scene(
        np.rint(255 * np.clip(image + noise, 0, 1)).astype(np.uint8),
        boxes_of(masks[ids]) if len(ids) else np.zeros((0, 4), np.float32),
        np.array([things[k].kind for k in ids], np.int64),
        masks[ids],
        ids,
    )


def _background(rng, size):
    """A dark colour that changes slowly over the image, with some faint lines."""
    y, x = np.mgrid[:size, :size] / size
    low, slope = rng.uniform(0.05, 0.4, 3), rng.uniform(-0.15, 0.15, (3, 2))
    image = low[:, None, None] + slope[:, :1, None] * y + slope[:, 1:, None] * x
    for _ in range(rng.integers(0, 4)):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(0, 1)
        line = np.abs(np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) + 0.5 - offset) < rng.uniform(0.004, 0.015)
        image = image + line * rng.uniform(-0.1, 0.2)
    return image


def _thing(rng, size, radius):
    return Thing(
        kind=int(rng.integers(len(CLASSES))),
        x=rng.uniform(0.08, 0.92) * size,
        y=rng.uniform(0.08, 0.92) * size,
        radius=rng.uniform(*radius),
        angle=rng.uniform(-np.pi, np.pi),
        colour=rng.permutation([rng.uniform(0.6, 1.0), rng.uniform(0.2, 1.0), rng.uniform(0.1, 0.9)]),
        stripes=rng.uniform(0.15, 0.5) * (rng.random() < 0.4),
    )


def scene(rng, size=128, objects=(1, 6), radius=(9, 26)):
    """One scene in which every object is visible to at least :data:`VISIBLE` of its area.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : int
        Height and width in pixels.
    objects : (int, int)
        The least and the largest number of objects. Where there is no room for another, there are fewer.
    radius : (float, float)
        Of the objects, in pixels.

    Returns
    -------
    Scene
    """
    things, wanted = [], int(rng.integers(objects[0], objects[1] + 1))
    whole, seen = [], []  # each thing's pixels, and those that no later thing hides
    for _ in range(20 * wanted):
        if len(things) == wanted:
            break
        new = _thing(rng, size, radius)
        mask = _cover(new, size, size) >= 0.5
        left = [pixels & ~mask for pixels in seen]
        if all(pixels.sum() >= VISIBLE * n for pixels, n in zip(left, whole, strict=True)) and mask.sum() >= 40:
            things.append(new)
            seen, whole = [*left, mask], [*whole, mask.sum()]
    noise = rng.normal(size=(3, size, size)) * rng.uniform(0.01, 0.04)
    return paint(things, _background(rng, size), noise)


def scenes(n, seed, stream=0, **how):
    """``n`` scenes, see :func:`scene`. Another ``stream`` of the same seed shares no image with this one."""
    return [scene(np.random.default_rng([seed, stream, k]), **how) for k in range(n)]


def splits(n_train=1500, n_validation=100, n_test=100, seed=0):
    """Scenes to train on, to choose on, and to read once: three lists of :class:`Scene`."""
    return tuple(scenes(n, seed, stream) for stream, n in enumerate((n_train, n_validation, n_test)))


def video(seed, frames=80, n=5, size=128, radius=(10, 18), speed=(0.8, 2.0)):
    """Shapes that drift, turn, bounce off the walls and pass in front of each other.

    Parameters
    ----------
    seed : int
    frames, n : int
        How many frames, and how many objects.
    radius, speed : (float, float)
        In pixels, and pixels a frame.

    Returns
    -------
    list of Scene
        Frame after frame; ``ids`` say which object is which. One that is mostly hidden is not annotated.
    """
    rng = np.random.default_rng([seed, 77])
    things = [_thing(rng, size, radius) for _ in range(n)]
    heading, pace = rng.uniform(-np.pi, np.pi, n), rng.uniform(*speed, n)
    motion = np.stack([np.cos(heading) * pace, np.sin(heading) * pace, rng.uniform(-0.06, 0.06, n)], axis=1)
    return film(things, motion, rng, frames, size)


def crossing(frames=48, size=128):
    """The scripted case: a small disc passes behind a large square and is wholly hidden for a while.

    A star moves by below, untouched.

    Returns
    -------
    list of Scene
        In order of ``ids``: 0 the disc, 1 the star, 2 the square.
    """
    rng = np.random.default_rng(5)
    things = [
        Thing(0, 14.0, 50.0, 11.0, 0.3, np.array([0.95, 0.75, 0.2])),
        Thing(3, 110.0, 104.0, 14.0, 0.1, np.array([0.3, 0.85, 0.95])),
        Thing(1, 64.0, 54.0, 26.0, 0.78, np.array([0.85, 0.3, 0.5])),
    ]
    return film(things, np.array([[2.1, 0.1, 0.05], [-1.5, 0.0, 0.04], [0.0, 0.0, 0.0]]), rng, frames, size)


def film(things, motion, rng, frames, size=128):
    """Frames of things that move by ``motion``, shape (n, 3): pixels along x and y and radians for each frame."""
    background, motion, shots = _background(rng, size), np.array(motion, float), []
    for _ in range(frames):
        shots.append(paint(things, background, rng.normal(size=(3, size, size)) * 0.02))
        moved = []
        for k, thing in enumerate(things):
            for axis, place in enumerate((thing.x, thing.y)):
                if not thing.radius * 0.6 < place + motion[k, axis] < size - thing.radius * 0.6:
                    motion[k, axis] *= -1
            moved.append(thing._replace(x=thing.x + motion[k, 0], y=thing.y + motion[k, 1],
                                        angle=thing.angle + motion[k, 2]))  # fmt: skip
        things = moved
    return shots
