"""Chapter 06: what is checked of the augmentation exercises."""

import numpy as np

from autograder.compare import Tolerance
from autograder.exercise import Written, case, exercise, only_exercises


def ramp(*shape):
    """Images whose pixels all differ: 0.00, 0.01, 0.02, ..."""
    return np.arange(np.prod(shape)).reshape(shape) / 100


# ---- 6.1 ----


@exercise(
    reference="course_lib.augmentation:flip",
    points=2,
    hints=(
        "Which of the four axes runs from left to right? How does a slice run through it backwards?",
        "x[..., ::-1] mirrors all images. np.where(condition, mirrored, x) chooses image by image when the condition "
        "has shape (N, 1, 1, 1).",
    ),
)
def flip(rng):
    """Mirror some images left to right."""
    yield case("one small image", ramp(1, 1, 2, 3), np.array([True]))
    yield case("the second of two", ramp(2, 1, 2, 2), np.array([False, True]))
    yield case("none of two", ramp(2, 1, 2, 2), np.array([False, False]))
    yield case("colour images", rng.random((3, 3, 4, 5)), np.array([True, False, True]))
    yield case("as many images as columns", rng.random((4, 2, 3, 4)), np.array([True, True, False, False]))


@flip.mistake("The channels are reversed: red and blue change places. Left to right is the last axis.")
def channels_flipped(reference, x, which):
    return np.where(which[:, None, None, None], x[:, ::-1], x)


@flip.mistake("The images are upside down. Rows run along axis 2; left to right is the last axis, 3.")
def upside_down(reference, x, which):
    return np.where(which[:, None, None, None], x[:, :, ::-1], x)


@flip.mistake("The images are turned by 180°: both axes are reversed. Mirror the last one only.")
def turned_by_180(reference, x, which):
    return np.where(which[:, None, None, None], x[:, :, ::-1, ::-1], x)


@flip.mistake("The batch is reversed: other images, not mirrored ones. Axis 0 counts the images.")
def batch_reversed(reference, x, which):
    return np.where(which[:, None, None, None], x[::-1], x)


@flip.mistake("All images are mirrored, whatever `which` says.")
def all_flipped(reference, x, which):
    return x[..., ::-1]


@flip.mistake("The first entry of `which` decides for the whole batch. Each image has its own.")
def first_decides_flip(reference, x, which):
    return x[..., ::-1] if which[0] else x


@flip.mistake("It is the other way round: the images where `which` is True are to be mirrored.")
def flip_inverted(reference, x, which):
    return reference(x, ~which)


# ---- 6.2 ----


@exercise(
    reference="course_lib.augmentation:shift",
    points=3,
    hints=(
        "An image of 5 columns is moved 2 to the right. Which columns of the old image are still seen, and where?",
        "Start with y = np.full_like(x, fill). For dy >= 0 the rows 0..H-dy-1 of x go to the rows dy..H-1 of y; for "
        "dy < 0 the rows -dy..H-1 go to 0..H+dy-1. With max(dy, 0) and max(-dy, 0) both cases are one slice.",
    ),
)
def shift(rng):
    """Move each image by whole pixels."""
    yield case("one row, one to the right", ramp(1, 1, 1, 3) + 0.01, np.array([0]), np.array([1]))
    yield case("one column, one up", ramp(1, 1, 3, 1) + 0.01, np.array([-1]), np.array([0]))
    yield case("down and to the left", ramp(1, 1, 3, 4) + 0.01, np.array([1]), np.array([-2]))
    yield case("a fill that is not 0", ramp(1, 1, 3, 3), np.array([1]), np.array([1]), fill=0.5)
    yield case("two images, two ways", ramp(2, 1, 3, 4), np.array([1, 0]), np.array([0, -1]), fill=0.9)
    yield case("nothing moves", ramp(1, 2, 2, 3), np.array([0]), np.array([0]), fill=0.9)
    yield case("out of sight", ramp(2, 1, 2, 3), np.array([2, 0]), np.array([0, -4]), fill=0.5)
    x = rng.integers(0, 256, size=(4, 3, 6, 5)).astype(np.uint8)
    yield case("whole numbers, random ways", x, rng.integers(-3, 4, 4), rng.integers(-3, 4, 4), fill=7)


@shift.mistake("What leaves on one side comes in on the other: np.roll does that. Fill what is left free with `fill`.")
def rolled(reference, x, dy, dx, fill=0):
    return np.stack([np.roll(image, (a, b), (1, 2)) for image, a, b in zip(x, dy, dx, strict=True)])


@shift.mistake("The images move the other way: positive dy is down, positive dx to the right.")
def other_way(reference, x, dy, dx, fill=0):
    return reference(x, -dy, -dx, fill)


