"""While a chapter is graded, a package does not answer its exercises: by whatever name it is called."""

import pytest

from autograder.grading import grader
from autograder.grading.grader import Session
from autograder.grading.sandbox import Limits, Zygote
from autograder.notebooks import read, source_path
from course_lib.syllabus import chapter

CHAPTER = chapter("attention")
PRELOAD = ("torch", "autograder.exercises.attention")
SETUP = """
import gc, importlib, importlib.util, math, os, sys
import numpy as np
import torch, torch.nn.functional as F
from torch import nn
q = torch.randn(2, 3, 4)
four, eye = torch.zeros(4), torch.eye(4)
"""

# Each ends in an expression that would be an attention made by PyTorch.
ATTACKS = {
    "the function": "F.scaled_dot_product_attention(q, q, q)",
    "the function below it": "torch._C._nn.scaled_dot_product_attention(q, q, q)",
    "the operator": "torch.ops.aten.scaled_dot_product_attention(q, q, q)",
    "one overload of it": "torch.ops.aten.scaled_dot_product_attention.default(q, q, q)",
    "its decomposition": "torch.ops.aten.scaled_dot_product_attention.default.decompose(q, q, q)",
    "the plain kernel": "torch._scaled_dot_product_attention_math(q, q, q)",
    "the plain kernel by its key": "torch.ops.aten._scaled_dot_product_attention_math.default._op_dk("
    "torch._C.DispatchKey.CompositeImplicitAutograd, q, q, q)",
    "the fast kernel": "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q[None], q[None], q[None])",
    "the fast kernel by its key": "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default._op_dk("
    "torch._C.DispatchKey.CPU, q[None], q[None], q[None])",
    "the fast kernel from the library": "torch.library.get_kernel('aten::_scaled_dot_product_flash_attention_for_cpu', "
    "'CPU').call_boxed(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), q[None], q[None], q[None])",
    "with inference mode": "torch.inference_mode()(lambda: torch.ops.aten.scaled_dot_product_attention(+q, +q, +q))()",
    "TorchScript's table": "torch._C._jit_get_operation('aten::scaled_dot_product_attention')[0](q, q, q)",
    "one text at a time": "torch.vmap(torch.ops.aten.scaled_dot_product_attention)(q, q, q)",
    "one text at a time, the plain kernel": "torch.vmap(torch._scaled_dot_product_attention_math)(q, q, q)",
    "under a derivative": "torch.func.jacrev(lambda x: torch._C._nn.scaled_dot_product_attention(x, x, x))(q)",
    "traced": "torch.jit.trace(lambda x: torch._C._nn.scaled_dot_product_attention(x, x, x), q)",
    "a script": "torch.jit.CompilationUnit("
    "'def f(q):\\n  return torch._scaled_dot_product_attention_math(q, q, q)\\n').f(q)",
    "as a graph": "(lambda f: torch.func.functionalize(f)(q))(lambda x: "
    "torch._scaled_dot_product_attention_math(x, x, x))",
    "in half precision": "torch.autocast('cpu')(torch._C._nn.scaled_dot_product_attention)(q, q, q)",
    "nested tensors": "torch.ops.aten._scaled_dot_product_attention_math(*3 * (torch.nested.nested_tensor([q, q]),))",
    "the module": "nn.MultiheadAttention(4, 2)",
    "the module where it is written": "nn.modules.activation.MultiheadAttention(4, 2)",
    "the module's forward alone": "nn.MultiheadAttention.forward(None, q, q, q)",
    "a subclass": "type('Mine', (nn.MultiheadAttention,), {})(4, 2)",
    "the function of the module": "F.multi_head_attention_forward(q, q, q, 4, 2, torch.zeros(12, 4), "
    "torch.zeros(12), None, None, False, 0.0, eye, four)",
    "the native module": "torch._native_multi_head_attention(q, q, q, 4, 2, torch.zeros(12, 4), torch.zeros(12), "
    "eye, four)",
    "the native layer": "torch._transformer_encoder_layer_fwd(q, 4, 2, torch.zeros(12, 4), torch.zeros(12), eye, four, "
    "False, False, 1e-5, four, four, four, four, eye, four, eye, four)",
    "the layer": "nn.TransformerEncoderLayer(4, 2)",
    "the decoder layer": "nn.TransformerDecoderLayer(4, 2)",
    "the whole Transformer": "nn.Transformer(4, 2)",
    "its mask": "nn.Transformer.generate_square_subsequent_mask(3)",
    "the quantisable module": "torch.ao.nn.quantizable.MultiheadAttention(4, 2)",
    "flexible attention": "importlib.import_module('torch.nn.attention.flex_attention')",
    "patterns of the compiler": "open(os.path.join(os.path.dirname(torch.__file__), '_inductor', 'fx_passes', "
    "'fuse_attention.py')).read()[0]",
    "flexible attention's plain kernel": "sys.modules['torch._higher_order_ops.flex_attention'].math_attention("
    "q[None], q[None], q[None], lambda s, *_: s, (lambda *_: torch.ones(()).bool(),), 0.5, {})",
    "the module loaded anew": "importlib.reload(nn.modules.activation).MultiheadAttention(4, 2)",
    "the functions loaded anew": "importlib.reload(F).multi_head_attention_forward(q, q, q, 4, 2, torch.zeros(12, 4), "
    "torch.zeros(12), None, None, False, 0.0, eye, four)",
    "the module from its file": "(lambda s: (lambda m: (s.loader.exec_module(m), m.MultiheadAttention(4, 2)))("
    "importlib.util.module_from_spec(s)))(importlib.util.spec_from_file_location('torch.nn.modules.mine', "
    "nn.modules.activation.__file__))",
    "what the collector knows": "[f for f in gc.get_objects() if getattr(f, '__name__', '') == "
    "'multi_head_attention_forward' and callable(f)][0](q, q, q, 4, 2, torch.zeros(12, 4), torch.zeros(12), None, "
    "None, False, 0.0, eye, four)",
    "a registration taken back": "(torch.library.Library('aten', 'IMPL')._destroy(), [m.reset() for m in "
    "gc.get_objects() if type(m).__name__ == '_DispatchModule'], F.scaled_dot_product_attention(q, q, q))[2]",
    "the source": "open(nn.modules.activation.__file__).read()[0]",
}  # fmt: skip
# What these would load is not there at all; the others meet the message.
NOT_FOUND = {
    "flexible attention", "patterns of the compiler", "the module loaded anew", "the functions loaded anew",
    "the module from its file", "what the collector knows", "the source",
}  # fmt: skip
# These would leave the tests' own process changed, or end in an error there as well.
NOT_TRIED_UNSEALED = {
    "the module loaded anew", "the functions loaded anew", "what the collector knows", "a registration taken back",
    "the module's forward alone",
}  # fmt: skip


