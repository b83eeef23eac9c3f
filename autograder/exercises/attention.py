"""Chapter 12: what is checked of the exercises on attention and the Transformer.

Cases are NumPy arrays; the drives make tensors of them. PyTorch is imported where it is used, so that a list of
exercises costs no import of it.
"""

import functools
import math

import numpy as np

from autograder.exercise import Written, case, exercise, only_exercises

# What an answer would find ready-made in PyTorch. While this chapter is graded, each of these raises the message; in a
# student's own kernel they work, and the notebook compares with them. See autograder.grading.seal.
SEALED = {
    "message": "this is what the exercise asks you to write; while it is graded, PyTorch's own is not there",
    "names": (
        "torch.nn.MultiheadAttention",
        "torch.nn.Transformer",
        "torch.nn.TransformerEncoder",
        "torch.nn.TransformerDecoder",
        "torch.nn.TransformerEncoderLayer",
        "torch.nn.TransformerDecoderLayer",
        "torch.nn.functional.multi_head_attention_forward",
        "torch.nn.functional.scaled_dot_product_attention",
        "torch.ao.nn.quantizable.MultiheadAttention",
        "torch.ao.nn.quantized.MultiheadAttention",
        "torch._higher_order_ops.flex_attention.math_attention",
        "torch._higher_order_ops.flex_attention.sdpa_dense",
    ),
    "operators": (
        "aten::scaled_dot_product_attention",
        "aten::_scaled_dot_product*",
        "aten::_native_multi_head_attention",
        "aten::_transformer_encoder_layer_fwd",
        "aten::_flash_attention_forward*",
        "aten::_efficient_attention_forward",
        "aten::_cudnn_attention_forward",
        "aten::_triton_*attention",
    ),
    "files": (
        "torch/nn/attention",
        "torch/_higher_order_ops/flex_attention.py",
        "torch/_inductor/fx_passes",
        "torch/onnx",
        "torch/testing/_internal",
    ),
}


def _tensor(value):
    import torch

    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def drive_tensors(answer, *args, **kwargs):
    """Call the answer with tensors that share their memory with the case's arrays."""
    return answer(*map(_tensor, args), **{name: _tensor(value) for name, value in kwargs.items()})


# ---- 12.1 ----


@exercise(
    reference="course_lib.attention:soft_lookup",
    points=2,
    hints=(
        "How well does the query go with key s? One number for each key: which operation makes one number of two "
        "vectors?",
        "scores = torch.stack([query @ key for key in keys]), then torch.softmax(scores, dim=0), then add up "
        "weight * value.",
    ),
    drive=drive_tensors,
)
def soft_lookup(rng):
    """Look one query up among the keys and return a mixture of their values."""
    keys = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    yield case("the worked example", np.log([2.0, 3.0]), keys, np.array([[11.0], [22.0], [0.0]]))
    yield case("one key: its value", np.array([1.0, -2.0]), np.array([[3.0, 1.0]]), np.array([[7.0, 8.0, 9.0]]))
    yield case("a key that matches much better", np.array([500.0, 0.0]), keys, rng.normal(size=(3, 2)))
    S, d, m = (int(n) for n in rng.permutation([4, 5, 6]))
    yield case("random", rng.normal(size=d), rng.normal(size=(S, d)), rng.normal(size=(S, m)))


@soft_lookup.mistake("The scores themselves are the weights. Softmax makes them positive, with the sum 1.")
def no_softmax(reference, query, keys, values):
    return keys @ query @ values


@soft_lookup.mistake("Only the best key's value comes out. That is a hard lookup; a soft one mixes all values.")
def best_only(reference, query, keys, values):
    return values[(keys @ query).argmax()]


@soft_lookup.mistake("All values count the same. A value counts as much as its key goes with the query.")
def plain_mean(reference, query, keys, values):
    return values.mean(0)


