r"""Several heads, and the block that a Transformer is made of.

``N`` sequences, ``T`` positions that ask, ``S`` positions that are looked at, ``d`` numbers a position, ``H`` heads.
"""

import torch
from torch import nn

from course_lib.attention.dot_product import scaled_dot_product_attention


def layer_norm(x, gain, bias, eps=1e-5):
    r"""Give each position mean 0 and variance 1, then a learned gain and bias (Ba, Kiros and Hinton, 2016).

    .. math:: y = g \odot \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + b, \qquad
              \mu = \frac1d \sum_j x_j, \quad \sigma^2 = \frac1d \sum_j (x_j - \mu)^2

    Parameters
    ----------
    x : tensor, shape (..., d)
    gain, bias : tensor, shape (d,)

    Returns
    -------
    tensor, shape (..., d)
    """
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)  # divided by d, not d - 1
    return gain * (x - mean) / torch.sqrt(variance + eps) + bias


class MultiHeadAttention(nn.Module):
    r"""``H`` attentions side by side, each on its own ``d/H`` numbers (Vaswani et al., 2017).

    .. math:: Y = [Y_1 \dots Y_H]\, W_O^\top + b_O, \qquad
              Y_h = \operatorname{attention}(Q_h, K_h, V_h), \qquad Q = X W_Q^\top + b_Q, \ \dots

    Head ``h`` has the columns ``h d/H`` to ``(h+1) d/H - 1`` of ``Q``, ``K`` and ``V``.

    Parameters
    ----------
    d, heads : int
        ``heads`` divides ``d``.
    """

    def __init__(self, d, heads):
        super().__init__()
        if d % heads:
            raise ValueError(f"{d} numbers cannot be shared by {heads} heads; take a divisor of {d}")
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(d, d) for _ in range(4))
        self.weights = None  # of the last call, to look at

    def forward(self, x, memory=None, mask=None):
        """``x``: (N, T, d) asks; ``memory``: (N, S, d) is looked at, default ``x`` itself; result (N, T, d).

        ``mask`` broadcasts to (N, H, T, S). Afterwards ``self.weights`` holds (N, H, T, S).
        """
        memory = x if memory is None else memory
        q, k, v = (self.split(z) for z in (self.query(x), self.key(memory), self.value(memory)))
        y, weights = scaled_dot_product_attention(q, k, v, mask)  # (N, H, T, d/H)
        self.weights = weights.detach()
        return self.output(y.transpose(1, 2).flatten(2))

    def split(self, z):
        """(N, T, d) into (N, H, T, d/H)."""
        return z.unflatten(2, (self.heads, -1)).transpose(1, 2)


class TransformerBlock(nn.Module):
    r"""Look around, then think about it: attention and a small network, each on a path beside the straight one.

    .. math:: x \leftarrow x + \operatorname{attention}(\operatorname{norm}_1(x)), \qquad
              x \leftarrow x + \operatorname{attention}(\operatorname{norm}_2(x), m), \qquad
              x \leftarrow x + W_2 \operatorname{ReLU}(W_1 \operatorname{norm}_3(x))

    The second line is there in a decoder only (``cross=True``): it looks at the memory ``m`` that the encoder made.
    The normalisation comes first in each branch (pre-norm), so that the straight path is never touched.

    Parameters
    ----------
    d, heads, hidden : int
        ``hidden``: the width inside the small network.
    cross : bool
    """

    def __init__(self, d, heads, hidden, cross=False):
        super().__init__()
        self.norm1, self.look = nn.LayerNorm(d), MultiHeadAttention(d, heads)
        if cross:
            self.norm2, self.look_at_memory = nn.LayerNorm(d), MultiHeadAttention(d, heads)
        self.norm3 = nn.LayerNorm(d)
        self.think = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, d))

    def forward(self, x, mask=None, memory=None, memory_mask=None):
        """``x``: (N, T, d); ``memory``: (N, S, d), for a decoder block; result (N, T, d)."""
        x = x + self.look(self.norm1(x), mask=mask)
        if memory is not None:
            x = x + self.look_at_memory(self.norm2(x), memory, memory_mask)
        return x + self.think(self.norm3(x))
