"""Chapter 05: what is checked of the GPU exercises.

Everything runs on a CPU: the answers get arrays of the practice GPU, which counts what they do with them.
"""

import numpy as np

from autograder.exercise import Written, case, exercise, only_exercises
from course_lib import practice_gpu

LIVES_ON = {True: "on the device", False: "on the host"}


def moved(x, where):
    """A case's array on the host or on the practice GPU; anything that is no array stays what it is."""
    return practice_gpu.asarray(x) if where == "device" and isinstance(x, np.ndarray) else x


def seen(y):
    """The values of a result wherever it lives, without a copy being counted, and where that is."""
    on_device = isinstance(y, practice_gpu.ndarray)
    return (y._memory if on_device else y), LIVES_ON[on_device]


def words(count, one, many):
    """A count as far as it matters, as the report shows it: no kernel, one kernel, several kernels."""
    return (f"no {one}", f"one {one}", f"several {many}")[min(count, 2)]


def copies(ledger):
    """Which way data were copied between host and device."""
    ways = [kind.replace("to", "to the") for kind in ("to host", "to device") if ledger.count(kind)]
    return f"copied {' and '.join(ways)}" if ways else "nothing copied"


# ---- 5.1 ----


def drive_module(answer, places):
    """Arrays at these places go in; the module that comes out is called by its name."""
    arrays = {"host": np.ones(2), "device": practice_gpu.ndarray(np.ones(2)), "number": 3.0, "None": None}
    module = answer(*(arrays[place] for place in places))
    names = {id(np): "numpy", id(practice_gpu): "practice_gpu"}
    return names.get(id(module), f"neither numpy nor practice_gpu but {module!r}")


@exercise(
    reference="course_lib.gpu:get_array_module",
    points=2,
    hints=(
        "Which arrays must you have looked at before you may say that none of them is on a device?",
        "For each module in DEVICES: if isinstance(a, module.ndarray) holds for any of the arrays, return the module. "
        "Return np when no module matched.",
    ),
    drive=drive_module,
)
def get_array_module(rng):
    """The module that computes with the given arrays."""
    yield case("one array on the host", ["host"])
    yield case("one array on the device", ["device"])
    yield case("the device's array comes second", ["host", "device"])
    yield case("the device's array comes first", ["device", "host"])
    yield case("a number and None do not count", ["None", "device", "number"])
    yield case("no array of a device", ["None", "number", "host"])
    yield case("the device's array in the middle", ["host", "device", "None"])
    yield case("five in any order", rng.permutation(["host", "device", "None", "number", "host"]).tolist())
    kinds = rng.choice(["host", "None", "number"], size=int(rng.integers(3, 7))).tolist()
    yield case("many, none of a device", [*kinds, "host"])


@get_array_module.mistake("It always answers numpy. An array of a device is an instance of that module's ndarray.")
def always_numpy(reference, *arrays):
    return np


@get_array_module.mistake("Only the first argument is looked at. One array on a device is enough, wherever it stands.")
def first_argument_only(reference, *arrays):
    return reference(arrays[0])


@get_array_module.mistake("Only the last argument decides. Return as soon as one array is found on a device.")
def last_argument_only(reference, *arrays):
    return reference(arrays[-1])


@get_array_module.mistake("All arguments must be on the device for your answer. One is enough: use any, not all.")
def all_instead_of_any(reference, *arrays):
    return np if any(reference(a) is np for a in arrays) else reference(*arrays)


# ---- 5.2 ----


def drive_to_device(answer, x, start, target):
    """Send an array from one place to another and count the copies."""
    given = moved(x, start)
    with practice_gpu.watch() as ledger:
        result = answer(given, practice_gpu if target == "device" else np)
    values, lives_on = seen(result)
    return {
        "x": values,
        "lives on": lives_on,
        "copies to the host": ledger.to_host,
        "copies to the device": ledger.to_device,
        "which array": "the array that was given" if result is given else "another array",
    }


