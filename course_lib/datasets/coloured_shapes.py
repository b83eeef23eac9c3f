r"""Coloured shapes, drawn by the computer: ten classes, 32×32 pixels, as many as one wants, from a seed.

A shape is a function of the plane that is negative inside and positive outside. To draw it, the pixels' positions are
carried *back* into the shape's own coordinates (where its radius is about 1), with a turn :math:`\theta`, a size
:math:`r`, a squeeze :math:`k`, a slant :math:`m` and a centre :math:`c`:

.. math:: \binom{u}{v} = \begin{pmatrix} 1/k & -m \\ 0 & k \end{pmatrix}
          \begin{pmatrix} \cos\theta & \sin\theta \\ -\sin\theta & \cos\theta \end{pmatrix} \frac{p - c}{r}

The class is the shape alone. Everything else varies freely from image to image: pose, colours, texture, a light from
one side, clutter behind, an occluding bar in front, and noise.
"""

import numpy as np

CLASSES = ("disc", "ring", "half disc", "crescent", "heart", "triangle", "square", "cross", "star", "arrow")


def _polygon(*vertices):
    """The signed distance to a polygon, as a function of the plane."""
    vertices = np.array(vertices, dtype=np.float32)

    def distance(u, v):
        nearest, inside = np.full(u.shape, np.inf, np.float32), np.zeros(u.shape, bool)
        for (au, av), (bu, bv) in zip(vertices, np.roll(vertices, 1, axis=0), strict=True):
            eu, ev = bu - au, bv - av
            t = np.clip(((u - au) * eu + (v - av) * ev) / (eu**2 + ev**2), 0, 1)  # the nearest point of the edge
            nearest = np.minimum(nearest, (u - au - t * eu) ** 2 + (v - av - t * ev) ** 2)
            if ev:  # a ray to the right crosses the edge: inside and outside change places
                inside ^= ((av > v) != (bv > v)) & (u < au + (v - av) * eu / ev)
        return np.where(inside, -1, 1) * np.sqrt(nearest)

    return distance


def _regular(n, radius):
    angle = 2 * np.pi * np.arange(n) / n - np.pi / 2
    return _polygon(*zip(radius * np.cos(angle), radius * np.sin(angle), strict=True))


def _star(points, outer, inner):
    angle = np.pi * np.arange(2 * points) / points - np.pi / 2
    radius = np.where(np.arange(2 * points) % 2, inner, outer)
    return _polygon(*zip(radius * np.cos(angle), radius * np.sin(angle), strict=True))


def _disc(u, v, radius=0.85, centre=0.0):
    return np.hypot(u - centre, v) - radius


def _heart(u, v):
    lobes = np.minimum(np.hypot(u - 0.42, v + 0.3), np.hypot(u + 0.42, v + 0.3)) - 0.48
    point = np.maximum(0.76 * np.abs(u) + 0.65 * v - 0.604, -0.3 - v)  # the triangle below the lobes
    return np.minimum(lobes, point)


_CROSS = _polygon((-0.3, -0.9), (0.3, -0.9), (0.3, -0.3), (0.9, -0.3), (0.9, 0.3), (0.3, 0.3),
                  (0.3, 0.9), (-0.3, 0.9), (-0.3, 0.3), (-0.9, 0.3), (-0.9, -0.3), (-0.3, -0.3))  # fmt: skip
_ARROW = _polygon((0.95, 0), (0.1, -0.8), (0.1, -0.32), (-0.95, -0.32), (-0.95, 0.32), (0.1, 0.32), (0.1, 0.8))

# One function a class, in the order of CLASSES.
INSIDE = (
    _disc,
    lambda u, v: np.abs(np.hypot(u, v) - 0.65) - 0.23,
    lambda u, v: np.maximum(_disc(u, v, 0.95, -0.35), -u - 0.35),
    lambda u, v: np.maximum(_disc(u, v, 0.9), -_disc(u, v, 0.8, 0.45)),
    _heart,
    _regular(3, 1.0),
    _regular(4, 1.0),
    _CROSS,
    _star(5, 1.0, 0.42),
    _ARROW,
)


