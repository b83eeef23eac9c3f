"""Inside the sandbox: a process with the chapter's packages loaded that forks a runner for each submission.

It runs no operation of NumPy, torch or TensorFlow itself, so that what it has loaded can be forked, and it never
executes anything of a submission. It takes orders from the grader on one socket; a runner talks on another.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time

from autograder.grading import confine, protocol, runner, seal

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE = 600  # seconds, more than the grader waits


def main():
    """``python -m autograder.grading.zygote DESCRIPTOR SETTINGS``; started by ``sandbox``."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    if settings["confined"] and os.getuid() == 0:
        confine.drop_root()
    signal.alarm(_PATIENCE)  # while packages load nobody would notice that the grader is gone
    started = time.monotonic()
    missing = []
    for name in settings["preload"]:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)  # a cell that imports it will say so
    tables = [getattr(sys.modules.get(name), "SEALED", None) for name in settings["preload"]]
    settings["hidden"] = [path for table in tables if table for path in seal.apply(table)]
    checks = [sys.modules[name] for name in settings["preload"] if name in sys.modules and ".exercises." in name]
    settings["hidden"] += [path for module in checks for path in seal.strip(module)]
    shell = runner.make_shell()
    gc.freeze()  # what the fork shares is left alone by the children's collections, and so stays shared
    if settings["confined"]:
        confine._libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.alarm(0)
    protocol.send(control, {"loaded": time.monotonic() - started, "missing": missing})
    with contextlib.suppress(protocol.ProtocolError):  # the grader is gone, and with this process goes the sandbox
        _obey(control, shell, settings)


def _obey(control, shell, settings):
    pid = None
    while True:
        order, descriptors = _receive_order(control)
        if order == b"start":
            connection = socket.socket(fileno=descriptors[0])
            pid, problem = _start(connection, shell, settings, control)
            connection.close()
            protocol.send(control, {"problem": problem})
        else:
            os.kill(pid, signal.SIGKILL)
            # The first process of a process namespace is reaped only when nothing of the namespace is left.
            _, status, usage = os.wait4(pid, 0)
            protocol.send(control, {"status": status, "seconds": usage.ru_utime + usage.ru_stime})


def _receive_order(control):
    data, ancillary, _, _ = control.recvmsg(16, socket.CMSG_SPACE(4))
    if not data:
        raise protocol.ProtocolError("the grader is gone")
    descriptors = array.array("i")
    for _, _, content in ancillary:
        descriptors.frombytes(content)
    return data, descriptors


def _start(connection, shell, settings, control):
    """Fork a runner.

    Returns
    -------
    (int or None, str)
        Its process id, and why it could not be confined, in which case it has already ended.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        problem = ""
        try:
            control.close()
            os.close(reading)
            if settings["confined"]:
                confine.enter_namespaces()
                grandchild = os.fork()  # the first process of the new process namespace
                if grandchild:
                    os.write(writing, f"{grandchild}\n".encode())
                    os._exit(0)
            os.setsid()  # a signal to its process group must not reach this process, although it cannot be seen
            if settings["confined"]:
                confine.confine(settings["limits"], settings["hidden"])
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}"
        os.write(writing, f"{problem}.\n".encode())
        os.close(writing)
        if problem:
            os._exit(1)
        runner.become(connection, shell)
    os.close(writing)
    with open(reading) as pipe:
        lines = pipe.read().split("\n")
    problem = next((line[:-1] for line in lines if line.endswith(".")), "the runner did not start")
    if settings["confined"]:
        os.waitpid(child, 0)
        child = next((int(line) for line in lines if line.isdigit()), None)
    if problem and child:
        os.waitpid(child, 0)
    return child, problem


if __name__ == "__main__":
    main()