@exercise(
    reference="course_lib.gpu:to_device",
    points=2,
    hints=(
        "There are four combinations of where x is and where it should go. In how many of them is anything copied?",
        "If get_array_module(x) is xp, return x itself. From the host, xp.asarray(x) copies to the device. From a "
        "device, x.get() copies to the host.",
    ),
    drive=drive_to_device,
)
def to_device(rng):
    """An array where it is needed, copied only if it is elsewhere."""
    yield case("host to host", rng.normal(size=(2, 3)), start="host", target="host")
    yield case("host to device", rng.normal(size=(2, 3)), start="host", target="device")
    yield case("device to device", rng.normal(size=(3, 2)), start="device", target="device")
    yield case("device to host", rng.normal(size=(3, 2)), start="device", target="host")
    yield case("bytes stay bytes", rng.integers(0, 256, size=4).astype(np.uint8), start="host", target="device")


@to_device.mistake("An array that is already in the right place is copied. Return x itself then.")
def copied_in_place(reference, x, xp):
    there = reference(x, xp)
    return there if there is not x else x.copy()


@to_device.mistake(
    "A device array goes through the host and back. Ask get_array_module(x) first whether it is already where it "
    "should be."
)
def through_the_host(reference, x, xp):
    return xp.asarray(x.get() if hasattr(x, "get") else x)


@to_device.mistake("xp.asarray alone cannot bring a device array to the host: NumPy is refused. Call x.get().")
def asarray_only(reference, x, xp):
    return xp.asarray(x)


@to_device.mistake("The array stays where it is. Copy it when get_array_module(x) is not xp.")
def never_moved(reference, x, xp):
    return x


# ---- 5.3 ----


def drive_conv(answer, x, weight, bias=None, where="host", **settings):
    """Convolve on the host or on the practice GPU and count the copies."""
    x, weight, bias = (moved(a, where) for a in (x, weight, bias))
    with practice_gpu.watch() as ledger:
        values, lives_on = seen(answer(x, weight, bias, **settings))
    return {
        "y": values,
        "lives on": lives_on,
        "copies": copies(ledger),
    }


@exercise(
    reference="course_lib.gpu:conv2d_xp",
    points=4,
    hints=(
        "Which lines of chapter 01's function make a new array instead of computing with x? On which device does that "
        "array lie?",
        "Take xp = get_array_module(x) and make the padded array and the columns with xp.zeros(..., dtype=x.dtype). "
        "Slicing, assignment, reshape and @ already stay where their arrays are. Never call .get() or float().",
    ),
    drive=drive_conv,
)
def conv2d_xp(rng):
    """A convolution that runs on the host and on a device."""

    def sizes(*shape, dtype=np.float64):
        return rng.normal(size=shape).astype(dtype)

    yield case("one image, one filter", sizes(1, 1, 3, 4), sizes(1, 1, 2, 2))
    yield case("the same on the device", sizes(1, 1, 3, 4), sizes(1, 1, 2, 2), where="device")
    yield case("two images, three channels", sizes(2, 3, 4, 5), sizes(4, 3, 3, 2), where="device")
    yield case("a bias", sizes(2, 2, 4, 3), sizes(3, 2, 2, 2), sizes(3), where="device")
    yield case(
        "stride and padding", sizes(2, 3, 6, 5), sizes(4, 3, 3, 2), sizes(4), where="device", stride=2, padding=1
    )
    yield case("stride and padding on the host", sizes(2, 3, 5, 7), sizes(2, 3, 2, 3), sizes(2), stride=2, padding=2)
    yield case("a wide border", sizes(1, 2, 3, 4), sizes(2, 2, 4, 3), where="device", padding=3)
    single = (sizes(2, 2, 5, 4, dtype=np.float32), sizes(3, 2, 2, 3, dtype=np.float32))
    yield case("float32 on the device", *single, where="device", padding=1)


@conv2d_xp.mistake(
    "The result is computed on the host: x is copied there and y back. The values are right, and the two copies may "
    "cost more than the convolution. Let every array be made by xp."
)
def computed_on_the_host(reference, x, weight, bias=None, stride=1, padding=0):
    if not hasattr(x, "get"):
        return reference(x, weight, bias, stride, padding)
    from course_lib.practice_gpu import asarray

    host_bias = None if bias is None else bias.get()
    return asarray(reference(x.get(), weight.get(), host_bias, stride, padding))


