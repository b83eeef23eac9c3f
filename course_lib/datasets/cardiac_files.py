"""Real short-axis hearts from files that the reader has: ACDC (NIfTI) and Sunnybrook (DICOM with contours).

Both need a package that the course does not: ``pip install nibabel`` for ACDC, ``pip install pydicom`` for Sunnybrook.
Both sets must be asked for at their owners' pages (``data/README.md``); nothing is downloaded here.

=======================  ==============================================================================================
``acdc(folder)``         ``patient001/`` with ``Info.cfg``, ``patient001_frame01.nii.gz``, ``.._frame01_gt.nii.gz``, ...
``sunnybrook_slice()``   one DICOM image and its contour files (``*-icontour-manual.txt``, ``*-ocontour-manual.txt``)
``resample(patient)``    any patient in the pixels of the drawn hearts, so that one network takes both
=======================  ==============================================================================================
"""

from pathlib import Path

import numpy as np

from course_lib.datasets.cardiac import LV, MYOCARDIUM, Patient


def _package(name, for_what):
    """Import an optional package, or say how to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"{for_what} is read with {name}, which is not installed: pip install {name}") from None


def grey(volume):
    """Any intensities as uint8: the 1st percentile becomes 0, the 99th 255."""
    low, high = np.percentile(volume, (1, 99))
    return np.rint(255 * np.clip((volume - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)


def acdc(folder):
    """Read one patient of ACDC.

    Parameters
    ----------
    folder : path-like
        Such as ``training/patient001``.

    Returns
    -------
    Patient
        Slices in the order of the file; rows and columns as a radiologist sees them (the file has x first).

    Raises
    ------
    ImportError
        Without nibabel; the message says how to install it.
    ValueError
        If ``Info.cfg`` does not name the two frames, or an image and its labels differ in shape.
    FileNotFoundError
        If a file is missing.
    """
    nibabel = _package("nibabel", "ACDC")
    folder = Path(folder)
    info = dict(line.split(":", 1) for line in (folder / "Info.cfg").read_text().splitlines() if ":" in line)
    volumes, spacing = [], None
    for phase in ("ED", "ES"):
        try:
            frame = int(info[phase])
        except (KeyError, ValueError):
            raise ValueError(f"{folder / 'Info.cfg'} has no line '{phase}: number of the frame'") from None
        name = f"{folder.name}_frame{frame:02d}"
        image, labels = (nibabel.load(folder / f"{name}{part}.nii.gz") for part in ("", "_gt"))
        if image.shape != labels.shape or len(image.shape) != 3:
            raise ValueError(
                f"{name}: the image has shape {image.shape}, its labels {labels.shape}; both must be (x, y, z)"
            )
        dx, dy, dz = (float(mm) for mm in image.header.get_zooms()[:3])
        spacing = (dz, dy, dx)
        volumes.append(grey(np.asarray(image.dataobj, dtype=float).T))  # (x, y, z) to (z, y, x)
        volumes.append(np.rint(np.asarray(labels.dataobj, dtype=float)).astype(np.uint8).T)
    return Patient(folder.name, *volumes, spacing)


def read_contour(path):
    """The corners of one Sunnybrook contour: a text file with ``x y`` in pixels on each line.

    Returns
    -------
    ndarray, shape (M, 2)
        ``x`` (column) and ``y`` (row).

    Raises
    ------
    ValueError
        If a line is not two numbers, or there are fewer than three.
    """
    try:
        points = np.array(
            [[float(v) for v in line.split()] for line in Path(path).read_text().splitlines() if line.strip()]
        )
    except ValueError:
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise ValueError(f"{Path(path).name} is not a contour: three or more lines with two numbers each are expected")
    return points


def inside(points, shape):
    """Which pixels have their middle inside a closed polygon: boolean, of the given shape ``(H, W)``."""
    from matplotlib.path import Path as Polygon

    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return Polygon(points).contains_points(np.column_stack([columns.ravel(), rows.ravel()])).reshape(shape)


def sunnybrook_slice(image, inner, outer=None):
    """Read one slice of Sunnybrook.

    Parameters
    ----------
    image : path-like
        The DICOM file.
    inner : path-like
        The contour of the left ventricle's blood (``icontour``).
    outer : path-like, optional
        That of the muscle's outside (``ocontour``), drawn at end-diastole only.

    Returns
    -------
    x : ndarray, shape (H, W), uint8
    labels : ndarray, shape (H, W), uint8
        As in :data:`course_lib.datasets.cardiac.CLASSES`; the set has no right ventricle.
    spacing : (float, float, float)
        Slice thickness, rows and columns in mm.

    Raises
    ------
    ImportError
        Without pydicom; the message says how to install it.
    ValueError
        If a contour is damaged.
    """
    pydicom = _package("pydicom", "Sunnybrook")
    file = pydicom.dcmread(image)
    x = grey(file.pixel_array.astype(float))
    labels = np.zeros(x.shape, np.uint8)
    if outer is not None:
        labels[inside(read_contour(outer), x.shape)] = MYOCARDIUM
    labels[inside(read_contour(inner), x.shape)] = LV
    return x, labels, (float(file.SliceThickness), *(float(mm) for mm in file.PixelSpacing))


def resample(patient, size=64, pixel=2.0):
    """The middle of a patient's slices in pixels of another size: images linearly, labels by the nearest.

    Parameters
    ----------
    patient : Patient
    size : int
        Rows and columns of the result.
    pixel : float
        Its pixels' size in mm. What lies outside the original image is 0.

    Returns
    -------
    Patient
    """
    from scipy.ndimage import affine_transform

    _, dy, dx = patient.spacing
    scale = np.array([1.0, pixel / dy, pixel / dx])

    def sample(volume, order):
        S, H, W = volume.shape
        offset = np.array([0, (H - 1) / 2, (W - 1) / 2]) - scale * np.array([0, (size - 1) / 2, (size - 1) / 2])
        return affine_transform(volume, scale, offset, output_shape=(S, size, size), order=order)

    volumes = (sample(v, order) for v, order in zip(patient[1:5], (1, 0, 1, 0), strict=True))
    return Patient(patient.name, *volumes, (patient.spacing[0], pixel, pixel))
