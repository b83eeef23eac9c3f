"""Chapter 11: the library against torch and plain loops, the texts, and right answers of several kinds."""

import functools
import hashlib
import http.server
import math
import threading
from collections import Counter

import numpy as np
import pytest
import torch

from course_lib import datasets, explore, rnn_torch
from course_lib import rnn as library
from course_lib.conv_layer import numerical_gradient, relative_error
from course_lib.datasets import download, film_reviews, texts
from course_lib.rnn import SPECIALS

DRAWS = range(10)

# ---- text ----


def test_what_is_encoded_comes_back_with_unknown_words_marked():
    vocab = library.build_vocab(["the", "cat", "sat", "on", "the", "mat"])
    rows = library.encode([["the", "cat"], ["the", "zebra", "sat"]], vocab)
    assert [library.decode(row, vocab) for row in rows] == [["the", "cat"], ["the", "<unk>", "sat"]]


@pytest.mark.parametrize("draw", DRAWS)
def test_streams_continue_from_piece_to_piece_and_targets_follow_inputs(draw):
    rng = np.random.default_rng(draw)
    N, T = (int(n) for n in rng.integers(1, 6, size=2))
    s = np.arange(int(rng.integers(N * T + 1, 200)))
    x, y = library.stream_batches(s, N, T)
    np.testing.assert_array_equal(y, x + 1)
    streams = x.transpose(2, 0, 1).reshape(N, -1)
    np.testing.assert_array_equal(np.diff(streams, axis=1), 1)
    assert x.size > len(s) - 1 - N * T - N


def test_a_text_too_short_for_its_streams_is_refused_with_the_length_needed():
    with pytest.raises(ValueError, match="13"):
        library.stream_batches(np.arange(12), 3, 4)
    assert library.stream_batches(np.arange(13), 3, 4)[0].shape == (1, 4, 3)


def test_the_reference_text_has_no_paragraph_twice_in_two_parts():
    text = datasets.python_reference()
    parts = [{" ".join(p.split()) for p in part.split("\n\n")} - {""} for part in text[1:]]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert sum(map(len, text[1:])) == pytest.approx(373_102, abs=5)


def test_a_changed_text_is_refused(monkeypatch, tmp_path):
    changed = tmp_path / "text.txt"
    changed.write_text("something else")
    monkeypatch.setattr(texts, "FILE", changed)
    with pytest.raises(ValueError, match="has been changed"):
        datasets.python_reference()


def test_extracting_keeps_each_paragraph_once_whatever_its_indentation():
    assert texts.extract({"b": "one\n\n  two", "a": "two\n\nthree"}) == "two\n\nthree\n\none"


def test_a_gutenberg_book_loses_the_licence_around_it(tmp_path):
    book = tmp_path / "book.txt"
    book.write_bytes(b"\xef\xbb\xbflicence\r\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\r\nonce\r\n\r\nupon\r\n"
                     b"*** END OF THE PROJECT GUTENBERG EBOOK X ***\r\nmore\r\n")  # fmt: skip
    assert datasets.gutenberg(book).train == "once\n\nupon\n\n"
    book.write_text("no marks")
    with pytest.raises(ValueError, match="START OF"):
        datasets.gutenberg(book)


def test_shakespeare_is_fetched_once_from_a_server_and_dealt_out_in_three(tmp_path, monkeypatch):
    body = "\n\n".join(f"SPEAKER {k}:\n{'and so on ' * 100}" for k in range(60)).encode()
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "shakespeare.txt").write_bytes(body)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        entry = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "offline": "python_reference",
                 "urls": [f"http://127.0.0.1:{server.server_port}/shakespeare.txt"]}  # fmt: skip
        monkeypatch.setattr(download, "registry", lambda: {"shakespeare.txt": entry})
        text = datasets.shakespeare(download=True, folder=tmp_path / "cache")
        server.shutdown()
    assert "".join(text[1:]).count("SPEAKER") == 60 and all(text[1:])
    assert datasets.shakespeare(download=False, folder=tmp_path / "cache") == text


@pytest.mark.parametrize(
    ("review", "praise"),
    [
        ("the plot was not bad", 1),
        ("the plot was good but the music was dull", 0),
        ("although the plot was good , the music was dull", 0),
        ("the plot was good , although the music was dull", 1),
        ("it was late . the plot was hardly really great", 0),
        ("the plot was", None),
        ("it was late", None),
        ("the plot was good . the music was dull", None),
    ],
)
def test_the_verdict_on_a_review_is_that_of_the_main_clause(review, praise):
    assert film_reviews.verdict(review.split()) == praise


