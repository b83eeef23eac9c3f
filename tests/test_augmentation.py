"""Chapter 06: the transforms against plain loops, NumPy's own turns and each other in four backends."""

import subprocess
import sys

import numpy as np
import pytest

from course_lib import augmentation, datasets
from course_lib.augmentation import (
    augment,
    bilinear,
    brightness,
    cutout,
    flip,
    mixup,
    pixels,
    rotate,
    rotation,
    shear,
    shift,
    warp,
    zoom,
)

# ---- right answers that are written differently ----------------------------------------------------------------------


def flip_by_loop(x, which):
    y = x.copy()
    for n in range(len(x)):
        if which[n]:
            y[n] = np.flip(y[n], axis=2)
    return y


def flip_by_index(x, which):
    y = x.copy()
    y[which] = y[which][:, :, :, ::-1]
    return y


def shift_by_slices(x, dy, dx, fill=0):
    H, W = x.shape[2:]
    y = np.full_like(x, fill)
    for n, (a, b) in enumerate(zip(dy, dx, strict=True)):
        rows = slice(max(a, 0), max(H + min(a, 0), 0)), slice(max(-a, 0), max(H - max(a, 0), 0))
        cols = slice(max(b, 0), max(W + min(b, 0), 0)), slice(max(-b, 0), max(W - max(b, 0), 0))
        if abs(a) < H and abs(b) < W:
            y[n][:, rows[0], cols[0]] = x[n][:, rows[1], cols[1]]
    return y


def shift_by_pixel(x, dy, dx, fill=0):
    N, C, H, W = x.shape
    y = np.full_like(x, fill)
    for n, i, j in np.ndindex(N, H, W):
        if 0 <= i - dy[n] < H and 0 <= j - dx[n] < W:
            y[n, :, i, j] = x[n, :, i - dy[n], j - dx[n]]
    return y


def brightness_by_loop(x, gain):
    white = 255 if x.dtype == np.uint8 else 1
    y = np.empty_like(x)
    for n in range(len(x)):
        z = np.minimum(x[n].astype(float) * gain[n], white)
        y[n] = np.round(z) if white == 255 else z
    return y


def brightness_by_where(x, gain):
    z = np.einsum("nchw,n->nchw", x.astype(np.float64), gain)
    return np.where(z > 255, 255, np.rint(z)).astype(np.uint8) if x.dtype == np.uint8 else np.where(z > 1, 1.0, z)


def bilinear_by_pixel(x, rows, cols, fill=0):
    N, C, H, W = x.shape
    y = np.zeros((N, C, *rows.shape[1:]))
    for n, a, b in np.ndindex(*rows.shape):
        for i in range(int(np.floor(rows[n, a, b])), int(np.floor(rows[n, a, b])) + 2):
            for j in range(int(np.floor(cols[n, a, b])), int(np.floor(cols[n, a, b])) + 2):
                weight = (1 - abs(rows[n, a, b] - i)) * (1 - abs(cols[n, a, b] - j))
                y[n, :, a, b] += weight * (x[n, :, i, j] if 0 <= i < H and 0 <= j < W else fill)
    return y


def bilinear_with_a_border(x, rows, cols, fill=0):
    """Pad with `fill` by two pixels, pull far positions in, and take the four neighbours."""
    N, C, H, W = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=fill)
    r, c = np.clip(rows, -1, H) + 2, np.clip(cols, -1, W) + 2
    i, j, n = np.floor(r).astype(int), np.floor(c).astype(int), np.arange(N)[:, None, None]
    s, t = (r - i)[..., None], (c - j)[..., None]
    y = (1 - s) * (1 - t) * padded[n, :, i, j] + (1 - s) * t * padded[n, :, i, j + 1]
    return (y + s * (1 - t) * padded[n, :, i + 1, j] + s * t * padded[n, :, i + 1, j + 1]).transpose(0, 3, 1, 2)


