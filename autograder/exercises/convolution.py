"""Chapter 01: what is checked of the convolution exercises."""

import numpy as np

from autograder.compare import Tolerance
from autograder.exercise import Written, case, exercise, only_exercises

X = np.arange(1.0, 17.0).reshape(4, 4)  # the chapter's worked example
F = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0], [-1.0, -1.0, 0.0]])


# ---- 1.1 ----


@exercise(
    reference="course_lib.convolution:output_size",
    points=2,
    hints=(
        "Put the filter as far up as it goes. How many rows are left below it, and how many steps of S fit into them?",
        "The padded input has length H + 2P, so H + 2P - FH rows are left. Python's // rounds down. "
        "The starting position counts too.",
    ),
)
def output_size(rng):
    """Number of positions of a filter along one axis."""
    yield case("the worked example", 4, 3)
    yield case("padding keeps the size", 4, 3, padding=1)
    yield case("two steps do not fill the room", 6, 3, stride=2)
    yield case("the stride divides the room", 7, 3, stride=2)
    yield case("a filter as long as the input", 5, 5, stride=3)
    yield case("stride and padding", 7, 4, stride=3, padding=2)
    for k in range(4):
        size, filter_size = int(rng.integers(5, 40)), int(rng.integers(1, 6))
        stride, padding = int(rng.integers(1, 5)), int(rng.integers(0, 4))
        yield case(f"random sizes {k + 1}", size, filter_size, stride=stride, padding=padding)


@output_size.mistake("The division is rounded up. A last step that does not fit into the input is not taken: use //.")
def rounded_up(reference, size, filter_size, stride=1, padding=0):
    return -(-(size + 2 * padding - filter_size) // stride) + 1


@output_size.mistake("The padding is added at one end only. There are P zeros at each of the two ends: H + 2P.")
def padded_once(reference, size, filter_size, stride=1, padding=0):
    return (size + padding - filter_size) // stride + 1


@output_size.mistake("The + 1 is missing. The first position is taken before any step.")
def no_first_position(reference, size, filter_size, stride=1, padding=0):
    return (size + 2 * padding - filter_size) // stride


@output_size.mistake("The result of / is a float, even where nothing is left over. A size is an integer: use //.")
def true_division(reference, size, filter_size, stride=1, padding=0):
    return (size + 2 * padding - filter_size) / stride + 1


@output_size.mistake("The + 1 is inside the division. Divide the room by S first, then count the first position.")
def one_divided_too(reference, size, filter_size, stride=1, padding=0):
    return (size + 2 * padding - filter_size + 1) // stride


why_floor = Written("why_floor", points=3)


# ---- 1.2 ----


@exercise(
    reference="course_lib.convolution:conv2d",
    points=3,
    hints=(
        "Write down by hand which rows and columns of x the filter covers at position (0, 1). "
        "Which part of that depends on the position, which on the filter?",
        "The patch at (i, j) is x[i : i + FH, j : j + FW]. Multiply it by f entry by entry and sum. "
        "The result has output_size(H, FH) rows and output_size(W, FW) columns.",
    ),
)
def conv2d(rng):
    """Slide one filter over one image."""
    yield case("one position", np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [2.0, -1.0]]))
    yield case("the worked example", X, F)
    yield case("a wide image", rng.normal(size=(4, 7)), rng.normal(size=(3, 3)))
    yield case("a tall image", rng.normal(size=(7, 4)), rng.normal(size=(3, 3)))
    yield case("a filter that is not square", rng.normal(size=(6, 6)), rng.normal(size=(2, 3)))
    yield case("a filter of one pixel", rng.normal(size=(3, 5)), rng.normal(size=(1, 1)))
    yield case("integers in the image", rng.integers(0, 256, size=(5, 6)), rng.normal(size=(2, 2)))


@conv2d.mistake(
    "The filter is flipped. That is a true convolution; networks use cross-correlation, which does not flip."
)
def flipped(reference, x, f):
    return reference(x, f[::-1, ::-1])


