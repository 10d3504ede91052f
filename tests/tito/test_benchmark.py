"""`tito benchmark run` and `board`, typed in a project: what they print, both ways, and how they end."""

import json
import re

import numpy as np
import pytest
import tiny_course
import tiny_olympics
from said import typed

import tito.project
from tito.project import read_project
from tito.services import adopted
from tito.services.files import digest
from tito.services.grading.olympics import alone, racer, tracks
from tito.services.grading.olympics.rules import read_rules


@pytest.fixture
def home(mini_course, monkeypatch):
    """A workspace with a module whose file is measured."""
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(tracks.Digits, "readings", 4)
    tiny_olympics.add_module(mini_course)
    path = mini_course / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"course"', '"workspace"'), encoding="utf-8")
    return mini_course


@pytest.fixture
def write(home):
    """write(manifest, …): put a submission.npz beside the notebook; its bytes."""
    rules = read_rules(read_project(home))

    def written(manifest, arrays=None, path=None):
        data = rules.pack_submission(tiny_olympics.arrays() if arrays is None else arrays, manifest)
        (path or home / "modules" / "04_delta" / "submission.npz").write_bytes(data)
        return data

    return written


def run(home, *arguments):
    return typed(home, "benchmark", *arguments)


def test_a_submission_is_measured_and_the_board_ranks_it(home, write, tmp_path):
    data = write({"division": "fast", "title": "eyes <b>"})
    said = run(home, "run")
    assert said.exit_code == 0, said.stderr
    assert said.stdout.startswith("fast: the fastest reader: eyes <b>\n")
    assert f"{len(data):,} bytes" in said.stdout
    assert re.search(r"accuracy +9\d\.\d ± \d\.\d % of [\d,]+ images \(to be ranked: at least 90 %\)", said.stdout)
    assert re.search(r"time of 64 images +[\d.]+ ms \([\d.]+ ms with the pipe, whose share is [\d.]+ ms\)", said.stdout)
    assert re.search(r"beside the reference +[\d.]+ of its time \[[\d.]+, [\d.]+\] in 4 pairs: \w+", said.stdout)
    assert "\nnot official: not isolated, measured on your machine" in said.stdout
    assert "adopted" not in said.stdout

    smaller = run(home, "run", "small", "--json")
    measured = smaller.data
    assert (measured["division"], measured["status"], measured["official"]) == ("small", "ranked", False)
    assert measured["bytes"] == len(data) and measured["floor"] == 0.9
    assert measured["timing"]["raw"] > measured["timing"]["own"] > 0
    assert (home / measured["kept"]).is_file()

    board = run(home, "board", "--html", tmp_path / "board.html")
    assert board.exit_code == 0, board.stderr
    assert "small: the smallest file (not official)" in board.stdout
    assert digest(data)[:6] in board.stdout
    assert "a place is no grade" in board.stdout
    page = (tmp_path / "board.html").read_text(encoding="utf-8")
    assert "eyes &lt;b&gt;" in page and "not official" in page and f"{len(data):,} bytes" in page
    document = run(home, "board", "--json").data
    found = {
        one["division"]: [(place["place"], place["status"]) for place in one["places"]] for one in document["divisions"]
    }
    assert found == {"small": [(1, "ranked")], "fast": [(1, "ranked")]}
    assert document["refused"] == []


def test_what_misses_the_floor_ends_with_1_and_says_why(home, write):
    arrays = tiny_olympics.arrays()
    arrays["11.weight"] = arrays["11.weight"] + np.random.default_rng(0).normal(0, 0.5, (10, 84)).astype(np.float32)
    write({"division": "small"}, arrays)
    said = run(home, "run", "--json")
    assert said.exit_code == 1
    assert said.error["code"] == "below-the-floor"
    assert said.error["message"] == "small: below the floor: its accuracy has to be at least 90 %"
    assert said.document["data"]["quality"] < 0.9
    assert "to be ranked: at least 90 %" in run(home, "run").stdout
    board = run(home, "board")
    assert re.search(r"^not ranked: \d{4}-.+: its accuracy has to be at least 90 %$", board.stdout, re.MULTILINE)
    assert "place" not in board.stdout.splitlines()[1], "no table where nothing is ranked"
    write({"division": "small"})
    assert run(home, "run").exit_code == 0
    board = run(home, "board")
    assert "\n1 " in board.stdout and "not ranked" not in board.stdout, "a later try made it good"


