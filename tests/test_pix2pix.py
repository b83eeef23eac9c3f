"""Chapter 09: the game, its losses, the two networks, and the step that trains each by itself."""

import math

import numpy as np
import pytest
import torch

from autograder.exercises import pix2pix as exercises
from course_lib import pix2pix as library
from course_lib.datasets import pairs, scenes
from course_lib.frameworks import keras, tf
from course_lib.pix2pix.losses import _bce

layers, ops = keras.layers, keras.ops


# ---- the game ----


@pytest.mark.parametrize("draw", range(10))
def test_no_other_discriminator_reaches_a_higher_value(draw):
    rng = np.random.default_rng(draw)
    p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
    D, V = library.best_discriminator(p, q)
    assert V >= -math.log(4)
    for _ in range(50):
        other = np.clip(D + 0.1 * rng.normal(size=5), 1e-6, 1 - 1e-6)
        assert p @ np.log(other) + q @ np.log(1 - other) <= V


def test_the_value_is_minus_log_4_only_for_the_perfect_generator():
    p = np.array([0.2, 0.3, 0.5])
    D, V = library.best_discriminator(p, p)
    np.testing.assert_array_equal(D, 0.5)
    assert math.isclose(V, -math.log(4))
    assert library.best_discriminator(p, p[::-1])[1] > -math.log(4) + 0.01
    assert library.best_discriminator(np.array([1.0, 0.0]), np.array([0.0, 1.0]))[1] == 0


