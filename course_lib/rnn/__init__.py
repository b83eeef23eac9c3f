"""Chapter 11: sequences. Everything that the notebook builds, in the order in which it builds it.

============  ==================================================================================================
``text``      a vocabulary by frequency, words to indices and back, a text dealt out in streams
``ngrams``    unigrams, bigrams, trigrams as tables of logarithms; perplexity
``steps``     the recurrent step forward and backward through time, clipping, LSTM, GRU, drawing the next index
``training``  a character model in NumPy with truncated back-propagation through time
============  ==================================================================================================

The LSTM of the second half is trained with PyTorch, in :mod:`course_lib.rnn_torch`.
"""

from course_lib.rnn.ngrams import bits, ngram_log_prob, perplexity
from course_lib.rnn.steps import (
    clip_gradients,
    gru_step,
    lstm_step,
    rnn_backward,
    rnn_forward,
    rnn_step,
    sample,
    sigmoid,
)
from course_lib.rnn.text import BOS, EOS, PAD, SPECIALS, UNK, build_vocab, decode, encode, stream_batches
from course_lib.rnn.training import CharRNN, one_hot, orthogonal, train_streams

__all__ = [
    "BOS", "EOS", "PAD", "SPECIALS", "UNK", "CharRNN", "bits", "build_vocab", "clip_gradients", "decode", "encode",
    "gru_step", "lstm_step", "ngram_log_prob", "one_hot", "orthogonal", "perplexity", "rnn_backward", "rnn_forward",
    "rnn_step", "sample", "sigmoid", "stream_batches", "train_streams",
]  # fmt: skip