@shift.mistake("dy and dx have changed places: dy moves along the rows' axis (2), dx along the columns' (3).")
def shift_swapped(reference, x, dy, dx, fill=0):
    return reference(x, dx, dy, fill)


@shift.mistake("What comes in is always 0. It must be `fill`.")
def always_zero(reference, x, dy, dx, fill=0):
    return reference(x, dy, dx, 0)


@shift.mistake("The border's pixels are repeated. What comes in from outside is `fill`.")
def border_repeated(reference, x, dy, dx, fill=0):
    H, W = x.shape[2:]
    n = np.arange(len(x))[:, None, None]
    i = np.clip(np.arange(H) - dy[:, None], 0, H - 1)[:, :, None]
    j = np.clip(np.arange(W) - dx[:, None], 0, W - 1)[:, None, :]
    return x[n, :, i, j].transpose(0, 3, 1, 2)


@shift.mistake("All images move as the first does. Each has its own dy and dx.")
def first_decides_shift(reference, x, dy, dx, fill=0):
    return reference(x, np.full_like(dy, dy[0]), np.full_like(dx, dx[0]), fill)


@shift.mistake("The result has another dtype than x. np.full_like(x, fill) keeps it.")
def shift_dtype_lost(reference, x, dy, dx, fill=0):
    return reference(x.astype(float), dy, dx, fill)


# ---- 6.3 ----


@exercise(
    reference="course_lib.augmentation:brightness",
    points=2,
    hints=(
        "The largest uint8 is 255. What is np.uint8(200) * np.uint8(2)?",
        "Multiply as floating point, np.clip to 0..255 or 0..1, then round with np.rint and go back to the dtype of x.",
    ),
)
def brightness(rng):
    """Multiply each image by its own factor and keep it in range."""
    pixel = np.array([0, 100, 200, 255], np.uint8).reshape(1, 1, 2, 2)
    yield case("four pixels, darker", pixel, np.array([0.5]))
    yield case("four pixels, brighter", pixel, np.array([1.5]))
    yield case("halves are rounded", np.array([[[[101, 33]]]], np.uint8), np.array([0.77]))
    yield case("numbers from 0 to 1", np.array([[[[0.2, 0.5, 0.9]]]]), np.array([1.6]))
    yield case("two images", np.stack([pixel[0], pixel[0]]), np.array([0.3, 2.0]))
    yield case("random images", rng.integers(0, 256, size=(3, 3, 4, 4)).astype(np.uint8), rng.uniform(0.5, 2.0, size=3))
    yield case("random images from 0 to 1", rng.random((4, 2, 3, 4)), rng.uniform(0.5, 2.0, size=4))


@brightness.mistake("Beyond 255 the numbers start again at 0: uint8 wraps around. Clip before you go back to uint8.")
def wrapped_around(reference, x, gain):
    y = x * gain[:, None, None, None]
    return np.rint(y).astype(np.int64).astype(np.uint8) if x.dtype == np.uint8 else np.clip(y, 0, 1)


@brightness.mistake("Nothing is clipped: beyond 255 uint8 starts again at 0, and beyond 1 there is no brighter white.")
def nothing_clipped(reference, x, gain):
    y = x * gain[:, None, None, None]
    return y.astype(np.int64).astype(np.uint8) if x.dtype == np.uint8 else y


@brightness.mistake("A floating-point image has numbers above 1. Its white is 1, not 255: clip it there.")
def floats_not_clipped(reference, x, gain):
    return reference(x, gain) if x.dtype == np.uint8 else x * gain[:, None, None, None]


@brightness.mistake("The fractions are cut off, which makes every image a little darker. Round with np.rint.")
def cut_off(reference, x, gain):
    y = x * gain[:, None, None, None]
    return np.clip(y, 0, 255).astype(np.uint8) if x.dtype == np.uint8 else np.clip(y, 0, 1)


@brightness.mistake("The gain is added. It multiplies, so that black stays black.")
def gain_added(reference, x, gain):
    white = 255 if x.dtype == np.uint8 else 1
    y = np.clip(x + white * (gain[:, None, None, None] - 1), 0, white)
    return np.rint(y).astype(x.dtype) if x.dtype == np.uint8 else y


@brightness.mistake("The result is floating point although x is uint8. Go back to the dtype of x at the end.")
def left_as_float(reference, x, gain):
    white = 255 if x.dtype == np.uint8 else 1
    return np.clip(x * gain[:, None, None, None], 0, white)


@brightness.mistake("One gain is used for the whole batch. Each image has its own.")
def one_gain(reference, x, gain):
    return reference(x, np.full_like(gain, gain[0]))


