"""Chapter 11: what is checked of the exercises on sequences."""

import numpy as np

from autograder.compare import Tolerance
from autograder.exercise import Written, case, exercise, only_exercises

SPECIALS = ["<pad>", "<unk>", "<bos>", "<eos>"]
WORDS = ["the", "cat", "sat", "on", "mat", "dog", "ran", "to", "a", "big", "red", "hat"]


def _words(rng, n, kinds=12):
    """``n`` words, some far more frequent than others."""
    p = 1 / np.arange(1, kinds + 1)
    return [str(word) for word in rng.permutation(WORDS)[rng.choice(kinds, size=n, p=p / p.sum())]]


def _log_softmax(z, axis=-1):
    z = z - z.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


# ---- 11.1 ----


@exercise(
    reference="course_lib.rnn:build_vocab",
    points=2,
    hints=(
        "What is the first thing you need to know about every token? And by which two things is the list sorted?",
        "Count with collections.Counter. sorted(..., key=lambda token: (-counts[token], token)) puts the frequent "
        "first and breaks ties alphabetically. The four special tokens are not sorted: they stand in front.",
    ),
)
def build_vocab(rng):
    """List the known tokens: the four special ones, then the others by frequency."""
    yield case("the worked example", ["the", "cat", "sat", "on", "the", "mat", "the", "cat"])
    yield case("one word too rare", ["b", "a", "b", "c", "a"], min_count=2)
    yield case("equally frequent: alphabetical", ["pear", "fig", "apple", "fig", "pear", "apple", "kiwi"])
    yield case("many rare words, and <unk> in the text", ["<unk>", "x", "y", "<unk>", "z", "<unk>", "v", "v", "v"], 2)
    yield case("letters", [str(letter) for letter in rng.choice(list("abcdefgh"), size=40)], min_count=3)
    yield case("many words", [*_words(rng, 80), "once", "a", "a"], min_count=2)


@build_vocab.mistake("Equally frequent tokens stand in the order in which they came. Sort these alphabetically.")
def ties_in_order_of_appearance(reference, tokens, min_count=1):
    vocab = reference(tokens, min_count)
    return vocab[:4] + sorted(vocab[4:], key=lambda token: (-tokens.count(token), tokens.index(token)))


@build_vocab.mistake("The list is alphabetical. The most frequent token comes first.")
def alphabetical(reference, tokens, min_count=1):
    vocab = reference(tokens, min_count)
    return vocab[:4] + sorted(vocab[4:])


@build_vocab.mistake("The rarest tokens stand first.")
def rarest_first(reference, tokens, min_count=1):
    vocab = reference(tokens, min_count)
    return vocab[:4] + sorted(vocab[4:], key=lambda token: (tokens.count(token), token))


@build_vocab.mistake("The special tokens are missing at the front.")
def no_specials(reference, tokens, min_count=1):
    return reference(tokens, min_count)[4:]


@build_vocab.mistake("The special tokens stand at the end. Padding is to be 0: they come first.")
def specials_last(reference, tokens, min_count=1):
    vocab = reference(tokens, min_count)
    return vocab[4:] + vocab[:4]


@build_vocab.mistake("A token that occurs exactly min_count times is left out. It is frequent enough.")
def one_too_strict(reference, tokens, min_count=1):
    return reference(tokens, min_count + 1)


@build_vocab.mistake("min_count is not used: rare tokens are to be left out.")
def min_count_ignored(reference, tokens, min_count=1):
    return reference(tokens, 1)


@build_vocab.mistake("<unk> was counted like a word and stands in the list twice. Special tokens are not counted.")
def unk_twice(reference, tokens, min_count=1):
    counts = {token: tokens.count(token) for token in tokens}
    kept = [token for token in counts if counts[token] >= min_count]
    return SPECIALS + sorted(kept, key=lambda token: (-counts[token], token))


@build_vocab.mistake(
    "Counter.most_common leaves equally frequent tokens in the order in which they came, and it counts <unk> like a "
    "word. Sort ties alphabetically; special tokens only stand at the front."
)
def most_common(reference, tokens, min_count=1):
    kept = [token for token in dict.fromkeys(tokens) if tokens.count(token) >= min_count]
    return SPECIALS + sorted(kept, key=tokens.count, reverse=True)


# ---- 11.2 ----


def _vocab(rng, kinds=6):
    return SPECIALS + [str(word) for word in rng.permutation(WORDS)[:kinds]]


