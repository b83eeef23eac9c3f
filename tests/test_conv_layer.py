"""Chapter 03: the layers against torch's autograd, the gradients against the formula and the worked example."""

import numpy as np
import pytest
import torch

from autograder.exercises import conv_layer as exercises
from autograder.notebooks import source_path
from course_lib import conv_layer as library
from course_lib import explore, pooling
from course_lib.convolution import conv2d, conv_matrix, im2col
from course_lib.syllabus import chapter

X = np.arange(1.0, 10.0).reshape(3, 3)
F = np.array([[1.0, 2.0], [3.0, 4.0]])
DY = np.array([[1.0, 0.0], [0.0, 2.0]])

DRAWS = range(25)


def sizes(draw):
    """Random sizes of a convolution: not square, with strides and paddings, the filter always fits."""
    rng = np.random.default_rng(draw)
    N, C, OC = (int(n) for n in rng.integers(1, 5, size=3))
    FH, FW = (int(n) for n in rng.integers(1, 5, size=2))
    H, W = (int(n) for n in rng.integers(4, 12, size=2))
    return rng, (N, C, H, W), (OC, C, FH, FW), int(rng.integers(1, 4)), int(rng.integers(0, 3))


def assert_equal(ours, theirs, atol=1e-10):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=atol)


def by_torch(function, dy, *arrays):
    """``y`` and the gradients of all arrays."""
    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]
    y = function(*tensors)
    y.backward(torch.from_numpy(dy))
    return y, [tensor.grad for tensor in tensors]


def test_the_worked_example_has_the_numbers_of_the_text():
    np.testing.assert_array_equal(conv2d(X, F), [[37, 47], [67, 77]])
    np.testing.assert_array_equal(library.filter_gradient(X, DY), [[11, 14], [20, 23]])
    np.testing.assert_array_equal(library.input_gradient(DY, F), [[1, 2, 0], [3, 6, 4], [0, 6, 8]])


@pytest.mark.parametrize("draw", DRAWS)
def test_conv2d_and_its_gradients_equal_torch(draw):
    rng, x_shape, w_shape, stride, padding = sizes(draw)
    x, W, b = rng.normal(size=x_shape), rng.normal(size=w_shape), rng.normal(size=w_shape[0])
    layer = library.Conv2D(W, b, stride, padding)
    y = layer.forward(x)
    dy = rng.normal(size=y.shape)
    dx = layer.backward(dy)
    theirs, (tdx, tdW, tdb) = by_torch(
        lambda x, W, b: torch.nn.functional.conv2d(x, W, b, stride, padding), dy, x, W, b
    )
    for ours, other in ((y, theirs), (dx, tdx), (layer.grads["W"], tdW), (layer.grads["b"], tdb)):
        assert_equal(ours, other)


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("draw", DRAWS)
def test_pooling_and_its_gradient_equal_torch(draw, kind):
    rng, x_shape, _, stride, _ = sizes(draw)
    size = int(rng.integers(1, 5))
    x = rng.integers(-3, 4, size=x_shape).astype(float)  # whole numbers: many ties
    ours = {"max": library.MaxPool2D, "avg": library.AvgPool2D}[kind](size, stride)
    torchs = {"max": torch.nn.MaxPool2d, "avg": torch.nn.AvgPool2d}[kind](size, stride)
    y = ours.forward(x)
    dy = rng.normal(size=y.shape)
    theirs, (tdx,) = by_torch(torchs, dy, x)
    assert_equal(y, theirs)
    assert_equal(ours.backward(dy), tdx)


@pytest.mark.parametrize("draw", DRAWS)
def test_max_pooling_backwards_is_unpooling_where_windows_lie_side_by_side(draw):
    rng, x_shape, _, _, _ = sizes(draw)
    x, size = rng.normal(size=x_shape), int(rng.integers(1, 4))
    layer = library.MaxPool2D(size)
    dy = rng.normal(size=layer.forward(x).shape)
    y, indices = pooling.max_pool2d_with_indices(x, size)
    np.testing.assert_array_equal(layer.forward(x), y)
    np.testing.assert_array_equal(layer.backward(dy), pooling.max_unpool2d(dy, indices, x.shape[2:]))
    np.testing.assert_allclose(library.AvgPool2D(size).forward(x), pooling.avg_pool2d(x, size))


