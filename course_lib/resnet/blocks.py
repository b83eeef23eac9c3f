"""Residual networks in Keras: the two kinds of block, and whole networks from one row of a table.

Images are ``(H, W, C)``, as Keras has them. Convolutions pad as the published networks do, the same on all sides; with
a stride, Keras's own ``padding="same"`` would add a row at the bottom and right only.
"""

from course_lib.frameworks import keras

layers = keras.layers


def conv_bn(x, filters, size, stride=1):
    """Convolution without bias, then batch normalisation: ``(N, H, W, C)`` to ``(N, H / S, W / S, filters)``."""
    if size > 1 and stride > 1:
        x = layers.ZeroPadding2D(size // 2)(x)
    padding = "same" if stride == 1 else "valid"
    x = layers.Conv2D(filters, size, strides=stride, padding=padding, use_bias=False, kernel_initializer="he_normal")(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def shortcut(x, filters, stride):
    """The straight path: ``x`` itself where its shape fits, a 1×1 convolution where it does not."""
    return x if stride == 1 and x.shape[-1] == filters else conv_bn(x, filters, 1, stride)


def residual_block(x, filters, stride=1):
    """The basic block: two 3×3 convolutions, the first with the stride, and the straight path.

    Parameters
    ----------
    x : KerasTensor, shape (N, H, W, C)
    filters : int
    stride : int

    Returns
    -------
    KerasTensor, shape (N, H / stride, W / stride, filters)
    """
    y = layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = conv_bn(y, filters, 3)
    return layers.ReLU()(layers.Add()([y, shortcut(x, filters, stride)]))


def bottleneck_block(x, filters, stride=1):
    """The bottleneck: 1×1 down to ``filters``, 3×3 (with the stride), 1×1 up to ``4 * filters``; the straight path.

    Parameters
    ----------
    x : KerasTensor, shape (N, H, W, C)
    filters : int
        Of the narrow part.
    stride : int

    Returns
    -------
    KerasTensor, shape (N, H / stride, W / stride, 4 * filters)
    """
    y = layers.ReLU()(conv_bn(x, filters, 1))
    y = layers.ReLU()(conv_bn(y, filters, 3, stride))
    y = conv_bn(y, 4 * filters, 1)
    return layers.ReLU()(layers.Add()([y, shortcut(x, 4 * filters, stride)]))


def free_block(x, filters, stride=1):
    """The basic block whose straight path has no parameters: pixels left out, new channels 0.

    So a residual network has exactly the parameters of the plain one. The new channels must be as many as the old.
    """
    y = layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = conv_bn(y, filters, 3)
    if stride > 1:
        x = layers.MaxPooling2D(1, stride)(x)  # every stride-th pixel
    if x.shape[-1] != filters:
        if filters != 2 * x.shape[-1]:
            raise ValueError(f"the path without parameters doubles {x.shape[-1]} channels; it cannot make {filters}")
        x = layers.Concatenate()([x, layers.Rescaling(0.0)(x)])
    return layers.ReLU()(layers.Add()([y, x]))


def plain_block(x, filters, stride=1):
    """Two 3×3 convolutions and no straight path: what :func:`free_block` is without its addition."""
    y = layers.ReLU()(conv_bn(x, filters, 3, stride))
    return layers.ReLU()(conv_bn(y, filters, 3))


BLOCKS = {"basic": residual_block, "bottleneck": bottleneck_block, "free": free_block, "plain": plain_block}


def build_resnet(kind, blocks, width, classes, input_shape):
    """A residual network for small images: a stem with stride 2, stages of blocks, global average pooling, scores.

    Each stage after the first halves the image with the stride of its first block and doubles the filters.

    Parameters
    ----------
    kind : {"basic", "bottleneck", "free", "plain"}
    blocks : sequence of int
        How many blocks each stage has.
    width : int
        Filters of the stem and of the first stage.
    classes : int
    input_shape : (H, W, C)

    Returns
    -------
    keras.Model
        From images to scores, before softmax.
    """
    if kind not in BLOCKS:
        raise ValueError(f"there is no block {kind!r}; there are {', '.join(BLOCKS)}")
    inputs = keras.Input(input_shape)
    x = layers.ReLU()(conv_bn(inputs, width, 3, stride=2))
    for stage, count in enumerate(blocks):
        for k in range(count):
            x = BLOCKS[kind](x, width * 2**stage, stride=2 if stage > 0 and k == 0 else 1)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(inputs, layers.Dense(classes, name="head")(x), name=f"{kind}_{sum(blocks)}_blocks")


def resnet(depth, classes=1000, input_shape=(224, 224, 3)):
    """ResNet-18, 34, 50, 101 or 152 for large images, with the stride where torchvision has it (the 3×3).

    Parameters
    ----------
    depth : int
    classes : int
    input_shape : (H, W, 3)

    Returns
    -------
    keras.Model
    """
    from course_lib.resnet.specification import row

    kind, blocks = row(depth)
    inputs = keras.Input(input_shape)
    x = layers.ReLU()(conv_bn(inputs, 64, 7, stride=2))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))  # after a ReLU zeros are as good as -inf
    for stage, count in enumerate(blocks):
        for k in range(count):
            x = BLOCKS[kind](x, 64 * 2**stage, stride=2 if stage > 0 and k == 0 else 1)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(inputs, layers.Dense(classes, name="head")(x), name=f"resnet_{depth}")


def with_new_head(path, classes):
    """A saved network for another task: its body as it was trained and frozen, a fresh head.

    Parameters
    ----------
    path : str
        Of a ``.keras`` file whose last layer gives the scores.
    classes : int

    Returns
    -------
    keras.Model
    """
    old = keras.models.load_model(path)
    old.trainable = False
    return keras.Model(old.input, layers.Dense(classes)(old.layers[-1].input))