@exercise(
    reference="course_lib.rnn:encode",
    points=2,
    hints=(
        "How long is the longest row, with the two tokens that every sentence gets? What should a row hold before you "
        "write into it?",
        "index = {token: k for k, token in enumerate(vocab)}; index.get(token, 1) gives <unk> for what is not there. "
        "Begin with np.full((N, T), 0) and write [2, ..., 3] at the front of each row.",
    ),
)
def encode(rng):
    """Turn sentences into rows of indices of equal length."""
    yield case("the worked example", [["the", "cat"], ["the", "dog", "sat"]], [*SPECIALS, "the", "cat", "sat"])
    yield case("an unknown word", [["a", "zebra", "ran"]], [*SPECIALS, "ran", "a"])
    yield case("an empty sentence", [["on", "on"], []], [*SPECIALS, "on"])
    yield case("characters", ["hat", "at"], [*SPECIALS, "t", "a"])
    lengths = [int(n) for n in rng.permutation([1, 4, 7])]
    yield case("random sentences", [["zebra", *_words(rng, n)] for n in lengths], _vocab(rng))


def _rows(sentences, vocab, unknown=1, shift=0, bos=(2,), eos=(3,), left=False, pad=0):
    index = {token: k for k, token in enumerate(vocab)}
    rows = []
    for sentence in sentences:
        known = [index.get(token, unknown) + shift for token in sentence]
        rows.append([*bos, *(k for k in known if k is not None), *eos])
    T = max(map(len, rows))
    return np.array([[pad] * (T - len(r)) + r if left else r + [pad] * (T - len(r)) for r in rows])


@encode.mistake("Unknown tokens are dropped. They become <unk>: something stood there.")
def unknown_dropped(reference, sentences, vocab):
    return _rows([[token for token in s if token in vocab] for s in sentences], vocab)


@encode.mistake("Unknown tokens become 0, which is <pad>: they would count as nothing. <unk> is 1.")
def unknown_is_pad(reference, sentences, vocab):
    return _rows(sentences, vocab, unknown=0)


@encode.mistake("<bos> is missing at the beginning of each row.")
def no_bos(reference, sentences, vocab):
    return _rows(sentences, vocab, bos=())


@encode.mistake("<eos> is missing behind each sentence.")
def no_eos(reference, sentences, vocab):
    return _rows(sentences, vocab, eos=())


@encode.mistake("The padding stands in front. It comes after <eos>.")
def padded_left(reference, sentences, vocab):
    return _rows(sentences, vocab, left=True)


@encode.mistake("<eos> stands after the padding. It ends the sentence: padding comes last.")
def eos_after_padding(reference, sentences, vocab):
    rows = _rows(sentences, vocab, eos=())
    return np.append(rows, np.full((len(rows), 1), 3), axis=1)


@encode.mistake("The rest of each row is filled with <eos>. Padding is 0.")
def padded_with_eos(reference, sentences, vocab):
    return _rows(sentences, vocab, pad=3)


@encode.mistake("Indices are shifted by four. The vocabulary holds the special tokens already.")
def shifted(reference, sentences, vocab):
    return _rows(sentences, vocab, unknown=-3, shift=4)


# ---- 11.3 ----


@exercise(
    reference="course_lib.rnn:decode",
    points=1,
    hints=(
        "Where does the sentence end? Which of the four special tokens should a reader see?",
        "Go through the row; stop at 3; skip 0 and 2; otherwise append vocab[k].",
    ),
)
def decode(rng):
    """The tokens of one row of indices."""
    yield case("the worked example", np.array([2, 4, 5, 3, 0]), [*SPECIALS, "the", "cat", "sat"])
    yield case("an unknown word", np.array([2, 5, 1, 3]), [*SPECIALS, "a", "ran"])
    yield case("something after the end", np.array([2, 4, 3, 5, 4, 3, 0]), [*SPECIALS, "on", "mat"])
    yield case("no end, padding inside", np.array([4, 0, 5, 5]), [*SPECIALS, "on", "mat"])
    row = np.concatenate([[2], rng.integers(4, 10, size=5), [1, 3], rng.integers(4, 10, size=2), [0]])
    yield case("a random row", row, _vocab(rng))


def _tokens(row, vocab, skip=(0, 2), stop=True):
    tokens = []
    for k in row:
        if stop and k == 3:
            break
        if k not in skip:
            tokens.append(vocab[k])
    return tokens


@decode.mistake("It reads on after <eos>. The sentence ends there.")
def reads_on(reference, row, vocab):
    return _tokens(row, vocab, skip=(0, 2, 3), stop=False)


@decode.mistake("<eos> and what follows it are in the result.")
def keeps_all(reference, row, vocab):
    return _tokens(row, vocab, stop=False)


@decode.mistake("<unk> is left out. The reader should see that a word stood there.")
def unk_left_out(reference, row, vocab):
    return _tokens(row, vocab, skip=(0, 1, 2))


@decode.mistake("<bos> is in the result.")
def bos_kept(reference, row, vocab):
    return _tokens(row, vocab, skip=(0,))


@decode.mistake("It stops at <pad>. Only <eos> ends a sentence; padding is skipped.")
def stops_at_pad(reference, row, vocab):
    zeros = np.flatnonzero(np.asarray(row) == 0)
    return _tokens(row[: zeros[0]] if len(zeros) else row, vocab)