def test_reviews_are_the_same_for_a_seed_and_differ_between_the_splits():
    train, validation, test = datasets.reviews(300, 50, 50, seed=3)
    assert datasets.reviews(300, 50, 50, seed=3) == (train, validation, test)
    assert not {" ".join(w) for w in train.words} & {" ".join(w) for w in test.words}
    assert 0.35 < np.mean(train.praise) < 0.65


# ---- counting ----


@pytest.mark.parametrize("n", [1, 2, 3])
def test_ngram_probabilities_sum_to_one_and_equal_a_count_with_a_dictionary(n, rng):
    x, K, alpha = rng.integers(0, 4, size=50), 5, 0.3
    table = library.ngram_log_prob(x, n, K, alpha)
    np.testing.assert_allclose(np.exp(table).sum(axis=-1), 1)
    counts = Counter(tuple(x[k : k + n]) for k in range(len(x) - n + 1))
    contexts = Counter()
    for gram, count in counts.items():
        contexts[gram[:-1]] += count
    for gram in np.ndindex(table.shape):
        p = (counts[gram] + alpha) / (contexts[gram[:-1]] + alpha * K)
        assert math.isclose(table[gram], math.log(p))


@pytest.mark.parametrize("draw", DRAWS)
def test_perplexity_equals_torch_with_padding_left_out(draw):
    rng = np.random.default_rng(draw)
    T, N, K = (int(n) for n in rng.integers(2, 7, size=3))
    z, y = 5 * rng.normal(size=(T, N, K)), rng.integers(0, K, size=(T, N))
    y[0, 0] = 1
    loss = torch.nn.functional.cross_entropy(
        torch.from_numpy(z).flatten(0, 1), torch.from_numpy(y).flatten(), ignore_index=0
    )
    assert math.isclose(library.perplexity(z, y), math.exp(loss), rel_tol=1e-12)


# ---- steps ----


def drawn(rng, T=5, N=3, D=4, H=6, blocks=1):
    W, U, b = (rng.normal(size=s) / 2 for s in ((blocks * H, D), (blocks * H, H), (blocks * H,)))
    return rng.normal(size=(T, N, D)), rng.normal(size=(N, H)) / 2, W, U, b


@pytest.mark.parametrize("draw", DRAWS)
def test_recurrence_and_its_gradients_equal_torch(draw):
    rng = np.random.default_rng(draw)
    T, N, D, H = (int(n) for n in rng.integers(1, 7, size=4))
    x, h0, W, U, b = drawn(rng, T, N, D, H)
    dh = rng.normal(size=(T, N, H))
    net = torch.nn.RNN(D, H).double()
    tx, th = torch.tensor(x, requires_grad=True), torch.tensor(h0[None], requires_grad=True)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", W), ("weight_hh_l0", U), ("bias_ih_l0", b), ("bias_hh_l0", 0 * b)):
            getattr(net, name).copy_(torch.from_numpy(value))
    out, _ = net(tx, th)
    out.backward(torch.from_numpy(dh))
    h = library.rnn_forward(x, h0, W, U, b)
    np.testing.assert_allclose(h[1:], out.detach().numpy(), atol=1e-12)
    theirs = (tx.grad, th.grad[0], net.weight_ih_l0.grad, net.weight_hh_l0.grad, net.bias_ih_l0.grad)
    for mine, other in zip(library.rnn_backward(dh, x, h, W, U), theirs, strict=True):
        np.testing.assert_allclose(mine, other.numpy(), atol=1e-10)


def test_gradients_through_time_are_the_measured_ones(rng):
    x, h0, W, U, b = drawn(rng)
    dh = rng.normal(size=(5, 3, 6))
    grads = library.rnn_backward(dh, x, library.rnn_forward(x, h0, W, U, b), W, U)
    for place, value in enumerate((x, h0, W, U, b)):

        def loss(v, place=place):
            arguments = [x, h0, W, U, b]
            arguments[place] = v
            return (library.rnn_forward(*arguments)[1:] * dh).sum()

        assert relative_error(grads[place], numerical_gradient(loss, value)).max() < 1e-6


@pytest.mark.parametrize("draw", DRAWS)
def test_lstm_and_gru_steps_equal_torchs_cells_with_copied_weights(draw):
    rng = np.random.default_rng(draw)
    N, D, H = (int(n) for n in rng.integers(1, 7, size=3))
    x, h, c = rng.normal(size=(N, D)), rng.normal(size=(N, H)), 3 * rng.normal(size=(N, H))
    tx, th, tc = map(torch.from_numpy, (x, h, c))
    cell = torch.nn.LSTMCell(D, H).double()
    W, U, b, bU = (p.detach().numpy() for p in cell.parameters())
    for mine, other in zip(library.lstm_step(x, h, c, W, U, b + bU), cell(tx, (th, tc)), strict=True):
        np.testing.assert_allclose(mine, other.detach().numpy(), rtol=0, atol=1e-12)
    cell = torch.nn.GRUCell(D, H).double()
    W, U, b, bU = (p.detach().numpy() for p in cell.parameters())
    np.testing.assert_allclose(library.gru_step(x, h, W, U, b, bU), cell(tx, th).detach().numpy(), rtol=0, atol=1e-12)


