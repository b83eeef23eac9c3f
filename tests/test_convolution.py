"""Chapter 01: the library against torch, against the formula, and against the worked example."""

import numpy as np
import pytest
import torch

from course_lib import convolution as library

X = np.arange(1.0, 17.0).reshape(4, 4)
F = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0], [-1.0, -1.0, 0.0]])
PADDED = [[-3, -6, -5, -9], [0, 4, 8, -2], [8, 20, 24, 6], [33, 71, 77, 53]]
WITH_ONES = [[-3, -5, 2], [8, 24, 18], [25, 43, 16]]

DRAWS = range(25)


def shapes(draw):
    """Random sizes of a convolution: not square, with strides and paddings, the filter always fits."""
    rng = np.random.default_rng(draw)
    N, C, OC = (int(n) for n in rng.integers(1, 5, size=3))
    FH, FW = (int(n) for n in rng.integers(1, 5, size=2))
    H, W = (int(n) for n in rng.integers(4, 12, size=2))
    return rng, (N, C, H, W), (OC, C, FH, FW), int(rng.integers(1, 4)), int(rng.integers(0, 3))


def test_the_worked_example_has_the_numbers_of_the_text():
    np.testing.assert_array_equal(library.conv2d(X, F), [[4, 8], [20, 24]])
    np.testing.assert_array_equal(library.conv2d(X, F, padding=1), PADDED)
    with_ones = np.pad(np.pad(X, 1), ((0, 1), (0, 1)), constant_values=1)
    np.testing.assert_array_equal(library.conv2d(with_ones, F, stride=2), WITH_ONES)