@decode.mistake("The tokens are joined to one text. A list of tokens is asked for.")
def joined(reference, row, vocab):
    return " ".join(reference(row, vocab))


@decode.mistake("Only words are left. <unk> is to be seen, too, and what follows <eos> is not part of the sentence.")
def only_words(reference, row, vocab):
    return _tokens(row, vocab, skip=(0, 1, 2, 3), stop=False)


# ---- 11.4 ----


@exercise(
    reference="course_lib.rnn:ngram_log_prob",
    points=3,
    hints=(
        "How many n-grams are there in a text of S tokens? Which axis of the table is the token that follows, and what "
        "must the probabilities along it sum to?",
        "counts = np.zeros((K,) * n); np.add.at(counts, tuple(x[k : k + S - n + 1] for k in range(n)), 1); add alpha "
        "to every entry; divide by the sum along axis=-1, keepdims=True; take the logarithm.",
    ),
)
def ngram_log_prob(rng):
    """Logarithms of the smoothed probability of a token after each context."""
    yield case("the worked example: a b a a b, bigram", np.array([0, 1, 0, 0, 1]), 2, 2, 1.0)
    yield case("unigram", np.array([0, 1, 0, 0, 1]), 1, 3, 1.0)
    yield case("trigram", np.array([0, 1, 0, 0, 1, 0, 1]), 3, 2, 0.5)
    K = int(rng.integers(4, 7))
    yield case("a random text, bigram", rng.integers(0, K - 1, size=30), 2, K, float(rng.uniform(0.1, 0.9)))
    yield case("a random text, trigram", rng.integers(0, 3, size=40), 3, 4, float(rng.uniform(1.1, 2.0)))


def _counts(x, n, K):
    counts = np.zeros((K,) * n)
    for k in range(len(x) - n + 1):
        counts[tuple(x[k : k + n])] += 1
    return counts


@ngram_log_prob.mistake("counts[index] += 1 counts each n-gram once, however often it occurs. Use np.add.at or a loop.")
def counted_once(reference, x, n, K, alpha):
    smooth = (_counts(x, n, K) > 0) + alpha
    return np.log(smooth / smooth.sum(axis=-1, keepdims=True))


@ngram_log_prob.mistake("Divided by the sum of the whole table: that is p(context, token). Divide for each context.")
def joint(reference, x, n, K, alpha):
    if n == 1:
        return reference(x, n, K, alpha)
    smooth = _counts(x, n, K) + alpha
    return np.log(smooth / smooth.sum())


@ngram_log_prob.mistake("Only alpha is added below. There are K tokens, each gets alpha: the sum grows by alpha * K.")
def alpha_below(reference, x, n, K, alpha):
    counts = _counts(x, n, K)
    return np.log((counts + alpha) / (counts.sum(axis=-1, keepdims=True) + alpha))


@ngram_log_prob.mistake("There is no smoothing: what was never seen gets the probability 0 and the logarithm -inf.")
def no_smoothing(reference, x, n, K, alpha):
    counts = _counts(x, n, K)
    with np.errstate(all="ignore"):
        return np.log(counts / counts.sum(axis=-1, keepdims=True))


@ngram_log_prob.mistake("alpha is always 1 here. Use the argument.")
def always_laplace(reference, x, n, K, alpha):
    return reference(x, n, K, 1.0)


@ngram_log_prob.mistake("The context is read backwards: the first axis is the oldest token, the last what follows.")
def backwards(reference, x, n, K, alpha):
    smooth = _counts(x[::-1], n, K) + alpha
    return np.log(smooth / smooth.sum(axis=-1, keepdims=True))


@ngram_log_prob.mistake("It sums over the context instead of over the token that follows: axis=-1.")
def sum_over_context(reference, x, n, K, alpha):
    smooth = _counts(x, n, K) + alpha
    return np.log(smooth / smooth.sum(axis=0, keepdims=True)) if n > 1 else reference(x, n, K, alpha)


@ngram_log_prob.mistake("These are probabilities. Their logarithms are asked for.")
def probabilities(reference, x, n, K, alpha):
    return np.exp(reference(x, n, K, alpha))


@ngram_log_prob.mistake("The logarithm has base 2. Use the natural one; section 2 turns the result into bits.")
def base_two(reference, x, n, K, alpha):
    return reference(x, n, K, alpha) / np.log(2)


@ngram_log_prob.mistake("The last n-gram is missing: a text of S tokens holds S - n + 1 of them.")
def last_missing(reference, x, n, K, alpha):
    return reference(x[:-1], n, K, alpha)


# ---- 11.5 ----


