"""Chapter 02: what is checked of the pooling exercises."""

import numpy as np

from autograder.exercise import Written, case, exercise, only_exercises

X = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8], [16, 15, 14, 13], [12, 11, 10, 9]])[None, None]  # the worked example


# ---- 2.1 ----


@exercise(
    reference="course_lib.pooling:max_pool2d",
    points=3,
    hints=(
        "In the worked example, which rows and columns of X lie in the window of y[1, 0]? "
        "Which of these numbers come from the position, which from the size?",
        "The window at (i, j) is x[:, :, i*K : i*K + K, j*K : j*K + K], for all images and channels at once. "
        ".max(axis=(2, 3)) leaves one number for each image and channel.",
    ),
)
def max_pool2d(rng):
    """The largest number of each window, windows side by side."""
    yield case("one window", np.array([[[[1.0, 4.0], [3.0, 2.0]]]]), 2)
    yield case("the worked example", X, 2)
    yield case("only negative numbers", -X, 2)
    yield case("a wide image", rng.normal(size=(1, 1, 2, 6)), 2)
    yield case("a tall image", rng.normal(size=(1, 1, 6, 2)), 2)
    yield case("a window of three", rng.normal(size=(1, 1, 3, 9)), 3)
    yield case("rows and columns left over", rng.normal(size=(1, 1, 5, 7)), 2)
    yield case("three channels", rng.normal(size=(1, 3, 2, 4)), 2)
    yield case("a batch of two", rng.normal(size=(2, 2, 4, 7)), 3)


@max_pool2d.mistake("The window is averaged. Max pooling takes the largest number of it.")
def averaged(reference, x, size):
    K, (H, W) = size, x.shape[2:]
    OH, OW = H // K, W // K
    return x[:, :, : OH * K, : OW * K].reshape(*x.shape[:2], OH, K, OW, K).mean(axis=(3, 5))


@max_pool2d.mistake("Only the top-left number of each window is kept. Look at all K·K of them.")
def top_left_corner(reference, x, size):
    OH, OW = x.shape[2] // size, x.shape[3] // size
    return x[:, :, ::size, ::size][:, :, :OH, :OW]


@max_pool2d.mistake("Only the number in the middle of each window is kept. Look at all K·K of them.")
def centre(reference, x, size):
    OH, OW = x.shape[2] // size, x.shape[3] // size
    return x[:, :, size // 2 :: size, size // 2 :: size][:, :, :OH, :OW]


@max_pool2d.mistake("The channels are pooled together. Each channel is pooled on its own, and their number stays.")
def over_channels(reference, x, size):
    return reference(x, size).max(axis=1, keepdims=True)


@max_pool2d.mistake("The window moves by one pixel. Side by side means that it moves by its own size.")
def moves_by_one_pixel(reference, x, size):
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3)).max(axis=(4, 5))


@max_pool2d.mistake("The output has the right size, but the window moves by one pixel: it must start at i*K, j*K.")
def starts_at_i_and_j(reference, x, size):
    OH, OW = x.shape[2] // size, x.shape[3] // size
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, :OH, :OW]
    return view.max(axis=(4, 5))


@max_pool2d.mistake(
    "The search starts from 0, so a window of negative numbers gives 0. Start from a number of the window."
)
def starts_from_zero(reference, x, size):
    return np.maximum(reference(x, size), 0.0)


@max_pool2d.mistake("Height and width are swapped in the output: OH comes from H, OW from W.")
def height_and_width_swapped(reference, x, size):
    return reference(x.transpose(0, 1, 3, 2), size)


@max_pool2d.mistake(
    "The rows and columns left over are pooled too. A window that does not fit is not used: round down."
)
def left_over_pooled(reference, x, size):
    down, right = -x.shape[2] % size, -x.shape[3] % size
    return reference(np.pad(x, ((0, 0), (0, 0), (0, down), (0, right)), constant_values=-np.inf), size)


@max_pool2d.mistake("This is the smallest number of each window. Max pooling takes the largest.")
def smallest(reference, x, size):
    return -reference(-x, size)


# ---- 2.2 ----


