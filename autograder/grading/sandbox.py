"""Outside: what can be read inside the sandbox, and starting and ending the processes in it.

A sandbox shows, read-only: Python and its standard library, the packages that the syllabus lists for the chapter with
what they need, the student's side of ``autograder``, and the modules of ``course_lib`` that come before the chapter.
Nothing else exists in it: no home, no gradebook, no submission, no source notebook, no environment, no network.
"""

import array
import functools
import importlib.metadata
import json
import os
import shutil
import site
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from autograder.grading import protocol
from autograder.grading.confine import SCRATCH
from course_lib import syllabus

ROOT = Path(__file__).resolve().parents[2]
BASE = ("ipython", "numpy", "matplotlib", "ipywidgets")  # what the course itself needs in every chapter
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow", "tensorflow": "tensorflow-cpu", "cv2": "opencv-python"}
INSIDE = ("__init__", "protocol", "confine", "runner", "seal", "zygote")  # the modules of grading that a runner shares
# The library's modules that belong to no chapter and hold no answer. Whatever is neither here nor of an earlier chapter
# is not shown: a module that somebody forgets to list is sealed, not open.
SUPPORT = ("__init__", "syllabus", "tables", "plots", "explore", "recorded", "frameworks", "datasets", "practice_gpu")
# Matplotlib does not load without Pillow; where no answer may use it, this stands in its place.
WITHOUT_PILLOW = ROOT / "autograder" / "grading" / "without_pillow" / "PIL"
# Parts of a package that came only as somebody's dependency and that would do an exercise's work.
ANSWERS_IN = {"scipy": ("signal",)}


class SandboxUnavailable(RuntimeError):
    """This machine cannot confine a submission; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Times in seconds, sizes in bytes."""

    cell: float = 30.0  # wall clock of one cell, or of one case of a check
    notebook: float = 300.0  # wall clock of the whole submission, restarts included
    cpu: int = 300
    memory: int = 3 * 2**30  # address space on top of the loaded packages
    scratch: int = 64 * 2**20
    file: int = 64 * 2**20
    threads: int = 64
    files: int = 256


@functools.cache
def _distribution(name):
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def needed(packages):
    """The installed distributions that these packages need, themselves included."""
    waiting, found = [DISTRIBUTIONS.get(name, name) for name in packages], {}
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        distribution = _distribution(name)
        if name in found or distribution is None:
            continue
        found[name] = distribution
        for line in distribution.requires or ():
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def own_modules(chapter):
    """The course's own modules and packages that are shown inside.

    A chapter's are those of its name, and those whose name begins with it (``cnn``, ``cnn_training``).
    """
    earlier = [c.name for c in syllabus.CHAPTERS if c.number < chapter.number]
    shown = [path for path in sorted((ROOT / "autograder").glob("*.py")) if path.stem != "demo"]
    shown += [ROOT / "autograder" / "grading" / f"{name}.py" for name in INSIDE]
    shown += [ROOT / "autograder" / "exercises" / f"{name}.py" for name in ("__init__", *earlier, chapter.name)]
    later = [c.name for c in syllabus.CHAPTERS if c.number >= chapter.number]
    for path in sorted((ROOT / "course_lib").iterdir()):
        if path.stem in SUPPORT or (_of(path, earlier) and not _of(path, later)):
            shown.append(path)
    return [path for path in shown if path.exists()]


def _of(path, names):
    return any(path.stem == name or path.stem.startswith(f"{name}_") for name in names)


def readable(chapter):
    """The files and folders that are shown inside for a chapter, and the folders that are hidden again."""
    shown, hidden = [], []
    distributions = needed((*BASE, *chapter.packages))
    if "pillow" not in chapter.packages:
        del distributions["pillow"]
    for name, distribution in distributions.items():
        home = Path(distribution.locate_file("")).resolve()
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
        shown += [home / top for top in sorted(tops)]
        if name in ANSWERS_IN and name not in map(str.lower, chapter.packages):
            hidden += [home / name / part for part in ANSWERS_IN[name]]
    shown += [*own_modules(chapter), ROOT / "data"]
    return [path for path in shown if path.exists()], [path for path in hidden if path.exists()]


_SYSTEM = ("/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/local/lib")