def warp_by_image(x, matrix, offset=None, fill=0):
    N, C, H, W = x.shape
    i, j = np.mgrid[:H, :W]
    out = []
    for n in range(N):
        b = (0, 0) if offset is None else offset[n]
        q = np.array([i - (H - 1) / 2 - b[0], j - (W - 1) / 2 - b[1]]).reshape(2, -1)
        p = np.linalg.solve(matrix[n], q).reshape(2, 1, H, W)
        out.append(bilinear(x[n : n + 1], p[0] + (H - 1) / 2, p[1] + (W - 1) / 2, fill)[0])
    return np.stack(out)


def warp_with_scipy(x, matrix, offset=None, fill=0):
    """scipy.ndimage also asks where each pixel comes from; a border of `fill` makes its edges as ours."""
    from scipy.ndimage import affine_transform

    H, W = x.shape[2:]
    out, room = np.empty_like(x), 12
    centre = np.array([(H - 1) / 2, (W - 1) / 2])
    for n, c in np.ndindex(*x.shape[:2]):
        back = np.linalg.inv(matrix[n])
        b = np.zeros(2) if offset is None else offset[n]
        padded = np.pad(x[n, c], room, constant_values=fill)
        start = centre - back @ (centre + b) + room - back @ np.array([room, room]) + back @ np.array([room, room])
        out[n, c] = affine_transform(padded, back, start, output_shape=(H, W), order=1, cval=fill)
    return out


