"""Chapter 07: what is checked of the exercises on residual networks.

A network is checked by what it computes: its weights are set from a seed, each by its kind and shape, so that the order
in which a student makes the layers does not matter; then its output is compared, at test time and in training.
"""

import os
import tempfile
import zlib

import numpy as np

from autograder.compare import Tolerance
from autograder.exercise import Written, case, exercise, only_exercises
from course_lib.frameworks import keras

NETWORK = Tolerance(rtol=1e-4, atol=1e-5, single=2e-4)


def conv_bn(x, filters, size, stride=1):
    """The chapter's own, for the mistakes below: they run where the whole library is."""
    from course_lib.resnet.blocks import conv_bn as own

    return own(x, filters, size, stride)


def seeded(model, seed):
    """Set every weight to random numbers that depend on the seed and on the weight's kind and shape alone."""
    for weight in model.weights:
        kind, shape = weight.path.rpartition("/")[2], tuple(weight.shape)
        if weight.dtype.startswith("float"):
            rng = np.random.default_rng([seed, zlib.crc32(f"{kind}{shape}".encode())])
            values = rng.normal(size=shape) / np.sqrt(max(1, np.prod(shape[:-1])))
            if "gamma" in kind or "variance" in kind:
                values = rng.uniform(0.5, 1.5, size=shape)
            weight.assign(values.astype("float32"))


def count(weights):
    return int(sum(np.prod(weight.shape) for weight in weights))