def test_gates_do_not_overflow_far_from_zero():
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(library.sigmoid(np.array([-1e4, 0.0, 1e4])), [0, 0.5, 1])


@pytest.mark.parametrize("draw", DRAWS)
def test_clipping_equals_torch_and_keeps_the_direction(draw):
    rng = np.random.default_rng(draw)
    grads = {name: rng.normal(size=(3, 2)) * 10.0 ** rng.integers(-2, 2) for name in "ab"}
    parameters = [torch.nn.Parameter(torch.zeros(3, 2).double()) for _ in grads]
    for p, g in zip(parameters, grads.values(), strict=True):
        p.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    for mine, p in zip(library.clip_gradients(grads, 1.0).values(), parameters, strict=True):
        np.testing.assert_allclose(mine, p.grad.numpy(), rtol=1e-3)


def test_a_gradient_of_zero_stays_zero_when_clipped():
    np.testing.assert_array_equal(library.clip_gradients({"a": np.zeros(3)}, 1.0)["a"], 0)


def test_samples_have_the_frequencies_that_the_temperature_asks_for(rng):
    z, n = np.tile([1.0, 0.0, -1.0], (20_000, 1)), 20_000
    for temperature in (0.5, 1.0, 2.0):
        p = np.exp(z[0] / temperature) / np.exp(z[0] / temperature).sum()
        share = np.bincount(library.sample(z, temperature, rng.random(n)), minlength=3) / n
        np.testing.assert_allclose(share, p, atol=0.02)


# ---- training ----


def test_a_singular_value_of_an_orthogonal_matrix_is_one(rng):
    np.testing.assert_allclose(np.linalg.svd(library.orthogonal(rng, 12, np.float64))[1], 1)


def test_gradients_of_the_character_model_are_the_measured_ones(rng):
    model = library.CharRNN(5, 4, rng, dtype=np.float64)
    x, y = rng.integers(0, 5, size=(2, 6, 3))
    h0 = rng.normal(size=(3, 4))
    _, grads, _ = model.gradients(x, y, h0)
    for name, value in list(model.params.items()):

        def loss(v, name=name):
            kept, model.params[name] = model.params[name], v
            answer = model.gradients(x, y, h0)[0]
            model.params[name] = kept
            return answer

        assert relative_error(grads[name], numerical_gradient(loss, value)).max() < 1e-6


def test_reading_in_pieces_with_the_state_carried_on_equals_reading_at_once(rng):
    model = library.CharRNN(5, 8, rng, dtype=np.float64)
    x = rng.integers(0, 5, size=(7, 2))
    z, _ = model.forward(x, model.start(2))
    first, h = model.forward(x[:3], model.start(2))
    second, _ = model.forward(x[3:], h[-1])
    np.testing.assert_allclose(np.concatenate([first, second]), z, atol=1e-12)


def test_both_character_models_learn_a_text_that_repeats_itself():
    s = np.tile([4, 5, 6, 4, 7], 400)
    x, y = library.stream_batches(s, 8, 10)
    model = library.CharRNN(8, 16, np.random.default_rng(0))
    library.train_streams(model, x, y, 150, lr=1e-2)
    assert model.perplexity(s) < 1.1
    assert model.generate([4, 5], 6, 0.1, np.random.default_rng(0)) == [6, 4, 7, 4, 5, 6]
    torch.manual_seed(0)
    lstm = rnn_torch.CharLSTM(8, 8, 16)
    rnn_torch.train_chars(lstm, x, y, 150, lr=2e-2)
    assert rnn_torch.bits_per_token(lstm, s) < 0.2


def test_the_weights_of_a_torch_lstm_give_the_same_scores_step_by_step(rng):
    torch.manual_seed(0)
    model, x = rnn_torch.CharLSTM(7, 5, 6), rng.integers(0, 7, size=(9, 1))
    w, h, c = rnn_torch.weights(model), np.zeros((1, 6)), np.zeros((1, 6))
    theirs = model(torch.from_numpy(x))[0].detach().numpy()
    for t in range(9):
        h, c = library.lstm_step(w["E"][x[t]], h, c, w["W"], w["U"], w["b"])
        np.testing.assert_allclose(h @ w["V"].T + w["bz"], theirs[t], atol=1e-6)