@pytest.mark.parametrize("draw", DRAWS)
def test_relu_and_its_gradient_equal_torch(draw):
    rng, x_shape, _, _, _ = sizes(draw)
    x, dy = rng.integers(-2, 3, size=x_shape).astype(float), rng.normal(size=x_shape)  # with zeros
    layer = library.ReLU()
    theirs, (tdx,) = by_torch(torch.relu, dy, x)
    assert_equal(layer.forward(x), theirs)
    assert_equal(layer.backward(dy), tdx)


@pytest.mark.parametrize("draw", DRAWS)
def test_a_stack_of_layers_carries_the_gradient_back(draw):
    rng, x_shape, w_shape, _, padding = sizes(draw)
    x, W, b = rng.normal(size=x_shape), rng.normal(size=w_shape), rng.normal(size=w_shape[0])
    layers = [library.Conv2D(W, b, 1, padding), library.ReLU(), library.MaxPool2D(1, 2), library.AvgPool2D(1)]
    y = x
    for layer in layers:
        y = layer.forward(y)
    dy = rng.normal(size=y.shape)
    _, (tdx, tdW, tdb) = by_torch(
        lambda x, W, b: torch.relu(torch.nn.functional.conv2d(x, W, b, padding=padding))[:, :, ::2, ::2], dy, x, W, b
    )
    dx = dy
    for layer in reversed(layers):
        dx = layer.backward(dx)
    for ours, theirs in ((dx, tdx), (layers[0].grads["W"], tdW), (layers[0].grads["b"], tdb)):
        assert_equal(ours, theirs)


@pytest.mark.parametrize("draw", DRAWS)
def test_every_gradient_passes_its_full_tensor_check(draw):
    rng, x_shape, w_shape, stride, padding = sizes(draw)
    x = rng.permutation(np.prod(x_shape)).reshape(x_shape) / 10 + 0.05  # no kink within h, no ties
    x = np.minimum(x, 5) * rng.choice([-1, 1], size=x_shape) if draw % 2 else rng.normal(size=x_shape)
    W, b = rng.normal(size=w_shape), rng.normal(size=w_shape[0])
    for layer in (library.Conv2D(W, b, stride, padding), library.AvgPool2D(2, stride)):
        errors = library.gradient_check(layer, x, rng.normal(size=layer.forward(x).shape))
        assert set(errors) == {"x", *layer.params}
        assert errors["x"].shape == x.shape
        for name, error in errors.items():
            assert error.max() < 1e-5, name


@pytest.mark.parametrize("draw", DRAWS)
def test_max_pooling_passes_the_check_away_from_ties(draw):
    rng, x_shape, _, stride, _ = sizes(draw)
    x = rng.permutation(int(np.prod(x_shape))).reshape(x_shape).astype(float)  # all different by at least 1
    layer = library.MaxPool2D(2, stride)
    errors = library.gradient_check(layer, x, rng.normal(size=layer.forward(x).shape), h=0.1)
    assert errors["x"].max() < 1e-8


@pytest.mark.parametrize("draw", DRAWS)
def test_col2im_is_the_transpose_of_im2col_and_equals_torch_fold(draw):
    rng, x_shape, (_, _, FH, FW), stride, padding = sizes(draw)
    x = rng.normal(size=x_shape)
    columns = im2col(x, (FH, FW), stride, padding)
    other = rng.normal(size=columns.shape)
    back = library.col2im(other, x_shape, (FH, FW), stride, padding)
    np.testing.assert_allclose((columns * other).sum(), (x * back).sum())
    theirs = torch.nn.functional.fold(torch.from_numpy(other), x_shape[2:], (FH, FW), stride=stride, padding=padding)
    assert_equal(back, theirs)
    np.testing.assert_array_equal(library.patches(x, (FH, FW), stride).reshape(*x_shape[:2], -1).shape[:2], x_shape[:2])


