"""Chapter 11 in PyTorch: a character LSTM, a classifier that reads reviews, a writer that is told what to say."""

import numpy as np
import torch
from torch import nn

from course_lib.rnn import BOS, EOS, PAD, bits


class CharLSTM(nn.Module):
    """Embedding, LSTM, linear: scores of the next token after each token.

    Parameters
    ----------
    K, E, H : int
        Tokens, size of their vectors, states.
    """

    def __init__(self, K, E=64, H=192):
        super().__init__()
        self.embedding, self.lstm, self.linear = nn.Embedding(K, E), nn.LSTM(E, H), nn.Linear(H, K)

    def forward(self, x, state=None):
        """Indices ``(T, N)`` give scores ``(T, N, K)`` and the state ``(h, c)``, each ``(1, N, H)``."""
        h, state = self.lstm(self.embedding(x), state)
        return self.linear(h), state


def train_chars(model, x, y, steps, lr=5e-3, max_norm=1.0, progress=False):
    """As :func:`course_lib.rnn.train_streams`: ``detach`` is where the way back ends.

    Parameters
    ----------
    model : CharLSTM
    x, y : ndarray of int, shape (B, T, N)
    steps : int
    lr, max_norm : float
    progress : bool

    Returns
    -------
    list of float
        The loss of every step, in nats.
    """
    from tqdm.auto import tqdm

    x, y = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y))
    optimizer = torch.optim.Adam(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses, state = [], None
    bar = tqdm(range(steps), unit="step", disable=not progress)
    for k in bar:
        piece = k % len(x)
        state = None if piece == 0 else tuple(part.detach() for part in state)
        z, state = model(x[piece], state)
        loss = nn.functional.cross_entropy(z.flatten(0, 1), y[piece].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if k % 20 == 0:
            bar.set_postfix(bits=f"{np.mean(losses[-20:]) / np.log(2):.2f}")
    return losses


@torch.no_grad()
def bits_per_token(model, s, N=16):
    """On a text of indices ``(S,)``, read as ``N`` streams."""
    L = (len(s) - 1) // N
    x, y = (torch.from_numpy(s[k : N * L + k].reshape(N, L).T.copy()) for k in (0, 1))
    z, _ = model(x)
    return bits(float(np.exp(nn.functional.cross_entropy(z.flatten(0, 1), y.flatten()).item())))


@torch.no_grad()
def weights(model):
    """The weights of a :class:`CharLSTM` as NumPy arrays, for :func:`course_lib.rnn.lstm_step`.

    Returns
    -------
    dict of str to ndarray
        ``E`` (K, E), ``W`` (4H, E), ``U`` (4H, H), ``b`` (4H,), the sum of PyTorch's two, ``V`` (K, H), ``bz`` (K,).
    """
    lstm = model.lstm
    named = {
        "E": model.embedding.weight, "W": lstm.weight_ih_l0, "U": lstm.weight_hh_l0,
        "b": lstm.bias_ih_l0 + lstm.bias_hh_l0, "V": model.linear.weight, "bz": model.linear.bias,
    }  # fmt: skip
    return {name: tensor.numpy().astype(np.float64) for name, tensor in named.items()}


# ---- many to one, one to many ----


class Reader(nn.Module):
    """Many to one: read a review, then say one thing about it.

    The state is taken where the review ends, not where the padding ends.
    """

    def __init__(self, K, E=24, H=64):
        super().__init__()
        self.embedding, self.lstm, self.linear = nn.Embedding(K, E), nn.LSTM(E, H), nn.Linear(H, 1)

    def forward(self, x):
        """Indices ``(T, N)`` give a score ``(N,)``: above 0 is praise."""
        h, _ = self.lstm(self.embedding(x))  # (T, N, H)
        last = (x != PAD).sum(axis=0) - 1  # (N,)
        return self.linear(h[last, torch.arange(x.shape[1])])[:, 0]


class Writer(nn.Module):
    """One to many: begin with a state that depends on one number, and write a review."""

    def __init__(self, K, E=24, H=96):
        super().__init__()
        self.begin, self.embedding = nn.Embedding(2, H), nn.Embedding(K, E)
        self.gru, self.linear = nn.GRU(E, H), nn.Linear(H, K)

    def forward(self, x, praise):
        """Indices ``(T, N)`` and 0 or 1 for each review, ``(N,)``, give scores ``(T, N, K)``."""
        h, _ = self.gru(self.embedding(x), self.begin(praise)[None])
        return self.linear(h)

    @torch.no_grad()
    def write(self, praise, rng, draw, temperature=1.0, longest=30):
        """Reviews as rows of indices, ``(N, T)``, drawn word by word with ``draw`` (see ``course_lib.rnn.sample``)."""
        h = self.begin(torch.from_numpy(praise))[None]
        now, rows = np.full(len(praise), BOS), []
        for _ in range(longest):
            out, h = self.gru(self.embedding(torch.from_numpy(now)[None]), h)
            z = self.linear(out[0]).numpy().astype(np.float64)
            now = np.asarray(draw(z, temperature, rng.random(len(praise))))
            rows.append(now)
        rows = np.stack(rows, axis=1)  # (N, T)
        rows[~(rows == EOS).any(axis=1), -1] = EOS  # what has found no end is cut off
        return rows


def fit(model, loss_of, data, epochs, rng, lr=5e-3, batch=64, progress=False):
    """Train on mini-batches in random order; each review is by itself, so no state is carried over.

    Parameters
    ----------
    model : nn.Module
    loss_of : callable
        ``loss_of(model, *batch)`` gives the loss of a mini-batch.
    data : sequence of ndarray
        Their first axis is shuffled together.
    epochs : int
    rng : numpy.random.Generator
    lr : float
    batch : int
    progress : bool
    """
    from tqdm.auto import tqdm

    data, N = [torch.from_numpy(np.ascontiguousarray(a)) for a in data], len(data[0])
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for _ in tqdm(range(epochs), unit="epoch", disable=not progress):
        order = torch.from_numpy(rng.permutation(N))
        for k in range(0, N, batch):
            chosen = order[k : k + batch]
            loss = loss_of(model, *(a[chosen] for a in data))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()


def reading_loss(model, rows, praise):
    """Of a :class:`Reader` on rows ``(N, T)`` and labels ``(N,)``."""
    return nn.functional.binary_cross_entropy_with_logits(model(rows.T), praise.float())


def writing_loss(model, rows, praise):
    """Of a :class:`Writer`: every next word, padding left out."""
    z = model(rows[:, :-1].T, praise)  # (T, N, K)
    return nn.functional.cross_entropy(z.flatten(0, 1), rows[:, 1:].T.flatten(), ignore_index=PAD)