@conv2d_xp.mistake("The result is brought back to the host. Leave it where x is: the next layer needs it there.")
def brought_back(reference, x, weight, bias=None, stride=1, padding=0):
    y = reference(x, weight, bias, stride, padding)
    return y.get() if hasattr(y, "get") else y


@conv2d_xp.mistake(
    "An array that your code makes lies on the host (np.zeros, np.empty or np.full), and a device array cannot be "
    "written into it. Make it with xp."
)
def made_by_numpy(reference, x, weight, bias=None, stride=1, padding=0):
    padded = np.zeros(x.shape, dtype=x.dtype)
    padded[...] = x
    return reference(padded, weight, bias, stride, padding)


@conv2d_xp.mistake("The bias is forgotten: b[o] is added to every output of filter o.")
def bias_forgotten(reference, x, weight, bias=None, stride=1, padding=0):
    return reference(x, weight, None, stride, padding)


@conv2d_xp.mistake("The padding is ignored.")
def padding_ignored(reference, x, weight, bias=None, stride=1, padding=0):
    return reference(x, weight, bias, stride, 0)


@conv2d_xp.mistake(
    "A value is looked at, by float(), .item(), an if or a print: the host waits for the device and copies."
)
def looked_at(reference, x, weight, bias=None, stride=1, padding=0):
    y = reference(x, weight, bias, stride, padding)
    float(y[0, 0, 0, 0])
    return y


# ---- 5.4 ----


def drive_count(answer, batches, where="host"):
    """Count right answers over batches on the host or on the practice GPU."""
    batches = [(moved(scores, where), moved(labels, where)) for scores, labels in batches]
    with practice_gpu.watch() as ledger:
        values, lives_on = seen(answer(batches))
    return {
        "correct": values,
        "lives on": lives_on,
        "to the host": words(ledger.to_host, "copy to the host", "copies to the host"),
        "to the device": words(ledger.to_device, "copy to the device", "copies to the device"),
        "size of the copies": "copies of more than one number"
        if ledger.bytes("to host") > 8
        else "a copy of one number",
    }


@exercise(
    reference="course_lib.gpu:count_correct",
    points=3,
    hints=(
        "What type has (scores.argmax(axis=1) == labels).sum() on a device, and what does int() of it do there?",
        "Add the sums up as they are, arrays without axes on the device, and call int(...) once, after the loop.",
    ),
    drive=drive_count,
)
def count_correct(rng):
    """How many images of all batches are classified rightly."""

    def batch(N, classes=4):
        scores = rng.normal(size=(N, classes))
        labels = rng.integers(0, classes, size=N)
        labels[0] = scores[0].argmax()  # at least one right, and with more than one image one wrong
        if N > 1:
            labels[1] = scores[1].argmin()
        return scores, labels

    yield case("one image on the host", [batch(1)])
    yield case("one batch on the device", [batch(5)], where="device")
    yield case("three batches on the host", [batch(4), batch(4), batch(2)])
    yield case("three batches on the device", [batch(6), batch(6), batch(3)], where="device")
    yield case("ten classes", [batch(9, 10), batch(7, 10)], where="device")


@count_correct.mistake(
    "Each batch costs a copy: int(), float() or .item() inside the loop makes the host wait for the device every time. "
    "Add up on the device and copy once at the end."
)
def one_copy_a_batch(reference, batches):
    return sum(reference([batch]) for batch in batches)


@count_correct.mistake("All scores are copied to the host. Compare on the device and copy the one number.")
def scores_copied(reference, batches):
    both = [tuple(a.get() if hasattr(a, "get") else a for a in batch) for batch in batches]
    return reference(both)


@count_correct.mistake("The sum is left on the device. Return a number that the host can print: int(...), once.")
def left_on_the_device(reference, batches):
    correct = 0
    for scores, labels in batches:
        correct = correct + (scores.argmax(axis=1) == labels).sum()
    return correct


@count_correct.mistake("Only the last batch is counted.")
def last_batch_only(reference, batches):
    return reference(batches[-1:])


@count_correct.mistake("That is the accuracy, a share. The number of right answers is asked for.")
def share_instead_of_count(reference, batches):
    return reference(batches) / sum(len(labels) for scores, labels in batches)


# ---- 5.5 ----


