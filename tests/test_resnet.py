"""Chapter 07: NumPy against Keras and torch, networks against the published counts, twins against each other."""

import numpy as np
import pytest
import torch

from course_lib import resnet as library
from course_lib.conv_layer import numerical_gradient, relative_error
from course_lib.frameworks import keras
from course_lib.resnet.drawing import drawing

DRAWS = range(10)
layers = keras.layers


# ---- NumPy ----


@pytest.mark.parametrize("draw", DRAWS)
def test_batch_norm_equals_keras_in_training_and_at_test_time(draw):
    rng = np.random.default_rng(draw)
    N, C, H, W = (int(n) for n in rng.integers(2, 6, size=4))
    gamma, beta = rng.uniform(0.5, 2, size=C), rng.normal(size=C)
    ours = library.BatchNorm(gamma, beta)
    theirs = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype="float64")
    theirs.build((None, H, W, C))
    theirs.set_weights([gamma, beta, np.zeros(C), np.ones(C)])
    for training in (True, True, False):
        x = rng.normal(2, 3, size=(N, C, H, W))
        expected = np.asarray(theirs(x.transpose(0, 2, 3, 1), training=training)).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(ours.forward(x, training), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("draw", DRAWS)
def test_batch_norm_gradients_equal_torch_and_the_measured_one(draw):
    rng = np.random.default_rng(draw)
    shape = tuple(int(n) for n in rng.integers(2, 5, size=4 if draw % 2 else 2))
    x, dy = rng.normal(size=shape), rng.normal(size=shape)
    gamma, beta = rng.uniform(0.5, 2, size=shape[1]), rng.normal(size=shape[1])
    layer = library.BatchNorm(gamma, beta)
    layer.forward(x)
    dx = layer.backward(dy)
    ours = (torch.tensor(a, requires_grad=True) for a in (x, gamma, beta))
    x_t, gamma_t, beta_t = ours
    torch.nn.functional.batch_norm(x_t, None, None, gamma_t, beta_t, training=True).backward(torch.tensor(dy))
    np.testing.assert_allclose(dx, x_t.grad.numpy(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(layer.grads["gamma"], gamma_t.grad.numpy(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(layer.grads["beta"], beta_t.grad.numpy(), rtol=0, atol=1e-9)
    measured = numerical_gradient(lambda v: (library.BatchNorm(gamma, beta).forward(v) * dy).sum(), x)
    assert relative_error(dx, measured).max() < 1e-4


def test_the_test_time_result_of_an_image_does_not_depend_on_its_neighbours(rng):
    layer = library.BatchNorm(np.ones(3), np.zeros(3))
    layer.forward(rng.normal(size=(4, 3, 2, 2)))
    x = rng.normal(size=(5, 3, 2, 2))
    np.testing.assert_array_equal(layer.forward(x, False)[:1], layer.forward(x[:1], False))


class Matrix:
    def __init__(self, W):
        self.W = W

    def forward(self, x):
        return x @ self.W

    def backward(self, dy):
        return dy @ self.W.T


@pytest.mark.parametrize("draw", DRAWS)
def test_the_gradient_of_a_residual_block_is_the_measured_one(draw):
    rng = np.random.default_rng(draw)
    N, D = (int(n) for n in rng.integers(1, 6, size=2))
    x, dy, branch = rng.normal(size=(N, D)), rng.normal(size=(N, D)), Matrix(rng.normal(size=(D, D)))
    layer = library.Residual(branch)
    layer.forward(x)
    measured = numerical_gradient(lambda v: (library.Residual(branch).forward(v) * dy).sum(), x)
    assert relative_error(layer.backward(dy), measured).max() < 1e-4


def test_errors_say_what_would_be_right():
    with pytest.raises(ValueError, match="one number a channel"):
        library.BatchNorm(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="C = 2"):
        library.BatchNorm(np.ones(2), np.ones(2)).forward(np.ones((1, 3, 2, 2)))
    with pytest.raises(ValueError, match="18, 34, 50, 101, 152"):
        library.cost(20)
    with pytest.raises(ValueError, match="6n \\+ 4"):
        library.wide_resnet_parameters(20, 1)
    with pytest.raises(ValueError, match="basic"):
        library.build_resnet("big", (1,), 2, 2, (8, 8, 3))


# ---- counts ----

PUBLISHED = {18: (11_689_512, 1.8), 34: (21_797_672, 3.6), 50: (25_557_032, 3.8), 101: (44_549_160, 7.6),
             152: (60_192_808, 11.3)}  # fmt: skip


@pytest.mark.parametrize("depth", PUBLISHED)
def test_parameters_and_flops_are_the_published_ones(depth):
    parameters, billions = PUBLISHED[depth]
    cost = library.cost(depth)
    assert cost.parameters == parameters == library.cost(depth, stride_on="3x3").parameters
    assert abs(cost.multiply_adds / 1e9 - billions) < 0.1  # the paper cuts 3.66 to 3.6 and 3.86 to 3.8


def trained_numbers(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize("depth", [18, 50])
def test_a_network_as_built_has_the_parameters_that_were_reckoned(depth):
    assert trained_numbers(library.resnet(depth, 7, (32, 32, 3))) == library.cost(depth, classes=7).parameters


@pytest.mark.parametrize(("depth", "width", "millions"), [(28, 10, 36.5), (16, 8, 11.0), (40, 4, 8.9), (16, 10, 17.1)])
def test_wide_networks_have_the_published_parameters(depth, width, millions):
    assert abs(library.wide_resnet_parameters(depth, width) / 1e6 - millions) < 0.06


def test_the_five_vgg_networks_have_the_published_parameters():
    assert [round(library.vgg(column).parameters / 1e6) for column in "ABCDE"] == [133, 133, 134, 138, 144]


def test_googlenet_and_the_densenets_have_the_published_parameters():
    assert library.googlenet().parameters == 6_998_552
    assert library.densenet().parameters == 7_978_856
    assert library.densenet((6, 12, 32, 32)).parameters == 14_149_480  # DenseNet-169


def test_mobilenet_has_the_parameters_of_keras_applications_and_the_papers_569_million_multiply_adds():
    cost = library.mobilenet()
    assert cost.parameters == trained_numbers(keras.applications.MobileNet(weights=None))
    assert round(cost.multiply_adds / 1e6) == 569


def test_blocks_of_other_families_have_the_parameters_of_networks_built_in_torch():
    nn = torch.nn
    separable = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1, groups=6, bias=False), nn.BatchNorm2d(6),
                              nn.Conv2d(6, 9, 1, bias=False), nn.BatchNorm2d(9))  # fmt: skip
    assert library.separable_block(6, 9, 5).parameters == sum(p.numel() for p in separable.parameters())
    dense = [nn.Sequential(nn.BatchNorm2d(C), nn.Conv2d(C, 16, 1, bias=False), nn.BatchNorm2d(16),
                           nn.Conv2d(16, 4, 3, bias=False)) for C in (10, 14, 18)]  # fmt: skip
    assert library.dense_block(10, 4, 3, 5).parameters == sum(p.numel() for m in dense for p in m.parameters())
    assert library.inception_block(192, 64, (96, 128), (16, 32), 32, 28).parameters == 163_696  # GoogLeNet's 3a


def test_plain_and_free_networks_have_the_same_parameters():
    plain, free = (library.build_resnet(kind, (2, 1, 2), 4, 3, (16, 16, 3)) for kind in ("plain", "free"))
    assert plain.count_params() == free.count_params()


# ---- twins, saving, drawing ----


@pytest.mark.parametrize(("C", "filters", "stride"), [(4, 4, 1), (4, 6, 1), (3, 5, 2), (4, 4, 2)])
def test_a_block_and_its_torch_twin_give_the_same(C, filters, stride, rng):
    inputs = keras.Input((8, 10, C))
    model = keras.Model(inputs, library.residual_block(inputs, filters, stride))
    for weight in model.weights:
        weight.assign(rng.uniform(0.2, 1, size=weight.shape))
    x = rng.normal(size=(2, 8, 10, C)).astype(np.float32)
    with torch.no_grad():
        theirs = library.twin_of_block(model, C, filters, stride)(torch.tensor(x.transpose(0, 3, 1, 2).copy())).numpy()
    ours = np.asarray(model(x, training=False)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_training_lowers_the_loss_and_a_saved_network_says_the_same(tmp_path):
    from course_lib import datasets

    data = datasets.shapes(200, 50, 50)
    keras.utils.set_random_seed(0)
    model = library.build_resnet("basic", (1,), 8, 10, (32, 32, 3))
    history = library.train(model, data, 200, 6, seed=0, progress=False)
    assert history["training loss"][-1] < history["training loss"][0]
    model.save(tmp_path / "kept.keras")
    again = keras.models.load_model(tmp_path / "kept.keras")
    x = library.prepare(data.test)
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(again(x)))


def test_the_drawing_has_an_arc_for_every_straight_path():
    model = library.build_resnet("basic", (1, 2), 4, 3, (16, 16, 3))
    assert drawing(model).count("stroke-width='2'") >= 3
    assert drawing(model).count("Add") == 3


# ---- different right answers ----


class BatchNormWithMoments:
    def __init__(self, gamma, beta, momentum=0.9, epsilon=1e-5):
        self.gamma, self.beta, self.keep, self.epsilon = gamma, beta, momentum, epsilon
        self.moving_mean, self.moving_variance = 0.0 * gamma, 0.0 * gamma + 1

    def forward(self, x, training=True):
        rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
        mean, variance = self.moving_mean, self.moving_variance
        if training:
            mean = rows.mean(0)
            variance = (rows**2).mean(0) - mean**2
            self.moving_mean = self.moving_mean + (1 - self.keep) * (mean - self.moving_mean)
            self.moving_variance = self.moving_variance + (1 - self.keep) * (variance - self.moving_variance)
        a = self.gamma / np.sqrt(variance + self.epsilon)
        return x * a[:, None, None] + (self.beta - a * mean)[:, None, None]


class BatchNormByLoops(BatchNormWithMoments):
    def forward(self, x, training=True):
        y, mean, variance = np.empty_like(x), self.moving_mean.copy(), self.moving_variance.copy()
        for c in range(x.shape[1]):
            if training:
                mean[c], variance[c] = x[:, c].mean(), x[:, c].var()
            y[:, c] = self.gamma[c] * (x[:, c] - mean[c]) / np.sqrt(variance[c] + self.epsilon) + self.beta[c]
        if training:
            self.moving_mean = 0.9 * self.moving_mean + 0.1 * mean
            self.moving_variance = 0.9 * self.moving_variance + 0.1 * variance
        return y


def backward_by_channels(dy, x_hat, sigma, gamma):
    dx = np.empty_like(dy)
    for c in range(dy.shape[1]):
        d, h = dy[:, c], x_hat[:, c]
        dx[:, c] = gamma[c] / sigma[c] * (d - d.mean() - h * (d * h).mean())
    return dx, np.einsum("nchw,nchw->c", dy, x_hat), np.einsum("nchw->c", dy)


def backward_by_the_jacobian(dy, x_hat, sigma, gamma):
    rows = np.moveaxis(dy, 1, 0).reshape(dy.shape[1], -1)
    hats = np.moveaxis(x_hat, 1, 0).reshape(dy.shape[1], -1)
    m = rows.shape[1]
    dx = [g / s * ((np.eye(m) - 1 / m - np.outer(h, h) / m) @ d)
          for d, h, s, g in zip(rows, hats, sigma, gamma, strict=True)]  # fmt: skip
    dx = np.moveaxis(np.reshape(dx, (dy.shape[1], dy.shape[0], *dy.shape[2:])), 0, 1)
    return dx, (rows * hats).sum(1), rows.sum(1)


class ResidualWithWhere:
    def __init__(self, branch):
        self.branch = branch

    def forward(self, x):
        self.y = np.where(self.branch.forward(x) + x > 0, self.branch.forward(x) + x, 0.0)
        return self.y

    def backward(self, dy):
        ds = np.where(self.y > 0, dy, 0.0)
        return self.branch.backward(ds) + ds


class ResidualWithMask(ResidualWithWhere):
    def forward(self, x):
        s = x + self.branch.forward(x)
        self.y = s * (s > 0)
        return self.y


def norm(x):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def block_shortcut_first(x, filters, stride=1):
    straight = x
    if x.shape[-1] != filters or stride > 1:
        straight = norm(layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x))
    y = layers.ZeroPadding2D(1)(x)
    y = layers.Activation("relu")(norm(layers.Conv2D(filters, 3, strides=stride, use_bias=False)(y)))
    y = norm(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    return layers.Activation("relu")(straight + y)


def block_with_functions(x, filters, stride=1):
    y = keras.ops.relu(library.conv_bn(x, filters, 3, stride))
    y = library.conv_bn(y, filters, 3)
    fits = x.shape[1:] == y.shape[1:]
    return keras.ops.relu(keras.ops.add(x if fits else library.conv_bn(x, filters, 1, stride), y))


def bottleneck_shortcut_first(x, filters, stride=1):
    straight = x if x.shape[-1] == 4 * filters and stride == 1 else library.conv_bn(x, 4 * filters, 1, stride)
    y = layers.Activation("relu")(norm(layers.Conv2D(filters, 1, use_bias=False)(x)))
    y = layers.Conv2D(filters, 3, strides=stride, use_bias=False)(layers.ZeroPadding2D(1)(y))
    y = norm(layers.Conv2D(4 * filters, 1, use_bias=False)(layers.Activation("relu")(norm(y))))
    return layers.Activation("relu")(straight + y)


def bottleneck_with_functions(x, filters, stride=1):
    y = x
    for size, maps, step in ((1, filters, 1), (3, filters, stride)):
        y = keras.ops.relu(library.conv_bn(y, maps, size, step))
    y = library.conv_bn(y, 4 * filters, 1)
    return keras.ops.relu(y + (x if x.shape[1:] == y.shape[1:] else library.conv_bn(x, 4 * filters, 1, stride)))


def network_with_a_flat_list(kind, blocks, width, classes, input_shape):
    plan = [(s, k) for s, count in enumerate(blocks) for k in range(count)]
    inputs = keras.Input(input_shape)
    x = layers.Activation("relu")(library.conv_bn(inputs, width, 3, 2))
    for s, k in plan:
        x = (block_shortcut_first if kind == "basic" else bottleneck_shortcut_first)(x, width << s, 1 + (s > 0 == k))
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def network_with_a_mean(kind, blocks, width, classes, input_shape):
    inputs = keras.Input(input_shape)
    x = keras.ops.relu(library.conv_bn(inputs, width, 3, 2))
    for s, count in enumerate(blocks):
        strides = [2 if s else 1] + [1] * (count - 1)
        for stride in strides:
            x = {"basic": block_with_functions, "bottleneck": bottleneck_with_functions}[kind](x, width * 2**s, stride)
    return keras.Model(inputs, layers.Dense(classes)(keras.ops.mean(x, axis=(1, 2))))


def wide_from_layers(depth, width, classes=10):
    shapes, C = [(3, 3, 3, 16)], 16
    for stage in range(3):
        F = 16 * width * 2**stage
        for k in range((depth - 4) // 6):
            shapes += [(2, C), (3, 3, C, F), (2, F), (3, 3, F, F)]
            shapes += [(C, F)] if k == 0 and C != F else []
            C = F
    return int(sum(np.prod(shape) for shape in [*shapes, (2, C), (C, classes), (classes,)]))


def wide_closed(depth, width, classes=10):
    n, total, C = (depth - 4) // 6, 432, 16
    for F in 16 * width * np.array([1, 2, 4]):
        total += 9 * C * F + 9 * F * F + 2 * C + 2 * F + (n - 1) * (18 * F * F + 4 * F) + (C != F) * C * F
        C = F
    return int(total + 2 * C + C * classes + classes)


def head_by_name(path, classes):
    old = keras.saving.load_model(path)
    for layer in old.layers:
        layer.trainable = False
    return keras.Model(old.input, layers.Dense(classes)(old.layers[-2].output))


def head_around_a_body(path, classes):
    old = keras.models.load_model(path)
    body = keras.Model(old.input, old.layers[-2].output)
    body.trainable = False
    inputs = keras.Input(old.input_shape[1:])
    return keras.Model(inputs, layers.Dense(classes)(body(inputs)))


def torch_by_einsum(weights):
    state = {}
    for key, value in weights.items():
        layer, kind = key.rsplit("/", 1)
        if kind == "kernel":
            value = np.einsum("hwco->ochw", value) if value.ndim == 4 else np.einsum("dk->kd", value)
        kind = {"kernel": "weight", "gamma": "weight", "beta": "bias"}.get(kind, kind)
        state[f"{layer}.{kind.replace('moving', 'running').replace('variance', 'var')}"] = value
    return state


def torch_by_moveaxis(weights):
    state = {}
    for key, value in weights.items():
        name = key.replace("/kernel", ".weight").replace("/gamma", ".weight").replace("/beta", ".bias")
        name = name.replace("/bias", ".bias").replace("/moving_mean", ".running_mean")
        name = name.replace("/moving_variance", ".running_var")
        state[name] = np.moveaxis(value, (-1, -2), (0, 1)).copy() if value.ndim > 1 else value
    return state


RIGHT = {
    "BatchNorm": [BatchNormWithMoments, BatchNormByLoops],
    "batch_norm_backward": [backward_by_channels, backward_by_the_jacobian],
    "Residual": [ResidualWithWhere, ResidualWithMask],
    "residual_block": [block_shortcut_first, block_with_functions],
    "bottleneck_block": [bottleneck_shortcut_first, bottleneck_with_functions],
    "build_resnet": [network_with_a_flat_list, network_with_a_mean],
    "wide_resnet_parameters": [wide_from_layers, wide_closed],
    "with_new_head": [head_by_name, head_around_a_body],
    "to_torch": [torch_by_einsum, torch_by_moveaxis],
}

EQUIVALENT = {
    "batch_norm_backward": {
        "dy.size // dy.shape[1]  ->  dy.size / dy.shape[1]": "the number of channels divides the size; no remainder",
    },
}
