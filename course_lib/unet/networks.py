r"""The U-Net in Keras, with and without its skips, its relatives, and the calculator of their sizes.

A U-Net of depth ``D`` goes down ``D`` times (two convolutions, keep the result as *skip*, halve), does two
convolutions at the bottom, and comes up ``D`` times (double, put the skip beside it, two convolutions). Level ``l``
has ``base * 2**l`` channels. Images are ``(N, H, W, C)``: on a CPU TensorFlow convolves only channels-last images.
"""

from typing import NamedTuple

from course_lib.frameworks import keras

layers, ops = keras.layers, keras.ops


class Stage(NamedTuple):
    """One line of :func:`unet_table`: what comes out of a stage, and its parameters."""

    name: str
    size: int
    channels: int
    parameters: int


def unet_sizes(size, base, depth, padding="same"):
    """Height and channels after each pair of convolutions of a U-Net on square images.

    Parameters
    ----------
    size : int
        Height (and width) of the input.
    base : int
        Channels of the first level; each level down doubles them.
    depth : int
        How often the image is halved.
    padding : {"same", "valid"}
        ``"valid"``: each of the two 3×3 convolutions takes 2 pixels away, as in the original U-Net.

    Returns
    -------
    list of (int, int)
        ``2 * depth + 1`` pairs ``(size, channels)``: the levels down, the bottom, the levels up.

    Raises
    ------
    ValueError
        If an image becomes smaller than one pixel.
    """
    lost = {"same": 0, "valid": 4}[padding]
    stages = []
    for level in range(depth + 1):
        size -= lost
        if size < 1 or (level < depth and size < 2):
            raise ValueError(f"nothing is left of the image at level {level}; start larger or go less deep")
        stages.append((size, base * 2**level))
        if level < depth:
            size //= 2
    for level in reversed(range(depth)):
        size = 2 * size - lost
        if size < 1:
            raise ValueError(f"nothing is left of the image on the way up to level {level}; start larger")
        stages.append((size, base * 2**level))
    return stages


def unet_table(size, base, depth, classes, channels=1, padding="same", norm=True):
    """The calculator: every stage of a U-Net with its size, channels and trained parameters, and the sum.

    Parameters
    ----------
    size, base, depth, padding
        See :func:`unet_sizes`.
    classes : int
        Scores for each pixel.
    channels : int
        Of the input image.
    norm : bool
        Batch normalisation after each convolution (two numbers a channel), which then has no bias (one a channel).

    Returns
    -------
    list of Stage
        The last one is the sum.
    """

    def double(before, after):
        return 9 * before * after + 9 * after * after + 2 * after * (2 if norm else 1)

    stages, sizes = [], unet_sizes(size, base, depth, padding)
    for level, (height, after) in enumerate(sizes[: depth + 1]):
        name = f"down {level}" if level < depth else "bottom"
        stages.append(Stage(name, height, after, double(channels, after)))
        channels = after
    for level, (height, after) in zip(reversed(range(depth)), sizes[depth + 1 :], strict=True):
        doubling = 4 * channels * after + after  # the transposed convolution, 2×2 with bias
        stages.append(Stage(f"up {level}", height, after, doubling + double(2 * after, after)))
        channels = after
    stages.append(Stage("scores", sizes[-1][0], classes, channels * classes + classes))
    return [*stages, Stage("sum", sizes[-1][0], classes, sum(stage.parameters for stage in stages))]


def double_conv(x, channels):
    """Twice: 3×3 convolution that keeps the size, batch normalisation, ReLU.

    The convolutions have no bias: the normalisation would subtract it again.

    Parameters
    ----------
    x : KerasTensor, shape (N, H, W, C)
    channels : int

    Returns
    -------
    KerasTensor, shape (N, H, W, channels)
    """
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    return x


def down(x, channels):
    """One level down: two convolutions, and half the size by maximum.

    Returns
    -------
    x : KerasTensor, shape (N, H // 2, W // 2, channels)
    skip : KerasTensor, shape (N, H, W, channels)
        What the way up will want again, before it is halved.
    """
    skip = double_conv(x, channels)
    return layers.MaxPooling2D(2)(skip), skip