def test_the_worked_example_of_the_notebook():
    D, V = library.best_discriminator(np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    np.testing.assert_allclose(D, [2 / 3, 2 / 5])
    assert math.isclose(V, -1.31865, abs_tol=5e-6)


@pytest.mark.parametrize("draw", range(10))
def test_cross_entropy_and_its_gradient_equal_torch(draw):
    rng = np.random.default_rng(draw)
    z, y = 5 * rng.normal(size=(3, 4)), rng.integers(0, 2, size=(3, 4)).astype(float)
    theirs = torch.tensor(z, requires_grad=True)
    L = torch.nn.functional.binary_cross_entropy_with_logits(theirs, torch.tensor(y))
    L.backward()
    ours, dz = library.bce_from_logits(z, y)
    assert math.isclose(ours, L.item(), rel_tol=1e-12)
    np.testing.assert_allclose(dz, theirs.grad.numpy(), rtol=0, atol=1e-15)
    assert math.isclose(float(_bce(tf.constant(z), tf.constant(y))), ours, rel_tol=1e-6)


def test_cross_entropy_of_enormous_logits_is_finite():
    with np.errstate(all="raise", under="ignore"):
        L, dz = library.bce_from_logits(np.array([-1e4, 1e4]), np.array([1.0, 0.0]))
    assert L == 1e4
    np.testing.assert_array_equal(dz, [-0.5, 0.5])


def test_losses_of_a_judge_without_an_idea_are_log_2():
    z, picture = tf.zeros((2, 3, 3, 1)), tf.zeros((2, 4, 4, 3))
    assert math.isclose(float(library.discriminator_loss(z, z)), math.log(2), rel_tol=1e-6)
    total, adversarial, l1 = library.generator_loss(z, picture, picture + 0.5, 10.0)
    assert math.isclose(float(adversarial), math.log(2), rel_tol=1e-6)
    assert (float(l1), float(total)) == (0.5, pytest.approx(math.log(2) + 5))


def test_the_toy_finds_the_data_and_the_saturating_loss_is_slower():
    good, literal = (library.play(1200, library.bce_from_logits, saturating=saturating) for saturating in (False, True))
    for history in (good, literal):
        assert abs(history["a"][-200:].mean() - 2) < 0.1
        assert abs(history["b"][-200:].mean() - 1) < 0.1
        assert abs(history["D loss"][-200:].mean() - math.log(2)) < 0.02
    arrival = [int(np.argmax(history["a"] > 1.5)) for history in (good, literal)]
    assert arrival[0] < 100 < 300 < arrival[1]
    assert good["slope"][:20].mean() > 5 * literal["slope"][:20].mean()


# ---- the networks ----


@pytest.mark.parametrize("draw", range(5))
def test_patch_size_is_what_a_change_of_one_output_can_be_traced_to(draw):
    rng = np.random.default_rng(draw)
    described = [(int(rng.integers(1, 5)), int(rng.integers(1, 4))) for _ in range(int(rng.integers(1, 4)))]
    field, step = library.patch_size(described)
    x = torch.zeros(1, 1, field + step, requires_grad=True)
    h = x
    for kernel, stride in described:
        h = torch.nn.functional.conv1d(h, torch.ones(1, 1, kernel), stride=stride)
    assert h.shape[-1] == 2
    touched = []
    for k in range(2):
        (g,) = torch.autograd.grad(h[0, 0, k], x, retain_graph=True)
        touched.append(torch.nonzero(g[0, 0]).ravel())
    assert int(touched[0].max()) + 1 <= field
    assert int(touched[1].min() - touched[0].min()) == step
    assert int(touched[0].min()) == 0 and int(touched[0].max()) == field - 1


def test_pix2pix_own_discriminator_sees_70_pixels():
    assert library.patch_size([(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]) == (70, 8)
    assert library.patch_size([(4, 2)] * len(library.DISCRIMINATOR) + [(4, 1)])[0] == 22


def test_sizes_and_range_of_the_networks():
    generator, discriminator = library.build_generator(16, (2, 2, 3)), library.build_discriminator(16, (2, 3))
    x = np.random.default_rng(0).uniform(-1, 1, size=(2, 16, 16, 1)).astype(np.float32)
    x = tf.constant(x)
    picture = generator(x)
    assert picture.shape == (2, 16, 16, 3)
    assert np.abs(np.asarray(picture)).max() <= 1
    assert discriminator([x, picture]).shape == (2, 4, 4, 1)


def test_a_size_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="multiple of 8"):
        library.build_generator(12, (2, 2, 2, 2))


# ---- training ----


def test_each_step_moves_its_own_network_only():
    def networks():
        keras.utils.set_random_seed(1)
        return library.build_generator(8, (2, 2, 3)), library.build_discriminator(8, (2,))

    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (2, 8, 8, 1)).astype("f4"), rng.uniform(-1, 1, (2, 8, 8, 3)).astype("f4")
    for moving in (0, 1):
        both = networks()
        before = [[w.numpy() for w in network.trainable_variables] for network in both]
        rates = [0.1 if k == moving else 0.0 for k in (0, 1)]
        library.train_step(*both, *(keras.optimizers.SGD(rate) for rate in rates), tf.constant(x), tf.constant(y))
        for k, network in enumerate(both):
            changed = [
                not np.array_equal(a, b.numpy()) for a, b in zip(before[k], network.trainable_variables, strict=True)
            ]
            assert all(changed) if k == moving else not any(changed)


def test_training_twice_from_the_same_seed_gives_the_same_curves():
    data = pairs.coloured_scenes(32, 4, 4)

    def run():
        small = {"make_generator": lambda: library.build_generator(64, (2, 4, 4)),
                 "make_discriminator": lambda: library.build_discriminator(64, (4,))}  # fmt: skip
        return library.Trainer(3, **small).fit(data.train, 4, progress=False)

    first, second = run(), run()
    for name in ("D", "adversarial", "l1"):
        np.testing.assert_allclose(first.history[name], second.history[name], rtol=1e-4)
    assert first.colour(data.test.x).shape == (4, 64, 64, 3)


def test_there_and_back_again():
    images = np.random.default_rng(0).integers(0, 256, size=(2, 3, 4, 5), dtype=np.uint8)
    inside = library.to_network(images)
    assert inside.shape == (2, 4, 5, 3)
    assert -1 <= inside.min() and inside.max() <= 1
    np.testing.assert_allclose(library.to_picture(inside), images.transpose(0, 2, 3, 1) / 255, atol=1e-6)
    assert library.l1(library.to_picture(inside), images) < 1e-6


