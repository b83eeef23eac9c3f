"""Chapter 06 in Keras: the transforms of :mod:`course_lib.augmentation` with ``keras.ops``.

Images are ``(N, H, W, C)``: on a CPU TensorFlow convolves only channels-last images. Parameters are tensors of length
``N``. ``keras.ops.image.affine_transform`` samples; its eight numbers say, in ``(x, y)`` from the *top-left pixel*,
where each pixel comes from. Everything can also run inside a ``tf.data`` pipeline.
"""

import math

from course_lib.frameworks import keras, tf

ops = keras.ops


def flip(x, which):
    """Mirror some images left to right; see :func:`course_lib.augmentation.flip`."""
    return ops.where(which[:, None, None, None], ops.flip(x, axis=2), x)


def shift(x, dy, dx, fill=0):
    """Move each image by whole pixels; see :func:`course_lib.augmentation.shift`."""
    _, H, W, _ = x.shape
    i = ops.arange(H)[None] - ops.cast(dy, "int32")[:, None]  # (N, H): the row that each row comes from
    j = ops.arange(W)[None] - ops.cast(dx, "int32")[:, None]
    y = ops.take_along_axis(x, ops.clip(i, 0, H - 1)[:, :, None, None], axis=1)
    y = ops.take_along_axis(y, ops.clip(j, 0, W - 1)[:, None, :, None], axis=2)
    inside = ((i >= 0) & (i < H))[:, :, None] & ((j >= 0) & (j < W))[:, None, :]  # (N, H, W)
    return ops.where(inside[..., None], y, ops.cast(fill, x.dtype))


def brightness(x, gain):
    """Multiply each image and clip; see :func:`course_lib.augmentation.brightness`."""
    gain = ops.cast(gain, "float32")[:, None, None, None]
    if keras.backend.standardize_dtype(x.dtype) == "uint8":
        return ops.cast(ops.round(ops.clip(ops.cast(x, "float32") * gain, 0, 255)), "uint8")
    return ops.clip(x * gain, 0, 1)


def warp(x, matrix, offset=None, fill=0):
    """Move every point of each image; see :func:`course_lib.augmentation.warp`."""
    _, H, W, _ = x.shape
    a, b, c, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1]
    det = a * d - b * c
    rr, rc, cr, cc = d / det, -b / det, -c / det, a / det  # the inverse: (row, column) -> (row, column)
    dr, dc = (0.0, 0.0) if offset is None else (offset[:, 0], offset[:, 1])
    r0, c0 = (H - 1) / 2, (W - 1) / 2
    from_row = r0 - rr * (r0 + dr) - rc * (c0 + dc)  # where the top-left pixel comes from
    from_col = c0 - cr * (r0 + dr) - cc * (c0 + dc)
    zero = ops.zeros_like(a)
    # x' = cc x + cr y + from_col,  y' = rc x + rr y + from_row
    transform = ops.stack([cc, cr, from_col, rc, rr, from_row, zero, zero], axis=-1)  # (N, 8)
    return ops.image.affine_transform(
        x, ops.cast(transform, "float32"), interpolation="bilinear", fill_mode="constant", fill_value=fill,
        data_format="channels_last",
    )  # fmt: skip


def rotation(angle):
    """The matrices ``(N, 2, 2)`` that turn by ``angle``, counter-clockwise as one sees the picture."""
    c, s = ops.cos(angle), ops.sin(angle)
    return ops.stack([ops.stack([c, -s], -1), ops.stack([s, c], -1)], -2)


def rotate(x, angle, fill=0):
    """Turn each image about its centre; see :func:`course_lib.augmentation.rotate`."""
    return warp(x, rotation(angle), None, fill)


def zoom(x, factor, fill=0):
    """Enlarge each image about its centre; see :func:`course_lib.augmentation.zoom`."""
    return warp(x, factor[:, None, None] * ops.eye(2), None, fill)


def shear(x, slant, fill=0):
    """Slant each image; see :func:`course_lib.augmentation.shear`."""
    one, zero = ops.ones_like(slant), ops.zeros_like(slant)
    return warp(x, ops.stack([ops.stack([one, zero], -1), ops.stack([slant, one], -1)], -2), None, fill)