def test_a_reader_says_the_same_however_much_padding_follows(rng):
    torch.manual_seed(0)
    model, x = rnn_torch.Reader(9), torch.from_numpy(rng.integers(1, 9, size=(6, 2)))
    longer = torch.cat([x, torch.zeros(4, 2, dtype=x.dtype)])
    torch.testing.assert_close(model(x), model(longer))


def test_a_writer_always_ends_what_it_writes(rng):
    torch.manual_seed(0)
    rows = rnn_torch.Writer(9).write(np.array([0, 1, 1]), rng, library.sample, longest=5)
    assert rows.shape == (3, 5) and ((rows == library.EOS).any(axis=1)).all()


def test_the_gate_widget_draws_with_the_learners_step(rng):
    torch.manual_seed(0)
    vocab = [*SPECIALS, *"abc"]
    widget = explore.gates(library.lstm_step, rnn_torch.weights(rnn_torch.CharLSTM(7, 4, 6)), [4, 5, 6, 4], vocab)
    before = widget.picture.value
    assert "bits for each character" in before and "no picture" not in before
    widget.controls["kept"].value = 0
    assert widget.picture.value != before


# ---- right answers ----


def vocab_by_counter(tokens, min_count=1):
    counted = Counter(tokens)
    for special in SPECIALS:
        counted.pop(special, None)
    return list(SPECIALS) + [t for t, c in sorted(sorted(counted.items()), key=lambda p: -p[1]) if c >= min_count]


def vocab_by_counting_each(tokens, min_count=1):
    kinds = sorted(set(tokens) - set(SPECIALS))
    return [*SPECIALS, *(k for k in sorted(kinds, key=tokens.count, reverse=True) if tokens.count(k) >= min_count)]


def encode_by_lists(sentences, vocab):
    rows = [[2] + [vocab.index(t) if t in vocab else 1 for t in s] + [3] for s in sentences]
    return np.array([row + [0] * (max(map(len, rows)) - len(row)) for row in rows])


def encode_by_columns(sentences, vocab):
    known = dict(zip(vocab, range(len(vocab)), strict=True))
    rows = np.zeros((len(sentences), 2 + max(len(s) for s in sentences)), dtype=int)
    rows[:, 0] = 2
    for n, s in enumerate(sentences):
        for t, token in enumerate(s):
            rows[n, t + 1] = known.get(token, 1)
        rows[n, len(s) + 1] = 3
    return rows


def decode_by_loop(row, vocab):
    tokens = []
    for k in row:
        if k == 3:
            return tokens
        if k != 0 and k != 2:
            tokens.append(vocab[k])
    return tokens


def decode_by_mask(row, vocab):
    row = np.asarray(row)
    alive = np.cumsum(row == 3) == 0
    return [vocab[k] for k in row[alive & ~np.isin(row, (0, 2))]]


def ngrams_by_loop(x, n, K, alpha):
    counts = np.full((K,) * n, float(alpha))
    for k in range(len(x) - n + 1):
        counts[tuple(x[k : k + n])] += 1
    return np.log(counts) - np.log(counts.sum(axis=-1))[..., None]


def ngrams_by_one_number(x, n, K, alpha):
    S = len(x) - n + 1
    code = sum(x[k : k + S] * K ** (n - 1 - k) for k in range(n))
    counts = np.bincount(code, minlength=K**n).reshape(-1, K)
    return np.log((counts + alpha) / (counts.sum(axis=1, keepdims=True) + alpha * K)).reshape((K,) * n)


def perplexity_by_loop(z, y, pad=0):
    total, n = 0.0, 0
    for index in np.ndindex(y.shape):
        if y[index] != pad:
            row = z[index] - z[index].max()
            total += np.log(np.exp(row).sum()) - row[y[index]]
            n += 1
    return np.exp(total / n)


def perplexity_by_one_hot(z, y, pad=0):
    flat, right = z.reshape(-1, z.shape[-1])[y.ravel() != pad], y.ravel()[y.ravel() != pad]
    log_p = flat - np.logaddexp.reduce(flat, axis=1)[:, None]
    return np.prod(np.exp(-log_p[np.arange(len(right)), right] / len(right)))


def rnn_step_by_einsum(x, h, W, U, b):
    return np.tanh(np.einsum("nd,hd->nh", x, W) + np.einsum("nk,hk->nh", h, U) + b)


def rnn_step_by_one_matrix(x, h, W, U, b):
    return np.tanh(np.hstack([x, h]) @ np.hstack([W, U]).T + b)


