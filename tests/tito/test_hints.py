"""`tito hint`: one more hint at each call, from the workspace alone, and never from a notebook."""

import json

import pytest

from tito.services import leaks, notebooks


@pytest.fixture
def known(project, alpha):
    """The hints of alpha's answers, as the course has them."""
    node = notebooks.load(project, alpha.percent).node
    return {notebooks.grade_id(cell): notebooks.hints(cell) for cell in node.cells if notebooks.hints(cell)}


def asked(workspace, *args):
    outcome = workspace.tito("hint", *args, "--json")
    assert outcome.exit_code == 0, outcome.stdout
    return outcome.document["data"]


def refused(workspace, *args):
    outcome = workspace.tito("hint", *args, "--json")
    return outcome.exit_code, outcome.document["error"]


def test_each_call_shows_one_hint_more_until_all_are_known(workspace, known):
    hints = known["double"]
    before = workspace.contents("modules", "tinytorch")
    for count in range(1, len(hints) + 1):
        found = asked(workspace, "01", "double")
        assert found == {
            "module": "01_alpha", "cell": "double", "hints": hints[:count], "shown": count, "total": len(hints),
            "new": True,
        }  # fmt: skip
    again = asked(workspace, "alpha", "double")
    assert (again["hints"], again["new"]) == (hints, False)
    assert workspace.contents("modules", "tinytorch") == before, "a hint never enters a notebook"


def test_as_text_a_hint_says_how_many_there_are_and_how_to_get_the_next(workspace, known):
    hints = known["double"]
    first = workspace.tito("hint", "01", "double")
    assert first.exit_code == 0
    words = " ".join(first.stdout.split())
    assert f"hint 1 of {len(hints)}" in words and hints[0] in words and hints[1] not in words
    assert "one more: tito hint 01_alpha double" in words
    for _ in hints:
        last = workspace.tito("hint", "01", "double")
    words = " ".join(last.stdout.split())
    assert "these are all" in words and all(hint in words for hint in hints) and "one more" not in words


def test_a_test_stands_for_its_answer(workspace, known):
    assert asked(workspace, "01", "test-double")["cell"] == "double"


def test_what_was_used_is_in_the_status(workspace):
    status = workspace.tito("module", "status", "--json").document["data"]["modules"]
    assert [one["hints"] for one in status] == [{}] * 3
    workspace.tito("hint", "01", "double")
    workspace.tito("hint", "01", "double")
    status = workspace.tito("module", "status", "--json").document["data"]["modules"]
    assert [one["hints"] for one in status] == [{"double": 2}, {}, {}]
    assert "01_alpha: hints shown: 2 for double" in workspace.tito("module", "status").stdout


@pytest.mark.kernel
def test_without_a_cell_it_is_the_first_that_failed_in_the_last_test(workspace):
    code, error = refused(workspace, "01")
    assert (code, error["code"], error["hint"]) == (1, "not-tested", "tito module test 01_alpha")
    workspace.solve("01_alpha")
    workspace.edit("01_alpha", "double", "#| export\ndef double(number):\n    return 3 * number\n")
    assert workspace.tito("module", "test", "01").exit_code == 1
    assert asked(workspace, "01")["cell"] == "double"
    workspace.solve("01_alpha")
    assert workspace.tito("module", "test", "01").exit_code == 0
    code, error = refused(workspace, "01")
    assert (code, error["code"]) == (1, "nothing-failed") and "tito module test 01_alpha" in error["hint"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("99",), 2, ["99", "01_alpha"]),
        (("01", "dobule"), 2, ["dobule", "double"]),
        (("01", ""), 1, ["not tested"]),
        (("01", "provided-imports"), 2, ["provided-imports", "double"]),
    ],
)
def test_what_does_not_exist_is_said_with_what_does(workspace, args, code, words):
    before = workspace.contents(".tito")
    found, error = refused(workspace, *args)
    assert found == code and error["hint"]
    assert all(word in error["message"] for word in words), error
    assert workspace.contents(".tito") == before


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"01_alpha": 3}'])
def test_a_workspace_without_hints_says_how_to_get_them(workspace, content):
    path = workspace.root / ".tito" / "hints.json"
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    code, error = refused(workspace, "01", "double")
    assert (code, error["code"]) == (3, "hints") and "tito init" in error["hint"]


def test_a_damaged_record_starts_anew(workspace):
    (workspace.root / ".tito" / "help.json").write_text("{", encoding="utf-8")
    (workspace.root / ".tito" / "last-tests.json").write_text("[1]", encoding="utf-8")
    assert asked(workspace, "01", "double")["shown"] == 1
    assert refused(workspace, "01")[1]["code"] == "not-tested"


def test_in_the_course_a_hint_comes_from_the_source(tito, known):
    outcome = tito("hint", "01", "double", "--json")
    assert outcome.document["data"]["hints"] == known["double"][:1]


# What is handed out.


def test_the_leak_scan_reads_the_file_of_hints_and_lets_hints_pass_there_alone(project, catalog, untouched, tmp_path):
    secrets = leaks.secrets(project, catalog)
    text = (untouched / ".tito" / "hints.json").read_text(encoding="utf-8")
    hints = [hint for cells in json.loads(text).values() for texts in cells.values() for hint in texts]
    assert hints and {leaks.normalised(hint) for hint in hints} & secrets.origins.keys()

    def found(name, text):
        folder = tmp_path / name.replace("/", "-")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        return [leak.path for leak in leaks.scan(folder, secrets)]

    assert found(".tito/hints.json", text) == []
    assert set(found("modules/hints.json", text)) == {"modules/hints.json"}
    answer = json.dumps({"01_alpha": {"double": ["twofold_of_the_number = number + number"]}})
    assert found(".tito/hints.json", answer) == [".tito/hints.json"]


def test_no_workspace_is_made_where_a_hint_holds_the_answer(tito, project, alpha, tmp_path):
    text = alpha.percent.read_text(encoding="utf-8")
    first = notebooks.hints(
        next(cell for cell in notebooks.load(project, alpha.percent).node.cells if notebooks.hints(cell))
    )[0]
    told = text.replace(json.dumps(first)[1:-1], "Write twofold_of_the_number = number + number and you are done.")
    assert told != text
    alpha.percent.write_text(told, encoding="utf-8")
    outcome = tito("init", tmp_path / "made", "--json")
    assert outcome.document["error"]["code"] == "leak" and ".tito/hints.json" in outcome.document["error"]["message"]
    assert not (tmp_path / "made").exists()


def test_an_answer_in_words_is_there_and_has_no_hints(workspace):
    code, error = refused(workspace, "01", "written-linear")
    assert code == 2 and error["message"].startswith("written-linear has no hints; these have: double")