@exercise(
    reference="course_lib.rnn:perplexity",
    points=2,
    hints=(
        "For one position: which entry of log softmax(z) belongs to the token that came? Over which positions is the "
        "mean?",
        "log_p = z - max - log(sum(exp(z - max))) along axis=-1; np.take_along_axis(log_p, y[..., None], -1)[..., 0] "
        "picks the right entries; keep those with y != pad; exp(-mean).",
    ),
)
def perplexity(rng):
    """How many equally likely tokens the model hesitates between."""
    yield case("the worked example", np.log([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]), np.array([0, 2]), pad=-1)
    yield case("equal scores: K", np.zeros((3, 2, 5)), np.array([[1, 2], [3, 4], [1, 1]]))
    y = np.array([[2, 1], [1, 3], [3, 0], [1, 0]])
    yield case("two sentences, one padded", 2 * rng.normal(size=(4, 2, 4)), y)
    yield case("large scores", np.array([[1000.0, 1001.0, 0.0], [3.0, 5.0, 2.0]]), np.array([1, 2]))
    T, N, K = (int(n) for n in rng.integers(3, 7, size=3))
    y = rng.integers(1, K, size=(T, N))
    y[-1, 0], y[0, 0], y[1, 0], y[2:, 1] = 0, 1, 2, 0
    yield case("a random batch", 2 * rng.normal(size=(T, N, K)), y)


def _right(z, y):
    return np.take_along_axis(_log_softmax(z), y[..., None] % z.shape[-1], axis=-1)[..., 0]


@perplexity.mistake("Padding is counted. Only positions whose target is not pad belong to the mean.")
def pads_counted(reference, z, y, pad=0):
    return np.exp(-_right(z, y).mean())


@perplexity.mistake("Padding counts nothing in the sum, but the mean is taken over all positions.")
def pads_in_the_mean(reference, z, y, pad=0):
    return np.exp(-(_right(z, y) * (y != pad)).sum() / y.size)


@perplexity.mistake("Softmax runs over time, the first axis. The tokens lie along the last.")
def softmax_over_time(reference, z, y, pad=0):
    right = np.take_along_axis(_log_softmax(z, axis=0), y[..., None], axis=-1)[..., 0]
    return np.exp(-right[y != pad].mean())


@perplexity.mistake("Unknown tokens, index 1, are left out. They came and were not predicted: they count.")
def unk_not_counted(reference, z, y, pad=0):
    return np.exp(-_right(z, y)[(y != pad) & (y != 1)].mean())


@perplexity.mistake("This is the mean negative log-probability. Perplexity is its exponential.")
def only_the_loss(reference, z, y, pad=0):
    return np.log(reference(z, y, pad))


@perplexity.mistake("2 to the power of a natural logarithm. np.exp belongs to np.log.")
def two_to_the_power(reference, z, y, pad=0):
    return 2 ** np.log(reference(z, y, pad))


@perplexity.mistake("That is one over the mean probability. The mean is taken of the logarithms.")
def one_over_mean(reference, z, y, pad=0):
    return 1 / np.exp(_right(z, y))[y != pad].mean()


@perplexity.mistake("The sign is wrong: a perplexity is at least 1.")
def below_one(reference, z, y, pad=0):
    return 1 / reference(z, y, pad)


@perplexity.mistake("np.exp overflows for large scores. Subtract the maximum along the last axis first.")
def overflows(reference, z, y, pad=0):
    with np.errstate(all="ignore"):
        p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
        right = np.take_along_axis(np.log(p), y[..., None], axis=-1)[..., 0]
        return np.exp(-right[y != pad].mean())


@perplexity.mistake("The scores are taken for log-probabilities. Softmax first; it does no harm where they are.")
def not_normalised(reference, z, y, pad=0):
    with np.errstate(all="ignore"):
        return np.exp(-np.take_along_axis(z, y[..., None], axis=-1)[..., 0][y != pad].mean())


# ---- 11.6 ----


def _weights(rng, D, H, blocks=1):
    shape = blocks * H
    return rng.normal(size=(shape, D)), rng.normal(size=(shape, H)) / np.sqrt(H), rng.normal(size=shape)


@exercise(
    reference="course_lib.rnn:rnn_step",
    points=2,
    hints=(
        "Which two things flow into the new state, and which matrix does each of them meet?",
        "np.tanh(x @ W.T + h @ U.T + b): as in chapter 04, a weight matrix has its outputs in its rows.",
    ),
)
def rnn_step(rng):
    """The new state from the input and the old state."""
    W, U, b = np.array([[1.0], [0.5]]), np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([0.0, 0.5])
    yield case("the worked example", np.array([[1.0]]), np.array([[0.5, -1.0]]), W, U, b)
    yield case("as many inputs as states", *rng.normal(size=(2, 2, 3)), *_weights(rng, 3, 3))
    yield case("five inputs, three states", rng.normal(size=(4, 5)), rng.normal(size=(4, 3)), *_weights(rng, 5, 3))


@rnn_step.mistake("tanh is missing: the state could grow without bound.")
def no_tanh(reference, x, h, W, U, b):
    return x @ W.T + h @ U.T + b


@rnn_step.mistake("That is the sigmoid. The recurrence uses tanh.")
def sigmoid_for_tanh(reference, x, h, W, U, b):
    return _sigmoid(x @ W.T + h @ U.T + b)


