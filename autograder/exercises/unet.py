"""Chapter 08: what is checked of the exercises on the U-Net.

Some exercises ask for what Keras and TensorFlow have. While such an answer runs, these operations are closed, in the
student's kernel as in the sandbox, so that both give the same verdict.
"""

import contextlib
import sys

import numpy as np

from autograder.compare import Tolerance
from autograder.exercise import Written, case, exercise, only_exercises


@contextlib.contextmanager
def closed(part, message):
    """While this lasts, TensorFlow's operations with ``part`` in their name raise; Keras computes with them."""
    entrances = sys.modules.get("tensorflow.python.pywrap_tfe")
    where = {"TFE_Py_FastPathExecute": 1, "TFE_Py_Execute": 2, "TFE_Py_ExecuteCancelable": 2}  # of the name
    kept = {entrance: getattr(entrances, entrance) for entrance in where} if entrances else {}

    def watched(entrance):
        def execute(*args):
            if part in str(args[where[entrance]]):
                raise RuntimeError(message)
            return kept[entrance](*args)

        return execute

    try:
        for entrance in kept:
            setattr(entrances, entrance, watched(entrance))
        yield
    finally:
        for entrance, real in kept.items():
            setattr(entrances, entrance, real)


def by_numpy(answer, *args, **kwargs):
    """The drive of the exercises that are written with NumPy."""
    with closed("", "this exercise is written with NumPy; Keras and TensorFlow are closed while it is checked"):
        return answer(*args, **kwargs)


# ---- 8.1 and 8.2: transposed convolution ----

STAMP = np.array([[1.0, 2.0], [3.0, 4.0]])[None, None]
SMALL = np.array([[1.0, 2.0], [0.0, -1.0]])[None, None]


def stamps(x, weight, stride=1, padding=0, overwrite=False):
    """Scatter with the filter as it is given, for the mistakes below."""
    N, _, H, W = x.shape
    _, OC, FH, FW = weight.shape
    y = np.zeros((N, OC, (H - 1) * stride + FH, (W - 1) * stride + FW))
    for i in range(H):
        for j in range(W):
            here = y[:, :, i * stride : i * stride + FH, j * stride : j * stride + FW]
            stamp = np.einsum("nc,copq->nopq", x[:, :, i, j], weight)
            here[...] = stamp if overwrite else here + stamp
    P = padding
    return y[:, :, P : y.shape[2] - P, P : y.shape[3] - P]


def transposed_cases(rng):
    yield case("the worked example", SMALL, STAMP)
    yield case("the worked example, stride 2", SMALL, STAMP, stride=2)
    yield case("one pixel", np.array([[[[2.0]]]]), rng.normal(size=(1, 1, 2, 3)))
    yield case("overlapping stamps", rng.normal(size=(1, 1, 2, 3)), rng.normal(size=(1, 1, 3, 3)), stride=2)
    yield case("three channels to two", rng.normal(size=(2, 3, 3, 2)), rng.normal(size=(3, 2, 2, 3)), stride=2)
    yield case("padding", rng.normal(size=(1, 2, 3, 4)), rng.normal(size=(2, 2, 3, 3)), stride=2, padding=1)
    yield case("a large stride", rng.normal(size=(2, 2, 3, 2)), rng.normal(size=(2, 3, 4, 3)), stride=3, padding=2)


@exercise(
    reference="course_lib.unet.upsampling:conv_transpose2d",
    points=3,
    hints=(
        "Where in the output is the top-left corner of the stamp that pixel (i, j) makes, when the stride is S?",
        "Make zeros of (N, OC, (H-1)*S + FH, (W-1)*S + FW). For every pixel (i, j), add "
        "np.einsum('nc,copq->nopq', x[:, :, i, j], weight) to the rows i*S .. i*S+FH-1 and the columns likewise. At "
        "the end, cut P rows and columns off at each side.",
    ),
    drive=by_numpy,
)
def conv_transpose2d(rng):
    """Every pixel stamps the filter, times its value, onto the output."""
    yield from transposed_cases(rng)


@conv_transpose2d.mistake("Where stamps overlap they must be added; here the last one overwrites the others.")
def overwritten(reference, x, weight, stride=1, padding=0):
    return stamps(x, weight, stride, padding, overwrite=True)


@conv_transpose2d.mistake(
    "The filter is rotated by 180°. Scattering uses it as it is; only the convolution of zero insertion rotates it."
)
def rotated(reference, x, weight, stride=1, padding=0):
    return stamps(x, weight[:, :, ::-1, ::-1], stride, padding)


@conv_transpose2d.mistake(
    "The filter is transposed: its rows have become columns. Only its two channel axes have a say."
)
def filter_transposed(reference, x, weight, stride=1, padding=0):
    return stamps(x, weight.transpose(0, 1, 3, 2), stride, padding)