def rotate_by_image(x, angle, fill=0):
    A = np.array([[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in angle])
    return warp_by_image(x, A, None, fill)


def rotate_complex(x, angle, fill=0):
    """A point (row, column) as the number row + i column: a turn is a product."""
    N, C, H, W = x.shape
    i, j = np.mgrid[:H, :W]
    z = (i - (H - 1) / 2) + 1j * (j - (W - 1) / 2)
    p = np.exp(-1j * angle)[:, None, None] * z
    return bilinear(x, p.real + (H - 1) / 2, p.imag + (W - 1) / 2, fill)


def zoom_by_position(x, factor, fill=0):
    N, C, H, W = x.shape
    i, j = np.mgrid[:H, :W]
    z = factor[:, None, None]
    return bilinear(x, (i - (H - 1) / 2) / z + (H - 1) / 2, (j - (W - 1) / 2) / z + (W - 1) / 2, fill)


def zoom_by_image(x, factor, fill=0):
    return warp_by_image(x, np.stack([np.diag([z, z]) for z in factor]), None, fill)


def shear_by_position(x, slant, fill=0):
    N, C, H, W = x.shape
    i, j = np.broadcast_arrays(*np.mgrid[:H, :W].reshape(2, 1, H, W), np.zeros((N, H, W)))[:2]
    return bilinear(x, i, j - slant[:, None, None] * (i - (H - 1) / 2), fill)


def shear_by_image(x, slant, fill=0):
    return warp_by_image(x, np.array([[[1, 0], [m, 1]] for m in slant]), None, fill)


def cutout_by_slices(x, cy, cx, size, fill=0):
    y = x.copy()
    for n in range(len(x)):
        top, left = cy[n] - size // 2, cx[n] - size // 2
        y[n, :, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = fill
    return y


def cutout_by_pixel(x, cy, cx, size, fill=0):
    y = x.copy()
    for n, a, b in np.ndindex(len(x), size, size):
        i, j = cy[n] - size // 2 + a, cx[n] - size // 2 + b
        if 0 <= i < x.shape[2] and 0 <= j < x.shape[3]:
            y[n, :, i, j] = fill
    return y


def mixup_by_loop(x, y, share, partner):
    pairs = [(s, n, m) for n, (s, m) in enumerate(zip(share, partner, strict=True))]
    return [np.stack([s * a[n] + (1 - s) * a[m] for s, n, m in pairs]) for a in (x, y)]


def mixup_by_matrix(x, y, share, partner):
    M = np.diag(share) + (1 - share)[:, None] * np.eye(len(x))[partner]
    return np.einsum("nm,mchw->nchw", M, x), M @ y


def augment_by_matrices(x, u, angle=np.pi, zoom=1.1, shift=0.05, flip=0.5, gain=0.2, fill=0, training=True):
    if not training:
        return x.copy()
    H, W = x.shape[2:]
    out = []
    for image, (a, z, r, c, m, g) in zip(x, u, strict=True):
        a = angle * (2 * a - 1)
        R = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        A = np.exp(np.log(zoom) * (2 * z - 1)) * R @ np.diag([1, -1 if m < flip else 1])
        b = np.array([[shift * (2 * r - 1) * H, shift * (2 * c - 1) * W]])
        out.append(np.clip(warp_by_image(image[None], A[None], b, fill)[0] * (1 + gain * (2 * g - 1)), 0, 1))
    return np.stack(out)


def augment_mirrored_first(x, u, angle=np.pi, zoom=1.1, shift=0.05, flip=0.5, gain=0.2, fill=0, training=True):
    """The mirror as an operation of its own: exact, so it may come before the one interpolation."""
    if not training:
        return x
    x = flip_by_index(x, u[:, 4] < flip)
    A = rotation((2 * u[:, 0] - 1) * angle) * (zoom ** (2 * u[:, 1] - 1)).reshape(-1, 1, 1)
    b = (2 * u[:, 2:4] - 1) * shift * np.array(x.shape[2:])
    return brightness_by_where(warp(x, A, b, fill), 1 + (2 * u[:, 5] - 1) * gain)


RIGHT = {
    "flip": [flip_by_loop, flip_by_index],
    "shift": [shift_by_slices, shift_by_pixel],
    "brightness": [brightness_by_loop, brightness_by_where],
    "bilinear": [bilinear_by_pixel, bilinear_with_a_border],
    "warp": [warp_by_image, warp_with_scipy],
    "rotate": [rotate_by_image, rotate_complex],
    "zoom": [zoom_by_position, zoom_by_image],
    "shear": [shear_by_position, shear_by_image],
    "cutout": [cutout_by_slices, cutout_by_pixel],
    "mixup": [mixup_by_loop, mixup_by_matrix],
    "augment": [augment_by_matrices, augment_mirrored_first],
}

# Mutants that no input can tell from the original.
EQUIVALENT = {
    "cutout": {"size // 2  ->  size / 2": "an odd square then begins half a pixel higher: no whole pixel is gained"},
}

# ---- the library -----------------------------------------------------------------------------------------------------


def batch(rng):
    """Images of random number, channels and size, never square."""
    N, C, H = (int(n) for n in rng.integers(2, 7, size=3))
    return rng.random((N, C, H + 3, H + 4 + int(rng.integers(4)))).astype(np.float32)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarter_turns_are_numpys(rng, quarter):
    x = rng.random((2, 3, 6, 6))
    np.testing.assert_allclose(rotate(x, np.full(2, quarter * np.pi / 2)), np.rot90(x, quarter, (2, 3)), atol=1e-12)


def test_a_whole_turn_and_a_zoom_by_one_change_nothing(rng):
    x = rng.random((2, 3, 5, 8))
    np.testing.assert_allclose(rotate(x, np.full(2, 2 * np.pi), fill=9.0), x, atol=1e-12)
    np.testing.assert_allclose(zoom(x, np.ones(2), fill=9.0), x, atol=1e-12)
    np.testing.assert_allclose(shear(x, np.zeros(2), fill=9.0), x, atol=1e-12)


def test_bilinear_reproduces_planes_exactly(rng):
    """A plane a + b row + c column is what bilinear interpolation cannot get wrong, inside the image."""
    a, b, c = rng.random(3)
    i, j = np.mgrid[:6, :9]
    rows, cols = rng.uniform(0, 5, (1, 4, 4)), rng.uniform(0, 8, (1, 4, 4))
    np.testing.assert_allclose(bilinear((a + b * i + c * j)[None, None], rows, cols)[:, 0], a + b * rows + c * cols)


def test_a_warp_by_whole_pixels_is_a_shift(rng):
    x = batch(rng)
    dy, dx = rng.integers(-3, 4, len(x)), rng.integers(-3, 4, len(x))
    moved = warp(x, np.broadcast_to(np.eye(2), (len(x), 2, 2)), np.stack([dy, dx], 1), fill=0.5)
    np.testing.assert_allclose(moved, shift(x, dy, dx, fill=0.5), atol=1e-6)


def test_inside_the_image_two_warps_are_nearly_the_warp_of_the_product(rng):
    """Nearly: every interpolation blurs, which is why the pipeline does a single one."""
    i, j = np.mgrid[:33, :33] / 16 - 1
    x = np.exp(-4 * (i**2 + (j - 0.2) ** 2))[None, None]
    A, B = rotation(np.array([0.4])), 1.1 * np.eye(2)[None]
    once, twice = warp(x, A @ B), warp(warp(x, B), A)
    assert 1e-4 < np.abs(once - twice)[..., 8:-8, 8:-8].max() < 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_keep_their_dtype(rng, dtype):
    x, ones = rng.random((2, 3, 5, 6)).astype(dtype), np.ones(2)
    for y in (
        flip(x, ones > 0), shift(x, np.array([1, 0]), np.array([0, 1])), brightness(x, ones), rotate(x, ones),
        zoom(x, ones), shear(x, ones), cutout(x, np.array([1, 1]), np.array([2, 2]), 2),
        mixup(x, np.eye(2, dtype=dtype), ones, np.array([1, 0]))[0], augment(x, rng.random((2, 6))),
    ):  # fmt: skip
        assert y.dtype == dtype and y.shape == x.shape


def test_no_transform_writes_into_its_images(rng):
    x = rng.random((3, 2, 6, 7))
    x.setflags(write=False)
    n, ones = np.array([1, 0, 2]), np.ones(3)
    flip(x, ones > 0), shift(x, n, n), brightness(x, ones), rotate(x, ones), zoom(x, ones), shear(x, ones)
    cutout(x, n, n, 3), mixup(x, np.eye(3), ones / 2, n), augment(x, rng.random((3, 6)))


def test_every_image_is_augmented_by_its_own_numbers(rng):
    """The result for one image does not depend on what else is in the batch."""
    x, u = rng.random((4, 3, 7, 6)), rng.random((4, 6))
    together = augment(x, u, fill=0.3)
    for n in range(4):
        np.testing.assert_allclose(together[n], augment(x[n : n + 1], u[n : n + 1], fill=0.3)[0], atol=1e-12)


def test_labels_of_mixed_images_stay_probabilities(rng):
    y = np.eye(5)[rng.integers(0, 5, 8)]
    _, mixed = mixup(rng.random((8, 1, 2, 2)), y, rng.random(8), rng.permutation(8))
    np.testing.assert_allclose(mixed.sum(axis=1), 1)
    assert (mixed >= 0).all()


def test_pixels_outside_are_the_fill(rng):
    x = rng.random((1, 2, 3, 4))
    found = pixels(x, np.array([[[0, -1, 3]]]), np.array([[[0, 1, 1]]]), fill=0.5)
    np.testing.assert_array_equal(found[0, :, 0], np.stack([x[0, :, 0, 0], [0.5, 0.5], [0.5, 0.5]], axis=1))


def test_matrices_that_do_not_fit_or_flatten_an_image_are_refused():
    with pytest.raises(ValueError, match="determinant 0"):
        zoom(np.zeros((1, 1, 3, 3)), np.zeros(1))
    with pytest.raises(ValueError, match=r"\(2, 2, 2\), not \(2, 2\)"):
        warp(np.zeros((2, 1, 3, 3)), np.eye(2))


# ---- the same in four backends ---------------------------------------------------------------------------------------


def calls(rng, x):
    """Each transform with random parameters: (name, positional arguments, keyword arguments)."""
    N, C, H, W = x.shape
    numbers = lambda low, high: rng.uniform(low, high, N).astype(np.float32)  # noqa: E731
    whole = lambda low, high: rng.integers(low, high, N)  # noqa: E731
    A = (np.eye(2) + rng.uniform(-0.4, 0.4, (N, 2, 2))).astype(np.float32)
    labels = np.eye(4, dtype=np.float32)[rng.integers(0, 4, N)]
    yield "flip", (x, numbers(0, 1) < 0.5), {}
    yield "shift", (x, whole(-4, 5), whole(-4, 5)), {"fill": 0.4}
    yield "brightness", (x, numbers(0.5, 2)), {}
    yield "warp", (x, A, rng.uniform(-2, 2, (N, 2)).astype(np.float32)), {"fill": 0.3}
    yield "rotate", (x, numbers(-3, 3)), {"fill": 0.6}
    yield "zoom", (x, numbers(0.6, 1.6)), {"fill": 0.6}
    yield "shear", (x, numbers(-0.6, 0.6)), {"fill": 0.1}
    yield "cutout", (x, whole(0, H), whole(0, W), 3), {"fill": 0.5}
    yield "mixup", (x, labels, numbers(0, 1), rng.permutation(N)), {}
    yield "augment", (x, rng.random((N, 6)).astype(np.float32)), {"fill": 0.5}
    yield "augment", (x, rng.random((N, 6)).astype(np.float32)), {"training": False}


TOLERANCE = 5e-6  # of images between 0 and 1, in float32


@pytest.mark.parametrize("trial", range(4))
def test_pytorch_does_the_same(rng, trial):
    torch = pytest.importorskip("torch")
    from course_lib import augmentation_torch

    for name, args, options in calls(rng, batch(rng)):
        right = getattr(augmentation, name)(*args, **options)
        tensors = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in args]
        found = getattr(augmentation_torch, name)(*tensors, **options)
        pairs = zip(found, right, strict=True) if name == "mixup" else [(found, right)]
        for a, b in pairs:
            np.testing.assert_allclose(a.numpy(), b, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("trial", range(4))
def test_keras_does_the_same_with_channels_last(rng, trial):
    pytest.importorskip("keras")
    from course_lib import augmentation_keras

    last = lambda a: np.moveaxis(np.asarray(a), 1, -1)  # noqa: E731
    for name, args, options in calls(rng, batch(rng)):
        right = getattr(augmentation, name)(*args, **options)
        found = getattr(augmentation_keras, name)(last(args[0]), *args[1:], **options)
        if name == "mixup":
            np.testing.assert_allclose(found[1], right[1], atol=TOLERANCE)
            found, right = found[0], right[0]
        np.testing.assert_allclose(np.asarray(found), last(right), atol=TOLERANCE, err_msg=name)


def test_whole_numbers_are_brightened_alike_everywhere(rng):
    torch = pytest.importorskip("torch")
    pytest.importorskip("keras")
    from course_lib import augmentation_keras, augmentation_torch

    x, gain = rng.integers(0, 256, (3, 2, 5, 6)).astype(np.uint8), rng.uniform(0.5, 2, 3).astype(np.float32)
    right = brightness(x, gain)
    assert (augmentation_torch.brightness(torch.from_numpy(x), torch.from_numpy(gain)).numpy() == right).all()
    found = np.asarray(augmentation_keras.brightness(np.moveaxis(x, 1, -1), gain))
    assert (np.moveaxis(found, -1, 1) == right).all()


class OnlyOwn:
    """An array module that answers to NumPy's names and refuses NumPy's own arrays: what CuPy is like.

    Where there is no GPU, code that mixes the two up is found all the same.
    """

    class array(np.ndarray):
        def __array_function__(self, function, types, args, kwargs):
            raise TypeError(f"numpy.{function.__name__} was given an array of the device")

    def __getattr__(self, name):
        found = getattr(np, name)
        if name == "linalg":
            return OnlyOwn._Linalg()
        return OnlyOwn._wrap(found) if callable(found) and not isinstance(found, type) else found

    class _Linalg:
        def __getattr__(self, name):
            return OnlyOwn._wrap(getattr(np.linalg, name))

    @staticmethod
    def _wrap(function):
        def down(value):
            if isinstance(value, OnlyOwn.array):
                return value.view(np.ndarray)
            if type(value) is np.ndarray and value.ndim:
                raise TypeError("an array of the host was given to a function of the device")
            return type(value)(map(down, value)) if isinstance(value, (list, tuple)) else value

        def up(value):
            if isinstance(value, np.ndarray):
                return value.view(OnlyOwn.array)
            return type(value)(map(up, value)) if isinstance(value, (list, tuple)) else value

        return lambda *args, **kwargs: up(function(*map(down, args), **{k: down(v) for k, v in kwargs.items()}))


def test_code_for_the_device_never_mixes_host_and_device_arrays(rng):
    x = batch(rng)
    device = lambda a: a.view(OnlyOwn.array) if isinstance(a, np.ndarray) else a  # noqa: E731
    for name, args, options in calls(rng, x):
        right = getattr(augmentation, name)(*args, **options)
        found = getattr(augmentation, name)(*map(device, args), **options, xp=OnlyOwn())
        for a, b in zip(found, right, strict=True) if name == "mixup" else [(found, right)]:
            assert isinstance(a, OnlyOwn.array), name
            np.testing.assert_array_equal(a.view(np.ndarray), b, err_msg=name)


def test_cupy_does_the_same_where_there_is_a_gpu(rng):
    cupy = pytest.importorskip("cupy")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        pytest.skip("no GPU")
    device = lambda a: cupy.asarray(a) if isinstance(a, np.ndarray) else a  # noqa: E731
    for name, args, options in calls(rng, batch(rng)):
        right = getattr(augmentation, name)(*args, **options)
        found = getattr(augmentation, name)(*map(device, args), **options, xp=cupy)
        for a, b in zip(found, right, strict=True) if name == "mixup" else [(found, right)]:
            np.testing.assert_allclose(a.get(), b, atol=TOLERANCE, err_msg=name)


# ---- the same network in three frameworks ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return datasets.shapes(n_train=96, n_validation=32, n_test=0)


def learners(limits):
    from course_lib.augmentation_keras import KerasLearner
    from course_lib.augmentation_torch import TorchLearner
    from course_lib.augmentation_training import NumPyLearner, initial

    return [learner(initial(3), limits) for learner in (NumPyLearner, TorchLearner, KerasLearner)]


def test_the_three_networks_give_the_same_scores_from_the_same_weights(small):
    from course_lib.augmentation_training import LIMITS, pixels

    x, _ = pixels(small.validation)
    numpy, torch, keras = (learner.scores(x) for learner in learners(LIMITS))
    np.testing.assert_allclose(torch, numpy, atol=1e-4)
    np.testing.assert_allclose(keras, numpy, atol=1e-4)


@pytest.mark.parametrize("augmented", [False, True])
def test_the_three_frameworks_take_the_same_steps(small, augmented):
    from course_lib.augmentation_training import LIMITS, train

    numpy, torch, keras = (train(learner, small, epochs=2) for learner in learners(LIMITS if augmented else None))
    np.testing.assert_allclose(torch["loss"], numpy["loss"], rtol=0.01)
    np.testing.assert_allclose(keras["loss"], numpy["loss"], rtol=0.01)


def test_scores_are_those_of_the_images_as_they_are(small):
    """Nothing random happens when the network is asked: the same images give the same scores."""
    from course_lib.augmentation_training import LIMITS, pixels

    x, _ = pixels(small.validation)
    for learner in learners(LIMITS):
        np.testing.assert_array_equal(learner.scores(x), learner.scores(x))


def test_the_library_loads_no_framework():
    program = "import sys, course_lib.augmentation; print({'torch', 'tensorflow', 'keras', 'cupy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "set()"


def test_tensorflow_starts_without_a_word():
    program = "from course_lib.frameworks import keras, tf; tf.constant(1.0); keras.layers.Dense(2)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_keras_loads_no_scikit_learn_which_can_be_imported_before_and_after():
    after = "import sys, course_lib.frameworks; print('sklearn' in sys.modules); from sklearn import datasets"
    before = "import sys, sklearn, course_lib.frameworks; print(sys.modules['sklearn'] is sklearn)"
    for program, says in ((after, "False"), (before, "True")):
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (run.returncode, run.stdout.strip()) == (0, says)