@rnn_step.mistake("The bias is missing.")
def no_bias(reference, x, h, W, U, b):
    return reference(x, h, W, U, 0 * b)


@rnn_step.mistake("U is not transposed: row k of U belongs to the new state k, so it is h @ U.T.")
def u_transposed(reference, x, h, W, U, b):
    return reference(x, h, W, U.T, b)


@rnn_step.mistake("The old state is not used: nothing is remembered.")
def no_memory(reference, x, h, W, U, b):
    return reference(x, 0 * h, W, U, b)


@rnn_step.mistake("tanh covers the input only. It is taken of the whole sum.")
def tanh_of_the_input(reference, x, h, W, U, b):
    return np.tanh(x @ W.T + b) + h @ U.T


@rnn_step.mistake("The old state is added to the result. It enters through U only.")
def old_state_added(reference, x, h, W, U, b):
    return h + reference(x, h, W, U, b)


# ---- 11.7 ----


def _recurrence(rng, T, N, D, H):
    W, U, b = _weights(rng, D, H)
    x, h = rng.normal(size=(T, N, D)), np.zeros((T + 1, N, H))
    h[0] = rng.uniform(-0.5, 0.5, size=(N, H))
    for t in range(T):
        h[t + 1] = np.tanh(x[t] @ W.T + h[t] @ U.T + b)
    return rng.normal(size=(T, N, H)), x, h, W, U


def drive_backward(answer, *args):
    """The five gradients by name."""
    dx, dh0, dW, dU, db = answer(*args)
    return {"dx": dx, "dh0": dh0, "dW": dW, "dU": dU, "db": db}


@exercise(
    reference="course_lib.rnn:rnn_backward",
    points=5,
    hints=(
        "On which two ways does the state h[t + 1] reach the loss? What does that say about the gradient that arrives "
        "at it, and about the order in which you go through the steps?",
        "s = 0. For t from T-1 down to 0: da = (dh[t] + s) * (1 - h[t + 1]**2); dx[t] = da @ W; dW += da.T @ x[t]; "
        "dU += da.T @ h[t]; db += da.sum(axis=0); s = da @ U. At the end s is dh0.",
    ),
    drive=drive_backward,
)
def rnn_backward(rng):
    """Back-propagation through time."""
    dh, x = np.array([[[1.0]], [[1.0]]]), np.array([[[1.0]], [[0.0]]])
    h = np.array([[[0.0]], [[0.5]], [[0.25]]])
    yield case("the worked example", dh, x, h, np.array([[2.0]]), np.array([[0.5]]))
    yield case("a single step", *_recurrence(rng, 1, 2, 3, 2))
    yield case("two steps, one sequence", *_recurrence(rng, 2, 1, 2, 2))
    yield case("five steps, three sequences", *_recurrence(rng, 5, 3, 4, 3))
    dh, *others = _recurrence(rng, 4, 2, 2, 3)
    dh[:-1] = 0
    yield case("only the last step has an output", dh, *others)


def _backward(dh, x, h, W, U, carry=1, slope=True, state=1, seen=0, last_only=False, turned=False, forwards=False,
              keep=1, carried=1, around=0):  # fmt: skip
    dx, dW, dU, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    s, T = np.zeros_like(h[0]), len(x)
    for t in range(T) if forwards else reversed(range(T)):
        da = (0 if last_only and t < T - 1 else dh[t]) + carried * s
        if slope:
            da = da * (1 - h[t + state] ** 2)
        da = da + around * s
        dW, dU, db = keep * dW + da.T @ x[t], keep * dU + da.T @ h[t + seen], keep * db + da.sum(axis=0)
        dx[t] = da @ W
        s = carry * (da @ (U.T if turned else U))
    return dx, s, dW, dU, db


@rnn_backward.mistake(
    "s is computed but not used. The state reaches the loss through the next state as well: da = (dh[t] + s) * ..."
)
def no_carry(reference, *args):
    return _backward(*args, carried=0)


@rnn_backward.mistake(
    "Nothing flows from one step to the one before it: s stays 0. At the end of each step, s = da @ U."
)
def never_set(reference, *args):
    return _backward(*args, carry=0)


@rnn_backward.mistake("The outputs of the earlier steps are forgotten: at every step dh[t] and s are added.")
def only_the_last_output(reference, *args):
    return _backward(*args, last_only=True)


@rnn_backward.mistake("The slope of tanh is missing: da = (dh[t] + s) * (1 - h[t + 1]**2).")
def no_slope(reference, *args):
    return _backward(*args, slope=False)


@rnn_backward.mistake(
    "Only dh[t] is multiplied by the slope. Both gradients pass through tanh: (dh[t] + s) * (1 - ...)."
)
def slope_of_the_output_only(reference, *args):
    return _backward(*args, carried=0, around=1)