# ---- the data ----


def test_scenes_come_from_their_seed_and_the_splits_are_apart():
    a, b = (pairs.coloured_scenes(5, 3, 3) for _ in range(2))
    np.testing.assert_array_equal(a.train.y, b.train.y)
    np.testing.assert_array_equal(a.test.y, pairs.coloured_scenes(9, 3, 3).test.y)
    assert not np.array_equal(a.validation.y, a.test.y)
    assert a.train.x.shape == (5, 1, 64, 64) and a.train.y.shape == (5, 3, 64, 64)
    assert a.train.x.dtype == a.train.y.dtype == np.uint8
    assert repr(a) == "<scenes: 5 train, 3 validation, 3 test; from 1×64×64 to 3×64×64, 0..255>"


def test_a_part_has_its_colour():
    drawn = scenes.draw(30, np.random.default_rng(0))
    colours = drawn.colour.transpose(0, 2, 3, 1) / 255
    for part in ("meadow", "lake", "wall"):
        of_part = drawn.parts == scenes.PARTS.index(part)
        day = colours[of_part & ~drawn.night[:, None, None]]
        assert np.abs(np.median(day, axis=0) - scenes.DAY[scenes.PARTS.index(part)]).max() < 0.08


def test_patches_of_the_splits_share_no_pixel_of_a_photograph():
    data = pairs.coloured_photographs(6, 4, 4)
    assert data.train.x.shape == (6, 1, 64, 64)
    np.testing.assert_array_equal(data.train.x, pairs.grey(data.train.y))
    with pytest.raises(ValueError, match="scenes, photographs"):
        pairs.load("cats")


# ---- the exercises: other right answers ----


def value_by_a_loop(p, q):
    D, V = np.full(len(p), 0.5), 0.0
    for k, (a, b) in enumerate(zip(p, q, strict=True)):
        if a + b > 0:
            D[k] = a / (a + b)
        V += (a * math.log(D[k]) if a > 0 else 0) + (b * math.log(1 - D[k]) if b > 0 else 0)
    return D, V


def value_by_divergence(p, q):
    """-log 4 + 2 JSD(p, q)"""
    m = (p + q) / 2
    divergence = sum((r[r > 0] * np.log(r[r > 0] / m[r > 0])).sum() for r in (p, q))
    D = np.where(m > 0, p / np.where(m > 0, 2 * m, 1), 0.5)
    return D, -np.log(4) + divergence


def bce_with_logaddexp(z, y):
    L = np.mean(y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z))
    return L, (0.5 * (1 + np.tanh(z / 2)) - y) / z.size


def bce_by_a_loop(z, y):
    labels, total, dz = np.broadcast_to(y, z.shape), 0.0, np.empty_like(z)
    for at in np.ndindex(z.shape):
        total += max(z[at], 0) - labels[at] * z[at] + math.log1p(math.exp(-abs(z[at])))
        D = 1 / (1 + math.exp(-z[at])) if z[at] > -700 else 0.0
        dz[at] = (D - labels[at]) / z.size
    return total / z.size, dz


def d_loss_softplus(real, fake):
    return (ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))) / 2


def d_loss_keras(real, fake):
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    return 0.5 * bce(tf.ones_like(real), real) + 0.5 * bce(tf.zeros_like(fake), fake)


def g_loss_softplus(logits, fake, y, lam=100.0):
    adversarial, l1 = ops.mean(ops.softplus(-logits)), ops.mean(ops.abs(fake - y))
    return adversarial + lam * l1, adversarial, l1


def g_loss_tf(logits, fake, y, lam=100.0):
    adversarial = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.ones_like(logits), logits))
    l1 = tf.reduce_mean(keras.losses.mean_absolute_error(y, fake))
    return adversarial + lam * l1, adversarial, l1


def patch_from_the_front(described):
    field, step = 1, 1
    for kernel, stride in described:
        field += (kernel - 1) * step
        step *= stride
    return field, step