def drive_measure(answer, kernels, waiting=0.0, **repeats):
    """Time a function whose k-th call gives the device ``kernels[k]`` seconds of work, on a clock of its own."""
    stream, calls = practice_gpu.Stream(), []
    stream.launch(waiting)

    def function():
        stream.launch(kernels[min(len(calls), len(kernels) - 1)])
        calls.append(None)

    return {"seconds": answer(function, stream.synchronize, stream.clock, **repeats), "calls": len(calls)}


@exercise(
    reference="course_lib.gpu:measure",
    points=3,
    hints=(
        "The clock runs on the host. What has the device done by the time function() returns? And what may it still be "
        "doing when you start the clock?",
        "Call function() once before. Then, for each repeat: synchronize, read the clock, call, synchronize, read the "
        "clock again. Return the smallest difference.",
    ),
    drive=drive_measure,
)
def measure(rng):
    """Seconds of the fastest run on a device that does not wait."""
    yield case("one run", kernels=[3e-3, 2e-3], repeats=1)
    yield case("the first call compiles", kernels=[0.5, 4e-3, 6e-3, 5e-3], repeats=3)
    yield case("earlier work is still going on", kernels=[2e-3, 1e-3, 3e-3], waiting=0.2, repeats=2)
    yield case("the fastest of five", kernels=[9e-3, 1e-3, 8e-3, 7e-3, 9e-3, 8e-3])
    random = rng.uniform(2e-3, 9e-3, size=5)
    yield case("random work", kernels=[0.1, 1e-3, *map(float, random)], repeats=6)


@measure.mistake(
    "The clock is stopped when the work has been launched, not when it is done. Call synchronize() before you read it."
)
def launch_only(reference, function, synchronize, clock, repeats=5):
    function()
    times = []
    for _ in range(repeats):
        synchronize()
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


@measure.mistake(
    "Nothing waits for the device: that is the time of the launch. Call synchronize() before each look at the clock, "
    "and the function once before all that."
)
def never_waits(reference, function, synchronize, clock, repeats=5):
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


@measure.mistake(
    "Work launched earlier is counted too. Call synchronize() before you start the clock as well as before you stop it."
)
def not_emptied_before(reference, function, synchronize, clock, repeats=5):
    function()
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        synchronize()
        times.append(clock() - start)
    return min(times)


@measure.mistake("The first call is missing. It compiles kernels and allocates memory: call once before you measure.")
def no_warm_up(reference, function, synchronize, clock, repeats=5):
    times = []
    for _ in range(repeats):
        synchronize()
        start = clock()
        function()
        synchronize()
        times.append(clock() - start)
    return min(times)


@measure.mistake("That is the mean of the runs. Take the fastest: the one least disturbed by anything else.")
def mean_of_runs(reference, function, synchronize, clock, repeats=5):
    function()
    times = []
    for _ in range(repeats):
        synchronize()
        start = clock()
        function()
        synchronize()
        times.append(clock() - start)
    return sum(times) / len(times)


@measure.mistake("The slowest run is returned. Take the fastest: min, not max.")
def slowest_run(reference, function, synchronize, clock, repeats=5):
    function()
    times = []
    for _ in range(repeats):
        synchronize()
        start = clock()
        function()
        synchronize()
        times.append(clock() - start)
    return max(times)


# ---- 5.6 ----


def drive_fused(answer, x, scale, shift, where="host"):
    """Run an elementwise function and count its kernels."""
    arguments = [moved(a, where) for a in (x, scale, shift)]
    with practice_gpu.watch() as ledger:
        values, lives_on = seen(answer(*arguments))
    return {
        "y": values,
        "lives on": lives_on,
        "kernels": words(ledger.kernels, "kernel", "kernels"),
        "copies": copies(ledger),
    }


