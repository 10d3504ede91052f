"""`tito data` against a server on this machine that breaks off, stalls and lies; and the datasets as they are."""

import gzip
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tito.errors import ProjectError
from tito.services import data as service

REPOSITORY = Path(__file__).resolve().parents[2]
CONTENTS = {name: random.Random(name).randbytes(size) for name, size in (("one", 200_000), ("two", 5_000))}
PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}
RECORDS = {
    name: b"".join(bytes([i % 10]) + random.Random(f"{name}{i}").randbytes(3072) for i in range(20))
    for name in ("a.bin", "b.bin")
}


def tar(members, kind=tarfile.REGTYPE):
    """A tar.gz of {path: bytes}."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            member.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVE = tar({"inner/readme.html": b"hello", **{f"inner/{name}": content for name, content in RECORDS.items()}})

FILES = ", ".join(
    f"File('{name}.gz', {len(content)}, {hashlib.sha256(content).hexdigest()!r})" for name, content in CONTENTS.items()
)
TINY = f"""

DATASETS["mnist"] = Dataset(
    "mnist", "tiny", ({FILES}),
    mirrors=("http://127.0.0.1:9/",),
)
DATASETS["cifar10"] = Dataset(
    "cifar10", "tiny", ({", ".join(f"File({n!r}, {len(c)}, None)" for n, c in RECORDS.items())}),
    mirrors=("http://127.0.0.1:9/",),
    archive=Archive("c.tar.gz", {len(ARCHIVE)}, {hashlib.md5(ARCHIVE).hexdigest()!r}, "inner"), per_class=4,
)
"""


# what a server may do with a request: functions of the handler and the content


def honest(handler, content, *, tag='"v1"', ranges=True, send=None, announce=None, drip=None):
    """Answers as a good server does. send: closes after so many bytes; announce: another length than the true one."""
    start, wanted = 0, handler.headers.get("Range")
    if ranges and wanted and handler.headers.get("If-Range", tag) == tag:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start > len(content):
        handler.send_error(416)
        return
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if tag:
        handler.send_header("ETag", tag)
    length = len(content) - start if announce is None else announce
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
    body = content[start:][:send]
    if drip:
        for i in range(len(body)):
            handler.wfile.write(body[i : i + 1])
            handler.wfile.flush()
            time.sleep(drip)
    handler.wfile.write(body)


def doing(**settings):
    return lambda handler, content: honest(handler, content, **settings)


def answering(status):
    return lambda handler, content: handler.send_error(status)


def stalling(after):
    def behave(handler, content):
        honest(handler, content, send=after)
        handler.wfile.flush()
        handler.server.released.wait(20)

    return behave


def other_content(handler, content):
    honest(handler, gzip.compress(b"x" * 1000) if content in PACKED.values() else content[::-1])


def endless(handler, content):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(500):
        handler.wfile.write(bytes(10_000))


class Server:
    """Serves the tiny files; `does[name]` lists behaviours, one a request, the last one for all further."""

    def __init__(self):
        server = self
        self.does = {}
        self.requests = []
        self.files = {**{f"mnist/{name}": content for name, content in PACKED.items()}, "cifar10/c.tar.gz": ARCHIVE}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802 - the library's name
                name = self.path.lstrip("/")
                server.requests.append((name, self.headers.get("Range"), self.headers.get("If-Range")))
                if name not in server.files:
                    self.send_error(404)
                    return
                steps = server.does.get(name, [honest])
                behave = steps.pop(0) if len(steps) > 1 else steps[0]
                with suppress(OSError):  # the other side has gone
                    behave(self, server.files[name])

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def asked(self, name):
        return [wanted for asked, wanted, _ in self.requests if asked == name]

    def close(self):
        self.http.released.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@dataclass(frozen=True)
class Outcome:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self):
        return json.loads(self.stdout)


class Shop:
    """A tiny course whose datasets are tiny, and a cache of its own."""

    def __init__(self, root, cache, server):
        self.root = root
        self.cache = cache
        self.server = server
        path = root / "tito" / "services" / "data.py"
        path.write_text(path.read_text(encoding="utf-8") + TINY, encoding="utf-8")

    def start(self, *args, **environment):
        env = {
            **os.environ, "PYTHONPATH": str(self.root), "PYTHONUTF8": "1", "TINYTORCH_DATA": str(self.cache),
            "TINYTORCH_MIRROR": self.server.url, "no_proxy": "*", **environment,
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "tito", "data", *map(str, args)], cwd=self.root, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip

    def finish(self, process):
        stdout, stderr = process.communicate(timeout=60)
        return Outcome(process.returncode, stdout, stderr)

    def tito(self, *args, **environment):
        return self.finish(self.start(*args, **environment))

    def fetch(self, name="mnist", *args, **environment):
        return self.tito("fetch", name, "--timeout", "0.5", *args, **environment)

    def files(self, dataset="mnist"):
        """What lies in the cache for others to read."""
        folder = self.cache / dataset
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}

    def parts(self):
        folder = self.cache / ".parts"
        return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.fixture
def shop(mini_course, tmp_path, server):
    return Shop(mini_course, tmp_path / "cache", server)


def fails(outcome, code, *fragments):
    """An error of the environment, with all of its parts."""
    assert outcome.exit_code == 3, outcome.stdout + outcome.stderr
    for fragment in fragments:
        assert fragment in outcome.stderr, outcome.stderr
    assert outcome.stderr.startswith("error: ") and "\n  next: tito data fetch" in outcome.stderr


# when all goes well


def test_a_dataset_is_fetched_checked_and_listed(shop, server):
    assert [one["state"] for one in shop.tito("list", "--json").document["data"]["datasets"]] == ["absent"] * 3
    outcome = shop.fetch("mnist", "--json")
    assert outcome.exit_code == 0, outcome.stdout
    data = outcome.document["data"]
    assert (data["name"], data["folder"]) == ("mnist", str(shop.cache / "mnist"))
    assert [file["name"] for file in data["files"]] == ["one.gz", "two.gz"]
    assert {(file["state"], file["checked"]) for file in data["files"]} == {("downloaded", "sha256")}
    assert data["files"][0]["source"] == f"{server.url}/mnist/one.gz"
    assert shop.files() == PACKED
    assert shop.parts() == []

    listed = shop.tito("list", "--json").document["data"]
    assert listed["folder"] == str(shop.cache)
    assert [one["state"] for one in listed["datasets"]] == ["ready", "absent", "absent"]

    before = len(server.requests)
    again = shop.fetch("mnist", "--json").document["data"]
    assert {file["state"] for file in again["files"]} == {"present"}
    assert len(server.requests) == before, "what is there is not fetched"


def test_in_a_pipe_there_are_lines(shop, server):
    outcome = shop.fetch()
    assert outcome.exit_code == 0 and outcome.stderr == ""
    assert f"one.gz from {server.url}/mnist/one.gz" in outcome.stdout
    assert f"mnist is ready in {shop.cache / 'mnist'}" in outcome.stdout
    assert "\x1b" not in outcome.stdout and "\r" not in outcome.stdout


def test_no_project_is_needed(shop, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shop_root, shop.root = shop.root, tmp_path / "elsewhere"
    try:
        assert shop.tito("list", PYTHONPATH=str(shop_root)).exit_code == 0
    finally:
        shop.root = shop_root


# breaks


def test_a_download_that_breaks_off_goes_on_where_it_was(shop, server):
    server.does["mnist/one.gz"] = [doing(send=70_000), doing(send=60_000), honest]
    outcome = shop.fetch()
    assert outcome.exit_code == 0, outcome.stderr
    assert server.asked("mnist/one.gz") == [None, "bytes=70000-", "bytes=130000-"]
    assert {condition for name, wanted, condition in server.requests if wanted} == {'"v1"'}
    assert "broke off after 70000 of" in outcome.stdout
    assert shop.files() == PACKED


def test_what_is_kept_after_a_failure_is_used_by_the_next_try(shop, server):
    server.does["mnist/one.gz"] = [doing(send=70_000), answering(500)]
    fails(shop.fetch(), "network", "one.gz", server.url, "500", "70000 bytes are kept")
    assert shop.files() == {}
    assert [one["state"] for one in shop.tito("list", "--json").document["data"]["datasets"]][0] == "incomplete"
    server.does.clear()
    server.requests.clear()
    assert shop.fetch().exit_code == 0
    assert server.asked("mnist/one.gz") == ["bytes=70000-"]
    assert shop.files() == PACKED and shop.parts() == []


def test_a_server_that_knows_no_ranges_starts_again(shop, server):
    server.does["mnist/one.gz"] = [doing(send=70_000, ranges=False), doing(ranges=False)]
    assert shop.fetch().exit_code == 0
    assert shop.files() == PACKED


def test_a_file_that_changed_in_between_is_not_glued_to_the_old_part(shop, server):
    server.files["mnist/one.gz"] = bytes(len(PACKED["one.gz"]))
    server.does["mnist/one.gz"] = [doing(send=70_000, tag='"old"'), answering(404)]
    fails(shop.fetch(), "network", "404")
    server.files["mnist/one.gz"] = PACKED["one.gz"]
    server.does.clear()
    assert shop.fetch().exit_code == 0
    assert shop.files() == PACKED


def test_a_part_that_turns_out_wrong_is_fetched_from_the_beginning(shop, server):
    server.files["mnist/one.gz"] = bytes(len(PACKED["one.gz"]))
    server.does["mnist/one.gz"] = [doing(send=70_000, tag=None), answering(404)]
    fails(shop.fetch(), "network", "404")
    server.files["mnist/one.gz"] = PACKED["one.gz"]
    server.does["mnist/one.gz"] = [doing(tag=None)]
    server.requests.clear()
    outcome = shop.fetch()
    assert outcome.exit_code == 0, outcome.stderr
    assert "from the beginning" in outcome.stdout
    assert server.asked("mnist/one.gz") == ["bytes=70000-", None]
    assert shop.files() == PACKED


def test_a_killed_fetch_leaves_nothing_in_the_way(shop, server):
    server.does["mnist/one.gz"] = [stalling(70_000), honest]
    process = shop.start("fetch", "mnist", "--timeout", "20")
    wait_for(lambda: any(path.suffix == ".part" and path.stat().st_size == 70_000 for path in shop.parts()))
    process.kill()
    shop.finish(process)
    assert shop.files() == {}
    assert shop.fetch().exit_code == 0
    assert server.asked("mnist/one.gz") == [None, "bytes=70000-"]
    assert shop.files() == PACKED and shop.parts() == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child")
def test_ctrl_c_keeps_what_has_come(shop, server):
    server.does["mnist/one.gz"] = [stalling(70_000), honest]
    process = shop.start("fetch", "mnist", "--timeout", "20")
    wait_for(lambda: any(path.suffix == ".part" and path.stat().st_size == 70_000 for path in shop.parts()))
    process.send_signal(signal.SIGINT)
    outcome = shop.finish(process)
    assert outcome.exit_code == 130
    assert "kept" in outcome.stderr and "tito data fetch mnist" in outcome.stderr
    assert shop.fetch().exit_code == 0
    assert server.asked("mnist/one.gz")[-1] == "bytes=70000-"


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(FileNotFoundError):  # it has just been renamed
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


# stalls and lies


def test_a_server_that_stalls_is_left(shop, server):
    server.does["mnist/one.gz"] = [stalling(70_000), stalling(0)]
    begin = time.monotonic()
    fails(shop.fetch(), "network", "nothing came for 0.5 seconds", "70000 bytes are kept")
    assert time.monotonic() - begin < 20
    assert shop.files() == {}


def test_a_server_that_drips_is_left(shop, server):
    server.does["mnist/one.gz"] = [doing(drip=0.05)]
    begin = time.monotonic()
    fails(shop.fetch(), "network", "bytes came in")
    assert time.monotonic() - begin < 20


def test_a_server_that_announces_more_than_it_has(shop, server):
    whole = len(PACKED["one.gz"])
    server.does["mnist/one.gz"] = [doing(announce=whole + 100, ranges=False)]
    fails(shop.fetch(), "network", f"broke off after {whole} of {whole + 100} bytes")
    assert shop.files() == {}


def test_a_server_that_announces_less_than_it_has(shop, server):
    server.does["mnist/one.gz"] = [doing(announce=50_000)]
    fails(shop.fetch(), "hash", "one.gz", "expected intact gzip", "removed", server.url)
    assert shop.files() == {} and shop.parts() == []


def test_wrong_content_says_what_was_expected_and_what_came(shop, server):
    server.does["mnist/two.gz"] = [other_content]
    outcome = shop.fetch()
    fails(outcome, "hash", "two.gz", f"{server.url}/mnist/two.gz", "expected 5000 bytes", "found 1000", "--from PATH")
    assert shop.files() == {"one.gz": PACKED["one.gz"]} and shop.parts() == []
    same_size = gzip.compress(CONTENTS["two"][::-1])
    server.does["mnist/two.gz"] = [lambda handler, content: honest(handler, same_size)]
    sums = [hashlib.sha256(content).hexdigest() for content in (CONTENTS["two"], CONTENTS["two"][::-1])]
    document = shop.fetch("mnist", "--json").document
    assert document["error"]["code"] == "hash" and document["data"] is None
    assert all(sum_ in document["error"]["message"] for sum_ in sums)


@pytest.mark.parametrize("behave", [endless, doing(announce=10**9)])
def test_more_than_can_be_right_is_refused(shop, server, behave):
    server.does["mnist/two.gz"] = [behave]
    fails(shop.fetch(), "network", "two.gz", "expected")
    assert not [path for path in shop.parts() if path.stat().st_size > 10_000]


def test_a_bomb_is_not_unpacked_to_its_end(shop, server):
    server.files["mnist/two.gz"] = gzip.compress(bytes(300_000_000), 1)[: 1 << 20]
    fails(shop.fetch(), "hash", "two.gz", "found more than 5000")


# no server


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (500, 3), (503, 3)])
def test_refusals_are_reported_and_only_those_of_the_moment_tried_again(shop, server, status, requests):
    server.does["mnist/one.gz"] = [answering(status)]
    fails(shop.fetch(), "network", f"answers {status}", server.url)
    assert len(server.asked("mnist/one.gz")) == requests


def test_a_passing_trouble_passes(shop, server):
    server.does["mnist/one.gz"] = [answering(503), honest]
    assert shop.fetch().exit_code == 0


def test_without_a_network(shop):
    outcome = shop.fetch("mnist", "--json", TINYTORCH_MIRROR="http://127.0.0.1:9")
    assert outcome.exit_code == 3
    error = outcome.document["error"]
    assert error["code"] == "network"
    assert "http://127.0.0.1:9/mnist/one.gz: no connection" in error["message"]
    assert "tito data fetch mnist --from PATH" in error["hint"]


@pytest.mark.parametrize("mirror", ["ftp://host", "nonsense", "http://[", "http://a b"])
def test_a_mirror_that_is_no_address(shop, mirror):
    fails(shop.fetch(TINYTORCH_MIRROR=mirror), "network", mirror)


def test_the_next_mirror_is_asked(shop, server):
    path = shop.root / "tito" / "services" / "data.py"
    text = path.read_text(encoding="utf-8")
    mirrors = f'("{server.url}/nothing/", "{server.url}/mnist/")'
    path.write_text(text.replace('("http://127.0.0.1:9/",)', mirrors, 1), encoding="utf-8")
    outcome = shop.fetch(TINYTORCH_MIRROR="")
    assert outcome.exit_code == 0, outcome.stderr
    assert [name for name, _, _ in server.requests][:2] == ["nothing/one.gz", "mnist/one.gz"]


# the cache


def test_a_damaged_file_in_the_cache_is_fetched_again(shop, server):
    assert shop.fetch().exit_code == 0
    bad = bytearray(PACKED["one.gz"])
    bad[1000] ^= 1
    (shop.cache / "mnist" / "one.gz").write_bytes(bad)
    server.requests.clear()
    outcome = shop.fetch()
    assert outcome.exit_code == 0
    assert "damaged" in outcome.stdout
    assert server.asked("mnist/two.gz") == [] and shop.files() == PACKED


def test_two_at_once_do_not_disturb_each_other(shop, server):
    server.does["mnist/one.gz"] = [doing(drip=None), honest]
    running = [shop.start("fetch", "mnist", "--timeout", "5") for _ in range(3)]
    assert [shop.finish(process).exit_code for process in running] == [0, 0, 0]
    assert len(server.asked("mnist/one.gz")) == 1
    assert shop.files() == PACKED and shop.parts() == []


def test_a_cache_that_is_a_file(shop):
    shop.cache.write_text("not a folder", encoding="utf-8")
    outcome = shop.fetch()
    assert outcome.exit_code == 3
    assert str(shop.cache) in outcome.stderr and "TINYTORCH_DATA" in outcome.stderr
    assert shop.cache.read_text(encoding="utf-8") == "not a folder"


def test_tito_and_module_08_look_in_the_same_folder(monkeypatch, tmp_path):
    dataloader = pytest.importorskip("tinytorch.core.dataloader")
    for value in (None, str(tmp_path / "here"), "~/there"):
        for platform in ("linux", "darwin", "win32"):
            monkeypatch.setattr(sys, "platform", platform)
            monkeypatch.setenv("TINYTORCH_DATA", value or "")
            for cache in ("", str(tmp_path / "xdg")):
                monkeypatch.setenv("XDG_CACHE_HOME", cache)
                monkeypatch.setenv("LOCALAPPDATA", cache)
                assert service.data_folder() == dataloader.data_folder()


# files that are here already


def test_files_from_a_folder_compressed_or_not(shop, tmp_path, server):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "one").write_bytes(CONTENTS["one"])
    (mine / "two.gz").write_bytes(PACKED["two.gz"])
    outcome = shop.fetch("mnist", "--from", mine, "--json")
    assert outcome.exit_code == 0, outcome.stdout
    assert [file["state"] for file in outcome.document["data"]["files"]] == ["copied", "copied"]
    assert shop.files() == {"one": CONTENTS["one"], "two.gz": PACKED["two.gz"]}
    assert server.requests == [] and shop.parts() == []
    assert shop.tito("list", "--json").document["data"]["datasets"][0]["state"] == "ready"


def test_wrong_files_from_a_folder_change_nothing(shop, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "one").write_bytes(CONTENTS["one"])
    (mine / "two").write_bytes(CONTENTS["two"][:-1] + b"!")
    fails(shop.fetch("mnist", "--from", mine), "hash", str(mine / "two"), "expected sha256", "found")
    assert shop.files() == {} and shop.parts() == []


def test_a_folder_for_each_file_is_looked_into(shop, tmp_path):
    for name in ("one", "two"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        (tmp_path / "mine" / name / name).write_bytes(CONTENTS[name])
    assert shop.fetch("mnist", "--from", tmp_path / "mine").exit_code == 0
    assert shop.files() == CONTENTS


def test_a_file_that_a_program_renamed_is_named_with_its_right_name(shop, tmp_path, server):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "two").write_bytes(CONTENTS["two"])
    (mine / "O.ne").write_bytes(CONTENTS["one"])
    outcome = shop.fetch("mnist", "--from", mine)
    assert outcome.exit_code == 2
    assert f"{mine} does not hold one.gz or one; rename {mine / 'O.ne'} to one\n" in outcome.stderr
    assert shop.files() == {}
    (shop.cache / "mnist" / "t-wo.gz").write_bytes(PACKED["two.gz"])
    text = " ".join(shop.fetch("mnist").stdout.split())
    assert f"does not hold two.gz or two; rename {shop.cache / 'mnist' / 't-wo.gz'} to two.gz" in text


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("fetch", "nonsense"), ("there is no dataset 'nonsense'", "mnist, cifar10, digits", "next: tito data list")),
        (("fetch", "mnist", "--from", "/does/not/exist"), ("/does/not/exist does not exist",)),
        (("fetch", "mnist", "--from", REPOSITORY / "tito"), ("does not hold one.gz or one",)),
        (("fetch", "mnist", "--from", REPOSITORY / "README.md"), ("is not a folder",)),
        (("fetch",), ("Missing argument 'NAME'",)),
        (("fetch", "mnist", "--timeout", "0"), ("--timeout",)),
        ((), ("Missing command",)),
    ],
)
def test_wrong_usage(shop, arguments, fragments):
    outcome = shop.tito(*arguments)
    assert outcome.exit_code == 2, outcome.stderr
    for fragment in fragments:
        assert fragment in outcome.stderr
    assert "\n  next: tito data" in outcome.stderr
    assert shop.tito(*arguments, "--json").document["error"]["code"] == "usage"


# archives


def test_an_archive_is_unpacked_and_checked(shop, server):
    outcome = shop.fetch("cifar10", "--json")
    assert outcome.exit_code == 0, outcome.stdout
    found = shop.files("cifar10")
    sums = found.pop(service.SUMS).decode()
    assert found == RECORDS
    assert all(f"{hashlib.sha256(content).hexdigest()}  {name}" in sums for name, content in RECORDS.items())
    assert shop.parts() == []

    bad = bytearray(RECORDS["a.bin"])
    bad[5000] ^= 1  # a pixel
    (shop.cache / "cifar10" / "a.bin").write_bytes(bad)
    assert "damaged (expected sha256" in shop.fetch("cifar10").stdout
    assert shop.files("cifar10")["a.bin"] == RECORDS["a.bin"]


def test_an_archive_with_another_sum_is_not_opened(shop, server):
    server.does["cifar10/c.tar.gz"] = [other_content]
    fails(shop.fetch("cifar10"), "hash", "expected md5", hashlib.md5(ARCHIVE).hexdigest(), "found")
    assert shop.files("cifar10") == {} and shop.parts() == []


def test_an_archive_from_the_disk(shop, tmp_path):
    (tmp_path / "c.tar.gz").write_bytes(ARCHIVE)
    assert shop.fetch("cifar10", "--from", tmp_path / "c.tar.gz").exit_code == 0
    assert shop.files("cifar10")["b.bin"] == RECORDS["b.bin"]
    (tmp_path / "bad.tar.gz").write_bytes(ARCHIVE[:-100])
    (shop.cache / "cifar10" / "b.bin").unlink()
    fails(shop.fetch("cifar10", "--from", tmp_path / "bad.tar.gz"), "hash", "bad.tar.gz", "expected md5")


def test_unpacked_records_from_the_disk_are_checked_by_their_structure(shop, tmp_path):
    mine = tmp_path / "mine" / "inner"
    mine.mkdir(parents=True)
    for name, content in RECORDS.items():
        (mine / name).write_bytes(content)
    outcome = shop.fetch("cifar10", "--from", tmp_path / "mine", "--json")
    assert {file["checked"] for file in outcome.document["data"]["files"]} == {"records and labels"}

    service_root = shop.cache / "cifar10"
    for damage, words in (
        (b"\x0b", "expected a label from 0 to 9 at byte 3073, found 11"),
        (b"\x00", "expected 4 images of each class, found {0: 5, 1: 3}"),
    ):
        for path in service_root.iterdir():
            path.unlink()
        (mine / "a.bin").write_bytes(RECORDS["a.bin"][:3073] + damage + RECORDS["a.bin"][3074:])
        fails(shop.fetch("cifar10", "--from", tmp_path / "mine"), "hash", words)
        assert shop.files("cifar10") == {} and shop.parts() == []
    (mine / "a.bin").write_bytes(RECORDS["a.bin"][:-3073])
    words = f"{len(RECORDS['a.bin']) // 3073} records of 3073 bytes, found {len(RECORDS['a.bin']) - 3073}"
    fails(shop.fetch("cifar10", "--from", tmp_path / "mine"), "a.bin", words)


@pytest.mark.parametrize(
    ("members", "kind", "words"),
    [
        ({"inner/a.bin": b"x" * 10, "/etc/evil": b"x"}, tarfile.REGTYPE, "leads out"),
        ({"inner/a.bin": b"x" * 10, "inner/../../evil": b"x"}, tarfile.REGTYPE, "leads out"),
        ({"inner/a.bin": b"x" * 10, "..\\evil": b"x"}, tarfile.REGTYPE, "leads out"),
        ({"inner/a.bin": b"x" * 10, "C:\\evil": b"x"}, tarfile.REGTYPE, "leads out"),
        ({"inner/a.bin": b""}, tarfile.SYMTYPE, "is a link or a device"),
        ({"inner/a.bin": b""}, tarfile.LNKTYPE, "is a link or a device"),
        ({"inner/a.bin": b""}, tarfile.FIFOTYPE, "is a link or a device"),
        ({"inner/b.bin": b"x" * 10}, tarfile.REGTYPE, "it is not there"),
        ({"inner/a.bin": b"x" * 11}, tarfile.REGTYPE, "it has 11 bytes"),
    ],
)
def test_an_archive_that_leads_elsewhere_is_refused(members, kind, words, tmp_path):
    (tmp_path / "archive.tar.gz").write_bytes(tar(members, kind))
    with pytest.raises(ProjectError, match=words) as caught:
        service.extract(tmp_path / "archive.tar.gz", "inner", {"a.bin": 10}, tmp_path / "target")
    assert caught.value.code == "archive" and caught.value.hint
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "archive.tar.gz"]


@pytest.mark.parametrize("content", [b"", b"no archive", ARCHIVE[: len(ARCHIVE) // 2]])
def test_a_broken_archive_is_refused(content, tmp_path):
    (tmp_path / "archive.tar.gz").write_bytes(content)
    with pytest.raises(ProjectError, match="not an intact tar archive"):
        service.extract(tmp_path / "archive.tar.gz", "inner", {"a.bin": 10}, tmp_path / "target")


# the datasets as they are


def test_the_digits_are_built_without_a_network(shop):
    datasets = pytest.importorskip("sklearn.datasets")
    outcome = shop.fetch("digits", "--json", TINYTORCH_MIRROR="http://127.0.0.1:9")
    assert outcome.exit_code == 0, outcome.stdout
    found, digits = shop.files("digits"), datasets.load_digits()
    images = found["digits-images-idx3-ubyte"]
    assert images[:16] == bytes.fromhex("00000803 00000705 00000008 00000008")
    assert list(images[16:]) == digits.images.astype(int).ravel().tolist()
    assert list(found["digits-labels-idx1-ubyte"][8:]) == digits.target.tolist()


def test_the_known_sizes_are_those_of_the_formats():
    mnist = {file.name: file.size for file in service.DATASETS["mnist"].files}
    assert mnist["train-images-idx3-ubyte.gz"] == 16 + 60_000 * 28 * 28
    assert mnist["t10k-labels-idx1-ubyte.gz"] == 8 + 10_000
    assert [file.size for file in service.DATASETS["cifar10"].files] == [30_730_000] * 6
    for dataset in service.DATASETS.values():
        assert all(url.startswith("https://") and url.endswith("/") for url in dataset.mirrors)
        json.dumps([file.sha256 for file in dataset.files])
