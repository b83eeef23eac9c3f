"""``python -m autograder doctor``: what of the sandbox is there on this machine, and what to do about what is not."""

import os
import platform
import shutil
import subprocess
import sys
import time

from course_lib.syllabus import CHAPTERS


def configure(parser):
    parser.add_argument("--chapter", default=CHAPTERS[0].name, help="whose packages to try the sandbox with")


def main(arguments):
    """Print a line for each thing; 0 if submissions can be confined."""
    from autograder.grading import confine, sandbox
    from course_lib.syllabus import chapter

    _say(True, f"Python {platform.python_version()} on {platform.system()} {platform.release()}, uid {os.getuid()}")
    problem = sandbox.unavailable()
    _say(not problem, problem or subprocess.run(["bwrap", "--version"], capture_output=True, text=True).stdout.strip())
    if problem:
        print("Without it, grading runs only with --unsandboxed: a submission can then do what you can.")
        return 1
    version = confine.landlock_version()
    _say(version > 0, f"Landlock, version {version}" if version else "no Landlock in this kernel (not needed)")
    known = confine.has_filter()
    _say(known, f"system-call filter for {platform.machine()}" + ("" if known else " does not exist: no confinement"))
    _say(shutil.which("alembic") is not None or _beside("alembic"), "alembic, which nbgrader calls")
    started = time.perf_counter()
    zygote = None
    try:
        zygote = sandbox.Zygote(chapter(arguments.chapter))
        zygote.wait()
        _say(True, f"a sandbox starts, and has Python loaded after {time.perf_counter() - started:.2f} s")
        times = []
        for _ in range(5):
            started = time.perf_counter()
            connection = zygote.start()
            times.append(time.perf_counter() - started)
            zygote.stop(connection)
        _say(True, f"a runner is ready after {1000 * sorted(times)[2]:.0f} ms")
    except sandbox.SandboxUnavailable as error:
        _say(False, f"{error}\n  In a container, allow user namespaces; on Ubuntu, let bwrap use them in AppArmor.")
        return 1
    finally:
        if zygote is not None:
            zygote.close()
    return 0


def _beside(name):
    return os.path.exists(os.path.join(os.path.dirname(sys.executable), name))


def _say(good, text):
    print(f"{'ok     ' if good else 'missing'}  {text}")
