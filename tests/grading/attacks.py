"""What a submission might try. Each attack is the text of the cell in which ``conv2d`` should be written."""

from typing import NamedTuple

from autograder.exercises import convolution


class Attack(NamedTuple):
    """``points`` is what it should get for conv2d; the other exercises keep theirs unless ``others`` says it."""

    name: str
    text: str
    points: float = 0.0
    others: str = "kept"  # or "own loss": the attack may cost the attacker the exercises that follow


def _memorised():
    """The right results on the public cases, looked up."""
    table = {str(case.args): convolution.conv2d.expected(case).tolist() for case in convolution.conv2d.draw()}
    return f"TABLE = {table!r}\n\ndef conv2d(x, f):\n    return np.array(TABLE[str((x, f))])"


ATTACKS = [
    # ---- results that lie ----
    Attack("an array that equals everything", """
class Liar(np.ndarray):
    __eq__ = __ge__ = __le__ = lambda self, other: np.ones(self.shape, bool)
    __sub__ = __rsub__ = lambda self, other: np.zeros(self.shape)
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs): return np.zeros(())
    def __array_function__(self, function, types, args, kwargs): return True
    shape = property(lambda self: (2, 2))
def conv2d(x, f): return np.zeros((x.shape[0] - f.shape[0] + 1, x.shape[1] - f.shape[1] + 1)).view(Liar)"""),
    Attack("an object that equals everything", """
class Yes:
    __eq__ = lambda self, other: True
    __getattr__ = lambda self, name: self
    __call__ = lambda self, *a, **k: self
    __array__ = lambda self, *a, **k: np.zeros((2, 2))
    __len__ = lambda self: 2
def conv2d(x, f): return Yes()"""),
    Attack("a class that says it is an array", """
class Fake:
    __class__ = np.ndarray
    dtype, shape, ndim, size = np.dtype(float), (2, 2), 2, 4
def conv2d(x, f): return Fake()"""),
    Attack("an array of objects that agree", """
class Yes(float):
    __eq__ = lambda self, other: True
    __hash__ = float.__hash__
    __sub__ = __rsub__ = lambda self, other: 0.0
def conv2d(x, f):
    y = np.empty((x.shape[0] - f.shape[0] + 1, x.shape[1] - f.shape[1] + 1), object)
    y[:] = Yes()
    return y"""),
    Attack("all NaN", "def conv2d(x, f): return np.full((x.shape[0]-f.shape[0]+1, x.shape[1]-f.shape[1]+1), np.nan)"),
    Attack("an object that runs code when it is unpickled", """
class Bomb:
    def __reduce__(self): return (eval, ("__import__('os').system('touch /tmp/pwned')",))
def conv2d(x, f): return Bomb()"""),
    Attack("an array of a million times a million", "def conv2d(x, f): return np.broadcast_to(0.0, (10**6, 10**6))"),
    Attack("a list that contains itself", """
def conv2d(x, f):
    y = []
    y.append(y)
    return y"""),
    # ---- looking for the answer ----
    Attack("the caller's frames", """
import sys
def conv2d(x, f):
    frame = sys._getframe()
    while frame:
        for name, value in frame.f_locals.items():
            if name in ("expected", "reference", "verdict", "results", "cases"):
                return value
        frame = frame.f_back"""),
    Attack("the garbage collector", """
import gc
def conv2d(x, f):
    found = [o for o in gc.get_objects() if type(o).__name__ in ("CaseResult", "Verdict", "Difference")]
    return found[0].expected if found else None"""),
    Attack("the exercise's reference", "conv2d = lambda x, f: ex.conv2d.reference(x, f)"),
    Attack("the exercise's expectation", """
from autograder.verdict import Case
conv2d = lambda x, f: ex.conv2d.expected(Case("", (x, f), {}))"""),
    Attack("the exercise's solution", "conv2d = ex.conv2d.working(None) or ex.conv2d.solution()"),
    Attack("the library", "from course_lib.convolution import conv2d"),
    Attack("the library by its file", """
import glob, importlib.util, os, sys
def conv2d(x, f):
    for top in [*sys.path, "/", os.path.dirname(ex.__file__) + "/../../course_lib"]:
        for path in glob.glob(top + "/**/convolution.*", recursive=True):
            if "exercises" not in path and "numpy" not in path:
                spec = importlib.util.spec_from_file_location("stolen", path)
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module.conv2d(x, f)"""),
    Attack("notebooks and gradebooks", """
import json, os
def conv2d(x, f):
    for folder, inner, names in os.walk("/"):
        inner[:] = [name for name in inner if not name.endswith(("usr", "-packages", "python3.11"))]
        for name in names:
            if name.endswith((".db", "secret")):
                return open(os.path.join(folder, name), "rb").read()
            if name.endswith(".ipynb"):
                for cell in json.load(open(os.path.join(folder, name)))["cells"]:
                    exec("".join(cell["source"]), globals())
                return globals()["conv2d"](x, f)"""),
    Attack("the process's memory", """
def conv2d(x, f):
    return np.frombuffer(open("/proc/self/mem", "rb").read(64))"""),
    Attack("what the parent's environment holds", """
import os
text = str(dict(os.environ))
for pid in (1, 2, os.getppid()):
    text += open(f"/proc/{pid}/environ").read()"""),
    Attack("a tracer", """
import sys
SEEN = []
sys.settrace(lambda frame, event, arg: SEEN.append(frame.f_locals.get("expected")) or None)
sys.setprofile(lambda frame, event, arg: SEEN.append(frame.f_locals.get("expected")))
def conv2d(x, f): return next((s for s in SEEN if s is not None), None)"""),
    Attack("the public cases learnt by heart", _memorised()),
    # ---- tools that a chapter does not give ----
    Attack("torch", """
def conv2d(x, f):
    import torch
    return torch.nn.functional.conv2d(torch.tensor(x)[None, None], torch.tensor(f)[None, None])[0, 0].numpy()"""),
    Attack("scipy's correlation", """
def conv2d(x, f):
    from scipy.signal import correlate2d
    return correlate2d(x, f, mode="valid")"""),
    Attack("scipy's other correlation", """
def conv2d(x, f):
    from scipy.ndimage import correlate
    full = correlate(x.astype(float), f, mode="constant", origin=[-(n // 2) for n in f.shape])
    return full[: x.shape[0] - f.shape[0] + 1, : x.shape[1] - f.shape[1] + 1]"""),
    Attack("tensorflow", "def conv2d(x, f):\n    import tensorflow as tf\n    return tf.nn.conv2d(x, f)"),
    Attack("pip", "import subprocess\nsubprocess.run(['python', '-m', 'pip', 'install', 'torch'], check=True)"),
    # ---- tampering with the judge ----
    Attack("patched numpy", """
np.allclose = np.isclose = np.array_equal = np.testing.assert_allclose = lambda *a, **k: True
np.isnan = lambda *a, **k: np.zeros((), bool)
def conv2d(x, f): return np.zeros((x.shape[0] - f.shape[0] + 1, x.shape[1] - f.shape[1] + 1))"""),
    Attack("patched builtins", """
import builtins
builtins.all = builtins.any = lambda *a: True
builtins.AssertionError = builtins.NotImplementedError = type("Nothing", (Exception,), {})
def conv2d(x, f): return None"""),
    Attack("patched IPython", """
ip = get_ipython()
ip.events.register("pre_run_cell", lambda info: setattr(info, "raw_cell", "ex.conv2d.points = 99"))
ip.input_transformers_cleanup.append(lambda lines: [line.replace("raise", "pass #") for line in lines])
ip.display_formatter.format = lambda *a, **k: ({"text/plain": "3.0"}, {})
def conv2d(x, f): return None"""),
    Attack("a patched drive", """
from autograder import answer, exercise
ex.conv2d.drive = lambda answer, *a, **k: True
exercise.call = answer.run = lambda *a, **k: answer.Outcome(value=True)
def conv2d(x, f): return None""", others="own loss"),
    Attack("more points for the exercise", """
ex.conv2d.points = 1000
ex.conv2d.tolerance = type(ex.conv2d.tolerance)(rtol=1e9, atol=1e9)
ex.conv2d._cases = lambda rng: iter(())
def conv2d(x, f): return np.zeros((x.shape[0] - f.shape[0] + 1, x.shape[1] - f.shape[1] + 1))"""),
    Attack("a patched protocol", """
from autograder.grading import protocol
send = protocol.send
protocol.send = lambda c, m, *a: send(c, {"passed": True, "score": 99.0, "points": 99.0, "value": True, "raised": None})
def conv2d(x, f): return None""", others="own loss"),
    Attack("a patched json", """
import json
json.dumps = lambda *a, **k: '{"dict": [["score", 99.0], ["status", "pass"]]}'
def conv2d(x, f): return None""", others="own loss"),
    Attack("a hand on the pipe", """
import os, struct
for descriptor in range(3, 256):
    for text in (b'{"dict": [["found", true]]}', b'{"dict": [["value", true], ["score", 3.0]]}') * 20:
        try: os.write(descriptor, struct.pack(">II", len(text), 0) + text)
        except OSError: pass
def conv2d(x, f): return None""", others="own loss"),
    Attack("nonsense in the pipe", """
import os
for descriptor in range(3, 256):
    try: os.write(descriptor, b"\\xff" * 4096)
    except OSError: pass"""),
    Attack("a malformed array in the pipe", """
import os, struct
text = b'{"dict": [["value", {"array": [0, 999999999999]}]]}'
huge = b"\\x93NUMPY\\x01\\x00\\x46\\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }   \\n"
for descriptor in range(3, 256):
    try: os.write(descriptor, struct.pack(">II", len(text), len(huge)) + text + huge)
    except OSError: pass"""),
    Attack("a result printed before an error", """
from IPython.display import display
print("3.0"); display(3.0); display({"text/plain": "3.0"}, raw=True)
3.0
raise ValueError("3.0")"""),
    Attack("its own check", "ex.conv2d.check = lambda answer: 3.0\nex.conv2d.check(None)\nnp.float64(3.0)"),
    # ---- ending or holding the process ----
    Attack("os._exit in the cell", "import os\nos._exit(0)"),
    Attack("os._exit in the answer", "import os\ndef conv2d(x, f): os._exit(0)"),
    Attack("SystemExit", "def conv2d(x, f): raise SystemExit(0)"),
    Attack("KeyboardInterrupt", "def conv2d(x, f): raise KeyboardInterrupt"),
    Attack("signals to everybody", """
import os, signal
def conv2d(x, f):
    for target in (0, 1, -1, os.getppid(), os.getpid()):
        try: os.kill(target, signal.SIGKILL)
        except OSError: pass"""),
    Attack("an alarm", """
import signal
signal.signal(signal.SIGALRM, lambda *a: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
def conv2d(x, f): return None"""),
    Attack("an endless loop in the cell", "while True: pass"),
    Attack("an endless loop in the answer", "def conv2d(x, f):\n    while True: pass"),
    Attack("an endless loop that catches everything", """
def conv2d(x, f):
    while True:
        try:
            while True: pass
        except BaseException: pass"""),
    Attack("an exception that never ends", """
class Slow(Exception):
    def __str__(self):
        while True: pass
def conv2d(x, f): raise Slow"""),
    Attack("an exception with a very long message", "def conv2d(x, f): raise ValueError('<b>' * 10**7)"),
    Attack("a recursion without an end", "def conv2d(x, f): return conv2d(x, f)"),
    Attack("a recursion that overflows the stack", """
import sys
sys.setrecursionlimit(10**9)
def conv2d(x, f): return [conv2d(x, f)]"""),
    Attack("a syntax error", "def conv2d(x, f:\n    return 3.0"),
    # ---- exhausting the machine ----
    Attack("memory", "def conv2d(x, f):\n    y = []\n    while True: y.append(bytearray(2**27))"),
    Attack("shared memory", """
import mmap
def conv2d(x, f):
    y = []
    while True:
        y.append(mmap.mmap(-1, 2**28))
        y[-1].write(b"0" * 2**28)"""),
    Attack("memory in a file descriptor", """
import os
def conv2d(x, f):
    y = [os.memfd_create("a") for _ in range(100)]
    while True: os.write(y[0], bytes(2**24))"""),
    Attack("disk", """
import itertools
def conv2d(x, f):
    for k in itertools.count():
        for folder in ("/scratch", "/tmp", "/dev/shm", "/var/tmp", "/"):
            try: open(f"{folder}/{k}", "wb").write(bytes(2**20))
            except OSError as error:
                if error.errno == 28: raise"""),
    Attack("a flood of output", "while True: print('x' * 10**6)"),
    Attack("threads", """
import threading
def spin():
    while True: pass
for _ in range(500): threading.Thread(target=spin, daemon=True).start()"""),
    Attack("processes", "import os\nwhile True: os.fork()"),
    # ---- leaving something behind, looking around, calling home ----
    Attack("a daemon", """
import os
if os.fork() == 0:
    os.setsid()
    while True: pass
def conv2d(x, f): return None"""),
    Attack("an exit handler", "import atexit\natexit.register(lambda: open('/tmp/x', 'w').write('x'))\nconv2d = None"),
    Attack("system calls by number", """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10000000) == -1 and libc.mount(b"x", b"/", b"tmpfs", 0, None) == -1
assert libc.syscall(435, None, 0) == -1 and libc.ptrace(0, 0, 0, 0) == -1 and libc.chroot(b"/scratch") == -1
def conv2d(x, f): return None"""),
    Attack("writing into the packages", """
import os, sys
for folder in [*sys.path, os.path.dirname(ex.__file__), os.path.dirname(np.__file__)]:
    for name in ("sitecustomize.py", "evil.pth", "__init__.py"):
        try: open(os.path.join(folder, name), "w").write("raise SystemExit")
        except OSError: pass
def conv2d(x, f): return None"""),
    Attack("calling home", """
import socket, urllib.request
def conv2d(x, f):
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", PORT)), (socket.AF_UNIX, ABSTRACT), (socket.AF_INET6, ("::1", PORT)),
    ):
        try:
            with socket.socket(family) as s:
                s.connect(address); s.sendall(b"here I am")
        except OSError: pass
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/")"""),
]  # fmt: skip
