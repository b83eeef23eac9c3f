"""The two networks: a U-Net that colours, and a discriminator that judges patches. Images are (N, H, W, C)."""

from course_lib.frameworks import keras

layers, ops = keras.layers, keras.ops

GENERATOR = (8, 24, 48, 96, 96, 96)  # filters at 64, 32, 16, 8, 4 and 2 pixels: 1,026,019 parameters
DISCRIMINATOR = (16, 32)  # patches of 22 pixels


def patch_size(described):
    r"""How large a patch of the image one output of a chain of convolutions sees.

    From the last layer to the first, with kernel :math:`k` and stride :math:`s`:

    .. math:: r \leftarrow (r - 1)\, s + k, \qquad\text{starting from } r = 1

    Parameters
    ----------
    described : sequence of (int, int)
        ``(kernel, stride)`` of each layer, the first layer first.

    Returns
    -------
    (int, int)
        The receptive field, in pixels of the image; and the distance of two neighbouring patches.
    """
    field, step = 1, 1
    for kernel, stride in reversed(described):
        field = (field - 1) * stride + kernel
        step *= stride
    return field, step


def downsample(filters, normalize=True):
    """Half the size: convolution 4×4 with stride 2, batch normalisation, leaky ReLU.

    DCGAN's rules: a stride instead of pooling; normalisation in every layer but the first; no bias before it, since
    it subtracts the mean; a slope of 0.2 for negative values, so that the gradient reaches the generator.

    Returns
    -------
    keras.Sequential
        From (N, H, W, C) to (N, H/2, W/2, filters).
    """
    block = keras.Sequential()
    block.add(layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=not normalize))
    if normalize:
        block.add(layers.BatchNormalization(momentum=0.9))
    block.add(layers.LeakyReLU(negative_slope=0.2))
    return block


def upsample(filters):
    """Twice the size: transposed convolution 4×4 with stride 2, batch normalisation, ReLU.

    The kernel is a multiple of the stride, so every output pixel is made of equally many inputs: no checkerboard.

    Returns
    -------
    keras.Sequential
        From (N, H, W, C) to (N, 2H, 2W, filters).
    """
    return keras.Sequential(
        [
            layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]
    )


def build_generator(size=64, widths=GENERATOR):
    """A U-Net: down to a few pixels, up again, and on the way up each stage is handed what the way down saw there.

    A convolution at full size comes first and another last: a star is two pixels wide, and so is the edge of a roof.

    Parameters
    ----------
    size : int
        Height and width of the images; it can be halved once for each entry of ``widths`` but the first.
    widths : sequence of int
        Filters at each size on the way down, the full size first. The way up has the same, without the last, in
        reverse.

    Returns
    -------
    keras.Model
        From a drawing (N, size, size, 1) to a picture (N, size, size, 3), both from -1 to 1.

    Raises
    ------
    ValueError
        If the size cannot be halved that often.
    """
    first, *others = widths
    if size % 2 ** len(others):
        raise ValueError(f"{size} pixels cannot be halved {len(others)} times; use a multiple of {2 ** len(others)}")
    drawing = keras.Input((size, size, 1))
    h = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2D(first, 3, padding="same")(drawing))
    seen = []
    for filters in others:
        seen.append(h)
        h = downsample(filters)(h)  # (N, H / 2, W / 2, filters)
    for skip in reversed(seen):
        h = upsample(skip.shape[-1])(h)
        h = ops.concatenate([h, skip], axis=-1)  # (N, 2H, 2W, 2 * filters)
    last = layers.Conv2D(3, 3, padding="same", activation="tanh")
    return keras.Model(drawing, last(h), name="generator")


def build_discriminator(size=64, widths=DISCRIMINATOR):
    """Is this picture real, *given this drawing*? One answer for each patch.

    Each block halves the size; at the end a convolution with one filter, stride 1, gives the logits.

    Returns
    -------
    keras.Model
        From ``[drawing, picture]`` to logits (N, h, w, 1), with ``h = size / 2**len(widths)``.
    """
    drawing, picture = keras.Input((size, size, 1)), keras.Input((size, size, 3))
    h = ops.concatenate([drawing, picture], axis=-1)  # (N, size, size, 4)
    for k, filters in enumerate(widths):
        h = downsample(filters, normalize=k > 0)(h)
    logits = layers.Conv2D(1, 4, padding="same")(h)
    return keras.Model([drawing, picture], logits, name="discriminator")
