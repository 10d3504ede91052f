"""The ways of collecting, as a corpus: tests/grading/collecting/, each way with what it must come to.

A way is a table. files: {path: mark of the notebook, or "@" and a text}, where a part that ends in .zip is an archive,
and a mark may begin with "beta: ", another module, or an encoding; what comes first in each path is collected, in this
order. list: a class list. counts: {student: mark of what counts},
all there is. others: {path: status} of what does not count and is said.
"""

import io
import os
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from week import Week

from tito.services.grading.intake.received import read_submissions

FOLDER = Path(__file__).parent / "collecting"
LISTS = {
    "class": """\
id,name,canvas id
ana,Ana Lovelace,4711
mallory,Mallory M,4712
li,Wei Li,4713
wei,Wei Li,4714
2,Alan Turing,
3,Grace Hopper,
12,Edsger D,
"""
}


def read(file):
    with (FOLDER / file).open("rb") as opened:
        ways = tomllib.load(opened)
    return [pytest.param(way, id=name) for name, way in ways.items()]


@pytest.fixture
def week(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    return Week(tmp_path / "course", monkeypatch)


def notebook(week, mark):
    """The bytes of the notebook with that mark."""
    before, _, _ = mark.rpartition(": ")
    data = week.notebook(before if before == "beta" else "alpha", mark=mark)
    return data.decode().encode(before) if before.startswith("utf") else data


class Files:
    """Makes what is collected. times: {path: time in UTC}."""

    def __init__(self, week, times):
        self.week, self.times = week, {path: datetime.fromisoformat(f"{text}Z") for path, text in times.items()}

    def lay(self, files):
        """Make `files`, {path: mark}; the paths to collect, in order."""
        tree = {}
        for path, mark in files.items():
            *folders, name = path.split("/")
            inside = tree
            for folder in folders:
                inside = inside.setdefault(folder, {})
            inside[name] = mark[1:].encode() if mark.startswith("@") else notebook(self.week, mark)
        for name, what in tree.items():
            self._put(name, what)
        return [self.week.root.parent / name for name in tree]

    def _time(self, label):
        return self.times.get(label, datetime(2026, 11, 30, 12, tzinfo=UTC))

    def _put(self, label, what):
        path = self.week.root.parent / label
        if isinstance(what, dict) and path.suffix != ".zip":
            path.mkdir()
            for name, inside in what.items():
                self._put(f"{label}/{name}", inside)
        else:
            path.write_bytes(self._packed(label, what))
            os.utime(path, (self._time(label).timestamp(),) * 2)

    def _packed(self, label, what):
        if isinstance(what, bytes):
            return what
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in self._entries(label, what):
                archive.writestr(zipfile.ZipInfo(name, self._time(f"{label}/{name}").timetuple()[:6]), data)
        return file.getvalue()

    def _entries(self, label, what, above=""):
        """(name, bytes) of the entries of the archive `label`."""
        for name, inside in what.items():
            if isinstance(inside, dict) and not name.endswith(".zip"):
                yield from self._entries(label, inside, f"{above}{name}/")
            else:
                yield f"{above}{name}", self._packed(f"{label}/{above}{name}", inside)


def collected(week, way):
    """Collect what a way says, and return the rows."""
    if "list" in way:
        assert week.tito("roster", "import", week.file("class.csv", LISTS[way["list"]])).exit_code == 0
    if "due" in way:
        assert week.tito("due", "1", way["due"], "--tz", "UTC").exit_code == 0
    for student, text in way.get("extend", {}).items():
        assert week.tito("extend", student, "1", text).exit_code == 0
    more = ["--attempt", way["attempt"]] if "attempt" in way else []
    paths = Files(week, way.get("times", {})).lay(way["files"])
    return [row for path in paths for row in week.json("collect", path, *more).document["data"]["files"]]


def counting(week):
    """{student: the notebook that counts}"""
    return {path.parent.parent.name: path.read_bytes() for path in week.course.submitted.glob("*/01_alpha/*.ipynb")}


@pytest.mark.parametrize("way", read("whose.toml"))
def test_whose_it_is(week, way):
    rows = collected(week, way)
    wrong = {row["file"]: row["status"] for row in rows if row["status"] != "collected"}
    assert wrong == way.get("others", {}), rows
    assert counting(week) == {name: notebook(week, mark) for name, mark in way.get("counts", {}).items()}, rows


@pytest.mark.parametrize("way", read("times.toml"))
def test_how_late_it_is(week, way):
    rows = collected(week, way)
    late = {student: entry["late"] for student, entry in read_submissions(week.course)["01_alpha"].items()}
    wanted = {name: None if hours == "not known" else hours * 3600 for name, hours in way["late"].items()}
    assert late == wanted, rows
    if "counts" in way:
        assert counting(week) == {name: notebook(week, mark) for name, mark in way["counts"].items()}, rows