# ---- 6.4 ----


@exercise(
    reference="course_lib.augmentation:bilinear",
    points=4,
    hints=(
        "Row 2.25, column 5: how much of pixel (2, 5) and how much of pixel (3, 5)? What if the column is 5.5 as well?",
        "i, j = np.floor(...).astype(int); s, t = rows - i, cols - j. The four weights are products of (1-s) or s with "
        "(1-t) or t; give them an axis for the channels, [:, None]. pixels(x, i + 1, j, fill) is the pixel below.",
    ),
)
def bilinear(rng):
    """The value of each image between its pixels."""
    yield case("a pixel itself", ramp(1, 1, 2, 3), np.array([[[1.0]]]), np.array([[[2.0]]]))
    yield case("halfway down", ramp(1, 1, 2, 3), np.array([[[0.5]]]), np.array([[[1.0]]]))
    yield case("a quarter to the right", np.array([[[[0.0, 1.0]]]]), np.array([[[0.0]]]), np.array([[[0.25]]]))
    yield case(
        "between four pixels", np.array([[[[0.1, 0.5], [0.9, 0.2]]]]), np.array([[[0.25]]]), np.array([[[0.75]]])
    )
    yield case("half outside", np.ones((1, 1, 2, 2)), np.array([[[-0.5, 0.0]]]), np.array([[[0.0, 1.5]]]))
    yield case("outside, with a fill", ramp(1, 1, 2, 2), np.array([[[-0.25, 5.0]]]), np.array([[[0.0, 1.0]]]), fill=0.8)
    x = rng.random((2, 3, 4, 6))
    yield case("random places in colour", x, rng.uniform(-1, 4, (2, 3, 5)), rng.uniform(-1, 6, (2, 3, 5)), fill=0.3)


@bilinear.mistake("The nearest pixel is taken. Mix the four around the position.")
def nearest(reference, x, rows, cols, fill=0):
    return reference(x, np.floor(rows + 0.5), np.floor(cols + 0.5), fill)


@bilinear.mistake("The pixel above and to the left is taken. Mix the four around the position.")
def floored(reference, x, rows, cols, fill=0):
    return reference(x, np.floor(rows), np.floor(cols), fill)


@bilinear.mistake("The weights are the wrong way round: near pixel i means s near 0, and its weight is 1 - s.")
def weights_swapped(reference, x, rows, cols, fill=0):
    i, j = np.floor(rows), np.floor(cols)
    s, t = (rows - i)[:, None], (cols - j)[:, None]
    top = t * reference(x, i, j, fill) + (1 - t) * reference(x, i, j + 1, fill)
    bottom = t * reference(x, i + 1, j, fill) + (1 - t) * reference(x, i + 1, j + 1, fill)
    return s * top + (1 - s) * bottom


@bilinear.mistake("s and t have changed places: s belongs to the rows, t to the columns.")
def s_for_t(reference, x, rows, cols, fill=0):
    i, j = np.floor(rows), np.floor(cols)
    return reference(x, i + (cols - j), j + (rows - i), fill)


@bilinear.mistake("Rows and columns have changed places.")
def rows_for_cols(reference, x, rows, cols, fill=0):
    return reference(x, cols, rows, fill)


@bilinear.mistake("Only the rows are mixed. Do the same with the columns.")
def rows_only(reference, x, rows, cols, fill=0):
    return reference(x, rows, np.floor(cols), fill)


@bilinear.mistake("The edge's pixels are repeated outside. A neighbour outside the image has the value `fill`.")
def edge_repeated(reference, x, rows, cols, fill=0):
    H, W = x.shape[2:]
    return reference(x, np.clip(rows, 0, H - 1), np.clip(cols, 0, W - 1), fill)


@bilinear.mistake("astype(int) rounds towards 0, so between -1 and 0 it gives 0. np.floor rounds down.")
def towards_zero(reference, x, rows, cols, fill=0):
    i, j = rows.astype(int), cols.astype(int)
    s, t = (rows - i)[:, None], (cols - j)[:, None]
    i, j = i.astype(float), j.astype(float)
    top = (1 - t) * reference(x, i, j, fill) + t * reference(x, i, j + 1, fill)
    bottom = (1 - t) * reference(x, i + 1, j, fill) + t * reference(x, i + 1, j + 1, fill)
    return (1 - s) * top + s * bottom


@bilinear.mistake("The value outside is always 0. It must be `fill`.")
def bilinear_zero(reference, x, rows, cols, fill=0):
    return reference(x, rows, cols, 0)


# ---- 6.5 ----