def crop(x, H, W):
    """Cut the middle ``H`` × ``W`` pixels out of ``(N, ...)``; of an odd rest, the larger half goes at the end."""
    dh, dw = x.shape[1] - H, x.shape[2] - W
    if dh == 0 and dw == 0:
        return x
    return layers.Cropping2D(((dh // 2, dh - dh // 2), (dw // 2, dw - dw // 2)))(x)


def up(x, skip, channels):
    """One level up: twice the size by a transposed convolution, the skip beside it, two convolutions.

    Parameters
    ----------
    x : KerasTensor, shape (N, H, W, C)
    skip : KerasTensor, shape (N, SH, SW, SC)
        ``SH >= 2H`` and ``SW >= 2W``: cut down to ``(2H, 2W)`` around its middle.
    channels : int

    Returns
    -------
    KerasTensor, shape (N, 2H, 2W, channels)
    """
    x = layers.Conv2DTranspose(channels, 2, strides=2)(x)  # (N, 2H, 2W, channels)
    skip = crop(skip, x.shape[1], x.shape[2])
    x = layers.Concatenate()([skip, x])  # (N, 2H, 2W, SC + channels)
    return double_conv(x, channels)


def build_unet(shape, classes, base=12, depth=3):
    """A U-Net that gives ``classes`` scores for every pixel.

    Parameters
    ----------
    shape : (int, int, int)
        Of one image, ``(H, W, C)``. Where ``2**depth`` does not divide a length, the output is smaller.
    classes : int
    base, depth : int
        See the module's docstring.

    Returns
    -------
    keras.Model
        From ``(N, H, W, C)`` to scores ``(N, H, W, classes)``; no softmax at the end, the loss takes scores.
    """
    x = image = keras.Input(shape)
    skips = []
    for level in range(depth):
        x, skip = down(x, base * 2**level)
        skips.append(skip)
    x = double_conv(x, base * 2**depth)
    for level in reversed(range(depth)):
        x = up(x, skips[level], base * 2**level)
    return keras.Model(image, layers.Conv2D(classes, 1)(x))


def build_plain(shape, classes, base=12, depth=3):
    """The same network with nothing carried across: an encoder and a decoder.

    The skip is replaced by zeros of its shape, so that both networks have the same layers and parameters.

    Parameters and result: see :func:`build_unet`.
    """
    x = image = keras.Input(shape)
    skips = []
    for level in range(depth):
        x, skip = down(x, base * 2**level)
        skips.append(skip)
    x = double_conv(x, base * 2**depth)
    for level in reversed(range(depth)):
        x = up(x, layers.Rescaling(0.0)(skips[level]), base * 2**level)
    return keras.Model(image, layers.Conv2D(classes, 1)(x))


def build_fcn(shape, classes, base=12, depth=3):
    """A fully convolutional network (FCN-8s's idea): scores at every level, doubled and added.

    The encoder is the U-Net's. Every level gives ``classes`` scores by a 1×1 convolution; on the way up the scores,
    not the channels, are doubled and added to those of the finer level.

    Parameters and result: see :func:`build_unet`; ``2**depth`` divides both lengths.
    """
    x = image = keras.Input(shape)
    skips = []
    for level in range(depth):
        x, skip = down(x, base * 2**level)
        skips.append(skip)
    scores = layers.Conv2D(classes, 1)(double_conv(x, base * 2**depth))
    for skip in reversed(skips):
        scores = layers.Conv2DTranspose(classes, 4, strides=2, padding="same")(scores)
        scores = layers.Add()([scores, layers.Conv2D(classes, 1)(skip)])
    return keras.Model(image, scores)


class PoolWithIndices(layers.Layer):
    """Maximum over 2×2, and where it was: ``(N, H, W, C)`` to two tensors ``(N, H/2, W/2, C)`` and ``(.., 4)``."""

    def call(self, x):
        N, (H, W, C) = ops.shape(x)[0], x.shape[1:]
        x = ops.reshape(x, (N, H // 2, 2, W // 2, 2, C))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 5, 2, 4)), (N, H // 2, W // 2, C, 4))
        where = ops.one_hot(ops.argmax(x, axis=-1), 4)  # one of four; carries no gradient
        return ops.max(x, axis=-1), where


class Unpool(layers.Layer):
    """Put each value where the maximum was, zeros elsewhere (chapter 02's ``max_unpool2d``)."""

    def call(self, x, where):
        N, (H, W, C) = ops.shape(x)[0], x.shape[1:]
        y = ops.reshape(x[..., None] * where, (N, H, W, C, 2, 2))
        return ops.reshape(ops.transpose(y, (0, 1, 4, 2, 5, 3)), (N, 2 * H, 2 * W, C))


def build_segnet(shape, classes, base=12, depth=3):
    """A SegNet: what goes across are the places of the maxima, two bits for each, and no channels.

    Parameters and result: see :func:`build_unet`; ``2**depth`` divides both lengths.
    """
    x = image = keras.Input(shape)
    places = []
    for level in range(depth):
        x, where = PoolWithIndices()(double_conv(x, base * 2**level))
        places.append(where)
    x = double_conv(x, base * 2 ** (depth - 1))
    for level in reversed(range(depth)):
        x = Unpool()(x, places[level])
        x = double_conv(x, base * 2 ** max(level - 1, 0))
    return keras.Model(image, layers.Conv2D(classes, 1)(x))


def build_autoencoder(shape, base=12, depth=3, code=8):
    """A convolutional autoencoder: an image through a narrow bottom and back to an image.

    Parameters
    ----------
    shape : (int, int, int)
        Of one image; ``2**depth`` divides height and width.
    base, depth : int
    code : int
        Channels of the bottom, ``(H / 2**depth, W / 2**depth, code)``.

    Returns
    -------
    keras.Model
        From ``(N, H, W, C)`` between 0 and 1 to the same.
    """
    x = image = keras.Input(shape)
    for level in range(depth):
        x = layers.Conv2D(base * 2**level, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(code, 1)(x)  # the code
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(base * 2**level, 4, strides=2, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Conv2D(shape[-1], 3, padding="same", activation="sigmoid")(x))
