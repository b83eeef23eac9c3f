"""Chapter 09: what is checked of the exercises on generator and discriminator."""

import functools
import zlib

import numpy as np

from autograder.compare import Tolerance
from autograder.exercise import Written, case, exercise, only_exercises

# Keras is imported where it is used: listing the exercises must not load TensorFlow.


def _keras():
    from course_lib.frameworks import keras

    return keras


def _tf():
    from course_lib.frameworks import tf

    return tf


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


# ---- 9.1 ----


@exercise(
    reference="course_lib.pix2pix:best_discriminator",
    points=2,
    hints=(
        "Of everything that looks like x, which share is real, if as many real as generated things are shown? And what "
        "does a term with probability 0 contribute to a mean?",
        "D = p / (p + q) where p + q > 0. For V, sum p log D over the entries with p > 0, and q log(1 - D) over those "
        "with q > 0: 0 log 0 counts as 0.",
    ),
)
def best_discriminator(rng):
    """The best answer to a fixed generator, and what the game is worth then."""

    def distribution(K):
        return rng.dirichlet(np.ones(K))

    yield case("the worked example", np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    yield case("a perfect generator", np.full(3, 1 / 3), np.full(3, 1 / 3))
    yield case("nothing in common", np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    yield case("something that never occurs", np.array([0.6, 0.4, 0.0]), np.array([0.3, 0.7, 0.0]))
    K = int(rng.integers(4, 8))
    yield case("two random distributions", distribution(K), distribution(K))


@best_discriminator.mistake("D is the probability of being generated. It must say how probable *real* is: p / (p + q).")
def probability_of_fake(reference, p, q):
    return 1 - reference(p, q)[0], reference(p, q)[1]


@best_discriminator.mistake("V is halved. Its two expectations are added; the perfect generator gives -log 4.")
def halved_value(reference, p, q):
    return reference(p, q)[0], reference(p, q)[1] / 2


@best_discriminator.mistake(
    "The sign of V is that of a loss. V is what the discriminator maximises; it is never positive."
)
def sign_of_value(reference, p, q):
    return reference(p, q)[0], -reference(p, q)[1]


@best_discriminator.mistake("The logarithm has base 2. Here as in chapter 04 it is the natural one.")
def base_two(reference, p, q):
    return reference(p, q)[0], reference(p, q)[1] / np.log(2)


@best_discriminator.mistake("0 · log 0 (or 0/0) gives NaN. Leave out the entries whose probability is 0.")
def zero_times_infinity(reference, p, q):
    with np.errstate(all="ignore"):
        D = p / (p + q)
        return D, np.sum(p * np.log(D) + q * np.log(1 - D))


# ---- 9.2 ----


@exercise(
    reference="course_lib.pix2pix:bce_from_logits",
    points=3,
    hints=(
        "What is -log D for D = 1/(1+exp(-z)), without any D in it? Which exponential can overflow there, and which "
        "can not?",
        "log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)), so the loss of one entry is max(z, 0) - y z + "
        "log1p(exp(-|z|)). dz = (D - y) / z.size with D = where(z > 0, 1, e) / (1 + e), e = exp(-|z|).",
    ),
)
def bce_from_logits(rng):
    """Binary cross-entropy of logits with its gradient."""
    yield case("the worked example", np.array([0.0, np.log(3)]), np.array([1.0, 0.0]))
    yield case("all of them real", rng.normal(size=3), 1.0)
    yield case("all of them generated", rng.normal(size=(2, 3)), 0.0)
    yield case("sure and wrong", np.array([-800.0, 800.0]), np.array([1.0, 0.0]))
    yield case("sure and right", np.array([800.0, -800.0]), np.array([1.0, 0.0]))
    shape = tuple(int(n) for n in rng.integers(2, 5, size=4))
    yield case("patches of some images", 3 * rng.normal(size=shape), rng.integers(0, 2, size=shape).astype(float))


@bce_from_logits.mistake("The sigmoid is taken twice: z is turned into a probability, which is then used as a logit.")
def sigmoid_twice(reference, z, y):
    with np.errstate(over="ignore"):
        return reference(_sigmoid(z), y)


@bce_from_logits.mistake("np.exp overflows, or log(0) is taken. Use max(z, 0) - y z + log1p(exp(-|z|)).")
def unstable(reference, z, y):
    with np.errstate(all="ignore"):
        D = _sigmoid(z)
        return -np.mean(y * np.log(D) + (1 - y) * np.log(1 - D)), (D - y) / z.size


@bce_from_logits.mistake("A small number inside the logarithm: a sure and wrong answer then costs too little.")
def small_number_added(reference, z, y):
    with np.errstate(all="ignore"):
        D = _sigmoid(z)
        L = -np.mean(y * np.log(D + 1e-7) + (1 - y) * np.log(1 - D + 1e-7))
        return L, (D - y) / z.size


@bce_from_logits.mistake("This is the sum. The loss is a mean over all logits, and so is its gradient.")
def sum_of_all(reference, z, y):
    L, dz = reference(z, y)
    return L * z.size, dz * z.size


@bce_from_logits.mistake("The gradient lacks 1/N: the loss is a mean over all N logits.")
def gradient_without_mean(reference, z, y):
    L, dz = reference(z, y)
    return L, dz * z.size


@bce_from_logits.mistake("The sign of the gradient is wrong: it is D - y.")
def sign_of_gradient(reference, z, y):
    L, dz = reference(z, y)
    return L, -dz


@bce_from_logits.mistake("Divided by the length of the first axis only. N counts all logits: z.size.")
def length_for_size(reference, z, y):
    L, dz = reference(z, y)
    return L * z.size / len(z), dz * z.size / len(z)


# ---- 9.3 ----

value_at_the_optimum = Written("value_at_the_optimum", points=4)


def drive_discriminator_loss(answer, real, fake):
    """The loss, and its gradients: they must flow."""
    tf = _tf()
    real, fake = tf.constant(real, tf.float32), tf.constant(fake, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch((real, fake))
        loss = answer(real, fake)
    d_real, d_fake = tape.gradient(loss, (real, fake), unconnected_gradients="zero")
    return {"loss": loss, "gradient of real": d_real, "gradient of fake": d_fake}


@exercise(
    reference="course_lib.pix2pix:discriminator_loss",
    points=2,
    hints=(
        "Which label has a real picture, and which a generated one? What should it be when D answers 1/2 to both?",
        "ops.binary_crossentropy(target, output, from_logits=True) gives a number for each entry; ops.ones_like and "
        "ops.zeros_like make the targets. Two means, then half of their sum.",
    ),
    drive=drive_discriminator_loss,
)
def discriminator_loss(rng):
    """Half of the two cross-entropies."""
    yield case("no idea: log 2", np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 1)))
    yield case("two patches", np.array([2.0, -1.0]).reshape(1, 1, 2, 1), np.array([0.5, -3.0]).reshape(1, 1, 2, 1))
    yield case("right about everything", np.full((1, 2, 2, 1), 4.0), np.full((1, 2, 2, 1), -5.0))
    yield case("a batch", rng.normal(size=(3, 2, 2, 1)), 2 * rng.normal(size=(3, 2, 2, 1)))


def _softplus(z):
    return _keras().ops.softplus(z)


def _mean(z):
    return _keras().ops.mean(z)


@discriminator_loss.mistake("The labels are exchanged: real is 1, generated is 0.")
def labels_exchanged(reference, real, fake):
    return reference(fake, real)


@discriminator_loss.mistake("The two terms are added and not halved: D = 1/2 gives log 4 here, and log 2 is asked for.")
def not_halved(reference, real, fake):
    return 2 * reference(real, fake)


@discriminator_loss.mistake("The sigmoid is taken twice: these are logits, and from_logits=True takes it already.")
def sigmoid_before_loss(reference, real, fake):
    sigmoid = _keras().ops.sigmoid  # Keras's own loss notices and takes the sigmoid off again
    return (_mean(_softplus(-sigmoid(real))) + _mean(_softplus(sigmoid(fake)))) / 2


@discriminator_loss.mistake("Generated pictures are labelled real as well. For the discriminator they are 0.")
def all_real(reference, real, fake):
    return reference(real, -fake)


@discriminator_loss.mistake("Only the real pictures count. Without the others, D learns to say 'real' to everything.")
def only_real(reference, real, fake):
    return _mean(_softplus(-real)) / 2 + 0 * _mean(fake)


@discriminator_loss.mistake(
    "That is the value function: the discriminator maximises it. A loss is minimised; change the sign."
)
def value_for_loss(reference, real, fake):
    return -2 * reference(real, fake)


# ---- 9.4 ----


def drive_generator_loss(answer, logits, fake, y, **lam):
    """The loss with its parts, and its gradients."""
    tf = _tf()
    logits, fake, y = (tf.constant(a, tf.float32) for a in (logits, fake, y))
    with tf.GradientTape() as tape:
        tape.watch((logits, fake))
        total, adversarial, l1 = answer(logits, fake, y, **lam)
    d_logits, d_fake = tape.gradient(total, (logits, fake), unconnected_gradients="zero")
    return {
        "adversarial": adversarial, "l1": l1, "loss": total, "gradient of logits": d_logits, "gradient of fake": d_fake
    }  # fmt: skip


@exercise(
    reference="course_lib.pix2pix:generator_loss",
    points=3,
    hints=(
        "The generator wants its pictures to be taken for real. With which label does it compute the cross-entropy of "
        "the discriminator's logits?",
        "adversarial: the mean of binary_crossentropy with ones as target. l1: ops.mean(ops.abs(y - fake)). Return "
        "adversarial + lam * l1 and the two parts.",
    ),
    drive=drive_generator_loss,
)
def generator_loss(rng):
    """The non-saturating adversarial loss plus lambda times L1."""

    def images(*shape):
        return rng.uniform(-1, 1, size=shape)

    one, row = np.full((1, 1, 1, 1), -2.0), np.array([1.0, -3.0]).reshape(1, 1, 2, 1)
    yield case("one patch, found out", one, np.full((1, 1, 1, 1), 0.5), np.full((1, 1, 1, 1), -0.25), lam=10.0)
    yield case("two patches, lambda not given", row, images(1, 2, 2, 3), images(1, 2, 2, 3))
    yield case("without L1", rng.normal(size=(2, 2, 2, 1)), images(2, 2, 2, 3), images(2, 2, 2, 3), lam=0.0)
    logits, lam = 2 * rng.normal(size=(3, 2, 2, 1)), float(rng.integers(2, 9))
    yield case("a batch", logits, images(3, 4, 4, 3), images(3, 4, 4, 3), lam=lam)


def _parts(reference, logits, fake, y):
    return reference(logits, fake, y, 0.0)[1:]


@generator_loss.mistake(
    "The saturating loss, log(1 - D): its slope is -D, which is nothing just when the generator is found out. "
    "Minimise -log D."
)
def saturating(reference, logits, fake, y, lam=100.0):
    _, l1 = _parts(reference, logits, fake, y)
    adversarial = -_mean(_softplus(logits))
    return adversarial + lam * l1, adversarial, l1


@generator_loss.mistake(
    "The label is 0: this generator wants to be found out. For its own step, its pictures are labelled 1."
)
def label_zero(reference, logits, fake, y, lam=100.0):
    return reference(-logits, fake, y, lam)


@generator_loss.mistake("The sigmoid is taken twice: from_logits=True takes it already.")
def sigmoid_before_generator_loss(reference, logits, fake, y, lam=100.0):
    _, l1 = _parts(reference, logits, fake, y)
    adversarial = _mean(_softplus(-_keras().ops.sigmoid(logits)))
    return adversarial + lam * l1, adversarial, l1


@generator_loss.mistake("The distance is squared. L1 is the absolute difference; squares blur more.")
def squared(reference, logits, fake, y, lam=100.0):
    adversarial, _ = _parts(reference, logits, fake, y)
    l2 = _mean((y - fake) ** 2)
    return adversarial + lam * l2, adversarial, l2


@generator_loss.mistake("Lambda multiplies the adversarial loss. It weighs the L1 term.")
def lambda_on_the_other(reference, logits, fake, y, lam=100.0):
    adversarial, l1 = _parts(reference, logits, fake, y)
    return lam * adversarial + l1, adversarial, l1


@generator_loss.mistake("Lambda is missing.")
def without_lambda(reference, logits, fake, y, lam=100.0):
    return reference(logits, fake, y, 1.0)


@generator_loss.mistake("The sign inside L1 is kept: positive and negative differences cancel. Take ops.abs.")
def without_absolute_value(reference, logits, fake, y, lam=100.0):
    adversarial, _ = _parts(reference, logits, fake, y)
    l1 = _mean(y - fake)
    return adversarial + lam * l1, adversarial, l1


# ---- 9.5 ----


@exercise(
    reference="course_lib.pix2pix:patch_size",
    points=2,
    hints=(
        "The last layer looks at k neighbouring values of the layer before. How far apart are these in the one before "
        "that, if its stride is s?",
        "Start with 1 and walk from the last layer to the first: r = (r - 1) * stride + kernel. The distance of two "
        "patches is the product of all strides.",
    ),
)
def patch_size(rng):
    """Receptive field and step of a chain of convolutions."""
    yield case("one layer", [(4, 2)])
    yield case("two layers", [(4, 2), (3, 1)])
    yield case("pix2pix's own", [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)])
    K = int(rng.integers(3, 6))
    described = [(int(rng.integers(2, 8)), int(rng.integers(1, 4))) for _ in range(K)]
    yield case("random layers", [(5, 3), (2, 1), *described])