@pytest.mark.parametrize("draw", DRAWS)
def test_the_gradient_of_an_image_is_the_transposed_matrix(draw):
    rng, (_, _, H, W), (_, _, FH, FW), _, _ = sizes(draw)
    x, f = rng.normal(size=(H, W)), rng.normal(size=(FH, FW))
    dy = rng.normal(size=conv2d(x, f).shape)
    M = conv_matrix(f, H, W)
    np.testing.assert_allclose(library.input_gradient(dy, f).ravel(), M.T @ dy.ravel(), atol=1e-12)
    measured = library.numerical_gradient(lambda f: np.sum(conv2d(x, f) * dy), f)
    np.testing.assert_allclose(library.filter_gradient(x, dy), measured, atol=1e-7)


@pytest.mark.parametrize("draw", range(5))
def test_central_differences_err_as_the_square_of_the_step(draw):
    x = np.random.default_rng(draw).uniform(1, 2, size=(2, 3))
    errors = [np.abs(library.numerical_gradient(lambda x: np.sum(x**3), x, h) - 3 * x**2).max() for h in (1e-1, 1e-2)]
    np.testing.assert_allclose(errors, [1e-2, 1e-4], rtol=1e-6)


def test_numerical_gradient_leaves_its_input_alone_and_copes_with_integers_and_float32():
    for dtype in (int, np.float32, float):
        x = np.array([1, 2, 3], dtype=dtype)
        gradient = library.numerical_gradient(lambda x: x @ x, x)
        np.testing.assert_allclose(gradient, [2, 4, 6], rtol=1e-8)
        assert gradient.dtype == np.float64
        np.testing.assert_array_equal(x, [1, 2, 3])


def test_relative_error_compares_an_entry_that_should_be_zero_with_the_others():
    a, b = np.array([0.0, 1e-10, 100.0, 1.0]), np.array([0.0, 0.0, 100.0, 2.0])
    np.testing.assert_allclose(library.relative_error(a, b), [0, 1e-9, 0, 0.5])
    np.testing.assert_array_equal(library.relative_error(np.zeros(3), np.zeros(3)), 0)
    assert library.relative_error(np.zeros((0, 2)), np.zeros((0, 2))).shape == (0, 2)


def test_float32_stays_float32():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 2, 5, 4)).astype(np.float32)
    W, b = rng.normal(size=(3, 2, 3, 2)).astype(np.float32), np.zeros(3, np.float32)
    for layer in (library.Conv2D(W, b, 1, 1), library.ReLU(), library.MaxPool2D(2), library.AvgPool2D(2, 1)):
        y = layer.forward(x)
        dx = layer.backward(y)
        assert {a.dtype for a in (y, dx, *layer.grads.values())} == {np.dtype(np.float32)}
    columns = im2col(x, (2, 2))
    assert library.col2im(columns, x.shape, (2, 2)).dtype == np.float32


def test_whole_numbers_are_pooled_and_convolved_too():
    x = np.arange(16).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(library.AvgPool2D(2).forward(x)[0, 0], [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(library.MaxPool2D(2).forward(x)[0, 0], [[5, 7], [13, 15]])
    layer = library.Conv2D(F[None, None], np.zeros(1))
    y = layer.forward(x)
    assert y[0, 0, 0, 0] == 0 + 2 * 1 + 3 * 4 + 4 * 5
    assert layer.backward(np.ones(y.shape)).sum() == 9 * F.sum()


def test_a_nan_in_the_input_is_not_hidden_by_max_pooling():
    for where in range(4):
        x = np.arange(4.0)
        x[where] = np.nan
        assert np.isnan(library.MaxPool2D(2).forward(x.reshape(1, 1, 2, 2))).all()


def layers_and_input():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 2, 4, 4))
    W, b = rng.normal(size=(3, 2, 2, 2)), rng.normal(size=3)
    return x, (
        library.Conv2D(W, b, 1, 1),
        library.Conv2D(W, b),
        library.ReLU(),
        library.MaxPool2D(2),
        library.AvgPool2D(2),
    )


