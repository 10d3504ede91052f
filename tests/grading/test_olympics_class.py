"""`tito grade autograde` of a module whose file is measured: a class, with the instructor's seed, in the sandbox."""

import json

import nbformat
import numpy as np
import pytest
import tiny_olympics
from said import typed
from small_course import StandIn, released

import tito.project
from tito.services import workspace
from tito.services.grading.olympics import class_run, tracks
from tito.services.grading.olympics.rules import read_rules
from tito.services.grading.sandbox import find as sandbox
from tito.services.grading.scoring import executors

KIND = sandbox.find(allow_none=True).kind


@pytest.fixture
def small(tmp_path, monkeypatch):
    for place in (tito.project, workspace):
        monkeypatch.setattr(place, "require_own_tito", lambda project: None)
    monkeypatch.setattr(executors, "Threads", StandIn)
    monkeypatch.setattr(tracks.Digits, "readings", 4)
    made = released((tmp_path / "course").resolve())
    path = made.root / "modules" / "01_alpha" / "module.toml"
    path.write_text('artifact = "submission.npz"\n' + path.read_text(encoding="utf-8"), encoding="utf-8")
    tiny_olympics.add_rules(made.root)
    return made


@pytest.fixture
def enter(small):
    """enter(student, manifest, …): hand in a notebook with BUILD, and a submission.npz."""
    rules = read_rules(small.project)

    def entered(student, manifest, arrays=None, code=tiny_olympics.BUILD, data=None):
        def add_build(node):
            node.cells.append(nbformat.v4.new_code_cell(f"#| export\n{code}"))

        path = small.submit(student, change=add_build)
        arrays = tiny_olympics.arrays() if arrays is None else arrays
        data = rules.pack_submission(arrays, manifest) if data is None else data
        (path.parent / "submission.npz").write_bytes(data)
        return data

    return entered


def autograde(small, *arguments):
    return typed(small.root, "grade", "autograde", "alpha", *arguments)


def olympics(said):
    return {row["student"]: row for row in said.document["data"]["olympics"]}


def test_a_class_is_measured_and_points_know_nothing_of_it(small, enter, tmp_path):
    data = enter("ada", {"division": "small", "title": "eyes"})
    enter(
        "bob", {"division": "small"}, {name: array.astype(np.float16) for name, array in tiny_olympics.arrays().items()}
    )
    enter("cem", {"division": "tokens"})
    enter("dan", {})
    enter("eve", {}, data=b"nothing")
    small.submit("flo")
    small.on_roster("ada", "bob", "cem", "dan", "eve", "flo", "gus")
    said = autograde(small, "--json")
    assert said.exit_code == 0, said.stdout
    found = olympics(said)
    became = {
        name: row["result"] and (row["result"]["division"], row["result"]["status"]) for name, row in found.items()
    }
    assert became == {
        "ada": ("small", "ranked"),
        "bob": ("small", "ranked"),
        "cem": ("tokens", "not measured"),
        "dan": ("", "disqualified"),
        "eve": ("", "disqualified"),
        "flo": None,
    }
    assert found["ada"]["result"]["official"] == (KIND != "none")
    assert found["ada"]["result"]["isolation"] == KIND
    assert found["ada"]["result"]["bytes"] == len(data) > found["bob"]["result"]["bytes"]
    # the same digits for all
    assert found["ada"]["result"]["quality"] == pytest.approx(found["bob"]["result"]["quality"], abs=0.02)
    assert "needs a text that no student has" in found["cem"]["result"]["detail"]
    assert "names no division" in found["dan"]["result"]["detail"]
    assert "no .npz file" in found["eve"]["result"]["detail"]
    points = {row["student"]: row["points"] for row in said.document["data"]["students"]}
    assert points["ada"] == points["flo"], "both left the same answers unwritten"

    again = olympics(autograde(small, "--json"))
    assert [name for name, row in again.items() if row["measured_now"]] == ["cem"]
    enter("bob", {"division": "open", "changed": "nothing"})
    plain = autograde(small)
    assert "1 without submission.npz, not measured: flo" in plain.stdout
    assert "a place is no grade; next: tito benchmark board" in plain.stdout

    page = tmp_path / "board.html"
    board = typed(small.root, "benchmark", "board", "--html", page)
    assert board.exit_code == 0, board.stderr
    text = page.read_text(encoding="utf-8")
    assert "eyes" in text and "bob" in text and ("not official" in text) == (KIND == "none")
    rankings = {one["division"]: one for one in typed(small.root, "benchmark", "board", "--json").data["divisions"]}
    assert [(one["place"], one["who"]) for one in rankings["small"]["places"]] == [(1, "ada")]
    assert [(one["place"], one["who"]) for one in rankings["open"]["places"]] == [(1, "bob")]
    assert seed_of(small) not in text + said.stdout + board.stdout