@patch_size.mistake(
    "From the first layer to the last. The recursion starts at the output, where one value is one patch."
)
def from_the_front(reference, described):
    return reference(list(described)[::-1])


@patch_size.mistake("Strides are ignored: behind a stride of 2, neighbours are two pixels apart.")
def strides_ignored(reference, described):
    return reference([(kernel, 1) for kernel, _ in described])[0], reference(described)[1]


@patch_size.mistake("r starts from 0. One output value is a patch of 1.")
def from_zero(reference, described):
    field = 0
    for kernel, stride in reversed(described):
        field = (field - 1) * stride + kernel
    return field, reference(described)[1]


@patch_size.mistake("r * s + k counts one stride too many: between r values there are r - 1 steps.")
def one_step_too_many(reference, described):
    field = 1
    for kernel, stride in reversed(described):
        field = field * stride + kernel
    return field, reference(described)[1]


@patch_size.mistake("The strides are added up. A stride of 2 behind a stride of 2 is one of 4: multiply.")
def strides_added(reference, described):
    return reference(described)[0], sum(stride for _, stride in described)


# ---- blocks and networks: weights in, outputs out ----


def _set_weights(network):
    """Weights that depend on each variable's kind, shape and place among its like only."""
    count = {}
    for variable in network.weights:
        kind, shape = variable.path.rsplit("/", 1)[-1], tuple(variable.shape)
        if "seed" in kind:  # a generator's state is not a weight
            continue
        count[kind, shape] = count.get((kind, shape), -1) + 1
        rng = np.random.default_rng([zlib.crc32(kind.encode()), *shape, count[kind, shape]])
        if kind in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, size=shape))
        else:
            scale = np.sqrt(1.0 / max(1, np.prod(shape[:-2]) * min(shape[-2:]))) if len(shape) == 4 else 0.3
            variable.assign(scale * rng.normal(size=shape))