@conv2d.mistake(
    "The filter is transposed: its rows run along the columns of the image. f[p, q] belongs to x[i+p, j+q]."
)
def transposed(reference, x, f):
    if f.shape[0] == f.shape[1]:
        return reference(x, f.T)
    FH, FW = f.shape
    OH, OW = x.shape[0] - FH + 1, x.shape[1] - FW + 1
    patches = np.lib.stride_tricks.sliding_window_view(x, (FW, FH))[:OH, :OW]
    return np.einsum("ijqp,pq->ij", patches, f)


@conv2d.mistake("Height and width are swapped in the output: OH comes from H and FH, OW from W and FW.")
def height_and_width_swapped(reference, x, f):
    y = reference(x, f)
    out = np.zeros(y.shape[::-1], y.dtype)
    i, j = min(y.shape), min(y.shape)
    out[:i, :j] = y[:i, :j]
    return out


@conv2d.mistake(
    "The last row and column of positions are missing: OH = H - FH + 1, and range(OH) already stops before OH."
)
def last_position_missing(reference, x, f):
    return reference(x, f)[:-1, :-1]


@conv2d.mistake("The output has the size of the input, the part without a filter position left at zero.")
def size_of_the_input(reference, x, f):
    out = np.zeros(x.shape)
    y = reference(x, f)
    out[: y.shape[0], : y.shape[1]] = y
    return out


@conv2d.mistake("The products are averaged. A convolution sums them.")
def averaged(reference, x, f):
    return reference(x, f) / f.size


@conv2d.mistake("The results are cut to integers. Make the output with np.zeros((OH, OW)), not with the image's dtype.")
def cut_to_integers(reference, x, f):
    y = reference(x, f)
    return y.astype(x.dtype).astype(float) if x.dtype.kind == "i" else y


# ---- 1.3 ----


@exercise(
    reference="course_lib.convolution:pad2d",
    points=2,
    hints=(
        "How many rows does the padded image have? At which row does the old first row now stand?",
        "Make a full array of shape (..., H + 2P, W + 2P) and assign x to its middle: [..., P : P + H, P : P + W].",
    ),
    tolerance=Tolerance(exact_dtype=True),
)
def pad2d(rng):
    """Put a border around the last two axes."""
    yield case("one pixel", np.array([[7.0]]), 1)
    yield case("the worked example", X, 1)
    yield case("a wide image, two rows of border", rng.normal(size=(2, 4)), 2)
    yield case("no padding", rng.normal(size=(2, 3)), 0)
    yield case("a border of −∞", rng.normal(size=(2, 3)), 1, value=-np.inf)
    yield case("integers stay integers", rng.integers(0, 256, size=(3, 2)), 1)
    yield case("a batch with channels", rng.normal(size=(2, 3, 3, 4)), 1)


@pad2d.mistake("The border is at the right and the bottom only. P rows and columns go on each of the four sides.")
def padded_right_and_bottom(reference, x, padding, value=0.0):
    H, W = x.shape[-2:]
    return reference(x, padding, value)[..., padding:, padding:]


@pad2d.mistake("The border is at the left and the top only. P rows and columns go on each of the four sides.")
def padded_left_and_top(reference, x, padding, value=0.0):
    H, W = x.shape[-2:]
    return reference(x, padding, value)[..., : H + padding, : W + padding]


@pad2d.mistake("The border is always zero. It must have the value asked for.")
def always_zero(reference, x, padding, value=0.0):
    return reference(x, padding)


@pad2d.mistake(
    "Every axis is padded, the batch and the channels too. Only the last two, height and width, get a border."
)
def every_axis(reference, x, padding, value=0.0):
    return np.pad(x, padding, constant_values=value)


@pad2d.mistake("The dtype has changed to float64. Give np.full or np.zeros the dtype of x.")
def dtype_lost(reference, x, padding, value=0.0):
    return reference(x.astype(float), padding, value)