@exercise(
    reference="course_lib.augmentation:warp",
    points=4,
    hints=(
        "Every pixel of the NEW image needs a value. So from which side do you start: where an old pixel goes to, or "
        "where a new pixel comes from?",
        "q: the pixel's position minus the centre ((H-1)/2, (W-1)/2), as (row, column). p = inv(A) @ (q - b). Add the "
        "centre again and give rows and columns to bilinear. np.linalg.inv and @ work on stacks (N, 2, 2).",
    ),
)
def warp(rng):
    """Move every point of each image by a matrix and an offset."""
    turn = np.array([[[0.0, -1.0], [1.0, 0.0]]])
    yield case("nothing moves", ramp(1, 1, 2, 3), np.eye(2)[None])
    yield case("a quarter turn of a square", ramp(1, 1, 3, 3), turn)
    yield case("twice as large", ramp(1, 1, 3, 3), 2 * np.eye(2)[None], fill=0.5)
    yield case("one pixel down, half a pixel to the left", ramp(1, 1, 3, 3), np.eye(2)[None], np.array([[1.0, -0.5]]))
    yield case("a quarter turn, not square", ramp(1, 1, 3, 5), turn, fill=0.9)
    yield case("rows stretched, columns not", ramp(1, 1, 4, 3), np.array([[[2.0, 0.0], [0.0, 1.0]]]), fill=0.5)
    A = np.eye(2) + rng.uniform(-0.4, 0.4, size=(3, 2, 2))
    x, b = rng.random((3, 2, 5, 6)), rng.uniform(-1, 1, size=(3, 2))
    yield case("three images, three ways", x, A, b, fill=0.2)


@warp.mistake("A says where a point goes to. A pixel of the new image comes FROM inv(A) (q - b): the inverse map.")
def forward_map(reference, x, matrix, offset=None, fill=0):
    back = np.linalg.inv(matrix)
    b = None if offset is None else -(back @ offset[:, :, None])[:, :, 0]
    return reference(x, back, b, fill)


@warp.mistake("A is not inverted. A pixel of the new image comes from p = inv(A) (q - b): the inverse map.")
def not_inverted(reference, x, matrix, offset=None, fill=0):
    return reference(x, np.linalg.inv(matrix), offset, fill)


@warp.mistake("The image turns about its corner. Take the centre, ((H-1)/2, (W-1)/2), as the origin.")
def about_the_corner(reference, x, matrix, offset=None, fill=0):
    H, W = x.shape[2:]
    centre = np.array([(H - 1) / 2, (W - 1) / 2])
    b = np.zeros((len(x), 2)) if offset is None else offset
    return reference(x, matrix, b + matrix @ centre - centre, fill)


@warp.mistake("The centre is half a pixel off: between pixels 0 and H-1 it is (H-1)/2, not H/2.")
def half_a_pixel_off(reference, x, matrix, offset=None, fill=0):
    half = np.array([0.5, 0.5])
    b = np.zeros((len(x), 2)) if offset is None else offset
    return reference(x, matrix, b + half - matrix @ half, fill)


@warp.mistake("Rows and columns have changed places: the first of the two coordinates is the row.")
def coordinates_swapped(reference, x, matrix, offset=None, fill=0):
    b = None if offset is None else offset[:, ::-1]
    return reference(x, matrix[:, ::-1, ::-1], b, fill)


@warp.mistake("The offset is ignored.")
def no_offset(reference, x, matrix, offset=None, fill=0):
    return reference(x, matrix, None, fill)


@warp.mistake("The offset has the wrong sign. Points move BY b, so a pixel comes from q - b.")
def offset_added(reference, x, matrix, offset=None, fill=0):
    return reference(x, matrix, None if offset is None else -offset, fill)


@warp.mistake("The offset is subtracted after the inverse. A point goes to A p + b, so p = inv(A) (q - b).")
def offset_after(reference, x, matrix, offset=None, fill=0):
    return reference(x, matrix, None if offset is None else (matrix @ offset[:, :, None])[:, :, 0], fill)


@warp.mistake("The nearest pixels are taken. Use your bilinear on the positions as they are.")
def warp_nearest(reference, x, matrix, offset=None, fill=0):
    N, C, H, W = x.shape
    centre = np.array([(H - 1) / 2, (W - 1) / 2])
    q = np.indices((H, W)).reshape(2, -1) - centre[:, None]
    q = q - (0 if offset is None else offset[:, :, None])
    p = np.floor(np.linalg.inv(matrix) @ q + centre[:, None] + 0.5).astype(int)
    i, j = p[:, 0].reshape(N, H, W), p[:, 1].reshape(N, H, W)
    inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)
    n = np.arange(N)[:, None, None]
    y = x[n, :, np.clip(i, 0, H - 1), np.clip(j, 0, W - 1)].transpose(0, 3, 1, 2)
    return np.where(inside[:, None], y, fill)


