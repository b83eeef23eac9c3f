"""Fetch a file of ``data/registry.toml`` once, verify it, and keep it for later and for others.

Where files are kept: the environment variable ``COURSE_DATA`` (or the argument ``folder``) names one or more folders,
separated as in ``PATH``. A file is looked for in each, in order, and a download goes to the first that can be written
to. So a class shares one folder that only the instructor can write to::

    COURSE_DATA=/srv/course-data:~/my-data

Without it, files are kept in the user's cache folder. ``COURSE_OFFLINE=1`` (or ``download=False``) forbids downloads.

pooch checks the SHA-256 of what has arrived and moves it into place in one step, so a file in the cache is entirely
there or not at all. What is added here: an interrupted transfer is taken up where it stopped, a server that stalls is
given up after :data:`TIMEOUT`, every mirror is tried, and two processes do not fetch the same file twice.
"""

import contextlib
import functools
import logging
import os
import shutil
import tempfile
import time
import tomllib
from pathlib import Path

REGISTRY = Path(__file__).resolve().parents[2] / "data" / "registry.toml"
TIMEOUT = (10, 20)  # seconds to connect, and without a byte
ATTEMPTS = 3  # for each mirror
PAUSE = 1.0  # seconds before the second attempt; doubled each time
CHUNK = 1 << 14  # bytes; less than this is lost when a transfer breaks off


class Unavailable(RuntimeError):
    """A set is neither in the cache nor reachable. The message is one line and names what works without a network."""

    def _render_traceback_(self):  # what a notebook shows
        return [f"Unavailable: {self}"]


@functools.cache
def registry():
    """What can be downloaded: ``{name: {"sha256", "bytes", "urls", "offline"}}``."""
    return tomllib.loads(REGISTRY.read_text(encoding="utf-8"))


def folders(folder=None):
    """Where files are looked for, in order.

    Parameters
    ----------
    folder : path-like or str, optional
        In place of ``COURSE_DATA``; it may be several, separated by ``os.pathsep``.

    Returns
    -------
    list of Path
    """
    import pooch

    named = str(folder) if folder is not None else os.environ.get("COURSE_DATA", "")
    found = [Path(part).expanduser().resolve() for part in named.split(os.pathsep) if part]
    return found or [Path(pooch.os_cache("deep-learning-by-doing"))]


def fetch(name, download=None, folder=None, progress=True):
    """The path of a verified file of the registry, downloaded if need be.

    Parameters
    ----------
    name : str
        A name of the registry, such as ``"cifar-10-python.tar.gz"``.
    download : bool, optional
        Whether the network may be used. Default: unless ``COURSE_OFFLINE`` is 1.
    folder : path-like or str, optional
        In place of ``COURSE_DATA``.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the registry has no such name.
    Unavailable
        If the file is not there and cannot be had.
    """
    import pooch

    if name not in registry():
        raise ValueError(f"{name!r} is not in the registry; there are {', '.join(registry())}")
    entry = registry()[name]
    places = folders(folder)
    for place in places:
        path = place / name
        if path.is_file() and pooch.file_hash(str(path)) == entry["sha256"]:
            return path
    if download is None:
        download = os.environ.get("COURSE_OFFLINE", "") != "1"
    if not download:
        raise _unavailable(name, f"not in {_list(places)}, and downloads are switched off")
    for place in places:
        path = place / name
        if _can_write(path.parent):
            return _download(name, entry, path, progress)
    raise _unavailable(name, f"not in {_list(places)}, where nothing can be written either")


def _unavailable(name, why):
    offline = registry()[name]["offline"]
    return Unavailable(f"{name} cannot be had: {why}. Without a network, use datasets.{offline}().")


def _list(places):
    return " or ".join(map(str, places))


def _can_write(folder):
    """Whether a file can be made in ``folder``, which is made if need be. (Asking the permissions is not enough.)"""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _download(name, entry, path, progress):
    """Try every address until one gives the right file; two processes take turns."""
    import pooch
    import requests
    from filelock import FileLock

    pooch.get_logger().setLevel(logging.WARNING)
    known, reason = f"sha256:{entry['sha256']}", "there is no address"
    with FileLock(path.with_name(path.name + ".lock")):
        for url in entry["urls"]:
            for attempt in range(ATTEMPTS):
                if attempt:
                    time.sleep(PAUSE * 2 ** (attempt - 1))
                transfer = _Transfer(path.with_name(path.name + ".part"), entry["bytes"], progress)
                try:
                    # pooch looks into the cache again: another process may have been faster.
                    return Path(pooch.retrieve(url, known, path.name, str(path.parent), downloader=transfer))
                except requests.HTTPError as error:
                    reason = f"{_host(url)} answers {error.response.status_code}"
                    if error.response.status_code < 500:
                        break  # asking again would not help; the next mirror may
                except (requests.RequestException, OSError) as error:
                    reason = f"{_host(url)} does not deliver it ({type(error).__name__})"
                except ValueError:  # pooch: the hash differs
                    reason = f"{_host(url)} delivers another file (its SHA-256 differs)"
    raise _unavailable(name, reason)


def _host(url):
    return url.split("/")[2]


class _Transfer:
    """A downloader for pooch that keeps what has arrived in ``part`` and asks only for the rest."""

    def __init__(self, part, size, progress):
        self.part, self.size, self.progress = part, size, progress

    def __call__(self, url, output_file, pooch):
        import requests

        done = self.part.stat().st_size if self.part.exists() else 0
        if done >= self.size:  # too long, or complete and yet not taken: begin again
            done = 0
        # identity: the file as it is, so that bytes on the wire are bytes of the file
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:  # the server has less than we have: what we have is not this file
                self.part.unlink()
            response.raise_for_status()
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            if response.status_code != 206 or not resumed:
                done = 0
            with self.part.open("ab" if done else "wb") as file, self._bar(done) as bar:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
                    done += len(chunk)
                    if done > self.size:
                        break  # not our file, and perhaps endless; the hash will say so
        if done < self.size:
            raise requests.ConnectionError(f"{done:,} of {self.size:,} bytes arrived")
        shutil.move(self.part, output_file)  # pooch compares its hash, then moves it into place

    def _bar(self, done):
        if not self.progress:
            return contextlib.nullcontext(_NoBar())
        from tqdm.auto import tqdm

        return tqdm(total=self.size, initial=done, unit="B", unit_scale=True, desc=self.part.stem)


class _NoBar:
    def update(self, n):
        pass