def seed_of(small):
    text = (small.course.root / "olympics.toml").read_text(encoding="utf-8")
    return text.partition('seed = "')[2].partition('"')[0]


def test_another_seed_measures_everybody_anew(small, enter):
    enter("ada", {"division": "small"})
    first = olympics(autograde(small, "--json"))["ada"]
    path = small.course.root / "olympics.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(seed_of(small), "another seed"), encoding="utf-8")
    second = olympics(autograde(small, "--json"))["ada"]
    assert first["measured_now"] and second["measured_now"]


def test_a_hidden_text_is_used_and_a_bad_setting_is_named(small, enter):
    path = small.course.root / "olympics.toml"
    enter("ada", {"division": "tokens"})
    for text, message in (
        ("seed = ", "assignments/olympics.toml cannot be read"),
        ('seed = "x"', "seed is 'x'"),
        ('seed = "12345678"\ntext = "absent.txt"', "text names 'absent.txt', which is no file"),
    ):
        path.write_text(text, encoding="utf-8")
        said = autograde(small, "--json")
        assert said.exit_code == 3 and message in said.error["message"]
        assert said.document["data"]["students"][0]["student"] == "ada", "the scores are shown all the same"
    for content, message in (
        ("«»—" * 5_000, "of its characters are not among the 65"),
        ("To be.", "at least 5,000 are needed"),
    ):
        (small.course.root / "hidden.txt").write_text(content, encoding="utf-8")
        path.write_text('seed = "12345678"\ntext = "hidden.txt"', encoding="utf-8")
        said = autograde(small, "--json")
        assert said.exit_code == 3 and message in said.error["message"]


def test_a_record_that_was_edited_is_measured_again(small, enter):
    enter("ada", {"division": "small"})
    assert autograde(small).exit_code == 0
    path = class_run.results_folder(small.course, small.module) / "ada.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["measured"]["bytes"] = 1
    path.write_text(json.dumps(document), encoding="utf-8")
    assert typed(small.root, "benchmark", "board", "--json").data["divisions"] == []
    found = olympics(autograde(small, "--json"))["ada"]
    assert found["measured_now"] and found["result"]["bytes"] > 1


def test_nothing_of_the_host_is_in_the_sandbox(small, enter):
    """The code sees neither the seed nor other submissions, and no network."""
    if KIND == "none":
        pytest.skip("no sandbox on this machine")
    spy = f"""
import os, socket
for path in ({str(small.root)!r}, {str(small.course.root)!r}):
    if os.path.exists(path):
        raise RuntimeError("the course folder is here")
try:
    socket.create_connection(("127.0.0.1", 9), timeout=1)
except OSError as error:
    raise RuntimeError(f"shut: {{error}}")
"""
    enter("ada", {"division": "small"}, code=spy)
    detail = olympics(autograde(small, "--json"))["ada"]["result"]["detail"]
    assert "shut: " in detail, detail
    board = typed(small.root, "benchmark", "board").stdout
    assert "could not be built" in board and "shut: " not in board, "it may have seen hidden data"


def test_the_seed_is_in_nothing_that_is_handed_out(small, enter, tmp_path):
    enter("ada", {"division": "small"})
    assert autograde(small).exit_code == 0
    secret = seed_of(small).encode()
    assert len(secret) == 32
    assert typed(small.root, "init", tmp_path / "workspace").exit_code == 0
    assert typed(small.root, "grade", "release", "alpha", "--force").exit_code in (0, 2, 3)
    handed = [
        *(tmp_path / "workspace").rglob("*"),
        *small.course.release.rglob("*"),
        *small.course.submitted.rglob("*"),
    ]
    files = [path for path in handed if path.is_file()]
    assert len(files) > 10 and not any(secret in path.read_bytes() for path in files)


def test_a_module_without_such_a_file_is_graded_as_before(small):
    path = small.root / "modules" / "01_alpha" / "module.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('artifact = "submission.npz"\n', ""), encoding="utf-8")
    small.solved("ada")
    said = autograde(small, "--json")
    assert said.exit_code == 0 and "olympics" not in said.document["data"]
    assert not (small.course.root / "olympics.toml").exists()
