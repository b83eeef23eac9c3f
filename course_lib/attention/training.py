"""Training a translator with teacher forcing, and asking it for whole texts."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from course_lib.attention.decoding import beam_search, greedy_decode
from course_lib.datasets.dates import BOS, EOS, ISO_LENGTH, PAD, SYMBOLS, decode, source_of


def schedule(done, warm_up=0.1):
    """A factor for the learning rate: up in a line, then down half a cosine wave; ``done`` is 0..1."""
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


def teacher_forced_loss(model, source, target):
    """Cross-entropy of every symbol of the target, each predicted from the right symbols before it.

    Parameters
    ----------
    model : Transformer or RecurrentTranslator
    source : integer tensor, shape (N, S)
    target : integer tensor, shape (N, T)
        From ``<bos>`` to ``<eos>``.
    """
    scores = model(source, target[:, :-1])  # (N, T - 1, V): input from <bos> on
    return F.cross_entropy(scores.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD)  # output up to <eos>


def batches(pairs, size, rng):
    """Mini-batches for one epoch, in random order, as tensors; each source cut to its longest text."""
    order = rng.permutation(len(pairs.source))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        source = pairs.source[rows]
        source = source[:, : (source != PAD).sum(axis=1).max()]
        yield torch.from_numpy(source), torch.from_numpy(pairs.target[rows])


def fit(model, pairs, epochs, seed, lr=2e-3, batch_size=128, watch=None, progress=False, batches=batches):
    """Train with AdamW, a learning rate that rises and falls, and gradients clipped at norm 1.

    Parameters
    ----------
    model : Transformer or RecurrentTranslator
    pairs : Pairs
    epochs : int
    seed : int
        Of the order of the pairs.
    watch : callable, optional
        ``watch(losses)`` every 10 steps.
    progress : bool
    batches : callable
        ``batches(pairs, batch_size, rng)`` yields the mini-batches of an epoch.

    Returns
    -------
    list of float
        The loss of every step.
    """
    from tqdm.auto import tqdm

    rng = np.random.default_rng(seed)
    steps = epochs * math.ceil(len(pairs[0]) / batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule((step + 1) / (steps + 1)))
    losses, bar = [], tqdm(total=steps, unit="step", disable=not progress)
    model.train()
    for _ in range(epochs):
        for source, target in batches(pairs, batch_size, rng):
            loss = teacher_forced_loss(model, source, target)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rate.step()
            losses.append(loss.item())
            bar.update()
            if len(losses) % 10 == 0:
                bar.set_postfix(loss=f"{np.mean(losses[-50:]):.4f}")
                if watch is not None:
                    watch(losses)
    bar.close()
    return losses


@torch.no_grad()
def translate(model, source, batch_size=250, decode_with=greedy_decode):
    """Write the target of each source greedily.

    Parameters
    ----------
    source : ndarray or tensor of int, shape (N, S)
    decode_with : callable
        As :func:`course_lib.attention.greedy_decode`.

    Returns
    -------
    ndarray of int, shape (N, 11)
        Ten characters and ``<eos>`` if all is well, padded where it ended earlier.
    """
    model.eval()
    source, written = torch.as_tensor(source), []
    for part in source.split(batch_size):
        memory = model.encode(part)
        found = decode_with(
            lambda target, memory=memory, part=part: model.decode(target, memory, part), len(part), BOS, EOS, ISO_LENGTH
        )
        written.append(F.pad(found, (0, ISO_LENGTH - found.shape[1]), value=PAD))
    return torch.cat(written).numpy()


def exact_match(model, pairs, decode_with=greedy_decode):
    """The share of texts that are right in every symbol, 0..1."""
    return float((translate(model, pairs.source, decode_with=decode_with) == pairs.target[:, 1:]).all(axis=1).mean())


@torch.no_grad()
def translate_texts(model, texts):
    """Texts in, texts out."""
    return [decode(row) for row in translate(model, source_of(texts))]


@torch.no_grad()
def beams_of(model, text, width=4):
    """The ``width`` best translations of one text and their probabilities, the best first."""
    model.eval()
    source = torch.from_numpy(source_of([text]))
    memory = model.encode(source)

    def score(target):
        B = len(target)
        return model.decode(target, memory.expand(B, -1, -1), source.expand(B, -1))

    return [(decode(symbols), math.exp(p)) for symbols, p in beam_search(score, BOS, EOS, ISO_LENGTH, width)]


@torch.no_grad()
def look(model, text):
    """Translate one text and say where each symbol of the translation has looked.

    Returns
    -------
    str
        The translation.
    ndarray, shape (layers, H, T, S)
        Weights of the decoder's attention to the source: row ``t`` was there when symbol ``t`` was written.
    """
    source = torch.from_numpy(source_of([text]))
    written = translate(model, source)[0]
    length = int(np.argmax(written == EOS)) if EOS in written else len(written)
    target = torch.tensor([[BOS, *written[: length - 1]]])
    model.decode(target, model.encode(source), source)
    if hasattr(model, "decoder"):
        weights = torch.stack([block.look_at_memory.weights[0] for block in model.decoder])
    else:
        weights = model.weights[None, :1]
    return decode(written), weights.numpy()


def date_transformer(seed, Block=None, **sizes):
    """A fresh :class:`Transformer` for dates, its weights drawn from ``seed``; torch's own generator is left alone."""
    from course_lib.attention.blocks import TransformerBlock
    from course_lib.attention.transformer import Transformer

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Transformer(len(SYMBOLS), Block=Block or TransformerBlock, **sizes)


def date_recurrent(seed, attention=True, **sizes):
    """A fresh :class:`RecurrentTranslator` for dates, its weights drawn from ``seed``."""
    from course_lib.attention.recurrent import RecurrentTranslator

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RecurrentTranslator(len(SYMBOLS), attention=attention, **sizes)
