"""Training a network on slices, what it says of a heart that it has not seen, and how it is surprised."""

import numpy as np

from course_lib.datasets.cardiac import CLASSES, Patient, images_and_labels
from course_lib.frameworks import keras
from course_lib.unet.losses import dice, soft_dice_loss, weighted_cross_entropy

K = len(CLASSES)


def ce_and_dice(z, y, w=(1.0,) * K):
    """The chapter's loss: weighted cross-entropy plus soft Dice."""
    return weighted_cross_entropy(z, y, w) + soft_dice_loss(z, y)


def fit(
    model,
    x,
    y,
    epochs,
    loss=ce_and_dice,
    batch=16,
    lr=4e-3,
    seed=0,
    validation=None,
    watch=None,
    progress=False,
    jit=True,
):
    """Train with Adam and a learning rate that falls to 0 in half a cosine wave.

    Parameters
    ----------
    model : keras.Model
        Trained in place, from images ``(N, H, W, C)`` to scores ``(N, H, W, K)``.
    x, y : ndarray, shape (N, H, W, C) and (N, H, W)
    epochs, batch : int
    loss : callable
        ``loss(z, y)`` of scores and labels.
    lr : float
    seed : int
        Of the order of the slices.
    validation : (x, y), optional
        Looked at after each epoch.
    watch : callable, optional
        ``watch(history)`` after each epoch.
    progress : bool
        Whether to show a progress bar, batch by batch.
    jit : bool
        Whether XLA compiles the step: a slow first step, and each further one in two thirds of the time.

    Returns
    -------
    dict of str to list of float
        ``"loss"`` and, with a validation set, ``"right ventricle"``, ``"myocardium"``, ``"left ventricle"``: its Dice.
    """
    from tqdm.auto import tqdm

    rng = np.random.default_rng([seed, 8])
    batches = len(x) // batch  # of equal size, so that the step is compiled once; what is left over changes each epoch
    schedule = keras.optimizers.schedules.CosineDecay(lr, epochs * batches)
    # The label's shape and the score's differ by an axis; Keras hands a plain function both as they are.
    model.compile(keras.optimizers.Adam(schedule), loss=lambda y, z: loss(z, y), jit_compile=jit)
    history = {"loss": []} | ({name: [] for name in CLASSES[1:]} if validation is not None else {})
    with tqdm(total=epochs * batches, unit="step", disable=not progress) as bar:
        for epoch in range(epochs):
            order, total = rng.permutation(len(x))[: batches * batch].reshape(batches, batch), 0.0
            for chosen in order:
                total += float(model.train_on_batch(x[chosen], y[chosen]))
                bar.update()
            history["loss"].append(total / batches)
            if validation is not None:
                reached = dice(validation[1], predict(model, validation[0]), K)
                for name, value in zip(CLASSES[1:], reached[1:], strict=True):
                    history[name].append(float(value))
            bar.set_postfix({"epoch": epoch + 1} | {name: f"{values[-1]:.3f}" for name, values in history.items()})
            if watch is not None:
                watch(history)
    return history


def scores(model, x, batch=64):
    """The scores of many images, ``(N, H, W, K)``, batch by batch."""
    return model.predict(x, batch_size=batch, verbose=0)


def predict(model, x, batch=64):
    """The class with the highest score for each pixel: shape (N, H, W), int."""
    return scores(model, x, batch).argmax(axis=-1)


def segment(model, patient):
    """A patient with the network's labels in the place of the right ones.

    Returns
    -------
    Patient
    """
    x, _ = images_and_labels([patient])
    ed, es = np.split(predict(model, x).astype(np.uint8), [len(patient.ed)])
    return Patient(patient.name, patient.ed, ed, patient.es, es, patient.spacing)


def surprise(model, x, batch=64):
    """How badly an autoencoder redraws each pixel: the squared difference, summed over channels.

    Returns
    -------
    ndarray, shape (N, H, W)
    """
    return ((scores(model, x, batch) - x) ** 2).sum(axis=-1)


def separation(usual, unusual):
    r"""Probability that an unusual image has the higher score: the area under the ROC curve (AUC).

    .. math:: P(u > v) + \tfrac12 P(u = v), \qquad u \text{ unusual}, v \text{ usual}

    Parameters
    ----------
    usual, unusual : ndarray, shape (N,) and (M,)

    Returns
    -------
    float
        1: a threshold tells them apart without a mistake; 0.5: no better than chance.
    """
    above = unusual[:, None] - usual
    return float((above > 0).mean() + (above == 0).mean() / 2)