@exercise(
    reference="course_lib.pooling:max_pool2d",
    points=4,
    hints=(
        "What may stand in the border, so that it is never the largest number of a window, whatever the image holds?",
        "windows(x, K, S, P, -np.inf) has shape (N, C, OH, OW, K, K). Take the maximum over the last two axes.",
    ),
)
def max_pool2d_strided(rng):
    """Max pooling with stride and padding."""
    yield case("negative numbers and a border", np.array([[[[-1.0, -2.0], [-3.0, -4.0]]]]), 2, stride=2, padding=1)
    yield case("the worked example, stride 1", X, 2, stride=1)
    yield case("the worked example, window 3, stride 2, padded", -X, 3, stride=2, padding=1)
    yield case("the windows overlap", rng.normal(size=(1, 1, 5, 7)), 3, stride=2)
    yield case("pixels between the windows", rng.normal(size=(1, 1, 8, 5)), 2, stride=3)
    yield case("very negative numbers", rng.normal(size=(1, 1, 3, 4)) - 1e6, 3, stride=1, padding=1)
    yield case("channels and batch", rng.normal(size=(2, 3, 4, 6)), 2, stride=2, padding=1)
    H, W = (int(n) for n in rng.integers(7, 12, size=2))
    yield case("everything at once", rng.normal(size=(2, 2, H, W)) - 2, 5, stride=3, padding=2)


@max_pool2d_strided.mistake(
    "The border is zero. In a window of negative numbers the zero wins; fill the border with −∞."
)
def zero_padding(reference, x, size, stride=1, padding=0):
    return reference(np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))), size, stride)


@max_pool2d_strided.mistake("The padding is ignored.")
def no_padding(reference, x, size, stride=1, padding=0):
    return reference(x, size, stride)


@max_pool2d_strided.mistake("Only the right and the bottom are padded. Padding goes on each of the four sides.")
def padded_on_one_side(reference, x, size, stride=1, padding=0):
    border = ((0, 0), (0, 0), (0, padding), (0, padding))
    return reference(np.pad(x, border, constant_values=-np.inf), size, stride)


@max_pool2d_strided.mistake("The stride is ignored: the window moves by its own size.")
def moves_by_its_size(reference, x, size, stride=1, padding=0):
    return reference(x, size, size, padding)


@max_pool2d_strided.mistake("The stride is ignored: the window moves by one pixel.")
def strided_moves_by_one_pixel(reference, x, size, stride=1, padding=0):
    return reference(x, size, 1, padding)


@max_pool2d_strided.mistake("The output has the right size, but the window moves by one pixel: it starts at i*S, j*S.")
def strided_starts_at_i_and_j(reference, x, size, stride=1, padding=0):
    OH, OW = reference(x, size, stride, padding).shape[2:]
    return reference(x, size, 1, padding)[:, :, :OH, :OW]


@max_pool2d_strided.mistake("The stride acts on the rows only. The window moves by S along both axes.")
def stride_on_rows_only(reference, x, size, stride=1, padding=0):
    return reference(x, size, 1, padding)[:, :, ::stride]


@max_pool2d_strided.mistake("The stride acts on the columns only. The window moves by S along both axes.")
def stride_on_columns_only(reference, x, size, stride=1, padding=0):
    return reference(x, size, 1, padding)[:, :, :, ::stride]