def cutout(x, cy, cx, size, fill=0):
    """Cover a square of each image; see :func:`course_lib.augmentation.cutout`."""
    _, H, W, _ = x.shape
    i = ops.arange(H)[None] - (ops.cast(cy, "int32") - size // 2)[:, None]  # (N, H)
    j = ops.arange(W)[None] - (ops.cast(cx, "int32") - size // 2)[:, None]
    covered = ((i >= 0) & (i < size))[:, :, None] & ((j >= 0) & (j < size))[:, None, :]  # (N, H, W)
    return ops.where(covered[..., None], ops.cast(fill, x.dtype), x)


def mixup(x, y, share, partner):
    """Mix each image and its label with another's; see :func:`course_lib.augmentation.mixup`."""
    share = ops.cast(share, "float32")
    along_x, along_y = share[:, None, None, None], share[:, None]
    other_x, other_y = ops.take(x, partner, axis=0), ops.take(y, partner, axis=0)
    return along_x * x + (1 - along_x) * other_x, along_y * y + (1 - along_y) * other_y


def augment(x, u, angle=math.pi, zoom=1.1, shift=0.05, flip=0.5, gain=0.2, fill=0, training=True):
    """Turn, zoom, shift, mirror, brighten; see :func:`course_lib.augmentation.augment`."""
    if not training:
        return x
    _, H, W, _ = x.shape
    u = ops.cast(u, "float32")
    factor = ops.exp((2 * u[:, 1] - 1) * math.log(zoom))
    A = rotation((2 * u[:, 0] - 1) * angle) * factor[:, None, None]  # (N, 2, 2)
    mirror = ops.where(u[:, 4] < flip, -1.0, 1.0)
    A = ops.stack([A[:, :, 0], A[:, :, 1] * mirror[:, None]], -1)
    b = (2 * u[:, 2:4] - 1) * shift * ops.convert_to_tensor([float(H), float(W)])  # (N, 2)
    return brightness(warp(x, A, b, fill), 1 + (2 * u[:, 5] - 1) * gain)


# ---- the network of course_lib.augmentation_training ----


class KerasLearner:
    """The same network as :class:`course_lib.augmentation_training.NumPyLearner`, in Keras on TensorFlow.

    Parameters
    ----------
    network : course_lib.cnn.Sequential
        Its weights are copied.
    limits : dict, optional
        Of :func:`augment`; none: images are left as they are.
    size : (int, int, int)
        Of an image: height, width, channels.
    """

    name = "Keras"

    def __init__(self, network, limits=None, size=(32, 32, 3)):
        self.limits = limits
        self.network = keras.Sequential([keras.Input(size), *_layers(network.layers)])
        self.optimizer = keras.optimizers.Adam(epsilon=1e-8)
        self.optimizer.build(self.network.trainable_variables)
        _copy_weights(network.layers, self.network)
        self._step = tf.function(self._train, reduce_retracing=True)
        self._scores = tf.function(lambda x: self.network(x - 0.5), reduce_retracing=True)

    def augment(self, x, u):
        """What a step makes of images ``(N, 32, 32, 3)`` between 0 and 1."""
        return augment(x, u, **self.limits) if self.limits else x

    def _train(self, x, y, u):
        with tf.GradientTape() as tape:
            scores = self.network(self.augment(x, u) - 0.5, training=True)
            loss = ops.mean(keras.losses.sparse_categorical_crossentropy(y, scores, from_logits=True))
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def step(self, x, y, u, lr):
        """One step of Adam on a batch of NumPy arrays, images ``(N, 3, 32, 32)``. Returns the batch's loss."""
        self.optimizer.learning_rate = lr
        return self._step(tf.constant(x.transpose(0, 2, 3, 1)), tf.constant(y), tf.constant(u))

    def scores(self, x):
        """The scores of images ``(N, 3, 32, 32)``, shape (N, 10). Nothing is augmented."""
        return self._scores(tf.constant(x.transpose(0, 2, 3, 1))).numpy()


def _layers(layers):
    for layer in layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            OC, _, *size = layer.params["W"].shape
            yield keras.layers.Conv2D(OC, size, layer.stride, padding="same" if layer.padding else "valid")
        elif kind == "Linear":
            yield keras.layers.Dense(len(layer.params["W"]))
        elif kind == "MaxPool2D":
            yield keras.layers.MaxPooling2D(layer.size, layer.stride)
        else:
            yield {"ReLU": keras.layers.ReLU, "Flatten": keras.layers.Flatten}[kind]()


def _copy_weights(layers, network):
    """Write the weights of chapter 04's layers into Keras's, whose axes stand in another order."""
    image = None  # the channels-last shape that Flatten has flattened
    for layer, twin in zip(layers, network.layers, strict=True):
        kind = type(layer).__name__
        if kind == "Flatten":
            image = twin.input.shape[1:]
        elif kind == "Conv2D":
            twin.set_weights([layer.params["W"].transpose(2, 3, 1, 0), layer.params["b"]])
        elif kind == "Linear":
            W = layer.params["W"]  # (K, D)
            if image is not None:  # D runs over (C, H, W) there, over (H, W, C) here
                H, width, C = image
                W = W.reshape(len(W), C, H, width).transpose(0, 2, 3, 1).reshape(len(W), -1)
                image = None
            twin.set_weights([W.T, layer.params["b"]])
