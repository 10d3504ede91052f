"""`tito update`: a new version of the course comes into a workspace, and nothing that a student wrote is lost."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_course import ALPHA, ANSWERS, position, put

from tito import recover
from tito.errors import ProjectError
from tito.services import merging, notebooks, update

pytestmark = pytest.mark.kernel

ALPHA_SOURCE = "modules/01_alpha/alpha_dev.py"


@pytest.fixture
def course(mini_course):
    """The next version of the tiny course, before anything in it is changed."""
    change(mini_course, "pyproject.toml", ("1.2.3", "1.3.0"))
    return mini_course


def change(root, name, *edits):
    path = root / name
    text = path.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def updated(student, source, *options):
    outcome = student.tito("update", source, *options, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.document["data"]


def cells(data, module="01_alpha"):
    found = next(one for one in data["modules"] if one["module"] == module)
    return {change["name"]: change["what"] for change in found["cells"]}


def sources(student, name="01_alpha"):
    return ["".join(cell["source"]) for cell in student.read(name)["cells"]]


def state(student, name="01_alpha"):
    modules = student.tito("module", "status", "--json").document["data"]["modules"]
    return next(one for one in modules if one["name"] == name)


def add_own_cell(student, text, after="double"):
    notebook = student.read("01_alpha")
    own = {"cell_type": "code", "id": "own", "metadata": {}, "outputs": [], "execution_count": None, "source": text}
    notebook["cells"].insert(position(notebook, after) + 1, own)
    student.write("01_alpha", notebook)


def test_the_same_version_changes_nothing(workspace, mini_course):
    before = workspace.contents()
    assert "nothing to update" in workspace.tito("update", mini_course).stdout
    assert {name: data for name, data in workspace.contents().items() if name != ".tito/lock"} == before


def test_answers_and_own_cells_stay_and_the_rest_is_new(workspace, course):
    workspace.solve("01_alpha")
    add_own_cell(workspace, "mine = double(21)")
    change(
        course,
        ALPHA_SOURCE,
        ("Write `double(x)`", "Now write `double(x)`"),
        ("assert double(4) == 8", "assert double(5) == 10"),
        ("expected 8, got {double(4)}", "expected 10, got {double(5)}"),
        ("UNIT = 1", "UNIT = 10"),
        ("What do you get when", "And what do you get when"),
    )
    change(course, "modules/01_alpha/README.md", ("# Alpha", "# Alpha, again"))
    put(course / "tinytorch" / "extra.py", '"""New in the package."""\n')
    done = updated(workspace, course)
    assert (done["before"], done["version"]) == ("1.2.3", "1.3.0")
    texts = sources(workspace)
    assert ANSWERS["01_alpha"]["double"] in texts and ANSWERS["01_alpha"]["Box"] in texts
    place = texts.index(ANSWERS["01_alpha"]["double"])
    assert texts[place + 1] == "mine = double(21)"
    assert any("Now write `double(x)`" in text for text in texts) and not any(
        text.startswith("Write") for text in texts
    )
    assert "assert double(5) == 10" in "".join(texts) and "UNIT = 10" in "".join(texts)
    assert (workspace.root / "modules/01_alpha/README.md").read_text(encoding="utf-8") == "# Alpha, again\n"
    assert (workspace.root / "tinytorch" / "extra.py").is_file()
    assert 'version = "1.3.0"' in (workspace.root / "pyproject.toml").read_text(encoding="utf-8")
    assert cells(done)["test-double"] == merging.REPLACED
    completed = workspace.tito("module", "complete", "1")
    assert completed.exit_code == 0, completed.stdout + completed.stderr
    assert workspace.tito("module", "status").stderr == "", "the stubs are those of the new version"
    assert "1. And what do you get when" in workspace.tito("hint", "1", "double").stdout


def test_a_changed_stub_stands_below_the_answer(workspace, course):
    workspace.edit("01_alpha", "double", ANSWERS["01_alpha"]["double"])
    change(course, ALPHA_SOURCE, ("def double(number):\n", "def double(number, times=1):\n"))
    done = updated(workspace, course)
    assert cells(done)["double"] == merging.ANSWER_KEPT
    notebook = workspace.read("01_alpha")
    place = position(notebook, "double")
    assert "".join(notebook["cells"][place]["source"]) == ANSWERS["01_alpha"]["double"]
    below = notebook["cells"][place + 1]
    text = "".join(below["source"])
    assert below["cell_type"] == "markdown" and "nbgrader" not in below["metadata"]
    assert "+def double(number, times=1):" in text and "-def double(number):" in text and "1.3.0" in text


def test_an_answer_that_nobody_began_is_the_new_stub(workspace, course):
    workspace.edit("01_alpha", "Box", ANSWERS["01_alpha"]["Box"])
    change(course, ALPHA_SOURCE, ("def double(number):\n", "def double(number, times=1):\n"))
    assert cells(updated(workspace, course))["double"] == merging.REPLACED
    assert sum("def double(number, times=1):" in text for text in sources(workspace)) == 1


def test_an_answer_to_what_is_no_longer_asked_stays(workspace, course):
    workspace.edit("01_alpha", "double", ANSWERS["01_alpha"]["double"])
    change(course, ALPHA_SOURCE, ('"double"', '"twice"'))
    done = updated(workspace, course)
    assert cells(done)["double"] == merging.OWN_NOW and cells(done)["twice"] == merging.ADDED
    notebook = workspace.read("01_alpha")
    kept = next(one for one in notebook["cells"] if "".join(one["source"]) == ANSWERS["01_alpha"]["double"])
    assert "nbgrader" not in kept["metadata"]


def test_an_edited_test_is_the_new_one_with_what_was_made_of_it_below(workspace, course):
    workspace.edit("01_alpha", "test-double", "assert double(1) == 2  # my own")
    change(course, ALPHA_SOURCE, ("assert double(4) == 8", "assert double(5) == 10"))
    assert cells(updated(workspace, course))["test-double"] == merging.TEXT_BELOW
    notebook = workspace.read("01_alpha")
    place = position(notebook, "test-double")
    assert "assert double(5) == 10" in "".join(notebook["cells"][place]["source"])
    assert "# my own" in "".join(notebook["cells"][place + 1]["source"])


def test_a_completed_module_whose_tests_changed_is_stale_and_still_there(completed, course):
    change(course, ALPHA_SOURCE, ("assert double(4) == 8", "assert double(5) == 10"))
    done = updated(completed, course)
    assert done["outdated"] == ["01_alpha"] and done["failed"] == {}
    found = state(completed)
    assert (found["state"], found["detail"]) == ("stale", "its tests changed with version 1.3.0")
    assert (completed.root / "tinytorch/core/alpha.py").is_file()
    assert completed.tito("module", "complete", "1").exit_code == 0
    assert state(completed)["state"] == "complete"


def test_a_completed_module_that_fails_its_new_tests_is_said_to(completed, course):
    change(course, "modules/01_alpha/test_alpha.py", ("assert double(5) == 10", "assert double(5) == 11"))
    done = updated(completed, course)
    assert "test_double" in done["failed"]["01_alpha"]
    assert state(completed)["state"] == "broken"


def test_a_new_module_and_one_that_is_gone(workspace, course):
    shutil.copytree(course / "modules" / "03_gamma", course / "modules" / "04_delta")
    folder = course / "modules" / "04_delta"
    (folder / "gamma_dev.py").rename(folder / "delta_dev.py")
    (folder / "test_gamma.py").rename(folder / "test_delta.py")
    text = (folder / "delta_dev.py").read_text(encoding="utf-8").replace("core.gamma", "core.delta")
    (folder / "delta_dev.py").write_text(text.replace("weight", "burden"), encoding="utf-8")
    shutil.rmtree(course / "modules" / "03_gamma")
    done = updated(workspace, course)
    assert {one["module"]: one["status"] for one in done["modules"]} == {
        "01_alpha": "same", "02_beta": "same", "03_gamma": "gone", "04_delta": "new",
    }  # fmt: skip
    assert workspace.path("03_gamma").is_file() and workspace.path("04_delta").is_file()
    assert workspace.tito("module", "status").exit_code == 0


def test_a_dry_run_shows_all_and_changes_nothing(workspace, course):
    workspace.solve("01_alpha")
    change(course, ALPHA_SOURCE, ("def double(number):\n", "def double(number, times=1):\n"))
    before = workspace.contents()
    shown = workspace.tito("update", course, "--dry-run")
    assert merging.ANSWER_KEPT in shown.stdout and "would be put in place" in shown.stdout
    assert {name: data for name, data in workspace.contents().items() if name != ".tito/lock"} == before


def test_the_backup_holds_the_whole(workspace, course):
    workspace.solve("01_alpha")
    put(workspace.root / "notes" / "mine.txt", "thoughts")
    put(workspace.root / "notes" / "update" / "backups" / "old.txt", "folders that are called like some of tito's")
    before = workspace.contents()
    path = workspace.root / updated(workspace, course)["backup"]
    with zipfile.ZipFile(path) as file:
        kept = {name: file.read(name) for name in file.namelist()}
    assert {name: data for name, data in kept.items() if name != ".tito/lock"} == before


def test_a_manifest_that_cannot_be_read_is_made_anew(workspace, course):
    (workspace.root / ".tito" / "stubs" / "manifest.json").write_text("{", encoding="utf-8")
    change(course, ALPHA_SOURCE, ("Write `double(x)`", "Now write `double(x)`"))
    done = updated(workspace, course)
    assert "manifest.json" in done["warnings"][0]
    assert workspace.tito("module", "reset", "1").exit_code == 0, "the new stubs and their hashes are there"


def test_a_zip_and_a_published_workspace_serve_as_well(workspace, course, tito, tmp_path):
    change(course, ALPHA_SOURCE, ("Write `double(x)`", "Now write `double(x)`"))
    published = tmp_path / "published"
    assert tito("init", published).exit_code == 0
    archive = shutil.make_archive(str(tmp_path / "published"), "zip", tmp_path, "published")
    assert updated(workspace, archive, "--dry-run") == updated(workspace, published, "--dry-run")
    assert updated(workspace, archive)["version"] == "1.3.0"


def test_a_setting_of_the_class_stays(workspace, course):
    change(workspace.root, "pyproject.toml", ('role = "workspace"', 'role = "workspace"\nstretch = true'))
    updated(workspace, course)
    assert "stretch = true" in (workspace.root / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", ["nowhere", "older", "no-zip", "course"])
def test_what_is_no_newer_course_changes_nothing(workspace, course, wrong, tmp_path, tito):
    source = {"nowhere": tmp_path / "nowhere", "older": course, "no-zip": tmp_path / "no.zip", "course": course}[wrong]
    put(tmp_path / "no.zip", "no zip")
    change(course, "pyproject.toml", ("1.3.0", "0.9"))
    before = workspace.contents()
    outcome = tito("update", source) if wrong == "course" else workspace.tito("update", source)
    assert outcome.exit_code == 2 and len(outcome.stderr.splitlines()) >= 2, outcome.stderr
    assert {name: data for name, data in workspace.contents().items() if name != ".tito/lock"} == before


def test_a_notebook_that_cannot_be_read_stays(workspace, course):
    workspace.path("01_alpha").write_text("{", encoding="utf-8")
    change(course, ALPHA_SOURCE, ("Write `double(x)`", "Now write `double(x)`"))
    done = updated(workspace, course)
    assert "it stays as it is" in done["warnings"][0]
    assert workspace.path("01_alpha").read_text(encoding="utf-8") == "{"


INTERRUPTED = """
import os, sys
from pathlib import Path
stop, root = int(sys.argv[1]), Path(sys.argv[2])
replace, unlink, calls = Path.replace, Path.unlink, 0

