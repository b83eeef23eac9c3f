r"""Hearts drawn by the computer: short-axis cardiac MRI as volumes of slices, with the class of every pixel.

A *short-axis* slice cuts across the heart: the left ventricle's blood pool is a bright disc, its muscle (the
myocardium) a dark ring around it, the right ventricle a bright crescent at its side. A patient has a stack of slices
from base (the wide end) to apex (the tip), once when the heart is full (end-diastole) and once when it has contracted
(end-systole). With :math:`u` from 0 at the base to 1 at the apex, the inner radius of the left ventricle is

.. math:: r(u) = R \sqrt{1 - (0.94\,u)^2}, \qquad r_{ES}(u) = c\, r(u)

and the outer radius of a contracted slice follows from the muscle's area, which stays what it was (muscle does not
shrink, it thickens): :math:`o_{ES}^2 - r_{ES}^2 = o^2 - r^2`.

What a scanner adds: other tissue in any brightness, further vessels as bright as the ventricles, papillary muscles
inside the blood pool (counted as blood pool, as in ACDC), a smooth brightness over the image (the bias field), little
or much contrast, and Rician noise, the length of a complex number with Gaussian noise in both parts:
:math:`\sqrt{(s + n_1)^2 + n_2^2}`.

Radii, thickness and ejection fractions are in the range of adults, healthy and ill; the drawings are toys all the
same. Numbers measured on them say nothing about patients.
"""

from typing import NamedTuple

import numpy as np

CLASSES = ("background", "right ventricle", "myocardium", "left ventricle")  # numbered as in ACDC
BACKGROUND, RV, MYOCARDIUM, LV = range(4)
SPACING = (10.0, 2.0, 2.0)  # mm between slices, rows and columns


class Patient(NamedTuple):
    """One heart at end-diastole (``ed``, full) and at end-systole (``es``, contracted).

    Images are ``(S, H, W)`` uint8, slices from base to apex; labels have the same shape and hold indices into
    :data:`CLASSES`. ``spacing`` is the distance of slices, rows and columns in mm.
    """

    name: str
    ed: np.ndarray
    ed_labels: np.ndarray
    es: np.ndarray
    es_labels: np.ndarray
    spacing: tuple[float, float, float]

    def __repr__(self):
        shape, step = "×".join(map(str, self.ed.shape)), "×".join(f"{mm:g}" for mm in self.spacing)
        return f"<{self.name}: two volumes of {shape} voxels, each {step} mm>"


class Hearts(NamedTuple):
    """Patients in three splits: all slices of a patient are in the same one."""

    train: tuple[Patient, ...]
    validation: tuple[Patient, ...]
    test: tuple[Patient, ...]

    def __repr__(self):
        sizes = ", ".join(f"{len(getattr(self, part))} {part}" for part in self._fields)
        return f"<hearts: {sizes} patients; {len(CLASSES)} classes>"


def hearts(n_train=75, n_validation=15, n_test=25, slices=8, size=64, seed=0):
    """Patients drawn from a seed, in three splits of separate random streams.

    Parameters
    ----------
    n_train, n_validation, n_test : int
        How many patients.
    slices, size : int
        Each volume has the shape ``(slices, size, size)``.
    seed : int
        Another seed draws other patients.

    Returns
    -------
    Hearts
    """
    splits = []
    for stream, n in enumerate((n_train, n_validation, n_test)):
        rng = np.random.default_rng([seed, stream])
        splits.append(tuple(patient(rng, slices, size, f"patient {k}") for k in range(n)))
    return Hearts(*splits)


def images_and_labels(patients):
    """Every slice of both phases of some patients, one after the other.

    Returns
    -------
    x : ndarray, shape (N, H, W, 1), float32
        Between 0 and 1; channels last, as TensorFlow wants them.
    y : ndarray, shape (N, H, W), int32
        Indices into :data:`CLASSES`.
    """
    x = np.concatenate([volume for p in patients for volume in (p.ed, p.es)])
    y = np.concatenate([labels for p in patients for labels in (p.ed_labels, p.es_labels)])
    return x[..., None].astype(np.float32) / 255, y.astype(np.int32)