@conv_transpose2d.mistake("The stride is not used: neighbouring stamps lie `stride` pixels apart.")
def stride_ignored(reference, x, weight, stride=1, padding=0):
    return stamps(x, weight, 1, padding)


@conv_transpose2d.mistake("Only the first channel of the images is used; the stamps of all of them are added.")
def first_channel(reference, x, weight, stride=1, padding=0):
    return stamps(x[:, :1], weight[:1], stride, padding)


@conv_transpose2d.mistake("The padding is not used: P rows and columns are cut off at each side.")
def nothing_cut(reference, x, weight, stride=1, padding=0):
    return stamps(x, weight, stride)


@conv_transpose2d.mistake("The padding adds a border. In a transposed convolution it cuts one off: 2P less, not more.")
def padding_added(reference, x, weight, stride=1, padding=0):
    y = stamps(x, weight, stride)
    return np.pad(y, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


@conv_transpose2d.mistake("The output is S times the input: the edge where the last stamp hangs over is cut off.")
def edge_lost(reference, x, weight, stride=1, padding=0):
    y = stamps(x, weight, stride)
    y = y[:, :, : x.shape[2] * stride, : x.shape[3] * stride]
    return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]


def spread(x, weight, stride=1, padding=0, between=0, border=None, turn=(2, 3), exchange=True):
    """Variants of zero insertion, for the mistakes: ``between`` zeros too many, another border, axes to turn."""
    N, C, H, W = x.shape
    S = stride + between
    y = np.zeros((N, C, (H - 1) * S + 1, (W - 1) * S + 1))
    y[:, :, ::S, ::S] = x
    a, b = (F - 1 - padding if border is None else border(F, padding) for F in weight.shape[2:])
    weight = np.flip(weight, turn)
    return np.pad(y, ((0, 0), (0, 0), (a, a), (b, b))), weight.transpose(1, 0, 2, 3) if exchange else weight


@exercise(
    reference="course_lib.unet.upsampling:as_convolution",
    points=3,
    hints=(
        "One output pixel of the transposed convolution: which input pixels have stamped it, and with which entry of "
        "the filter? Is that entry counted from the same corner as in a convolution?",
        "spread[:, :, ::S, ::S] = x puts S-1 zeros between; np.pad adds F-1-P zeros on each side; the filters are "
        "weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3).",
    ),
    drive=by_numpy,
)
def as_convolution(rng):
    """The spread-out images and the turned filters, with which an ordinary convolution is the transposed one."""
    yield from transposed_cases(rng)


@as_convolution.mistake("The filters are not rotated by 180°: weight[:, :, ::-1, ::-1].")
def not_rotated(reference, x, weight, stride=1, padding=0):
    return spread(x, weight, stride, padding, turn=())


@as_convolution.mistake("The filters are turned along one axis only: that mirrors them. Both axes make it 180°.")
def mirrored(reference, x, weight, stride=1, padding=0):
    return spread(x, weight, stride, padding, turn=3)


@as_convolution.mistake("S zeros are put between neighbours. S - 1 belong there: then they are S pixels apart.")
def one_zero_more(reference, x, weight, stride=1, padding=0):
    return spread(x, weight, stride, padding, between=1)


@as_convolution.mistake("The border is P wide. The outermost stamps need F - 1 zeros, of which P are cut off.")
def border_of_p(reference, x, weight, stride=1, padding=0):
    return spread(x, weight, stride, padding, border=lambda F, P: P)


@as_convolution.mistake("The border is F - 1 wide, whatever the padding is. P of it are cut off at each side.")
def padding_ignored(reference, x, weight, stride=1, padding=0):
    return spread(x, weight, stride, padding, border=lambda F, P: F - 1)


@as_convolution.mistake(
    "The filters' channel axes stand in the old order. A convolution wants the output's channels first."
)
def channels_not_exchanged(reference, x, weight, stride=1, padding=0):
    return spread(x, weight, stride, padding, exchange=False)


why_transposed = Written("why_transposed", points=3)

# ---- 8.3: sizes ----


@exercise(
    reference="course_lib.unet.networks:unet_sizes",
    points=3,
    hints=(
        "Which three things happen to the size: in the convolutions, on the way down, on the way up? And which level "
        "is the first after the bottom?",
        "lost = 0 or 4. Down: for level 0..depth, subtract lost, note (size, base * 2**level), then halve with // "
        "(not after the bottom). Up: for level depth-1 .. 0, size = 2 * size - lost, note again.",
    ),
)
def unet_sizes(rng):
    """Height and channels of every stage of a U-Net."""
    yield case("one level", 8, 4, 1)
    yield case("the network of this chapter", 64, 12, 3)
    yield case("a size that 8 does not divide", 50, 5, 3)
    yield case("the original U-Net", 572, 64, 4, padding="valid")
    yield case("valid, small", 20, 3, 1, padding="valid")
    yield case("random", int(rng.integers(150, 250)), int(rng.integers(2, 20)), 4, padding="same")
    yield case("random and valid", 2 * int(rng.integers(90, 120)), int(rng.integers(2, 20)), 3, padding="valid")