@pytest.mark.parametrize("draw", DRAWS)
def test_conv2d_equals_torch(draw):
    rng, (_, _, H, W), (_, _, FH, FW), stride, padding = shapes(draw)
    x, f, bias = rng.normal(size=(H, W)), rng.normal(size=(FH, FW)), rng.normal()
    theirs = torch.nn.functional.conv2d(
        torch.from_numpy(x)[None, None],
        torch.from_numpy(f)[None, None],
        torch.tensor([bias], dtype=torch.float64),
        stride,
        padding,
    )
    np.testing.assert_allclose(library.conv2d(x, f, bias, stride, padding), theirs[0, 0].numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("draw", DRAWS)
def test_conv2d_nchw_equals_torch(draw):
    rng, x_shape, w_shape, stride, padding = shapes(draw)
    x, w, b = rng.normal(size=x_shape), rng.normal(size=w_shape), rng.normal(size=w_shape[0])
    theirs = torch.nn.functional.conv2d(*map(torch.from_numpy, (x, w, b)), stride, padding).numpy()
    np.testing.assert_allclose(library.conv2d_nchw(x, w, b, stride, padding), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("draw", DRAWS)
def test_the_three_ways_of_im2col_equal_torch_unfold(draw):
    rng, x_shape, (_, _, FH, FW), stride, padding = shapes(draw)
    x = rng.normal(size=x_shape)
    theirs = torch.nn.functional.unfold(torch.from_numpy(x), (FH, FW), stride=stride, padding=padding).numpy()
    for ours in (library.im2col, library.im2col_by_position, library.im2col_by_windows):
        np.testing.assert_array_equal(ours(x, (FH, FW), stride, padding), theirs)


@pytest.mark.parametrize("draw", DRAWS)
def test_output_size_counts_the_positions_at_which_the_filter_fits(draw):
    _, (_, _, H, _), (_, _, FH, _), stride, padding = shapes(draw)
    fitting = [top for top in range(0, H + 2 * padding, stride) if top + FH <= H + 2 * padding]
    assert library.output_size(H, FH, stride, padding) == len(fitting)


@pytest.mark.parametrize("draw", DRAWS)
def test_the_matrix_convolves_and_its_transpose_is_torchs_transposed_convolution(draw):
    rng, (_, _, H, W), (_, _, FH, FW), _, _ = shapes(draw)
    x, f = rng.normal(size=(H, W)), rng.normal(size=(FH, FW))
    M, y = library.conv_matrix(f, H, W), library.conv2d(x, f)
    np.testing.assert_allclose((M @ x.ravel()).reshape(y.shape), y, rtol=0, atol=1e-12)
    theirs = torch.nn.functional.conv_transpose2d(torch.from_numpy(y)[None, None], torch.from_numpy(f)[None, None])
    np.testing.assert_allclose((M.T @ y.ravel()).reshape(H, W), theirs[0, 0].numpy(), rtol=0, atol=1e-11)


@pytest.mark.parametrize("draw", DRAWS)
def test_receptive_field_is_the_reach_of_a_stack_of_layers(draw):
    """One output of a stack of all-ones filters depends on exactly so many pixels."""
    rng = np.random.default_rng(draw)
    layers = [(int(rng.integers(1, 5)), int(rng.integers(1, 3))) for _ in range(4)]
    pixels = torch.zeros(1, 1, 200, requires_grad=True)
    y = pixels
    for K, S in layers:
        y = torch.nn.functional.conv1d(y, torch.ones(1, 1, K), stride=S)
    y[0, 0, 0].backward()
    reached = pixels.grad[0, 0].nonzero()
    length = int(reached.max() - reached.min()) + 1
    # With gaps (a stride larger than the filter) the field is the span, first to last pixel.
    assert library.receptive_field(layers) == length
    assert library.receptive_field([(3, 1)] * 5) == 1 + 5 * 2


def test_pad2d_fills_the_border_and_keeps_the_dtype():
    padded = library.pad2d(np.ones((2, 3, 1, 2), np.uint8), 2, value=7)
    assert padded.shape == (2, 3, 5, 6)
    assert padded.dtype == np.uint8
    assert padded.sum() == 2 * 3 * (2 + 28 * 7)


def test_float32_stays_float32():
    x, w = np.ones((1, 2, 4, 4), np.float32), np.ones((3, 2, 3, 3), np.float32)
    assert library.conv2d_nchw(x, w, np.zeros(3, np.float32)).dtype == np.float32
    assert library.conv2d(x[0, 0], w[0, 0]).dtype == np.float32


def test_inputs_are_left_alone():
    x, w, b = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.ones(1)
    library.conv2d_nchw(x, w, b, padding=1)
    library.conv2d(x[0, 0], w[0, 0], 1.0, padding=1)
    assert (x == 1).all() and (w == 1).all() and (b == 1).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: library.output_size(4, 5), "length 5 does not fit an input of length 4"),
        (lambda: library.output_size(4, 2, stride=0), "stride is 0"),
        (lambda: library.output_size(4, 2, padding=-1), "padding is -1"),
        (lambda: library.conv2d(X, np.ones((6, 6)), padding=0), "does not fit"),
        (lambda: library.conv2d_nchw(np.ones((1, 3, 4, 4)), np.ones((2, 1, 3, 3))), "3 channels .* expect 1"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# ---- different right answers, for test_exercises.py ----


def size_by_counting(size, filter_size, stride=1, padding=0):
    return len(range(0, size + 2 * padding - filter_size + 1, stride))


def size_by_floor(size, filter_size, stride=1, padding=0):
    return int(np.floor((size + 2 * padding - filter_size) / stride)) + 1


def conv_by_loops(x, f, bias=0.0, stride=1, padding=0):
    H, W = x.shape
    FH, FW = f.shape
    OH, OW = (H + 2 * padding - FH) // stride + 1, (W + 2 * padding - FW) // stride + 1
    y = np.zeros((OH, OW))
    for i in range(OH):
        for j in range(OW):
            total = bias
            for p in range(FH):
                for q in range(FW):
                    r, c = i * stride + p - padding, j * stride + q - padding
                    if 0 <= r < H and 0 <= c < W:
                        total += x[r, c] * f[p, q]
            y[i, j] = total
    return y


def conv_by_windows(x, f, bias=0.0, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, padding), f.shape)[::stride, ::stride]
    return np.tensordot(windows, f, axes=2) + bias


def conv_by_torch(x, f, bias=0.0, stride=1, padding=0):
    x, f = torch.tensor(x, dtype=torch.float64), torch.tensor(f)
    return torch.nn.functional.conv2d(x[None, None], f[None, None], stride=stride, padding=padding)[0, 0] + bias


def pad_by_numpy(x, padding, value=0.0):
    width = [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2
    return np.pad(x, width, constant_values=np.asarray(value).astype(x.dtype))


def pad_by_stacking(x, padding, value=0.0):
    rows = np.full((*x.shape[:-2], padding, x.shape[-1]), value, dtype=x.dtype)
    x = np.concatenate([rows, x, rows], axis=-2)
    columns = np.full((*x.shape[:-1], padding), value, dtype=x.dtype)
    return np.concatenate([columns, x, columns], axis=-1)


def nchw_by_einsum(x, weight, bias=None, stride=1, padding=0):
    x = pad_by_numpy(x, padding)
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("ncijpq,ocpq->noij", windows, weight)
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


def nchw_by_single_images(x, weight, bias=None, stride=1, padding=0):
    bias = np.zeros(len(weight)) if bias is None else bias
    return np.array(
        [
            [
                sum(conv_by_loops(channel, f, 0.0, stride, padding) for channel, f in zip(image, w, strict=True)) + b
                for w, b in zip(weight, bias, strict=True)
            ]
            for image in x
        ]
    )


def matrix_by_impulses(f, H, W):
    """Column k is what the convolution makes of an image with a single 1 at pixel k."""
    eye = np.eye(H * W).reshape(H * W, H, W)
    return np.stack([conv_by_loops(impulse, f).ravel() for impulse in eye], axis=1)


def matrix_by_offsets(f, H, W):
    FH, FW = f.shape
    OH, OW = H - FH + 1, W - FW + 1
    M = np.zeros((OH * OW, H * W))
    for row in range(OH * OW):
        i, j = divmod(row, OW)
        for p in range(FH):
            start = (i + p) * W + j
            M[row, start : start + FW] = f[p]
    return M


def field_backwards(layers):
    """From the output down: one number needs (r - 1) * S + K numbers of the layer below."""
    r = 1
    for K, S in reversed(layers):
        r = (r - 1) * S + K
    return r


def field_by_formula(layers):
    strides = [S for _, S in layers]
    return 1 + sum((K - 1) * int(np.prod(strides[:m])) for m, (K, _) in enumerate(layers))


RIGHT = {
    "output_size": [size_by_counting, size_by_floor],
    "conv2d": [conv_by_loops, conv_by_windows, conv_by_torch],
    "pad2d": [pad_by_numpy, pad_by_stacking],
    "conv2d_strided": [conv_by_loops, conv_by_windows, conv_by_torch],
    "im2col": [library.im2col_by_position, library.im2col_by_windows],
    "conv2d_nchw": [nchw_by_einsum, nchw_by_single_images],
    "conv_matrix": [matrix_by_impulses, matrix_by_offsets],
    "receptive_field": [field_backwards, field_by_formula],
}
EQUIVALENT = {
    "conv2d_nchw": {"-1  ->  -2": "reshape takes any one negative length as the unknown one"},
}
