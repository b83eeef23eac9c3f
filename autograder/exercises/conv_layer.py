"""Chapter 03: what is checked of the gradients and the layers.

A layer is driven as a network drives it: built, run forward and backward, with other calls in between.
"""

import copy

import numpy as np

from autograder.compare import Tolerance
from autograder.exercise import Written, case, exercise, only_exercises

SAME_DTYPE = Tolerance(exact_dtype=True)

X = np.arange(1.0, 10.0).reshape(3, 3)  # the chapter's worked example
F = np.array([[1.0, 2.0], [3.0, 4.0]])
DY = np.array([[1.0, 0.0], [0.0, 2.0]])

NEXT_BATCH = "the next batch is written into x"
OTHER_LAYER = "another layer of the same kind runs"


def drive_layer(layer, x, dy=None, earlier=None, meanwhile=""):
    """What a network does with a layer; the results by name, gradients of the parameters as dW, db."""
    if earlier is not None:  # a step of training on another batch
        layer.forward(earlier[0])
        layer.backward(earlier[1])
    if meanwhile == NEXT_BATCH:
        x = x.copy()
    y = copy.deepcopy(layer.forward(x))
    if dy is None:
        return {"y": y}
    if meanwhile == NEXT_BATCH:
        x[...] = -x[::-1]
    dx = layer.backward(dy)
    return {"y": y, **{f"d{name}": gradient for name, gradient in layer.grads.items()}, "dx": dx}


# ---- 3.1 ----

FUNCTIONS = {
    "the sum of x³": lambda x: float((x**3).sum()),
    "the product of all x": lambda x: float(x.prod()),
    "x₀ + 2 x₁ + 3 x₂ + ...": lambda x: float(x.ravel() @ np.arange(1.0, x.size + 1)),
    "the sum of sin x": lambda x: float(np.sin(x).sum()),
}


def drive_numerical(numerical_gradient, f, x, h=None):
    function = FUNCTIONS[f]
    return numerical_gradient(function, x) if h is None else numerical_gradient(function, x, h)


@exercise(
    reference="course_lib.conv_layer:numerical_gradient",
    points=3,
    hints=(
        "How many times must f be called for an array with one entry? And for one with six?",
        "Work on a float64 copy of x. For each index of np.ndindex(x.shape): keep the entry, add h, call f, "
        "subtract h from what you kept, call f, put back what you kept.",
    ),
    drive=drive_numerical,
)
def numerical_gradient(rng):
    """Gradient of a function of an array, by central differences."""
    yield case("one entry, a large step", f="the sum of x³", x=np.array([1.0]), h=1.0)
    yield case("two entries", f="the sum of x³", x=np.array([1.0, 2.0]), h=0.1)
    yield case("entries that meet each other", f="the product of all x", x=np.array([2.0, 3.0, 5.0]), h=0.5)
    yield case("a matrix", f="x₀ + 2 x₁ + 3 x₂ + ...", x=rng.normal(size=(2, 3)), h=0.1)
    yield case("the usual step", f="the sum of sin x", x=rng.normal(size=(3, 2)))
    yield case("four axes", f="the product of all x", x=rng.uniform(1.0, 2.0, size=(2, 1, 3, 2)), h=1e-3)
    x = rng.uniform(1.0, 2.0, size=4).astype(np.float32)
    yield case("an input in float32", f="the sum of x³", x=x)


@numerical_gradient.mistake(
    "The step goes to one side only. Take f at x + h and at x - h: the error falls as h², not h."
)
def one_sided(reference, f, x, h=1e-5):
    x, gradient = np.array(x, dtype=float), np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] += h
        gradient[index] = (f(moved) - f(x)) / h
    return gradient


@numerical_gradient.mistake("The difference is divided by h. The two points lie 2h apart.")
def divided_by_h(reference, f, x, h=1e-5):
    return 2 * reference(f, x, h)


@numerical_gradient.mistake("The sign is wrong: subtract f(x - h) from f(x + h).")
def sign_of_the_difference(reference, f, x, h=1e-5):
    return -reference(f, x, h)


@numerical_gradient.mistake(
    "All entries are moved together. A partial derivative moves one entry and leaves the others where they are."
)
def all_entries_moved(reference, f, x, h=1e-5):
    return np.full(x.shape, (f(x + h) - f(x - h)) / (2 * h))


@numerical_gradient.mistake("An entry stays moved while the next one is measured. Put it back first.")
def not_put_back(reference, f, x, h=1e-5):
    x, gradient = np.array(x, dtype=float), np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += h
        above = f(x)
        x[index] -= 2 * h
        gradient[index] = (above - f(x)) / (2 * h)
    return gradient