# ---- 1.4 ----


@exercise(
    reference="course_lib.convolution:conv2d",
    points=4,
    hints=(
        "In your conv2d, where does the patch of position (i, j) start? Where must it start when a step is S pixels?",
        "Pad first, then use the padded image only. The patch at (i, j) starts at row i * S and column j * S. "
        "The bias is one number, added to every output after the sum.",
    ),
)
def conv2d_strided(rng):
    """Convolution with bias, stride and padding."""
    yield case("the worked example, padded", X, F, padding=1)
    yield case("the worked example, padded, stride 2", X, F, stride=2, padding=1)
    yield case("a bias", rng.normal(size=(3, 4)), rng.normal(size=(2, 2)), bias=0.5)
    yield case("stride 2", rng.normal(size=(6, 9)), rng.normal(size=(3, 2)), stride=2)
    yield case("stride 3, some rows left over", rng.normal(size=(9, 7)), rng.normal(size=(2, 2)), stride=3)
    yield case("a bias and padding", rng.normal(size=(3, 4)), rng.normal(size=(3, 3)), bias=-1.5, padding=1)
    H, W = (int(n) for n in rng.integers(6, 11, size=2))
    FH, FW = (int(n) for n in rng.integers(1, 5, size=2))
    x, f, b = rng.normal(size=(H, W)), rng.normal(size=(FH, FW)), float(rng.normal())
    yield case("everything at once", x, f, bias=b, stride=2, padding=2)


@conv2d_strided.mistake("The filter is flipped. That is a true convolution; networks use cross-correlation.")
def flipped_strided(reference, x, f, bias=0.0, stride=1, padding=0):
    return reference(x, f[::-1, ::-1], bias, stride, padding)


@conv2d_strided.mistake("The bias is forgotten.")
def no_bias(reference, x, f, bias=0.0, stride=1, padding=0):
    return reference(x, f, 0.0, stride, padding)


@conv2d_strided.mistake("The bias is added once for each pixel under the filter. Add it once to each output.")
def bias_per_pixel(reference, x, f, bias=0.0, stride=1, padding=0):
    return reference(x, f, bias * f.size, stride, padding)


@conv2d_strided.mistake("The stride acts on the rows only. The filter moves by S along both axes.")
def stride_on_rows_only(reference, x, f, bias=0.0, stride=1, padding=0):
    return reference(x, f, bias, 1, padding)[::stride]


@conv2d_strided.mistake("The stride acts on the columns only. The filter moves by S along both axes.")
def stride_on_columns_only(reference, x, f, bias=0.0, stride=1, padding=0):
    return reference(x, f, bias, 1, padding)[:, ::stride]


@conv2d_strided.mistake(
    "The output has the right size, but the filter still moves by 1: its patch starts at i * S, j * S."
)
def moves_by_one(reference, x, f, bias=0.0, stride=1, padding=0):
    OH, OW = reference(x, f, bias, stride, padding).shape
    return reference(x, f, bias, 1, padding)[:OH, :OW]


@conv2d_strided.mistake("The stride is ignored.")
def no_stride(reference, x, f, bias=0.0, stride=1, padding=0):
    return reference(x, f, bias, 1, padding)


@conv2d_strided.mistake("The padding is ignored.")
def no_padding(reference, x, f, bias=0.0, stride=1, padding=0):
    return reference(x, f, bias, stride, 0)


@conv2d_strided.mistake("Only the right and the bottom are padded. Padding goes on each of the four sides.")
def padded_on_one_side(reference, x, f, bias=0.0, stride=1, padding=0):
    return reference(np.pad(x, ((0, padding), (0, padding))), f, bias, stride, 0)