@soft_lookup.mistake("The keys are mixed, not the values. Keys say where to look; what comes out is made of values.")
def keys_mixed(reference, query, keys, values):
    return (keys @ query).softmax(0) @ keys


@soft_lookup.mistake("exp overflows for a large score. torch.softmax subtracts the maximum first; use it.")
def overflow(reference, query, keys, values):
    e = (keys @ query).exp()
    return (e[:, None] * values).sum(0) / e.sum() if len(e) < 3 or e.max() < 1e30 else values[0] * math.nan


@soft_lookup.mistake("The scores are divided by sqrt(d). That comes in the next section; here they are as they are.")
def scaled(reference, query, keys, values):
    return reference(query / math.sqrt(len(query)), keys, values)


# ---- 12.2 ----


why_sqrt_d = Written("why_sqrt_d", points=3)


def drive_attention(answer, q, k, v, mask=None):
    """Both results by name."""
    found = answer(*map(_tensor, (q, k, v))) if mask is None else answer(*map(_tensor, (q, k, v, mask)))
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise TypeError("return two things: return y, weights")
    return {"y": found[0], "weights": found[1]}


@exercise(
    reference="course_lib.attention:scaled_dot_product_attention",
    points=4,
    hints=(
        "q is (..., T, d) and k is (..., S, d). Which product gives (..., T, S), and over which of its axes must the "
        "weights of one query sum to 1?",
        "scores = q @ k.transpose(-2, -1) / math.sqrt(d); where the mask is False put -math.inf (masked_fill(~mask, "
        "-math.inf)); torch.softmax(scores, dim=-1); then weights @ v.",
    ),
    drive=drive_attention,
)
def scaled_dot_product_attention(rng):
    """Every query looks at every key: the mixture of values, and the weights."""
    k = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [1.0, 1.0, 0, 0]])
    v = np.array([[11.0], [22.0], [0.0]])
    yield case("the worked example", 2 * np.log([[2.0, 3.0, 1.0, 1.0]]), k, v)
    yield case("the worked example, last key hidden", 2 * np.log([[2.0, 3.0, 1.0, 1.0]]), k, v,
               np.array([[True, True, False]]))  # fmt: skip

    def drawn(*lead, T, S, d, m):
        return rng.normal(size=(*lead, T, d)), rng.normal(size=(*lead, S, d)), rng.normal(size=(*lead, S, m))

    yield case("two queries, three keys", *drawn(T=2, S=3, d=2, m=5))
    yield case("as many queries as keys", *drawn(T=3, S=3, d=5, m=2))
    yield case("a causal mask", *drawn(T=3, S=3, d=4, m=4), np.tril(np.ones((3, 3), bool)))
    q, k, v = drawn(2, 2, T=3, S=4, d=3, m=3)
    mask = np.arange(4) < np.array([4, 2])[:, None]
    yield case("two heads, padding at the end of the second text", q, k, v, mask[:, None, None])
    T, S, d = (int(n) for n in rng.permutation([4, 5, 6]))
    yield case("random sizes, large scores", *(z * (300, 1, 1)[n] for n, z in enumerate(drawn(2, T=T, S=S, d=d, m=3))))


def _attend(q, k, v, mask=None, dim=-1, scale=None, fill=-math.inf):
    scores = q @ k.transpose(-2, -1) / (math.sqrt(q.shape[-1]) if scale is None else scale)
    if mask is not None:
        scores = scores.masked_fill(~mask, fill)
    weights = scores.softmax(dim)
    return weights @ v, weights


@scaled_dot_product_attention.mistake(
    "The softmax runs over the queries: columns sum to 1. Each query shares its attention among the keys: dim=-1."
)
def over_queries(reference, q, k, v, mask=None):
    return _attend(q, k, v, mask, dim=-2)


@scaled_dot_product_attention.mistake("The scores are not divided by sqrt(d).")
def no_scaling(reference, q, k, v, mask=None):
    return _attend(q, k, v, mask, scale=1)