@unet_sizes.mistake("The channels stay those of the first level; each level down doubles them.")
def channels_constant(reference, size, base, depth, padding="same"):
    return [(height, base) for height, _ in reference(size, base, depth, padding)]


@unet_sizes.mistake("The channels grow by `base` from level to level. They double: base * 2**level.")
def channels_added(reference, size, base, depth, padding="same"):
    levels = [*range(depth + 1), *reversed(range(depth))]
    sizes = reference(size, base, depth, padding)
    return [
        (height, base * (level + 1) + (base if depth == 1 and level else 0))
        for (height, _), level in zip(sizes, levels, strict=True)
    ]


@unet_sizes.mistake("The bottom counts twice: it is the last stage down and no stage up.")
def bottom_twice(reference, size, base, depth, padding="same"):
    sizes = reference(size, base, depth, padding)
    return [*sizes[: depth + 1], *sizes[depth:]]


@unet_sizes.mistake('The padding is not looked at: with "valid", two convolutions of 3×3 take away 4 pixels.')
def padding_unused(reference, size, base, depth, padding="same"):
    return reference(size, base, depth)


@unet_sizes.mistake('With "valid", two convolutions of 3×3 take away 4 pixels together; here only 2 are gone.')
def two_pixels(reference, size, base, depth, padding="same"):
    lost, stages = (2 if padding == "valid" else 1), []
    for level in range(depth + 1):
        size -= lost
        stages.append((size, base * 2**level))
        size = size // 2 if level < depth else size
    for level in reversed(range(depth)):
        size = 2 * size - lost
        stages.append((size, base * 2**level))
    return stages


@unet_sizes.mistake("The way up is listed as the way down: what is cut off or rounded down does not come back.")
def way_up_copied(reference, size, base, depth, padding="same"):
    sizes = reference(size, base, depth, padding)
    mirrored = [*sizes[: depth + 1], *reversed(sizes[:depth])]
    return mirrored if mirrored != sizes else [(height + (k > depth), c) for k, (height, c) in enumerate(sizes)]


# ---- 8.4 to 8.7: the network ----


def fill(model, seed):
    """Give every weight its own seeded numbers, so that two models of the same structure compute the same."""
    values = []
    for k, w in enumerate(model.weights):
        rng = np.random.default_rng([seed, k])
        if w.name in ("gamma", "moving_variance"):
            values.append(rng.uniform(0.5, 1.5, size=tuple(w.shape)))
        else:
            scale = np.sqrt(2 / max(np.prod(w.shape[:-1]), 1)) if w.name == "kernel" else 0.2
            values.append(rng.normal(scale=scale, size=tuple(w.shape)))
    model.set_weights(values)


def use(model, *inputs, seed, train=True):
    """What a model is made of and computes with seeded weights, as named arrays; ``train``: after a step, too."""
    weights = [f"{w.name} {tuple(w.shape)}{'' if w.trainable else ' (not trained)'}" for w in model.weights]
    fill(model, seed)
    inputs = list(inputs) if len(inputs) > 1 else inputs[0]
    outputs = model(inputs, training=False)
    result = {"weights": weights}
    for k, output in enumerate(outputs if isinstance(outputs, (list, tuple)) else [outputs]):
        result[f"output {k}" if isinstance(outputs, (list, tuple)) else "output"] = np.asarray(output)
    if not train:
        return result
    model(inputs, training=True)  # moves the averages of the normalisations
    moved = [np.asarray(w) for w in model.weights if w.name.startswith("moving")]
    result["moving averages after a step"] = np.concatenate([np.ravel(w) for w in moved]) if moved else np.zeros(1)
    return result


def drive_double_conv(answer, x, channels, seed):
    import keras

    image = keras.Input(x.shape[1:])
    return use(keras.Model(image, answer(image, channels)), x, seed=seed)


def drive_down(answer, x, channels, seed):
    import keras

    image = keras.Input(x.shape[1:])
    results = answer(image, channels)
    if not isinstance(results, (tuple, list)) or len(results) != 2:
        raise TypeError("down returns two tensors, the halved one and the skip: return halved, skip")
    halved, skip = results
    return use(keras.Model(image, [halved, skip]), x, seed=seed)


def drive_up(answer, x, skip, channels, seed):
    import keras

    below, beside = keras.Input(x.shape[1:]), keras.Input(skip.shape[1:])
    return use(keras.Model([below, beside], answer(below, beside, channels)), x, skip, seed=seed)