@exercise(
    reference="course_lib.gpu:scale_shift_leaky",
    points=3,
    hints=(
        "How many arrays as large as x do the lines of the NumPy version make, one after the other? Which of them are "
        "needed again later?",
        'In C: "T z = scale * x + shift; y = z > 0 ? z : (T)0.1 * z". Give it to xp.ElementwiseKernel with the inputs '
        '"T x, T scale, T shift" and the output "T y", and call the kernel with the three arrays.',
    ),
    drive=drive_fused,
)
def scale_shift_leaky(rng):
    """Scale, shift and leaky ReLU: one kernel on a device, NumPy on the host."""

    def arguments(N, C, H, W, dtype=np.float64):
        shapes = ((N, C, H, W), (C, 1, 1), (C, 1, 1))
        return [rng.normal(size=shape).astype(dtype) for shape in shapes]

    numbers = [np.array([[[[-2.0, -1.0, 0.0, 1.0]]]]), np.array([[[2.0]]]), np.array([[[1.0]]])]
    yield case("four numbers on the host", *numbers)
    yield case("the same on the device", *numbers, where="device")
    yield case("a batch on the host", *arguments(2, 3, 4, 5))
    yield case("a batch on the device", *arguments(2, 3, 4, 5), where="device")
    yield case("float32 on the device", *arguments(3, 2, 2, 3, np.float32), where="device")


@scale_shift_leaky.mistake(
    "The values are right, but on the device each operation is a kernel of its own, and each reads and writes whole "
    "arrays. Put them into one ElementwiseKernel."
)
def one_kernel_an_operation(reference, x, scale, shift):
    z = scale * x + shift
    return (z > 0) * z + (z <= 0) * z * 0.1


@scale_shift_leaky.mistake("In C, 1/10 is a quotient of integers and so 0. Write 0.1 or (T)0.1.")
def integers_in_c(reference, x, scale, shift):
    if not hasattr(x, "get"):
        return reference(x, scale, shift)
    from course_lib.practice_gpu import ElementwiseKernel

    source = "T z = scale * x + shift; y = z > 0 ? z : 1 / 10 * z"
    return ElementwiseKernel("T x, T scale, T shift", "T y", source, "wrong")(x, scale, shift)


@scale_shift_leaky.mistake("Negative values become 0: that is ReLU. The leaky one keeps a tenth of them.")
def relu_instead(reference, x, scale, shift):
    y = reference(x, scale, shift)
    if not hasattr(x, "get"):
        return np.maximum(y, 0)
    from course_lib.practice_gpu import ElementwiseKernel

    source = "T z = scale * x + shift; y = max(z, (T)0)"
    with_zeros = ElementwiseKernel("T x, T scale, T shift", "T y", source, "wrong")
    return with_zeros(x, scale, shift)


@scale_shift_leaky.mistake("x is tested for its sign instead of z. The scale and the shift come first.")
def sign_of_x(reference, x, scale, shift):
    if not hasattr(x, "get"):
        z = scale * x + shift
        return np.where(x > 0, z, 0.1 * z)
    from course_lib.practice_gpu import ElementwiseKernel

    source = "T z = scale * x + shift; y = x > 0 ? z : (T)0.1 * z"
    return ElementwiseKernel("T x, T scale, T shift", "T y", source, "wrong")(x, scale, shift)


@scale_shift_leaky.mistake("The scale and the shift are exchanged: z = scale * x + shift.")
def scale_and_shift_exchanged(reference, x, scale, shift):
    return reference(x, shift, scale)


@scale_shift_leaky.mistake("The device's array is copied to the host and back. Let the kernel read it where it is.")
def fused_on_the_host(reference, x, scale, shift):
    if not hasattr(x, "get"):
        return reference(x, scale, shift)
    from course_lib.practice_gpu import asarray

    return asarray(reference(x.get(), scale.get(), shift.get()))


# ---- 5.7 ----


class _Memory:
    """Flat memory in which every access is checked and every write remembered: what a real GPU does not do."""

    def __init__(self, values):
        self.values, self.writers = np.array(values, dtype=float), [[] for _ in values]
        self.thread = None  # which thread is running

    def _place(self, k):
        if not 0 <= k < len(self.values):
            raise IndexError(f"illegal memory access: entry {k} of {len(self.values)}")
        return k

    def __getitem__(self, k):
        return float(self.values[self._place(k)])

    def __setitem__(self, k, value):
        self.values[self._place(k)] = value
        self.writers[k].append(self.thread)

    def __len__(self):
        return len(self.values)

    def written(self):
        """How the entries were written, in words."""
        if any(len(set(writers)) > 1 for writers in self.writers):
            return "an entry is written by several threads"
        if any(len(writers) > 1 for writers in self.writers):
            return "an entry is written several times"
        return "each entry is written once" if all(self.writers) else "an entry is not written"