def drive_block(answer, x, **arguments):
    """Run a block with given weights: at test time, in training, and at test time again."""
    keras = _keras()
    block, x = answer(**arguments), keras.ops.convert_to_tensor(x, "float32")
    block(x, training=False)
    _set_weights(block)
    before, during = block(x, training=False), block(x, training=True)
    return {
        "at test time": before,
        "number of weights": block.count_params(),
        "in training": during,
        "at test time, after one batch": block(x, training=False),
    }


MODELS = Tolerance(single=5e-4)


@exercise(
    reference="course_lib.pix2pix:downsample",
    points=2,
    hints=(
        "Which three layers are in the block, and which of them is left out when normalize is False? Does a bias do "
        "anything just before batch normalisation?",
        "keras.Sequential of Conv2D(filters, 4, strides=2, padding='same', use_bias=not normalize), "
        "BatchNormalization(momentum=0.9) if normalize, and LeakyReLU(negative_slope=0.2).",
    ),
    drive=drive_block,
    tolerance=MODELS,
)
def downsample(rng):
    """Half the size."""
    yield case("without normalisation", x=rng.normal(size=(2, 4, 4, 1)), filters=2, normalize=False)
    yield case("one channel", x=rng.normal(size=(3, 4, 4, 1)), filters=2)
    channels, filters = (int(n) for n in rng.integers(2, 4, size=2))
    yield case("several channels", x=rng.normal(size=(2, 8, 6, channels)), filters=filters)