@rnn_backward.mistake("The slope is taken at the state before the step. tanh gave h[t + 1], so it is 1 - h[t + 1]**2.")
def slope_of_the_old_state(reference, *args):
    return _backward(*args, state=0)


@rnn_backward.mistake("dU is made with the state after the step. U met the state before it: da.T @ h[t].")
def state_after_the_step(reference, *args):
    return _backward(*args, seen=1)


@rnn_backward.mistake("s = da @ U.T: going back, the matrix is the other one. Forward was h @ U.T, so back is da @ U.")
def u_not_turned(reference, *args):
    return _backward(*args, turned=True)


@rnn_backward.mistake("The steps are taken from the first to the last. The gradient comes from the end.")
def forwards(reference, *args):
    return _backward(*args, forwards=True)


@rnn_backward.mistake("dW, dU and db hold the first step only. All steps share the weights: add up with +=.")
def overwritten(reference, *args):
    return _backward(*args, keep=0)


@rnn_backward.mistake("The gradients are divided by the number of steps. The loss decides about means, not this.")
def mean_over_time(reference, dh, x, h, W, U):
    dx, dh0, dW, dU, db = reference(dh, x, h, W, U)
    return dx, dh0, dW / len(x), dU / len(x), db / len(x)


why_gradients_vanish = Written("why_gradients_vanish", points=3)


# ---- 11.8 ----


@exercise(
    reference="course_lib.rnn:stream_batches",
    points=2,
    hints=(
        "N = 2 streams of a text 0 1 2 3 ... 8: where does the second begin? And its second piece of T = 2?",
        "L = (len(indices) - 1) // N; rows = indices[: N * L].reshape(N, L). Drop what does not fill B = L // T "
        "pieces, reshape to (N, B, T), transpose to (B, T, N). For y begin one index later.",
    ),
)
def stream_batches(rng):
    """Lay a long text in streams side by side and cut these into pieces."""
    yield case("the worked example", np.arange(9), 2, 2)
    yield case("something is left over", np.arange(100, 118), 2, 3)
    yield case("a text that fills its streams exactly", np.arange(12), 3, 2)
    N, T = int(rng.integers(3, 5)), int(rng.integers(5, 7))
    yield case("a random text", rng.integers(0, 50, size=N * (3 * T + 2) + 2), N, T)


@stream_batches.mistake(
    "Stream n of a piece does not go on where stream n of the piece before ended: the state would be carried into "
    "another place of the text, as it is with shuffled batches. Cut the whole text into N streams first."
)
def not_continued(reference, indices, N, T):
    B = reference(indices, N, T)[0].shape[0]
    x, y = (indices[k : k + B * N * T].reshape(B, N, T).transpose(0, 2, 1) for k in (0, 1))
    return x, y


@stream_batches.mistake("y is x itself. The target is the token that comes next.")
def not_shifted(reference, indices, N, T):
    x, _ = reference(indices, N, T)
    return x, x


@stream_batches.mistake("y is the token before. The target is the one that comes next.")
def shifted_back(reference, indices, N, T):
    x, y = reference(indices, N, T)
    return y, x


@stream_batches.mistake("The last target of a piece is its own first token: np.roll turns around. Cut y from the text.")
def rolled(reference, indices, N, T):
    x, _ = reference(indices, N, T)
    return x, np.roll(x, -1, axis=1)


@stream_batches.mistake("The axes are (B, N, T). Time comes before the streams: (B, T, N).")
def streams_first(reference, indices, N, T):
    x, y = reference(indices, N, T)
    return x.transpose(0, 2, 1), y.transpose(0, 2, 1)


@stream_batches.mistake("Neighbouring tokens stand in different streams. A stream is a stretch of the text.")
def dealt_out(reference, indices, N, T):
    B = reference(indices, N, T)[0].shape[0]
    return tuple(indices[k : k + B * T * N].reshape(B, T, N) for k in (0, 1))


@stream_batches.mistake("reshape cannot move axes: it only cuts. Reshape to (N, B, T), then transpose to (B, T, N).")
def reshaped(reference, indices, N, T):
    x, y = reference(indices, N, T)
    return tuple(a.transpose(2, 0, 1).reshape(a.shape) for a in (x, y))


# ---- 11.9 ----


@exercise(
    reference="course_lib.rnn:clip_gradients",
    points=2,
    hints=(
        "What should stay the same about the gradient: each entry, or its direction? When is nothing to be done?",
        "norm = sqrt of the sum of the squares of all entries of all arrays; if norm > max_norm multiply every array "
        "by max_norm / norm, in a new dictionary.",
    ),
    tolerance=Tolerance(rtol=1e-5),  # PyTorch adds 1e-6 to the norm
)
def clip_gradients(rng):
    """Shorten the gradient of all parameters together; its direction stays."""
    yield case("the worked example", {"W": np.array([[3.0, 0.0]]), "b": np.array([4.0])}, 1.0)
    yield case("short enough already", {"W": np.array([[0.3, 0.0]]), "b": np.array([-0.4])}, 1.0)
    yield case("between the norm and its square", {"W": np.array([[0.6, -0.6]]), "b": np.array([0.3])}, 0.85)
    yield case("shorter than one, and still too long", {"W": np.array([[0.6, -0.2]]), "b": np.array([0.3])}, 0.5)
    grads = {"W": 3 * rng.normal(size=(3, 4)), "U": rng.normal(size=(3, 3)), "b": 0.1 * rng.normal(size=3)}
    yield case("a random gradient", grads, float(rng.uniform(1, 2)))