def _arguments(chapter):
    """The arguments of bubblewrap: an empty world into which the readable files are put."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    python = Path(sys.executable)
    real = python.resolve()
    words = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--new-session", "--clearenv", "--hostname", "grading"]
    if os.getuid() == 0:
        words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]  # only to become nobody, see confine.drop_root
    else:
        words += ["--unshare-user"]
    for top in _SYSTEM:
        if os.path.islink(top):
            words += ["--symlink", os.readlink(top), top]
        elif os.path.isdir(top):
            words += ["--ro-bind", top, top]
    for file in ("/etc/ld.so.cache", "/etc/localtime"):
        words += ["--ro-bind-try", file, file]
    binary_library = sysconfig.get_config_var("LIBDIR") or str(library.parent)
    for path in dict.fromkeys((str(library), *_shared_library(binary_library), str(real))):
        words += ["--ro-bind", path, path]
    if python != real:
        words += ["--symlink", str(real), str(python)]
        configuration = Path(sys.prefix) / "pyvenv.cfg"
        words += ["--ro-bind-try", str(configuration), str(configuration)]
    # Every place where packages are kept is emptied before those of the chapter are put back.
    places = {*site.getsitepackages(), sysconfig.get_path("purelib"), str(library / "site-packages")}
    places |= {str(path) for path in Path("/usr/lib/python3").glob("dist-packages")}
    places |= {str(path) for path in Path("/usr/local/lib").glob("python*/*-packages")}
    words += [word for place in sorted(places) if os.path.isdir(place) for word in ("--tmpfs", place)]
    shown, hidden = readable(chapter)
    # bubblewrap makes missing parents for their owner only; whoever runs inside must be able to pass.
    targets = [Path(p) for p in (library, real, python, *places, *shown, binary_library)]
    parents = dict.fromkeys(parent for path in targets for parent in reversed(path.parents) if parent != Path("/"))
    parents = [str(parent) for parent in parents if not str(parent).startswith(tuple(_SYSTEM))]
    words[:0] = [word for parent in parents for word in ("--perms", "0755", "--dir", parent)]
    for path in shown:
        words += ["--ro-bind", str(path), str(path)]
    for path in hidden:
        words += ["--tmpfs", str(path)]
    if "pillow" not in chapter.packages:
        words += ["--ro-bind", str(WITHOUT_PILLOW), str(_distribution("pillow").locate_file("PIL"))]
    words += ["--proc", "/proc", "--dev", "/dev", "--dir", "/tmp"]
    words += ["--perms", "1777", "--tmpfs", SCRATCH, "--remount-ro", "/dev", "--remount-ro", "/"]
    for name, value in _environment().items():
        words += ["--setenv", name, value]
    return words


def _shared_library(folder):
    return [str(path) for path in Path(folder).glob("libpython*.so*")]


def _environment():
    return {
        "PATH": "/usr/bin", "HOME": SCRATCH, "TMPDIR": SCRATCH, "USER": "student", "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1",
        "IPYTHONDIR": SCRATCH, "MPLCONFIGDIR": SCRATCH, "MPLBACKEND": "agg", "KERAS_BACKEND": "tensorflow",
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2",
        "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "NBGRADER_EXECUTION": "autograde",
        # By default TensorFlow starts two pools of one thread per CPU: on a large machine more than a runner may have.
        "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1",
    }  # fmt: skip


def unavailable():
    """Why submissions cannot be confined here; an empty string if they can."""
    if not sys.platform.startswith("linux"):
        return (
            f"the sandbox needs Linux and this is {sys.platform}; grade on a Linux machine, or in a container or WSL 2"
        )
    if shutil.which("bwrap") is None:
        return "bubblewrap is missing; install it (Debian, Ubuntu, Fedora, Arch: the package is called bubblewrap)"
    return ""


class Zygote:
    """A process with a chapter's packages loaded, from which runners are forked.

    Parameters
    ----------
    chapter : Chapter
    preload : sequence of str
        Modules to import before the first fork.
    limits : Limits
    sandboxed : bool
        False: no confinement at all; a submission can do what the user who grades can do.

    Raises
    ------
    SandboxUnavailable
        If it is to be confined and this machine cannot.
    """

    def __init__(self, chapter, preload=(), limits=Limits(), sandboxed=True):  # noqa: B008  (frozen)
        if sandboxed and unavailable():
            raise SandboxUnavailable(unavailable())
        self.limits = limits
        self.lock = threading.Lock()  # one runner at a time
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._control = ours
        settings = {"preload": list(preload), "confined": sandboxed, "limits": asdict(limits)}
        command = [sys.executable, "-m", "autograder.grading.zygote", str(theirs.fileno()), json.dumps(settings)]
        environment = None
        if sandboxed:
            command = ["bwrap", *_arguments(chapter), *command]
        else:
            environment = os.environ | _environment() | {"HOME": os.environ.get("HOME", "/"), "TMPDIR": "/tmp"}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the zygote)
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors,
            pass_fds=[theirs.fileno()], env=environment, start_new_session=True,
        )  # fmt: skip
        theirs.close()
        self.loaded = None

    def wait(self, patience=120.0):
        """Wait until the packages are loaded.

        Raises
        ------
        SandboxUnavailable
            If the process has ended instead.
        """
        if self.loaded is None:
            try:
                self.loaded = protocol.receive(self._control, time.monotonic() + patience)
            except protocol.ProtocolError as error:
                self._process.wait(5)
                self._errors.seek(0)
                said = self._errors.read()[-4000:].decode(errors="replace").strip()
                self.close()
                raise SandboxUnavailable(f"the sandbox did not start: {said or error}") from error
        return self.loaded

    def start(self):
        """Fork a runner and wait until it is ready.

        Returns
        -------
        socket
            The connection to it.

        Raises
        ------
        SandboxUnavailable
            If it could not be confined.
        """
        self.wait()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))
            self._control.sendmsg([b"start"], [rights])
        problem = self._reply()["problem"]
        if problem:
            ours.close()
            raise SandboxUnavailable(f"a runner could not be confined: {problem}")
        protocol.receive(ours, time.monotonic() + 30)
        return ours

    def stop(self, connection):
        """End the runner and everything it has started.

        Returns
        -------
        int
            How it had ended before, if it had (as ``os.waitpid`` gives it); signal 9 otherwise.
        """
        connection.close()
        self._control.sendall(b"stop")
        return self._reply()["status"]

    def _reply(self):
        try:
            return protocol.receive(self._control, time.monotonic() + 60)
        except protocol.ProtocolError as error:
            raise SandboxUnavailable(f"the sandbox has ended: {error}") from error

    def close(self):
        """End the sandbox and wait until nothing of it is left."""
        self._control.close()
        self._errors.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