# The wrong networks below are not Keras's: a check tries all mistakes, and Keras takes long to build a network.


class _Weight:
    def __init__(self, kind, shape):
        self.path, self.shape = kind, shape

    def assign(self, value):
        self.value = _tf().constant(value, "float32")


class _Block:
    """A block in which one thing may be otherwise. It makes its weights when it is first called, as Keras does."""

    def __init__(self, filters, *, up=False, kernel=4, normalize=True, bias=None, slope=0.2, momentum=0.9, order="nca",
                 pool=False, stride=2, activation=None):  # fmt: skip
        self.filters, self.up, self.kernel, self.slope, self.momentum = filters, up, kernel, slope, momentum
        self.order, self.pool, self.stride, self.activation = order, pool, 1 if pool else stride, activation
        self.normalize, self.bias, self.weights = normalize, (not normalize) if bias is None else bias, None

    def make(self, channels):
        """Make the weights."""
        k, F = self.kernel, self.filters
        named = {"kernel": (k, k, F, channels) if self.up else (k, k, channels, F)}
        named |= {"bias": (F,)} if self.bias else {}
        if self.normalize:
            named |= dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (F,))
        self.w = {kind: _Weight(kind, shape) for kind, shape in named.items()}
        self.weights = list(self.w.values())
        for weight in self.weights:
            weight.assign(np.zeros(weight.shape))

    def count_params(self):
        return sum(int(np.prod(weight.shape)) for weight in self.weights)

    def __call__(self, x, training=False):
        tf = _tf()
        if self.weights is None:
            self.make(x.shape[-1])
        w = {kind: weight.value for kind, weight in self.w.items()}
        if self.up:
            shape = (x.shape[0], self.stride * x.shape[1], self.stride * x.shape[2], self.filters)
            h = tf.nn.conv2d_transpose(x, w["kernel"], shape, self.stride, "SAME")
        else:
            h = tf.nn.conv2d(x, w["kernel"], self.stride, "SAME")
        h = h + w["bias"] if self.bias else h
        h = tf.nn.max_pool2d(h, 2, 2, "VALID") if self.pool else h
        for stage in self.order:
            h = self._normal(h, w, training) if stage == "n" else self._active(h) if stage == "a" else h
        return h

    def _normal(self, h, w, training):
        if not self.normalize:
            return h
        mean, variance = w["moving_mean"], w["moving_variance"]
        if training:
            tf = _tf()
            mean, variance = tf.nn.moments(h, (0, 1, 2))
            for kind, new in (("moving_mean", mean), ("moving_variance", variance)):
                self.w[kind].assign(self.momentum * w[kind] + (1 - self.momentum) * new)
        return w["gamma"] * (h - mean) * (variance + 1e-3) ** -0.5 + w["beta"]

    def _active(self, h):
        tf = _tf()
        if self.activation is not None:
            return self.activation(h)
        return tf.nn.relu(h) if self.slope is None else tf.where(h > 0, h, self.slope * h)


class _Network:
    """Some blocks, and how they are put together."""

    def __init__(self, blocks, channels, run):
        for block, C in zip(blocks, channels, strict=True):
            block.make(C)
        self.blocks, self.run = blocks, run
        self.weights = [weight for block in blocks for weight in block.weights]

    def count_params(self):
        return sum(block.count_params() for block in self.blocks)

    def __call__(self, x, training=False):
        return self.run(x, training)


@downsample.mistake("The negative slope is Keras's default, 0.3. Give negative_slope=0.2.")
def default_slope(reference, filters, normalize=True):
    return _Block(filters, normalize=normalize, slope=0.3)


@downsample.mistake("This is ReLU: where it is 0, no gradient comes back to the generator. LeakyReLU with 0.2.")
def plain_relu(reference, filters, normalize=True):
    return _Block(filters, normalize=normalize, slope=None)


