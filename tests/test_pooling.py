"""Chapter 02: the library against torch, against plain loops, and against the worked example."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_lib import explore, tables
from course_lib import pooling as library
from course_lib.convolution import conv2d_nchw

X = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8], [16, 15, 14, 13], [12, 11, 10, 9]])[None, None]

DRAWS = range(25)
same = {"rtol": 0, "atol": 1e-12}


def shapes(draw):
    """Random sizes of a pooling: not square, overlapping and gapped windows, the padding at most half a window."""
    rng = np.random.default_rng(draw)
    N, C = (int(n) for n in rng.integers(1, 4, size=2))
    size = int(rng.integers(1, 5))
    H, W = (int(n) for n in rng.integers(4, 12, size=2))
    stride, padding = int(rng.integers(1, 5)), int(rng.integers(0, size // 2 + 1))
    return rng.normal(size=(N, C, H, W)) - 0.5, size, stride, padding


def test_the_worked_example_has_the_numbers_of_the_text():
    np.testing.assert_array_equal(library.max_pool2d(X, 2), [[[[6, 8], [16, 14]]]])
    np.testing.assert_array_equal(library.avg_pool2d(X, 2), [[[[3.5, 5.5], [13.5, 11.5]]]])
    np.testing.assert_array_equal(library.global_avg_pool(X), [[8.5]])
    y, indices = library.max_pool2d_with_indices(X, 2)
    np.testing.assert_array_equal(indices, [[[[5, 7], [8, 10]]]])
    unpooled = [[0, 0, 0, 0], [0, 6, 0, 8], [16, 0, 14, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(library.max_unpool2d(y, indices, (4, 4)), [[unpooled]])
    np.testing.assert_array_equal(library.spatial_pyramid_pool(X, (1, 2)), [[16, 6, 8, 16, 14]])


@pytest.mark.parametrize("draw", DRAWS)
def test_max_pooling_and_its_indices_equal_torch(draw):
    x, size, stride, padding = shapes(draw)
    theirs, their_indices = F.max_pool2d(torch.from_numpy(x), size, stride, padding, return_indices=True)
    y, indices = library.max_pool2d_with_indices(x, size, stride, padding)
    np.testing.assert_allclose(y, theirs.numpy(), **same)
    np.testing.assert_array_equal(indices, their_indices.numpy())
    np.testing.assert_allclose(library.max_pool2d(x, size, stride, padding), theirs.numpy(), **same)


@pytest.mark.parametrize("draw", DRAWS)
def test_ties_go_to_the_first_in_reading_order_as_in_torch(draw):
    x, size, stride, padding = shapes(draw)
    x = np.round(x)
    _, theirs = F.max_pool2d(torch.from_numpy(x), size, stride, padding, return_indices=True)
    np.testing.assert_array_equal(library.max_pool2d_with_indices(x, size, stride, padding)[1], theirs.numpy())


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize("draw", DRAWS)
def test_average_pooling_equals_torch_with_either_divisor(draw, count_padding):
    x, size, stride, padding = shapes(draw)
    theirs = F.avg_pool2d(torch.from_numpy(x), size, stride, padding, count_include_pad=count_padding).numpy()
    np.testing.assert_allclose(library.avg_pool2d(x, size, stride, padding, count_padding), theirs, **same)


@pytest.mark.parametrize("draw", DRAWS)
def test_unpooling_equals_torch(draw):
    x, size, stride, padding = shapes(draw)
    y, indices = library.max_pool2d_with_indices(x, size, stride, padding)
    theirs = F.max_unpool2d(
        torch.from_numpy(y), torch.from_numpy(indices), size, stride, padding, output_size=x.shape[2:]
    ) if stride <= size else None  # fmt: skip
    ours = library.max_unpool2d(y, indices, x.shape[2:])
    if theirs is not None:
        np.testing.assert_allclose(ours, theirs.numpy(), **same)
    kept = ours != 0
    np.testing.assert_array_equal(ours[kept], x[kept])  # what is put back is what stood there


@pytest.mark.parametrize("draw", DRAWS)
def test_the_pyramid_equals_torchs_adaptive_pooling(draw):
    x, *_ = shapes(draw)
    levels = (1, 2, 3, 4)
    theirs = [F.adaptive_max_pool2d(torch.from_numpy(x), n).flatten(1).numpy() for n in levels]
    np.testing.assert_allclose(library.spatial_pyramid_pool(x, levels), np.concatenate(theirs, axis=1), **same)


@pytest.mark.parametrize("draw", DRAWS)
def test_global_average_pooling_equals_torch(draw):
    x, *_ = shapes(draw)
    theirs = F.adaptive_avg_pool2d(torch.from_numpy(x), 1).flatten(1).numpy()
    np.testing.assert_allclose(library.global_avg_pool(x), theirs, **same)


@pytest.mark.parametrize("draw", DRAWS)
def test_pooling_equals_plain_loops(draw):
    x, size, stride, padding = shapes(draw)
    np.testing.assert_allclose(
        library.max_pool2d(x, size, stride, padding), max_by_loops(x, size, stride, padding), **same
    )
    np.testing.assert_allclose(
        library.avg_pool2d(x, size, stride, padding), avg_by_loops(x, size, stride, padding), **same
    )


def test_max_pool_ignores_padding_when_all_inputs_are_negative():
    assert (library.max_pool2d(-X, 3, 1, padding=1) < 0).all()
    assert (library.max_pool2d((-X).astype(np.int16), 3, 1, padding=1) < 0).all()


def test_average_pooling_is_a_strided_convolution_of_each_channel(rng):
    x = rng.normal(size=(2, 3, 6, 8))
    weight = np.eye(3)[:, :, None, None] * np.full((2, 2), 1 / 4)  # (3, 3, 2, 2)
    np.testing.assert_allclose(library.avg_pool2d(x, 2), conv2d_nchw(x, weight, stride=2), **same)


def test_a_shift_by_the_stride_moves_the_pooled_image_by_one(rng):
    x = rng.normal(size=(1, 1, 8, 16))
    left, right = library.max_pool2d(x[..., :12], 4), library.max_pool2d(x[..., 4:], 4)
    np.testing.assert_array_equal(left[..., 1:], right[..., :-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_dtypes_are_kept_by_the_maximum_and_means_are_floating_point(dtype):
    x = np.arange(32).reshape(1, 2, 4, 4).astype(dtype)
    y, indices = library.max_pool2d_with_indices(x, 3, 2, padding=1)
    assert y.dtype == dtype
    assert library.max_pool2d(x, 3, 2, padding=1).dtype == dtype
    assert library.max_unpool2d(y, indices, (4, 4)).dtype == dtype
    assert library.spatial_pyramid_pool(x, (1, 2)).dtype == dtype
    assert np.issubdtype(indices.dtype, np.integer)
    mean_dtype = np.result_type(dtype, np.float32)
    assert library.avg_pool2d(x, 2).dtype == mean_dtype
    assert library.global_avg_pool(x).dtype == mean_dtype


def test_nan_reaches_the_result():
    x = X.copy()
    x[0, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(np.isnan(library.max_pool2d(x, 2)), [[[[True, False], [False, False]]]])


def test_inputs_are_left_alone(rng):
    x = rng.normal(size=(1, 2, 4, 5))
    before = x.copy()
    y, indices = library.max_pool2d_with_indices(x, 2, padding=1)
    library.max_pool2d(x, 3, 1, 1), library.avg_pool2d(x, 2), library.spatial_pyramid_pool(x)
    library.max_unpool2d(y, indices, (4, 5))[:] = 0
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: library.max_pool2d(X[0, 0], 2), r"shape \(4, 4\).* four axes"),
        (lambda: library.max_pool2d(X, 5), "length 5 does not fit an input of length 4"),
        (lambda: library.max_pool2d(X, 2, stride=0), "stride is 0"),
        (lambda: library.avg_pool2d(X, 2, padding=2), "padding 2 is more than half of the window's side 2.*at most 1"),
        (lambda: library.max_unpool2d(X, np.zeros((1, 1, 2, 2), int), (8, 8)), "one index for each maximum"),
        (lambda: library.max_unpool2d(X, np.full(X.shape, 64), (8, 8)), "64 to 64, but an image of 8×8 .* 0 to 63"),
        (lambda: library.spatial_pyramid_pool(X, (1, 0)), "at least 1 bin"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_the_widget_frames_the_window_and_states_the_result():
    step = explore.pool(max_by_loops, X[0, 0])
    step.controls["position"].value = 2
    assert "y[1, 0] = max(16, 15, 12, 11) = <b>16</b>" in step.picture.value
    step.controls["padding"].value = 1
    step.controls["position"].value = 0
    assert f"max({tables.number(-np.inf)}," in step.picture.value
    mean = explore.pool(library.avg_pool2d, X[0, 0], "mean")
    assert "y[0, 0] = mean(1, 2, 5, 6) = <b>3.5</b>" in mean.picture.value
    mean.controls["padding"].value = 1
    assert "y[0, 0] = mean(1) = <b>1</b>" in mean.picture.value  # the border does not count


def test_the_widget_takes_a_function_without_stride_and_shows_its_error():
    def side_by_side(x, size):
        return library.max_pool2d(x, size)

    assert set(explore.pool(side_by_side, X[0, 0]).controls) == {"position", "size"}

    def broken(x, size):
        raise TypeError("not yet")

    assert "TypeError: not yet" in explore.pool(broken, X[0, 0]).picture.value
    assert set(explore.pool(library.max_pool2d, X[0, 0], knobs=False).controls) == {"position", "size"}


# ---- different right answers, for test_exercises.py ----


def max_by_loops(x, size, stride=None, padding=0):
    stride = stride or size
    N, C, H, W = x.shape
    OH, OW = (H + 2 * padding - size) // stride + 1, (W + 2 * padding - size) // stride + 1
    y = np.zeros((N, C, OH, OW))
    for n, c, i, j in np.ndindex(y.shape):
        top, left = i * stride - padding, j * stride - padding
        y[n, c, i, j] = x[n, c, max(top, 0) : top + size, max(left, 0) : left + size].max()
    return y


def max_by_taps(x, size, stride=None, padding=0):
    stride = stride or size
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    OH, OW = (x.shape[2] - size) // stride + 1, (x.shape[3] - size) // stride + 1
    y = np.full((*x.shape[:2], OH, OW), -np.inf)
    for p in range(size):
        for q in range(size):
            np.maximum(y, x[:, :, p : p + OH * stride : stride, q : q + OW * stride : stride], out=y)
    return y


def max_by_reshape(x, size):
    N, C, H, W = x.shape
    OH, OW = H // size, W // size
    return x[:, :, : OH * size, : OW * size].reshape(N, C, OH, size, OW, size).max(axis=(3, 5))


def max_by_torch(x, size, stride=None, padding=0):
    return F.max_pool2d(torch.tensor(x), size, stride, padding)


def avg_by_loops(x, size, stride=None, padding=0, count_padding=False):
    stride = stride or size
    N, C, H, W = x.shape
    OH, OW = (H + 2 * padding - size) // stride + 1, (W + 2 * padding - size) // stride + 1
    y = np.zeros((N, C, OH, OW))
    for n, c, i, j in np.ndindex(y.shape):
        top, left = i * stride - padding, j * stride - padding
        seen = x[n, c, max(top, 0) : top + size, max(left, 0) : left + size]
        y[n, c, i, j] = seen.sum() / (size * size if count_padding else seen.size)
    return y


def avg_by_torch(x, size, stride=None, padding=0, count_padding=False):
    x = torch.tensor(x, dtype=torch.float64)
    return F.avg_pool2d(x, size, stride, padding, count_include_pad=count_padding)


def global_by_sum(x):
    return x.sum(axis=(2, 3)) / (x.shape[2] * x.shape[3])


def global_by_one_window(x):
    return x.reshape(x.shape[0], x.shape[1], -1).mean(axis=-1)


def indices_by_loops(x, size, stride=None, padding=0):
    stride = stride or size
    N, C, H, W = x.shape
    OH, OW = (H + 2 * padding - size) // stride + 1, (W + 2 * padding - size) // stride + 1
    y, indices = np.zeros((N, C, OH, OW)), np.zeros((N, C, OH, OW), int)
    for n, c, i, j in np.ndindex(y.shape):
        best = -np.inf
        for row in range(max(i * stride - padding, 0), min(i * stride - padding + size, H)):
            for column in range(max(j * stride - padding, 0), min(j * stride - padding + size, W)):
                if x[n, c, row, column] > best:
                    best = x[n, c, row, column]
                    indices[n, c, i, j] = row * W + column
        y[n, c, i, j] = best
    return y, indices


def indices_by_pooling_a_map(x, size, stride=None, padding=0):
    """Lay the same windows over an image that holds each pixel's own index."""
    N, C, H, W = x.shape
    places = np.broadcast_to(np.arange(H * W).reshape(H, W), x.shape)
    seen = library.windows(x, size, stride, padding, -np.inf)
    where = library.windows(places, size, stride, padding, -1)
    best = seen.reshape(*seen.shape[:4], -1).argmax(axis=-1)[..., None]
    return seen.max(axis=(4, 5)), np.take_along_axis(where.reshape(*where.shape[:4], -1), best, axis=-1)[..., 0]