def _norm(grads):
    return np.sqrt(sum((g**2).sum() for g in grads.values()))


@clip_gradients.mistake("Each entry is clipped by itself. That changes the direction; shorten all by one factor.")
def each_entry(reference, grads, max_norm):
    return {name: np.clip(g, -max_norm, max_norm) for name, g in grads.items()}


@clip_gradients.mistake("The root is missing: that is the squared norm. Some lecture notes have this slip, too.")
def squared_norm(reference, grads, max_norm):
    squared = _norm(grads) ** 2
    return {name: g * (max_norm / squared if squared > max_norm else 1) for name, g in grads.items()}


@clip_gradients.mistake("Each array has its own norm here. One norm, over all arrays, keeps the direction.")
def each_array(reference, grads, max_norm):
    return {name: reference({name: g}, max_norm)[name] for name, g in grads.items()}


@clip_gradients.mistake("Short gradients are made longer. Only what is longer than max_norm is changed.")
def always_scaled(reference, grads, max_norm):
    return {name: g * max_norm / _norm(grads) for name, g in grads.items()}


@clip_gradients.mistake("The norm is the largest entry. It is the root of the sum of squares.")
def largest_entry(reference, grads, max_norm):
    largest = max(np.abs(g).max() for g in grads.values())
    return {name: g * min(1, max_norm / largest) for name, g in grads.items()}


@clip_gradients.mistake("The norms of the arrays are added. Add their squares, then take the root.")
def norms_added(reference, grads, max_norm):
    added = sum(_norm({name: g}) for name, g in grads.items())
    return {name: g * min(1, max_norm / added) for name, g in grads.items()}


@clip_gradients.mistake("Divided by the norm, but not multiplied by max_norm: the length becomes 1.")
def length_one(reference, grads, max_norm):
    norm = _norm(grads)
    return {name: g / norm if norm > max_norm else g for name, g in grads.items()}


# ---- 11.10 ----


@exercise(
    reference="course_lib.rnn:lstm_step",
    points=3,
    hints=(
        "Which of the four blocks say how much (between 0 and 1), and which one says what (between -1 and 1)?",
        "i, f, g, o = np.split(x @ W.T + h @ U.T + b, 4, axis=1). c = sigmoid(f) * c + sigmoid(i) * np.tanh(g), then "
        "h = sigmoid(o) * np.tanh(c) with the new c. Return h, c.",
    ),
)
def lstm_step(rng):
    """One step of the long short-term memory."""
    W, U = np.array([[1.0], [0.0], [2.0], [0.0]]), np.zeros((4, 1))
    b = np.array([-1.0, 2.0, 0.0, 1.0])
    yield case("the worked example", np.array([[1.0]]), np.array([[0.0]]), np.array([[1.0]]), W, U, b)
    for name, N, D, H in (("two states", 1, 2, 2), ("a batch", 3, 2, 4)):
        h, c = rng.normal(size=(2, N, H))
        yield case(name, rng.normal(size=(N, D)), h, c, *_weights(rng, D, H, 4))
    yield case("a full cell", rng.normal(size=(2, 3)), rng.normal(size=(2, 2)), rng.uniform(3, 5, size=(2, 2)),
               *_weights(rng, 3, 2, 4))  # fmt: skip


def _lstm(x, h, c, W, U, b, order="ifgo", candidate=np.tanh, out=np.tanh, old_cell=False, gate=_sigmoid):
    parts = dict(zip(order, np.split(x @ W.T + h @ U.T + b, 4, axis=1), strict=True))
    new = gate(parts["f"]) * c + gate(parts["i"]) * candidate(parts["g"])
    return gate(parts["o"]) * out(c if old_cell else new), new


@lstm_step.mistake("The gates are read in the order i, f, o, g. Here, as in PyTorch and Keras, it is i, f, g, o.")
def order_ifog(reference, *args):
    return _lstm(*args, order="ifog")


@lstm_step.mistake("The gates are read in the order f, i, g, o. Here, as in PyTorch and Keras, it is i, f, g, o.")
def order_figo(reference, *args):
    return _lstm(*args, order="figo")


@lstm_step.mistake("The gates are read in the order f, i, o, g. Here, as in PyTorch and Keras, it is i, f, g, o.")
def order_fiog(reference, *args):
    return _lstm(*args, order="fiog")


