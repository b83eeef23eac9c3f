r"""What a segmentation costs and how good it is.

The losses take scores and labels and are written with ``keras.ops``, so that a network can be trained on them; the
measures take labels and are NumPy. ``K`` is the number of classes; ``z`` are scores, ``p`` probabilities (softmax).
"""

import numpy as np

from course_lib.frameworks import keras

ops = keras.ops


def weighted_cross_entropy(z, y, w):
    r"""Cross-entropy of every pixel, weighted by the weight of its right class.

    .. math:: E = \frac{\sum_n w_{y_n} \left(-\log p_{n,y_n}\right)}{\sum_n w_{y_n}}

    Dividing by the weights' sum (not by the number of pixels) makes it a mean: with one and the same weight for all
    classes it is the ordinary cross-entropy, whatever that weight is.

    Parameters
    ----------
    z : tensor, shape (N, H, W, K)
        Scores.
    y : tensor of int, shape (N, H, W)
        Right classes.
    w : tensor, shape (K,)
        A weight for each class.

    Returns
    -------
    tensor, shape ()
    """
    z = ops.convert_to_tensor(z)
    log_p = ops.log_softmax(z, axis=-1)  # stable: log-sum-exp
    right = ops.one_hot(y, z.shape[-1], dtype=z.dtype)  # (N, H, W, K)
    weight = ops.sum(right * ops.cast(w, z.dtype), axis=-1)  # (N, H, W): w at the right class
    return -ops.sum(weight * ops.sum(right * log_p, axis=-1)) / ops.sum(weight)


def soft_dice_loss(z, y, epsilon=1.0):
    r"""One minus the Dice coefficient of probabilities, averaged over the classes.

    .. math:: E = 1 - \frac1K \sum_k \frac{2 \sum_n p_{nk}\, g_{nk} + \epsilon}
                                          {\sum_n p_{nk} + \sum_n g_{nk} + \epsilon}

    where :math:`g_{nk}` is 1 if pixel :math:`n` of the batch has class :math:`k`, and 0 otherwise.

    Parameters
    ----------
    z : tensor, shape (N, H, W, K)
        Scores.
    y : tensor of int, shape (N, H, W)
    epsilon : float
        Makes the coefficient of a class that occurs nowhere 1 instead of 0/0.

    Returns
    -------
    tensor, shape ()
    """
    z = ops.convert_to_tensor(z)
    p = ops.softmax(z, axis=-1)
    g = ops.one_hot(y, z.shape[-1], dtype=z.dtype)
    both = ops.sum(p * g, axis=(0, 1, 2))  # (K,)
    total = ops.sum(p, axis=(0, 1, 2)) + ops.sum(g, axis=(0, 1, 2))
    return 1 - ops.mean((2 * both + epsilon) / (total + epsilon))


def class_weights(y, K):
    r"""Median-frequency weights: :math:`w_k = \operatorname{median}(f) / f_k`, with :math:`f_k` the share of class k.

    A class as frequent as the median one gets weight 1, a rarer one more. (D. Eigen and R. Fergus, 2015, count
    :math:`f_k` only over the images in which the class occurs; here it is over all pixels.)

    Parameters
    ----------
    y : ndarray of int
    K : int

    Returns
    -------
    ndarray, shape (K,)

    Raises
    ------
    ValueError
        If a class does not occur: its weight would be infinite.
    """
    f = np.bincount(np.ravel(y), minlength=K) / np.size(y)
    if not f.all():
        raise ValueError(f"class {int(np.argmin(f))} does not occur in these labels, so it can have no weight")
    return np.median(f) / f


def dice(y, predicted, K):
    r"""Dice coefficient of each class: twice what both have, over what each has.

    .. math:: d_k = \frac{2\,|A_k \cap B_k|}{|A_k| + |B_k|}

    Parameters
    ----------
    y, predicted : ndarray of int, of the same shape
        Right and predicted classes; all pixels of all slices count together.
    K : int

    Returns
    -------
    ndarray, shape (K,)
        NaN for a class that occurs in neither.
    """
    both, size_a, size_b = _counts(y, predicted, K)
    with np.errstate(invalid="ignore"):
        return 2 * both / (size_a + size_b)


def iou(y, predicted, K):
    r"""Intersection over union of each class (Jaccard index).

    .. math:: j_k = \frac{|A_k \cap B_k|}{|A_k \cup B_k|} = \frac{d_k}{2 - d_k}

    Parameters and result: see :func:`dice`.
    """
    both, size_a, size_b = _counts(y, predicted, K)
    with np.errstate(invalid="ignore"):
        return both / (size_a + size_b - both)


def _counts(y, predicted, K):
    """Pixels of each class: right and predicted, right, predicted; three arrays of shape (K,)."""
    y, predicted = np.ravel(y), np.ravel(predicted)
    return tuple(np.bincount(of, minlength=K) for of in (y[y == predicted], y, predicted))


def ejection_fraction(ed, es, spacing, label=3):
    r"""Volumes of the left ventricle when full and when contracted, and the share that it ejects.

    .. math:: EF = \frac{V_{ED} - V_{ES}}{V_{ED}}

    Parameters
    ----------
    ed, es : ndarray of int, shape (S, H, W)
        Labels at end-diastole and end-systole.
    spacing : (float, float, float)
        Size of a voxel in mm.
    label : int
        The class that is the blood pool.

    Returns
    -------
    ed_volume, es_volume : float
        In millilitres (1 ml is 1,000 mm³).
    fraction : float
        Between 0 and 1 for a heart that contracts.

    Raises
    ------
    ValueError
        If the class does not occur at end-diastole.
    """
    voxel = np.prod(spacing) / 1000  # ml
    ed_volume, es_volume = (float((labels == label).sum() * voxel) for labels in (ed, es))
    if ed_volume == 0:
        raise ValueError(f"no voxel of the full heart has label {label}; its volume is needed to divide by")
    return ed_volume, es_volume, (ed_volume - es_volume) / ed_volume
