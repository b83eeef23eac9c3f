"""Chapter 12: the library against torch with copied weights, masks by changing the future, and what is drawn."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import attention as library
from course_lib import explore
from course_lib.attention import captions, training
from course_lib.datasets import captioned_scenes
from course_lib.datasets import dates as data
from course_lib.explore.attention import table

DRAWS = range(12)


def drawn(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


# ---- attention against torch ----


def test_the_worked_example_has_the_numbers_of_the_text():
    keys, values = torch.tensor([[1.0, 0], [0, 1], [1, 1]]), torch.tensor([[11.0], [22], [0]])
    q = torch.log(torch.tensor([2.0, 3.0]))
    assert math.isclose(library.soft_lookup(q, keys, values).item(), 8, rel_tol=1e-6)
    y, weights = library.scaled_dot_product_attention(math.sqrt(2) * q[None], keys, values)
    torch.testing.assert_close(weights, torch.tensor([[2.0, 3, 6]]) / 11)
    torch.testing.assert_close(y, torch.tensor([[8.0]]))
    P = library.positional_encoding(3, 4)
    np.testing.assert_allclose(P[:, 2], np.sin([0, 0.01, 0.02]), atol=1e-7)


@pytest.mark.parametrize("draw", DRAWS)
def test_attention_equals_torch_with_and_without_a_mask(draw):
    rng = np.random.default_rng(draw)
    N, H, T, S, d, m = (int(n) for n in rng.integers(1, 6, size=6))
    q, k, v = drawn(rng, N, H, T, d), drawn(rng, N, H, S, d), drawn(rng, N, H, S, m)
    mask = torch.from_numpy(rng.random((N, 1, T, S)) < 0.6)
    mask[..., 0] = True
    for given in (None, mask):
        y, weights = library.scaled_dot_product_attention(q, k, v, given)
        theirs = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=given)
        torch.testing.assert_close(y, theirs, rtol=0, atol=1e-12)
        torch.testing.assert_close(weights.sum(-1), torch.ones(N, H, T, dtype=torch.float64))
        if given is not None:
            assert (weights[~given.expand_as(weights)] == 0).all()


@pytest.mark.parametrize("draw", DRAWS)
def test_a_soft_lookup_is_one_row_of_unscaled_attention(draw):
    rng = np.random.default_rng(draw)
    S, d, m = (int(n) for n in rng.integers(1, 7, size=3))
    q, k, v = drawn(rng, d), drawn(rng, S, d), drawn(rng, S, m)
    y, _ = library.scaled_dot_product_attention(math.sqrt(d) * q[None], k, v)
    torch.testing.assert_close(library.soft_lookup(q, k, v), y[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("shapes", "mask", "says"),
    [
        (((2, 3), (2, 4), (2, 4)), None, "queries have 3 numbers and keys 4"),
        (((2, 3), (4, 3), (5, 3)), None, "4 keys and 5 values"),
        (((2, 3), (2, 3), (2, 3)), torch.ones(2, 2), "boolean"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(shapes, mask, says):
    with pytest.raises(ValueError, match=says):
        library.scaled_dot_product_attention(*(torch.ones(shape) for shape in shapes), mask)


def test_odd_widths_and_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="even"):
        library.positional_encoding(4, 5)
    with pytest.raises(ValueError, match="divisor"):
        library.MultiHeadAttention(6, 4)


# ---- heads and blocks against torch, with its weights ----


def copy_attention(ours, theirs):
    """Torch keeps the three projections in one matrix."""
    d = ours.output.in_features
    parts = zip(
        (ours.query, ours.key, ours.value), theirs.in_proj_weight.split(d), theirs.in_proj_bias.split(d), strict=True
    )
    with torch.no_grad():
        for layer, weight, bias in parts:
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
    ours.output.load_state_dict(theirs.out_proj.state_dict())


def random_biases(module):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "bias" in name or "norm" in name:
                parameter.add_(torch.randn_like(parameter))
    return module.double().eval()


@pytest.mark.parametrize("draw", DRAWS)
def test_several_heads_equal_torch_with_copied_weights_in_both_directions(draw):
    rng = np.random.default_rng(draw)
    torch.manual_seed(draw)
    N, T, S, H = (int(n) for n in rng.integers(1, 6, size=4))
    d = H * int(rng.integers(1, 5))
    ours = library.MultiHeadAttention(d, H).double()
    theirs = random_biases(nn.MultiheadAttention(d, H, batch_first=True))
    copy_attention(ours, theirs)
    x, memory = drawn(rng, N, T, d).requires_grad_(), drawn(rng, N, S, d)
    x2 = x.detach().clone().requires_grad_()
    seen = torch.from_numpy(np.arange(S) < rng.integers(1, S + 1, size=(N, 1)))
    y = ours(x, memory, seen[:, None, None])
    expected, weights = theirs(x2, memory, memory, key_padding_mask=~seen, average_attn_weights=False)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.weights, weights.detach(), rtol=0, atol=1e-10)
    y.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(x.grad, x2.grad, rtol=0, atol=1e-9)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("cross", [False, True])
def test_a_block_equals_torchs_pre_norm_layer_with_copied_weights(draw, cross):
    rng = np.random.default_rng(draw)
    torch.manual_seed(draw)
    N, T, S, H = (int(n) for n in rng.integers(1, 6, size=4))
    d, hidden = H * int(rng.integers(2, 5)), int(rng.integers(1, 9))
    make = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    theirs = random_biases(make(d, H, hidden, dropout=0.0, batch_first=True, norm_first=True))
    ours = library.TransformerBlock(d, H, hidden, cross).double()
    copy_attention(ours.look, theirs.self_attn)
    ours.norm1.load_state_dict(theirs.norm1.state_dict())
    ours.think[0].load_state_dict(theirs.linear1.state_dict())
    ours.think[2].load_state_dict(theirs.linear2.state_dict())
    x, causal = drawn(rng, N, T, d), library.causal_mask(T)
    if cross:
        copy_attention(ours.look_at_memory, theirs.multihead_attn)
        ours.norm2.load_state_dict(theirs.norm2.state_dict())
        ours.norm3.load_state_dict(theirs.norm3.state_dict())
        memory = drawn(rng, N, S, d)
        y, expected = ours(x, causal, memory), theirs(x, memory, tgt_mask=~causal)
    else:
        ours.norm3.load_state_dict(theirs.norm2.state_dict())
        y, expected = ours(x, causal), theirs(x, src_mask=~causal)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("draw", DRAWS)
def test_layer_norm_equals_torch(draw):
    rng = np.random.default_rng(draw)
    x, gain, bias = drawn(rng, 3, 4, 6), drawn(rng, 6), drawn(rng, 6)
    theirs = nn.functional.layer_norm(x, (6,), gain, bias)
    torch.testing.assert_close(library.layer_norm(x, gain, bias), theirs, rtol=0, atol=1e-12)


# ---- masks and positions, by what they are for ----


def small_transformer(seed=0):
    torch.manual_seed(seed)
    return library.Transformer(20, d=16, heads=4, hidden=32, longest=12).double().eval()


@pytest.mark.parametrize("draw", DRAWS)
def test_changing_the_future_changes_no_score_of_the_past(draw):
    rng = np.random.default_rng(draw)
    model = small_transformer(draw)
    source, target = (torch.from_numpy(rng.integers(1, 20, size=(2, n))) for n in (7, 9))
    t = int(rng.integers(1, 9))
    changed = target.clone()
    changed[:, t:] = 1 + changed[:, t:] % 19
    before, after = model(source, target), model(source, changed)
    assert torch.equal(before[:, :t], after[:, :t])
    assert not torch.isclose(before[:, t:], after[:, t:]).all(-1).any()


@pytest.mark.parametrize("draw", DRAWS)
def test_more_padding_changes_nothing(draw):
    rng = np.random.default_rng(draw)
    source, target = (torch.from_numpy(rng.integers(1, 20, size=(2, n))) for n in (6, 5))
    longer = torch.cat([source, torch.zeros(2, 4, dtype=torch.long)], 1)
    for model in (small_transformer(draw), library.RecurrentTranslator(20, 16).double()):
        torch.testing.assert_close(model(source, target), model(longer, target), rtol=0, atol=1e-10)


@pytest.mark.parametrize("draw", DRAWS)
def test_a_block_without_positions_is_equivariant_to_permutations(draw):
    rng = np.random.default_rng(draw)
    torch.manual_seed(draw)
    block, x = library.TransformerBlock(8, 2, 16).double(), drawn(rng, 2, 6, 8)
    order = torch.from_numpy(rng.permutation(6))
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order], rtol=0, atol=1e-12)
    placed = x + library.positional_encoding(6, 8)
    moved = x[:, order] + library.positional_encoding(6, 8)
    if not torch.equal(order, torch.arange(6)):
        assert not torch.allclose(block(moved), block(placed)[:, order])


def test_a_shift_of_positions_is_the_same_turn_everywhere():
    P = library.positional_encoding(40, 12).double()
    length = 10_000 ** (torch.arange(0, 12, 2) / 12)
    c, s = torch.cos(5 / length), torch.sin(5 / length)
    for t in (0, 3, 20):
        sin, cos = P[t, 0::2], P[t, 1::2]
        torch.testing.assert_close(P[t + 5, 0::2], sin * c + cos * s, rtol=0, atol=1e-5)
        torch.testing.assert_close(P[t + 5, 1::2], cos * c - sin * s, rtol=0, atol=1e-5)


# ---- decoding ----


def table_model(seed, V=5):
    """Scores that depend on the whole beginning."""
    generator = torch.Generator().manual_seed(seed)
    table, drift = torch.randn(2, V, V, generator=generator, dtype=torch.float64).unbind()
    return lambda target: table[target] + drift[target].cumsum(1)


def every_text(score, eos, longest, V):
    """All texts that end, or are as long as allowed, with their log-probabilities: by brute force."""
    waiting, done = [((), 0.0)], []
    while waiting:
        text, p = waiting.pop()
        if text[-1:] == (eos,) or len(text) == longest:
            done.append((list(text), p))
            continue
        logs = torch.log_softmax(score(torch.tensor([[1, *text]]))[0, -1], -1)
        waiting += [((*text, k), p + logs[k].item()) for k in range(V)]
    return sorted(done, key=lambda found: -found[1])


@pytest.mark.parametrize("seed", DRAWS)
def test_a_wide_beam_finds_the_most_probable_text_of_all(seed):
    score = table_model(seed)
    best, p = every_text(score, eos=2, longest=4, V=5)[0]
    found, q = library.beam_search(score, bos=1, eos=2, longest=4, width=5**4)[0]
    assert found == best and math.isclose(p, q, rel_tol=1e-9)


@pytest.mark.parametrize("seed", DRAWS)
def test_a_beam_of_one_is_greedy(seed):
    score = table_model(seed)
    greedy = library.greedy_decode(score, 1, bos=1, eos=2, longest=6)[0].tolist()
    assert library.beam_search(score, bos=1, eos=2, longest=6, width=1)[0][0] == greedy


# ---- dates ----


def test_no_date_is_in_two_splits_in_any_format():
    found = data.dates(n_train=20_000, seed=3)
    days = [{tuple(row) for row in part.target} for part in found]
    assert len(days[1]) == 500 and len(days[2]) == 1000
    assert not (days[0] & days[1] or days[0] & days[2] or days[1] & days[2])


def test_dates_come_back_from_the_numbers_and_the_same_seed_draws_the_same():
    a, b, c = data.dates(50, 5, 5, seed=1), data.dates(50, 5, 5, seed=1), data.dates(50, 5, 5, seed=2)
    assert all(np.array_equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))
    assert not np.array_equal(a.train.target, c.train.target)
    for text in ("the 3rd of May 1987", "24. März 2011", "7.XII.1999"):
        assert data.decode(data.encode(text)) == text
    with pytest.raises(ValueError, match="is no symbol"):
        data.encode("3 mai 1987?")
    with pytest.raises(ValueError, match="leave some"):
        data.dates(10, 36_000, 600)


@pytest.mark.parametrize("k", range(len(data.FORMATS)))
def test_every_format_names_one_day_only(k):
    import datetime

    days = [data.FIRST + datetime.timedelta(n) for n in range(data.DAYS)]
    assert len({data.FORMATS[k](day) for day in days}) == data.DAYS


def test_training_lowers_the_loss_and_is_the_same_for_the_same_seed():
    pairs = data.dates(128, 5, 5).train
    runs = []
    for _ in range(2):
        model = training.date_transformer(0, d=16, heads=2, hidden=32, layers=1)
        runs.append(training.fit(model, pairs, 6, seed=0, batch_size=32, lr=5e-3))
    assert runs[0] == runs[1]
    assert runs[0][-1] < runs[0][0] - 0.5


def test_exact_match_counts_whole_texts():
    pairs = data.dates(10, 5, 8).test

    class Knows(nn.Module):
        """Writes the right target, but for the first text."""

        def encode(self, source):
            return source

        def decode(self, target, memory, source):
            row = [np.flatnonzero((pairs.source[:, : source.shape[1]] == s.numpy()).all(1))[0] for s in source]
            right = torch.from_numpy(pairs.target[row][:, target.shape[1]])
            right = torch.where(torch.tensor(row) == 0, 5, right)
            return nn.functional.one_hot(right, len(data.SYMBOLS))[:, None].float()

    assert training.exact_match(Knows(), pairs) == 7 / 8


# ---- attention in a recurrent network ----


@pytest.mark.parametrize("draw", DRAWS)
def test_additive_attention_equals_its_formula_in_loops(draw):
    rng = np.random.default_rng(draw)
    torch.manual_seed(draw)
    N, T, S, d = (int(n) for n in rng.integers(1, 5, size=4))
    layer = library.AdditiveAttention(d).double()
    q, k = drawn(rng, N, T, d), drawn(rng, N, S, d)
    seen = np.arange(S) < rng.integers(1, S + 1, size=(N, 1))
    y, weights = layer(q, k, torch.from_numpy(seen)[:, None])
    W, U, u = (part.weight.detach().numpy() for part in (layer.W, layer.U, layer.u))
    for n, t in np.ndindex(N, T):
        keys = k[n].numpy()[seen[n]]
        e = np.exp([float(u[0] @ np.tanh(W @ q[n, t].numpy() + U @ key)) for key in keys])
        np.testing.assert_allclose(weights[n, t].detach()[seen[n]], e / e.sum(), atol=1e-12)
        np.testing.assert_allclose(y[n, t].detach(), e / e.sum() @ keys, atol=1e-12)
    assert (weights.detach().numpy()[~np.broadcast_to(seen[:, None], weights.shape)] == 0).all()


@pytest.mark.parametrize("attention", [False, True])
def test_only_with_attention_a_recurrent_decoder_sees_more_than_the_last_state(attention):
    torch.manual_seed(0)
    model = library.RecurrentTranslator(20, 16, attention).double()
    rng = np.random.default_rng(0)
    source, target = (torch.from_numpy(rng.integers(1, 20, size=(2, n))) for n in (7, 5))
    memory = model.encode(source)
    other = memory.clone()
    other[:, :-1] += 1
    assert torch.equal(model.decode(target, memory, source), model.decode(target, other, source)) != attention
    changed = target.clone()
    changed[:, 3:] = 1 + changed[:, 3:] % 19
    before, after = model(source, target), model(source, changed)
    torch.testing.assert_close(before[:, :3], after[:, :3], rtol=0, atol=1e-12)
    assert not torch.isclose(before[:, 3:], after[:, 3:]).all(-1).any()


# ---- training, and looking into what was trained ----


def test_the_learning_rate_rises_in_a_line_and_falls_in_half_a_wave():
    assert [training.schedule(done) for done in (0, 0.05, 0.1, 0.55, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_teacher_forcing_predicts_each_symbol_from_the_right_ones_before_it():
    model = small_transformer()
    rng = np.random.default_rng(1)
    source, target = (torch.from_numpy(rng.integers(3, 20, size=(2, n))) for n in (6, 5))
    target[1, -1] = 0  # a shorter text: its padding does not count
    expected = []
    for n, t in np.ndindex(2, 4):
        if target[n, t + 1]:
            scores = model(source[n : n + 1], target[n : n + 1, : t + 1])[0, -1]
            expected.append(-torch.log_softmax(scores, 0)[target[n, t + 1]].item())
    assert training.teacher_forced_loss(model, source, target).item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_an_epoch_has_every_pair_once_without_needless_padding():
    pairs = data.dates(100, 5, 5).train
    found = list(training.batches(pairs, 32, np.random.default_rng(0)))
    assert [len(source) for source, _ in found] == [32, 32, 32, 4]
    assert all((source[:, -1] != data.PAD).any() for source, _ in found)
    texts = [data.decode(row) for source, _ in found for row in source.tolist()]
    assert sorted(texts) == sorted(data.decode(row) for row in pairs.source)


@pytest.mark.parametrize("kind", ["Transformer", "recurrent"])
def test_what_is_looked_at_is_what_was_looked_at_when_the_text_was_written(kind):
    make = training.date_transformer if kind == "Transformer" else training.date_recurrent
    model = make(0, d=16)
    written, weights = training.look(model, "3 May 1987")
    source = torch.from_numpy(data.source_of(["3 May 1987"]))
    assert weights.shape[2:] == (len(written), 10)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    with torch.no_grad():
        for t in (0, len(written) - 1):
            model.decode(torch.tensor([[data.BOS, *data.encode(written[:t])]]), model.encode(source), source)
            now = model.weights[None] if kind == "recurrent" else model.decoder[-1].look_at_memory.weights
            np.testing.assert_allclose(weights[-1, :, t], now[0, :, t] if now.ndim == 4 else now[:, 0, t], atol=1e-6)


def test_the_first_of_the_beams_is_at_least_as_probable_as_the_greedy_text():
    model = training.date_transformer(0, d=16, heads=2, hidden=16, layers=1)
    beams = training.beams_of(model, "3 May 1987", width=3)
    assert [p for _, p in beams] == sorted((p for _, p in beams), reverse=True)
    assert training.beams_of(model, "3 May 1987", width=1)[0][0] == training.translate_texts(model, ["3 May 1987"])[0]
    assert beams[0][1] >= training.beams_of(model, "3 May 1987", width=1)[0][1] - 1e-12


# ---- attention over the regions of an image ----


def test_a_caption_says_what_stands_in_its_image_from_left_to_right():
    found = captioned_scenes.scenes(40, seed=5)
    names, colours = zip(*captioned_scenes.COLOURS.items(), strict=True)
    for image, caption in zip(found.images, found.captions, strict=True):
        seen = []
        for left in range(0, 48, 16):
            strip = image[:, :, left : left + 16].reshape(3, -1)
            shape = strip[:, np.abs(strip - np.median(image, axis=(1, 2))[:, None]).max(0) > 0.15]
            if shape.shape[1] >= 20:  # the colour, up to its brightness, of the pixels that stand out
                pixel = np.median(shape, axis=1)
                errors = [min(np.abs(pixel - f * np.array(c)).max() for f in (0.85, 0.9, 0.95, 1)) for c in colours]
                seen.append(names[int(np.argmin(errors))])
        words = captioned_scenes.decode(caption[1:]).split()
        assert seen == [words[0], words[3]] and words[2] == ","
        assert {words[1], words[4]} <= set(captioned_scenes.SHAPES)


def test_scenes_come_back_from_their_seed_and_captions_end():
    a, b, c = (captioned_scenes.scenes(6, seed) for seed in (0, 0, 1))
    assert np.array_equal(a.images, b.images) and not np.array_equal(a.images, c.images)
    assert a.images.dtype == np.float32 and 0 <= a.images.min() and a.images.max() <= 1
    assert (a.captions[:, 0] == captioned_scenes.BOS).all() and (a.captions[:, -1] == captioned_scenes.EOS).all()


def test_the_order_of_the_regions_does_not_matter_once_they_are_memory():
    model = captions.captioner(0).eval()
    pictures = captioned_scenes.scenes(3)
    target = torch.from_numpy(pictures.captions[:, :-1])
    with torch.no_grad():
        memory = model.encode(torch.from_numpy(pictures.images))
        order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
        assert memory.shape == (3, 9, 96)
        torch.testing.assert_close(
            model.decode(target, memory[:, order], None), model.decode(target, memory, None), rtol=0, atol=1e-5
        )
        moved = model.encode(torch.from_numpy(pictures.images).roll(16, dims=3))  # where a shape stands does matter
        assert not torch.allclose(model.decode(target, moved, None), model.decode(target, memory, None), atol=1e-2)


def test_a_captioner_learns_its_pictures_and_says_where_it_looked():
    pictures = captions.scenes(16, seed=2)
    model = captions.captioner(0)
    losses = captions.fit(model, pictures, 30, seed=0)
    assert losses[-1] < losses[0] / 2
    written, weights = captions.describe(model, pictures.images)
    assert written.shape[0] == 16 and weights.shape == (*written.shape, 3, 3)
    np.testing.assert_allclose(weights.sum((2, 3)), 1, atol=1e-5)
    figure = captions.show(model, pictures, 2)
    assert len(figure.axes) == 10
    assert figure.axes[0].get_title() == captioned_scenes.decode(written[0])
    assert figure.axes[1].get_title() == f"looked for “{captioned_scenes.WORDS[written[0, 0]]}”"


def test_exact_match_of_captions_counts_whole_captions(monkeypatch):
    pictures = captions.scenes(4, seed=3)
    right = pictures.captions[:, 1:].copy()
    right[2, 4] = (right[2, 4] - 9) % 5 + 10 if right[2, 4] < 14 else 10
    monkeypatch.setattr(captions, "describe", lambda model, images: (right, None))
    assert captions.exact_match(None, pictures) == 3 / 4
    monkeypatch.setattr(captions, "describe", lambda model, images: (right[:, :5], None))
    assert captions.exact_match(None, pictures) == 0


# ---- the map of attention ----


def test_the_map_says_for_each_symbol_where_it_looked():
    page = table("a <b", "xy", np.array([[0.7, 0.2, 0.06, 0.04], [0, 0, 0, 1.0]]))
    assert "looks at a 0.70, ␣ 0.20, &lt; 0.06<" in page and "looks at b 1.00<" in page
    assert "title='x looks at &lt;: 0.06'" in page
    assert page.count("tabindex='0'") == 2 and "<b>x</b>" in page


def test_the_map_shows_the_text_the_layer_and_the_head_that_are_chosen():
    def look(text):
        weights = np.zeros((2, 3, 1, len(text)))
        for layer, head in np.ndindex(2, 3):
            weights[layer, head, 0, layer + head] = 1
        return "=", weights

    widget = explore.attention_map(look, ["abcd", "efgh"])
    controls = widget.controls
    assert [f"looks at {c}: 0.33" in widget.picture.value for c in "abcd"] == [False, True, True, True]  # the mean
    controls["head"].value = 2
    assert "looks at c 1.00<" in widget.picture.value
    controls["layer"].value = 1
    assert "looks at b 1.00<" in widget.picture.value
    controls["text"].value = "efgh"
    assert "looks at f 1.00<" in widget.picture.value


# ---- right answers of other kinds ----


def lookup_by_a_loop(query, keys, values):
    e = [math.exp(float(query @ k) - max(float(query @ j) for j in keys)) for k in keys]
    return sum(a * v for a, v in zip(e, values, strict=True)) / sum(e)


def lookup_by_a_product(query, keys, values):
    return torch.softmax(keys @ query, 0) @ values


def attention_by_einsum(q, k, v, mask=None):
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, torch.tensor(-1e30, dtype=scores.dtype))
    weights = torch.exp(scores - torch.logsumexp(scores, -1, keepdim=True))
    return torch.einsum("...ts,...sm->...tm", weights, v), weights


def attention_by_loops(q, k, v, mask=None):
    lead = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    weights = torch.zeros(*lead, q.shape[-2], k.shape[-2], dtype=q.dtype)
    allowed = torch.ones_like(weights, dtype=torch.bool) if mask is None else mask.expand_as(weights)
    for index in np.ndindex(tuple(weights.shape[:-1])):
        seen = [s for s in range(k.shape[-2]) if allowed[index][s]]
        scores = [float(q[index] @ k[index[:-1]][s]) / math.sqrt(q.shape[-1]) for s in seen]
        e = [math.exp(score - max(scores)) for score in scores]
        for s, a in zip(seen, e, strict=True):
            weights[index][s] = a / sum(e)
    return weights @ v, weights


def waves_by_loops(T, d):
    P = torch.zeros(T, d)
    for t in range(T):
        for j in range(d):
            angle = t / 10_000 ** (j // 2 * 2 / d)
            P[t, j] = math.cos(angle) if j % 2 else math.sin(angle)
    return P


def waves_in_numpy(T, d):
    angle = np.outer(np.arange(T), 1e4 ** (-np.arange(0, d, 2) / d))
    return np.stack([np.sin(angle), np.cos(angle)], -1).reshape(T, d)


class HeadsByLoop(library.MultiHeadAttention):
    def forward(self, x, memory=None, mask=None):
        memory = x if memory is None else memory
        q, k, v = self.query(x), self.key(memory), self.value(memory)
        w, parts, weights = q.shape[-1] // self.heads, [], []
        for h in range(self.heads):
            cut = slice(h * w, (h + 1) * w)
            seen = mask[:, 0] if mask is not None and mask.ndim == 4 else mask
            y, a = attention_by_einsum(q[..., cut], k[..., cut], v[..., cut], seen)
            parts.append(y)
            weights.append(a)
        self.weights = torch.stack(weights, 1)
        return self.output(torch.cat(parts, -1))


class HeadsByReshape(library.MultiHeadAttention):
    def forward(self, x, memory=None, mask=None):
        memory, (N, T, d) = x if memory is None else memory, x.shape
        cut = lambda z: z.reshape(N, -1, self.heads, d // self.heads).permute(0, 2, 1, 3)  # noqa: E731
        y, self.weights = attention_by_einsum(cut(self.query(x)), cut(self.key(memory)), cut(self.value(memory)), mask)
        return self.output(y.permute(0, 2, 1, 3).reshape(N, T, d))


class BlockByParts(library.TransformerBlock):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        a = x + self.look(self.norm1(x), None, mask)
        b = a if memory is None else a + self.look_at_memory(self.norm2(a), memory=memory, mask=memory_mask)
        n = library.layer_norm(b, self.norm3.weight, self.norm3.bias)
        return self.think[2](torch.clamp(self.think[0](n), min=0)) + b


class BlockInPlace(library.TransformerBlock):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        y = x.clone()
        y += self.look(self.norm1(y), mask=mask)
        if hasattr(self, "look_at_memory"):
            y += self.look_at_memory(self.norm2(y), memory, memory_mask)
        y += self.think(self.norm3(y))
        return y


def decode_row_by_row(score, N, bos, eos, longest, pad=0):
    rows = [[] for _ in range(N)]
    for _ in range(longest):
        if all(eos in row for row in rows):
            break
        found = score(torch.tensor([[bos, *row] for row in rows]))
        for n, row in enumerate(rows):
            row.append(pad if eos in row else int(found[n, -1].argmax()))
    return rows_as_tensor(rows)


def rows_as_tensor(rows):
    return torch.tensor(rows)


def decode_into_a_full_tensor(score, N, bos, eos, longest, pad=0):
    target = torch.full((N, longest + 1), pad)
    target[:, 0] = bos
    for t in range(longest):
        going = ~(target[:, : t + 1] == eos).any(1)
        if not going.any():
            return target[:, 1 : t + 1]
        target[going, t + 1] = score(target[:, : t + 1])[going, t].max(-1).indices
    return target[:, 1:]


RIGHT = {
    "soft_lookup": [lookup_by_a_loop, lookup_by_a_product],
    "scaled_dot_product_attention": [attention_by_einsum, attention_by_loops],
    "causal_mask": [
        lambda T: torch.ones(T, T, dtype=torch.bool).tril(),
        lambda T: torch.tensor([[s <= t for s in range(T)] for t in range(T)]),
    ],
    "padding_mask": [
        lambda tokens, pad=0: tokens.ne(pad).view(len(tokens), 1, 1, -1),
        lambda tokens, pad=0: torch.tensor([[[[int(k) != pad for k in row]]] for row in tokens]),
    ],
    "positional_encoding": [waves_by_loops, waves_in_numpy],
    "MultiHeadAttention": [HeadsByLoop, HeadsByReshape],
    "TransformerBlock": [BlockByParts, BlockInPlace],
    "greedy_decode": [decode_row_by_row, decode_into_a_full_tensor],
}
EQUIVALENT = {}