@conv2d_strided.mistake("The output size is rounded up: at the last position the filter hangs over the edge.")
def output_rounded_up(reference, x, f, bias=0.0, stride=1, padding=0):
    x = np.pad(x, padding)
    extra = [-(n - k) % stride for n, k in zip(x.shape, f.shape, strict=True)]
    return reference(np.pad(x, [(0, e) for e in extra]), f, bias, stride, 0)


# ---- 1.5 ----


@exercise(
    reference="course_lib.convolution:im2col",
    points=4,
    hints=(
        "For one channel and a 2×2 filter: which pixels of the image are ever multiplied by f[0, 1]? "
        "Is that set of pixels a slice of x?",
        "x[:, :, p : p + OH*S : S, q : q + OW*S : S] holds, for all positions at once, the pixel under tap (p, q). "
        "Collect these in an array of shape (N, C, FH, FW, OH, OW) and reshape it at the end.",
    ),
)
def im2col(rng):
    """Lay every patch that a filter sees into a column."""
    yield case("the worked example", X[None, None], (3, 3))
    yield case("a wide image", rng.normal(size=(1, 1, 3, 5)), (2, 2))
    yield case("a filter that is not square", rng.normal(size=(1, 1, 4, 4)), (1, 3))
    yield case("two channels", rng.normal(size=(1, 2, 3, 3)), (2, 2))
    yield case("a batch of two", rng.normal(size=(2, 1, 3, 3)), (2, 2))
    yield case("stride 2", rng.normal(size=(1, 1, 5, 7)), (2, 3), stride=2)
    yield case("padding 1", rng.normal(size=(1, 2, 3, 4)), (3, 3), padding=1)
    yield case("everything at once", rng.normal(size=(2, 3, 7, 6)), (3, 2), stride=2, padding=1)


@im2col.mistake(
    "The rows of the columns are in another order: the channels vary fastest. A patch is read channel by channel."
)
def channels_fastest(reference, x, filter_shape, stride=1, padding=0):
    columns = reference(x, filter_shape, stride, padding)
    blocks = columns.reshape(*x.shape[:2], *filter_shape, -1)  # (N, C, FH, FW, OH*OW)
    return blocks.transpose(0, 2, 3, 1, 4).reshape(columns.shape)


@im2col.mistake("The rows of the columns are in another order: each patch is read column by column, not row by row.")
def patch_transposed(reference, x, filter_shape, stride=1, padding=0):
    columns = reference(x, filter_shape, stride, padding)
    blocks = columns.reshape(*x.shape[:2], *filter_shape, -1)  # (N, C, FH, FW, OH*OW)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(columns.shape)


@im2col.mistake("Rows and columns are exchanged: each patch must be a column, so the shape is (N, C*FH*FW, OH*OW).")
def patches_as_rows(reference, x, filter_shape, stride=1, padding=0):
    return reference(x, filter_shape, stride, padding).transpose(0, 2, 1)


@im2col.mistake(
    "The reshape mixes patches up: the axes stand as (N, C, OH, OW, FH, FW). Move FH, FW before OH, OW first."
)
def reshaped_without_transpose(reference, x, filter_shape, stride=1, padding=0):
    columns = reference(x, filter_shape, stride, padding)
    blocks = columns.reshape(*x.shape[:2], *filter_shape, -1)  # (N, C, FH, FW, OH*OW)
    return blocks.transpose(0, 1, 4, 2, 3).reshape(columns.shape)


@im2col.mistake("The stride is ignored.")
def im2col_no_stride(reference, x, filter_shape, stride=1, padding=0):
    return reference(x, filter_shape, 1, padding)


@im2col.mistake("The padding is ignored.")
def im2col_no_padding(reference, x, filter_shape, stride=1, padding=0):
    return reference(x, filter_shape, stride, 0)


# ---- 1.6 ----