def patient(rng, slices=8, size=64, name="patient"):
    """Draw one patient.

    Parameters
    ----------
    rng : numpy.random.Generator
    slices, size : int
        Each volume has the shape ``(slices, size, size)``; the field of view is 128 mm wide, whatever the size.
    name : str

    Returns
    -------
    Patient
    """
    body = _anatomy(rng)
    spacing = (80 / slices, 128 / size, 128 / size)
    phases = []
    for contraction in (1.0, body["contraction"]):
        labels, tissue = _slices(body, contraction, slices, size, rng)
        phases += [_scan(tissue, rng), labels]
    return Patient(name, *phases, spacing)


def with_implants(x, rng):
    """The same images with a piece of metal in each: it gives no signal, and a bright rim where signal piles up.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, 1), from 0 to 1
    rng : numpy.random.Generator
        Of places and radii, 3 to 5 pixels.

    Returns
    -------
    x : ndarray, shape (N, H, W, 1)
    where : ndarray of bool, shape (N, H, W)
        The disc and its rim.
    """
    N, H, W, _ = x.shape
    radius = rng.uniform(3, 5, size=(N, 1, 1))
    row, column = rng.uniform(0.22, 0.78, size=(2, N, 1, 1)) * np.array([H, W]).reshape(2, 1, 1, 1)
    i, j = np.mgrid[:H, :W]
    outside = np.hypot(i - row, j - column) - radius  # pixels from the disc's border
    rim = 0.9 * np.clip(1 - np.abs(outside - 1), 0, 1)
    image = np.maximum(x[..., 0] * np.clip(outside + 0.5, 0, 1), rim)
    return image[..., None].astype(x.dtype), outside < 2


def _anatomy(rng):
    """What stays the same in all slices and phases of a patient; lengths in mm, angles in radians."""
    return {
        "centre": rng.uniform(-10, 10, size=2),
        "R": rng.uniform(19, 29),  # inner radius of the left ventricle at the base, full
        "wall": rng.uniform(7, 12),
        "contraction": rng.uniform(0.58, 0.92),
        "waves": rng.uniform(-1, 1, size=(2, 2, 2)) * np.array([0.05, 0.03])[:, None],  # of both contours
        "septum": np.pi + rng.uniform(-0.6, 0.6),  # where the right ventricle lies, seen from the left one
        "rv": rng.uniform([0.75, 0.85, 0.55], [1.0, 1.15, 0.8]),  # distance, length and width, of the outer radius
        "papillary": rng.uniform([0.4, -1.9], [1.0, -1.3]),
        "blood": rng.uniform(0.6, 0.9),
        "contrast": rng.uniform(0.25, 0.5),  # blood minus muscle
        "tissue": rng.uniform(0.05, 0.8, size=4),  # four kinds of other tissue
        "field": rng.normal(size=(2, 3, 3, 2)),
        "vessel": rng.uniform([0, 50], [2 * np.pi, 60]),
    }


def _contour(angle, radius, waves):
    """A circle with two and three gentle bumps."""
    (a, b), (c, d) = waves
    return radius * (1 + a * np.cos(2 * angle) + b * np.sin(2 * angle) + c * np.cos(3 * angle) + d * np.sin(3 * angle))