@pytest.fixture(scope="module")
def session():
    zygote = Zygote(CHAPTER, PRELOAD, Limits(cell=10.0))
    try:
        zygote.wait()
        with Session(zygote, zygote.limits) as session:
            assert session.run(SETUP) == ("", "")
            yield session
    finally:
        zygote.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_torchs_own_attention_does_not_answer(name, session):
    shown, failed = session.run(f"found = {ATTACKS[name]}\nprint(type(found))")
    assert "<class" not in shown
    assert ("is what the exercise asks you to write" in failed) != (name in NOT_FOUND), failed
    if name in NOT_FOUND:  # and not an error of the attack itself
        assert failed.startswith(("ModuleNotFoundError", "FileNotFoundError", "IndexError", "AttributeError")), failed


@pytest.mark.parametrize(
    "text",
    [
        "checks._attend(q, q, q)",
        "checks.scaled_dot_product_attention.mistakes[0].function(None, q, q, q)",
        "checks.TransformerBlock.draw()",
    ],
)
def test_what_makes_the_mistakes_of_the_checks_is_no_answer(text, session):
    shown, failed = session.run(f"import autograder.exercises.attention as checks\nprint(type({text}))")
    assert shown == ""
    assert "this makes the cases and the mistakes of the checks" in failed


def test_the_source_of_the_checks_cannot_be_read(session):
    text = "import autograder.exercises.attention as checks\nprint(len(open(checks.__file__).read()))"
    assert session.run(text) == ("0\n", "")


@pytest.mark.filterwarnings("ignore")
def test_nothing_is_taken_away_in_the_students_own_process():
    """There every attack succeeds: none of them fails in the sandbox for another reason than the seal."""
    names = {"__name__": "__main__"}
    exec(SETUP, names)
    for name in sorted(ATTACKS.keys() - NOT_TRIED_UNSEALED):
        exec(f"found = {ATTACKS[name]}", names)
        assert names.pop("found") is not None, name


def test_what_an_answer_may_use_works_as_ever(session):
    text = """
x = torch.randn(5, 4, requires_grad=True)
layer = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 2))
rule = torch.optim.AdamW(layer.parameters(), lr=0.1)
before = F.cross_entropy(layer(x), torch.zeros(5, dtype=torch.long))
before.backward()
rule.step()
after = F.cross_entropy(layer(x), torch.zeros(5, dtype=torch.long))
weights = torch.softmax((x @ x.T).detach().masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf), -1)
print(bool(after < before), round(float(weights.sum()), 3), nn.GRU(4, 4)(x)[0].shape)
by_sum = torch.einsum("nts,nsd->ntd", torch.softmax(torch.einsum("ntd,nsd->nts", q, q), -1), q)
by_text = torch.vmap(lambda x: torch.softmax(x @ x.mT, -1) @ x)(q)
print(torch.allclose(by_sum, by_text), torch.allclose(by_sum, torch.bmm(torch.softmax(torch.bmm(q, q.mT), -1), q)))
"""
    shown, failed = session.run(text)
    assert failed == ""
    assert shown.startswith("True 5.0")
    assert shown.endswith("True True\n")


def test_the_solutions_of_the_chapter_get_full_marks_where_torch_is_sealed():
    from autograder.grading import submission

    source = read(source_path(CHAPTER))
    steps, preload = tuple(submission.steps(source, source)), tuple(submission.preloads(source))
    try:
        record = grader.grade(grader.Job(CHAPTER.name, "student", steps, preload, b"0" * 32, Limits()))
    finally:
        grader.close()
    assert record["checks"]
    for name, judged in record["checks"].items():
        assert judged["score"] == judged["points"], (name, judged["text"])