@exercise(
    reference="course_lib.convolution:conv2d_nchw",
    points=4,
    hints=(
        "One filter of shape (C, FH, FW) meets one patch of the same shape. Laid out as a row and as a column, "
        "what is their product?",
        "weight.reshape(OC, -1) @ im2col(x, (FH, FW), S, P) has shape (N, OC, OH*OW): NumPy multiplies the matrices "
        "of a batch one by one. Add bias[:, None], then reshape to (N, OC, OH, OW).",
    ),
)
def conv2d_nchw(rng):
    """Convolve a batch of images with a bank of filters."""
    yield case("one image, one channel, one filter", X[None, None], F[None, None])
    yield case("two filters", rng.normal(size=(1, 1, 3, 4)), rng.normal(size=(2, 1, 2, 2)))
    yield case("three channels", rng.normal(size=(1, 3, 3, 3)), rng.normal(size=(1, 3, 2, 2)))
    yield case("a batch of two", rng.normal(size=(2, 1, 3, 4)), rng.normal(size=(1, 1, 2, 3)))
    yield case(
        "a bias for each filter",
        rng.normal(size=(2, 2, 3, 3)), rng.normal(size=(3, 2, 2, 2)), rng.normal(size=3),
    )  # fmt: skip
    yield case(
        "as many images as channels as filters",
        rng.normal(size=(3, 3, 4, 4)), rng.normal(size=(3, 3, 2, 2)), rng.normal(size=3),
    )  # fmt: skip
    yield case(
        "stride and padding",
        rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4), stride=2, padding=1,
    )  # fmt: skip


@conv2d_nchw.mistake("The channels are averaged. The products of all channels are summed.")
def channels_averaged(reference, x, weight, bias=None, stride=1, padding=0):
    return reference(x, weight / x.shape[1], bias, stride, padding)


@conv2d_nchw.mistake(
    "Each channel is treated as an image of its own. A filter covers all channels and gives one number."
)
def channels_as_batch(reference, x, weight, bias=None, stride=1, padding=0):
    N, C, H, W = x.shape
    return reference(x.reshape(N * C, 1, H, W), weight[:, :1], bias, stride, padding)


@conv2d_nchw.mistake("Only the first channel is used. Sum over all C channels.")
def first_channel_only(reference, x, weight, bias=None, stride=1, padding=0):
    return reference(x[:, :1], weight[:, :1], bias, stride, padding)


@conv2d_nchw.mistake("The filters are flipped. That is a true convolution; networks use cross-correlation.")
def filters_flipped(reference, x, weight, bias=None, stride=1, padding=0):
    return reference(x, weight[:, :, ::-1, ::-1], bias, stride, padding)


@conv2d_nchw.mistake("The bias is forgotten: b[o] is added to every output of filter o.")
def nchw_no_bias(reference, x, weight, bias=None, stride=1, padding=0):
    return reference(x, weight, None, stride, padding)


@conv2d_nchw.mistake("The bias runs along the width instead of the filters: give it the shape (OC, 1, 1) first.")
def bias_along_the_width(reference, x, weight, bias=None, stride=1, padding=0):
    y = reference(x, weight, None, stride, padding)
    return y if bias is None else y + bias


@conv2d_nchw.mistake("The batch and the filters are exchanged in the output: its shape is (N, OC, OH, OW).")
def filters_before_batch(reference, x, weight, bias=None, stride=1, padding=0):
    return reference(x, weight, bias, stride, padding).transpose(1, 0, 2, 3)


@conv2d_nchw.mistake("The padding is ignored.")
def nchw_no_padding(reference, x, weight, bias=None, stride=1, padding=0):
    return reference(x, weight, bias, stride, 0)


# ---- 1.7 ----


