"""Training plain and residual networks on the coloured shapes, alike in everything but the straight paths."""

import time

import numpy as np

from course_lib.frameworks import keras
from course_lib.resnet.blocks import build_resnet


def prepare(split, white=255):
    """Images as Keras wants them: ``(N, C, H, W)`` uint8 to ``(N, H, W, C)`` float32 between -0.5 and 0.5."""
    return (split.x.transpose(0, 2, 3, 1) / white - 0.5).astype(np.float32)


class _Watch(keras.callbacks.Callback):
    """A progress bar, and curves that grow."""

    def __init__(self, epochs, watch, progress):
        super().__init__()
        from tqdm.auto import tqdm

        self.bar = tqdm(total=epochs, unit="epoch", disable=not progress)
        self.watch, self.history = watch, {"training loss": [], "training accuracy": [], "validation accuracy": []}

    def on_epoch_end(self, epoch, logs=None):
        for name, key in (("training loss", "loss"), ("training accuracy", "accuracy"),
                          ("validation accuracy", "val_accuracy")):  # fmt: skip
            if key in logs:
                self.history[name].append(float(logs[key]))
        self.bar.update()
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}")
        if self.watch is not None:
            self.watch(self.history)

    def on_train_end(self, logs=None):
        self.bar.close()


class _Turned(keras.utils.PyDataset):
    """Batches in a new order each epoch, with each image mirrored or not and turned by 0, 90, 180 or 270 degrees."""

    def __init__(self, x, y, batch_size, rng):
        super().__init__()
        self.x, self.y, self.batch_size, self.rng = x, y, batch_size, rng
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.y) // self.batch_size)

    def __getitem__(self, k):
        chosen = self.order[k * self.batch_size : (k + 1) * self.batch_size]
        x, turns = self.x[chosen], self.rng.integers(0, 8, len(chosen))
        for turn in range(8):
            turned = np.rot90(x[turns == turn], turn % 4, axes=(1, 2))
            x[turns == turn] = turned[:, :, ::-1] if turn >= 4 else turned
        return x, self.y[chosen]

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.y))


def train(model, data, images, epochs, seed, lr=3e-3, batch_size=64, turned=False, watch=None, progress=True):
    """Adam with a cosine from ``lr`` to 0.

    Parameters
    ----------
    model : keras.Model
        From images to scores.
    data : course_lib.datasets.Dataset
    images : int
        The first so many of the training split are used.
    epochs, seed : int
        The seed sets the order of the images.
    turned : bool
        Whether each image is mirrored and turned by right angles at random whenever it is shown (chapter 06).
    watch : callable, optional
        ``watch(history)`` after each epoch, such as :meth:`course_lib.plots.Live.update`.

    Returns
    -------
    dict
        ``"training loss"``, ``"training accuracy"``, ``"validation accuracy"``: a number an epoch; ``"seconds"``.
    """
    keras.utils.set_random_seed(seed)
    part = data.train.take(images)
    steps = epochs * -(-len(part.y) // batch_size)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(lr, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    watching = _Watch(epochs, watch, progress)
    start = time.perf_counter()
    x, y = prepare(part, data.white), part.y
    if turned:
        shown = {"x": _Turned(x, y, batch_size, np.random.default_rng(seed))}
    else:
        shown = {"x": x, "y": y, "batch_size": batch_size}
    model.fit(
        **shown, epochs=epochs, verbose=0, callbacks=[watching],
        validation_data=(prepare(data.validation, data.white), data.validation.y), validation_batch_size=250,
    )  # fmt: skip
    return watching.history | {"seconds": time.perf_counter() - start}


def compare(blocks, data, images, epochs, seed, width=16, **options):
    """Train the plain and the residual network of one depth and as many parameters, from the same seed.

    Returns
    -------
    dict of str to (keras.Model, dict)
        ``"plain"`` and ``"residual"``: the network and its history.
    """
    results = {}
    for name, kind in (("plain", "plain"), ("residual", "free")):
        keras.utils.set_random_seed(seed)
        model = build_resnet(kind, blocks, width, len(data.classes), data.train.x.shape[2:] + (3,))
        results[name] = model, train(model, data, images, epochs, seed, **options)
    return results


def accuracy(model, split, white=255):
    """Share of the images whose class is predicted right, 0..1."""
    return float((model.predict(prepare(split, white), 250, verbose=0).argmax(1) == split.y).mean())