@downsample.mistake(
    "The convolution has a bias before batch normalisation, which subtracts it again: use_bias=not normalize."
)
def useless_bias(reference, filters, normalize=True):
    return _Block(filters, normalize=normalize, bias=True)


@downsample.mistake("Batch normalisation is always there. The argument normalize switches it off, for the first layer.")
def always_normalised(reference, filters, normalize=True):
    return _Block(filters, bias=not normalize)


@downsample.mistake(
    "The activation comes before the normalisation. The order is convolution, normalisation, activation."
)
def activation_first(reference, filters, normalize=True):
    return _Block(filters, normalize=normalize, order="can")


@downsample.mistake("A pooling layer. DCGAN's rule: let a convolution with stride 2 learn how to shrink.")
def pooling(reference, filters, normalize=True):
    return _Block(filters, normalize=normalize, pool=True)


@downsample.mistake("The momentum is Keras's default, 0.99. In a few hundred steps the averages need 0.9.")
def default_momentum(reference, filters, normalize=True):
    return _Block(filters, normalize=normalize, momentum=0.99)


@exercise(
    reference="course_lib.pix2pix:upsample",
    points=2,
    hints=(
        "Which layer of Keras is the transpose of Conv2D? What must its stride be for twice the size?",
        "keras.Sequential of Conv2DTranspose(filters, 4, strides=2, padding='same', use_bias=False), "
        "BatchNormalization(momentum=0.9) and ReLU().",
    ),
    drive=drive_block,
    tolerance=MODELS,
)
def upsample(rng):
    """Twice the size."""
    yield case("one channel", x=rng.normal(size=(3, 2, 2, 1)), filters=2)
    yield case("not square", x=rng.normal(size=(2, 2, 3, 2)), filters=1)
    channels, filters = (int(n) for n in rng.integers(2, 4, size=2))
    yield case("several channels", x=rng.normal(size=(2, 3, 4, channels)), filters=filters)


@upsample.mistake("Leaky ReLU. DCGAN's rule: in the generator's way up it is ReLU, in the discriminator the leaky one.")
def leaky(reference, filters):
    return _Block(filters, up=True, slope=0.2)


@upsample.mistake("The convolution has a bias before batch normalisation, which subtracts it again: use_bias=False.")
def useless_bias_up(reference, filters):
    return _Block(filters, up=True, bias=True, slope=None)


@upsample.mistake("Conv2D halves the size. Twice the size is Conv2DTranspose.")
def not_transposed(reference, filters):
    return _Block(filters, slope=None)


@upsample.mistake(
    "The kernel has size 3: with stride 2 some pixels then get more terms than others, a checkerboard. Use 4."
)
def kernel_three(reference, filters):
    return _Block(filters, up=True, kernel=3, slope=None)


@upsample.mistake("The activation comes before the normalisation. The order is convolution, normalisation, activation.")
def activation_first_up(reference, filters):
    return _Block(filters, up=True, slope=None, order="can")


@upsample.mistake("The momentum is Keras's default, 0.99. In a few hundred steps the averages need 0.9.")
def default_momentum_up(reference, filters):
    return _Block(filters, up=True, slope=None, momentum=0.99)


# ---- 9.8 ----


def drive_generator(answer, x, **arguments):
    """The pictures of a small generator with given weights."""
    keras = _keras()
    network = answer(**arguments)
    _set_weights(network)
    x = keras.ops.convert_to_tensor(x, "float32")
    return {
        "number of weights": network.count_params(),
        "at test time": network(x, training=False),
        "in training": network(x, training=True),
    }


@exercise(
    reference="course_lib.pix2pix:build_generator",
    points=3,
    hints=(
        "With widths (2, 3, 4) on 8 pixels there are two blocks down and two up. What shape goes into each block down, "
        "and which block up gives back that size?",
        "Keep what goes into each downsample block in a list; the first is what the convolution at full size made. Go "
        "through it in reverse: upsample to skip.shape[-1] filters, then ops.concatenate([h, skip], axis=-1).",
    ),
    drive=drive_generator,
    tolerance=MODELS,
)
def build_generator(rng):
    """A U-Net from a drawing to a picture."""
    yield case("one level", x=rng.uniform(-1, 1, size=(2, 4, 4, 1)), size=4, widths=(3, 2))
    widths = tuple(int(n) for n in rng.permutation([3, 4, 5, 6]))
    yield case("three levels", x=rng.uniform(-1, 1, size=(2, 8, 8, 1)), size=8, widths=widths)
    yield case("size not given", x=rng.uniform(-1, 1, size=(1, 64, 64, 1)), widths=widths[:2])


def _same(h):
    return h


def _sigmoid_of(h):
    return _tf().sigmoid(h)


