"""Run every notebook of the course with its solutions, from a fresh kernel, in full: minutes and peak memory.

``make course`` runs it in a network namespace where nothing but this machine itself can be reached, so that a notebook
which needs the network fails. ``python -m benchmarks.course [CHAPTER ...]`` runs it as it is.
"""

import sys
import tempfile
import time

import psutil
from nbclient import NotebookClient

from autograder.notebooks import read, source_path
from course_lib.syllabus import CHAPTERS, chapter


def run(which):
    """Minutes and peak memory in GiB of one notebook, or the exception of the cell that fails."""
    peak = 0

    def measure(**_):
        nonlocal peak
        peak = max(peak, psutil.Process(client.km.provisioner.process.pid).memory_info().rss)

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            read(source_path(which)), timeout=1800, on_cell_executed=measure, resources={"metadata": {"path": folder}}
        )
        start = time.monotonic()
        client.execute()
    return (time.monotonic() - start) / 60, peak / 2**30


def main():
    print(f"{'chapter':20} {'minutes':>8} {'GiB':>6}", flush=True)
    total = 0.0
    for which in [chapter(name) for name in sys.argv[1:]] or CHAPTERS:
        minutes, memory = run(which)
        total += minutes
        print(f"{which.folder:20} {minutes:8.1f} {memory:6.2f}", flush=True)
    print(f"{'all':20} {total:8.1f}")


if __name__ == "__main__":
    main()