@scaled_dot_product_attention.mistake("The scores are divided by d. Their standard deviation is the square root of d.")
def divided_by_d(reference, q, k, v, mask=None):
    return _attend(q, k, v, mask, scale=q.shape[-1])


@scaled_dot_product_attention.mistake(
    "Divided by the square root of the number of keys. The dot product sums over the d numbers of a key: sqrt(d)."
)
def root_of_keys(reference, q, k, v, mask=None):
    return _attend(q, k, v, mask, scale=math.sqrt(k.shape[-2]))


@scaled_dot_product_attention.mistake(
    "The mask comes after the softmax: the weights that are left do not sum to 1. Mask the scores, with -inf."
)
def masked_after_softmax(reference, q, k, v, mask=None):
    y, weights = _attend(q, k, v)
    weights = weights if mask is None else weights * mask
    return weights @ v, weights


@scaled_dot_product_attention.mistake(
    "The mask is inverted. True means that looking is allowed: masked_fill(~mask, ...)."
)
def inverted(reference, q, k, v, mask=None):
    return _attend(q, k, v, None if mask is None else ~mask)


@scaled_dot_product_attention.mistake("Hidden scores become 0, and exp(0) = 1 still counts. Put -math.inf.")
def zero_scores(reference, q, k, v, mask=None):
    return _attend(q, k, v, mask, fill=0.0)


@scaled_dot_product_attention.mistake("The mask is not used.")
def mask_forgotten(reference, q, k, v, mask=None):
    return _attend(q, k, v)


# ---- 12.3 ----


@exercise(
    reference="course_lib.attention:causal_mask",
    points=1,
    hints=(
        "Position t may look at itself and at those before. For which s is that, written as an inequality?",
        "t = torch.arange(T); t[None, :] <= t[:, None] compares each column s with each row t.",
    ),
)
def causal_mask(rng):
    """Hide the future."""
    yield case("one position", 1)
    yield case("two positions", 2)
    yield case("three positions", 3)
    yield case("more", int(rng.integers(5, 10)))


def _compare(T, rule):
    import torch

    t = torch.arange(T)
    return rule(t[:, None], t[None, :])


@causal_mask.mistake("Transposed: each position sees itself and the future. Rows ask, columns are looked at.")
def transposed(reference, T):
    return _compare(T, lambda t, s: s >= t)


@causal_mask.mistake("A position does not see itself, and the first sees nothing. Use s <= t.")
def without_itself(reference, T):
    return _compare(T, lambda t, s: s < t)


@causal_mask.mistake("Inverted: True where looking is forbidden. Here True means allowed.")
def forbidden_is_true(reference, T):
    return _compare(T, lambda t, s: s > t)


@causal_mask.mistake("Each position sees one symbol of the future: exactly the one it is to predict.")
def leaks_one(reference, T):
    return _compare(T, lambda t, s: s <= t + 1)


@causal_mask.mistake("These are numbers to be added to the scores (0 and -inf). A boolean mask is asked for.")
def additive(reference, T):
    return _compare(T, lambda t, s: (s > t).double().masked_fill(s > t, -math.inf))


@causal_mask.mistake("Ones and zeros. A boolean mask is asked for: compare, or add .bool().")
def ones_and_zeros(reference, T):
    return _compare(T, lambda t, s: (s <= t).double())


# ---- 12.4 ----


@exercise(
    reference="course_lib.attention:padding_mask",
    points=2,
    hints=(
        "The scores have shape (N, H, T, S). Which of these axes does the padding of a source belong to, and what must "
        "the size of the others be so that the mask fits any number of heads and queries?",
        "tokens != pad is (N, S); index it with [:, None, None, :].",
    ),
    drive=drive_tensors,
)
def padding_mask(rng):
    """Hide the padding."""
    yield case("one text, no padding", np.array([[5, 3]]), 0)
    yield case("two texts, the pad that is customary", np.array([[5, 3, 7], [4, 0, 0], [1, 1, 0]]))
    yield case("another pad", np.array([[0, 4, 1, 1], [2, 3, 0, 1], [2, 0, 0, 3]]), 1)
    N, S, pad = int(rng.integers(4, 6)), int(rng.integers(6, 9)), int(rng.integers(2, 9))
    tokens = rng.integers(10, 30, size=(N, S))
    tokens[np.arange(S) >= rng.integers(1, S, size=(N, 1))] = pad
    yield case("random", tokens, pad)


