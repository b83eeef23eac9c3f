"""The data: drawn ones are what they say; downloads survive a bad server; files are read without being trusted."""

import contextlib
import gzip
import hashlib
import http.server
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import threading
import time

import numpy as np
import pytest

from course_lib import datasets
from course_lib.datasets import coloured_shapes, download, formats
from course_lib.datasets.__main__ import main

# ---- a server that misbehaves ----------------------------------------------------------------------------------------


class Server:
    """Serves files on loopback. ``plan`` says how each request in turn is answered; then all are answered well."""

    def __init__(self):
        self.files, self.plan, self.requests = {}, [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                how = outer.plan.pop(0) if outer.plan else "well"
                wanted = self.headers.get("Range", "")
                outer.requests.append((self.path, wanted, how))
                getattr(self, how)(outer.files.get(self.path), wanted)

            def well(self, body, wanted):
                if body is None:
                    return self.missing(body, wanted)
                start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
                if start >= len(body) > 0:
                    self.send_response(416)
                    self.end_headers()
                    return None
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                return self._send(body[start:])

            def _send(self, body, announced=None):
                self.send_header("Content-Length", str(len(body) if announced is None else announced))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def without_resuming(self, body, wanted):
                self.send_response(200)
                self._send(body)

            def truncated(self, body, wanted):
                self.send_response(200)
                self._send(body[: len(body) // 2], announced=len(body))

            def truncated_and_silent_about_it(self, body, wanted):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])

            def corrupted(self, body, wanted):
                self.send_response(200)
                self._send(body[:-1] + bytes([body[-1] ^ 1]))

            def longer(self, body, wanted):
                self.send_response(200)
                self._send(body + b"more" * 100_000)

            def stalled(self, body, wanted):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                time.sleep(1.5)

            def missing(self, body, wanted):
                self.send_error(404)

            def busy(self, body, wanted):
                self.send_error(503)

            def redirected(self, body, wanted):
                self.send_response(302)
                self.send_header("Location", self.path)
                self.end_headers()

            def redirected_forever(self, body, wanted):
                outer.plan.insert(0, "redirected_forever")
                self.redirected(body, wanted)

            def web_page(self, body, wanted):  # what a hotel's network answers to everything
                self.send_response(200)
                self._send(b"<html>Please sign in</html>")

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server, an empty cache in tmp_path/cache, a registry of one file with two mirrors, and short patience."""
    server = Server()
    body = np.random.default_rng(0).bytes(200_000)
    server.files = {"/a": body, "/b": body}
    entry = {
        "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "offline": "shapes",
        "urls": [f"{server.address}/a", f"{server.address}/b"],
    }  # fmt: skip
    monkeypatch.setattr(download, "registry", lambda: {"set/file.bin": entry})
    monkeypatch.setattr(download, "TIMEOUT", (1, 0.5))
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.body, server.entry = body, entry
    yield server
    server.http.shutdown()
    server.http.server_close()


def fetch(**options):
    return download.fetch("set/file.bin", progress=False, **options)


def ranges(server):
    return [(path, wanted) for path, wanted, _ in server.requests]


def test_a_file_is_fetched_once_and_then_comes_from_the_cache(server, tmp_path):
    path = fetch()
    assert path == tmp_path / "cache/set/file.bin" and path.read_bytes() == server.body
    assert fetch(download=False) == path
    assert len(server.requests) == 1
    assert sorted(p.name for p in path.parent.iterdir() if p.suffix != ".lock") == ["file.bin"]


@pytest.mark.parametrize("how", ["truncated", "truncated_and_silent_about_it", "stalled"])
def test_an_interrupted_transfer_is_taken_up_where_it_stopped(server, how):
    server.plan = [how]
    assert fetch().read_bytes() == server.body
    (first, second), half = ranges(server), len(server.body) // 2
    assert first == ("/a", "") and second[0] == "/a"
    assert half - download.CHUNK <= int(second[1].removeprefix("bytes=").removesuffix("-")) <= half


def test_a_transfer_that_another_run_left_unfinished_is_taken_up(server, tmp_path):
    part = tmp_path / "cache/set/file.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.body[:12_345])
    assert fetch().read_bytes() == server.body
    assert ranges(server) == [("/a", "bytes=12345-")]
    assert not part.exists()


def test_a_server_that_cannot_resume_sends_the_file_from_the_beginning(server):
    server.plan = ["truncated", "without_resuming"]
    assert fetch().read_bytes() == server.body


@pytest.mark.parametrize("how", ["corrupted", "longer", "web_page"])
def test_a_wrong_file_is_never_kept_and_is_asked_for_again(server, how):
    server.plan = [how]
    assert fetch().read_bytes() == server.body
    assert len(server.requests) >= 2


def test_leftovers_of_another_file_do_not_spoil_the_download(server, tmp_path):
    part = tmp_path / "cache/set/file.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert fetch().read_bytes() == server.body
    part.write_bytes(b"x" * (len(server.body) + 1))
    (tmp_path / "cache/set/file.bin").unlink()
    assert fetch().read_bytes() == server.body


def test_a_damaged_file_in_the_cache_is_replaced(server, tmp_path):
    path = fetch()
    path.write_bytes(b"damaged")
    assert fetch().read_bytes() == server.body


def test_a_missing_file_sends_to_the_next_mirror_at_once(server):
    server.plan = ["missing"]
    assert fetch().read_bytes() == server.body
    assert ranges(server) == [("/a", ""), ("/b", "")]


def test_a_busy_server_is_asked_again_before_the_next_mirror(server):
    server.plan = ["busy"] * download.ATTEMPTS
    assert fetch().read_bytes() == server.body
    assert [path for path, _, _ in server.requests] == ["/a"] * download.ATTEMPTS + ["/b"]


def test_a_redirection_is_followed_and_a_circle_is_left(server):
    server.plan = ["redirected"]
    assert fetch().read_bytes() == server.body
    (download.folders()[0] / "set/file.bin").unlink()
    server.plan = ["redirected_forever"]
    with pytest.raises(download.Unavailable, match="TooManyRedirects"):
        fetch()


@pytest.mark.parametrize(
    ("how", "says"),
    [("missing", "answers 404"), ("busy", "answers 503"), ("corrupted", "SHA-256 differs"), ("stalled", "not deliver")],
)
def test_what_cannot_be_had_says_so_in_one_line_and_names_the_offline_set(server, monkeypatch, how, says):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.plan = [how] * 10
    with pytest.raises(download.Unavailable, match=says) as error:
        fetch()
    message = str(error.value)
    assert "\n" not in message and "datasets.shapes()" in message and "set/file.bin" in message
    assert error.value._render_traceback_() == [f"Unavailable: {message}"]
    assert not (download.folders()[0] / "set/file.bin").exists()


def test_a_machine_without_a_network_says_so_in_one_line(server, monkeypatch):
    server.entry["urls"] = ["http://127.0.0.1:9/nobody-listens"]
    with pytest.raises(download.Unavailable, match="does not deliver it") as error:
        fetch()
    assert "\n" not in str(error.value) and "datasets.shapes()" in str(error.value)


def test_downloads_can_be_switched_off(server, monkeypatch):
    with pytest.raises(download.Unavailable, match="switched off"):
        fetch(download=False)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(download.Unavailable, match="switched off"):
        fetch()
    assert not server.requests


def test_a_class_shares_a_folder_that_its_members_cannot_write_to(server, tmp_path, monkeypatch):
    shared, own = tmp_path / "shared", tmp_path / "own"
    fetch(folder=shared)
    monkeypatch.setattr(download, "_can_write", lambda folder: own in folder.parents)  # also true for root
    monkeypatch.setenv("COURSE_DATA", f"{shared}{os.pathsep}{own}")
    assert fetch() == shared / "set/file.bin"
    (shared / "set/file.bin").unlink()
    assert fetch() == own / "set/file.bin"
    monkeypatch.setenv("COURSE_DATA", str(shared))
    with pytest.raises(download.Unavailable, match="nothing can be written"):
        fetch()


def test_several_processes_fetch_a_file_once(server, tmp_path):
    program = (
        "import sys; from course_lib.datasets import download; entry = eval(sys.argv[1]);"
        "download.registry = lambda: {'set/file.bin': entry};"
        "print(len(download.fetch('set/file.bin', progress=False).read_bytes()))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", program, repr(server.entry)], stdout=subprocess.PIPE) for _ in range(3)
    ]
    assert [int(run.communicate(timeout=60)[0]) for run in runs] == [len(server.body)] * 3
    assert len(server.requests) == 1


def test_a_download_shows_its_progress(server, capfd):
    download.fetch("set/file.bin")
    assert "200k/200k" in capfd.readouterr().err


def test_the_registry_is_complete():
    for name, entry in download.registry().items():
        assert len(bytes.fromhex(entry["sha256"])) == 32, name
        assert entry["bytes"] > 0
        assert len(entry["urls"]) >= 2 and all(url.startswith("https://") for url in entry["urls"])
        assert callable(getattr(datasets, entry["offline"]))
    with pytest.raises(ValueError, match="cifar-10-python"):
        download.fetch("imagenet")


# ---- the formats -----------------------------------------------------------------------------------------------------


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_idx_file_is_read(tmp_path, rng, pack):
    array = rng.integers(0, 256, size=(5, 4, 3)).astype(np.uint8)
    (tmp_path / "x").write_bytes(pack(idx(array)))
    assert (formats.read_idx(tmp_path / "x", ndim=3) == array).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: b[:-1], "announces"),
        (lambda b: b + b"x", "announces"),
        (lambda b: b"\1" + b[1:], "two zero bytes"),
        (lambda b: b[:2] + b"\x0d" + b[3:], "type 0x0d"),
        (lambda b: b[:3] + b"\1" + b[4:], "1 axes, expected 3"),
        (lambda b: b[:10], "inside its header"),
        (lambda b: b"", "two zero bytes"),
        (lambda b: b[:4] + b"\xff" * 12 + b[16:], "announces"),
        (lambda b: gzip.compress(b)[:-9], "damaged gzip"),
        (lambda b: gzip.compress(b)[:-6] + b"\0\0\0\0\0\0", "damaged gzip"),
    ],
)
def test_a_file_that_is_not_exactly_idx_is_refused_with_its_reason(tmp_path, change, says):
    (tmp_path / "x").write_bytes(change(idx(np.zeros((5, 4, 3), np.uint8))))
    with pytest.raises(ValueError, match=says):
        formats.read_idx(tmp_path / "x", ndim=3)


def test_a_gzip_file_that_unpacks_without_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "LARGEST", 1000)
    (tmp_path / "x").write_bytes(gzip.compress(idx(np.zeros(5000, np.uint8))))
    with pytest.raises(ValueError, match="unpacks to more"):
        formats.read_idx(tmp_path / "x", ndim=1)


class Python2(pickle._Pickler):
    """Writes a pickle as Python 2 and NumPy 1 did, which is how CIFAR-10's own files were written."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_text(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin1")
        self.write((b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<i", len(data))) + data)
        self.memoize(value)

    def save_global(self, value, name=None):
        module = value.__module__.replace("numpy._core", "numpy.core")
        self.write(f"c{module}\n{value.__name__}\n".encode())
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_text
    dispatch[type] = dispatch[type(pickle.dumps)] = dispatch[type(lambda: 0)] = save_global


def python2(value):
    file = io.BytesIO()
    Python2(file, 2).dump(value)
    return file.getvalue()


def test_the_test_writes_what_python_2_wrote():
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in python2(np.zeros(3, np.uint8))


def modern(value):
    return pickle.dumps(value, protocol=2)


@pytest.mark.parametrize("dumps", [python2, modern])
def test_a_pickle_of_arrays_is_read(rng, dumps):
    data = rng.integers(0, 256, size=(4, 3072)).astype(np.uint8)
    found = formats.safe_unpickle(dumps({b"data": data, b"labels": [1, 2, 3, 4]}), "x")
    assert (found[b"data"] == data).all() and found[b"data"].dtype == np.uint8
    assert found[b"labels"] == [1, 2, 3, 4]


class Harmful:
    def __init__(self, function, *arguments):
        self.made_by = function, arguments

    def __reduce__(self):
        return self.made_by


@pytest.mark.parametrize(
    "value",
    [
        Harmful(os.system, "touch /tmp/this-must-not-exist"),
        Harmful(eval, "1"),
        Harmful(getattr, 1, "real"),
        Harmful(np.load, "/etc/passwd"),
        {b"data": np.zeros(3, object)},
        {b"data": np.zeros(3, np.float64)},
        {b"data": np.zeros(3, [("a", "u1")])},
        [1, 2],
    ],
)
def test_a_pickle_that_asks_for_anything_else_is_refused(value):
    with pytest.raises(ValueError, match="x is not a p"):
        formats.safe_unpickle(pickle.dumps(value, protocol=2), "x")
    assert not os.path.exists("/tmp/this-must-not-exist")


def test_damaged_pickles_are_refused(rng):
    good = python2({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]})
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(3):
            bad[rng.integers(200)] = rng.integers(256)
        with contextlib.suppress(ValueError):
            formats.safe_unpickle(bytes(bad), "x")


def cifar(path, rng, dumps, n=4, without=(), **replace):
    batches = {
        f"{name}_batch{k}": {
            b"batch_label": b"a batch",
            b"data": rng.integers(0, 256, size=(n, 3072)).astype(np.uint8),
            b"labels": [int(label) for label in rng.integers(0, 10, size=n)],
            b"filenames": [b"a.png"] * n,
        }
        for name, k in (("data", "_1"), ("data", "_2"), ("data", "_3"), ("data", "_4"), ("data", "_5"), ("test", ""))
    }
    batches["batches.meta"] = {b"label_names": [b"thing %d" % k for k in range(10)], b"num_vis": 3072}
    batches |= replace
    with tarfile.open(path, "w:gz") as archive:
        for name, batch in batches.items():
            if name not in without:
                data = dumps(batch)
                info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return batches


@pytest.mark.parametrize("dumps", [python2, modern])
def test_cifar_10_is_read_from_inside_its_archive(tmp_path, rng, dumps):
    written = cifar(tmp_path / "c.tar.gz", rng, dumps)
    train, test, classes = formats.read_cifar10(tmp_path / "c.tar.gz")
    assert train[0].shape == (20, 3, 32, 32) and test[0].shape == (4, 3, 32, 32)
    assert (train[0][4] == written["data_batch_2"][b"data"][0].reshape(3, 32, 32)).all()
    assert list(train[1][4:8]) == written["data_batch_2"][b"labels"]
    assert classes[3] == "thing 3"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"without": ["data_batch_3"]}, "no member .*data_batch_3"),
        ({"test_batch": {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}}, "test_batch: there is not one"),
        ({"test_batch": {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 10]}}, "outside 0..9"),
        ({"test_batch": {b"data": np.zeros((2, 100), np.uint8), b"labels": [1, 2]}}, "not uint8 of shape"),
        ({"test_batch": {b"labels": [1, 2]}}, "not uint8 of shape"),
        ({"batches.meta": {}}, "no list of label_names"),
    ],
)
def test_an_archive_that_is_not_cifar_10_is_refused_with_its_reason(tmp_path, rng, options, says):
    cifar(tmp_path / "c.tar.gz", rng, modern, **options)
    with pytest.raises(ValueError, match=says):
        formats.read_cifar10(tmp_path / "c.tar.gz")


