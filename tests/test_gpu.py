"""Chapter 05: the same results on host and device, no hidden copies, and a practice GPU that keeps CuPy's rules.

There is no GPU where these tests usually run: the C source of the max-pooling kernel is compiled for the CPU here, and
what needs CuPy and a GPU is skipped without one.
"""

import ctypes
import itertools
import json
import shutil
import subprocess

import numpy as np
import pytest
import torch

from benchmarks import gpu as benchmark
from course_lib import convolution, practice_gpu
from course_lib import gpu as library
from course_lib.practice_gpu import c_expression

DRAWS = range(15)
HAS_GPU = len(library.DEVICES) > 1


def shapes(draw):
    """Random sizes of a convolution: not square, with strides and paddings, the filter always fits."""
    rng = np.random.default_rng(draw)
    N, C, OC = (int(n) for n in rng.integers(1, 5, size=3))
    FH, FW = (int(n) for n in rng.integers(1, 5, size=2))
    H, W = (int(n) for n in rng.integers(4, 12, size=2))
    return rng, (N, C, H, W), (OC, C, FH, FW), int(rng.integers(1, 4)), int(rng.integers(0, 3))


# ---- the library ----


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_conv2d_xp_equals_torch_on_host_and_device_and_copies_nothing(draw, dtype):
    rng, x_shape, w_shape, stride, padding = shapes(draw)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in (x_shape, w_shape, w_shape[:1]))
    theirs = torch.nn.functional.conv2d(*map(torch.from_numpy, (x, w, b)), stride, padding).numpy()
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(library.conv2d_xp(x, w, b, stride, padding), theirs, rtol=0, atol=tolerance)
    on_device = [practice_gpu.asarray(a) for a in (x, w, b)]
    with practice_gpu.watch() as ledger:
        y = library.conv2d_xp(*on_device, stride, padding)
    assert (ledger.to_host, ledger.to_device) == (0, 0)
    assert isinstance(y, practice_gpu.ndarray)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.get(), theirs, rtol=0, atol=tolerance)


def test_chapter_01_cannot_convolve_on_the_device():
    d = practice_gpu.asarray(np.ones((1, 1, 4, 4)))
    with pytest.raises(TypeError, match="Implicit conversion"):
        convolution.conv2d_nchw(d, d[:, :, :2, :2])


def test_conv2d_xp_names_bad_input():
    with pytest.raises(ValueError, match="3 channels .* expect 1"):
        library.conv2d_xp(np.ones((1, 3, 4, 4)), np.ones((2, 1, 3, 3)))


@pytest.mark.parametrize("draw", DRAWS)
def test_scale_shift_leaky_equals_torch_batch_norm_and_is_one_kernel(draw):
    rng, (N, C, H, W), _, _, _ = shapes(draw)
    x, scale, shift = (rng.normal(size=s) for s in ((N, C, H, W), (C, 1, 1), (C, 1, 1)))
    flat = [torch.from_numpy(a.ravel()) for a in (scale, shift)]
    zeros, ones = torch.zeros(C, dtype=torch.float64), torch.ones(C, dtype=torch.float64)
    normed = torch.nn.functional.batch_norm(torch.from_numpy(x), zeros, ones, *flat, eps=0)
    theirs = torch.nn.functional.leaky_relu(normed, 0.1).numpy()
    np.testing.assert_allclose(library.scale_shift_leaky(x, scale, shift), theirs, atol=1e-12)
    on_device = [practice_gpu.asarray(a) for a in (x, scale, shift)]
    with practice_gpu.watch() as ledger:
        y = library.scale_shift_leaky(*on_device)
    assert ledger.kernels == 1
    np.testing.assert_allclose(y.get(), theirs, atol=1e-12)


def test_scale_shift_leaky_keeps_float32():
    x = np.ones((1, 2, 3, 3), np.float32)
    one = np.ones((2, 1, 1), np.float32)
    assert library.scale_shift_leaky(x, one, one).dtype == np.float32
    d = practice_gpu.asarray
    assert library.scale_shift_leaky(d(x), d(one), d(one)).dtype == np.float32