@exercise(
    reference="course_lib.convolution:conv_matrix",
    points=3,
    hints=(
        "Row 0 of the matrix computes output (0, 0). Which pixels of the image have a non-zero weight in it?",
        "Make M = np.zeros((OH, OW, H, W)). For each output (i, j), put f into M[i, j] where the filter lies. "
        "At the end reshape to (OH*OW, H*W).",
    ),
)
def conv_matrix(rng):
    """The matrix that does what a filter does."""
    yield case("a filter of two pixels on a row of three", np.array([[1.0, 2.0]]), 1, 3)
    yield case("a filter as large as the image", rng.normal(size=(2, 3)), 2, 3)
    yield case("a wide image", rng.normal(size=(2, 2)), 3, 4)
    yield case("a tall image", rng.normal(size=(2, 2)), 4, 3)
    yield case("a filter that is not square", rng.normal(size=(3, 2)), 4, 4)
    yield case("the worked example", F, 4, 4)


@conv_matrix.mistake("The matrix is transposed. It has a row for each output and a column for each pixel.")
def matrix_transposed(reference, f, H, W):
    return reference(f, H, W).T


@conv_matrix.mistake("The filter is flipped in the rows of the matrix.")
def matrix_flipped(reference, f, H, W):
    return reference(f[::-1, ::-1], H, W)


@conv_matrix.mistake("The rows of the filter are written side by side. In x.ravel() they lie W pixels apart.")
def rows_side_by_side(reference, f, H, W):
    FH, FW = f.shape
    OH, OW = H - FH + 1, W - FW + 1
    M = np.zeros((OH * OW, H * W))
    for i in range(OH):
        for j in range(OW):
            start = i * W + j
            M[i * OW + j, start : start + f.size] = f.ravel()[: H * W - start]
    return M


@conv_matrix.mistake("The axes are left as (OH, OW, H, W). A matrix needs them as (OH*OW, H*W).")
def four_axes(reference, f, H, W):
    FH, FW = f.shape
    return reference(f, H, W).reshape(H - FH + 1, W - FW + 1, H, W)


# ---- 1.8 ----


@exercise(
    reference="course_lib.convolution:receptive_field",
    points=3,
    hints=(
        "Two layers of 3×3, stride 1: one output sees 3 numbers of the layer below. How many pixels do these 3 see "
        "together? What changes when the lower layer has stride 2?",
        "Go from the input upwards with two numbers: r, the field so far (1), and jump, the distance in pixels between "
        "neighbouring numbers (1). A layer (K, S) adds (K - 1) * jump to r, then multiplies jump by S.",
    ),
)
def receptive_field(rng):
    """How much of the input one output sees."""
    yield case("no layer", [])
    yield case("one layer", [(3, 1)])
    yield case("three layers of 3×3", [(3, 1), (3, 1), (3, 1)])
    yield case("a stride in the first layer", [(3, 2), (3, 1)])
    yield case("a stride in the last layer", [(3, 1), (3, 2)])
    yield case("different filters", [(7, 1), (1, 1), (3, 1)])
    yield case("convolution and pooling in turn", [(5, 1), (2, 2), (5, 1), (2, 2), (3, 1)])
    layers = [(int(rng.integers(1, 8)), int(rng.integers(1, 4))) for _ in range(6)]
    yield case("random layers", layers)


@receptive_field.mistake("The filter lengths are added up. Neighbouring fields overlap: each layer adds only K - 1.")
def lengths_added(reference, layers):
    return sum(K for K, S in layers) if layers else 1


@receptive_field.mistake(
    "The strides are ignored: after a stride of S, neighbours lie S times as far apart in the input."
)
def strides_ignored(reference, layers):
    return reference([(K, 1) for K, S in layers])


@receptive_field.mistake("A layer's own stride spreads its own filter. It spreads only the layers after it.")
def own_stride_counted(reference, layers):
    r, jump = 1, 1
    for K, S in layers:
        jump *= S
        r += (K - 1) * jump
    return r


@receptive_field.mistake("The layers are taken from the output down. The first layer of the list is next to the input.")
def layers_reversed(reference, layers):
    return reference(layers[::-1])


@receptive_field.mistake("The 1 is missing: with no layer at all, an output still sees one pixel.")
def no_start(reference, layers):
    return reference(layers) - 1


__dir__ = only_exercises(globals())
