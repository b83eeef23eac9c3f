"""Run every notebook of the course with its solutions, from a fresh kernel, in full: minutes, peak memory, results.

``make course`` runs it in a network namespace where nothing but this machine itself can be reached, so that a notebook
which needs the network fails. ``python -m benchmarks.course [CHAPTER ...] [--keep FOLDER]`` runs it as it is; what
was run is kept where one asks for it (``make course KEEP=FOLDER``), to be opened with its pictures.
"""

import argparse
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

from autograder.notebooks import read, source_path
from course_lib.syllabus import CHAPTERS, chapter


def run(which, keep=None):
    """Minutes, peak memory in GiB and the lines of ``reached``; or the exception of the cell that fails.

    Parameters
    ----------
    which : Chapter
    keep : Path, optional
        The folder for the notebook with its outputs; it is written even if a cell fails.
    """
    peak = 0

    def measure(**_):
        nonlocal peak
        peak = max(peak, psutil.Process(client.km.provisioner.process.pid).memory_info().rss)

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            read(source_path(which)),
            timeout=1800,
            on_cell_executed=measure,
            resources={"metadata": {"path": folder}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # not that loopback is unencrypted, for every kernel
        )
        start = time.monotonic()
        try:
            notebook = client.execute()
        finally:
            if keep:
                nbformat.write(client.nb, keep / f"{which.folder}.ipynb")
    texts = [out.text for cell in notebook.cells for out in cell.get("outputs", ()) if out.output_type == "stream"]
    reached = [line.removeprefix("reached: ") for line in "".join(texts).splitlines() if line.startswith("reached: ")]
    return (time.monotonic() - start) / 60, peak / 2**30, reached


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.course", description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    print(f"{'chapter':20} {'minutes':>8} {'GiB':>6}  reached", flush=True)
    total = 0.0
    for which in [chapter(name) for name in arguments.chapters] or CHAPTERS:
        minutes, memory, reached = run(which, arguments.keep)
        total += minutes
        first, *others = reached or [""]
        print(f"{which.folder:20} {minutes:8.1f} {memory:6.2f}  {first}", flush=True)
        for line in others:
            print(" " * 37, line, flush=True)
    print(f"{'all':20} {total:8.1f}")


if __name__ == "__main__":
    main()