def test_backward_does_not_depend_on_what_the_caller_does_with_x_and_y():
    x, layers = layers_and_input()
    for layer in layers:
        dy = np.ones(layer.forward(x).shape)
        right, grads = layer.backward(dy), dict(layer.grads)
        batch = x.copy()
        y = layer.forward(batch)
        batch[...], y[...] = 7.0, -3.0
        np.testing.assert_array_equal(layer.backward(dy), right)
        for name in grads:
            np.testing.assert_array_equal(layer.grads[name], grads[name])


def test_backward_belongs_to_the_latest_forward_and_does_not_accumulate():
    x, layers = layers_and_input()
    for layer in layers:
        dy = np.ones(layer.forward(x).shape)
        right, grads = layer.backward(dy), dict(layer.grads)
        layer.forward(-x[:1])
        layer.backward(dy[:1])
        layer.forward(x)
        for _ in range(2):
            np.testing.assert_array_equal(layer.backward(dy), right)
            for name in grads:
                np.testing.assert_array_equal(layer.grads[name], grads[name])


def test_parameters_may_be_changed_in_place_or_replaced():
    x, (layer, *_) = layers_and_input()
    W = layer.params["W"].copy()
    layer.params["W"] -= 1
    in_place = layer.forward(x)
    layer.params["W"] = W - 1
    np.testing.assert_array_equal(layer.forward(x), in_place)
    assert set(layer.params) == {"W", "b"}
    layer.backward(in_place)
    assert {name: g.shape for name, g in layer.grads.items()} == {n: p.shape for n, p in layer.params.items()}


def test_inputs_are_left_alone():
    x, layers = layers_and_input()
    kept = x.copy()
    for layer in layers:
        dy = np.ones(layer.forward(x).shape)
        layer.backward(dy)
        np.testing.assert_array_equal(x, kept)
        np.testing.assert_array_equal(dy, 1)


def test_a_check_that_fails_shows_where():
    class OneWrong(library.ReLU):
        def backward(self, dy):
            dx = super().backward(dy)
            dx[0, 1] += 1
            return dx

    errors = library.gradient_check(OneWrong(), np.array([[1.0, 2.0, -3.0]]), np.ones((1, 3)))
    np.testing.assert_array_equal(errors["x"] > 1e-5, [[False, True, False]])


def test_gradient_check_leaves_the_parameters_as_they_were():
    x, (layer, *_) = layers_and_input()
    before = {name: value.copy() for name, value in layer.params.items()}
    library.gradient_check(layer, x, np.ones(layer.forward(x).shape))
    for name, value in before.items():
        np.testing.assert_array_equal(layer.params[name], value)