def _generator(
    widths, size=64, *, activation=None, skips=True, first_slope=0.2, normalize=True, skip_first=False, all_skips=True
):
    """A generator in which one thing may be otherwise."""
    tf = _tf()
    first = _Block(widths[0], kernel=3, stride=1, normalize=False, slope=first_slope)
    down = [_Block(filters, normalize=normalize or k > 0) for k, filters in enumerate(widths[1:])]
    up = [_Block(filters, up=True, slope=None) for filters in reversed(widths[:-1])]
    last = _Block(3, kernel=3, stride=1, normalize=False, activation=activation or tf.tanh)
    joined = [skips and (all_skips or block is not up[-1]) for block in up]
    after = [(2 if more else 1) * block.filters for block, more in zip(up, joined, strict=True)]

    def run(h, training):
        h, seen = first(h, training), []
        for block in down:
            seen.append(h)
            h = block(h, training)
        for block, skip, more in zip(up, reversed(seen), joined, strict=True):
            h = block(h, training)
            if more:
                h = tf.concat([skip, h] if skip_first else [h, skip], axis=-1)
        return last(h, training)

    return _Network([first, *down, *up, last], [1, *widths, *after], run)


@build_generator.mistake("The last activation is the sigmoid, 0 to 1. The pictures run from -1 to 1: tanh.")
def sigmoid_at_the_end(reference, widths, **of):
    return _generator(widths, **of, activation=_sigmoid_of)


@build_generator.mistake("There is no activation at the end, so colours are not kept between -1 and 1: tanh.")
def nothing_at_the_end(reference, widths, **of):
    return _generator(widths, **of, activation=_same)


@build_generator.mistake(
    "The skip connections are missing: lines must find their way around the few pixels in the middle."
)
def without_skips(reference, widths, **of):
    return _generator(widths, **of, skips=False)


@build_generator.mistake("The last skip is missing: at full size, hand over what the first convolution made.")
def without_the_last_skip(reference, widths, **of):
    return _generator(widths, **of, all_skips=False)


@build_generator.mistake("The first block on the way down is not normalised. Only the convolution at full size is not.")
def first_block_not_normalised(reference, widths, **of):
    return _generator(widths, **of, normalize=False)


@build_generator.mistake("Nothing bends after the first convolution: a leaky ReLU with slope 0.2 belongs there.")
def linear_start(reference, widths, **of):
    return _generator(widths, **of, first_slope=1.0)


@build_generator.mistake("The skip stands before the way up: concatenate [h, skip], in this order.")
def skip_first(reference, widths, **of):
    return _generator(widths, **of, skip_first=True)


# ---- 9.9 ----


def drive_discriminator(answer, drawing, picture, **arguments):
    """The logits of a small discriminator with given weights."""
    keras = _keras()
    network = answer(**arguments)
    _set_weights(network)
    inputs = [keras.ops.convert_to_tensor(a, "float32") for a in (drawing, picture)]
    return {
        "number of weights": network.count_params(),
        "at test time": network(inputs, training=False),
        "in training": network(inputs, training=True),
    }


@exercise(
    reference="course_lib.pix2pix:build_discriminator",
    points=3,
    hints=(
        "How many channels does what it looks at have, if it judges a picture *with its drawing*? How many numbers "
        "does it say for an image of 64 pixels and two blocks?",
        "Two keras.Input, ops.concatenate([drawing, picture], axis=-1), a downsample block for each width (the first "
        "not normalised), Conv2D(1, 4, padding='same') without activation. keras.Model([drawing, picture], logits).",
    ),
    drive=drive_discriminator,
    tolerance=MODELS,
)
def build_discriminator(rng):
    """A PatchGAN: logits for each patch of a picture with its drawing."""

    def both(N, size):
        return {
            "drawing": rng.uniform(-1, 1, size=(N, size, size, 1)),
            "picture": rng.uniform(-1, 1, size=(N, size, size, 3)),
        }

    yield case("one block", **both(2, 4), size=4, widths=(2,))
    widths = tuple(int(n) for n in rng.permutation([2, 3, 5])[:2])
    yield case("two blocks", **both(3, 8), size=8, widths=widths)
    yield case("size not given", **both(1, 64), widths=widths)


def _discriminator(size, widths, condition=True, activation=_same, first=False, whole=False, swapped=False):
    """A discriminator in which one thing may be otherwise."""
    tf = _tf()
    blocks = [_Block(filters, normalize=k > 0 or first) for k, filters in enumerate(widths)]
    blocks.append(_Block(1, normalize=False, stride=1, activation=activation))

    def run(inputs, training):
        drawing, picture = inputs
        h = tf.concat([picture, drawing] if swapped else [drawing, picture], axis=-1) if condition else picture
        for block in blocks:
            h = block(h, training)
        return tf.reduce_mean(h, axis=(1, 2)) if whole else h

    return _Network(blocks, [4 if condition else 3, *widths], run)


@build_discriminator.mistake(
    "The condition is missing: it never sees the drawing, and accepts any nice picture. Concatenate the two inputs."
)
def no_condition(reference, widths, size=64):
    return _discriminator(size, widths, condition=False)


@build_discriminator.mistake("There is a sigmoid at the end, and the loss takes another. Return logits: no activation.")
def sigmoid_in_network(reference, widths, size=64):
    return _discriminator(size, widths, activation=_sigmoid_of)


@build_discriminator.mistake("One number for the whole image. A PatchGAN returns one logit for each patch.")
def one_for_all(reference, widths, size=64):
    return _discriminator(size, widths, whole=True)


@build_discriminator.mistake("The first block is normalised. DCGAN leaves it out there: normalize=k > 0.")
def first_normalised_too(reference, widths, size=64):
    return _discriminator(size, widths, first=True)


