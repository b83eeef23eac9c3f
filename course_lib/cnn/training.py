"""Training: epochs of mini-batches, a learning rate that falls, a validation split to choose on, curves to look at."""

import math

import numpy as np

from course_lib.cnn.layers import SoftmaxCrossEntropy
from course_lib.cnn.ledger import build
from course_lib.cnn.optimizers import Adam

# Two blocks of convolution and pooling, then one linear layer: 6,090 parameters on images of (1, 8, 8).
DIGIT_NETWORK = [
    ("conv", 16, 3, 1, 1), ("relu",), ("pool", 2, 2),
    ("conv", 32, 3, 1, 1), ("relu",), ("pool", 2, 2),
    ("flatten",), ("linear", 10),
]  # fmt: skip


def train_epoch(network, loss, optimizer, x, y, batch_size, rng):
    """Show the network every image once, in random order, and take one step after each mini-batch.

    Parameters
    ----------
    network : Sequential
        Its parameters are changed.
    loss : SoftmaxCrossEntropy
    optimizer : any of :mod:`course_lib.cnn.optimizers`
    x, y : ndarray, shape (N, ...) and (N,)
    batch_size : int
        The last mini-batch may be smaller.
    rng : numpy.random.Generator
        Draws the order: ``rng.permutation(N)``.

    Returns
    -------
    float
        The mean loss of the images, each taken when its mini-batch was shown.
    """
    order = rng.permutation(len(x))
    total = 0.0
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        total += loss.forward(network.forward(x[batch]), y[batch]) * len(batch)
        network.backward(loss.backward())
        optimizer.step(network.params, network.grads)
    return total / len(x)


def cosine(progress):
    """A factor for the learning rate: 1 at the start (``progress`` 0), 0 at the end (1), in half a cosine wave."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def fit(
    network, optimizer, train, validation, epochs, batch_size, rng,
    schedule=cosine, watch=None, progress=False, one_epoch=train_epoch,
):  # fmt: skip
    """Train for some epochs and keep the curves.

    Parameters
    ----------
    network, optimizer
        See :func:`train_epoch`. The optimizer's ``lr`` is what the schedule starts from, and is restored at the end.
    train, validation : (x, y)
        Images and labels. The second pair is only looked at.
    epochs, batch_size : int
    rng : numpy.random.Generator
    schedule : callable
        From the share of epochs done, 0..1, to a factor for ``lr``.
    watch : callable, optional
        ``watch(history)`` after each epoch, such as :meth:`course_lib.plots.Live.update`.
    progress : bool
        Whether to show a progress bar.
    one_epoch : callable
        Called as :func:`train_epoch`.

    Returns
    -------
    dict of str to list of float
        ``"training loss"`` and ``"validation accuracy"``, one number for each epoch.
    """
    from tqdm.auto import tqdm

    loss, lr = SoftmaxCrossEntropy(), optimizer.lr
    history = {"training loss": [], "validation accuracy": []}
    bar = tqdm(range(epochs), unit="epoch", disable=not progress)
    for epoch in bar:
        optimizer.lr = lr * schedule(epoch / epochs)
        history["training loss"].append(one_epoch(network, loss, optimizer, *train, batch_size, rng))
        history["validation accuracy"].append(accuracy(network, *validation))
        bar.set_postfix({name: f"{values[-1]:.3f}" for name, values in history.items()})
        if watch is not None:
            watch(history)
    optimizer.lr = lr
    return history


def predict(network, x, batch_size=256):
    """The class with the highest score for each image: shape (N,), int."""
    parts = [network.forward(x[k : k + batch_size]).argmax(axis=1) for k in range(0, len(x), batch_size)]
    return np.concatenate(parts)


def accuracy(network, x, y):
    """Share of the images whose class is predicted right, 0..1."""
    return float((predict(network, x) == y).mean())


def confusion_matrix(y, predicted, classes):
    """How often class ``i`` (row) was taken for class ``j`` (column).

    Parameters
    ----------
    y, predicted : ndarray of int, shape (N,)
    classes : int
        ``K``.

    Returns
    -------
    ndarray of int, shape (K, K)
        Sums to N; what is right stands on the diagonal.
    """
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (y, predicted), 1)  # adds up where an index pair occurs twice
    return table


def classify(x_train, y_train, x_new, seed):
    """Learn from some labelled digits and say what some others are.

    Parameters
    ----------
    x_train : ndarray, shape (N, 1, 8, 8)
        Pixels between 0 and 1.
    y_train : ndarray of int, shape (N,)
        Classes 0..9.
    x_new : ndarray, shape (M, 1, 8, 8)
    seed : int
        Of everything random.

    Returns
    -------
    ndarray of int, shape (M,)
    """
    rng = np.random.default_rng(seed)
    network = build(DIGIT_NETWORK, x_train.shape[1:], rng)
    loss, optimizer, epochs = SoftmaxCrossEntropy(), Adam(), 10
    for epoch in range(epochs):
        optimizer.lr = 0.01 * cosine(epoch / epochs)
        train_epoch(network, loss, optimizer, x_train, y_train, 32, rng)
    return network.forward(x_new).argmax(axis=1)