def _slices(body, contraction, slices, size, rng):
    """Labels and brightness without what the scanner adds, both ``(slices, size, size)``."""
    pixel = 128 / size
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) * pixel - 64  # mm from the middle of the image
    u = ((np.arange(slices) + 0.5) / slices)[:, None, None]  # 0 at the base, 1 at the apex
    shift = rng.normal(size=(2, slices, 1, 1)) * 0.7  # breath is not held equally well in all slices
    dy, dx = y - body["centre"][0] - shift[0], x - body["centre"][1] - shift[1]
    rho, angle = np.hypot(dy, dx), np.arctan2(dy, dx)

    full = body["R"] * np.sqrt(1 - (0.94 * u) ** 2)
    area = (full + body["wall"]) ** 2 - full**2  # of the muscle, over pi
    inner = contraction * full
    outer = np.sqrt(inner**2 + area)
    in_lv = _contour(angle, inner, body["waves"][0]) - rho  # mm inside the contour; negative outside
    in_heart = _contour(angle, outer, (body["waves"][0] + body["waves"][1]) / 2) - rho

    # ---- the right ventricle: an ellipse with its centre in the septum's direction, less the left heart
    distance, length, width = body["rv"]
    alpha, shrink = body["septum"], np.sqrt(np.clip(1 - (u / 0.92) ** 2, 0, None)) * (0.6 + 0.4 * contraction)
    along, across = np.cos(alpha) * dx + np.sin(alpha) * dy, np.cos(alpha) * dy - np.sin(alpha) * dx
    reach = body["R"] + body["wall"]
    in_rv = width * reach * shrink - np.hypot(along - distance * outer, across * width / length)

    labels = np.zeros((slices, size, size), np.uint8)
    labels[(in_rv > 0) & (in_heart < 0)] = RV
    labels[in_heart > 0] = MYOCARDIUM
    labels[in_lv > 0] = LV

    # ---- brightness, painted from the back to the front with edges one pixel soft
    image = _other_tissue(body, x, y, u)
    blood, muscle = body["blood"], body["blood"] - body["contrast"]

    def paint(inside, value):
        nonlocal image
        image = image + (value - image) * np.clip(0.5 + inside / pixel, 0, 1)

    direction, far = body["vessel"]
    paint(7 - np.hypot(x - far * np.cos(direction), y - far * np.sin(direction)), blood)  # a vessel
    paint(np.where(shrink > 0, in_rv + 3, -3), muscle)  # its wall is thin and belongs to the background
    paint(in_rv, blood)
    paint(in_heart, muscle)
    paint(in_lv, blood)
    for at in body["papillary"]:
        place = 0.62 * inner
        spot = 0.16 * inner + 0.5 - np.hypot(dx - place * np.cos(at), dy - place * np.sin(at))
        paint(np.minimum(spot, in_lv), muscle)
    return labels, image


def _other_tissue(body, x, y, u):
    """Four brightnesses, divided by two smooth random fields that change a little from slice to slice."""
    fields = []
    for waves in body["field"]:
        C, S = np.zeros_like(x), np.zeros_like(x)  # cos(phase + u) = cos(u) cos(phase) - sin(u) sin(phase)
        for (i, j), (a, b) in zip(np.ndindex(3, 3), waves.reshape(9, 2), strict=True):
            phase = (i * y + j * x) / 30 + 3 * b
            C, S = C + a * np.cos(phase), S + a * np.sin(phase)
        fields.append(np.cos(u) * C - np.sin(u) * S)
    kind = 2 * (fields[0] > 0) + (fields[1] > 0)
    return body["tissue"][kind] + 0.03 * fields[0]


def _scan(tissue, rng):
    """What the scanner makes of the tissue: bias field, contrast, Rician noise; uint8."""
    slices, size, _ = tissue.shape
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    slope = rng.uniform(-0.35, 0.35, size=(3, 1, 1))
    bias = np.exp(slope[0] * x + slope[1] * y + slope[2] * x * y)
    signal = rng.uniform(0.8, 1.1) * bias * tissue
    sigma = rng.uniform(0.02, 0.07)
    noise = rng.normal(scale=sigma, size=(2, *tissue.shape))
    magnitude = np.hypot(signal + noise[0], noise[1])
    return np.rint(255 * np.clip(magnitude, 0, 1)).astype(np.uint8)