def draw(labels, rng, size=32):
    """Draw one image for each label.

    Parameters
    ----------
    labels : ndarray of int, shape (N,)
        Indices into :data:`CLASSES`.
    rng : numpy.random.Generator
    size : int
        Height and width in pixels.

    Returns
    -------
    ndarray, shape (N, 3, size, size), uint8
        Channels first: red, green, blue.
    """
    N = len(labels)
    y, x = np.mgrid[:size, :size].astype(np.float32)  # (size, size) each
    pixel = 2 / size  # positions run from -1 to 1
    y, x = (y + 0.5) * pixel - 1, (x + 0.5) * pixel - 1

    def each(low, high):
        """One number for each image, to be spread over its pixels."""
        return rng.uniform(low, high, size=(N, 1, 1)).astype(np.float32)

    # ---- pose: pixels into the shape's coordinates
    theta, r, k, m = each(-np.pi, np.pi), each(0.6, 0.85), each(0.8, 1.25), each(-0.25, 0.25)
    cx, cy = each(-0.15, 0.15), each(-0.15, 0.15)
    p, q = (x - cx) / r, (y - cy) / r
    p, q = np.cos(theta) * p + np.sin(theta) * q, np.cos(theta) * q - np.sin(theta) * p
    u, v = p / k - m * q, k * q
    cover = np.empty((N, size, size), np.float32)
    for c, inside in enumerate(INSIDE):
        of_class = labels == c
        distance = inside(u[of_class], v[of_class]) * r[of_class] / pixel  # in pixels
        cover[of_class] = np.clip(0.5 - distance, 0, 1)  # a soft edge, one pixel wide

    # ---- clutter: lines and blobs behind the shape, in a third colour
    clutter = np.zeros((N, size, size), np.float32)
    for _ in range(2):
        angle, offset, thickness = each(0, np.pi), each(-0.9, 0.9), each(0.02, 0.1)
        line = np.abs(np.cos(angle) * x + np.sin(angle) * y - offset) - thickness
        blob = np.hypot(x - each(-1, 1), y - each(-1, 1)) - each(0.08, 0.25)
        which = np.where(each(0, 1) < 0.5, line, blob)
        clutter = np.maximum(clutter, np.clip(0.5 - which / pixel, 0, 1) * (each(0, 1) < 0.35))

    # ---- an occluding bar in front: a shape loses up to a third of its width
    angle, offset, thickness = each(0, np.pi), each(-0.5, 0.5), each(0.04, 0.13)
    side = np.cos(angle) * (x - cx) + np.sin(angle) * (y - cy) - offset * r
    bar = np.clip(0.5 - (np.abs(side) - thickness) / pixel, 0, 1) * (each(0, 1) < 0.25)

    # ---- colours, texture, light, noise
    behind, front, third, fourth = _colours(N, rng)  # (N, 3, 1, 1) each
    image = behind + (third - behind) * clutter[:, None]
    image = image + (front * _texture(x, y, each) - image) * cover[:, None]
    image = image + (fourth - image) * bar[:, None]
    angle, slope = each(-np.pi, np.pi), each(0, 0.35)
    light = each(0.75, 1.15) * (1 + slope * (np.cos(angle) * x + np.sin(angle) * y))
    image = image * light[:, None] + rng.normal(size=image.shape).astype(np.float32) * each(0.01, 0.04)[:, None]
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _colours(N, rng):
    """Four colours an image: a dark background, a bright shape, and clutter and bar in between."""
    low = np.array([0.0, 0.45, 0.0, 0.0])[:, None]
    high = np.array([0.45, 1.0, 0.6, 0.6])[:, None]
    return rng.uniform(low, high, size=(N, 4, 3)).transpose(1, 0, 2)[..., None, None].astype(np.float32)


def _texture(x, y, each):
    """Stripes across the shape in half of the images, none in the others: a factor of at most 1."""
    angle, wave, depth = each(0, np.pi), each(5, 14), each(0.1, 0.45) * (each(0, 1) < 0.5)
    stripes = np.sin(wave * (np.cos(angle) * x + np.sin(angle) * y) + each(0, 2 * np.pi))
    return (1 - depth * (0.5 + 0.5 * stripes))[:, None]  # (N, 1, size, size)