@build_discriminator.mistake("The picture stands before the drawing: concatenate [drawing, picture].")
def picture_first(reference, widths, size=64):
    return _discriminator(size, widths, swapped=True)


# ---- 9.10 ----


AVERAGES, EPSILON, SLOPE = (0.3, 1.7), 1e-3, 0.2  # of the two below; the averages are used where training is False


@functools.cache
def _players():
    """A forger and a judge so small that a step takes milliseconds: each looks at one pixel at a time."""
    keras = _keras()
    ops = keras.ops

    class Network:
        def __init__(self, **weights):
            self.start = {name: np.array(value, "float32") for name, value in weights.items()}
            self.w = {name: keras.Variable(value, name=name) for name, value in self.start.items()}
            self.trainable_variables = self.trainable_weights = self.variables = self.weights = list(self.w.values())

        def reset(self):
            for name, variable in self.w.items():
                variable.assign(self.start[name])

    class Generator(Network):
        def __call__(self, x, training=None):
            h = normalise(self.w["gamma"], ops.matmul(ops.reshape(x, (-1, 1)), self.w["kernel"]), training)
            picture = ops.tanh(ops.matmul(h, self.w["last"]) + self.w["bias"])
            return ops.reshape(picture, (*x.shape[:3], 3))

    class Discriminator(Network):
        def __call__(self, inputs, training=None):
            drawing, picture = inputs
            both = ops.reshape(ops.concatenate([drawing, picture], axis=-1), (-1, 4))
            h = normalise(self.w["gamma"], ops.matmul(both, self.w["kernel"]), training) + self.w["bias"]
            return ops.reshape(ops.matmul(ops.leaky_relu(h, SLOPE), self.w["last"]), (*drawing.shape[:3], 1))

    def normalise(gamma, h, training):
        mean, variance = ops.moments(h, axes=0) if training else AVERAGES
        return gamma * (h - mean) / ops.sqrt(variance + EPSILON)

    forger = Generator(
        kernel=[[0.8, -0.6]], gamma=[1.1, 0.7], last=[[0.5, -0.3, 0.9], [-0.7, 0.4, 0.2]], bias=[0.1, -0.2, 0.3]
    )
    judge = Discriminator(
        kernel=[[0.9, -0.4], [-0.5, 0.8], [0.3, 0.6], [0.7, -0.9]], gamma=[0.8, 1.2], bias=[0.2, -0.1],
        last=[[0.9], [-1.1]],
    )  # fmt: skip
    return forger, judge


def drive_train_step(answer, x, y, lr, **lam):
    """How far both networks have moved after one step of plain gradient descent, and what the step returned."""
    keras = _keras()
    players = generator, discriminator = _players()
    for network in players:
        network.reset()
    optimizers = [keras.optimizers.SGD(rate) for rate in lr]
    x, y = (keras.ops.convert_to_tensor(a, "float32") for a in (x, y))
    losses = answer(generator, discriminator, *optimizers, x, y, **lam)

    def moved(network):
        return {f"change of {name}": v.numpy() - network.start[name] for name, v in network.w.items()}

    return {"discriminator": moved(discriminator), "generator": moved(generator), "returned": losses}


@exercise(
    reference="course_lib.pix2pix:train_step",
    points=4,
    hints=(
        "Two losses, two lists of variables, two optimisers. By what is the discriminator's loss differentiated, "
        "and which stays as it is although the gradient passes through it?",
        "In one tape: d_loss from discriminator([x, y]) and discriminator([x, fake]); then apply its gradient with "
        "respect to discriminator.trainable_variables. In another tape: fake = generator(x, training=True), "
        "discriminator([x, fake]), generator_loss; its gradient with respect to generator.trainable_variables.",
    ),
    drive=drive_train_step,
    tolerance=Tolerance(single=2e-4),
)
def train_step(rng):
    """Each network takes a step, and only its own."""

    def batch(N, size):
        return {"x": rng.uniform(-1, 1, size=(N, size, size, 1)), "y": rng.uniform(-1, 1, size=(N, size, size, 3))}

    yield case("the discriminator's step alone", **batch(2, 4), lam=1.0, lr=(0.0, 0.5))
    yield case("the generator's step alone, lambda not given", **batch(2, 4), lr=(0.05, 0.0))
    yield case("both in turn", **batch(3, 4), lam=float(rng.integers(1, 4)), lr=(0.5, 1.0))


# What the mistakes do is computed in NumPy, with gradients by hand: a check tries them all, and TensorFlow takes its
# time for each little operation.