@max_pool2d_strided.mistake("The window is averaged. Max pooling takes the largest number of it.")
def strided_averaged(reference, x, size, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return view.mean(axis=(4, 5))


@max_pool2d_strided.mistake("The channels are pooled together. Each channel is pooled on its own.")
def strided_over_channels(reference, x, size, stride=1, padding=0):
    return reference(x, size, stride, padding).max(axis=1, keepdims=True)


@max_pool2d_strided.mistake(
    "The maximum is taken over the positions. windows(...) ends with the axes of the window: axis=(4, 5)."
)
def over_the_positions(reference, x, size, stride=1, padding=0):
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x = np.pad(x, border, constant_values=-np.inf)
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return view.max(axis=(2, 3))


# ---- 2.3 ----


@exercise(
    reference="course_lib.pooling:avg_pool2d",
    points=4,
    hints=(
        "Average an image of ones with a border of zeros. What is the sum over the window in the corner, "
        "and by what must it be divided to give 1?",
        "Sum the windows of x. Then lay the same windows over an image of ones, padded with 0 or with 1: "
        "their sums are the numbers of pixels to divide by, for either convention.",
    ),
)
def avg_pool2d(rng):
    """The mean of each window, with either convention for the border."""
    yield case("the worked example", X, 2, stride=2)
    yield case("an image of ones and a border", np.ones((1, 1, 2, 2)), 3, stride=1, padding=1)
    yield case("the same, the border counted", np.ones((1, 1, 2, 2)), 3, stride=1, padding=1, count_padding=True)
    yield case("whole numbers", np.array([[[[0, 1, 2], [3, 5, 8]]]]), 2, stride=1)
    yield case("a window of three, stride 2", rng.normal(size=(1, 1, 5, 8)), 3, stride=2)
    yield case("channels and batch", rng.normal(size=(2, 3, 4, 6)), 2, stride=2, padding=1)
    yield case(
        "everything at once, the border counted",
        rng.normal(size=(2, 2, 7, 9)), 4, stride=3, padding=2, count_padding=True,
    )  # fmt: skip
    H, W = (int(n) for n in rng.integers(7, 12, size=2))
    yield case("everything at once", rng.normal(size=(2, 2, H, W)), 5, stride=3, padding=2)


@avg_pool2d.mistake("The divisor counts the padding even where it should not. Divide by the image's own pixels.")
def always_counts_padding(reference, x, size, stride=1, padding=0, count_padding=False):
    return reference(x, size, stride, padding, True)


@avg_pool2d.mistake("The divisor never counts the padding. With count_padding=True it is K·K everywhere.")
def never_counts_padding(reference, x, size, stride=1, padding=0, count_padding=False):
    return reference(x, size, stride, padding, False)


@avg_pool2d.mistake("The two conventions are exchanged: count_padding=True divides by K·K.")
def conventions_exchanged(reference, x, size, stride=1, padding=0, count_padding=False):
    return reference(x, size, stride, padding, not count_padding)


@avg_pool2d.mistake("The sum is divided by K. A window has K·K pixels.")
def divided_by_the_side(reference, x, size, stride=1, padding=0, count_padding=False):
    return reference(x, size, stride, padding, True) * size


@avg_pool2d.mistake("The window is summed, not averaged. Divide by the number of pixels.")
def summed(reference, x, size, stride=1, padding=0, count_padding=False):
    return reference(x, size, stride, padding, True) * size**2


@avg_pool2d.mistake("This is the maximum of each window, not its mean.")
def maximum(reference, x, size, stride=1, padding=0, count_padding=False):
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x = np.pad(x.astype(float), border, constant_values=-np.inf)
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return view.max(axis=(4, 5))


@avg_pool2d.mistake("The border is −∞, and so is every mean that touches it. A sum needs a border of zeros.")
def border_of_minus_infinity(reference, x, size, stride=1, padding=0, count_padding=False):
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x = np.pad(x.astype(float), border, constant_values=-np.inf)
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return view.mean(axis=(4, 5))


@avg_pool2d.mistake("The means are cut to integers. Divide with /, and do not store them in an integer array.")
def cut_to_integers(reference, x, size, stride=1, padding=0, count_padding=False):
    y = reference(x, size, stride, padding, count_padding)
    return np.floor(y) if x.dtype.kind == "i" else y


@avg_pool2d.mistake("The channels are averaged together. Each channel is pooled on its own.")
def averaged_over_channels(reference, x, size, stride=1, padding=0, count_padding=False):
    return reference(x, size, stride, padding, count_padding).mean(axis=1, keepdims=True)


@avg_pool2d.mistake("The stride is ignored: the window moves by its own size.")
def average_moves_by_its_size(reference, x, size, stride=1, padding=0, count_padding=False):
    return reference(x, size, size, padding, count_padding)


average_is_convolution = Written("average_is_convolution", points=3)


# ---- 2.4 ----


@exercise(
    reference="course_lib.pooling:global_avg_pool",
    points=2,
    hints=(
        "Which of the four axes (N, C, H, W) are still there in the result, and which are averaged away?",
        "x.mean(axis=(2, 3)) averages over height and width.",
    ),
)
def global_avg_pool(rng):
    """The mean of each channel."""
    yield case("the worked example", X)
    yield case("two channels", rng.normal(size=(1, 2, 2, 3)))
    yield case("a batch of two", rng.normal(size=(2, 1, 3, 2)))
    yield case("as many images as channels as rows", rng.normal(size=(3, 3, 3, 4)))
    yield case("whole numbers", rng.integers(0, 256, size=(2, 3, 2, 2)))


@global_avg_pool.mistake("The averaged axes are still there with length 1. The result has shape (N, C).")
def axes_kept(reference, x):
    return reference(x)[:, :, None, None]


@global_avg_pool.mistake("The channels are averaged away too. Each channel keeps its own mean.")
def channels_averaged(reference, x):
    return x.mean(axis=(1, 2, 3))


@global_avg_pool.mistake("The images of the batch are averaged together. Each image keeps its own means.")
def batch_averaged(reference, x):
    return x.mean(axis=(0, 2, 3))


@global_avg_pool.mistake("Everything is averaged into one number. Only height and width are averaged.")
def everything_averaged(reference, x):
    return x.mean()


@global_avg_pool.mistake("The mean is taken over the channels. It runs over height and width.")
def over_the_channel_axis(reference, x):
    return x.mean(axis=1)


@global_avg_pool.mistake("This is the largest number of each channel, not the mean.")
def global_maximum(reference, x):
    return x.max(axis=(2, 3)).astype(float)


@global_avg_pool.mistake("This is the sum of each channel. Divide by H·W.")
def global_sum(reference, x):
    return x.sum(axis=(2, 3)).astype(float)


# ---- 2.5 ----


@exercise(
    reference="course_lib.pooling:max_pool2d_with_indices",
    points=4,
    hints=(
        "The maximum of the window at (i, j) stands in row p, column q of the window. "
        "In which row and column of the image is that, when the window starts at i*S - P, j*S - P?",
        "Flatten each window to K*K numbers; argmax gives k, the first of equal ones, and np.divmod(k, K) gives p, q. "
        "row = i*S + p - P and column = j*S + q - P, with i = np.arange(OH)[:, None] and j = np.arange(OW). "
        "The index is row*W + column.",
    ),
)
def max_pool2d_with_indices(rng):
    """Max pooling that says where each maximum stood."""
    yield case("one window", np.array([[[[1.0, 2.0], [4.0, 3.0]]]]), 2, stride=2)
    yield case("two equal numbers in a row", np.array([[[[0.0, 7.0, 7.0], [0.0, 0.0, 0.0]]]]), 2, stride=1)
    yield case("a tie between row and column", np.array([[[[0.0, 7.0], [7.0, 0.0]]]]), 2, stride=2)
    yield case("the worked example", X, 2, stride=2)
    yield case("a wide image", rng.normal(size=(1, 1, 2, 6)), 2, stride=2)
    yield case("the windows overlap", rng.normal(size=(1, 1, 5, 4)), 3, stride=1)
    yield case("a border", rng.normal(size=(1, 1, 3, 4)) - 3, 3, stride=2, padding=1)
    yield case("many ties", rng.integers(0, 3, size=(1, 1, 6, 8)).astype(float), 2, stride=2)
    yield case("channels and batch", rng.normal(size=(2, 3, 4, 6)), 2, stride=2)
    H, W = (int(n) for n in rng.integers(7, 12, size=2))
    yield case("everything at once", rng.normal(size=(2, 2, H, W)) - 2, 4, stride=3, padding=2)


@max_pool2d_with_indices.mistake(
    "Of equal numbers the last is taken. Take the first in reading order, as argmax does (and > instead of >=)."
)
def last_of_equal(reference, x, size, stride=1, padding=0):
    N, C, H, W = x.shape
    y, indices = reference(x[:, :, ::-1, ::-1], size, 1, padding)
    return y[:, :, ::-1, ::-1][:, :, ::stride, ::stride], (H * W - 1 - indices)[:, :, ::-1, ::-1][
        :, :, ::stride, ::stride
    ]


@max_pool2d_with_indices.mistake(
    "Of equal numbers, the first down the columns is taken. Reading order goes row by row: the uppermost row wins."
)
def first_in_columns(reference, x, size, stride=1, padding=0):
    H, W = x.shape[2:]
    y, indices = reference(x.transpose(0, 1, 3, 2), size, stride, padding)
    column, row = np.divmod(indices, H)
    return y.transpose(0, 1, 3, 2), (row * W + column).transpose(0, 1, 3, 2)


@max_pool2d_with_indices.mistake(
    "The index counts inside the window, 0 to K·K − 1. Add where it starts: row i*S + p − P, column j*S + q − P."
)
def index_in_the_window(reference, x, size, stride=1, padding=0):
    y, indices = reference(x, size, stride, padding)
    row, column = np.divmod(indices, x.shape[3])
    OH, OW = y.shape[2:]
    p = row - (np.arange(OH)[:, None] * stride - padding)
    q = column - (np.arange(OW) * stride - padding)
    return y, p * size + q


@max_pool2d_with_indices.mistake(
    "The index counts in the padded image. Subtract P from row and column, and count with the width W of the image."
)
def index_in_the_padded_image(reference, x, size, stride=1, padding=0):
    y, indices = reference(x, size, stride, padding)
    row, column = np.divmod(indices, x.shape[3])
    return y, (row + padding) * (x.shape[3] + 2 * padding) + column + padding


@max_pool2d_with_indices.mistake(
    "The border is still in the row and the column: the window at (i, j) starts at row i*S − P, column j*S − P."
)
def border_not_subtracted(reference, x, size, stride=1, padding=0):
    y, indices = reference(x, size, stride, padding)
    return y, indices + padding * x.shape[3] + padding


@max_pool2d_with_indices.mistake("The index is row*H + column. A row has W pixels: row*W + column.")
def height_for_width(reference, x, size, stride=1, padding=0):
    y, indices = reference(x, size, stride, padding)
    row, column = np.divmod(indices, x.shape[3])
    return y, row * x.shape[2] + column


@max_pool2d_with_indices.mistake("The index of the window's first pixel is returned, not that of its maximum.")
def index_of_the_corner(reference, x, size, stride=1, padding=0):
    y, indices = reference(x, size, stride, padding)
    OH, OW = y.shape[2:]
    row, column = np.arange(OH)[:, None] * stride - padding, np.arange(OW) * stride - padding
    return y, np.broadcast_to(row * x.shape[3] + column, y.shape)


@max_pool2d_with_indices.mistake("The index runs on through channels and images. It starts at 0 in each of them.")
def index_runs_on(reference, x, size, stride=1, padding=0):
    N, C, H, W = x.shape
    y, indices = reference(x, size, stride, padding)
    return y, indices + (np.arange(N * C) * H * W).reshape(N, C, 1, 1)


@max_pool2d_with_indices.mistake("The two results are exchanged: first the maxima, then the indices.")
def results_exchanged(reference, x, size, stride=1, padding=0):
    return reference(x, size, stride, padding)[::-1]


# ---- 2.6 ----


def _places(rng, N, C, OH, OW, K):
    """One random pixel in each window, for images of ``OH*K`` by ``OW*K``, as flat indices."""
    p, q = rng.integers(0, K, size=(2, N, C, OH, OW))
    return (np.arange(OH)[:, None] * K + p) * (OW * K) + np.arange(OW) * K + q


@exercise(
    reference="course_lib.pooling:max_unpool2d",
    points=3,
    hints=(
        "The index of a maximum is row*W + column. If an image is stored as one long row of H*W numbers, "
        "what is the address of that pixel?",
        "Start from zeros of shape (N, C, H*W). np.put_along_axis(x, indices.reshape(N, C, -1), "
        "y.reshape(N, C, -1), axis=2) writes every maximum to its place. Reshape at the end.",
    ),
)
def max_unpool2d(rng):
    """Put each maximum back where it stood."""
    yield case("one maximum", np.array([[[[4.0]]]]), np.array([[[[2]]]]), (2, 2))
    yield case("the worked example", np.array([[[[6.0, 8.0], [16.0, 14.0]]]]), np.array([[[[5, 7], [8, 10]]]]), (4, 4))
    yield case("a wide image", rng.normal(size=(1, 1, 1, 3)), _places(rng, 1, 1, 1, 3, 2), (2, 6))
    yield case("windows that overlapped", np.full((1, 1, 2, 2), 9.0), np.full((1, 1, 2, 2), 4), (3, 3))
    yield case("two channels", rng.normal(size=(1, 2, 2, 1)), _places(rng, 1, 2, 2, 1, 2), (4, 2))
    yield case("a batch of two", rng.normal(size=(2, 3, 2, 3)), _places(rng, 2, 3, 2, 3, 3), (6, 9))
    indices = rng.permuted(np.tile(np.arange(35), (2, 2, 1)), axis=2)[:, :, :6].reshape(2, 2, 2, 3)
    yield case("any places", rng.normal(size=(2, 2, 2, 3)), indices, (5, 7))


@max_unpool2d.mistake(
    "Every pixel of the window gets the maximum. Only the place that the index names does; the rest is 0."
)
def whole_window(reference, y, indices, shape):
    x = np.zeros((*y.shape[:2], *shape))
    K, L = shape[0] // y.shape[2], shape[1] // y.shape[3]
    x[:, :, : K * y.shape[2], : L * y.shape[3]] = y.repeat(K, axis=2).repeat(L, axis=3)
    return x


@max_unpool2d.mistake("The maximum is put into the window's corner. The index says where it stood.")
def into_the_corner(reference, y, indices, shape):
    x = np.zeros((*y.shape[:2], *shape))
    K, L = shape[0] // y.shape[2], shape[1] // y.shape[3]
    x[:, :, : K * y.shape[2] : K, : L * y.shape[3] : L] = y
    return x


@max_unpool2d.mistake(
    "A pixel that was the maximum of several windows is added up. It is one pixel, put back once: assign, do not add."
)
def added_where_windows_overlapped(reference, y, indices, shape):
    N, C = y.shape[:2]
    x = np.zeros((N * C, shape[0] * shape[1]))
    np.add.at(x, (np.arange(N * C)[:, None], indices.reshape(N * C, -1)), y.reshape(N * C, -1))
    return x.reshape(N, C, *shape)


@max_unpool2d.mistake("Row and column come from a division by H. A row has W pixels: divide the index by W.")
def divided_by_the_height(reference, y, indices, shape):
    N, C = y.shape[:2]
    row, column = np.divmod(indices.reshape(N, C, -1), shape[0])
    x = np.zeros((N, C, *shape))
    for n in range(N):
        for c in range(C):
            x[n, c, row[n, c], column[n, c]] = y[n, c].ravel()
    return x


@max_unpool2d.mistake("All channels and images use the first one's indices. Each has indices of its own.")
def indices_of_the_first(reference, y, indices, shape):
    return reference(y, np.broadcast_to(indices[:1, :1], indices.shape), shape)


@max_unpool2d.mistake(
    "Every number lands in the first channel of the first image: the index counts inside one channel."
)
def all_in_the_first_channel(reference, y, indices, shape):
    x = np.zeros((*y.shape[:2], *shape))
    x.ravel()[indices.ravel()] = y.ravel()
    return x


@max_unpool2d.mistake("The result is left flat. Give it the shape (N, C, H, W).")
def left_flat(reference, y, indices, shape):
    return reference(y, indices, shape).reshape(*y.shape[:2], -1)


# ---- 2.7 ----


@exercise(
    reference="course_lib.pooling:spatial_pyramid_pool",
    points=4,
    hints=(
        "Cut 5 rows into 2 bins so that no row is lost: where does the first bin end, where does the second one start?",
        "Bin k of n starts at k*H // n and ends before ⌈(k+1)*H / n⌉, which is -(-(k + 1) * H // n) in integers. "
        "Fill an array (N, C, n, n) with the bins' maxima, reshape it to (N, C*n*n), and np.concatenate the levels "
        "along axis 1.",
    ),
)
def spatial_pyramid_pool(rng):
    """The same number of maxima for every size of image."""
    yield case("one bin", X, (1,))
    yield case("the worked example in 2×2 bins", X, (2,))
    yield case("bins that share a row", rng.normal(size=(1, 1, 5, 2)), (2,))
    yield case("bins that share columns", rng.normal(size=(1, 1, 4, 7)), (4,))
    yield case("two levels", rng.normal(size=(1, 1, 4, 6)), (1, 2))
    yield case("two channels", rng.normal(size=(1, 2, 2, 4)), (2,))
    yield case("channels and levels", rng.normal(size=(1, 3, 4, 5)), (1, 2))
    yield case("a batch and only negative numbers", -1 - rng.random(size=(2, 2, 3, 5)), (2, 3))
    H, W = (int(n) for n in rng.integers(5, 12, size=2))
    yield case("everything at once, the levels left to the default", rng.normal(size=(2, 3, H, W)))


@spatial_pyramid_pool.mistake("The bins are averaged. This pyramid takes the largest number of each bin.")
def bins_averaged(reference, x, levels=(1, 2, 4)):
    N, C, H, W = x.shape
    parts = []
    for n in levels:
        rows = [slice(k * H // n, -(-(k + 1) * H // n)) for k in range(n)]
        columns = [slice(k * W // n, -(-(k + 1) * W // n)) for k in range(n)]
        level = [[x[:, :, r, c].mean(axis=(2, 3)) for c in columns] for r in rows]  # (n, n, N, C)
        parts.append(np.moveaxis(np.array(level), (0, 1), (2, 3)).reshape(N, -1))
    return np.concatenate(parts, axis=1)


@spatial_pyramid_pool.mistake(
    "Both ends of a bin are rounded down, so that bins never share a pixel. The end is rounded up: ⌈(k+1)H/n⌉."
)
def ends_rounded_down(reference, x, levels=(1, 2, 4)):
    N, C, H, W = x.shape
    parts = []
    for n in levels:
        rows = [slice(k * H // n, (k + 1) * H // n) for k in range(n)]
        columns = [slice(k * W // n, (k + 1) * W // n) for k in range(n)]
        level = [[x[:, :, r, c].max(axis=(2, 3)) for c in columns] for r in rows]  # (n, n, N, C)
        parts.append(np.moveaxis(np.array(level), (0, 1), (2, 3)).reshape(N, -1))
    return np.concatenate(parts, axis=1)


@spatial_pyramid_pool.mistake(
    "Every bin has H // n rows and W // n columns, so the last rows and columns are never seen."
)
def rest_left_out(reference, x, levels=(1, 2, 4)):
    H, W = x.shape[2:]
    return np.concatenate([reference(x[:, :, : H // n * n, : W // n * n], (n,)) for n in levels], axis=1)


@spatial_pyramid_pool.mistake(
    "Windows of ⌈H/n⌉ with stride ⌊H/n⌋ (the paper's rule) can miss the last pixels: with 7 pixels and 4 bins, two. "
    "Let each bin run from ⌊kH/n⌋ to ⌈(k+1)H/n⌉."
)
def window_and_stride(reference, x, levels=(1, 2, 4)):
    N, C, H, W = x.shape
    parts = []
    for n in levels:
        rows = [slice(k * (H // n), k * (H // n) - (-H // n)) for k in range(n)]
        columns = [slice(k * (W // n), k * (W // n) - (-W // n)) for k in range(n)]
        level = [[x[:, :, r, c].max(axis=(2, 3)) for c in columns] for r in rows]  # (n, n, N, C)
        parts.append(np.moveaxis(np.array(level), (0, 1), (2, 3)).reshape(N, -1))
    return np.concatenate(parts, axis=1)


@spatial_pyramid_pool.mistake("The channels vary fastest. In a level the order is channel by channel, then the bins.")
def channels_fastest(reference, x, levels=(1, 2, 4)):
    N, C = x.shape[:2]
    parts = [reference(x, (n,)).reshape(N, C, n * n).transpose(0, 2, 1).reshape(N, -1) for n in levels]
    return np.concatenate(parts, axis=1)


@spatial_pyramid_pool.mistake("The bins are read column by column. Read them row by row.")
def bins_by_column(reference, x, levels=(1, 2, 4)):
    return reference(x.transpose(0, 1, 3, 2), levels)


@spatial_pyramid_pool.mistake(
    "The order is channel by channel, then the levels. It is level by level, then the channels."
)
def channels_before_levels(reference, x, levels=(1, 2, 4)):
    C = x.shape[1]
    return np.concatenate([reference(x[:, c : c + 1], levels) for c in range(C)], axis=1)


@spatial_pyramid_pool.mistake("The levels are in the opposite order. Keep the order of the argument.")
def levels_reversed(reference, x, levels=(1, 2, 4)):
    return reference(x, levels[::-1])


@spatial_pyramid_pool.mistake("Only the last level is returned. Collect the levels in a list and join them at the end.")
def last_level_only(reference, x, levels=(1, 2, 4)):
    return reference(x, levels[-1:])


@spatial_pyramid_pool.mistake("The channels are pooled together. Each channel gives bins of its own.")
def pyramid_over_channels(reference, x, levels=(1, 2, 4)):
    return reference(x.max(axis=1, keepdims=True), levels)


__dir__ = only_exercises(globals())