def test_a_truncated_archive_is_refused(tmp_path, rng):
    cifar(tmp_path / "c.tar.gz", rng, modern)
    data = (tmp_path / "c.tar.gz").read_bytes()
    (tmp_path / "c.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="not a readable"):
        formats.read_cifar10(tmp_path / "c.tar.gz")


# ---- the sets --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_sets(server, tmp_path, rng, monkeypatch):
    """MNIST and CIFAR-10 in miniature behind the server, under their real names."""
    files = {}
    for part, n in (("train", 40), ("t10k", 10)):
        images = rng.integers(0, 256, size=(n, 28, 28)).astype(np.uint8)
        files[f"mnist/{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(images))
        files[f"mnist/{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(np.arange(n).astype(np.uint8) % 10))
    cifar(tmp_path / "c.tar.gz", rng, python2)
    files["cifar-10-python.tar.gz"] = (tmp_path / "c.tar.gz").read_bytes()
    registry = {
        name: {
            "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body),
            "offline": "digits", "urls": [f"{server.address}/{name}"],
        }
        for name, body in files.items()
    }  # fmt: skip
    server.files = {f"/{name}": body for name, body in files.items()}
    monkeypatch.setattr(download, "registry", lambda: registry)


def test_the_real_sets_are_loaded_and_split(small_sets):
    mnist = datasets.mnist()
    assert mnist.train.x.shape == (36, 1, 28, 28) and mnist.validation.x.shape == (4, 1, 28, 28)
    assert mnist.test.x.shape == (10, 1, 28, 28) and list(mnist.validation.y) == [6, 7, 8, 9]
    cifar10 = datasets.cifar10()
    assert [len(split.y) for split in (cifar10.train, cifar10.validation, cifar10.test)] == [18, 2, 4]
    assert datasets.load("digits", real=True).name == "MNIST"


def test_an_environment_variable_puts_the_real_set_in_place_of_the_offline_one(small_sets, monkeypatch):
    assert datasets.load("digits").name == "digits"
    monkeypatch.setenv("COURSE_REAL_DATA", "1")
    assert datasets.load("digits").name == "MNIST"
    assert datasets.load("shapes").name == "CIFAR-10"
    with pytest.raises(ValueError, match="shapes, digits"):
        datasets.load("faces")


def test_sets_can_be_fetched_ahead_of_a_class(small_sets, tmp_path, monkeypatch, capsys):
    assert main(["mnist", "cifar10", "--folder", str(tmp_path / "class")]) == 0
    assert "MNIST" in capsys.readouterr().out and (tmp_path / "class/cifar-10-python.tar.gz").exists()
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert main(["mnist", "--folder", str(tmp_path / "empty")]) == 1
    assert "datasets.digits()" in capsys.readouterr().err


def test_shapes_come_from_their_seed_and_each_split_from_its_own_stream():
    data = datasets.shapes(60, 20, 30)
    again, more = datasets.shapes(60, 20, 30), datasets.shapes(80, 20, 30)
    assert (data.train.x == again.train.x).all() and (data.test.x == more.test.x).all()
    assert (datasets.shapes(60, 20, 30, seed=1).train.x != data.train.x).any()
    assert data.train.x.shape == (60, 3, 32, 32) and data.train.x.dtype == np.uint8
    assert (np.bincount(data.train.y) == 6).all()
    assert "60 train, 20 validation, 30 test; 3×32×32, 0..255, 10 classes" in repr(data)


def test_each_class_of_shapes_is_another_shape():
    """Seen with the same pose, light and colours, any two classes differ in many pixels."""
    pictures = [coloured_shapes.draw(np.array([label]), np.random.default_rng(3))[0] for label in range(10)]
    for a in range(10):
        for b in range(a):
            assert (np.abs(pictures[a].astype(int) - pictures[b]).max(axis=0) > 40).sum() > 15, (a, b)


def test_shapes_are_what_they_were():
    """The figures of the chapters depend on the set; a change of it should be a decision."""
    x = datasets.shapes(200, 0, 0).train.x
    assert x.mean() == pytest.approx(78.436, abs=0.02)
    assert x[7, :, 10, 10] == pytest.approx(np.array([194, 181, 109]), abs=2)


def test_digits_are_split_once_and_for_all():
    data = datasets.digits()
    assert [len(split.y) for split in (data.train, data.validation, data.test)] == [1197, 300, 300]
    assert data.train.x.shape[1:] == (1, 8, 8) and data.train.x.max() == data.white == 16
    assert (datasets.digits().test.y == data.test.y).all()
    everything = np.concatenate([split.x for split in (data.train, data.validation, data.test)]).reshape(1797, 64)
    from sklearn.datasets import load_digits

    assert (np.sort(everything @ np.arange(64)) == np.sort(load_digits().data @ np.arange(64))).all()


def test_photographs_are_in_colour():
    assert {name: photo.shape for name, photo in datasets.photographs().items()} == dict.fromkeys(
        ("china", "flower"), (427, 640, 3)
    )
