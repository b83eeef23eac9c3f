"""Chapter 11's lines for :mod:`benchmarks.metrics`: the character models on Python's reference, and the reviews.

Steps, rates and sizes were chosen on the validation text; the test text is read at the end of each run only. Times are
those of the processor, all threads together: they depend less on what else the machine does.
"""

import time
from functools import partial

import numpy as np

from course_lib import datasets
from course_lib import rnn as library

SEEDS = (0, 1, 2)
NUMPY_STEPS, LSTM_STEPS = 1200, 1000
LINES = {
    "test bits for each character, trigrams": None,
    "test bits for each character, NumPy RNN, 128 states": 2.85,
    "test bits for each character, LSTM, 192 cells": 2.6,
    "validation bits, NumPy RNN": None,
    "validation bits, LSTM": None,
    "processor seconds of training, NumPy RNN": None,
    "processor seconds of training, LSTM": None,
}


def one_seed(seed):
    """Train both character models once.

    Returns
    -------
    dict of str to float
        A number for each of :data:`LINES`.
    """
    import torch
    from threadpoolctl import threadpool_limits

    from course_lib import rnn_torch

    text = datasets.python_reference()
    vocab = library.build_vocab(list(text.train), 10)
    train, validation, test = (library.encode([part], vocab)[0][1:-1] for part in text[1:])
    x, y = library.stream_batches(train, 32, 64)
    table = library.ngram_log_prob(train, 3, len(vocab), 0.1)
    trigram = library.bits(library.perplexity(table[test[:-2], test[1:-1]], test[2:]))

    start = time.process_time()
    model = library.CharRNN(len(vocab), 128, np.random.default_rng(seed))
    with threadpool_limits(1):  # matrices this small gain nothing from a second thread: it would mostly wait
        library.train_streams(model, x, y, NUMPY_STEPS)
    middle = time.process_time()
    torch.manual_seed(seed)
    lstm = rnn_torch.CharLSTM(len(vocab))
    rnn_torch.train_chars(lstm, x, y, LSTM_STEPS)
    end = time.process_time()

    by_numpy = [library.bits(model.perplexity(part)) for part in (test, validation)]
    by_torch = [rnn_torch.bits_per_token(lstm, part) for part in (test, validation)]
    numbers = (trigram, by_numpy[0], by_torch[0], by_numpy[1], by_torch[1], middle - start, end - middle)
    return dict(zip(LINES, map(float, numbers), strict=True))


def runs():
    """One training of both models for each seed."""
    return {f"seed {seed}": partial(one_seed, seed) for seed in SEEDS}


def lines(record):
    """``(name, values over the seeds, None, seeds, what the mean must not exceed)``."""
    for name, at_most in LINES.items():
        yield name, tuple(record[f"seed {seed}"][name] for seed in SEEDS), None, SEEDS, at_most