class _Pass:
    """One pass through one of the two players and back."""

    def __init__(self, w, x, training, forger):
        self.w, self.x, self.training, self.forger = w, x, training, forger
        a = x @ w["kernel"]
        mean, variance = (a.mean(axis=0), a.var(axis=0)) if training else AVERAGES
        self.scale = np.sqrt(variance + EPSILON)
        self.h = (a - mean) / self.scale
        self.b = self.h * w["gamma"] + (0 if forger else w["bias"])
        if forger:
            self.y = np.tanh(self.b @ w["last"] + w["bias"])
        else:
            self.y = np.where(self.b > 0, self.b, SLOPE * self.b) @ w["last"]

    def backward(self, dy):
        """The gradients of the weights, and that of x."""
        w, h = self.w, self.h
        if self.forger:
            dy = dy * (1 - self.y**2)
            grads = {"last": self.b.T @ dy, "bias": dy.sum(axis=0)}
            db = dy @ w["last"].T
        else:
            slope = np.where(self.b > 0, 1, SLOPE)
            db = dy @ w["last"].T * slope
            grads = {"last": (slope * self.b).T @ dy, "bias": db.sum(axis=0)}
        grads["gamma"], dh = (db * h).sum(axis=0), db * w["gamma"]
        if self.training:
            dh = dh - dh.mean(axis=0) - h * (dh * h).mean(axis=0)
        da = dh / self.scale
        return grads | {"kernel": self.x.T @ da}, da @ w["kernel"].T


def _bce(z, label):
    """Cross-entropy of logits, and its gradient."""
    return np.logaddexp(0, -z if label else z).mean(), (_sigmoid(z) - label) / z.size


def _step(G, D, g_opt, d_opt, x, y, lam=100.0, *, both=False, leak=False, at_once=False, condition=True, training=True,
          judging=True, first_g=False, saturating=False, no_d=False):  # fmt: skip
    """A training step in which one thing may be otherwise."""
    x, y = np.asarray(x, float).reshape(-1, 1), np.asarray(y, float).reshape(-1, 3)
    g, d = ({name: v.numpy().astype(float) for name, v in network.w.items()} for network in (G, D))

    def judge(picture):
        return _Pass(d, np.hstack([x if condition else 0 * x, picture]), judging, forger=False)

    def d_step():
        forger = _Pass(g, x, training, forger=True)
        of_real, of_fake = judge(y), judge(forger.y)
        (real, dreal), (fake, dfake) = _bce(of_real.y, 1), _bce(of_fake.y, 0)
        from_real, (from_fake, dx) = of_real.backward(dreal / 2)[0], of_fake.backward(dfake / 2)
        moves = [(d, {name: from_real[name] + from_fake[name] for name in d}, d_opt)]
        moves += [(g, forger.backward(dx[:, 1:])[0], d_opt)] if leak else []
        return (real + fake) / 2, moves

    def g_step():
        forger = _Pass(g, x, training, forger=True)
        judged = judge(forger.y)
        adversarial, dz = _bce(judged.y, 0 if saturating else 1)
        sign = -1 if saturating else 1
        of_judge, dx = judged.backward(sign * dz)
        dfake = dx[:, 1:] + lam * np.sign(forger.y - y) / y.size
        moves = [(g, forger.backward(dfake)[0], g_opt)] + ([(d, of_judge, g_opt)] if both else [])
        return (sign * adversarial, abs(y - forger.y).mean()), moves

    def apply(moves):
        for weights, grads, optimizer in moves:
            for name in weights:
                weights[name] = weights[name] - float(optimizer.learning_rate) * grads[name]

    if at_once:
        (d_loss, d_moves), ((adversarial, l1), g_moves) = d_step(), g_step()
        apply(d_moves + g_moves)
    elif first_g:
        (adversarial, l1), moves = g_step()
        apply(moves)
        d_loss, moves = d_step()
        apply(moves)
    else:
        d_loss, moves = d_step()
        apply([] if no_d else moves)
        (adversarial, l1), moves = g_step()
        apply(moves)
    for network, weights in ((G, g), (D, d)):
        for name, variable in network.w.items():
            variable.assign(weights[name])
    return {"D": d_loss, "adversarial": adversarial, "l1": l1}


@train_step.mistake(
    "The generator's step trains the discriminator too, to be deceived. Only the generator's variables."
)
def trains_the_judge(reference, *args, **lam):
    return _step(*args, **lam, both=True)


@train_step.mistake(
    "The discriminator's step trains the generator too, to be found out. Only discriminator.trainable_variables."
)
def trains_the_forger(reference, *args, **lam):
    return _step(*args, **lam, leak=True)


@train_step.mistake("The discriminator does not see the drawing. Give it [x, y] and [x, fake].")
def condition_left_out(reference, *args, **lam):
    return _step(*args, **lam, condition=False)


@train_step.mistake(
    "Both gradients are taken before either network has moved. That trains as well, but here the generator answers to "
    "the discriminator that has just moved."
)
def at_the_same_time(reference, *args, **lam):
    return _step(*args, **lam, at_once=True)


@train_step.mistake("The generator goes first. Here the discriminator does.")
def generator_first(reference, *args, **lam):
    return _step(*args, **lam, first_g=True)


@train_step.mistake("The generator runs with training=False, so batch normalisation uses its averages. training=True.")
def as_if_testing(reference, *args, **lam):
    return _step(*args, **lam, training=False)


@train_step.mistake("The discriminator runs without training=True, so batch normalisation uses its averages.")
def judge_as_if_testing(reference, *args, **lam):
    return _step(*args, **lam, judging=False)


@train_step.mistake("The saturating loss: use your generator_loss.")
def saturating_step(reference, *args, **lam):
    return _step(*args, **lam, saturating=True)


@train_step.mistake("The discriminator's gradient is computed, but never applied.")
def judge_never_learns(reference, *args, **lam):
    return _step(*args, **lam, no_d=True)


__dir__ = only_exercises(globals())