@warp.mistake("The matrix of the first image is used for all. Each image has its own.")
def first_matrix(reference, x, matrix, offset=None, fill=0):
    return reference(x, np.broadcast_to(matrix[:1], matrix.shape), offset, fill)


# ---- 6.6 ----


@exercise(
    reference="course_lib.augmentation:rotate",
    points=2,
    hints=(
        "Rows grow downwards. Where does the point one column right of the centre, (0, 1), go in a quarter turn "
        "counter-clockwise: one row up or one row down?",
        "A = [[cos, -sin], [sin, cos]], acting on (row, column), for each angle: shape (N, 2, 2). Then warp.",
    ),
)
def rotate(rng):
    """Turn each image counter-clockwise."""
    yield case("a quarter turn", ramp(1, 1, 3, 3), np.array([np.pi / 2]))
    yield case("no turn", ramp(1, 1, 2, 3), np.array([0.0]))
    yield case("30 degrees", ramp(1, 1, 4, 4), np.array([np.pi / 6]))
    yield case("two images, two angles", rng.random((2, 1, 4, 5)), np.array([0.4, -1.2]), fill=0.5)
    yield case("random angles", rng.random((3, 3, 5, 6)), rng.uniform(0.2, 1.4, 3), fill=0.2)


@rotate.mistake("It turns clockwise. Rows grow downwards: counter-clockwise takes (0, 1) to (-1, 0).")
def clockwise(reference, x, angle, fill=0):
    return reference(x, -angle, fill)


@rotate.mistake("The angles are radians already: do not convert them again.")
def converted_again(reference, x, angle, fill=0):
    return reference(x, np.deg2rad(angle), fill)


@rotate.mistake("The first angle is used for all images.")
def first_angle(reference, x, angle, fill=0):
    return reference(x, np.full_like(angle, angle[0]), fill)


@rotate.mistake("What comes in from outside is 0. Give `fill` on to warp.")
def rotate_fill_lost(reference, x, angle, fill=0):
    return reference(x, angle, 0)


# ---- 6.7 ----


@exercise(
    reference="course_lib.augmentation:zoom",
    points=2,
    hints=(
        "Zooming in by 2: where does a point 3 pixels right of the centre go?",
        "A = z times the unit matrix: factor[:, None, None] * np.eye(2). warp takes the inverse itself.",
    ),
)
def zoom(rng):
    """Enlarge each image about its centre."""
    yield case("twice as large", ramp(1, 1, 4, 4), np.array([2.0]))
    yield case("half as large", ramp(1, 1, 4, 4) + 0.01, np.array([0.5]))
    yield case("a fill", ramp(1, 1, 3, 5), np.array([0.7]), fill=0.9)
    yield case("two images", rng.random((2, 1, 4, 5)), np.array([0.8, 1.3]), fill=0.3)
    yield case("random factors", rng.random((3, 3, 6, 5)), rng.uniform(1.1, 1.6, 3), fill=0.2)


@zoom.mistake("It zooms out where it should zoom in. warp inverts the matrix for you: give it the factor itself.")
def zoom_inverted(reference, x, factor, fill=0):
    return reference(x, 1 / factor, fill)


@zoom.mistake("Only the rows are stretched. Rows and columns grow by the same factor.")
def rows_stretched(reference, x, factor, fill=0):
    N, C, H, W = x.shape
    centre = np.array([(H - 1) / 2, (W - 1) / 2])
    out = []
    for image, z in zip(x, factor, strict=True):
        r = (np.arange(H) - centre[0]) / z + centre[0]
        i = np.floor(r).astype(int)
        s = (r - i)[None, :, None]
        padded = np.concatenate([np.full((C, H * 4, W), fill), image, np.full((C, H * 4, W), fill)], axis=1)
        out.append((1 - s) * padded[:, i + 4 * H] + s * padded[:, i + 4 * H + 1])
    return np.stack(out)


@zoom.mistake("The first factor is used for all images.")
def first_factor(reference, x, factor, fill=0):
    return reference(x, np.full_like(factor, factor[0]), fill)


@zoom.mistake("What comes in from outside is 0. Give `fill` on to warp.")
def zoom_fill_lost(reference, x, factor, fill=0):
    return reference(x, factor, 0)


# ---- 6.8 ----