@numerical_gradient.mistake(
    "The entries are moved in float32, which has 7 digits: x + h is rounded. Work on a float64 copy."
)
def moved_in_float32(reference, f, x, h=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += h
        below[index] -= h
        gradient[index] = (f(above) - f(below)) / (2 * h)
    return gradient


# ---- 3.2 ----


@exercise(
    reference="course_lib.conv_layer:filter_gradient",
    points=2,
    hints=(
        "Weight f[0, 0] meets a pixel at every position. Which pixels are these, and by what is each multiplied in df?",
        "df[p, q] is the sum of dy * x[p : p + OH, q : q + OW]. That is the formula of conv2d with dy as the filter.",
    ),
)
def filter_gradient(rng):
    """Gradient of a filter: one image, stride 1, no padding."""
    yield case("the worked example", X, DY)
    yield case("one output", rng.normal(size=(2, 3)), np.array([[2.0]]))
    yield case("a wide image", rng.normal(size=(3, 6)), rng.normal(size=(2, 4)))
    yield case("a tall image", rng.normal(size=(6, 3)), rng.normal(size=(4, 3)))
    yield case("a filter of one weight", rng.normal(size=(3, 4)), rng.normal(size=(3, 4)))


@filter_gradient.mistake("dy is turned. Nothing is flipped in df: pixel (i+p, j+q) meets dy at (i, j).")
def dy_turned(reference, x, dy):
    return reference(x, dy[::-1, ::-1])


@filter_gradient.mistake("df is turned by 180°: its entry [0, 0] belongs to the filter's weight [0, 0].")
def df_turned(reference, x, dy):
    return reference(x, dy)[::-1, ::-1]


@filter_gradient.mistake(
    "The sum over the positions is divided by their number. The chain rule adds; it takes no mean."
)
def mean_over_positions(reference, x, dy):
    return reference(x, dy) / dy.size


@filter_gradient.mistake("df is transposed: rows p go down, columns q to the right.")
def df_transposed(reference, x, dy):
    return reference(x, dy).T


@filter_gradient.mistake("dy is left out: each pixel counts by how much the loss depends on its output.")
def dy_left_out(reference, x, dy):
    return reference(x, np.ones(dy.shape))


# ---- 3.3 ----


@exercise(
    reference="course_lib.conv_layer:input_gradient",
    points=3,
    hints=(
        "The pixel in the corner is seen by one position only. How wide must the border around dy be, so that the "
        "turned filter meets dy[0, 0] with one weight only?",
        "np.pad(dy, ((FH - 1, FH - 1), (FW - 1, FW - 1))) and then conv2d with f[::-1, ::-1].",
    ),
)
def input_gradient(rng):
    """Gradient of an image: stride 1, no padding."""
    yield case("the worked example", DY, F)
    yield case("one output", np.array([[2.0]]), F)
    yield case("a filter of one row", rng.normal(size=(2, 2)), rng.normal(size=(1, 3)))
    yield case("a filter of one column", rng.normal(size=(2, 2)), rng.normal(size=(3, 1)))
    yield case("a filter that is not square", rng.normal(size=(4, 2)), rng.normal(size=(2, 3)))
    yield case("a filter larger than dy", rng.normal(size=(2, 1)), rng.normal(size=(4, 3)))


@input_gradient.mistake("The filter is not turned. Output (i, j) reaches pixel (k, l) through weight (k-i, l-j).")
def filter_not_turned(reference, dy, f):
    return reference(dy, f[::-1, ::-1])


@input_gradient.mistake("The filter is flipped top to bottom only. Turn it by 180°: both axes.")
def flipped_rows_only(reference, dy, f):
    return reference(dy, f[:, ::-1])


@input_gradient.mistake("The filter is flipped left to right only. Turn it by 180°: both axes.")
def flipped_columns_only(reference, dy, f):
    return reference(dy, f[::-1])


@input_gradient.mistake("The border's height and width are exchanged: FH - 1 rows above and below, FW - 1 columns.")
def border_exchanged(reference, dy, f):
    FH, FW = f.shape
    padded = np.pad(dy, ((FW - 1, FW - 1), (FH - 1, FH - 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, f.shape)
    return (windows * f[::-1, ::-1]).sum(axis=(2, 3))


@input_gradient.mistake(
    "The border has FH - 1 rows and as many columns. A filter may be wider than it is high: FW - 1 columns."
)
def border_from_the_height(reference, dy, f):
    padded = np.pad(dy, f.shape[0] - 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, f.shape)
    return (windows * f[::-1, ::-1]).sum(axis=(2, 3))


@input_gradient.mistake(
    "The border is as wide as the filter. Then some positions miss dy altogether: use FH - 1, FW - 1."
)
def border_too_wide(reference, dy, f):
    return np.pad(reference(dy, f), 1)


@input_gradient.mistake("Without its border, dy does not reach the outer pixels. dx must have the shape of x.")
def no_border(reference, dy, f):
    windows = np.lib.stride_tricks.sliding_window_view(dy, f.shape)
    return (windows * f[::-1, ::-1]).sum(axis=(2, 3))


# ---- 3.4 ----


@exercise(
    reference="course_lib.conv_layer:col2im",
    points=3,
    hints=(
        "im2col copies the slice x[:, :, p : p + OH*S : S, q : q + OW*S : S] into columns[:, :, p, q]. "
        "What is the way back for one tap? And for a pixel that several taps have copied?",
        "Reshape the columns to (N, C, FH, FW, OH, OW). Make a padded array of zeros, and for each tap add "
        "columns[:, :, p, q] to its slice with +=. At the end cut the border off.",
    ),
    tolerance=SAME_DTYPE,
)
def col2im(rng):
    """Add every column back to the pixels it came from."""
    ones = np.ones((1, 4, 4))
    yield case("how often is each pixel seen", ones, (1, 1, 3, 3), (2, 2))
    yield case("windows side by side", np.arange(16.0).reshape(1, 4, 4), (1, 1, 4, 4), (2, 2), stride=2)
    yield case("a filter that is not square", rng.normal(size=(1, 6, 6)), (1, 1, 3, 5), (2, 3))
    yield case("two channels", rng.normal(size=(1, 8, 4)), (1, 2, 3, 3), (2, 2))
    yield case("a batch of two", rng.normal(size=(2, 2, 6)), (2, 1, 3, 3), (2, 1))
    yield case("padding 1", rng.normal(size=(1, 9, 6)), (1, 1, 2, 3), (3, 3), padding=1)
    yield case("a row that no patch sees", rng.normal(size=(1, 4, 4)), (1, 1, 5, 4), (2, 2), stride=2)
    yield case("everything at once", rng.normal(size=(2, 18, 9)), (2, 3, 5, 4), (3, 2), stride=2, padding=1)
    yield case("a wide border", rng.normal(size=(1, 16, 20)), (1, 1, 1, 2), (4, 4), padding=3)
    yield case("float32", rng.normal(size=(1, 4, 4)).astype(np.float32), (1, 1, 3, 3), (2, 2))


@col2im.mistake("Where patches overlap, the last one replaces the others. Their gradients add up: use +=.")
def overwritten_by_taps(reference, columns, x_shape, filter_shape, stride=1, padding=0):
    (N, C, H, W), (FH, FW), S, P = x_shape, filter_shape, stride, padding
    OH, OW = (H + 2 * P - FH) // S + 1, (W + 2 * P - FW) // S + 1
    columns = columns.reshape(N, C, FH, FW, OH, OW)
    x = np.zeros((N, C, H + 2 * P, W + 2 * P), columns.dtype)
    for p in range(FH):
        for q in range(FW):
            x[:, :, p : p + OH * S : S, q : q + OW * S : S] = columns[:, :, p, q]
    return x[:, :, P : P + H, P : P + W]


@col2im.mistake("Where patches overlap, the last patch replaces the earlier ones. Their gradients add up: use +=.")
def overwritten_by_positions(reference, columns, x_shape, filter_shape, stride=1, padding=0):
    (N, C, H, W), (FH, FW), S, P = x_shape, filter_shape, stride, padding
    OH, OW = (H + 2 * P - FH) // S + 1, (W + 2 * P - FW) // S + 1
    x = np.zeros((N, C, H + 2 * P, W + 2 * P), columns.dtype)
    for i in range(OH):
        for j in range(OW):
            patch = columns[:, :, i * OW + j].reshape(N, C, FH, FW)
            x[:, :, i * S : i * S + FH, j * S : j * S + FW] = patch
    return x[:, :, P : P + H, P : P + W]


@col2im.mistake("Overlapping contributions are averaged. col2im adds them; it does not undo im2col.")
def overlaps_averaged(reference, columns, x_shape, filter_shape, stride=1, padding=0):
    seen = reference(np.ones_like(columns), x_shape, filter_shape, stride, padding)
    return reference(columns, x_shape, filter_shape, stride, padding) / np.maximum(seen, 1)


@col2im.mistake("The border is still there: cut it off, so that the result has the shape of x.")
def border_left_on(reference, columns, x_shape, filter_shape, stride=1, padding=0):
    N, C, H, W = x_shape
    return reference(columns, (N, C, H + 2 * padding, W + 2 * padding), filter_shape, stride, 0)


@col2im.mistake("The border is cut off at the wrong place: P rows and columns go at the top and the left as well.")
def cut_at_the_end_only(reference, columns, x_shape, filter_shape, stride=1, padding=0):
    N, C, H, W = x_shape
    return reference(columns, (N, C, H + 2 * padding, W + 2 * padding), filter_shape, stride, 0)[:, :, :H, :W]


@col2im.mistake("The rows of the columns are read in another order: they go channel by channel, then tap by tap.")
def channels_read_last(reference, columns, x_shape, filter_shape, stride=1, padding=0):
    N, C = x_shape[:2]
    blocks = columns.reshape(N, *filter_shape, C, -1).transpose(0, 3, 1, 2, 4)
    return reference(blocks.reshape(columns.shape), x_shape, filter_shape, stride, padding)


@col2im.mistake("The dtype has changed to float64. Give np.zeros the dtype of the columns.")
def col2im_dtype_lost(reference, columns, x_shape, filter_shape, stride=1, padding=0):
    return reference(columns.astype(float), x_shape, filter_shape, stride, padding)


# ---- 3.5 ----


def drive_relu(ReLU, x, dy=None, earlier=None, meanwhile=""):
    layer = ReLU()
    return drive_layer(layer, x, dy, earlier, meanwhile)


@exercise(
    reference="course_lib.conv_layer:ReLU",
    points=2,
    hints=(
        "What is the slope of max(x, 0) to the left of 0, and to the right? What must forward remember for backward?",
        "forward keeps the mask x > 0 in self; it is an array of its own. backward returns dy * mask.",
    ),
    drive=drive_relu,
    tolerance=SAME_DTYPE,
)
def ReLU(rng):
    """The layer max(x, 0) with its gradient."""
    x, dy = np.array([[2.0, -1.0, 0.5, -3.0]]), np.array([[1.0, 2.0, -3.0, -4.0]])
    yield case("forward", x=x)
    yield case("backward", x=x, dy=dy)
    yield case("the slope at zero is taken as 0", x=np.array([[0.0, 1.0]]), dy=np.array([[5.0, 6.0]]))
    yield case("four axes", x=rng.normal(size=(2, 3, 2, 4)), dy=rng.normal(size=(2, 3, 2, 4)))
    earlier = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    yield case("a second batch", x=rng.normal(size=(2, 3)), dy=rng.normal(size=(2, 3)), earlier=earlier)
    yield case(
        "x gets the next batch before backward",
        x=rng.normal(size=(3, 4)), dy=rng.normal(size=(3, 4)), meanwhile=NEXT_BATCH,
    )  # fmt: skip
    x, dy = (rng.normal(size=(2, 3)).astype(np.float32) for _ in range(2))
    yield case("float32", x=x, dy=dy)


@ReLU.mistake("The gradient passes everywhere. Where x was negative, y does not depend on x at all.")
def passes_everywhere(reference):
    class Wrong(reference):
        def backward(self, dy):
            return dy.copy()

    return Wrong()


@ReLU.mistake("The mask is made from dy. What counts is the sign of the input x; dy may be negative and still passes.")
def mask_from_dy(reference):
    class Wrong(reference):
        def backward(self, dy):
            return dy * (dy > 0)

    return Wrong()


@ReLU.mistake("dy is multiplied by y. The slope where x > 0 is 1, whatever the size of x.")
def times_y(reference):
    class Wrong(reference):
        def forward(self, x):
            self.kept = super().forward(x).copy()
            return self.kept.copy()

        def backward(self, dy):
            return dy * self.kept

    return Wrong()


@ReLU.mistake(
    "At x = 0 the slope 1 is taken. Any number from 0 to 1 could be defended; the convention is 0: use x > 0."
)
def slope_one_at_zero(reference):
    class Wrong(reference):
        def forward(self, x):
            self.kept = x >= 0
            return super().forward(x)

        def backward(self, dy):
            return dy * self.kept

    return Wrong()


@ReLU.mistake(
    "The layer keeps the caller's array, and the next batch has been written into it. "
    "Keep the mask, or a copy: backward must not depend on what the caller does with x."
)
def relu_keeps_callers_array(reference):
    class Wrong(reference):
        def forward(self, x):
            self.theirs = x
            return super().forward(x)

        def backward(self, dy):
            return dy * (self.theirs > 0)

    return Wrong()


@ReLU.mistake("The first batch is kept for ever. Every forward must replace what it keeps.")
def relu_first_batch_kept(reference):
    class Wrong(reference):
        kept = None

        def forward(self, x):
            self.kept = x > 0 if self.kept is None else self.kept
            return super().forward(x)

        def backward(self, dy):
            return dy * self.kept

    return Wrong()


@ReLU.mistake("The dtype has changed to float64. A network in float32 must stay in float32.")
def relu_dtype_lost(reference):
    class Wrong(reference):
        def backward(self, dy):
            return super().backward(dy).astype(float)

    return Wrong()


# ---- 3.6 ----


class Cubic:
    """A layer to try a gradient check on, ``y = x³ W + b``, right or with a bug."""

    def __init__(self, W, b, bug):
        self.params, self.grads, self.bug = {"W": W.copy(), "b": b.copy()}, {}, bug

    def forward(self, x):
        self.x = x.copy()
        return x**3 @ self.params["W"] + self.params["b"]

    def backward(self, dy):
        dx = 3 * self.x**2 * (dy @ self.params["W"].T)
        self.grads = {"W": (self.x**3).T @ dy, "b": dy.sum(axis=0)}
        if self.bug == "one entry of dx has the wrong sign":
            dx[0, -1] *= -1
        if self.bug == "dW is twice as large":
            self.grads["W"] *= 2
        if self.bug == "db is a mean":
            self.grads["b"] /= len(dy)
        return dx


def drive_check(gradient_check, W, b, x, dy, bug="", h=None):
    layer = Cubic(W, b, bug)
    errors = gradient_check(layer, x, dy) if h is None else gradient_check(layer, x, dy, h)
    return {"errors": errors, "W afterwards": layer.params["W"], "b afterwards": layer.params["b"]}


@exercise(
    reference="course_lib.conv_layer:gradient_check",
    points=4,
    hints=(
        "numerical_gradient wants a function that returns one number. Which number has dy as its gradient with "
        "respect to y?",
        "Run forward and backward first and keep dx and layer.grads. For x, f is "
        "lambda v: np.sum(layer.forward(v) * dy). "
        "For a parameter, f puts v into layer.params[name], computes the same sum, and puts the old array back.",
    ),
    drive=drive_check,
    tolerance=Tolerance(rtol=1e-4, atol=1e-5),
)
def gradient_check(rng):
    """Compare all gradients of a layer with numerical ones."""

    def layer(N, D, M):
        W, b = rng.normal(size=(D, M)), rng.normal(size=M)
        return {"W": W, "b": b, "x": rng.uniform(0.5, 2, size=(N, D)), "dy": rng.uniform(0.5, 2, size=(N, M))}

    yield case("a right layer", **layer(1, 1, 1))
    yield case("a right layer, a large step", **layer(1, 2, 1), h=0.1)
    yield case("a wrong dx", **layer(2, 3, 2), bug="one entry of dx has the wrong sign")
    yield case("a wrong dW", **layer(2, 2, 3), bug="dW is twice as large")
    yield case("a wrong db", **layer(3, 2, 2), bug="db is a mean")
    yield case("a right layer, larger", **layer(4, 3, 5))


@gradient_check.mistake("dy is left out of the loss. Measure the gradient of np.sum(y * dy): its gradient is dy.")
def loss_without_dy(reference, layer, x, dy, h=1e-5):
    class SameLayer:
        params, grads = layer.params, {}

        def forward(self, x):
            return layer.forward(x)

        def backward(self, ones):
            dx = layer.backward(dy)
            self.grads = layer.grads
            return dx

    return reference(SameLayer(), x, np.ones_like(dy), h)


@gradient_check.mistake("Only dx is checked. Every parameter in layer.params has a gradient as well.")
def only_dx(reference, layer, x, dy, h=1e-5):
    return {"x": reference(layer, x, dy, h)["x"]}


@gradient_check.mistake("x is missing: dx is what the layers below need, so it is checked first of all.")
def only_parameters(reference, layer, x, dy, h=1e-5):
    errors = reference(layer, x, dy, h)
    del errors["x"]
    return errors


@gradient_check.mistake("Only the largest error is returned. Return all of them: where they are tells which bug it is.")
def largest_only(reference, layer, x, dy, h=1e-5):
    return {name: error.max() for name, error in reference(layer, x, dy, h).items()}


@gradient_check.mistake("The parameters stay moved. Put layer.params[name] back after each call of forward.")
def parameters_stay_moved(reference, layer, x, dy, h=1e-5):
    errors = reference(layer, x, dy, h)
    layer.params = {name: value - h for name, value in layer.params.items()}
    return errors


@gradient_check.mistake("The step h is not passed on to numerical_gradient.")
def step_not_passed_on(reference, layer, x, dy, h=1e-5):
    return reference(layer, x, dy)


# ---- 3.7 ----


def drive_conv(Conv2D, W, b, x, dy=None, stride=1, padding=0, earlier=None, meanwhile="", update=0.0):
    numbers = () if (stride, padding) == (1, 0) else (stride, padding)  # what the defaults are is checked as well
    layer = Conv2D(W.copy(), b.copy(), *numbers)
    if update:  # as an optimiser does
        layer.params["W"] = layer.params["W"] - update
    if meanwhile == OTHER_LAYER:
        other = Conv2D(W + 1, b + 1, *numbers)
        layer.backward = _after(lambda: other.forward(x + 1), layer.backward)
    return drive_layer(layer, x, dy, earlier, meanwhile)


def _after(first, function):
    def run(*args):
        first()
        return function(*args)

    return run


@exercise(
    reference="course_lib.conv_layer:Conv2D",
    points=6,
    hints=(
        "forward computes Y = W2 @ columns + b with W2 of shape (OC, C*FH*FW). For a product of matrices Y = A @ B: "
        "what are dA and dB, given dY? Their shapes leave only one way.",
        "Keep the columns and x.shape in forward. With dY = dy.reshape(N, OC, -1): dW is the sum over n of "
        "dY[n] @ columns[n].T, reshaped to W.shape; db is the sum of dy over axes 0, 2, 3; "
        "dx is col2im of W2.T @ dY.",
    ),
    drive=drive_conv,
    tolerance=SAME_DTYPE,
)
def Conv2D(rng):
    """The convolutional layer, forward and backward."""

    def conv(N, C, H, W, OC, FH, FW, stride=1, padding=0, dtype=float):
        OH, OW = (H + 2 * padding - FH) // stride + 1, (W + 2 * padding - FW) // stride + 1
        sizes = {"W": (OC, C, FH, FW), "b": (OC,), "x": (N, C, H, W), "dy": (N, OC, OH, OW)}
        arrays = {name: rng.normal(size=size).astype(dtype) for name, size in sizes.items()}
        return arrays | {"stride": stride, "padding": padding}

    example = {"W": F[None, None], "b": np.array([10.0]), "x": X[None, None]}
    yield case("forward: the worked example", **example)
    for name, arrays in {
        "two filters, two channels, two images": conv(2, 2, 3, 4, 2, 2, 2),
        "a filter that is not square, stride 2": conv(1, 2, 6, 5, 3, 3, 2, stride=2),
        "padding 1": conv(2, 1, 3, 4, 2, 2, 3, padding=1),
    }.items():
        del arrays["dy"]
        yield case(f"forward: {name}", **arrays)
    yield case("backward: the worked example", **example, dy=DY[None, None])
    yield case("two filters", **conv(1, 1, 3, 4, 2, 2, 2))
    yield case("two channels", **conv(1, 2, 4, 3, 1, 2, 2))
    yield case("a batch of three", **conv(3, 1, 3, 3, 1, 2, 2))
    yield case("a filter that is not square", **conv(1, 1, 4, 5, 1, 3, 2))
    yield case("stride 2, a row left over", **conv(2, 2, 6, 5, 3, 3, 2, stride=2))
    yield case("padding 1", **conv(2, 2, 3, 4, 2, 3, 3, padding=1))
    yield case("everything at once", **conv(3, 2, 7, 6, 4, 3, 2, stride=2, padding=2))
    earlier = conv(2, 2, 3, 4, 2, 2, 2)
    yield case("a second batch", **conv(2, 2, 3, 4, 2, 2, 2), earlier=(earlier["x"], earlier["dy"]))
    yield case("after a step of an optimiser", **conv(1, 2, 3, 4, 2, 2, 2), update=0.5)
    yield case("another layer runs before backward", **conv(2, 2, 3, 4, 2, 2, 2), meanwhile=OTHER_LAYER)
    yield case("x gets the next batch before backward", **conv(2, 2, 3, 4, 2, 2, 2), meanwhile=NEXT_BATCH)
    yield case("float32", **conv(2, 1, 4, 3, 2, 2, 2, padding=1, dtype=np.float32))


@Conv2D.mistake("dx is computed with a filter that is not turned by 180°. col2im of W2.T @ dY does the turning.")
def dx_filter_not_turned(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def forward(self, x):
            self.turned = reference(self.params["W"][:, :, ::-1, ::-1], self.params["b"], stride, padding)
            self.turned.forward(x)
            return super().forward(x)

        def backward(self, dy):
            super().backward(dy)
            return self.turned.backward(dy)

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("In dx, overlapping patches overwrite each other. Their gradients add up: col2im needs +=.")
def dx_overwritten(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def forward(self, x):
            self.x_shape = x.shape
            return super().forward(x)

        def backward(self, dy):
            super().backward(dy)
            W, (N, C, H, width) = self.params["W"], self.x_shape
            FH, FW, (OH, OW) = *W.shape[2:], dy.shape[2:]
            dx = np.zeros((N, C, H + 2 * padding, width + 2 * padding), dy.dtype)
            for p in range(FH):
                for q in range(FW):
                    part = np.einsum("oc,noij->ncij", W[:, :, p, q], dy)
                    dx[:, :, p : p + OH * stride : stride, q : q + OW * stride : stride] = part
            return dx[:, :, padding : padding + H, padding : padding + width]

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("db is summed over the batch only. The bias is added at every position too: sum over axes 0, 2 and 3.")
def db_over_the_batch_only(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {**self.grads, "b": dy.sum(axis=0)}
            return dx

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("db is summed over the positions only. All images share the bias: sum over axes 0, 2 and 3.")
def db_over_positions_only(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {**self.grads, "b": dy.sum(axis=(2, 3))}
            return dx

    return Wrong(W, b, stride, padding)


@Conv2D.mistake(
    "dW and db are divided by the number of images. Where the loss is a mean, dy holds that division already."
)
def averaged_over_the_batch(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {name: gradient / len(dy) for name, gradient in self.grads.items()}
            return dx

    return Wrong(W, b, stride, padding)


@Conv2D.mistake(
    "dW is a mean over the images. It is their sum: where the loss is a mean, dy holds that division already."
)
def dW_is_a_mean(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {**self.grads, "W": self.grads["W"] / len(dy)}
            return dx

    return Wrong(W, b, stride, padding)


@Conv2D.mistake(
    "self.grads is empty. backward returns dx and leaves the other two in self.grads['W'] and self.grads['b']."
)
def nothing_in_grads(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {}
            return dx

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("dW holds the last image only. Sum over all images of the batch.")
def last_image_only(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def backward(self, dy):
            masked = dy.copy()
            masked[:-1] = 0
            super().backward(masked)
            dW = self.grads["W"]
            dx = super().backward(dy)
            self.grads = {**self.grads, "W": dW}
            return dx

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("The gradients of the batch before are still in grads. backward replaces them, it does not add.")
def gradients_accumulate(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def backward(self, dy):
            before = dict(self.grads)
            dx = super().backward(dy)
            self.grads = {name: gradient + before.get(name, 0) for name, gradient in self.grads.items()}
            return dx

    return Wrong(W, b, stride, padding)


@Conv2D.mistake(
    "The layer keeps the caller's array, and the next batch has been written into it. "
    "Keep the columns, or a copy of x: backward must not depend on what the caller does with x."
)
def conv_keeps_callers_array(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def forward(self, x):
            self.theirs = x
            return super().forward(x)

        def backward(self, dy):
            super().forward(self.theirs)
            return super().backward(dy)

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("What forward keeps is overwritten by another layer's forward: keep it in self, not in the class.")
def kept_in_the_class(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def forward(self, x):
            reference.kept_by_all = x.copy()
            return super().forward(x)

        def backward(self, dy):
            super().forward(reference.kept_by_all)
            return super().backward(dy)

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("The first batch is kept for ever. Every forward must replace what it keeps.")
def conv_first_batch_kept(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        first = None

        def forward(self, x):
            self.first = x.copy() if self.first is None else self.first
            return super().forward(x)

        def backward(self, dy):
            super().forward(self.first)
            return super().backward(dy)

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("The layer uses the weights it was built with. An optimiser changes self.params: read them there.")
def weights_it_was_built_with(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def forward(self, x):
            self.params = {"W": W, "b": b}
            return super().forward(x)

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("dx still has its border. Cut it off, so that dx has the shape of x.")
def dx_with_its_border(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def __init__(self):
            super().__init__(W, b, stride, 0)

        def forward(self, x):
            return super().forward(np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))))

    return Wrong()


@Conv2D.mistake("The bias is forgotten in forward: b[o] is added to every output of filter o.")
def forward_without_bias(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def forward(self, x):
            return super().forward(x) - self.params["b"][:, None, None]

    return Wrong(W, b, stride, padding)


@Conv2D.mistake("The dtype has changed to float64. A network in float32 must stay in float32.")
def conv_dtype_lost(reference, W, b, stride=1, padding=0):
    class Wrong(reference):
        def backward(self, dy):
            return super().backward(dy).astype(float)

    return Wrong(W, b, stride, padding)


# ---- 3.8 ----


def drive_pool(Pool2D, size, x, dy=None, stride=None, earlier=None, meanwhile=""):
    layer = Pool2D(size) if stride is None else Pool2D(size, stride)
    return drive_layer(layer, x, dy, earlier, meanwhile)


def pooling_cases(rng):
    """The cases that both kinds of pooling share."""

    def pool(N, C, H, W, size, stride=None, dtype=float):
        OH, OW = ((length - size) // (stride or size) + 1 for length in (H, W))
        x, dy = rng.normal(size=(N, C, H, W)).astype(dtype), rng.normal(size=(N, C, OH, OW)).astype(dtype)
        return {"size": size, "x": x, "dy": dy} | ({} if stride is None else {"stride": stride})

    yield case("one window", **pool(1, 1, 2, 2, 2))
    yield case("a wide image", **pool(1, 1, 2, 6, 2))
    yield case("two channels, a batch of two", **pool(2, 2, 4, 2, 2))
    yield case("a row and a column left over", **pool(1, 1, 5, 7, 2))
    yield case("overlapping windows", **pool(1, 1, 4, 5, 3, stride=1))
    yield case("everything at once", **pool(2, 3, 7, 8, 3, stride=2))
    earlier = pool(2, 1, 4, 4, 2)
    yield case("a second batch", **pool(2, 1, 4, 4, 2), earlier=(earlier["x"], earlier["dy"]))
    yield case("x gets the next batch before backward", **pool(2, 1, 4, 4, 2), meanwhile=NEXT_BATCH)
    yield case("float32", **pool(1, 2, 3, 4, 2, stride=1, dtype=np.float32))


POOLED = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8], [16, 15, 14, 13], [12, 11, 10, 9]])


@exercise(
    reference="course_lib.conv_layer:MaxPool2D",
    points=4,
    hints=(
        "If an entry that is not the largest of its window grows a little, what happens to y? "
        "So what must forward remember of each window?",
        "With the columns of im2col reshaped to (N, C, K*K, OH*OW), the winners are argmax over axis 2. In backward, "
        "make an array of zeros of that shape, put dy at the winners (np.put_along_axis), send it through your col2im.",
    ),
    drive=drive_pool,
    tolerance=SAME_DTYPE,
)
def MaxPool2D(rng):
    """Max pooling, forward and backward."""
    yield case("forward: the worked example", 2, x=POOLED[None, None])
    yield case("backward: the worked example", 2, x=POOLED[None, None], dy=np.array([[[[1.0, 2], [3, 4]]]]))
    yield case("only negative numbers", 2, x=-POOLED[None, None], dy=np.array([[[[1.0, 2], [3, 4]]]]))
    yield from pooling_cases(rng)
    tie = np.array([[[[0.0, 3, 3, 1], [3, 2, 3, 3]]]])
    yield case("a tie: the first in reading order wins", 2, x=tie, dy=np.array([[[[5.0, 7]]]]))


@MaxPool2D.mistake("At a tie every maximum gets the whole gradient. Only one of them does: the first, as argmax says.")
def every_maximum(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            self.kept, self.best = x.copy(), super().forward(x)
            return self.best.copy()

        def backward(self, dy):
            S, (OH, OW) = stride or size, dy.shape[2:]
            dx = np.zeros(self.kept.shape, dy.dtype)
            for p in range(size):
                for q in range(size):
                    here = slice(p, p + OH * S, S), slice(q, q + OW * S, S)
                    dx[:, :, *here] += dy * (self.kept[:, :, *here] == self.best)
            return dx

    return Wrong(size, stride)


@MaxPool2D.mistake(
    "The gradient always goes to the window's top left entry. It goes to the entry that was the largest."
)
def to_the_corner(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            self.x_shape = x.shape
            return super().forward(x)

        def backward(self, dy):
            S, (OH, OW) = stride or size, dy.shape[2:]
            dx = np.zeros(self.x_shape, dy.dtype)
            dx[:, :, : OH * S : S, : OW * S : S] = dy
            return dx

    return Wrong(size, stride)


@MaxPool2D.mistake(
    "The gradient is spread over the whole window. That is average pooling; here one entry gets all of it."
)
def spread_over_the_window(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            self.x_shape = x.shape
            return super().forward(x)

        def backward(self, dy):
            S, (OH, OW) = stride or size, dy.shape[2:]
            dx = np.zeros(self.x_shape, dy.dtype)
            for p in range(size):
                for q in range(size):
                    dx[:, :, p : p + OH * S : S, q : q + OW * S : S] += (dy / size**2).astype(dy.dtype)
            return dx

    return Wrong(size, stride)


@MaxPool2D.mistake(
    "Every entry of the window gets the whole gradient. Only the largest one moved y: it gets dy, the others 0."
)
def dy_to_every_entry(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            self.x_shape = x.shape
            return super().forward(x)

        def backward(self, dy):
            S, (OH, OW) = stride or size, dy.shape[2:]
            dx = np.zeros(self.x_shape, dy.dtype)
            for p in range(size):
                for q in range(size):
                    dx[:, :, p : p + OH * S : S, q : q + OW * S : S] += dy
            return dx

    return Wrong(size, stride)


@MaxPool2D.mistake(
    "At a tie the last maximum gets the gradient. The convention is the first in reading order, as argmax."
)
def last_of_a_tie(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            y = super().forward(x)
            S, (OH, OW) = stride or size, y.shape[2:]
            self.x_shape, self.last = x.shape, np.zeros(y.shape, int)
            for k in range(size * size):
                p, q = divmod(k, size)
                self.last[x[:, :, p : p + OH * S : S, q : q + OW * S : S] == y] = k
            return y

        def backward(self, dy):
            S, (OH, OW) = stride or size, dy.shape[2:]
            dx = np.zeros(self.x_shape, dy.dtype)
            for k in range(size * size):
                p, q = divmod(k, size)
                dx[:, :, p : p + OH * S : S, q : q + OW * S : S] += dy * (self.last == k)
            return dx

    return Wrong(size, stride)


@MaxPool2D.mistake("Where windows overlap, an entry that wins twice gets the gradient of one window only: add with +=.")
def won_twice_counted_once(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            self.kept, self.best = x.copy(), super().forward(x)
            return self.best.copy()

        def backward(self, dy):
            S, dx = stride or size, np.zeros(self.kept.shape, dy.dtype)
            for n, c, i, j in np.ndindex(dy.shape):
                window = self.kept[n, c, i * S : i * S + size, j * S : j * S + size]
                p, q = divmod(int(window.argmax()), size)
                dx[n, c, i * S + p, j * S + q] = dy[n, c, i, j]
            return dx

    return Wrong(size, stride)


@MaxPool2D.mistake("The stride is taken to be the window's size. It is its own argument; only its default is the size.")
def stride_is_the_size(reference, size, stride=None):
    return reference(size)


@MaxPool2D.mistake(
    "The layer keeps the caller's array, and the next batch has been written into it. "
    "Find the winners in forward and keep those: backward must not depend on what the caller does with x."
)
def pool_keeps_callers_array(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            self.theirs = x
            return super().forward(x)

        def backward(self, dy):
            super().forward(self.theirs)
            return super().backward(dy)

    return Wrong(size, stride)


@MaxPool2D.mistake("The dtype has changed to float64. A network in float32 must stay in float32.")
def pool_dtype_lost(reference, size, stride=None):
    class Wrong(reference):
        def backward(self, dy):
            return super().backward(dy).astype(float)

    return Wrong(size, stride)


# ---- 3.9 ----


@exercise(
    reference="course_lib.conv_layer:AvgPool2D",
    points=3,
    hints=(
        "y is the mean of K² entries. If one of them grows by 1, by how much does y grow?",
        "Every entry of a window gets dy / K²: np.repeat a row for each tap, or add dy / K² to the slice of each tap.",
    ),
    drive=drive_pool,
    tolerance=SAME_DTYPE,
)
def AvgPool2D(rng):
    """Average pooling, forward and backward."""
    yield case("forward: the worked example", 2, x=POOLED[None, None])
    yield case("backward: the worked example", 2, x=POOLED[None, None], dy=np.array([[[[4.0, 8], [12, 16]]]]))
    yield from pooling_cases(rng)


@AvgPool2D.mistake("Every entry gets the whole of dy. Its share is 1 / K², as its weight in the mean.")
def not_divided(reference, size, stride=None):
    class Wrong(reference):
        def backward(self, dy):
            return super().backward(dy) * size**2

    return Wrong(size, stride)


@AvgPool2D.mistake("dy is divided by K. A window has K² entries.")
def divided_by_the_width(reference, size, stride=None):
    class Wrong(reference):
        def backward(self, dy):
            return super().backward(dy) * size

    return Wrong(size, stride)


@AvgPool2D.mistake("The gradient goes to the window's top left entry only. Every entry took part in the mean.")
def average_to_the_corner(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            self.x_shape = x.shape
            return super().forward(x)

        def backward(self, dy):
            S, (OH, OW) = stride or size, dy.shape[2:]
            dx = np.zeros(self.x_shape, dy.dtype)
            dx[:, :, : OH * S : S, : OW * S : S] = dy
            return dx

    return Wrong(size, stride)


@AvgPool2D.mistake("Where windows overlap, the last one replaces the others. Their shares add up: use +=.")
def shares_overwritten(reference, size, stride=None):
    class Wrong(reference):
        def forward(self, x):
            self.x_shape = x.shape
            return super().forward(x)

        def backward(self, dy):
            S, (OH, OW) = stride or size, dy.shape[2:]
            dx = np.zeros(self.x_shape, dy.dtype)
            for p in range(size):
                for q in range(size):
                    dx[:, :, p : p + OH * S : S, q : q + OW * S : S] = dy / size**2
            return dx

    return Wrong(size, stride)


@AvgPool2D.mistake("The stride is taken to be the window's size. It is its own argument; only its default is the size.")
def average_stride_is_the_size(reference, size, stride=None):
    return reference(size)


@AvgPool2D.mistake("The dtype has changed to float64. A network in float32 must stay in float32.")
def average_dtype_lost(reference, size, stride=None):
    class Wrong(reference):
        def backward(self, dy):
            return super().backward(dy).astype(float)

    return Wrong(size, stride)


why_turned = Written("why_turned", points=4)

__dir__ = only_exercises(globals())