@padding_mask.mistake("Inverted: True where the padding is. Here True means that looking is allowed.")
def padding_is_true(reference, tokens, pad=0):
    return ~reference(tokens, pad)


@padding_mask.mistake("Shape (N, S) is laid along (T, S) of the scores. Two axes are missing: [:, None, None, :].")
def no_axes(reference, tokens, pad=0):
    return tokens != pad


@padding_mask.mistake("The axis for the heads is missing: (N, 1, S) is laid along (H, T, S).")
def one_axis(reference, tokens, pad=0):
    return (tokens != pad)[:, None, :]


@padding_mask.mistake("The padding lies along the queries. What is hidden are keys: the last axis.")
def hides_queries(reference, tokens, pad=0):
    return (tokens != pad)[:, None, :, None]


@padding_mask.mistake("Compared with 0, whatever pad is.")
def always_zero(reference, tokens, pad=0):
    return reference(tokens, 0)


# ---- 12.5 ----


@exercise(
    reference="course_lib.attention:positional_encoding",
    points=3,
    hints=(
        "Columns 0 and 1 belong together, then 2 and 3. How many different wavelengths are there, and what is "
        "2i for each pair?",
        "t[:, None] / 10_000 ** (torch.arange(0, d, 2) / d) has shape (T, d/2). Its sine goes to P[:, 0::2], its "
        "cosine to P[:, 1::2].",
    ),
)
def positional_encoding(rng):
    """Waves from which a position can be read."""
    yield case("the worked example", 3, 4)
    yield case("one pair", 4, 2)
    yield case("many positions", int(rng.integers(150, 200)), 8)
    yield case("random", int(rng.integers(5, 12)), 2 * int(rng.integers(5, 12)))


