"""Writing a target without knowing it: the best symbol at each step, or the best few texts."""

import torch


@torch.no_grad()
def greedy_decode(score, N, bos, eos, longest, pad=0):
    """Write the most probable symbol, give it back as input, and go on until every text has ended.

    Parameters
    ----------
    score : callable
        ``score(target)``: from symbols (N, T) to scores (N, T, V) for the symbol after each of them.
    N : int
        Texts that are written side by side.
    bos, eos, pad : int
        The symbol that a text begins with, the one that ends it, and the one that follows afterwards.
    longest : int
        Symbols that are written at the most.

    Returns
    -------
    integer tensor, shape (N, T) with T <= longest
        Without ``bos``; with ``eos`` where a text has ended, and ``pad`` after it.
    """
    target = torch.full((N, 1), bos, dtype=torch.long)
    ended = torch.zeros(N, dtype=torch.bool)
    for _ in range(longest):
        best = score(target)[:, -1].argmax(dim=-1)  # (N,)
        best = torch.where(ended, pad, best)
        target = torch.cat([target, best[:, None]], dim=1)
        ended |= best == eos
        if ended.all():
            break
    return target[:, 1:]


@torch.no_grad()
def beam_search(score, bos, eos, longest, width=4):
    r"""Keep the ``width`` most probable beginnings at each step.

    A text's score is the sum of the logarithms of its symbols' probabilities. A beginning that has ended keeps its
    place with its score, and the search stops when the best of all has ended: no other can overtake it, since
    a longer text's score only falls.

    Parameters
    ----------
    score : callable
        ``score(target)``: from symbols (B, T) to scores (B, T, V), for any number ``B`` of beginnings.
    bos, eos, longest : int
        See :func:`greedy_decode`.
    width : int

    Returns
    -------
    list of (list of int, float)
        Texts without ``bos`` and their log-probabilities, the best first.
    """
    beams = [([], 0.0)]
    for _ in range(longest):
        going = [(text, p) for text, p in beams if text[-1:] != [eos]]  # all of one length
        if beams[0][0][-1:] == [eos]:
            break
        target = torch.tensor([[bos, *text] for text, _ in going])
        logs = torch.log_softmax(score(target)[:, -1].double(), dim=-1)  # (B, V)
        best = logs.topk(min(width, logs.shape[1]), dim=-1)
        longer = [
            ([*text, symbol], p + more)
            for (text, p), symbols, mores in zip(going, best.indices.tolist(), best.values.tolist(), strict=True)
            for symbol, more in zip(symbols, mores, strict=True)
        ]
        ended = [(text, p) for text, p in beams if text[-1:] == [eos]]
        beams = sorted(ended + longer, key=lambda beam: -beam[1])[:width]
    return beams
