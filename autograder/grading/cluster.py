"""Where verdicts are made: in this process, on Dask workers of this machine, or on anybody's Dask scheduler."""

import contextlib
import os

LOST_WORKERS = 3  # a submission whose worker was lost this often is given up


def default_workers(submissions):
    """One process for each CPU, and none for a handful of submissions."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cpus, submissions // 4)


@contextlib.contextmanager
def workers(count, scheduler=None):
    """A Dask client; None where this process is to do it.

    Parameters
    ----------
    count : int
        Processes to start on this machine.
    scheduler : str, optional
        The address of a Dask scheduler to use instead.
    """
    if scheduler is None and count == 0:
        yield None
        return
    from dask import config
    from dask.distributed import Client, LocalCluster

    config.set({"distributed.scheduler.allowed-failures": LOST_WORKERS, "distributed.admin.tick.limit": "1h"})
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            options = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None, "silence_logs": 50}
            scheduler = stack.enter_context(LocalCluster(n_workers=count, processes=True, **options))
        yield stack.enter_context(Client(scheduler))


def run(client, jobs, failed):
    """Grade jobs.

    Parameters
    ----------
    client : dask.distributed.Client or None
    jobs : iterable of (str, Job or None, dict)
        A student, what to do (None: nothing), and the record that is known.
    failed : list
        Takes pairs of a student and why there is no record.

    Yields
    ------
    (str, dict)
        A student and the record, as they are ready.

    Raises
    ------
    SandboxUnavailable
        If submissions cannot be confined where they were to be graded.
    """
    from autograder.grading import grader
    from autograder.grading.sandbox import SandboxUnavailable

    if client is None:
        try:
            for student, job, known in jobs:
                yield student, {} if job is None else grader.grade(job, known)
        finally:
            grader.close()
        return
    from dask.distributed import as_completed

    futures, empty = {}, []
    for student, job, known in jobs:
        if job is None:
            empty.append(student)
        else:
            futures[client.submit(grader.grade, job, known, pure=False)] = student
    yield from ((student, {}) for student in empty)
    for future in as_completed(futures):
        error = future.exception()
        if isinstance(error, SandboxUnavailable):
            raise error
        if error is None:
            yield futures[future], future.result()
        else:
            failed.append((futures[future], f"{type(error).__name__}: {error}"))
        future.release()
