"""From text to integers and back. A token is a word or a character; a vocabulary is the list of those that are known.

The letters of the chapter: ``K`` tokens in the vocabulary, ``N`` sequences side by side, ``T`` time steps, time first:
a batch of indices has the shape ``(T, N)``.
"""

from collections import Counter

import numpy as np

SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")
PAD, UNK, BOS, EOS = range(4)


def build_vocab(tokens, min_count=1):
    """List the known tokens: the four special ones, then the others, the most frequent first.

    Parameters
    ----------
    tokens : sequence of str
        The training text. A special token in it keeps its place at the front.
    min_count : int
        What occurs less often is left out; later it is ``<unk>``.

    Returns
    -------
    list of str
        ``K`` tokens; equally frequent ones in alphabetical order. The index of a token is its place.
    """
    counts = Counter(token for token in tokens if token not in SPECIALS)
    frequent = [token for token, count in counts.items() if count >= min_count]
    return [*SPECIALS, *sorted(frequent, key=lambda token: (-counts[token], token))]


def encode(sentences, vocab):
    """Turn sentences into rows of indices of equal length: ``<bos>``, the tokens, ``<eos>``, then ``<pad>``.

    Parameters
    ----------
    sentences : sequence of (sequence of str)
        A token that the vocabulary does not hold becomes ``<unk>``.
    vocab : list of str
        See :func:`build_vocab`.

    Returns
    -------
    ndarray of int, shape (N, T)
        ``T`` is the longest sentence and two.
    """
    index = {token: k for k, token in enumerate(vocab)}
    rows = np.full((len(sentences), max(map(len, sentences)) + 2), PAD)
    for n, sentence in enumerate(sentences):
        rows[n, : len(sentence) + 2] = [BOS, *(index.get(token, UNK) for token in sentence), EOS]
    return rows


def decode(row, vocab):
    """The tokens of one row of indices, up to its first ``<eos>``, without ``<bos>`` and ``<pad>``.

    Parameters
    ----------
    row : sequence of int
        It may have no ``<eos>``.
    vocab : list of str

    Returns
    -------
    list of str
        What was unknown reads ``<unk>``.
    """
    row = list(row)
    if EOS in row:
        row = row[: row.index(EOS)]
    return [vocab[k] for k in row if k not in (PAD, BOS)]


def stream_batches(indices, N, T):
    r"""Lay a long text in ``N`` streams side by side and cut these into pieces of ``T`` steps.

    .. math:: x_{b,t,n} = s_{\,nL + bT + t}, \qquad y_{b,t,n} = s_{\,nL + bT + t + 1},
              \qquad L = \left\lfloor \frac{|s| - 1}{N} \right\rfloor

    Piece ``b + 1`` of stream ``n`` goes on where piece ``b`` ends, so a state that is carried from one to the next
    meets the text that it belongs to. What does not fill a piece at the end of a stream is left out.

    Parameters
    ----------
    indices : ndarray of int, shape (S,)
    N, T : int
        Streams, and steps in a piece.

    Returns
    -------
    x, y : ndarray of int, shape (B, T, N)
        The inputs, and what follows each of them; ``B = L // T``.

    Raises
    ------
    ValueError
        If the text is too short for one piece of every stream.
    """
    L = (len(indices) - 1) // N
    B = L // T
    if B == 0:
        raise ValueError(f"{N} streams of {T} steps need {N * T + 1} indices, not {len(indices)}")

    def cut(start):
        streams = indices[start : start + N * L].reshape(N, L)[:, : B * T]
        return streams.reshape(N, B, T).transpose(1, 2, 0)  # (B, T, N)

    return cut(0), cut(1)
