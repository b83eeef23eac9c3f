r"""The game of two networks and what each of them minimises.

Letters: :math:`p` is the distribution of the data, :math:`q` that of the generator; :math:`D` is the discriminator's
probability that something is real, and :math:`z` its *logit*, :math:`D = \sigma(z) = 1/(1+e^{-z})`.
"""

import numpy as np

from course_lib.frameworks import keras

ops = keras.ops


def best_discriminator(p, q):
    r"""The discriminator that no other can beat, and the value of the game against it.

    .. math:: V(D, G) = \sum_x p_x \log D_x + \sum_x q_x \log(1 - D_x), \qquad D^*_x = \frac{p_x}{p_x + q_x}

    :math:`V(D^*, G) \ge -\log 4`, and equal to it only where :math:`p = q`. (Goodfellow et al., 2014, section 4.)

    Parameters
    ----------
    p, q : ndarray, shape (K,)
        Probabilities of K things that can occur: in the data, and from the generator.

    Returns
    -------
    (ndarray of shape (K,), float)
        ``D`` and ``V``. Where nothing ever occurs, D is 1/2; :math:`0 \log 0 = 0`.
    """
    D = np.full(p.shape, 0.5)
    np.divide(p, p + q, out=D, where=p + q > 0)
    real, made = p > 0, q > 0  # 1 - D of the made ones is q / (p + q), which is never rounded to 0
    V = np.log(D[real]) @ p[real] + np.log(q[made] / (p + q)[made]) @ q[made]
    return D, float(V)


def bce_from_logits(z, y):
    r"""Binary cross-entropy of logits, and its gradient.

    .. math:: L = -\frac1N \sum_n \big[ y_n \log D_n + (1 - y_n) \log(1 - D_n) \big]
              = \frac1N \sum_n \big[ \max(z_n, 0) - y_n z_n + \log(1 + e^{-|z_n|}) \big],
              \qquad \frac{\partial L}{\partial z_n} = \frac{D_n - y_n}{N}

    The second form never takes the exponential of a positive number nor the logarithm of 0.

    Parameters
    ----------
    z : ndarray, any shape
        Logits; N is the number of them all.
    y : float or ndarray of that shape
        Labels: 1 is real, 0 is generated.

    Returns
    -------
    (float, ndarray of z's shape)
        ``L`` and ``dz``.
    """
    e = np.exp(-np.abs(z))  # never above 1
    L = np.mean(np.maximum(z, 0) - y * z + np.log1p(e))
    D = np.where(z > 0, 1, e) / (1 + e)
    return float(L), (D - y) / z.size


def discriminator_loss(real, fake):
    r"""What the discriminator minimises: half of the binary cross-entropy of each kind.

    .. math:: L_D = \tfrac12 \big( \mathrm{bce}(z_\mathrm{real}, 1) + \mathrm{bce}(z_\mathrm{fake}, 0) \big)
              = -\tfrac12 V

    It is :math:`\log 2 \approx 0.693` for a discriminator that answers 1/2 to everything.

    Parameters
    ----------
    real, fake : tensor, shape (N, h, w, 1)
        Logits of the patches of real and of generated images.

    Returns
    -------
    scalar tensor
    """
    return (_bce(real, 1.0) + _bce(fake, 0.0)) / 2


def generator_loss(logits, fake, y, lam=100.0):
    r"""What the generator minimises: the *non-saturating* adversarial loss, and the distance from the target.

    .. math:: L_G = \mathrm{bce}(z_\mathrm{fake}, 1) + \lambda \, \mathrm{mean}\, |y - \mathrm{fake}|

    (Isola et al., 2017, section 3.1, with :math:`\lambda = 100`.)

    Parameters
    ----------
    logits : tensor, shape (N, h, w, 1)
        The discriminator's, for the generated images.
    fake, y : tensor, shape (N, H, W, C)
        Generated and real images, from -1 to 1.
    lam : float

    Returns
    -------
    (scalar tensor, scalar tensor, scalar tensor)
        ``L_G``, and its two parts: the adversarial loss, and the mean absolute difference (before ``lam``).
    """
    adversarial = _bce(logits, 1.0)
    l1 = ops.mean(ops.abs(y - fake))
    return adversarial + lam * l1, adversarial, l1


def _bce(z, y):
    """:func:`bce_from_logits` on tensors; TensorFlow knows the gradient."""
    return ops.mean(ops.binary_crossentropy(y * ops.ones_like(z), z, from_logits=True))