def described(model, shape, seed):
    """What is compared of a model: shapes, numbers of weights, outputs."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"a keras.Model is expected, not {type(model).__name__}")
    result = {"output shape": tuple(model.output.shape[1:]), "trainable parameters": count(model.trainable_weights),
              "other weights": count(model.non_trainable_weights)}  # fmt: skip
    seeded(model, seed)
    x = np.random.default_rng(seed).normal(size=(3, *shape)).astype("float32")
    result["output at test time"] = np.asarray(model(x, training=False))
    result["output in training"] = np.asarray(model(x, training=True))
    return result


# ---- 7.1 ----


def drive_batch_norm(answer, gamma, beta, x, new):
    """Two batches in training, then other images at test time."""
    layer = answer(gamma, beta)
    first = np.array(layer.forward(x))  # training is the default
    second = np.array(layer.forward(2 * x - 1, training=True))
    mean, variance = np.array(layer.moving_mean), np.array(layer.moving_variance)
    test = np.array(layer.forward(new, training=False))
    return {"y in training": first, "y of a second batch": second, "moving mean": mean, "moving variance": variance,
            "y at test time": test, "moving mean after the test": layer.moving_mean}  # fmt: skip


@exercise(
    reference="course_lib.resnet:BatchNorm",
    points=4,
    hints=(
        "A channel of a batch (N, C, H, W) is all its images and all its positions. Over which axes is its mean taken? "
        "And which mean is used when training=False?",
        "axes (0, 2, 3). In training: mean and x.var(axis=...) of this batch, and the moving averages become "
        "momentum * moving + (1 - momentum) * batch. Otherwise the moving averages are used and stay as they are. "
        "mean[:, None, None] broadcasts along the channels.",
    ),
    drive=drive_batch_norm,
)
def BatchNorm(rng):
    """Batch normalisation: forward, in training and at test time."""

    def drawn(N, C, H, W):
        return (rng.uniform(0.5, 2, size=C), rng.normal(size=C), 2 * rng.normal(size=(N, C, H, W)) + 3,
                rng.normal(size=(2, C, H, W)))  # fmt: skip

    x = np.array([1.0, 3.0, 5.0, 7.0]).reshape(2, 1, 1, 2)
    yield case("the worked example", np.array([2.0]), np.array([1.0]), x, np.array([[[[4.0]]], [[[5.0]]]]))
    yield case("two channels", *drawn(2, 2, 1, 2))
    yield case("images that are not square", *drawn(3, 2, 2, 3))
    yield case("more channels than images", *drawn(2, 5, 3, 1))


@BatchNorm.mistake("The batch's own mean and variance are used at test time. There it is the moving averages' turn.")
def batch_statistics_at_test_time(reference, *args):
    class Wrong(reference):
        def forward(self, x, training=True):
            if training:
                return super().forward(x, training=True)
            kept = self.moving_mean, self.moving_variance
            y = super().forward(x, training=True)
            self.moving_mean, self.moving_variance = kept
            return y

    return Wrong(*args)


@BatchNorm.mistake("The moving averages are used in training too. There the batch is normalised by its own numbers.")
def moving_averages_in_training(reference, *args):
    class Wrong(reference):
        def forward(self, x, training=True):
            y = super().forward(x, training)
            return super().forward(x, False) if training else y

    return Wrong(*args)


@BatchNorm.mistake("The variance is divided by m - 1. Batch normalisation divides by m (ddof=0, NumPy's default).")
def unbiased_variance(reference, *args):
    class Wrong(reference):
        def forward(self, x, training=True):
            axes, shape = (0, 2, 3), (1, -1, 1, 1)
            mean, variance = x.mean(axis=axes), x.var(axis=axes, ddof=1)
            if training:
                self.moving_mean = 0.9 * self.moving_mean + 0.1 * mean
                self.moving_variance = 0.9 * self.moving_variance + 0.1 * variance
            else:
                mean, variance = self.moving_mean, self.moving_variance
            x_hat = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-5)
            return self.params["gamma"].reshape(shape) * x_hat + self.params["beta"].reshape(shape)

    return Wrong(*args)


@BatchNorm.mistake("The shares of the moving averages are exchanged: the old value keeps the share momentum, 0.9.")
def momentum_exchanged(reference, *args):
    layer = reference(*args)
    layer.momentum = 1 - layer.momentum
    return layer


@BatchNorm.mistake("The moving averages are those of the last batch: nothing of what was before is kept.")
def last_batch_only(reference, *args):
    layer = reference(*args)
    layer.momentum = 0.0
    return layer


@BatchNorm.mistake("The moving averages move at test time too. What is tested must not change the network.")
def moves_at_test_time(reference, *args):
    class Wrong(reference):
        def forward(self, x, training=True):
            y = super().forward(x, training)
            if not training:
                self.moving_mean = 0.9 * self.moving_mean + 0.1 * x.mean(axis=(0, 2, 3))
            return y

    return Wrong(*args)


@BatchNorm.mistake("Each image is normalised by itself. The mean of a channel runs over the batch too: axis=(0, 2, 3).")
def each_image_alone(reference, *args):
    class Wrong(reference):
        def forward(self, x, training=True):
            if not training:
                return super().forward(x, training)
            super().forward(x, training)
            mean, variance = x.mean(axis=(2, 3), keepdims=True), x.var(axis=(2, 3), keepdims=True)
            shape = (1, -1, 1, 1)
            x_hat = (x - mean) / np.sqrt(variance + 1e-5)
            return self.params["gamma"].reshape(shape) * x_hat + self.params["beta"].reshape(shape)

    return Wrong(*args)


@BatchNorm.mistake("It is divided by the variance. The standard deviation is its square root.")
def divided_by_variance(reference, *args):
    class Wrong(reference):
        def forward(self, x, training=True):
            y = super().forward(x, training)
            shape = (1, -1, 1, 1)
            axes = (0, 2, 3)
            sigma = np.sqrt((x.var(axis=axes) if training else self.moving_variance) + 1e-5).reshape(shape)
            beta = self.params["beta"].reshape(shape)
            return (y - beta) / sigma + beta

    return Wrong(*args)


@BatchNorm.mistake("Scale and shift are missing: y = gamma * x_hat + beta.")
def no_scale(reference, gamma, beta):
    return reference(np.ones_like(gamma), np.zeros_like(beta))


# ---- 7.2 ----

why_three_terms = Written("why_three_terms", points=3)


@exercise(
    reference="course_lib.resnet:batch_norm_backward",
    points=4,
    hints=(
        "x reaches y in three ways: directly, through the mean, through the variance. What does each send back?",
        "dgamma and dbeta are sums over axes (0, 2, 3). With m = N*H*W numbers a channel: "
        "dx = gamma / sigma * (dy - dbeta / m - x_hat * dgamma / m), each (C,) array as a[:, None, None].",
    ),
)
def batch_norm_backward(rng):
    """The gradients of batch normalisation in training."""

    def drawn(N, C, H, W):
        x = rng.normal(size=(N, C, H, W)) * 2
        sigma = np.sqrt(x.var(axis=(0, 2, 3)) + 1e-5)
        x_hat = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / sigma[:, None, None]
        return rng.normal(size=x.shape), x_hat, sigma, rng.uniform(0.5, 2, size=C)

    x_hat = np.array([-3.0, -1.0, 1.0, 3.0]).reshape(2, 1, 1, 2) / np.sqrt(5)
    dy = np.array([1.0, 0.0, 0.0, 0.0]).reshape(2, 1, 1, 2)
    yield case("the worked example", dy, x_hat, np.sqrt(np.array([5.0])), np.array([2.0]))
    yield case("two channels", *drawn(2, 2, 1, 2))
    yield case("images that are not square", *drawn(3, 2, 2, 3))
    yield case("more channels than images", *drawn(2, 5, 3, 1))


@batch_norm_backward.mistake("Mean and variance are taken for constants. They depend on x: two terms are missing.")
def only_direct(reference, dy, x_hat, sigma, gamma):
    _, dgamma, dbeta = reference(dy, x_hat, sigma, gamma)
    return dy * (gamma / sigma)[:, None, None], dgamma, dbeta


@batch_norm_backward.mistake("The way through the variance is missing: - x_hat * mean(dy * x_hat).")
def variance_forgotten(reference, dy, x_hat, sigma, gamma):
    _, dgamma, dbeta = reference(dy, x_hat, sigma, gamma)
    return (gamma / sigma)[:, None, None] * (dy - dy.mean(axis=(0, 2, 3), keepdims=True)), dgamma, dbeta


@batch_norm_backward.mistake("The way through the mean is missing: - mean(dy).")
def mean_forgotten(reference, dy, x_hat, sigma, gamma):
    _, dgamma, dbeta = reference(dy, x_hat, sigma, gamma)
    inner = dy - x_hat * (dy * x_hat).mean(axis=(0, 2, 3), keepdims=True)
    return (gamma / sigma)[:, None, None] * inner, dgamma, dbeta


@batch_norm_backward.mistake("dgamma and dbeta are means. Every use of gamma adds up: they are sums.")
def means_for_sums(reference, dy, x_hat, sigma, gamma):
    dx, dgamma, dbeta = reference(dy, x_hat, sigma, gamma)
    m = dy.size / dy.shape[1]
    return dx, dgamma / m, dbeta / m


@batch_norm_backward.mistake("The means inside dx run over the batch only. A channel has N * H * W numbers.")
def divided_by_the_batch(reference, dy, x_hat, sigma, gamma):
    _, dgamma, dbeta = reference(dy, x_hat, sigma, gamma)
    N = len(dy)
    inner = dy - dbeta[:, None, None] / N - x_hat * dgamma[:, None, None] / N
    return (gamma / sigma)[:, None, None] * inner, dgamma, dbeta


@batch_norm_backward.mistake("gamma is missing in dx: y = gamma * x_hat + beta, so every gradient passes through it.")
def gamma_forgotten(reference, dy, x_hat, sigma, gamma):
    dx, dgamma, dbeta = reference(dy, x_hat, sigma, gamma)
    return dx / gamma[:, None, None], dgamma, dbeta


# ---- 7.3 ----


class _Scale:
    """A small branch: a matrix product."""

    def __init__(self, W):
        self.W = W

    def forward(self, x):
        return x @ self.W

    def backward(self, dy):
        return dy @ self.W.T


def drive_residual(answer, W, x, dy):
    """Forward and backward with a matrix as the branch."""
    layer = answer(_Scale(W))
    y = np.array(layer.forward(x))
    return {"y": y, "dx": layer.backward(dy)}


@exercise(
    reference="course_lib.resnet:Residual",
    points=3,
    hints=(
        "The input goes two ways. What does backpropagation do where a path splits?",
        "Keep s > 0 in forward, s = F(x) + x. backward: ds = dy where s > 0, else 0; dx = ds + branch.backward(ds).",
    ),
    drive=drive_residual,
)
def Residual(rng):
    """A branch beside a straight path, forward and backward."""
    W = np.array([[0.0, -2.0], [1.0, 0.0]])
    yield case("the worked example", W, np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]]))
    turned = np.array([[0.0, 1.0], [-2.0, 0.0]])
    yield case("a sum that is 0 lets nothing back", turned, np.array([[1.0, 0.5]]), np.array([[1.0, 1.0]]))
    for name, N, D in (("two rows", 2, 2), ("three rows", 3, 4), ("a larger one", 5, 6)):
        yield case(name, rng.normal(size=(D, D)), rng.normal(size=(N, D)), rng.normal(size=(N, D)))


@Residual.mistake("ReLU stands before the addition. Then the sum can only grow from block to block; add first.")
def activation_before_the_addition(reference, branch):
    class Wrong:
        def forward(self, x):
            F = branch.forward(x)
            self.positive = F > 0
            return np.maximum(F, 0) + x

        def backward(self, dy):
            return dy + branch.backward(dy * self.positive)

    return Wrong()


@Residual.mistake("The gradient of the straight path is missing: where a path splits, the gradients are added.")
def branch_only(reference, branch):
    class Wrong(reference):
        def forward(self, x):
            self.positive = branch.forward(x) + x > 0
            return super().forward(x)

        def backward(self, dy):
            return branch.backward(dy * self.positive)

    return Wrong(branch)


@Residual.mistake("The gradient of the branch is missing: only the straight path comes back.")
def straight_only(reference, branch):
    class Wrong(reference):
        def forward(self, x):
            self.positive = branch.forward(x) + x > 0
            return super().forward(x)

        def backward(self, dy):
            return dy * self.positive

    return Wrong(branch)


@Residual.mistake("ReLU's gradient is missing on the straight path: both ways start behind the same ReLU.")
def straight_path_unmasked(reference, branch):
    class Wrong(reference):
        def forward(self, x):
            self.positive = branch.forward(x) + x > 0
            return super().forward(x)

        def backward(self, dy):
            return dy + branch.backward(dy * self.positive)

    return Wrong(branch)


@Residual.mistake("There is no ReLU after the addition.")
def no_activation(reference, branch):
    class Wrong:
        def forward(self, x):
            return branch.forward(x) + x

        def backward(self, dy):
            return dy + branch.backward(dy)

    return Wrong()


# ---- 7.4 and 7.5 ----


def drive_block(answer, shape, filters, stride, seed):
    """A model of one block, its weights set, and what it computes."""
    inputs = keras.Input(shape)
    given = (filters, stride) if stride > 1 else (filters,)  # stride 1 is the default
    return described(keras.Model(inputs, answer(inputs, *given)), shape, seed)


@exercise(
    reference="course_lib.resnet:residual_block",
    points=3,
    hints=(
        "Which of the two convolutions has the stride? When does x not fit the sum, and what makes it fit?",
        "y = ReLU(conv_bn(x, filters, 3, stride)), y = conv_bn(y, filters, 3). If stride != 1 or x.shape[-1] != "
        "filters: x = conv_bn(x, filters, 1, stride). Then ReLU(Add([y, x])).",
    ),
    drive=drive_block,
    tolerance=NETWORK,
)
def residual_block(rng):
    """The basic block."""
    seed = lambda: int(rng.integers(1000))  # noqa: E731
    yield case("the same shape", (4, 6, 3), 3, 1, seed())
    yield case("more filters", (4, 4, 3), 5, 1, seed())
    yield case("half the size", (6, 4, 3), 6, 2, seed())
    yield case("half the size, the same filters", (6, 6, 4), 4, 2, seed())


@residual_block.mistake("ReLU stands before the addition: ReLU(F) + x. Add first, then ReLU.")
def relu_before_addition(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = keras.layers.ReLU()(conv_bn(y, filters, 3))
    fits = stride == 1 and x.shape[-1] == filters
    return keras.layers.Add()([y, x if fits else conv_bn(x, filters, 1, stride)])


@residual_block.mistake("A ReLU stands before the addition as well: the branch can then only add. Leave it out.")
def relu_on_both_sides(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = keras.layers.ReLU()(conv_bn(y, filters, 3))
    fits = stride == 1 and x.shape[-1] == filters
    return keras.layers.ReLU()(keras.layers.Add()([y, x if fits else conv_bn(x, filters, 1, stride)]))


@residual_block.mistake("The projection has no batch normalisation. It is conv_bn(x, filters, 1, stride).")
def projection_not_normalised(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = conv_bn(y, filters, 3)
    if stride != 1 or x.shape[-1] != filters:
        x = keras.layers.Conv2D(filters, 1, strides=stride)(x)
    return keras.layers.ReLU()(keras.layers.Add()([y, x]))


@residual_block.mistake("There is no projection: where the shape changes, x needs a 1×1 convolution before the sum.")
def no_projection(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3, stride))
    return keras.layers.ReLU()(keras.layers.Add()([conv_bn(y, filters, 3), x]))


@residual_block.mistake("The stride is on the second convolution. It belongs to the first: less work for the other.")
def stride_on_the_second(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3))
    y = conv_bn(y, filters, 3, stride)
    fits = stride == 1 and x.shape[-1] == filters
    return keras.layers.ReLU()(keras.layers.Add()([y, x if fits else conv_bn(x, filters, 1, stride)]))


@residual_block.mistake("The straight path is missing: this is a plain block.")
def plain(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3, stride))
    return keras.layers.ReLU()(conv_bn(y, filters, 3))


@residual_block.mistake("A projection stands in every block. Where x fits as it is, the straight path is x itself.")
def always_projected(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = conv_bn(y, filters, 3)
    return keras.layers.ReLU()(keras.layers.Add()([y, conv_bn(x, filters, 1, stride)]))


@residual_block.mistake("The projection looks at the channels only. A stride changes the shape as well.")
def projection_for_channels_only(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = conv_bn(y, filters, 3)
    fits = x.shape[-1] == filters
    return keras.layers.ReLU()(keras.layers.Add()([y, x if fits else conv_bn(x, filters, 1, stride)]))


@residual_block.mistake("The last ReLU is missing, after the addition.")
def no_last_relu(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = conv_bn(y, filters, 3)
    fits = stride == 1 and x.shape[-1] == filters
    return keras.layers.Add()([y, x if fits else conv_bn(x, filters, 1, stride)])


@exercise(
    reference="course_lib.resnet:bottleneck_block",
    points=3,
    hints=(
        "How many channels does x have inside, and how many come out? Which of the three convolutions sees neighbours?",
        "conv_bn(x, filters, 1), conv_bn(y, filters, 3, stride), conv_bn(y, 4 * filters, 1), ReLU after the first two; "
        "the straight path has 4 * filters channels too.",
    ),
    drive=drive_block,
    tolerance=NETWORK,
)
def bottleneck_block(rng):
    """The bottleneck."""
    seed = lambda: int(rng.integers(1000))  # noqa: E731
    yield case("the same shape", (4, 3, 8), 2, 1, seed())
    yield case("four times the filters", (4, 4, 3), 2, 1, seed())
    yield case("half the size", (6, 4, 4), 3, 2, seed())
    yield case("half the size, as many channels", (4, 6, 8), 2, 2, seed())


@bottleneck_block.mistake("The stride is on the first 1×1 convolution: three of four pixels are thrown away unseen.")
def stride_on_the_first(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 1, stride))
    y = keras.layers.ReLU()(conv_bn(y, filters, 3))
    y = conv_bn(y, 4 * filters, 1)
    fits = stride == 1 and x.shape[-1] == 4 * filters
    return keras.layers.ReLU()(keras.layers.Add()([y, x if fits else conv_bn(x, 4 * filters, 1, stride)]))


@bottleneck_block.mistake("The last 1×1 gives `filters` channels. A bottleneck widens again: 4 * filters.")
def not_widened(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 1))
    y = keras.layers.ReLU()(conv_bn(y, filters, 3, stride))
    fits = stride == 1 and x.shape[-1] == filters
    straight = x if fits else conv_bn(x, filters, 1, stride)
    return keras.layers.ReLU()(keras.layers.Add()([conv_bn(y, filters, 1), straight]))


@bottleneck_block.mistake("ReLU stands before the addition. Add first, then ReLU.")
def relu_too_early(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 1))
    y = keras.layers.ReLU()(conv_bn(y, filters, 3, stride))
    y = keras.layers.ReLU()(conv_bn(y, 4 * filters, 1))
    fits = stride == 1 and x.shape[-1] == 4 * filters
    return keras.layers.Add()([y, x if fits else conv_bn(x, 4 * filters, 1, stride)])


@bottleneck_block.mistake("There is no projection: x has not always 4 * filters channels and the smaller size.")
def no_projection_in_the_bottleneck(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 1))
    y = keras.layers.ReLU()(conv_bn(y, filters, 3, stride))
    return keras.layers.ReLU()(keras.layers.Add()([conv_bn(y, 4 * filters, 1), x]))


@bottleneck_block.mistake("A projection stands in every block. Where x fits as it is, the straight path is x itself.")
def always_projected_bottleneck(reference, x, filters, stride=1):
    y = keras.layers.ReLU()(conv_bn(x, filters, 1))
    y = keras.layers.ReLU()(conv_bn(y, filters, 3, stride))
    straight = conv_bn(x, 4 * filters, 1, stride)
    return keras.layers.ReLU()(keras.layers.Add()([conv_bn(y, 4 * filters, 1), straight]))


# ---- 7.6 ----


def drive_network(answer, kind, blocks, width, classes, shape, seed):
    """The whole network, its weights set, and what it computes."""
    return described(answer(kind, blocks, width, classes, shape), shape, seed)


@exercise(
    reference="course_lib.resnet:build_resnet",
    points=4,
    hints=(
        "What is different about the first block of a stage, and for which stage is nothing different?",
        "For stage s: filters = width * 2**s; block k has stride 2 if s > 0 and k == 0, else 1. Stem: "
        "ReLU(conv_bn(inputs, width, 3, stride=2)). End: GlobalAveragePooling2D, Dense(classes) without activation.",
    ),
    drive=drive_network,
    tolerance=NETWORK,
)
def build_resnet(rng):
    """A residual network from a row of the table."""
    seed = lambda: int(rng.integers(1000))  # noqa: E731
    yield case("one stage", "basic", (1,), 3, 2, (8, 8, 3), seed())
    yield case("two stages, basic", "basic", (1, 2), 2, 4, (8, 12, 3), seed())
    yield case("two stages, bottleneck", "bottleneck", (1, 1), 2, 3, (8, 8, 3), seed())


@build_resnet.mistake("Every block has stride 2 in the later stages. Only the first of a stage halves the image.")
def stride_in_every_block(reference, kind, blocks, width, classes, input_shape):
    inputs = keras.Input(input_shape)
    block = {"basic": residual_block.reference, "bottleneck": bottleneck_block.reference}[kind]
    x = keras.layers.ReLU()(conv_bn(inputs, width, 3, 2))
    for stage, n in enumerate(blocks):
        for _ in range(n):
            x = block(x, width * 2**stage, 2 if stage else 1)
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(x)))


@build_resnet.mistake("The first stage has a stride too. The stem has already halved the image there.")
def stride_in_the_first_stage(reference, kind, blocks, width, classes, input_shape):
    inputs = keras.Input(input_shape)
    block = {"basic": residual_block.reference, "bottleneck": bottleneck_block.reference}[kind]
    x = keras.layers.ReLU()(conv_bn(inputs, width, 3, 2))
    for stage, n in enumerate(blocks):
        for k in range(n):
            x = block(x, width * 2**stage, 1 if k else 2)
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(x)))


@build_resnet.mistake("The filters do not double from stage to stage.")
def filters_stay(reference, kind, blocks, width, classes, input_shape):
    inputs = keras.Input(input_shape)
    block = {"basic": residual_block.reference, "bottleneck": bottleneck_block.reference}[kind]
    x = keras.layers.ReLU()(conv_bn(inputs, width, 3, 2))
    for stage, n in enumerate(blocks):
        for k in range(n):
            x = block(x, width * (stage + 1) if not stage else width, 2 if stage and not k else 1)
    x = keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(x))
    return reference(kind, blocks, width, classes, input_shape) if len(blocks) < 2 else keras.Model(inputs, x)


@build_resnet.mistake("The last layer has a softmax. The loss wants scores (from_logits=True) and takes it itself.")
def softmax_at_the_end(reference, kind, blocks, width, classes, input_shape):
    model = reference(kind, blocks, width, classes, input_shape)
    return keras.Model(model.input, keras.layers.Softmax()(model.outputs[0]))


@build_resnet.mistake("The maps are flattened. Global average pooling leaves one number a map, whatever the size.")
def flattened(reference, kind, blocks, width, classes, input_shape):
    model = reference(kind, blocks, width, classes, input_shape)
    last = model.layers[-2].input
    return keras.Model(model.input, keras.layers.Dense(classes)(keras.layers.Flatten()(last)))


# ---- 7.7 ----


@exercise(
    reference="course_lib.resnet:wide_resnet_parameters",
    points=3,
    hints=(
        "A network of depth 6n + 4 has three stages. How many blocks has each, and what is the first block's C?",
        "Walk through the blocks with C: 2*C + 9*C*F + 2*F + 9*F*F each, C*F more where C != F, then C = F. Before: "
        "9*3*16; after: 2*C + (C + 1)*classes.",
    ),
)
def wide_resnet_parameters(rng):
    """The trained numbers of a Wide ResNet."""
    yield case("WRN-10-1, two classes", 10, 1, 2)
    yield case("WRN-10-2, ten classes as nothing is said", 10, 2)
    yield case("WRN-16-8", 16, 8, 10)
    yield case("WRN-28-10", 28, 10, 10)
    yield case("a drawn one", 6 * int(rng.integers(2, 9)) + 4, int(rng.integers(3, 13)), int(rng.integers(11, 200)))
    yield case("another", 6 * int(rng.integers(2, 9)) + 4, int(rng.integers(1, 13)), int(rng.integers(11, 200)))


@wide_resnet_parameters.mistake("The projections are missing: the first block of a stage has C·F weights more.")
def projections_missing(reference, depth, width, classes=10):
    total, C = reference(depth, width, classes), 16
    for F in (16 * width, 32 * width, 64 * width):
        total -= C * F if C != F else 0
        C = F
    return total


@wide_resnet_parameters.mistake("Width 1 has a projection in its first stage here. There C = F = 16: none is needed.")
def projection_always(reference, depth, width, classes=10):
    return reference(depth, width, classes) + (256 if width == 1 else 0)


@wide_resnet_parameters.mistake("Batch normalisation is forgotten: two numbers a channel, before every convolution.")
def normalisation_missing(reference, depth, width, classes=10):
    n, C, norms = (depth - 4) // 6, 16, 0
    for F in (16 * width, 32 * width, 64 * width):
        for _ in range(n):
            norms += 2 * C + 2 * F
            C = F
    return reference(depth, width, classes) - norms - 2 * C


@wide_resnet_parameters.mistake("n is one block too many: depth = 6n + 4, because four layers stand outside the pairs.")
def one_block_more(reference, depth, width, classes=10):
    return reference(depth + 6, width, classes)


@wide_resnet_parameters.mistake("The stem is widened too. It has 16 maps whatever the width.")
def stem_widened(reference, depth, width, classes=10):
    n, C = (depth - 4) // 6, 16 * width
    total = 27 * C
    for F in (16 * width, 32 * width, 64 * width):
        for _ in range(n):
            total += 2 * C + 9 * C * F + 2 * F + 9 * F * F + (C * F if C != F else 0)
            C = F
    total += 2 * C + C * classes + classes
    return total + 256 * 0 if width > 1 else reference(depth, width, classes)


# ---- 7.8 ----


def drive_new_head(answer, width, old, new, seed):
    """A small network is saved, with known weights; the answer makes another of the file."""
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(width, 3, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(old, name="head")(x))
    seeded(model, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "kept.keras")
        model.save(path)
        made = answer(path, new)
    result = {"output shape": tuple(made.output.shape[1:]), "trainable parameters": count(made.trainable_weights),
              "frozen weights": count(made.non_trainable_weights)}  # fmt: skip
    head = made.layers[-1]
    rng = np.random.default_rng(seed)
    head.set_weights([rng.normal(size=weight.shape) for weight in head.get_weights()])
    x = rng.normal(size=(3, 6, 6, 2)).astype("float32")
    return result | {"output": np.asarray(made(x, training=False)), "in training": np.asarray(made(x, training=True))}


@exercise(
    reference="course_lib.resnet:with_new_head",
    points=3,
    hints=(
        "keras.models.load_model(path) gives the whole network. Which tensor goes into its last layer?",
        "old.trainable = False freezes the body. keras.Model(old.input, Dense(classes)(old.layers[-1].input)) shares "
        "its layers and has a new end.",
    ),
    drive=drive_new_head,
    tolerance=NETWORK,
)
def with_new_head(rng):
    """A saved body with a fresh head."""
    seed = lambda: int(rng.integers(1000))  # noqa: E731
    yield case("from two classes to three", 3, 2, 3, seed())
    yield case("from five to two", 4, 5, 2, seed())
    yield case("as many classes as before", 3, 4, 4, seed())


@with_new_head.mistake("The body is not frozen: old.trainable = False, before the new head is put on.")
def not_frozen(reference, path, classes):
    old = keras.models.load_model(path)
    return keras.Model(old.input, keras.layers.Dense(classes)(old.layers[-1].input))


@with_new_head.mistake("The new head stands on the old scores. It belongs on the features, the old head's input.")
def head_on_head(reference, path, classes):
    old = keras.models.load_model(path)
    old.trainable = False
    return keras.Model(old.input, keras.layers.Dense(classes)(old.outputs[0]))


@with_new_head.mistake("The new head has a softmax. It gives scores: Dense(classes) without activation.")
def softmax_head(reference, path, classes):
    old = keras.models.load_model(path)
    old.trainable = False
    return keras.Model(old.input, keras.layers.Dense(classes, activation="softmax")(old.layers[-1].input))


@with_new_head.mistake("The new head is frozen too: nothing is left to train. Freeze the body before, not the whole.")
def all_frozen(reference, path, classes):
    model = reference(path, classes)
    model.trainable = False
    return model


# ---- 7.9 ----


@exercise(
    reference="course_lib.resnet:to_torch",
    points=3,
    hints=(
        "In which order does Keras keep the four axes of a filter, and in which does torch?",
        "kernel.transpose(3, 2, 0, 1) for four axes, kernel.T for two. gamma is torch's weight, beta its bias, "
        "moving_mean running_mean, moving_variance running_var.",
    ),
)
def to_torch(rng):
    """Keras's weights under torch's names and in its layout."""
    yield case("one filter", {"conv1/kernel": rng.normal(size=(2, 3, 1, 1))})
    yield case("a convolution", {"conv1/kernel": rng.normal(size=(3, 3, 2, 4))})
    norm = {f"bn1/{kind}": rng.uniform(size=3) for kind in ("gamma", "beta", "moving_mean", "moving_variance")}
    yield case("batch normalisation", norm)
    yield case("a square linear layer", {"head/kernel": rng.normal(size=(3, 3)), "head/bias": rng.normal(size=3)})
    block = {"conv2/kernel": rng.normal(size=(3, 3, 4, 4)), "conv3/kernel": rng.normal(size=(1, 1, 2, 4))}
    block |= {f"bn2/{kind}": rng.uniform(size=4) for kind in ("gamma", "beta", "moving_mean", "moving_variance")}
    yield case("a block", block)


@to_torch.mistake("The filters are not turned: torch has (OC, C, FH, FW), Keras (FH, FW, C, OC).")
def filters_not_turned(reference, weights):
    state = reference(weights)
    return {name: v.transpose(2, 3, 1, 0) if v.ndim == 4 else v for name, v in state.items()}


@to_torch.mistake("All axes are reversed, so that height and width change places: transpose(3, 2, 0, 1), not .T.")
def axes_reversed(reference, weights):
    state = reference(weights)
    return {name: v.transpose(0, 1, 3, 2) if v.ndim == 4 else v for name, v in state.items()}


@to_torch.mistake("Input and output channels are exchanged: OC comes first in torch.")
def channels_exchanged(reference, weights):
    state = reference(weights)
    return {name: v.transpose(1, 0, 2, 3) if v.ndim == 4 else v for name, v in state.items()}


@to_torch.mistake("The linear layer's matrix is not transposed: torch has (K, D), Keras (D, K).")
def matrix_not_transposed(reference, weights):
    return {name: v.T if v.ndim == 2 else v for name, v in reference(weights).items()}


@to_torch.mistake("gamma and beta are exchanged: gamma multiplies, torch calls it weight; beta is the bias.")
def gamma_for_beta(reference, weights):
    swap = {"gamma": "beta", "beta": "gamma"}
    renamed = {}
    for key, value in weights.items():
        layer, kind = key.split("/")
        renamed[f"{layer}/{swap.get(kind, kind)}"] = value
    return reference(renamed)


@to_torch.mistake("The moving standard deviation is given. torch's running_var is the variance, as in Keras.")
def root_of_the_variance(reference, weights):
    return {name: np.sqrt(v) if name.endswith("running_var") else v for name, v in reference(weights).items()}


__dir__ = only_exercises(globals())
