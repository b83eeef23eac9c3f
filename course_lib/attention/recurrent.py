r"""Sequence to sequence with recurrent networks: through one vector, or with additive attention.

``N`` texts, ``S`` and ``T`` symbols in source and target, ``V`` symbols in the alphabet, ``d`` numbers in a state.
"""

import math

import torch
from torch import nn

from course_lib.attention.dot_product import padding_mask


class AdditiveAttention(nn.Module):
    r"""The first attention (Bahdanau, Cho and Bengio, 2015): a small network says how well query and key go together.

    .. math:: e_{ts} = u^\top \tanh(W q_t + U k_s), \qquad A = \operatorname{softmax}_s(e), \qquad Y = A K

    Parameters
    ----------
    d : int
        Of queries, and of the keys, which are the values too.
    """

    def __init__(self, d):
        super().__init__()
        self.W, self.U, self.u = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False), nn.Linear(d, 1, bias=False)

    def forward(self, q, k, mask):
        """``q``: (N, T, d); ``k``: (N, S, d); ``mask``: (N, 1, S). Gives (N, T, d) and weights (N, T, S)."""
        e = self.u(torch.tanh(self.W(q)[:, :, None] + self.U(k)[:, None])).squeeze(-1)  # (N, T, S)
        weights = torch.softmax(e.masked_fill(~mask, -math.inf), dim=-1)
        return weights @ k, weights


class RecurrentTranslator(nn.Module):
    """A GRU reads the source, a second one writes the target; ``encode`` and ``decode`` as the Transformer has them.

    Without attention the decoder knows of the source only the encoder's last state. With it, every position of the
    target looks at all the encoder's states; the query is the decoder's state (attention after the recurrence, as in
    Luong et al., 2015, so that all positions are computed at once).

    Parameters
    ----------
    symbols, d : int
    attention : bool
    pad : int
    """

    def __init__(self, symbols, d=160, attention=True, pad=0):
        super().__init__()
        self.pad = pad
        self.embed = nn.Embedding(symbols, d)
        self.reader = nn.GRU(d, d // 2, batch_first=True, bidirectional=True)
        self.writer = nn.GRU(d, d, batch_first=True)
        self.attention = AdditiveAttention(d) if attention else None
        self.mix = nn.Linear(2 * d if attention else d, d)
        self.scores = nn.Linear(d, symbols)
        self.weights = None  # of the last call, to look at

    def encode(self, source):
        """The source (N, S) as states (N, S + 1, d); the last one is what the decoder starts from."""
        lengths = (source != self.pad).sum(dim=1)
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(source), lengths, batch_first=True, enforce_sorted=False)
        states, last = self.reader(packed)  # last: (2, N, d/2), of both directions
        states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])
        return torch.cat([states, last.transpose(0, 1).flatten(1)[:, None]], dim=1)

    def decode(self, target, memory, source):
        """Scores (N, T, V): those at position ``t`` are for the symbol after ``target[:, t]``."""
        states, start = memory[:, :-1], memory[:, -1]
        x, _ = self.writer(self.embed(target), start[None].contiguous())  # (N, T, d)
        if self.attention is not None:
            found, weights = self.attention(x, states, padding_mask(source, self.pad)[:, 0])
            self.weights = weights.detach()
            x = torch.cat([x, found], dim=-1)
        return self.scores(torch.tanh(self.mix(x)))

    def forward(self, source, target):
        """Scores for every position at once (teacher forcing)."""
        return self.decode(target, self.encode(source), source)