def unpool_by_loops(y, indices, shape):
    x = np.zeros((*y.shape[:2], *shape))
    for n, c, i, j in np.ndindex(y.shape):
        row, column = divmod(int(indices[n, c, i, j]), shape[1])
        x[n, c, row, column] = y[n, c, i, j]
    return x


def unpool_by_fancy_indices(y, indices, shape):
    N, C = y.shape[:2]
    x = np.zeros((N * C, shape[0] * shape[1]))
    x[np.arange(N * C)[:, None], indices.reshape(N * C, -1)] = y.reshape(N * C, -1)
    return x.reshape(N, C, *shape)


def pyramid_by_torch(x, levels=(1, 2, 4)):
    return torch.cat([F.adaptive_max_pool2d(torch.tensor(x), n).flatten(1) for n in levels], dim=1)


def pyramid_by_masks(x, levels=(1, 2, 4)):
    """A pixel row r touches bin k when the intervals (r, r + 1) and (kH/n, (k+1)H/n) overlap."""
    N, C, H, W = x.shape
    result = []
    for n in levels:
        for c in range(C):
            for i in range(n):
                for j in range(n):
                    rows = [r for r in range(H) if (r + 1) * n > i * H and r * n < (i + 1) * H]
                    columns = [r for r in range(W) if (r + 1) * n > j * W and r * n < (j + 1) * W]
                    result.append(x[:, c][:, rows][:, :, columns].max(axis=(1, 2)))
    return np.stack(result, axis=1)


RIGHT = {
    "max_pool2d": [max_by_loops, max_by_reshape, max_by_taps],
    "max_pool2d_strided": [max_by_loops, max_by_taps, max_by_torch],
    "avg_pool2d": [avg_by_loops, avg_by_torch],
    "global_avg_pool": [global_by_sum, global_by_one_window],
    "max_pool2d_with_indices": [indices_by_loops, indices_by_pooling_a_map],
    "max_unpool2d": [unpool_by_loops, unpool_by_fancy_indices],
    "spatial_pyramid_pool": [pyramid_by_torch, pyramid_by_masks],
}
AXES = "a reduction over two axes does not depend on their order"
EQUIVALENT = {
    "max_pool2d": {"(4, 5)  ->  (5, 4)": AXES},
    "max_pool2d_strided": {"(4, 5)  ->  (5, 4)": AXES},
    "avg_pool2d": {"(4, 5)  ->  (5, 4)": AXES},
    "global_avg_pool": {"(2, 3)  ->  (3, 2)": AXES},
    "max_unpool2d": {"-1  ->  -2": "reshape takes any one negative length as the unknown one"},
    "spatial_pyramid_pool": {"(2, 3)  ->  (3, 2)": AXES},
}