def _waves(T, exponent, d, start=0):
    """Angles (T, columns)."""
    import torch

    return torch.arange(start, T + start).double()[:, None] / 10_000 ** exponent(torch.arange(d // 2).double())


def _interleave(a, b):
    import torch

    return torch.stack([a, b], -1).flatten(1).float()


@positional_encoding.mistake("All sines stand left and all cosines right. They take turns: P[:, 0::2] and P[:, 1::2].")
def halves(reference, T, d):
    import torch

    P = reference(T, d)
    return torch.cat([P[:, 0::2], P[:, 1::2]], 1)


@positional_encoding.mistake("Sine and cosine are exchanged. Even columns are sines: row 0 is 0, 1, 0, 1, ...")
def exchanged(reference, T, d):
    P = reference(T, d)
    return _interleave(P[:, 1::2], P[:, 0::2])


@positional_encoding.mistake(
    "The exponent is i/d. Pair i has 2i/d: with torch.arange(0, d, 2) that is written at once."
)
def half_exponent(reference, T, d):
    angle = _waves(T, lambda i: i / d, d)
    return _interleave(angle.sin(), angle.cos())


@positional_encoding.mistake("A sine and its cosine have different wavelengths. Columns 2i and 2i+1 share 2i/d.")
def no_pairs(reference, T, d):
    return _interleave(_waves(T, lambda i: 2 * i / d, d).sin(), _waves(T, lambda i: (2 * i + 1) / d, d).cos())


@positional_encoding.mistake("Positions start at 1. The first is 0.")
def from_one(reference, T, d):
    angle = _waves(T, lambda i: 2 * i / d, d, start=1)
    return _interleave(angle.sin(), angle.cos())


@positional_encoding.mistake("Multiplied by 10000^(2i/d). The waves get longer to the right: divide.")
def multiplied(reference, T, d):
    angle = _waves(T, lambda i: -2 * i / d, d)
    return _interleave(angle.sin(), angle.cos())


# ---- 12.6 ----


def _fill(module, seed):
    """Give every parameter seeded numbers, by name: whatever order they were made in."""
    import torch

    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            rng = np.random.default_rng([seed, *name.encode()])
            parameter.copy_(torch.from_numpy(0.5 * rng.normal(size=tuple(parameter.shape))))
    return module


def _as_class(make):
    """A mistake whose wrong answer is a class: built with the arguments that the drive gives."""

    @functools.wraps(make)
    def build(reference, **sizes):
        return make(reference)(**sizes)

    return build


def _built(answer, seed, sizes, expected):
    import torch

    if isinstance(answer, torch.nn.Module):
        raise TypeError("give the class itself, not an object of it")
    with torch.random.fork_rng(devices=[]):
        module = answer(**sizes).double()
    found = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    if found != expected:
        odd = sorted({name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)})
        raise ValueError(f"__init__ is written and stays as it is; these parameters differ from it: {', '.join(odd)}")
    return _fill(module, seed)


def _attention_parameters(d, prefix=""):
    shapes = {"weight": (d, d), "bias": (d,)}
    layers = ("query", "key", "value", "output")
    return {f"{prefix}{layer}.{name}": shape for layer in layers for name, shape in shapes.items()}


def drive_heads(answer, x, memory=None, mask=None, heads=1, seed=0):
    """Seeded weights, one forward: the result and the attention weights."""
    d = x.shape[-1]
    module = _built(answer, seed, {"d": d, "heads": heads}, _attention_parameters(d))
    y = module(_tensor(x), memory=_tensor(memory), mask=_tensor(mask))
    return {"y": y, "weights": module.weights}


@exercise(
    reference="course_lib.attention:MultiHeadAttention",
    points=4,
    hints=(
        "(N, T, d) must become (N, H, T, d/H), so that each head has T rows of its own numbers. Which axis is cut into "
        "two, and where does the new one have to move?",
        "z.unflatten(2, (H, -1)) is (N, T, H, d/H); .transpose(1, 2) moves the heads forward. On the way back: "
        ".transpose(1, 2).flatten(2), then self.output.",
    ),
    drive=drive_heads,
)
def MultiHeadAttention(rng):
    """Several attentions side by side."""

    def seed():
        return int(rng.integers(2**31))

    yield case("one head", rng.normal(size=(1, 2, 2)), seed=seed())
    yield case("two heads", rng.normal(size=(1, 2, 4)), heads=2, seed=seed())
    yield case("three heads, a batch", rng.normal(size=(2, 4, 6)), heads=3, seed=seed())
    yield case("two heads that look elsewhere", rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4)), heads=2,
               seed=seed())  # fmt: skip
    yield case("a causal mask", rng.normal(size=(2, 4, 4)), mask=np.tril(np.ones((4, 4), bool)), heads=2, seed=seed())
    N, T, H = (int(n) for n in rng.integers((2, 4, 2), (4, 7, 4)))
    mask = np.arange(T) < rng.integers(1, T + 1, size=(N, 1))
    yield case("padding, random sizes", rng.normal(size=(N, T, 4 * H)), mask=mask[:, None, None], heads=H, seed=seed())


def _heads_with(reference, split=None, merge=None, attend=None, swap=False, ignore=False, output=True):
    """The reference with one thing done differently."""

    class Wrong(reference):
        def forward(self, x, memory=None, mask=None):
            memory = x if memory is None or ignore else memory
            asks, looked_at = (memory, x) if swap else (x, memory)
            cut = split or (lambda z, H: z.unflatten(2, (H, -1)).transpose(1, 2))
            q, k, v = (
                cut(layer(z), self.heads)
                for layer, z in ((self.query, asks), (self.key, looked_at), (self.value, looked_at))
            )
            y, weights = (attend or _attend)(q, k, v, mask)
            self.weights = weights.detach()
            y = merge(y) if merge else y.transpose(1, 2).flatten(2)
            return self.output(y) if output else y

    return Wrong