def drive_unet(answer, x, classes, *base_and_depth, seed=None):
    model = answer(x.shape[1:], classes, *base_and_depth)
    if seed is None:  # a larger one is only counted: that takes a fraction of the time
        return {"numbers": model.count_params(), "output shape": [*model.output_shape[1:]]}
    return use(model, x, seed=seed, train=False)


def counted(name, shape, classes, base=12, depth=3, default=False):
    """A case in which a U-Net is built and its numbers are counted, moving averages included."""
    before, numbers, widths = shape[-1], 0, [base * 2**level for level in range(depth + 1)]
    for width in widths:
        numbers += 9 * before * width + 9 * width * width + 8 * width
        before = width
    for width in reversed(widths[:-1]):
        numbers += 4 * before * width + width + 18 * width * width + 9 * width * width + 8 * width
        before = width
    size = [2**depth * (length // 2**depth) for length in shape[:-1]]
    truth = {"numbers": numbers + before * classes + classes, "output shape": [*size, classes]}
    return case(name, np.zeros((1, *shape)), classes, *(() if default else (base, depth))).expecting(truth)


def pixels(rng, *shape):
    return rng.random(shape).astype(np.float32)


@exercise(
    reference="course_lib.unet.networks:double_conv",
    points=2,
    hints=(
        "Which three layers come twice, and in which order?",
        'layers.Conv2D(channels, 3, padding="same", use_bias=False), layers.BatchNormalization(momentum=0.9), '
        "layers.ReLU(); each is called on the result of the one before.",
    ),
    drive=drive_double_conv,
    tolerance=Tolerance(single=1e-3),
)
def double_conv(rng):
    """Convolution, normalisation, ReLU; and again."""
    seed = int(rng.integers(1000))
    yield case("one channel to two", pixels(rng, 1, 4, 4, 1), 2, seed=seed)
    yield case("three channels to four", pixels(rng, 2, 5, 6, 3), 4, seed=seed + 1)
    yield case("four channels to three", pixels(rng, 2, 3, 7, 4), 3, seed=seed + 2)


def convolve(x, channels, times=2, order="cnr", bias=False, momentum=0.9, relu_last=True, size=3):
    """Variants of the block, for the mistakes."""
    from keras import layers

    for k in range(times):
        for letter in order:
            if letter == "c":
                x = layers.Conv2D(channels, size, padding="same", use_bias=bias)(x)
            elif letter == "n":
                x = layers.BatchNormalization(momentum=momentum)(x)
            elif relu_last or k < times - 1:
                x = layers.ReLU()(x)
    return x


@double_conv.mistake("ReLU comes before the normalisation. The order is convolution, normalisation, ReLU.")
def relu_first(reference, x, channels):
    return convolve(x, channels, order="crn")


@double_conv.mistake("Only one convolution: the block does all three steps twice.")
def only_once(reference, x, channels):
    return convolve(x, channels, times=1)


@double_conv.mistake("The convolutions have a bias, which the normalisation subtracts again: use_bias=False.")
def with_bias(reference, x, channels):
    return convolve(x, channels, bias=True)


@double_conv.mistake("The normalisation is missing.")
def no_normalisation(reference, x, channels):
    return convolve(x, channels, order="cr")


@double_conv.mistake("The last ReLU is missing: it follows both convolutions.")
def last_relu_missing(reference, x, channels):
    return convolve(x, channels, relu_last=False)


@double_conv.mistake(
    "Keras's default momentum is 0.99: in a training of a few hundred steps the averages lag far behind. Set 0.9."
)
def default_momentum(reference, x, channels):
    return convolve(x, channels, momentum=0.99)


@exercise(
    reference="course_lib.unet.networks:down",
    points=2,
    hints=(
        "Two results are asked for. Which of them still has the full size?",
        "skip = double_conv(x, channels); return layers.MaxPooling2D(2)(skip), skip",
    ),
    drive=drive_down,
    tolerance=Tolerance(single=1e-3),
)
def down(rng):
    """Two convolutions, keep the result, halve it."""
    seed = int(rng.integers(1000))
    yield case("one channel", pixels(rng, 1, 4, 4, 1), 2, seed=seed)
    yield case("two images, three channels", pixels(rng, 2, 6, 4, 3), 2, seed=seed + 1)
    yield case("odd sizes", pixels(rng, 1, 5, 7, 2), 3, seed=seed + 2)


@down.mistake("The two results have changed places: first the halved one, then the skip.")
def results_swapped(reference, x, channels):
    halved, skip = reference(x, channels)
    return skip, halved


@down.mistake("The skip is taken before the convolutions. What goes across is what they have found.")
def skip_too_early(reference, x, channels):
    return reference(x, channels)[0], x


@down.mistake("The skip is the halved image: the fine detail that it should carry across is gone.")
def skip_halved(reference, x, channels):
    halved, _ = reference(x, channels)
    return halved, halved


@down.mistake("Halved by the mean; the maximum is asked for.")
def mean_for_max(reference, x, channels):
    from keras import layers

    _, skip = reference(x, channels)
    return layers.AveragePooling2D(2)(skip), skip


@exercise(
    reference="course_lib.unet.networks:up",
    points=4,
    hints=(
        "x has half the size of the skip. Which layer doubles it? And if the skip is a pixel larger than the doubled "
        "x, how many of its rows go at the start, and how many at the end?",
        "x = layers.Conv2DTranspose(channels, 2, strides=2)(x). With dh = skip.shape[1] - x.shape[1] and dw likewise: "
        "skip = layers.Cropping2D(((dh // 2, dh - dh // 2), (dw // 2, dw - dw // 2)))(skip). Then "
        "layers.Concatenate()([skip, x]) and double_conv.",
    ),
    drive=drive_up,
    tolerance=Tolerance(single=1e-3),
)
def up(rng):
    """Double, put the skip beside it, two convolutions."""
    seed = int(rng.integers(1000))
    yield case("equal sizes", pixels(rng, 1, 2, 2, 2), pixels(rng, 1, 4, 4, 1), 2, seed=seed)
    yield case("two images", pixels(rng, 2, 2, 3, 4), pixels(rng, 2, 4, 6, 2), 2, seed=seed + 1)
    yield case("a skip one pixel too large", pixels(rng, 1, 2, 2, 2), pixels(rng, 1, 5, 5, 2), 2, seed=seed + 2)
    yield case("a skip much too large", pixels(rng, 1, 2, 3, 2), pixels(rng, 1, 9, 8, 3), 3, seed=seed + 3)


def ascend(reference, x, skip, channels, doubled=None, join=None, place="middle", last=True):
    """Variants of the way up, for the mistakes."""
    from keras import layers

    x = (doubled or layers.Conv2DTranspose(channels, 2, strides=2))(x)
    dh, dw = skip.shape[1] - x.shape[1], skip.shape[2] - x.shape[2]
    before = {"middle": (dh // 2, dw // 2), "corner": (0, 0), "late": (dh - dh // 2, dw - dw // 2)}[place]
    skip = layers.Cropping2D(((before[0], dh - before[0]), (before[1], dw - before[1])))(skip)
    x = join(skip, x) if join else layers.Concatenate()([skip, x])
    return convolve(x, channels) if last else x


@up.mistake("The skip is not used: nothing is carried across.")
def without_skip(reference, x, skip, channels):
    return ascend(reference, x, skip, channels, join=lambda skip, x: x)


@up.mistake("The order of the two is exchanged: Concatenate()([skip, x]), the skip first.")
def order_exchanged(reference, x, skip, channels):
    from keras import layers

    return ascend(reference, x, skip, channels, join=lambda skip, x: layers.Concatenate()([x, skip]))


@up.mistake("The skip is cut at its top-left corner. Cut it around the middle, so that pixels meet their own place.")
def cut_at_corner(reference, x, skip, channels):
    if skip.shape[1] - 2 * x.shape[1] < 2:  # one pixel too much: the corner is the middle
        return ascend(reference, x, skip, channels, place="late")
    return ascend(reference, x, skip, channels, place="corner")


@up.mistake("Doubled by repeating pixels. A transposed convolution, 2×2 with stride 2, is asked for.")
def repeated(reference, x, skip, channels):
    from keras import layers

    return ascend(reference, x, skip, channels, doubled=layers.UpSampling2D(2))


@up.mistake("The two convolutions after the concatenation are missing.")
def no_convolutions(reference, x, skip, channels):
    return ascend(reference, x, skip, channels, last=False)


@exercise(
    reference="course_lib.unet.networks:build_unet",
    points=4,
    hints=(
        "On the way up, which skip is wanted first: the one kept first, or the one kept last?",
        "Input; for level 0 .. depth-1: x, skip = down(x, base * 2**level) and keep the skip; double_conv with "
        "base * 2**depth; for level depth-1 .. 0: x = up(x, skips[level], base * 2**level); at the end "
        "layers.Conv2D(classes, 1) and keras.Model(image, x).",
    ),
    drive=drive_unet,
    tolerance=Tolerance(single=2e-3),
)
def build_unet(rng):
    """Down, bottom, up, and a score for every class in every pixel."""
    yield case("one level", pixels(rng, 1, 4, 4, 1), 2, 2, 1, seed=int(rng.integers(1000)))
    channels, classes, base = (int(n) for n in rng.integers(2, 6, size=3))
    yield counted("two levels, a size that 4 does not divide", (7, 6, channels), classes, base, 2)
    yield counted("base and depth as they are by default", (8, 8, 1), 3, default=True)


def assemble(shape, classes, base, depth, *, widen=True, softmax=False, last=1, double=2):
    """Variants of the whole network, for the mistakes."""
    import keras
    from keras import layers

    x = image = keras.Input(shape)
    width, skips = [base * (2**level if widen else 1) for level in range(depth + 1)], []
    for level in range(depth):
        x = convolve(x, width[level])
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = convolve(x, width[depth], times=double)
    for level in reversed(range(depth)):
        x = ascend(None, x, skips[level], width[level])
    return keras.Model(
        image, layers.Conv2D(classes, last, padding="same", activation="softmax" if softmax else None)(x)
    )


@build_unet.mistake("The channels do not double from level to level: base * 2**level.")
def never_wider(reference, shape, classes, base=12, depth=3):
    return assemble(shape, classes, base, depth, widen=False)


@build_unet.mistake("There is a softmax at the end. The losses of this chapter take scores and would apply it again.")
def softmax_inside(reference, shape, classes, base=12, depth=3):
    return assemble(shape, classes, base, depth, softmax=True)


@build_unet.mistake("The last convolution is 3×3. Scores are read off each pixel by itself: 1×1.")
def last_three_by_three(reference, shape, classes, base=12, depth=3):
    return assemble(shape, classes, base, depth, last=3)


@build_unet.mistake("The two convolutions at the bottom are missing.")
def no_bottom(reference, shape, classes, base=12, depth=3):
    return assemble(shape, classes, base, depth, double=0)


# ---- 8.8 and 8.9: losses ----


def drive_loss(answer, z, y, *more):
    """The loss, and its gradient with respect to the scores: it must be possible to train on it."""
    import tensorflow as tf

    z = tf.constant(z)
    message = "the cross-entropies of Keras and TensorFlow are closed here: write one with ops.log_softmax"
    with tf.GradientTape() as tape, closed("CrossEntropy", message):
        tape.watch(z)
        E = tf.convert_to_tensor(answer(z, y, *more))
    dz = tape.gradient(E, z)
    return {"loss": E, "gradient": dz}


def scores_and_labels(rng, N, H, W, K, scale=1.0):
    return (scale * rng.normal(size=(N, H, W, K))).astype(np.float32), rng.integers(0, K, size=(N, H, W))


HALVES = np.log([[[[0.5, 0.5], [0.8, 0.2]]]]).astype(np.float32)  # one image of 1×2 pixels, two classes


@exercise(
    reference="course_lib.unet.losses:weighted_cross_entropy",
    points=3,
    hints=(
        "Two pixels with -log p of 0.7 and 1.6 and the weights 1 and 3: what is their weighted mean?",
        "log_p = ops.log_softmax(z, axis=-1); right = ops.one_hot(y, z.shape[-1]). Sums over the last axis give "
        "log p and w at the right class of every pixel. The result: -(weight * log_p).sum / weight.sum.",
    ),
    drive=drive_loss,
    tolerance=Tolerance(single=2e-5),
)
def weighted_cross_entropy(rng):
    """The weighted mean of every pixel's -log p."""
    ones = np.ones(2, np.float32)
    yield case("two pixels, equal weights", HALVES, np.array([[[0, 1]]]), ones)
    yield case(
        "the worked example: class 1 counts three times", HALVES, np.array([[[0, 1]]]), np.array([1, 3], np.float32)
    )
    yield case("all weights doubled", HALVES, np.array([[[1, 0]]]), 2 * ones)
    yield case("sure and wrong", np.array([[[[0, 200.0], [1, 0]]]], np.float32), np.array([[[0, 0]]]), ones)
    w = rng.uniform(0.2, 4, size=5).astype(np.float32)
    yield case("random", *scores_and_labels(rng, 2, 3, 4, 5), w)


def pixel_losses(z, y):
    """-log p of the right class, (N, H, W)."""
    from keras import ops

    right = ops.one_hot(y, z.shape[-1], dtype="float32")
    return -ops.sum(right * ops.log_softmax(z, axis=-1), axis=-1), right


@weighted_cross_entropy.mistake(
    "Divided by the number of pixels. A weighted mean is divided by the sum of the weights."
)
def divided_by_pixels(reference, z, y, w):
    from keras import ops

    losses, right = pixel_losses(z, y)
    return ops.mean(losses * ops.sum(right * w, axis=-1)) * (1 if (w != 1).any() else 1.0001)


@weighted_cross_entropy.mistake("The sum is not divided by anything: it grows with the number of pixels.")
def not_divided(reference, z, y, w):
    from keras import ops

    losses, right = pixel_losses(z, y)
    return ops.sum(losses * ops.sum(right * w, axis=-1))


@weighted_cross_entropy.mistake("The weight of the *predicted* class is taken. It is the right class that counts.")
def weight_of_predicted(reference, z, y, w):
    from keras import ops

    losses, _ = pixel_losses(z, y)
    weight = ops.take(ops.convert_to_tensor(w), ops.argmax(z, axis=-1))
    return ops.sum(losses * weight) / ops.sum(weight)


@weighted_cross_entropy.mistake("The scores are taken for probabilities: log-softmax comes first.")
def softmax_twice(reference, z, y, w):
    from keras import ops

    return reference(ops.softmax(z, axis=-1), y, w)


@weighted_cross_entropy.mistake("The sign is wrong: the logarithm of a probability is negative, the loss is not.")
def negative(reference, z, y, w):
    return -reference(z, y, w)


@weighted_cross_entropy.mistake("The probability is rounded to 0 before its logarithm is taken: use ops.log_softmax.")
def log_of_zero(reference, z, y, w):
    from keras import ops

    right = ops.one_hot(y, z.shape[-1], dtype="float32")
    p = ops.sum(right * ops.softmax(z, axis=-1), axis=-1)
    weight = ops.sum(right * w, axis=-1)
    return -ops.sum(weight * ops.log(p)) / ops.sum(weight)


@exercise(
    reference="course_lib.unet.losses:soft_dice_loss",
    points=3,
    hints=(
        "For one class: which sum takes the place of the number of pixels that both have, when the prediction is a "
        "probability?",
        "p = ops.softmax(z, axis=-1); g = ops.one_hot(y, K); both = ops.sum(p * g, axis=(0, 1, 2)) has shape (K,); "
        "the result is 1 - ops.mean((2 * both + 1) / (sum of p + sum of g + 1)).",
    ),
    drive=drive_loss,
    tolerance=Tolerance(single=2e-5),
)
def soft_dice_loss(rng):
    """One minus the mean Dice coefficient of probabilities."""
    yield case("two pixels", HALVES, np.array([[[0, 1]]]))
    yield case("a class that occurs nowhere", HALVES, np.array([[[0, 0]]]))
    yield case("two images", *scores_and_labels(rng, 2, 2, 2, 2))
    yield case("three classes", *scores_and_labels(rng, 2, 3, 4, 3, 2.0))


def dice_of(z, y, axis=(0, 1, 2), epsilon=1.0, twice=2, square=False):
    from keras import ops

    p, g = ops.softmax(z, axis=-1), ops.one_hot(y, z.shape[-1], dtype="float32")
    both, size = ops.sum(p * g, axis=axis), ops.sum(p * p if square else p, axis=axis) + ops.sum(g, axis=axis)
    return ops.mean((twice * both + epsilon) / (size + epsilon))


@soft_dice_loss.mistake("This is the coefficient, which is to be large. The loss is one minus it.")
def coefficient(reference, z, y):
    return dice_of(z, y)


@soft_dice_loss.mistake("The factor 2 is missing: a perfect prediction would only reach one half.")
def factor_missing(reference, z, y):
    return 1 - dice_of(z, y, twice=1)


@soft_dice_loss.mistake(
    "The classes are summed together, so that the largest decides. One coefficient each, then the mean."
)
def classes_together(reference, z, y):
    return 1 - dice_of(z, y, axis=(0, 1, 2, 3))


@soft_dice_loss.mistake("One coefficient for each pixel. Sum over images, rows and columns: axis=(0, 1, 2).")
def each_pixel(reference, z, y):
    return 1 - dice_of(z, y, axis=-1)


@soft_dice_loss.mistake("The 1 (epsilon) is missing in numerator and denominator.")
def no_epsilon(reference, z, y):
    return 1 - dice_of(z, y, epsilon=0.0)


@soft_dice_loss.mistake(
    "The probabilities in the denominator are squared. There are such variants; here it is their sum."
)
def squared(reference, z, y):
    return 1 - dice_of(z, y, square=True)


# ---- 8.10 to 8.12: measures ----


def overlap_cases(rng):
    yield case("four pixels", np.array([[0, 1], [1, 1]]), np.array([[0, 1], [0, 1]]), 2)
    yield case("a class that only the prediction has", np.array([[0, 1, 1]]), np.array([[2, 1, 0]]), 3)
    yield case("a class that nobody has", np.array([[0, 3, 3, 0]]), np.array([[0, 3, 0, 0]]), 4)
    y = rng.integers(0, 4, size=(3, 5, 6))
    yield case("three slices", y, np.where(rng.random(y.shape) < 0.6, y, rng.integers(0, 4, size=y.shape)), 4)


def sizes(y, predicted, K):
    return np.array([[((y == k) & (predicted == k)).sum(), (y == k).sum(), (predicted == k).sum()] for k in range(K)]).T


def share(a, b):
    with np.errstate(invalid="ignore", divide="ignore"):
        return a / b


@exercise(
    reference="course_lib.unet.losses:dice",
    points=2,
    hints=(
        "For class k, how do you count the pixels that have it in `y`, in `predicted`, and in both?",
        "both = ((y == k) & (predicted == k)).sum(); 2 * both / ((y == k).sum() + (predicted == k).sum()), and np.nan "
        "where that would be 0/0.",
    ),
    drive=by_numpy,
)
def dice(rng):
    """Twice what both have over what each has, for every class."""
    yield from overlap_cases(rng)


@dice.mistake("That is intersection over union. Dice divides twice the intersection by the sum of the two sizes.")
def iou_for_dice(reference, y, predicted, K):
    both, a, b = sizes(y, predicted, K)
    return share(both, a + b - both)


@dice.mistake("That is recall: the prediction's size is missing in the denominator, so predicting too much is free.")
def recall(reference, y, predicted, K):
    both, a, _ = sizes(y, predicted, K)
    return share(both, a)


@dice.mistake("The factor 2 is missing.")
def no_factor(reference, y, predicted, K):
    return reference(y, predicted, K) / 2


@dice.mistake("A class that nobody has gets 0, and pulls down every mean. It has no Dice: NaN.")
def zero_for_nan(reference, y, predicted, K):
    return np.where(np.isnan(reference(y, predicted, K)), 0.0, reference(y, predicted, K))


@dice.mistake("The coefficient is averaged over slices. All pixels of all slices count together.")
def mean_of_slices(reference, y, predicted, K):
    return np.mean([reference(a, b, K) for a, b in zip(y, predicted, strict=True)], axis=0)


@exercise(
    reference="course_lib.unet.losses:iou",
    points=1,
    hints=(
        "How many pixels does the union have, when the sizes of both and of their intersection are known?",
        "both / (size_of_y + size_of_predicted - both), np.nan for 0/0. Or with dice: d / (2 - d).",
    ),
    drive=by_numpy,
)
def iou(rng):
    """Intersection over union of every class."""
    yield from overlap_cases(rng)


@iou.mistake("The union counts the intersection twice: |A| + |B| - |A and B|.")
def union_too_large(reference, y, predicted, K):
    both, a, b = sizes(y, predicted, K)
    return share(both, a + b)


@iou.mistake("That is Dice.")
def dice_for_iou(reference, y, predicted, K):
    both, a, b = sizes(y, predicted, K)
    return share(2 * both, a + b)


@iou.mistake("A class that nobody has gets 0. It has no value: NaN.")
def iou_zero_for_nan(reference, y, predicted, K):
    return np.where(np.isnan(reference(y, predicted, K)), 0.0, reference(y, predicted, K))


@exercise(
    reference="course_lib.unet.losses:ejection_fraction",
    points=2,
    hints=(
        "How many cubic millimetres has one voxel, and how many of them are a millilitre?",
        "voxel = dz * dy * dx / 1000; volume = (labels == label).sum() * voxel; fraction = (full - contracted) / full.",
    ),
)
def ejection_fraction(rng):
    """Two volumes in ml, and the share that is ejected."""
    ed = np.zeros((1, 4, 4), int)
    ed[0, :2] = 3
    es = np.zeros((1, 4, 4), int)
    es[0, 0, :2] = 3
    yield case("eight voxels become two", ed, es, (10.0, 5.0, 10.0))
    yield case("other classes beside it", np.where(ed == 0, 2, ed), np.where(es == 0, 1, es), (8.0, 2.0, 2.0))
    y = rng.integers(0, 4, size=(2, 4, 6, 6))
    y[0, :2] = 3
    yield case("random labels", y[0], y[1], tuple(float(mm) for mm in rng.uniform(1, 9, size=3)))
    yield case("another label", y[0], y[1], (5.0, 1.5, 1.2), label=1)


@ejection_fraction.mistake("Divided by the contracted volume. What is ejected is a share of the full one.")
def divided_by_es(reference, ed, es, spacing, label=3):
    a, b, _ = reference(ed, es, spacing, label)
    return a, b, share(np.float64(a - b), b)


@ejection_fraction.mistake("Volumes in mm³: divide by 1,000 for millilitres.")
def cubic_millimetres(reference, ed, es, spacing, label=3):
    a, b, fraction = reference(ed, es, spacing, label)
    return 1000 * a, 1000 * b, fraction


@ejection_fraction.mistake("The distance of the slices is left out: that is an area.")
def area(reference, ed, es, spacing, label=3):
    return reference(ed, es, (1.0, *spacing[1:]), label)


@ejection_fraction.mistake(
    "All classes are counted together. Only the voxels with `label` are blood of the left ventricle."
)
def every_class(reference, ed, es, spacing, label=3):
    return reference((ed > 0) * label, (es > 0) * label, spacing, label)


@ejection_fraction.mistake("This is what stays in the heart. The ejected share is one minus it.")
def what_stays(reference, ed, es, spacing, label=3):
    a, b, fraction = reference(ed, es, spacing, label)
    return a, b, 1 - fraction


__dir__ = only_exercises(globals())