@exercise(
    reference="course_lib.augmentation:shear",
    points=2,
    hints=(
        "A point (r, c) goes to (r, c + m r). Which matrix does that to the column vector (r, c)?",
        "A = [[1, 0], [m, 1]] for each image, then warp.",
    ),
)
def shear(rng):
    """Slant each image: rows move sideways, the more the further they are from the centre."""
    yield case("by one column a row", ramp(1, 1, 3, 5), np.array([1.0]))
    yield case("no slant", ramp(1, 1, 2, 3), np.array([0.0]))
    yield case("half a column a row, to the left", ramp(1, 1, 3, 4), np.array([-0.5]), fill=0.9)
    yield case("two images", rng.random((2, 1, 4, 5)), np.array([0.3, -0.4]), fill=0.4)
    yield case("random slants", rng.random((3, 3, 6, 5)), rng.uniform(0.2, 0.6, 3), fill=0.2)


@shear.mistake("The columns are slanted: points move up and down. Rows should move sideways: A = [[1, 0], [m, 1]].")
def other_axis(reference, x, slant, fill=0):
    return reference(x.transpose(0, 1, 3, 2), slant, fill).transpose(0, 1, 3, 2)


@shear.mistake("It slants to the other side. warp inverts the matrix for you: give it m itself.")
def other_side(reference, x, slant, fill=0):
    return reference(x, -slant, fill)


@shear.mistake("The first slant is used for all images.")
def first_slant(reference, x, slant, fill=0):
    return reference(x, np.full_like(slant, slant[0]), fill)


@shear.mistake("What comes in from outside is 0. Give `fill` on to warp.")
def shear_fill_lost(reference, x, slant, fill=0):
    return reference(x, slant, 0)


# ---- 6.9 ----


@exercise(
    reference="course_lib.augmentation:cutout",
    points=2,
    hints=(
        "The square's first row is cy - size // 2. What does a slice do when that is negative?",
        "Work on a copy. For image n cover y[n, :, max(top, 0) : top + size, max(left, 0) : left + size]; a slice that "
        "runs beyond the end stops there by itself, and max(top + size, 0) keeps the end from counting backwards.",
    ),
)
def cutout(rng):
    """Cover a square of each image."""
    yield case("in the middle", ramp(1, 1, 5, 5) + 0.01, np.array([2]), np.array([2]), 3)
    yield case("over the upper left corner", ramp(1, 1, 4, 4) + 0.01, np.array([0]), np.array([0]), 3)
    yield case("over the lower right corner", ramp(1, 1, 4, 5) + 0.01, np.array([3]), np.array([4]), 3)
    yield case("an even size", ramp(1, 1, 5, 6) + 0.01, np.array([2]), np.array([3]), 2)
    yield case("a fill", ramp(1, 1, 4, 3), np.array([2]), np.array([1]), 2, fill=0.5)
    yield case("two images in colour", rng.random((2, 3, 5, 6)), np.array([0, 4]), np.array([5, 1]), 3, fill=0.5)
    x = rng.integers(0, 256, size=(4, 2, 6, 7)).astype(np.uint8)
    yield case("random places, whole numbers", x, rng.integers(0, 6, 4), rng.integers(0, 7, 4), 4, fill=128)