def patch_in_closed_form(described):
    strides = [stride for _, stride in described]
    field = 1 + sum((kernel - 1) * math.prod(strides[:k]) for k, (kernel, _) in enumerate(described))
    return field, math.prod(strides)


def downsample_functional(filters, normalize=True):
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(filters, (4, 4), (2, 2), "same", use_bias=not normalize)
            self.norm = layers.BatchNormalization(momentum=0.9) if normalize else None

        def call(self, x, training=False):
            h = self.conv(x)
            h = self.norm(h, training=training) if self.norm else h
            return ops.where(h > 0, h, 0.2 * h)

    return Block()


def downsample_list(filters, normalize=True):
    stages = [layers.Conv2D(filters, 4, 2, padding="same", use_bias=not normalize)]
    if normalize:
        stages.append(layers.BatchNormalization(momentum=0.9))
    return keras.Sequential([*stages, layers.LeakyReLU(0.2)])


def upsample_activation(filters):
    return keras.Sequential([
        layers.Conv2DTranspose(filters, (4, 4), (2, 2), "same", use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.Activation("relu"),
    ])  # fmt: skip


def upsample_class(filters):
    class Block(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False)
            self.norm = layers.BatchNormalization(momentum=0.9)

        def call(self, x, training=False):
            return ops.relu(self.norm(self.conv(x), training=training))

    return Block()


def generator_recursive(size=64, widths=(8, 24, 48, 96, 96, 96)):
    def inside(h, k):
        if k == len(widths):
            return h
        deeper = inside(library.downsample(widths[k])(h), k + 1)
        return layers.Concatenate()([library.upsample(widths[k - 1])(deeper), h])

    drawing = keras.Input((size, size, 1))
    h = layers.Conv2D(widths[0], 3, padding="same", activation=keras.layers.LeakyReLU(0.2))(drawing)
    h = layers.Conv2D(3, 3, padding="same")(inside(h, 1))
    return keras.Model(drawing, layers.Activation("tanh")(h))


def generator_with_indices(size=64, widths=(8, 24, 48, 96, 96, 96)):
    inputs = keras.Input(shape=(size, size, 1))
    outputs = [ops.leaky_relu(layers.Conv2D(widths[0], (3, 3), padding="same")(inputs), 0.2)]
    for k in range(1, len(widths)):
        outputs.append(downsample_list(widths[k], True)(outputs[-1]))
    h = outputs[-1]
    for k in range(len(widths) - 2, -1, -1):
        h = layers.concatenate([upsample_activation(widths[k])(h), outputs[k]])
    return keras.Model(inputs, ops.tanh(layers.Conv2D(3, 3, padding="same")(h)))


def discriminator_layers(size=64, widths=(16, 32)):
    inputs = [keras.Input((size, size, channels)) for channels in (1, 3)]
    h = layers.Concatenate()(inputs)
    for k, filters in enumerate(widths):
        h = downsample_list(filters, k > 0)(h)
    return keras.Model(inputs, layers.Conv2D(1, 4, padding="same")(h))


def discriminator_class(size=64, widths=(16, 32)):
    class Judge(keras.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [library.downsample(filters, k > 0) for k, filters in enumerate(widths)]
            self.last = layers.Conv2D(1, 4, padding="same")

        def call(self, inputs, training=False):
            h = ops.concatenate(inputs, axis=-1)
            for block in self.blocks:
                h = block(h, training=training)
            return self.last(h)

    judge = Judge()
    judge([np.zeros((1, size, size, 1), "f4"), np.zeros((1, size, size, 3), "f4")])
    return judge


def step_with_two_tapes(G, D, g_optimizer, d_optimizer, x, y, lam=100.0):
    fake = G(x, training=True)
    with tf.GradientTape() as tape:
        d_loss = library.discriminator_loss(D([x, y], training=True), D([x, fake], training=True))
    d_optimizer.apply(tape.gradient(d_loss, D.trainable_variables), D.trainable_variables)
    with tf.GradientTape() as tape:
        fake = G(x, training=True)
        g_loss, adversarial, l1 = library.generator_loss(D([x, fake], training=True), fake, y, lam)
    g_optimizer.apply(tape.gradient(g_loss, G.trainable_variables), G.trainable_variables)
    return {"D": d_loss, "adversarial": adversarial, "l1": l1}


def step_with_apply_gradients(G, D, g_optimizer, d_optimizer, x, y, lam=100.0):
    with tf.GradientTape() as tape:
        fake = tf.stop_gradient(G(x, training=True))
        d_loss = d_loss_softplus(D((x, y), training=True), D((x, fake), training=True))
    d_optimizer.apply_gradients(zip(tape.gradient(d_loss, D.trainable_weights), D.trainable_weights, strict=True))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([weight.value for weight in G.trainable_weights])
        fake = G(x, training=True)
        g_loss, adversarial, l1 = g_loss_softplus(D((x, fake), training=True), fake, y, lam)
    g_optimizer.apply_gradients(zip(tape.gradient(g_loss, G.trainable_weights), G.trainable_weights, strict=True))
    return {"D": d_loss, "adversarial": adversarial, "l1": l1}


# ---- the exercises: wrong answers as a student would write them, in Keras and with tapes ----


def wrong_block(up=False, kernel=4, slope=0.2, momentum=0.9, always=False, bias=False):
    def block(filters, normalize=True):
        make, normalize = layers.Conv2DTranspose if up else layers.Conv2D, normalize or always
        stages = [make(filters, kernel, strides=2, padding="same", use_bias=bias or not normalize)]
        stages += [layers.BatchNormalization(momentum=momentum)] if normalize else []
        return keras.Sequential([*stages, layers.LeakyReLU(negative_slope=slope) if slope else layers.ReLU()])

    return block


def wrong_generator(activation="tanh", skips=True, skip_first=False, last=True, normalize=True, slope=0.2):
    def build(size=64, widths=(8, 24, 48, 96)):
        drawing = keras.Input((size, size, 1))
        h = layers.Conv2D(widths[0], 3, padding="same")(drawing)
        seen = [layers.LeakyReLU(negative_slope=slope)(h) if slope else h]
        for k, filters in enumerate(widths[1:]):
            seen.append(library.downsample(filters, normalize=k > 0 or normalize)(seen[-1]))
        h = seen[-1]
        for k, skip in reversed(list(enumerate(seen[:-1]))):
            h = library.upsample(skip.shape[-1])(h)
            if skips and (k or last):
                h = ops.concatenate([skip, h] if skip_first else [h, skip], axis=-1)
        return keras.Model(drawing, layers.Conv2D(3, 3, padding="same", activation=activation)(h))

    return build


def wrong_discriminator(condition=True, activation=None, whole=False, swapped=False, first=False):
    def build(size=64, widths=(16, 32)):
        drawing, picture = keras.Input((size, size, 1)), keras.Input((size, size, 3))
        h = ops.concatenate([picture, drawing] if swapped else [drawing, picture], axis=-1) if condition else picture
        for k, filters in enumerate(widths):
            h = library.downsample(filters, normalize=k > 0 or first)(h)
        h = layers.Conv2D(1, 4, padding="same", activation=activation)(h)
        return keras.Model([drawing, picture], layers.GlobalAveragePooling2D()(h) if whole else h)

    return build


def wrong_step(both=False, leak=False, drawing=1.0, g_training=True, d_training=True, saturating=False):
    def step(G, D, g_optimizer, d_optimizer, x, y, lam=100.0):
        def losses():
            fake = G(x, training=g_training)
            on_real, on_fake = (D([drawing * x, image], training=d_training) for image in (y, fake))
            total, adversarial, l1 = library.generator_loss(on_fake, fake, y, lam)
            if saturating:
                adversarial = -ops.mean(ops.softplus(on_fake))
                total = adversarial + lam * l1
            return library.discriminator_loss(on_real, on_fake), total, adversarial, l1

        with tf.GradientTape() as tape:
            d_loss = losses()[0]
        variables = D.trainable_variables + (G.trainable_variables if leak else [])
        d_optimizer.apply(tape.gradient(d_loss, variables), variables)
        with tf.GradientTape() as tape:
            _, total, adversarial, l1 = losses()
        variables = G.trainable_variables + (D.trainable_variables if both else [])
        g_optimizer.apply(tape.gradient(total, variables), variables)
        return {"D": d_loss, "adversarial": adversarial, "l1": l1}

    return step


WRONG = [
    ("downsample", wrong_block(slope=0.3), "default_slope"),
    ("downsample", wrong_block(slope=0), "plain_relu"),
    ("downsample", wrong_block(bias=True), "useless_bias"),
    ("downsample", wrong_block(momentum=0.99), "default_momentum"),
    ("upsample", wrong_block(up=True), "leaky"),
    ("upsample", wrong_block(up=True, slope=0, kernel=3), "kernel_three"),
    ("upsample", wrong_block(slope=0), "not_transposed"),
    ("upsample", wrong_block(up=True, slope=0, bias=True), "useless_bias_up"),
    ("build_generator", wrong_generator("sigmoid"), "sigmoid_at_the_end"),
    ("build_generator", wrong_generator(None), "nothing_at_the_end"),
    ("build_generator", wrong_generator(skips=False), "without_skips"),
    ("build_generator", wrong_generator(last=False), "without_the_last_skip"),
    ("build_generator", wrong_generator(normalize=False), "first_block_not_normalised"),
    ("build_generator", wrong_generator(slope=None), "linear_start"),
    ("build_generator", wrong_generator(skip_first=True), "skip_first"),
    ("build_discriminator", wrong_discriminator(condition=False), "no_condition"),
    ("build_discriminator", wrong_discriminator(activation="sigmoid"), "sigmoid_in_network"),
    ("build_discriminator", wrong_discriminator(whole=True), "one_for_all"),
    ("build_discriminator", wrong_discriminator(swapped=True), "picture_first"),
    ("build_discriminator", wrong_discriminator(first=True), "first_normalised_too"),
    ("train_step", wrong_step(both=True), "trains_the_judge"),
    ("train_step", wrong_step(leak=True), "trains_the_forger"),
    ("train_step", wrong_step(drawing=0.0), "condition_left_out"),
    ("train_step", wrong_step(g_training=False), "as_if_testing"),
    ("train_step", wrong_step(d_training=False), "judge_as_if_testing"),
    ("train_step", wrong_step(saturating=True), "saturating_step"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), WRONG, ids=[f"{name}-{mistake}" for name, _, mistake in WRONG])
def test_a_wrong_answer_written_with_keras_is_called_by_its_name(name, answer, mistake):
    verdict = getattr(exercises, name).judge(answer)
    assert verdict.status == "fail"
    assert verdict.mistake is not None and verdict.mistake.name == mistake


RIGHT = {
    "best_discriminator": [value_by_a_loop, value_by_divergence],
    "bce_from_logits": [bce_with_logaddexp, bce_by_a_loop],
    "discriminator_loss": [d_loss_softplus, d_loss_keras],
    "generator_loss": [g_loss_softplus, g_loss_tf],
    "patch_size": [patch_from_the_front, patch_in_closed_form],
    "downsample": [downsample_functional, downsample_list],
    "upsample": [upsample_activation, upsample_class],
    "build_generator": [generator_recursive, generator_with_indices],
    "build_discriminator": [discriminator_layers, discriminator_class],
    "train_step": [step_with_two_tapes, step_with_apply_gradients],
}

EQUIVALENT = {
    "bce_from_logits": {"z > 0  ->  z >= 0": "at z = 0 both are 1, since e = exp(-|0|) = 1"},
    "build_discriminator": {
        "(keras.Input((size, size, 1)), keras.Input((size, size, 3)))  ->  "
        "(keras.Input((size, size, 3)), keras.Input((size, size, 1)))": "the two are joined to 4 channels as they come",
    },
}