def test_what_is_disqualified_ends_with_1_and_says_why(home, write):
    zeros = {name: np.zeros_like(array) for name, array in tiny_olympics.arrays().items()}
    write({"division": "open", "changed": "everything"}, zeros)
    said = run(home, "run", "--json")
    assert said.exit_code == 1 and said.error["code"] == "disqualified"
    assert "gives the same outputs, whatever it is given" in said.error["message"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["run", "smal"], 2, "there is no division 'smal'; there are small, fast, tokens, open"),
        (["run"], 1, "modules/04_delta/submission.npz cannot be read: No such file"),
        (["run", "--file", "absent.npz"], 2, "absent.npz cannot be read: No such file"),
        (["board"], 3, "nothing was measured yet"),
        (["board", "absent"], 2, "absent is no folder"),
        (["board", "small"], 2, "small is a division: the board shows all of them"),
        (["board", "--html", "absent/board.html"], 2, "absent is no folder, so no page can be written there"),
        (["run", "small", "fast"], 2, "fast"),
    ],
)
def test_bad_input_is_named(home, arguments, exit_code, message):
    said = run(home, *arguments, "--json")
    assert said.exit_code == exit_code
    assert message in said.error["message"]
    plain = run(home, *arguments)
    assert plain.exit_code == exit_code and message in plain.stderr


def test_a_file_that_is_broken_is_named(home, write):
    path = home / "modules" / "04_delta" / "submission.npz"
    path.write_bytes(b"nothing")
    said = run(home, "run", "--json")
    assert said.exit_code == 1 and said.error["code"] == "bad-submission"
    assert "modules/04_delta/submission.npz (7 bytes) is damaged or no .npz file" in said.error["message"]
    write({"division": "marathon"})
    said = run(home, "run", "--json")
    assert said.exit_code == 2
    assert said.error["message"].endswith("names 'marathon', which is no division; there are small, fast, tokens, open")
    write({"title": "eyes"})
    said = run(home, "run", "--json")
    assert said.exit_code == 2
    assert said.error["message"].endswith("names no division; there are small, fast, tokens, open")


def test_a_file_that_is_missing_has_the_command_that_writes_it(home):
    assert run(home, "run", "--json").error["hint"] == "tito module test 04 --all: its last part writes the file"


def test_a_build_that_was_adopted_is_said_to_be_the_courses(home, write):
    write({"division": "small"})
    path = home / "tinytorch" / "core" / "delta.py"
    body = path.read_text(encoding="utf-8")
    stamp = adopted.STAMP.format(version="1", hash=digest(body.encode()))
    path.write_text(adopted.WORDS.format(module="04_delta") + stamp + body, encoding="utf-8")
    said = run(home, "run")
    assert said.exit_code == 0, said.stderr
    assert "build: the course's own, adopted" in said.stdout


def test_a_package_without_the_export_is_named(home, write):
    write({"division": "fast"})
    (home / "tinytorch" / "core" / "delta.py").unlink()
    said = run(home, "run", "--json")
    assert said.exit_code == 3
    assert said.error["message"].startswith("tinytorch/core/delta.py does not exist")
    assert said.error["hint"] == "tito module complete 04"


def test_a_reference_that_cannot_be_loaded_is_named(home, write, monkeypatch, tmp_path):
    write({"division": "fast"})
    (tmp_path / "lenet5.npz").write_bytes(b"PK")
    real = racer.yardstick
    monkeypatch.setattr(racer, "yardstick", lambda sandbox, quality, folder: real(sandbox, quality, tmp_path))
    said = run(home, "run", "--json")
    assert said.exit_code == 3 and said.error["code"] == "reference"
    assert "lenet5.npz could not be built" in said.error["message"]


def test_rules_that_are_broken_are_named(home, write):
    write({"division": "fast"})
    tiny_course.put(home / "tinytorch" / "submissions.py", "DIVISIONS = ")
    said = run(home, "run", "--json")
    assert said.exit_code == 3 and said.error["code"] == "rules"
    assert "tinytorch/submissions.py: SyntaxError" in said.error["message"]


def test_a_course_without_such_a_module_says_so(mini_course, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    tiny_olympics.add_rules(mini_course)
    said = run(mini_course, "run", "--json")
    assert said.exit_code == 3 and said.error["code"] == "no-artifact"


def test_a_result_that_was_edited_or_written_by_hand_is_not_ranked(home, write):
    write({"division": "small"})
    assert run(home, "run").exit_code == 0
    folder = alone.results_folder(read_project(home))
    (path,) = folder.glob("*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    document["measured"]["bytes"] = 10
    (folder / "edited.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "made.json").write_text('{"who": "me", "place": 1}', encoding="utf-8")
    (folder / "list.json").write_text("[]", encoding="utf-8")
    (folder / "text.json").write_text("winner", encoding="utf-8")
    data = run(home, "board", "--json").data
    (ranking,) = data["divisions"]
    assert [place["bytes"] for place in ranking["places"]] == [document_bytes(path)]
    reasons = {one["file"]: one["reason"] for one in data["refused"]}
    assert set(reasons) == {"edited.json", "made.json", "list.json", "text.json"}
    assert "edited, or measured elsewhere" in reasons["edited.json"]
    assert "edited.json does not count" in run(home, "board").stderr


def document_bytes(path):
    return json.loads(path.read_text(encoding="utf-8"))["measured"]["bytes"]