ONE = library.Conv2D(np.ones((1, 1, 2, 2)), np.zeros(1))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: library.Conv2D(np.ones((2, 2)), np.zeros(2)), r"W needs shape \(OC, C, FH, FW\)"),
        (lambda: library.Conv2D(np.ones((3, 1, 2, 2)), np.zeros(2)), r"b \(OC,\), not .* and \(2,\)"),
        (lambda: ONE.forward(np.ones((1, 3, 4, 4))), "3 channels .* expect 1"),
        (lambda: ONE.forward(np.ones((1, 1, 1, 4))), "does not fit"),
        (lambda: library.ReLU().backward(np.ones(3)), "call forward"),
        (lambda: (ONE.forward(np.ones((1, 1, 3, 3))), ONE.backward(np.ones((1, 1, 3, 3)))), "latest forward gave"),
        (lambda: library.relative_error(np.ones(3), np.ones((3, 1))), "shape of its tensor"),
        (lambda: library.col2im(np.ones((1, 4, 4)), (1, 1, 9, 9), (2, 2)), r"columns .* \(1, 4, 64\)"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_the_suspects_of_the_notebook_have_the_mistakes_that_its_text_names():
    text = source_path(chapter("conv_layer")).read_text(encoding="utf-8")
    assert "ex.Conv2D.mistakes[k].wrong for k in (1, 7, 0, 4)" in text
    names = [exercises.Conv2D.mistakes[k].name for k in (1, 7, 0, 4)]
    assert names == ["dx_overwritten", "last_image_only", "dx_filter_not_turned", "averaged_over_the_batch"]


def test_the_heat_map_shows_each_suspect_at_every_setting():
    layers = {"wrong": exercises.Conv2D.mistakes[1].wrong, "right": library.Conv2D}
    widget = explore.gradient_errors(library.gradient_check, layers)
    settings = {"padding": 0, "draw": 0}
    assert "52 of 60 entries of dx, 0 of 12 entries of dW" in widget.render(layer="wrong", stride=1, **settings)
    for stride, padding, draw in np.ndindex(3, 3, 10):
        picture = widget.render(layer="right", stride=stride + 1, padding=padding, draw=draw)
        assert "0 of 60 entries of dx, 0 of 12 entries of dW, 0 of 2 entries of db" in picture


# ---- different right answers, for test_exercises.py ----


def numerical_by_flat_copies(f, x, h=1e-5):
    flat = x.ravel().astype(float)
    gradient = []
    for k in range(flat.size):
        step = np.zeros(flat.size)
        step[k] = h
        gradient.append((f((flat + step).reshape(x.shape)) - f((flat - step).reshape(x.shape))) / (2 * h))
    return np.array(gradient).reshape(x.shape)


def filter_by_loops(x, dy):
    OH, OW = dy.shape
    df = np.zeros((x.shape[0] - OH + 1, x.shape[1] - OW + 1))
    for i in range(OH):
        for j in range(OW):
            df += dy[i, j] * x[i : i + df.shape[0], j : j + df.shape[1]]
    return df


def filter_by_einsum(x, dy):
    return np.einsum("pqij,ij->pq", np.lib.stride_tricks.sliding_window_view(x, dy.shape), dy)


def input_by_stamping(dy, f):
    dx = np.zeros((dy.shape[0] + f.shape[0] - 1, dy.shape[1] + f.shape[1] - 1))
    for i, j in np.ndindex(dy.shape):
        dx[i : i + f.shape[0], j : j + f.shape[1]] += dy[i, j] * f
    return dx


def input_by_matrix(dy, f):
    H, W = dy.shape[0] + f.shape[0] - 1, dy.shape[1] + f.shape[1] - 1
    return (conv_matrix(f, H, W).T @ dy.ravel()).reshape(H, W)


def col2im_by_positions(columns, x_shape, filter_shape, stride=1, padding=0):
    N, C, H, W = x_shape
    FH, FW = filter_shape
    OW = (W + 2 * padding - FW) // stride + 1
    x = np.zeros((N, C, H + 2 * padding, W + 2 * padding), columns.dtype)
    for k in range(columns.shape[2]):
        i, j = k // OW * stride, k % OW * stride
        x[:, :, i : i + FH, j : j + FW] += columns[:, :, k].reshape(N, C, FH, FW)
    return x[:, :, padding : padding + H, padding : padding + W]


def col2im_by_add_at(columns, x_shape, filter_shape, stride=1, padding=0):
    where = np.arange(np.prod(x_shape)).reshape(x_shape) + 1
    where = im2col(where, filter_shape, stride, padding)  # 0: the border
    x = np.zeros(np.prod(x_shape) + 1, columns.dtype)
    np.add.at(x, where, columns)
    return x[1:].reshape(x_shape)


class ReLUByWhere:
    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        self.x = x.copy()
        return np.where(x > 0, x, x.dtype.type(0))

    def backward(self, dy):
        return np.where(self.x > 0, dy, dy.dtype.type(0))


class ReLUByAssignment:
    params, grads = {}, {}

    def forward(self, x):
        y = x.copy()
        y[x <= 0] = 0
        self.off = x <= 0
        return y

    def backward(self, dy):
        dx = dy.copy()
        dx[self.off] = 0
        return dx


def check_with_a_copy(layer, x, dy, h=1e-5):
    import copy

    layer.forward(x)
    ours = {"x": layer.backward(dy), **layer.grads}
    measured = {"x": numerical_by_flat_copies(lambda v: (layer.forward(v) * dy).sum(), x, h)}
    for name in layer.params:
        twin = copy.deepcopy(layer)

        def f(v, twin=twin, name=name):
            twin.params[name] = v
            return (twin.forward(x) * dy).sum()

        measured[name] = numerical_by_flat_copies(f, layer.params[name], h)
    return {name: library.relative_error(ours[name], measured[name]) for name in measured}


def check_in_place(layer, x, dy, h=1e-5):
    x = x.copy()
    errors = {}
    for name, array in {"x": x, **layer.params}.items():
        layer.forward(x)
        dx = layer.backward(dy)
        ours = dx if name == "x" else layer.grads[name]
        measured = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + h
            measured[index] = (layer.forward(x) * dy).sum() / (2 * h)
            array[index] = kept - h
            measured[index] -= (layer.forward(x) * dy).sum() / (2 * h)
            array[index] = kept
        errors[name] = library.relative_error(ours, measured)
    return errors


class ConvByColumns:
    """The way the notebook takes."""

    def __init__(self, W, b, stride=1, padding=0):
        self.params, self.grads = {"W": W, "b": b}, {}
        self.stride, self.padding = stride, padding

    def forward(self, x):
        W, b = self.params["W"], self.params["b"]
        self.x_shape = x.shape
        self.columns = im2col(x, W.shape[2:], self.stride, self.padding)
        y = W.reshape(len(W), -1) @ self.columns + b[:, None]
        OH, OW = ((n + 2 * self.padding - k) // self.stride + 1 for n, k in zip(x.shape[2:], W.shape[2:], strict=True))
        return y.reshape(len(x), len(W), OH, OW)

    def backward(self, dy):
        W = self.params["W"]
        dY = dy.reshape(len(dy), len(W), -1)
        self.grads["W"] = (dY @ self.columns.transpose(0, 2, 1)).sum(axis=0).reshape(W.shape)
        self.grads["b"] = dY.sum(axis=(0, 2))
        dcolumns = W.reshape(len(W), -1).T @ dY
        return col2im_by_positions(dcolumns, self.x_shape, W.shape[2:], self.stride, self.padding)


class ConvByLoops:
    """A loop over the positions, both ways."""

    def __init__(self, W, b, stride=1, padding=0):
        self.params, self.S, self.P = {"W": W, "b": b}, stride, padding

    def forward(self, x):
        W, b = self.params["W"], self.params["b"]
        P, S = self.P, self.S
        self.x = np.pad(x, ((0, 0), (0, 0), (P, P), (P, P)))
        OH, OW = (self.x.shape[2] - W.shape[2]) // S + 1, (self.x.shape[3] - W.shape[3]) // S + 1
        y = np.zeros((len(x), len(W), OH, OW), x.dtype)
        for i in range(OH):
            for j in range(OW):
                patch = self.x[:, :, i * S : i * S + W.shape[2], j * S : j * S + W.shape[3]]
                y[:, :, i, j] = np.tensordot(patch, W, axes=((1, 2, 3), (1, 2, 3))) + b
        return y

    def backward(self, dy):
        W, S, P = self.params["W"], self.S, self.P
        dW, dx = np.zeros_like(W), np.zeros_like(self.x)
        for i in range(dy.shape[2]):
            for j in range(dy.shape[3]):
                here = (slice(None), slice(None), slice(i * S, i * S + W.shape[2]), slice(j * S, j * S + W.shape[3]))
                dW += np.tensordot(dy[:, :, i, j], self.x[here], axes=(0, 0))
                dx[here] += np.tensordot(dy[:, :, i, j], W, axes=(1, 0))
        self.grads = {"W": dW, "b": np.einsum("noij->o", dy)}
        return dx[:, :, P : dx.shape[2] - P, P : dx.shape[3] - P]


class MaxByColumns:
    """The way the notebook takes."""

    def __init__(self, size, stride=None):
        self.size, self.stride = size, stride or size
        self.params, self.grads = {}, {}

    def forward(self, x):
        N, C, H, W = self.x_shape = x.shape
        K, S = self.size, self.stride
        columns = im2col(x, (K, K), S).reshape(N, C, K * K, -1)
        self.winner = columns.argmax(axis=2)[:, :, None]
        return columns.max(axis=2).reshape(N, C, (H - K) // S + 1, (W - K) // S + 1)

    def backward(self, dy):
        N, C, _, _ = self.x_shape
        K = self.size
        dcolumns = np.zeros((N, C, K * K, dy[0, 0].size), dy.dtype)
        np.put_along_axis(dcolumns, self.winner, dy.reshape(N, C, 1, -1), axis=2)
        return col2im_by_positions(dcolumns.reshape(N, C * K * K, -1), self.x_shape, (K, K), self.stride)


class MaxByLoops:
    params, grads = {}, {}

    def __init__(self, size, stride=None):
        self.K, self.S = size, stride or size

    def forward(self, x):
        K, S = self.K, self.S
        self.x = x.copy()
        windows = np.lib.stride_tricks.sliding_window_view(x, (K, K), axis=(2, 3))[:, :, ::S, ::S]
        return windows.max(axis=(4, 5))

    def backward(self, dy):
        dx = np.zeros(self.x.shape, dy.dtype)
        for n, c, i, j in np.ndindex(dy.shape):
            i_, j_ = i * self.S, j * self.S
            p, q = divmod(self.x[n, c, i_ : i_ + self.K, j_ : j_ + self.K].argmax(), self.K)
            dx[n, c, i_ + p, j_ + q] += dy[n, c, i, j]
        return dx


class AvgByColumns:
    """The way the notebook takes."""

    def __init__(self, size, stride=None):
        self.size, self.stride = size, stride or size
        self.params, self.grads = {}, {}

    def forward(self, x):
        N, C, H, W = self.x_shape = x.shape
        K, S = self.size, self.stride
        columns = im2col(x, (K, K), S).reshape(N, C, K * K, -1)
        return columns.mean(axis=2).reshape(N, C, (H - K) // S + 1, (W - K) // S + 1)

    def backward(self, dy):
        N, C, _, _ = self.x_shape
        K = self.size
        shares = np.repeat(dy.reshape(N, C, 1, -1) / K**2, K * K, axis=2)
        return col2im_by_positions(shares.reshape(N, C * K * K, -1), self.x_shape, (K, K), self.stride)


class AvgByLoops:
    params, grads = {}, {}

    def __init__(self, size, stride=None):
        self.K, self.S = size, stride or size

    def forward(self, x):
        self.x_shape = x.shape
        K, S = self.K, self.S
        return np.lib.stride_tricks.sliding_window_view(x, (K, K), axis=(2, 3))[:, :, ::S, ::S].mean(axis=(4, 5))

    def backward(self, dy):
        dx = np.zeros(self.x_shape, dy.dtype)
        for n, c, i, j in np.ndindex(dy.shape):
            dx[n, c, i * self.S : i * self.S + self.K, j * self.S : j * self.S + self.K] += dy[n, c, i, j] / self.K**2
        return dx


RIGHT = {
    "numerical_gradient": [numerical_by_flat_copies, library.numerical_gradient],
    "filter_gradient": [conv2d, filter_by_loops, filter_by_einsum],
    "input_gradient": [input_by_stamping, input_by_matrix],
    "col2im": [col2im_by_positions, col2im_by_add_at],
    "ReLU": [ReLUByWhere, ReLUByAssignment],
    "gradient_check": [check_with_a_copy, check_in_place],
    "Conv2D": [ConvByColumns, ConvByLoops],
    "MaxPool2D": [MaxByColumns, MaxByLoops],
    "AvgPool2D": [AvgByColumns, AvgByLoops],
}

EQUIVALENT = {
    "col2im": {"2  ->  3": "a wider border than needed; it is cut off by counting from its inner edge"},
    "Conv2D": {
        "-1  ->  -2": "NumPy works out a length that is given as any negative number",
        "(0, 2, 3)  ->  (2, 0, 3)": "the order in which axes are summed",
    },
}