@MultiHeadAttention.mistake(
    "The heads are cut along the wrong axis: reshaping (N, T, d) to (N, H, T, d/H) mixes positions. Cut d, then "
    "transpose."
)
@_as_class
def wrong_axis(reference):
    return _heads_with(reference, split=lambda z, H: z.reshape(len(z), H, z.shape[1], -1))


@MultiHeadAttention.mistake("Head h has every H-th column. It has d/H columns side by side: unflatten(2, (H, -1)).")
@_as_class
def every_hth(reference):
    return _heads_with(reference, split=lambda z, H: z.unflatten(2, (-1, H)).permute(0, 3, 1, 2))


@MultiHeadAttention.mistake("Put together without moving the heads back: transpose(1, 2) first, then flatten(2).")
@_as_class
def not_moved_back(reference):
    return _heads_with(reference, merge=lambda y: y.reshape(len(y), y.shape[2], -1))


@MultiHeadAttention.mistake("Scaled by sqrt(d). A head's queries have d/H numbers, and that is what counts.")
@_as_class
def scaled_by_all(reference):
    def attend(q, k, v, mask):
        return _attend(q, k, v, mask, scale=math.sqrt(q.shape[-1] * q.shape[-3]))

    return _heads_with(reference, attend=attend)


@MultiHeadAttention.mistake("The last layer, self.output, is missing: the heads stand side by side and never meet.")
@_as_class
def no_output(reference):
    return _heads_with(reference, output=False)


@MultiHeadAttention.mistake("memory asks and x is looked at. It is the other way round: queries come from x.")
@_as_class
def asks_the_wrong_way(reference):
    return _heads_with(reference, swap=True)


@MultiHeadAttention.mistake("Keys and values are made of x although there is a memory.")
@_as_class
def memory_ignored(reference):
    return _heads_with(reference, ignore=True)


@MultiHeadAttention.mistake("The mask is not handed on.")
@_as_class
def mask_dropped(reference):
    return _heads_with(reference, attend=lambda q, k, v, mask: _attend(q, k, v))


@MultiHeadAttention.mistake("The mask is inverted on its way. True means that looking is allowed.")
@_as_class
def mask_inverted(reference):
    return _heads_with(reference, attend=lambda q, k, v, mask: _attend(q, k, v, None if mask is None else ~mask))


# ---- 12.7 ----


def drive_block(answer, x, mask=None, memory=None, memory_mask=None, heads=1, hidden=3, seed=0):
    """Seeded weights, one forward."""
    d, cross = x.shape[-1], memory is not None
    norms = {"weight": (d,), "bias": (d,)}
    expected = {
        f"{norm}.{n}": s for norm in ("norm1", "norm2", "norm3")[:: 1 if cross else 2] for n, s in norms.items()
    }
    expected |= _attention_parameters(d, "look.") | (_attention_parameters(d, "look_at_memory.") if cross else {})
    expected |= {"think.0.weight": (hidden, d), "think.0.bias": (hidden,), "think.2.weight": (d, hidden)}
    expected |= {"think.2.bias": (d,)}
    sizes = {"d": d, "heads": heads, "hidden": hidden} | ({"cross": True} if cross else {})
    block = _built(answer, seed, sizes, expected)
    given = {"mask": mask, "memory": memory, "memory_mask": memory_mask}
    return block(_tensor(x), **{name: _tensor(value) for name, value in given.items()})