def max_pool_by_torch(x, K, S):
    return torch.nn.functional.max_pool2d(torch.from_numpy(x), K, S).numpy()


@pytest.mark.parametrize("draw", DRAWS)
def test_the_threads_of_the_pooling_kernel_equal_torch(draw):
    rng, x_shape, _, S, _ = shapes(draw)
    K, block_size = int(rng.integers(1, 5)), int(rng.integers(1, 40))
    x = rng.normal(size=x_shape)
    theirs = max_pool_by_torch(x, K, S)
    y = np.full(theirs.size, np.nan)
    planes, H, W = x.shape[0] * x.shape[1], *x.shape[2:]
    for block in range(-(-y.size // block_size)):
        for thread in range(block_size):
            library.pool_thread(block, thread, block_size, x.ravel(), y, planes, H, W, K, S)
    np.testing.assert_array_equal(y.reshape(theirs.shape), theirs)


@pytest.fixture(scope="module")
def compiled_max_pool(tmp_path_factory):
    """The CUDA source of the kernel, compiled for the CPU: a thread is a call, the grid a loop."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("kernel")
    kernel = library.MAX_POOL_SOURCE.replace('extern "C" __global__', "static")
    source = f"""
        #include <math.h>
        static struct {{ int x; }} blockIdx, blockDim, threadIdx;
        {kernel}
        void run(int blocks, int size, const float* x, float* y, int planes, int H, int W, int K, int S) {{
            blockDim.x = size;
            for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
                for (threadIdx.x = 0; threadIdx.x < size; threadIdx.x++) max_pool(x, y, planes, H, W, K, S);
        }}"""
    (folder / "kernel.c").write_text(source)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", folder / "kernel.so", folder / "kernel.c", "-lm"],
        check=True,
    )
    return ctypes.CDLL(str(folder / "kernel.so")).run


@pytest.mark.parametrize("draw", DRAWS)
def test_the_c_source_of_the_pooling_kernel_equals_torch(draw, compiled_max_pool):
    rng, x_shape, _, S, _ = shapes(draw)
    K, block_size = int(rng.integers(1, 5)), int(rng.integers(1, 40))
    x = rng.normal(size=x_shape).astype(np.float32)
    theirs = max_pool_by_torch(x, K, S)
    y = np.full(theirs.size + 8, np.float32(77))  # behind the end stands what must not be overwritten
    pointer = np.ctypeslib.ndpointer(np.float32)
    compiled_max_pool.argtypes = [ctypes.c_int] * 2 + [pointer] * 2 + [ctypes.c_int] * 5
    planes = x.shape[0] * x.shape[1]
    compiled_max_pool(-(-theirs.size // block_size), block_size, x.ravel(), y, planes, *x.shape[2:], K, S)
    np.testing.assert_array_equal(y[: theirs.size].reshape(theirs.shape), theirs)
    assert (y[theirs.size :] == 77).all()


@pytest.mark.skipif(not HAS_GPU, reason="no GPU")
def test_the_library_on_a_gpu_equals_the_host():
    import cupy

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 9, 7)).astype(np.float32), rng.normal(size=(4, 3, 3, 2)).astype(np.float32)
    scale, shift = rng.normal(size=(2, 3, 1, 1)).astype(np.float32)
    d, dw, dscale, dshift = map(cupy.asarray, (x, w, scale, shift))
    np.testing.assert_allclose(library.conv2d_xp(d, dw).get(), library.conv2d_xp(x, w), atol=1e-4)
    fused = library.scale_shift_leaky(d, dscale, dshift).get()
    np.testing.assert_allclose(fused, library.scale_shift_leaky(x, scale, shift), atol=1e-5)
    np.testing.assert_array_equal(library.max_pool_raw(d, 3, 2).get(), max_pool_by_torch(x, 3, 2))
    assert library.get_array_module(None, d) is cupy
    assert library.to_device(d, np).shape == x.shape


def test_schedule_has_the_times_of_the_text():
    one = library.schedule([2, 2, 2, 2], [3, 3, 3, 3], buffers=1)
    two = library.schedule([2, 2, 2, 2], [3, 3, 3, 3], buffers=2)
    assert one[-1, -1] == 20
    assert two[-1, -1] == 14
    for n, c, k in itertools.product((1, 2, 5), (1.0, 2.0, 3.5), (1.0, 2.0, 3.5)):
        assert library.schedule([c] * n, [k] * n, 2)[-1, -1] == pytest.approx(c + (n - 1) * max(c, k) + k)
        assert library.schedule([c] * n, [k] * n, 1)[-1, -1] == pytest.approx(n * (c + k))


def test_conv_roofline_has_the_numbers_of_the_text():
    layer = library.conv_roofline((64, 64, 32, 32), (64, 64, 3, 3), 4, 19.5e12, 1555e9, padding=1)
    assert layer["flops"] == 4_831_838_208
    assert layer["bytes"] == 33_701_888
    assert layer["bound"] == "compute"
    pointwise = library.conv_roofline((64, 64, 32, 32), (64, 64, 1, 1), 4, 19.5e12, 1555e9)
    assert pointwise["bound"] == "compute"  # 16 FLOP a byte, above the ridge of 12.5
    thin = library.conv_roofline((64, 16, 32, 32), (16, 16, 1, 1), 4, 19.5e12, 1555e9)
    assert thin["bound"] == "memory"


def test_measure_on_the_host_is_about_the_time_that_passes():
    times = iter(np.cumsum([0.0, 5.0, 1.0, 3.0]))
    assert library.measure(lambda: None, lambda: None, lambda: next(times), repeats=2) == pytest.approx(3.0)


def test_nothing_recorded_is_none_and_what_is_recorded_is_read(tmp_path):
    assert library.recorded(tmp_path / "gpu.json") is None
    (tmp_path / "gpu.json").write_text(json.dumps({"machine": "a GPU"}))
    assert library.recorded(tmp_path / "gpu.json") == {"machine": "a GPU"}


# ---- the practice GPU ----


@pytest.fixture
def d():
    return practice_gpu.asarray(np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (np.asarray, "Implicit conversion"),
        (lambda d: np.array([d, d]), "Implicit conversion"),
        (lambda d: np.zeros((2, 3)).__setitem__(..., d), "Implicit conversion"),
        (lambda d: np.ones(3) + d, "Unsupported type"),
        (lambda d: d + np.ones(3), "Unsupported type"),
        (lambda d: practice_gpu.concatenate([d, np.ones((2, 3))]), "Unsupported type"),
        (lambda d: range(d.sum()), "cannot be interpreted as an integer"),
        (hash, "unhashable"),
    ],
)
def test_host_and_device_do_not_mix(d, use, error):
    with practice_gpu.watch() as ledger, pytest.raises(TypeError, match=error):
        use(d)
    assert ledger.to_host == ledger.to_device == 0


def test_a_host_array_cannot_be_assigned_into_a_device_array(d):
    with pytest.raises(ValueError, match="cannot be used for fill"):
        d[0] = np.zeros(3)
    d.set(np.ones((2, 3)))
    assert d.get().sum() == 6


@pytest.mark.parametrize(
    ("use", "to_host", "to_device"),
    [
        (lambda d: d.get(), 1, 0),
        (practice_gpu.asnumpy, 1, 0),
        (lambda d: float(d.sum()), 1, 0),
        (lambda d: int(d[0, 0]), 1, 0),
        (lambda d: complex(d[0, 0]), 1, 0),
        (lambda d: bool((d > 1).any()), 1, 0),
        (lambda d: d[0, 1].item(), 1, 0),
        (lambda d: d.tolist(), 1, 0),
        (repr, 1, 0),
        (str, 1, 0),
        (lambda d: [float(v) for v in d[0]], 3, 0),
        (lambda d: d[d > 1], 1, 0),
        (lambda d: d.nonzero(), 1, 0),
        (lambda d: np.unique(d), 1, 0),
        (lambda d: d[:, [0, 2]], 0, 1),
        (lambda d: practice_gpu.array([1, 2]), 0, 1),
        (lambda d: practice_gpu.asarray(d), 0, 0),
        (lambda d: practice_gpu.zeros(3) + d[0, 0], 0, 0),
        (lambda d: practice_gpu.where(d > 0, d, 0), 0, 0),
        (lambda d: d[practice_gpu.arange(2)], 0, 0),
    ],
)
def test_copies_between_host_and_device_are_counted(d, use, to_host, to_device):
    with practice_gpu.watch() as ledger:
        use(d)
    assert (ledger.to_host, ledger.to_device) == (to_host, to_device)


@pytest.mark.parametrize(
    ("use", "kernels"),
    [
        (lambda d: d * 2 + 1, 2),
        (np.exp, 1),
        (np.sum, 1),
        (lambda d: np.pad(d, 1), 1),
        (lambda d: d @ d.T, 1),
        (lambda d: d.reshape(3, 2).T, 0),
        (lambda d: d.T.reshape(-1), 1),
        (lambda d: d[0], 0),
        (lambda d: d[0, 0], 0),
        (lambda d: d[:, ::2], 0),
        (lambda d: practice_gpu.empty((2, 2)), 0),
        (lambda d: practice_gpu.zeros((2, 2)), 1),
        (lambda d: practice_gpu.linalg.norm(d), 1),
        (lambda d: d.astype(np.float16), 1),
        (lambda d: d.__setitem__(0, 1.0), 1),
    ],
)
def test_kernels_are_counted_and_views_are_free(d, use, kernels):
    with practice_gpu.watch() as ledger:
        use(d)
    assert ledger.kernels == kernels
    assert ledger.to_host == ledger.to_device == 0


def test_a_program_on_the_device_computes_what_numpy_computes():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 3))

    def program(xp, a, b):
        y = a @ b - xp.ones((3, 1))
        y += 2.0
        y[0] = -y[1]
        y[:, 1] *= 3
        y = np.maximum(y, 0.5) / xp.linalg.norm(b)
        rows, columns = xp.split(xp.concatenate([y, y.T]), 2)
        return xp.stack([rows.cumsum(axis=0), columns.clip(0, 1)]).transpose(2, 0, 1).mean(axis=-1)

    theirs = program(practice_gpu, practice_gpu.asarray(a), practice_gpu.asarray(b))
    assert isinstance(theirs, practice_gpu.ndarray)
    np.testing.assert_allclose(theirs.get(), program(np, a, b))


def test_an_in_place_operation_returns_the_same_array(d):
    same = d
    d += 1
    assert d is same
    assert np.maximum(d, 2, out=d) is d
    assert len(list(d)) == len(d) == 2


def test_random_numbers_are_drawn_on_the_host():
    with pytest.raises(AttributeError, match="no random"):
        _ = practice_gpu.random


def test_the_stream_launches_without_waiting():
    stream = practice_gpu.Stream()
    stream.launch(1.0)
    assert stream.clock() < 0.001
    stream.launch(1.0)
    stream.synchronize()
    assert stream.clock() == pytest.approx(2.0, abs=1e-4)
    stream.launch(1.0)
    stream.copy(1000)  # a copy waits
    assert stream.clock() == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("y = x", [-2, 0, 3]),
        ("y = x > 0 ? x : 0.1f * x", [-0.2, 0, 3]),
        ("float z = x * x; y = z - 1", [3, -1, 8]),
        ("y = max(x, (T)0)", [0, 0, 3]),
        ("y = x < -1 ? -1 : x > 1 ? 1 : x", [-1, 0, 1]),
        ("y = (x > 0 ? 1 : 2) * (x < 0 ? 10 : 20)", [20, 40, 20]),
        ("y = pow(x, T(2)) + min(fabs(x), 1.5)", [5.5, 0, 10.5]),
        ("y = 1 / 2 * x", [0, 0, 0]),
        ("y = -7 / 2 + 0 * x", [-3, -3, -3]),
        ("y = 1.0 / 2 * x", [-1, 0, 1.5]),
        ("y = x != 0 && !(x > 2)", [1, 0, 0]),
        ("y = x == 0 || x >= 3", [0, 1, 1]),
        ("y = exp(-x * 0) - x", [3, 1, -2]),
        ("y = max(x > 0 ? x : -x, 1)", [2, 1, 3]),
    ],
)
def test_an_elementwise_kernel_computes_what_c_computes(source, values):
    kernel = practice_gpu.ElementwiseKernel("T x", "T y", source, "k")
    with practice_gpu.watch() as ledger:
        y = kernel(practice_gpu.ndarray(np.array([-2.0, 0.0, 3.0])))
    np.testing.assert_allclose(y.get(), values)
    assert ledger.kernels == 1


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x", "no assignment"),
        ("z = x", "never assigns its output y"),
        ("y = x +", "no expression"),
        ("y = x ? 1", "without its :"),
        ("y = sin_of(x)", "does not understand"),
        ("y = a * x", "does not know a"),
        ("y = x.real", "does not understand"),
    ],
)
def test_c_that_is_not_understood_is_named(source, says):
    with pytest.raises(ValueError, match=says):
        c_expression.compile_statements(source, ["x"], "y")(np.ones(2))


def test_an_elementwise_kernel_refuses_the_wrong_arguments(d):
    kernel = practice_gpu.ElementwiseKernel("T x, T a", "T y", "y = a * x", "k")
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        kernel(d)
    with pytest.raises(TypeError, match="Unsupported type"):
        kernel(d, np.ones(3))
    with pytest.raises(ValueError, match="one output"):
        practice_gpu.ElementwiseKernel("T x", "T y, T z", "y = x; z = x", "k")


def test_no_gpu_is_looked_for_where_cuda_is_told_to_use_none(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert practice_gpu.devices() == [practice_gpu]


def test_the_practice_gpu_keeps_the_names_of_cupy():
    cupy = pytest.importorskip("cupy")
    for name in ("ndarray", "array", "asarray", "asnumpy", "zeros", "ElementwiseKernel", "linalg"):
        assert hasattr(practice_gpu, name)
        assert hasattr(cupy, name)
    own = {name for name in vars(practice_gpu.ndarray) if not name.startswith("_")}
    methods = own | practice_gpu.arrays.METHODS
    assert methods <= set(dir(cupy.ndarray))


# ---- the benchmark ----


def test_the_benchmark_records_nothing_without_a_gpu(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(benchmark, "DEVICES", [practice_gpu])
    monkeypatch.setattr(benchmark, "RECORDED", tmp_path / "gpu.json")
    assert benchmark.main(["--record"]) == 1
    assert "no GPU" in capsys.readouterr().out
    assert not (tmp_path / "gpu.json").exists()


def test_the_benchmarks_common_parts_run_on_the_host():
    figures = benchmark.common(np, lambda: None, largest=1 << 12)
    json.dumps(figures)
    assert set(figures) == {"elementwise", "matmul", "conv"}
    assert all(point["seconds"] > 0 for point in figures["elementwise"])


def test_an_error_from_inside_the_practice_gpu_shows_the_students_line():
    from autograder.exercises import gpu as ex

    def asarray_only(x, xp):
        return xp.asarray(x)

    raised = ex.to_device.judge(asarray_only).first_failure.outcome.raised
    assert raised.kind == "TypeError"
    assert raised.line == "return xp.asarray(x)"


# ---- different right answers, for test_exercises.py ----


def module_by_loop(*arrays):
    for a in arrays:
        for module in (practice_gpu,):
            if isinstance(a, module.ndarray):
                return module
    return np


def module_by_attribute(*arrays):
    """Without isinstance: what has .get is on a device."""
    found = [a for a in arrays if hasattr(a, "get")]
    return practice_gpu if found else np


def to_device_by_cases(x, xp):
    here = module_by_loop(x)
    if here is np and xp is np or here is practice_gpu and xp is practice_gpu:
        return x
    return practice_gpu.array(x) if here is np else practice_gpu.asnumpy(x)


def to_device_by_get(x, xp):
    if isinstance(x, xp.ndarray):
        return x
    return x.get() if xp is np else xp.asarray(x)


def conv_by_windows(x, weight, bias=None, stride=1, padding=0):
    """NumPy's functions hand a device array over to the device."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("ncijpq,ocpq->noij", windows, weight)
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


def conv_by_taps(x, weight, bias=None, stride=1, padding=0):
    """A matrix product for each tap, added up."""
    xp = module_by_loop(x)
    x = xp.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    N, C, H, W = x.shape
    OC, C, FH, FW = weight.shape
    OH, OW = (H - FH) // stride + 1, (W - FW) // stride + 1
    y = xp.zeros((N, OC, OH, OW), dtype=x.dtype)
    for p in range(FH):
        for q in range(FW):
            seen = x[:, :, p : p + OH * stride : stride, q : q + OW * stride : stride]
            y += (weight[:, :, p, q] @ seen.reshape(N, C, -1)).reshape(N, OC, OH, OW)
    return y if bias is None else y + bias[:, None, None]


def count_by_stack(batches):
    xp = module_by_loop(*(scores for scores, _ in batches))
    right = [(scores.argmax(axis=1) == labels).sum() for scores, labels in batches]
    return int(xp.stack(right).sum())


def count_by_concatenation(batches):
    """NumPy hands over to the device where the arrays are there."""
    hits = np.concatenate([np.equal(np.argmax(scores, axis=1), labels) for scores, labels in batches])
    return hits.sum().item()


def measure_with_generator(function, synchronize, clock, repeats=5):
    def once():
        synchronize()
        start = clock()
        function()
        synchronize()
        return clock() - start

    function()
    return min(once() for _ in range(repeats))


def measure_with_minimum(function, synchronize, clock, repeats=5):
    function()
    synchronize()
    best = float("inf")
    for _ in range(repeats):
        before = clock()
        function()
        synchronize()
        best = min(best, clock() - before)
    return best


def leaky_by_max(x, scale, shift):
    if not isinstance(x, practice_gpu.ndarray):
        z = x * scale + shift
        return np.maximum(z, 0.1 * z).astype(x.dtype)
    source = "y = max(scale * x + shift, (T)0.1 * (scale * x + shift))"
    return practice_gpu.ElementwiseKernel("T x, T scale, T shift", "T y", source, "leaky")(x, scale, shift)


def leaky_by_two_parts(x, scale, shift):
    if not isinstance(x, practice_gpu.ndarray):
        z = x * scale + shift
        z[z < 0] *= 0.1
        return z
    source = "float z = shift + x * scale; y = min(z, (T)0) / 10 + max(z, (T)0);"
    return practice_gpu.ElementwiseKernel("T x, T scale, T shift", "T y", source)(x, scale, shift)


def thread_by_divmod(block, thread, block_size, x, y, planes, H, W, K, S):
    OH, OW = len(range(0, H - K + 1, S)), len(range(0, W - K + 1, S))
    k = thread + block_size * block
    if k < planes * OH * OW:
        row, j = divmod(k, OW)
        plane, i = divmod(row, OH)
        corner = plane * H * W + i * S * W + j * S
        y[k] = max(x[corner + p * W + q] for p in range(K) for q in range(K))


def thread_by_counting(block, thread, block_size, x, y, planes, H, W, K, S):
    places = itertools.product(range(planes), range(0, H - K + 1, S), range(0, W - K + 1, S))
    place = next(itertools.islice(places, block * block_size + thread, None), None)
    if place is None:
        return
    plane, top, left = place
    best = float("-inf")
    for p in range(top, top + K):
        for q in range(left, left + K):
            if x[plane * H * W + p * W + q] > best:
                best = x[plane * H * W + p * W + q]
    y[block * block_size + thread] = best


def schedule_by_events(copy, compute, buffers=2):
    """Four lists that grow."""
    starts, arrived, begun, ended = [], [], [], []
    for c, k in zip(copy, compute, strict=True):
        n = len(starts)
        starts.append(max([0.0, *arrived[-1:], *([ended[n - buffers]] if n >= buffers else [])]))
        arrived.append(starts[-1] + c)
        begun.append(max([arrived[-1], *ended[-1:]]))
        ended.append(begun[-1] + k)
    return np.array([starts, arrived, begun, ended]).T


def schedule_with_a_queue(copy, compute, buffers=2):
    free = [0.0] * buffers  # when each place becomes free
    bus = device = 0.0
    rows = []
    for c, k in zip(copy, compute, strict=True):
        start = max(bus, free.pop(0))
        bus = start + c
        begin = max(bus, device)
        device = begin + k
        free.append(device)
        rows.append([start, bus, begin, device])
    return np.array(rows)


def roofline_by_arrays(x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    y = torch.nn.functional.conv2d(torch.zeros(x_shape), torch.zeros(weight_shape), stride=stride, padding=padding)
    flops = 2 * y.numel() * int(np.prod(weight_shape[1:]))
    moved = itemsize * (int(np.prod(x_shape)) + int(np.prod(weight_shape)) + y.numel())
    slope = bandwidth * flops / moved
    return {
        "flops": flops,
        "bytes": moved,
        "attainable": slope if slope < peak else peak,
        "bound": "memory" if slope < peak else "compute",
    }


def roofline_by_times(x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    """Which takes longer: the arithmetic or the traffic?"""
    (N, C, H, W), (OC, _, FH, FW) = x_shape, weight_shape
    OH, OW = len(range(0, H + 2 * padding - FH + 1, stride)), len(range(0, W + 2 * padding - FW + 1, stride))
    flops = N * OC * OH * OW * C * FH * FW * 2
    moved = (N * C * H * W + OC * C * FH * FW + N * OC * OH * OW) * itemsize
    arithmetic, traffic = flops / peak, moved / bandwidth
    return {
        "bound": "compute" if arithmetic >= traffic else "memory",
        "attainable": flops / max(arithmetic, traffic),
        "bytes": moved,
        "flops": flops,
    }


RIGHT = {
    "get_array_module": [module_by_loop, module_by_attribute],
    "to_device": [to_device_by_cases, to_device_by_get],
    "conv2d_xp": [conv_by_windows, conv_by_taps],
    "count_correct": [count_by_stack, count_by_concatenation],
    "measure": [measure_with_generator, measure_with_minimum],
    "scale_shift_leaky": [leaky_by_max, leaky_by_two_parts],
    "pool_thread": [thread_by_divmod, thread_by_counting],
    "schedule": [schedule_by_events, schedule_with_a_queue],
    "conv_roofline": [roofline_by_arrays, roofline_by_times],
}
EQUIVALENT = {
    "conv2d_xp": {
        "-1  ->  -2": "reshape takes any one negative length as the unknown one",
        "2  ->  3": "a third border of zeros at the right and the bottom, which no filter position reaches",
    },
    "scale_shift_leaky": {"z > 0  ->  z >= 0": "a tenth of zero is zero"},
    "schedule": {"k > 0  ->  k >= 0": "for k = 0 the last row is read, which still holds zeros"},
    "conv_roofline": {
        "(output_size(H, FH, stride, padding), output_size(W, FW, stride, padding))  ->  "
        "(output_size(W, FW, stride, padding), output_size(H, FH, stride, padding))": "only their product is used",
        "by_memory < peak  ->  by_memory <= peak": "on the ridge both limits are the same",
    },
}