def drive_thread(answer, x, K, S, block_size):
    """Run every thread of a grid, the blocks in another order than their numbers."""
    planes, H, W = x.shape
    OH, OW = (H - K) // S + 1, (W - K) // S + 1
    source, target = _Memory(x.ravel()), _Memory(np.full(planes * OH * OW, np.nan))
    blocks = -(-len(target) // block_size)
    for block in reversed(range(blocks)):
        for thread in range(block_size):
            target.thread = (block, thread)
            answer(block, thread, block_size, source, target, planes, H, W, K, S)
    return {"y": target.values.reshape(planes, OH, OW), "memory": target.written()}


@exercise(
    reference="course_lib.gpu:pool_thread",
    points=4,
    hints=(
        "Write down by hand for OH = 2, OW = 3: which plane, row i and column j has thread k = 7? Which threads of the "
        "last block have no output?",
        "k = block * block_size + thread, and return at once if k >= planes * OH * OW. Then j = k % OW, "
        "i = k // OW % OH, plane = k // (OW * OH). Pixel (r, c) of the plane is x[(plane * H + r) * W + c].",
    ),
    drive=drive_thread,
)
def pool_thread(rng):
    """One thread of a max-pooling kernel."""
    yield case("one output for each thread", x=rng.normal(size=(1, 2, 4)), K=2, S=2, block_size=2)
    yield case("negative numbers only", x=-rng.uniform(1, 2, size=(1, 4, 4)), K=2, S=2, block_size=4)
    yield case("a wide image, three blocks", x=rng.normal(size=(1, 4, 6)), K=2, S=2, block_size=2)
    yield case("two planes", x=rng.normal(size=(2, 4, 4)), K=2, S=2, block_size=4)
    yield case("windows that overlap", x=rng.normal(size=(1, 5, 4)), K=3, S=1, block_size=2)
    yield case("the last block has threads without work", x=rng.normal(size=(3, 6, 4)), K=2, S=2, block_size=4)
    yield case("everything at once", x=rng.normal(size=(2, 7, 8)), K=3, S=2, block_size=8)


@pool_thread.mistake(
    "Threads beyond the last output read or write memory that is not theirs. Return at once if k >= planes * OH * OW."
)
def no_guard(reference, block, thread, block_size, x, y, planes, H, W, K, S):
    k = block * block_size + thread
    if k >= planes * ((H - K) // S + 1) * ((W - K) // S + 1):
        y[k] = 0.0
    return reference(block, thread, block_size, x, y, planes, H, W, K, S)


@pool_thread.mistake(
    "The block's number is ignored, so all blocks do the first one's work. k = block * block_size + thread."
)
def block_ignored(reference, block, thread, block_size, x, y, planes, H, W, K, S):
    return reference(0, thread, block_size, x, y, planes, H, W, K, S)


@pool_thread.mistake("Rows and columns are exchanged in the index: j, the column, changes fastest, so j = k % OW.")
def rows_and_columns(reference, block, thread, block_size, x, y, planes, H, W, K, S):
    OH, OW = (H - K) // S + 1, (W - K) // S + 1
    k = block * block_size + thread
    if k >= planes * OH * OW:
        return
    i, j, plane = k % OH, k // OH % OW, k // (OH * OW)
    y[k] = max(x[(plane * H + i * S + p) * W + j * S + q] for p in range(K) for q in range(K))


@pool_thread.mistake("The maximum starts at 0, so windows of negative numbers come out as 0. Start with a pixel.")
def starts_at_zero(reference, block, thread, block_size, x, y, planes, H, W, K, S):
    k = block * block_size + thread
    if k >= planes * ((H - K) // S + 1) * ((W - K) // S + 1):
        return
    reference(block, thread, block_size, x, y, planes, H, W, K, S)
    y.values[k] = max(0.0, y.values[k])


@pool_thread.mistake("The window moves by its own size instead of the stride: its corner is (i * S, j * S).")
def stride_is_the_window(reference, block, thread, block_size, x, y, planes, H, W, K, S):
    OH, OW = (H - K) // S + 1, (W - K) // S + 1
    k = block * block_size + thread
    if k >= planes * OH * OW:
        return
    j, i, plane = k % OW, k // OW % OH, k // (OW * OH)
    y[k] = max(x[(plane * H + i * K + p) * W + j * K + q] for p in range(K) for q in range(K))


@pool_thread.mistake(
    "y[k] is written for every pixel of the window, and each time the device's memory is used. Keep the maximum in a "
    "variable and write it once."
)
def maximum_kept_in_memory(reference, block, thread, block_size, x, y, planes, H, W, K, S):
    reference(block, thread, block_size, x, y, planes, H, W, K, S)
    k = block * block_size + thread
    if k < planes * ((H - K) // S + 1) * ((W - K) // S + 1):
        y[k] = y[k]


@pool_thread.mistake("One thread does all the work, or every thread does. A thread computes one entry, y[k].")
def everything_in_one_thread(reference, block, thread, block_size, x, y, planes, H, W, K, S):
    count = planes * ((H - K) // S + 1) * ((W - K) // S + 1)
    for k in range(count):
        reference(k // block_size, k % block_size, block_size, x, y, planes, H, W, K, S)


# ---- 5.8 ----


@exercise(
    reference="course_lib.gpu:schedule",
    points=3,
    hints=(
        "A copy waits for two things, a computation for two others. Which?",
        "The copy of batch k starts at the later of: the end of copy k-1, and, if k >= buffers, the end of computation "
        "k - buffers. Computation k starts at the later of: the end of copy k, the end of computation k-1.",
    ),
)
def schedule(rng):
    """When each batch is copied and computed."""
    yield case("one batch", [2.0], [3.0], buffers=1)
    yield case("one buffer", [2.0, 2.0, 2.0], [3.0, 3.0, 3.0], buffers=1)
    yield case("two buffers, computing is slower", [2.0, 2.0, 2.0, 2.0], [3.0, 3.0, 3.0, 3.0], buffers=2)
    yield case("two buffers, copying is slower", [3.0, 3.0, 3.0, 3.0], [2.0, 2.0, 2.0, 2.0], buffers=2)
    yield case("three buffers", [1.0] * 5, [3.0] * 5, buffers=3)
    copy, compute = (list(map(float, rng.uniform(1, 4, size=8))) for _ in range(2))
    yield case("random times, two buffers unless said otherwise", copy, compute)
    copy, compute = (list(map(float, rng.uniform(low, 3, size=7))) for low in (0.2, 1))
    yield case("random times, three buffers", copy, compute, buffers=3)


@schedule.mistake("Nothing overlaps: each copy waits for the computation before it, even when a buffer is free.")
def one_after_the_other(reference, copy, compute, buffers=2):
    return reference(copy, compute, 1)


@schedule.mistake("A copy never waits for a free buffer. Batch k needs the place of batch k - buffers.")
def endless_buffers(reference, copy, compute, buffers=2):
    return reference(copy, compute, len(copy) + 1)


@schedule.mistake("One buffer too many is used: batch k waits for the end of computation k - buffers.")
def one_buffer_more(reference, copy, compute, buffers=2):
    return reference(copy, compute, buffers + 1)


@schedule.mistake("A computation does not wait for the one before it. The device works off one batch at a time.")
def computations_at_once(reference, copy, compute, buffers=2):
    times = reference(copy, compute, buffers)
    for k in range(len(copy)):
        start = max(times[k - 1, 1] if k else 0.0, times[k - buffers, 3] if k >= buffers else 0.0)
        times[k] = start, start + copy[k], start + copy[k], start + copy[k] + compute[k]
    return times


@schedule.mistake("A computation starts before its batch has arrived. It waits for the end of copy k.")
def before_arrival(reference, copy, compute, buffers=2):
    times = reference(copy, compute, buffers)
    for k in range(len(copy)):
        start = max(times[k - 1, 1] if k else 0.0, times[k - buffers, 3] if k >= buffers else 0.0)
        begin = max(start, times[k - 1, 3] if k else 0.0)
        times[k] = start, start + copy[k], begin, begin + compute[k]
    return times


pipeline_time = Written("pipeline_time", points=3)


# ---- 5.9 ----


@exercise(
    reference="course_lib.gpu:conv_roofline",
    points=3,
    hints=(
        "How many multiplications does one output need, and how many outputs are there? Which three arrays must cross "
        "the memory bus at least once?",
        "flops = 2 * N*OC*OH*OW * C*FH*FW; bytes = itemsize * (size of x + size of the weights + size of y); "
        "attainable = min(peak, flops / bytes * bandwidth).",
    ),
)
def conv_roofline(rng):
    """Work, traffic and attainable speed of a convolution."""
    yield case("one pixel", (1, 1, 1, 1), (1, 1, 1, 1), 4, 1e12, 1e11)
    yield case("one filter of 3×3", (1, 1, 5, 6), (1, 1, 3, 3), 4, 1e12, 1e11)
    yield case("a layer limited by the peak", (8, 64, 16, 16), (64, 64, 3, 3), 4, 1e12, 1e11, padding=1)
    yield case("a layer limited by memory", (8, 64, 16, 16), (64, 64, 1, 1), 4, 1e12, 2e10)
    yield case("half precision", (4, 16, 9, 8), (32, 16, 3, 3), 2, 1e13, 5e11, padding=1)
    yield case("a stride", (2, 3, 11, 9), (8, 3, 3, 5), 4, 3e11, 2e10, stride=2)
    N, C, OC, H, W = (int(n) for n in rng.integers(6, 20, size=5))
    yield case("random sizes", (N, C, H, W), (OC, C, 5, 3), 8, 2e11, 1e10, stride=2, padding=2)


@conv_roofline.mistake("A multiplication and its addition are counted as one. They are two FLOP.")
def one_flop_for_two(reference, x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    right = reference(x_shape, weight_shape, itemsize, peak, bandwidth, stride, padding)
    flops = right["flops"] // 2
    by_memory = flops / right["bytes"] * bandwidth
    bound = "memory" if by_memory < peak else "compute"
    return {"flops": flops, "bytes": right["bytes"], "attainable": min(peak, by_memory), "bound": bound}


@conv_roofline.mistake("The traffic is given in numbers instead of bytes. Multiply by itemsize.")
def numbers_not_bytes(reference, x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    return reference(x_shape, weight_shape, 1, peak, bandwidth, stride, padding)


@conv_roofline.mistake("The output is missing from the traffic: y is written once.")
def output_not_written(reference, x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    right = reference(x_shape, weight_shape, itemsize, peak, bandwidth, stride, padding)
    moved = itemsize * (np.prod(x_shape) + np.prod(weight_shape))
    by_memory = right["flops"] / moved * bandwidth
    bound = "memory" if by_memory < peak else "compute"
    return {"flops": right["flops"], "bytes": moved, "attainable": min(peak, by_memory), "bound": bound}


@conv_roofline.mistake(
    "The bandwidth's limit alone is returned. No machine computes faster than its peak: take the min."
)
def no_ceiling(reference, x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    right = reference(x_shape, weight_shape, itemsize, peak, bandwidth, stride, padding)
    return right | {"attainable": right["flops"] / right["bytes"] * bandwidth}


@conv_roofline.mistake(
    "memory and compute are exchanged: where the bandwidth's limit is the lower one, memory is the bound."
)
def bound_exchanged(reference, x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    right = reference(x_shape, weight_shape, itemsize, peak, bandwidth, stride, padding)
    return right | {"bound": "compute" if right["bound"] == "memory" else "memory"}


@conv_roofline.mistake("The padding is ignored. It belongs into OH and OW.")
def roofline_without_padding(reference, x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    return reference(x_shape, weight_shape, itemsize, peak, bandwidth, stride, 0)


@conv_roofline.mistake("The work is counted for every pixel of the input. Count it for every output: OH × OW.")
def input_size_for_output(reference, x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    right = reference(x_shape, weight_shape, itemsize, peak, bandwidth, stride, padding)
    N, C, H, W = x_shape
    OC, C, FH, FW = weight_shape
    flops = 2 * N * OC * H * W * C * FH * FW
    by_memory = flops / right["bytes"] * bandwidth
    bound = "memory" if by_memory < peak else "compute"
    return {"flops": flops, "bytes": right["bytes"], "attainable": min(peak, by_memory), "bound": bound}


__dir__ = only_exercises(globals())