@exercise(
    reference="course_lib.attention:TransformerBlock",
    points=4,
    hints=(
        "There are three lines in the formula. What is added to x in each, and is it x or norm(x) that is kept?",
        "x = x + self.look(self.norm1(x), mask=mask); the same with look_at_memory, norm2 and memory if there is a "
        "memory; return x + self.think(self.norm3(x)).",
    ),
    drive=drive_block,
)
def TransformerBlock(rng):
    """Look around, look at the memory, think."""

    def seed():
        return int(rng.integers(2**31))

    yield case("one position", rng.normal(size=(1, 1, 4)), seed=seed())
    yield case("an encoder block", rng.normal(size=(2, 3, 4)), heads=2, seed=seed())
    yield case("an encoder block with padding", rng.normal(size=(2, 3, 4)),
               mask=(np.arange(3) < np.array([[3], [1]]))[:, None, None], seed=seed())  # fmt: skip
    yield case("a decoder block", rng.normal(size=(2, 3, 4)), memory=rng.normal(size=(2, 5, 4)), seed=seed())
    N, T, S = (int(n) for n in rng.permutation([2, 3, 4]))
    yield case("a decoder block with both masks", 3 * rng.normal(size=(N, T, 6)), mask=np.tril(np.ones((T, T), bool)),
               memory=rng.normal(size=(N, S, 6)), heads=3, hidden=7, seed=seed(),
               memory_mask=(np.arange(S) < rng.integers(1, S, size=(N, 1)))[:, None, None])  # fmt: skip


def _block_with(reference, forward):
    return type("Wrong", (reference,), {"forward": forward})


@TransformerBlock.mistake("Normalised after the addition (post-norm). Here the norm comes first, inside the branch.")
@_as_class
def post_norm(reference):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        x = self.norm1(x + self.look(x, mask=mask))
        if memory is not None:
            x = self.norm2(x + self.look_at_memory(x, memory, memory_mask))
        return self.norm3(x + self.think(x))

    return _block_with(reference, forward)


@TransformerBlock.mistake("The straight path is missing: each branch is added to x, it does not replace it.")
@_as_class
def no_straight_path(reference):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        x = self.look(self.norm1(x), mask=mask)
        if memory is not None:
            x = self.look_at_memory(self.norm2(x), memory, memory_mask)
        return self.think(self.norm3(x))

    return _block_with(reference, forward)


@TransformerBlock.mistake("The branch is added to norm(x). The straight path carries x itself.")
@_as_class
def normalised_path(reference):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        x = self.norm1(x)
        x = x + self.look(x, mask=mask)
        if memory is not None:
            x = self.norm2(x)
            x = x + self.look_at_memory(x, memory, memory_mask)
        x = self.norm3(x)
        return x + self.think(x)

    return _block_with(reference, forward)


@TransformerBlock.mistake("There is no normalisation: the branches see x, not norm(x).")
@_as_class
def no_norm(reference):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        x = x + self.look(x, mask=mask)
        if memory is not None:
            x = x + self.look_at_memory(x, memory, memory_mask)
        return x + self.think(x)

    return _block_with(reference, forward)


@TransformerBlock.mistake("The mask of the source is not handed on to look_at_memory.")
@_as_class
def memory_mask_forgotten(reference):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        return reference.forward(self, x, mask, memory)

    return _block_with(reference, forward)


@TransformerBlock.mistake("The mask of the target is not handed on to look.")
@_as_class
def target_mask_forgotten(reference):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        return reference.forward(self, x, None, memory, memory_mask)

    return _block_with(reference, forward)


@TransformerBlock.mistake("The memory is not used: a decoder block has a second attention, look_at_memory.")
@_as_class
def memory_not_used(reference):
    def forward(self, x, mask=None, memory=None, memory_mask=None):
        return reference.forward(self, x, mask)

    return _block_with(reference, forward)


# ---- 12.8 ----


def drive_decode(answer, table, drift, bias, bos, eos, longest, pad=0):
    """A small model in place of the Transformer: its scores depend on every symbol so far, on the row and the step."""
    table, drift, bias = map(_tensor, (table, drift, bias))

    def score(target):
        """target: (N, T);  returns: (N, T, V)"""
        return table[target] + drift[target].cumsum(1) + bias[:, : target.shape[1]]

    return answer(score, len(bias), bos, eos, longest, *([pad] if pad else []))


