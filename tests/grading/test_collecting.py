"""The ways of collecting, as a corpus: tests/grading/collecting/, each way with what it must come to.

A way is a table. files: {path: mark of the notebook}, where a part that ends in .zip is an archive; what comes first in
each path is collected, in this order. list: a class list. counts: {student: mark of what counts}, all there is.
others: {path: status} of what does not count and is said.
"""

import io
import tomllib
import zipfile
from pathlib import Path

import pytest
from week import Week

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


def lay(week, way):
    """Make the files of a way; the paths to collect, in order."""
    tree = {}
    for path, mark in way["files"].items():
        *folders, name = path.split("/")
        inside = tree
        for folder in folders:
            inside = inside.setdefault(folder, {})
        inside[name] = week.notebook(mark=mark)
    for name, what in tree.items():
        put(week.root.parent / name, what)
    return [week.root.parent / name for name in tree]


def put(path, what):
    if isinstance(what, dict) and path.suffix != ".zip":
        path.mkdir()
        for name, inside in what.items():
            put(path / name, inside)
    else:
        path.write_bytes(packed(what))


def packed(what):
    if isinstance(what, bytes):
        return what
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in flat(what):
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 30, 12, 0, 0)), data)
    return file.getvalue()


def flat(what):
    """(name, bytes) of the entries of an archive."""
    for name, inside in what.items():
        if isinstance(inside, dict) and not name.endswith(".zip"):
            yield from ((f"{name}/{below}", data) for below, data in flat(inside))
        else:
            yield name, packed(inside)


@pytest.mark.parametrize("way", read("whose.toml"))
def test_whose_it_is(week, way):
    if "list" in way:
        assert week.tito("roster", "import", week.file("class.csv", LISTS[way["list"]])).exit_code == 0
    rows = [row for path in lay(week, way) for row in week.json("collect", path).document["data"]["files"]]
    wrong = {row["file"]: row["status"] for row in rows if row["status"] != "collected"}
    assert wrong == way.get("others", {}), rows
    folders = week.course.submitted.glob("*") if week.course.submitted.is_dir() else ()
    counts = {folder.name: week.submitted(folder.name) for folder in folders}
    assert counts == {student: week.notebook(mark=mark) for student, mark in way.get("counts", {}).items()}, rows