def backward_afterwards(dh, x, h, W, U):
    das, carried = [], 0.0
    for t in range(len(x) - 1, -1, -1):
        das.insert(0, (dh[t] + carried) * (1 - h[t + 1] ** 2))
        carried = das[0] @ U
    da = np.stack(das)
    return da @ W, carried, np.tensordot(da, x, ((0, 1), (0, 1))), np.einsum("tnh,tnk->hk", da, h[:-1]), da.sum((0, 1))


def backward_by_recursion(dh, x, h, W, U):
    if len(x) == 0:
        return np.zeros_like(x), np.zeros_like(h[0]), np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    dx, s, dW, dU, db = backward_by_recursion(dh[1:], x[1:], h[1:], W, U)
    da = (dh[0] + s) * (1 - h[1] * h[1])
    return np.concatenate([[da @ W], dx]), da @ U, dW + da.T @ x[0], dU + da.T @ h[0], db + da.sum(0)


def streams_by_loop(indices, N, T):
    L = (len(indices) - 1) // N
    x = np.zeros((L // T, T, N), dtype=int)
    y = x.copy()
    for b, t, n in np.ndindex(x.shape):
        x[b, t, n], y[b, t, n] = indices[n * L + b * T + t], indices[n * L + b * T + t + 1]
    return x, y


def streams_by_index(indices, N, T):
    L = (len(indices) - 1) // N
    at = np.arange(N) * L + (np.arange(L // T)[:, None, None] * T + np.arange(T)[:, None])
    return indices[at], indices[at + 1]


def clip_as_torch(grads, max_norm):
    norm = np.linalg.norm([np.linalg.norm(g) for g in grads.values()])
    return {name: g * min(1.0, max_norm / (norm + 1e-6)) for name, g in grads.items()}


def clip_if_needed(grads, max_norm):
    every = np.concatenate([g.ravel() for g in grads.values()])
    if np.sqrt(every @ every) <= max_norm:
        return dict(grads)
    return {name: max_norm * g / np.sqrt(every @ every) for name, g in grads.items()}


def lstm_by_slices(x, h, c, W, U, b):
    H = h.shape[1]
    a = np.hstack([x, h]) @ np.hstack([W, U]).T + b
    i, f, o = (1 / (1 + np.exp(-a[:, k * H : (k + 1) * H])) for k in (0, 1, 3))
    c = f * c + i * np.tanh(a[:, 2 * H : 3 * H])
    return o * np.tanh(c), c


def lstm_by_blocks(x, h, c, W, U, b):
    H = h.shape[1]
    i, f, g, o = (
        np.einsum("nd,khd->knh", x, W.reshape(4, H, -1))
        + np.einsum("nj,khj->knh", h, U.reshape(4, H, H))
        + b.reshape(4, 1, H)
    )
    new = c * library.sigmoid(f) + library.sigmoid(i) * np.tanh(g)
    return library.sigmoid(o) * np.tanh(new), new


def sample_by_searchsorted(z, temperature, u):
    drawn = []
    for row, number in zip(z, u, strict=True):
        p = np.exp((row - row.max()) / temperature)
        drawn.append(min(np.searchsorted(np.cumsum(p), number * p.sum(), side="right"), len(row) - 1))
    return np.array(drawn)


def sample_by_argmax(z, temperature, u):
    z = z / temperature
    p = np.exp(z - np.logaddexp.reduce(z, axis=1)[:, None])
    return (p.cumsum(axis=1) > u[:, None]).argmax(axis=1)


RIGHT = {
    "build_vocab": [vocab_by_counter, vocab_by_counting_each],
    "encode": [encode_by_lists, encode_by_columns],
    "decode": [decode_by_loop, decode_by_mask],
    "ngram_log_prob": [ngrams_by_loop, ngrams_by_one_number],
    "perplexity": [perplexity_by_loop, perplexity_by_one_hot],
    "rnn_step": [rnn_step_by_einsum, rnn_step_by_one_matrix],
    "rnn_backward": [backward_afterwards, backward_by_recursion],
    "stream_batches": [streams_by_loop, streams_by_index],
    "clip_gradients": [clip_as_torch, clip_if_needed],
    "lstm_step": [lstm_by_slices, lstm_by_blocks],
    "sample": [sample_by_searchsorted, sample_by_argmax],
}
EQUIVALENT = {
    "decode": {"(PAD, BOS)  ->  (BOS, PAD)": "membership does not depend on the order"},
    "sample": {"edges[:, :-1] <= u[:, None]  ->  edges[:, :-1] < u[:, None]": "u meets an edge with probability 0"},
}