@lstm_step.mistake("The gates are read in the order i, g, f, o. Here, as in PyTorch and Keras, it is i, f, g, o.")
def order_igfo(reference, *args):
    return _lstm(*args, order="igfo")


@lstm_step.mistake("g goes through the sigmoid. It says what is written, with either sign: tanh.")
def g_by_sigmoid(reference, *args):
    return _lstm(*args, candidate=_sigmoid)


@lstm_step.mistake("tanh of the candidate g is missing: what is written is tanh(g), between -1 and 1.")
def g_as_it_is(reference, *args):
    return _lstm(*args, candidate=lambda g: g)


@lstm_step.mistake("The gates are used as they are. The sigmoid puts i, f and o between 0 and 1.")
def gates_as_they_are(reference, *args):
    return _lstm(*args, gate=lambda a: a)


@lstm_step.mistake("tanh of the cell is missing: h = sigmoid(o) * tanh(c).")
def no_tanh_of_the_cell(reference, *args):
    return _lstm(*args, out=lambda c: c)


@lstm_step.mistake("h is made of the old cell. The new one is shown.")
def old_cell(reference, *args):
    return _lstm(*args, old_cell=True)


@lstm_step.mistake("h and c are returned in the wrong order.")
def c_before_h(reference, *args):
    h, c = reference(*args)
    return c, h


@lstm_step.mistake("The forget gate is used as 1 - f. At 1 it keeps everything.")
def forgets_when_open(reference, x, h, c, W, U, b):
    i, f, g, o = np.split(x @ W.T + h @ U.T + b, 4, axis=1)
    new = (1 - _sigmoid(f)) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(new), new


# ---- 11.11 ----


@exercise(
    reference="course_lib.rnn:sample",
    points=2,
    hints=(
        "p = (0.2, 0.5, 0.3). Which index belongs to u = 0.1, which to u = 0.6, which to u = 0.9?",
        "Divide the scores by the temperature, softmax each row (subtract its maximum), np.cumsum along axis 1, and "
        "count the edges that are not above u: (edges[:, :-1] <= u[:, None]).sum(axis=1).",
    ),
)
def sample(rng):
    """Draw one index from each row of scores."""
    z = np.log([[0.2, 0.5, 0.3]] * 3)
    yield case("the worked example", z, 1.0, np.array([0.1, 0.6, 0.9]))
    yield case("hot", np.tile([[0.0, 4.0]], (2, 1)), 4.0, np.array([0.2, 0.5]))
    yield case("cold", np.tile([[0.0, 0.6]], (2, 1)), 0.2, np.array([0.2, 0.02]))
    yield case("large scores", np.array([[1000.0, 1001.0, 999.0], [-900.0, -900.5, -899.0]]), 1.0, np.array([0.5, 0.2]))
    u = (np.arange(60) + rng.uniform(0.1, 0.9, size=60)) / 60
    yield case("sixty rows, half the temperature", rng.normal(size=(60, 5)), 0.5, rng.permutation(u))
    yield case("sixty rows, twice the temperature", rng.normal(size=(60, 4)), 2.0, rng.permutation(u))


def _draw(p, u):
    return (np.cumsum(p, axis=1)[:, :-1] <= u[:, None]).sum(axis=1)


@sample.mistake("The scores are multiplied by the temperature. Divide: a high temperature makes them more equal.")
def multiplied(reference, z, temperature, u):
    return reference(z, 1 / temperature, u)


@sample.mistake(
    "The temperature has no effect. Dividing the probabilities and normalising again cancels: divide the scores."
)
def no_effect(reference, z, temperature, u):
    return reference(z, 1.0, u)


@sample.mistake("That is the most likely index, always the same. Use u to draw.")
def always_the_best(reference, z, temperature, u):
    return z.argmax(axis=1)


@sample.mistake("Softmax runs over the sequences. Each row has its own probabilities: axis=1.")
def over_the_batch(reference, z, temperature, u):
    return _draw(np.exp(_log_softmax(z / temperature, axis=0)), u)


@sample.mistake("All probabilities together sum to 1. Those of each row are to: sum(axis=1, keepdims=True).")
def one_sum_for_all(reference, z, temperature, u):
    p = np.exp((z - z.max()) / temperature)
    return _draw(p / p.sum(), u)


@sample.mistake("np.exp overflows for large scores: subtract each row's maximum first.")
def overflowing(reference, z, temperature, u):
    with np.errstate(all="ignore"):
        e = np.exp(z / temperature)
        return _draw(e / e.sum(axis=1, keepdims=True), u)


@sample.mistake("The index is one too large: count the edges that lie at or below u.")
def one_too_large(reference, z, temperature, u):
    return reference(z, temperature, u) + 1


@sample.mistake("u is compared with the probabilities themselves. Compare it with their running sums (np.cumsum).")
def no_running_sum(reference, z, temperature, u):
    p = np.exp(_log_softmax(z / temperature))
    return (p > u[:, None]).argmax(axis=1)


__dir__ = only_exercises(globals())