def counted(function):
    def call(self, *args, **kwargs):
        global calls
        calls += 1
        if calls == stop:
            os._exit(9)
        return function(self, *args, **kwargs)
    return call

Path.replace, Path.unlink = counted(replace), counted(unlink)
sys.argv = ["tito", "update", sys.argv[3]]
from tito.app import main
code = main()
print(calls)
sys.exit(code)
"""


def interrupted(student, source, stop):
    return subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(stop), str(student.root), str(source)],
        cwd=student.root,
        env={**os.environ, "PYTHONPATH": str(student.root)},
        capture_output=True,
        encoding="utf-8",
    )


def comparable(root):
    """What makes a version: not backups, locks and caches."""
    left_out = ("backups", "views", "__pycache__", "update", "lock")
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if path.is_file() and not set(left_out) & set(name.parts):
            found[name.as_posix()] = path.read_bytes()
    return found


def test_killed_anywhere_it_is_the_old_version_or_the_new_one(workspace, course, tmp_path):
    """Killed before every third change of a file. What the next command finds is one of the two, and whole."""
    workspace.solve("01_alpha")
    change(course, ALPHA_SOURCE, ("Write `double(x)`", "Now write `double(x)`"), ("UNIT = 1", "UNIT = 10"))
    put(course / "tito" / "newer.py", '"""New in tito."""\n')
    (course / "tito" / "services" / "words.py").write_text(
        (course / "tito" / "services" / "words.py").read_text(encoding="utf-8") + "\n# newer\n", encoding="utf-8"
    )

    def copy(name):
        shutil.copytree(workspace.root, tmp_path / name)
        return SimpleNamespace(root=tmp_path / name)

    whole = copy("whole")
    done = interrupted(whole, course, stop=0)
    assert done.returncode == 0, done.stderr
    calls = int(done.stdout.splitlines()[-1])
    old, new = comparable(workspace.root), comparable(whole.root)
    assert old != new and calls > 10
    seen = set()
    for stop in range(1, calls + 1, 3):
        student = copy(f"killed-{stop}")
        assert interrupted(student, course, stop).returncode == 9
        next_command = subprocess.run(
            [sys.executable, "-m", "tito", "module", "status"],
            cwd=student.root,
            env={**os.environ, "PYTHONPATH": str(student.root)},
            capture_output=True,
            encoding="utf-8",
        )
        assert next_command.returncode == 0, next_command.stderr
        found = comparable(student.root)
        assert found in (old, new), (stop, [name for name in {*found, *new} if found.get(name) != new.get(name)][:5])
        seen.add(found == new)
        assert not (student.root / recover.JOURNAL).exists()
        shutil.rmtree(student.root)
    assert seen == {False, True}


def test_a_notebook_that_is_saved_meanwhile_stops_it(workspace, course, monkeypatch):
    from tito.catalog import read_catalog
    from tito.errors import WorkError
    from tito.project import read_project

    project = read_project(workspace.root)
    path = workspace.path("01_alpha")

    def saves(project):
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        return workspace.root / "backup"

    monkeypatch.setattr(update, "_back_up", saves)
    change(course, ALPHA_SOURCE, ("Write `double(x)`", "Now write `double(x)`"))
    with pytest.raises(WorkError, match="saved while"):
        update.update(project, read_catalog(project), course)
    assert not (workspace.root / recover.FOLDER).exists()
    assert read_project(workspace.root).version == "1.2.3"


# Merging, by chance.

TEXTS = st.sampled_from(
    ["a = 1", "b = 2\nc = 3", "# why", "def f(x):\n    return x", "'''", "```\n````", "", "α = '\\n'"]
)


@st.composite
def edits(draw, longest):
    """What somebody does to the cells of a notebook, one after the other: (what, where, text)."""
    step = st.tuples(st.sampled_from(["change", "insert", "delete", "swap", "copy"]), st.integers(0, 40), TEXTS)
    return draw(st.lists(step, max_size=longest))


def edited(node, steps, mark):
    """A copy of `node`, edited; what is written in it is marked, so that its lines are known from others."""
    node = nbformat.from_dict(json.loads(json.dumps(node)))
    for number, (what, where, text) in enumerate(steps):
        text = "\n".join(f"{line}  # {mark} {number}" for line in text.split("\n"))
        place = where % (len(node.cells) or 1)
        if what == "insert" or not node.cells:
            node.cells.insert(place, nbformat.v4.new_code_cell(text))
        elif what == "change":
            node.cells[place]["source"] += "\n" + text
        elif what == "delete":
            del node.cells[place]
        elif what == "copy":
            node.cells.insert(place, json.loads(json.dumps(node.cells[place])))
        else:
            other = (place + 1) % len(node.cells)
            node.cells[place], node.cells[other] = node.cells[other], node.cells[place]
    return nbformat.from_dict(json.loads(json.dumps(node)))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    from tito.project import Project
    from tito.services.strip import strip

    path = tmp_path_factory.mktemp("base") / "alpha_dev.py"
    put(path, "\n".join(ALPHA))
    source = notebooks.load(Project(path.parent, "course", "1"), path)
    return strip(source.node, source)


@given(edits(8), edits(6))
@settings(max_examples=150, deadline=None)
def test_no_line_of_the_students_is_lost(base, own, theirs):
    """Random edits by the student against random edits by the course."""
    mine = notebooks.parse(notebooks.as_bytes(edited(base, own, "mine")), "mine.ipynb")
    new = edited(base, [one for one in theirs if one[0] != "copy"], "course")
    notebooks._set_ids(new)
    merged, _ = merging.merge(mine, base, new, "2")
    lines = [line for cell in merged.cells for line in cell.source.split("\n")]
    written = [line for cell in mine.node.cells for line in cell.source.split("\n") if "# mine" in line]
    for line in written:
        assert lines.count(line) >= written.count(line), line
    names = [name for cell in merged.cells if (name := notebooks.grade_id(cell))]
    missing = {name for cell in new.cells if (name := notebooks.grade_id(cell))} - set(names)
    deleted = {notebooks.grade_id(cell) for cell in base.cells} - {notebooks.grade_id(cell) for cell in mine.node.cells}
    assert missing <= deleted, "what the student has not deleted and the course asks is there"
    nbformat.validate(merged)
    again, changes = merging.merge(notebooks.parse(notebooks.as_bytes(merged), "m.ipynb"), new, new, "3")
    assert changes == [] and [cell.source for cell in again.cells] == [cell.source for cell in merged.cells]


def test_who_changed_nothing_gets_the_new_notebook(base):
    new = edited(base, [("change", 3, "new text"), ("insert", 5, "more"), ("delete", 8, "")], "course")
    notebooks._set_ids(new)
    merged, _ = merging.merge(notebooks.parse(notebooks.as_bytes(base), "mine.ipynb"), base, new, "2")
    assert [cell.source for cell in merged.cells] == [cell.source for cell in new.cells]


def test_a_course_that_makes_no_workspace_in_time_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(update, "INIT_SECONDS", 0.01)
    with pytest.raises(ProjectError, match=f"making a workspace from {tmp_path} took more than"):
        update._workspace_of(SimpleNamespace(root=tmp_path), tmp_path / "new")