@cutout.mistake("A square over the upper or left edge vanishes: a negative start counts from the end. Use max(top, 0).")
def negative_slice(reference, x, cy, cx, size, fill=0):
    y = x.copy()
    for image, a, b in zip(y, cy - size // 2, cx - size // 2, strict=True):
        image[:, a : a + size, b : b + size] = fill
    return y


@cutout.mistake("The square hangs from (cy, cx) instead of being centred there: it starts at cy - size // 2.")
def from_the_corner(reference, x, cy, cx, size, fill=0):
    return reference(x, cy + size // 2, cx + size // 2, size, fill)


@cutout.mistake("cy and cx have changed places: cy is a row, cx a column.")
def cutout_swapped(reference, x, cy, cx, size, fill=0):
    return reference(x, cx, cy, size, fill)


@cutout.mistake("The square is pushed back inside. It may hang over the edge, or corners are hardly ever covered.")
def pushed_inside(reference, x, cy, cx, size, fill=0):
    H, W = x.shape[2:]
    half = size // 2
    return reference(x, np.clip(cy, half, H - size + half), np.clip(cx, half, W - size + half), size, fill)


@cutout.mistake("The square is one pixel too large: cy - size // 2 and cy + size // 2 are size + 1 rows if both count.")
def one_too_large(reference, x, cy, cx, size, fill=0):
    covered = reference(x, cy, cx, size, fill)
    for a in (0, 1):
        for b in (0, 1):
            covered = reference(covered, cy + a, cx + b, size, fill)
    return covered


@cutout.mistake(
    "The square is one pixel too small: from cy - size // 2 up to cy + size // 2 is size - 1 rows if size is odd."
)
def one_too_small(reference, x, cy, cx, size, fill=0):
    half = size // 2
    return reference(x, cy, cx, 2 * half, fill) if half else x


@cutout.mistake("The same square is covered in all images. Each has its own place.")
def same_square(reference, x, cy, cx, size, fill=0):
    return reference(x, np.full_like(cy, cy[0]), np.full_like(cx, cx[0]), size, fill)


@cutout.mistake("Only the first channel is covered. A hole is a hole in all channels.")
def one_channel(reference, x, cy, cx, size, fill=0):
    y = x.copy()
    y[:, :1] = reference(x[:, :1], cy, cx, size, fill)
    return y


@cutout.mistake("The square is black whatever `fill` says.")
def cutout_black(reference, x, cy, cx, size, fill=0):
    return reference(x, cy, cx, size, 0)


# ---- 6.10 ----


def _one_hot(labels, K):
    return np.eye(K)[labels]


@exercise(
    reference="course_lib.augmentation:mixup",
    points=3,
    hints=(
        "An image that is 70 % cat and 30 % dog: what should the network answer?",
        "x[partner] is the batch in the partners' order, y[partner] their labels. share needs the shape (N, 1, 1, 1) "
        "for the images and (N, 1) for the labels.",
    ),
)
def mixup(rng):
    """Mix images and labels in the same proportion."""
    two = np.array([1, 0])
    yield case("two pixels", np.array([0.0, 1.0]).reshape(2, 1, 1, 1), np.eye(2), np.array([0.75, 0.5]), two)
    yield case("nothing is mixed", ramp(2, 1, 2, 2), np.eye(2), np.ones(2), two)
    yield case("another share for each", ramp(2, 1, 2, 2), np.eye(2), np.array([0.9, 0.4]), two)
    yield case("an image with itself", ramp(2, 1, 1, 2), np.eye(2), np.array([0.7, 0.2]), np.array([0, 1]))
    y = _one_hot(rng.integers(0, 3, 4), 3)
    yield case("in a ring", rng.random((4, 2, 3, 3)), y, rng.uniform(0.2, 0.8, 4), np.array([1, 2, 3, 0]))
    y = _one_hot(rng.integers(0, 5, 5), 5)
    yield case("as many images as classes", rng.random((5, 3, 2, 2)), y, rng.uniform(0.2, 0.8, 5), rng.permutation(5))


@mixup.mistake("The labels are not mixed. An image that is 30 % something else must have a label that says so.")
def labels_not_mixed(reference, x, y, share, partner):
    return reference(x, y, share, partner)[0], y


@mixup.mistake("The images are not mixed, only the labels.")
def images_not_mixed(reference, x, y, share, partner):
    return x, reference(x, y, share, partner)[1]


@mixup.mistake("The shares have changed places: `share` is how much of the image itself is kept.")
def share_of_the_other(reference, x, y, share, partner):
    return reference(x, y, 1 - share, partner)


@mixup.mistake("In the labels the shares have changed places; in the images they are right.")
def labels_the_other_way(reference, x, y, share, partner):
    return reference(x, y, share, partner)[0], reference(x, y, 1 - share, partner)[1]


@mixup.mistake("One share is used for the whole batch. Each image has its own.")
def one_share(reference, x, y, share, partner):
    return reference(x, y, np.full_like(share, share[0]), partner)


@mixup.mistake("Each image takes the label of the larger part. Keep both, in proportion.")
def larger_part(reference, x, y, share, partner):
    return reference(x, y, share, partner)[0], np.where((share >= 0.5)[:, None], y, y[partner])


@mixup.mistake("The partners are read backwards: image n is mixed with image partner[n], that is x[partner].")
def partners_inverted(reference, x, y, share, partner):
    return reference(x, y, share, np.argsort(partner))


which_preserve = Written("which_preserve", points=4)


# ---- 6.11 ----


@exercise(
    reference="course_lib.augmentation:augment",
    points=4,
    hints=(
        "Four of the five transforms only move points: what is the matrix of 'first "
        "mirror, then turn and enlarge'? What is left to do after a single warp?",
        "A = zoom · R(angle) · M with M = diag(1, -1) where mirrored; b in pixels, b = (2u - 1) · shift · (H, W). One "
        "warp(x, A, b, fill), then brightness. Column k of u belongs to parameter k; if not training, return x.",
    ),
    tolerance=Tolerance(rtol=1e-6, atol=1e-7),
)
def augment(rng):
    """Turn, zoom, shift, mirror and brighten each image by its own random numbers."""
    off = {"angle": 0.0, "zoom": 1.0, "shift": 0.0, "flip": 0.0, "gain": 0.0}
    x, u = ramp(1, 1, 4, 4), np.array([[0.75, 1.0, 0.75, 0.0, 0.3, 0.9]])
    yield case("everything switched off", x, u, **off)
    yield case("only a turn", x, u, **(off | {"angle": np.pi}))
    yield case("only a zoom", x, u, **(off | {"zoom": 2.0}))
    yield case("only a shift", ramp(1, 1, 4, 8), u, **(off | {"shift": 0.5, "fill": 0.9}))
    yield case("only the mirror", x, u, **(off | {"flip": 0.5}))
    yield case("no mirror: u is above flip", x, u, **(off | {"flip": 0.2}))
    yield case("only the brightness", 0.5 + x, u, **(off | {"gain": 0.5}))
    yield case("mirror and turn", ramp(1, 1, 5, 5), u, **(off | {"flip": 0.5, "angle": 0.8}))
    yield case("a test image", x, u, training=False)
    yield case("four images", rng.random((4, 3, 5, 6)), rng.random((4, 6)), fill=0.5)
    v = np.concatenate([rng.random((3, 4)), np.array([[0.1], [0.8], [0.2]]), rng.random((3, 1))], axis=1)
    yield case("three images, other limits", rng.random((3, 2, 6, 5)), v, angle=0.5, zoom=1.5, shift=0.2, gain=0.4)


@augment.mistake("All images get the first row of u: the same draw for the whole batch. Each image has its own row.")
def same_draw(reference, x, u, **limits):
    return reference(x, np.broadcast_to(u[:1], u.shape), **limits)


@augment.mistake("Test images are augmented as well. With training=False an image comes back as it is.")
def test_augmented(reference, x, u, **limits):
    return reference(x, u, **(limits | {"training": True}))


@augment.mistake("The range is one-sided: 2u - 1 runs from -1 to 1, so that both directions are as likely.")
def one_sided(reference, x, u, **limits):
    return reference(x, np.where(np.arange(6) == 4, u, (u + 1) / 2), **limits)


@augment.mistake("The zoom is linear, 1 + (2u - 1)(zoom - 1). It must be zoom ** (2u - 1), from 1/zoom to zoom.")
def linear_zoom(reference, x, u, angle=np.pi, zoom=1.1, shift=0.05, flip=0.5, gain=0.2, fill=0, training=True):
    u = u.copy()
    if zoom != 1:
        u[:, 1] = (np.log(1 + (2 * u[:, 1] - 1) * (zoom - 1 + 1e-12)) / np.log(zoom) + 1) / 2
    return reference(x, u, angle, zoom, shift, flip, gain, fill, training)


@augment.mistake("The images are mirrored after they are turned. Mirror first: A = zoom · R · M, with M at the right.")
def mirrored_last(reference, x, u, angle=np.pi, zoom=1.1, shift=0.05, flip=0.5, gain=0.2, fill=0, training=True):
    u = u.copy()
    u[:, 0] = np.where(u[:, 4] < flip, 1 - u[:, 0], u[:, 0])
    return reference(x, u, angle, zoom, shift, flip, gain, fill, training)


@augment.mistake("The shift is not in pixels: it is a share of the height and of the width, so multiply by H and W.")
def shift_not_in_pixels(reference, x, u, shift=0.05, **limits):
    u = u.copy()
    u[:, 2:4] = ((2 * u[:, 2:4] - 1) / np.array(x.shape[2:]) + 1) / 2
    return reference(x, u, shift=shift, **limits)


@augment.mistake("H and W have changed places in the shift: rows move by a share of H, columns by a share of W.")
def height_for_width(reference, x, u, **limits):
    H, W = x.shape[2:]
    u = u.copy()
    u[:, 2:4] = ((2 * u[:, 2:4] - 1) * np.array([W / H, H / W]) + 1) / 2
    return reference(x, u, **limits)


@augment.mistake("The images are mirrored where u is above `flip`. `flip` is the chance of being mirrored: u < flip.")
def mirrored_above(reference, x, u, flip=0.5, **limits):
    return reference(x, np.where(np.arange(6) == 4, 1 - u, u), flip=1 - flip, **limits)


@augment.mistake("The brightness is missing.")
def no_brightness(reference, x, u, gain=0.2, **limits):
    return reference(x, u, gain=0.0, **limits)


@augment.mistake("What comes in from outside is 0. Give `fill` on to warp.")
def augment_fill_lost(reference, x, u, fill=0, **limits):
    return reference(x, u, **limits)


__dir__ = only_exercises(globals())