@exercise(
    reference="course_lib.attention:greedy_decode",
    points=4,
    hints=(
        "score(target) has shape (N, T, V). At which of the T positions stand the scores for the symbol that comes "
        "next? And what must a row get that has ended while others go on?",
        "best = score(target)[:, -1].argmax(dim=-1); torch.where(ended, pad, best); append with torch.cat(..., dim=1); "
        "ended = ended | (best == eos); stop when ended.all(). Return target[:, 1:].",
    ),
    drive=drive_decode,
)
def greedy_decode(rng):
    """Write the best symbol, give it back as input, go on."""

    def model(N, V, longest, ends, pad=0, bos=1, eos=2):
        """Seeded scores; row n ends at step ends[n] (never, if that is not below longest)."""
        table, drift = rng.normal(size=(V, V)), rng.normal(size=(V, V))
        bias = rng.normal(size=(N, longest, V))
        bias[:, :, [pad, eos]] -= 100
        for n, end in enumerate(ends):
            if end < longest:
                bias[n, end, eos] += 200
        return table, drift, bias, bos, eos, longest, pad

    yield case("one text that ends at once", *model(1, 6, 3, [0]))
    yield case("one text of two symbols", *model(1, 6, 4, [2]))
    yield case("two texts, one ends earlier", *model(2, 7, 6, [1, 3]))
    yield case("three texts, one never ends", *model(3, 8, 5, [1, 9, 2]))
    yield case("other special symbols", *model(3, 8, 7, [5, 2, 4], pad=5, bos=0, eos=3))
    yield case("a larger batch", *model(6, 12, 9, [int(n) for n in rng.integers(2, 8, size=6)]))


def _decode(score, N, bos, eos, longest, pad=0, pick=None, stop=None, fill=True, start=1):
    import torch

    target, ended = torch.full((N, 1), bos), torch.zeros(N, dtype=torch.bool)
    for _ in range(longest):
        best = pick(score(target)) if pick else score(target)[:, -1].argmax(-1)
        if fill:
            best = torch.where(ended, pad, best)
        target, ended = torch.cat([target, best[:, None]], 1), ended | (best == eos)
        if stop(ended) if stop else ended.all():
            break
    return target[:, start:]


@greedy_decode.mistake(
    "The scores of the first position are read each time. The next symbol's stand at the last: [:, -1]."
)
def first_position(reference, *arguments):
    return _decode(*arguments, pick=lambda scores: scores[:, 0].argmax(-1))


@greedy_decode.mistake("All stop when one text has ended. Go on until every text has.")
def any_ended(reference, *arguments):
    return _decode(*arguments, stop=lambda ended: ended.any())


@greedy_decode.mistake("A text that has ended is written on. After eos it gets pad.")
def written_on(reference, *arguments):
    return _decode(*arguments, fill=False)


@greedy_decode.mistake("The result begins with bos. That was only the input of the first step: target[:, 1:].")
def with_bos(reference, *arguments):
    return _decode(*arguments, start=0)


@greedy_decode.mistake("All longest steps are written. Stop as soon as every text has ended.")
def never_stops(reference, *arguments):
    return _decode(*arguments, stop=lambda ended: False)


@greedy_decode.mistake("The least probable symbol is taken: argmin for argmax.")
def least(reference, *arguments):
    return _decode(*arguments, pick=lambda scores: scores[:, -1].argmin(-1))


@greedy_decode.mistake("One symbol is taken for the whole batch. Each text has its own: argmax over the last axis.")
def one_for_all(reference, *arguments):
    return _decode(*arguments, pick=lambda scores: scores[:, -1].sum(0).argmax().expand(len(scores)))


__dir__ = only_exercises(globals())
