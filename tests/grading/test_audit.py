"""The audit of the tests: which mutants are made, what becomes of them, and that survivors are noticed."""

import ast
import hashlib
import json
import os
import textwrap
from pathlib import Path

import pytest

from tito import app
from tito.catalog import read_catalog
from tito.errors import ProjectError
from tito.project import read_project
from tito.services import kernel, notebooks, views, workspace
from tito.services.grading.proof import audit, complete, forks
from tito.services.grading.proof.mutants import mutants, sample, without_comments

ROOT = Path(__file__).resolve().parents[2]
PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)


def cell_of(body, parameters="x, y"):
    region = textwrap.indent(f"### BEGIN SOLUTION\n{textwrap.dedent(body).strip()}\n### END SOLUTION", "    ")
    return f'def f({parameters}):\n    """Words."""\n{region}\n'


def changes(body, parameters="x, y"):
    """{before -> after} of all mutants of a function with this body."""
    return {f"{mutant.before} -> {mutant.after}" for mutant in mutants(cell_of(body, parameters), "f")}


# Which mutants are made.


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (
            "return x - y",
            ["return x + y", "return y - x", "return (x - y) * 0", "return x", "return y", "return x - x"],
        ),
        ("return x @ y", ["return x * y", "return y @ x"]),
        ("return -x", ["return x"]),
        ("return x < y", ["return x <= y", "return x >= y"]),
        ("return x == y", ["return x != y"]),
        ("return x is None", ["return x is not None"]),
        ("return x and y", ["return x or y", "return x", "return y"]),
        ("return not x", ["return x"]),
        ("return x * 5", ["return x * 6", "return x * 4", "return x * 0", "return x * 1", "return x * -1"]),
        (
            "return x * 0.5",
            ["return x * 1.0", "return x * 0.25", "return x * -0.5", "return x * 1.5", "return x * 0.0"],
        ),
        ("return x.sum(axis=1)", ["return x.mean(axis=1)", "return x.sum(axis=0)", "return x.sum(axis=-1)"]),
        ("return x.sum(axis=1)", ["return x.sum(axis=None)", "return x.sum()", "return x"]),
        ("return x.sum(axis=(0, 1))", ["return x.sum(axis=(0,))", "return x.sum(axis=(1,))"]),
        ("return x.sum(keepdims=True)", ["return x.sum(keepdims=False)", "return x.sum()"]),
        ("return g(x, y)", ["return g(y, x)"]),
        ("return x, y", ["return (y, x)", "return (x * 0, y)", "return (x, y * 0)"]),
        ("return np.maximum(x, y)", ["return np.minimum(x, y)"]),
        ("return np.exp(x)", ["return np.expm1(x)", "return x"]),
        ("return np.zeros(3, x.dtype)", ["return np.ones(3, x.dtype)", "return np.zeros(3)"]),
        ("return np.zeros(3, x.dtype)", ["return np.zeros(3, np.float32)", "return np.zeros(3, np.float64)"]),
        ("return x.copy()", ["return x"]),
        ("return x[y:]", ["return x[:]", "return x[y + 1:]", "return x[y - 1:]"]),
        ("return x[::-1]", ["return x[:]"]),
        ("h, w = x\nreturn h", ["return w"]),
        ("return [a for a in x if a]", ["return [a for a in x if not a]", "return [a for a in x if True]"]),
        ("return x if y else 0", ["return x if not y else 0", "return x if True else 0", "return x if False else 0"]),
    ],
)
def test_an_expression_is_changed_as_people_err(body, wanted):
    made = {change.split(" -> ")[1] for change in changes(body)}
    assert set(wanted) - made == set(), sorted(made)


def test_statements_are_dropped_and_guards_are_opened():
    found = changes(
        """
        if x < 0:
            raise ValueError("less: " + str(x + 1))
        total = 0
        for i in range(x):
            total += i
        y[0] = total
        return total
        """
    )
    wanted = {
        "if x < 0: -> if False:",
        "if x < 0: -> if True:",
        "if x < 0: -> if x <= 0:",
        "raise ValueError('less: ' + str(x + 1)) -> dropped",
        "raise ValueError('less: ' + str(x + 1)) -> raise TypeError('less: ' + str(x + 1))",
        "for i in range(x): -> dropped",
        "for i in range(x): -> for i in range(1, x):",
        "for i in range(x): -> for i in list(range(x))[:-1]:",
        "total += i -> dropped",
        "total += i -> total -= i",
        "total += i -> total = i",
        "total += i -> total = total + i",
        "y[0] = total -> dropped",
        "y[0] = total -> y[1] = total",
    }
    assert wanted - found == set()
    words = [change for change in found if change.startswith("raise")]
    assert len(words) == 2, "the words of an error are left alone"


def test_only_solution_regions_are_changed():
    code = "a = 1 + 1\n" + cell_of("return x + 1") + "b = 2 + 2\n"
    found = mutants(code, "f")
    assert {mutant.before for mutant in found} == {"return x + 1"}
    assert {mutant.line for mutant in found} == {5}
    for mutant in found:
        assert mutant.code.startswith("a = 1 + 1\n") and mutant.code.endswith("b = 2 + 2")


@pytest.mark.parametrize("module", list(CATALOG), ids=lambda module: module.name)
def test_mutants_compile_and_each_is_another_program(module):
    for cell in forks.read_cells(notebooks.load(PROJECT, module.percent)):
        if cell["role"] != "answer":
            continue
        found = mutants(cell["source"], cell["grade_id"])
        trees = [ast.dump(ast.parse(mutant.code)) for mutant in found]
        assert found and len({*trees, ast.dump(ast.parse(without_comments(cell["source"])))}) == len(found) + 1
        assert len({mutant.key for mutant in found}) == len(found)


def test_a_sample_is_always_the_same_and_holds_some_of_each_kind():
    found = mutants(cell_of("return x[1:5].sum(axis=0) - np.exp(y) * 3 if x < y else x.copy()"), "f")
    kinds = {mutant.kind for mutant in found}
    drawn = sample(found, len(kinds))
    assert drawn == sample(list(reversed(found)), len(kinds))[::-1]
    assert {mutant.kind for mutant in drawn} == kinds and len(drawn) == len(kinds)
    left_out = next(mutant for mutant in found if mutant not in drawn)
    assert left_out in sample(found, len(kinds), always=[left_out.key])
    assert sample(found, 0) == found


# A course of one module, made for the test.


def percent(kind, body, grade_id, points=None):
    metadata = {
        "grade": kind == "test",
        "grade_id": grade_id,
        "locked": kind != "solution",
        "schema_version": 3,
        "solution": kind == "solution",
        "task": False,
    }
    if points:
        metadata["points"] = points
    return f"# %% nbgrader={json.dumps(metadata)}\n{textwrap.dedent(body).strip()}\n\n"


def hidden(body):
    return f"# Withheld.\n### BEGIN HIDDEN TESTS\n{body}\n### END HIDDEN TESTS"


def course(root, *cells, explained="", tests=""):
    """A course with one module of these cells, below the folder `root`. tests: the text of its test_name.py."""
    (root / "tinytorch" / "core").mkdir(parents=True)
    for package in (root / "tinytorch", root / "tinytorch" / "core"):
        (package / "__init__.py").touch()
    (root / "pyproject.toml").write_text('[tool.tito]\nrole = "course"\n', encoding="utf-8")
    folder = root / "modules" / "01_alpha"
    folder.mkdir(parents=True)
    settings = 'title = "Alpha"\nsummary = "One."\nprerequisites = []\nhours = 1\ndifficulty = 1\n'
    (folder / "module.toml").write_text(settings, encoding="utf-8")
    text = '# %% [markdown]\nr"""\n# Alpha\n"""\n\n# %%\nimport math\n\n' + "".join(cells)
    (folder / "alpha_dev.py").write_text(text, encoding="utf-8")
    if tests:
        (folder / "test_alpha.py").write_text(tests, encoding="utf-8")
    if explained:
        path = root / "tests" / "grading" / "audit" / "01_alpha.toml"
        path.parent.mkdir(parents=True)
        path.write_text(explained, encoding="utf-8")
    return read_project(root)


def run_audit(project, **settings):
    catalog = read_catalog(project)
    return audit.audit(project, catalog, catalog.find("1"), **settings)


CLAMP = percent("solution", cell_of("if x < 0:\n    return 0\nreturn x", "x"), "f")
STRONG = "assert [f(x) for x in (-2, -0.5, 0, 0.5, 2)] == [0, 0, 0, 0.5, 2]"


def explanation(before, after, kind="equivalent", why="because"):
    lines = [f'grade_id = "f"\nbefore = "{before}"\nafter = "{after}"\nkind = "{kind}"\nwhy = "{why}"']
    return "[[survivor]]\n" + "\n".join(lines) + "\n\n"


def test_a_weak_test_lets_mutants_live_and_the_audit_says_which(tmp_path):
    found = run_audit(course(tmp_path, CLAMP, percent("test", "assert f(2) == 2", "test-f", 1)))
    alive = {(one.mutant.before, one.mutant.after) for one in found.survivors}
    assert {("if x < 0:", "if False:"), ("if x < 0:", "if x <= 0:"), ("return 0", "return 1")} <= alive
    assert ("if x < 0:", "if True:") not in alive and ("return x", "return x * 0") not in alive
    (guard,) = [one for one in found.survivors if one.mutant.after == "if False:"]
    assert guard.where == "modules/01_alpha/alpha_dev.py:13 (cell 3)"
    assert found.rate < 0.95 and not found.passed and len(found.unexplained) == len(found.survivors)


def test_hidden_tests_count_and_the_rate_of_the_visible_ones_stands_beside_it(tmp_path):
    cells = [percent("test", "assert f(2) == 2", "test-f", 3), percent("test", hidden(STRONG), "test-f-hidden", 1)]
    found = run_audit(course(tmp_path, CLAMP, *cells))
    assert {one.mutant.after for one in found.survivors} == {"if x <= 0:"}
    assert found.rate > found.visible_rate > 0
    (cell,) = found.cells
    assert cell.run == cell.made == cell.killed + 1 and cell.visible < cell.killed


def test_the_test_of_the_module_counts_and_that_of_another_question_does_not(tmp_path):
    other = percent("solution", "def g(x):\n    ### BEGIN SOLUTION\n    return f(x) + 1\n    ### END SOLUTION", "g")
    weak = percent("test", "assert f(2) == 2", "test-f", 1)
    theirs = percent("test", "assert [g(x) for x in (-2, -1, 0, 1)] == [1, 1, 1, 2]", "test-g", 1)
    module = percent("test", "assert g(f(-3)) == 1", "test-module", 1)
    without = run_audit(course(tmp_path / "a", CLAMP, weak, other, theirs))
    (guard,) = [one for one in without.survivors if one.mutant.after == "if False:"]
    assert guard.noticed == ("test-g",)
    with_it = run_audit(course(tmp_path / "b", CLAMP, weak, other, theirs, module))
    assert "if False:" not in {one.mutant.after for one in with_it.survivors}


def test_a_stub_earns_nothing_and_the_test_of_the_module_may_leave_an_answer_out(tmp_path):
    other = percent("solution", "def g(x):\n    ### BEGIN SOLUTION\n    return x + 1\n    ### END SOLUTION", "g")
    own = [percent("test", STRONG, "test-f", 2), other, percent("test", "assert g(1) == 2", "test-g", 2)]
    module = percent("test", "assert f(-3) == 0", "test-module", 1)
    assert run_audit(course(tmp_path / "a", CLAMP, *own, module)).unearned == ()
    own[2] = percent("test", "assert callable(g)", "test-g", 2)
    found = run_audit(course(tmp_path / "b", CLAMP, *own, module))
    assert found.unearned == ("test-g",) and not found.passed


def test_explained_survivors_leave_the_denominator_only_where_they_are_equivalent(tmp_path):
    test = percent("test", STRONG, "test-f", 1)
    explained = explanation("if x < 0:", "if x <= 0:")
    found = run_audit(course(tmp_path / "a", CLAMP, test, explained=explained))
    assert found.passed and found.rate == 1 and found.cells[0].countable == found.cells[0].run - 1
    accepted = explained.replace("equivalent", "accepted")
    found = run_audit(course(tmp_path / "b", CLAMP, test, explained=accepted))
    assert found.rate < 1 and found.cells[0].countable == found.cells[0].run and found.unexplained == ()


def test_stale_explanations_are_noticed(tmp_path):
    test = percent("test", STRONG, "test-f", 1)
    true, killed = explanation("if x < 0:", "if x <= 0:"), explanation("if x < 0:", "if False:")
    gone = explanation("if x < 3:", "if x <= 3:")
    found = run_audit(course(tmp_path, CLAMP, test, explained=true + killed + gone), a_cell=1)
    assert len(found.stale) == 2 and not found.passed
    assert "if False: this mutant is killed by now" in found.stale[0].replace(":: ", ": ")
    assert "if x <= 3:: this mutant is no longer made" in found.stale[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[survivor]\n", "cannot be read"),
        ('[[survivor]]\ngrade_id = "f"\n', "survivor 1: after, before, kind, why"),
        (explanation("a", "b", kind="fine"), "kind is one of equivalent, accepted"),
        (explanation("a", "b", why=" "), "why says why"),
        (explanation("a", "b") * 2, "survivor 2: this mutant is explained already"),
    ],
)
def test_explanations_that_are_not_in_order(tmp_path, text, said):
    project = course(tmp_path, CLAMP, percent("test", STRONG, "test-f", 1), explained=text)
    with pytest.raises(ProjectError, match=said):
        run_audit(project)


def test_a_workspace_is_refused(tmp_path):
    project = course(tmp_path, CLAMP, percent("test", STRONG, "test-f", 1))
    (tmp_path / "pyproject.toml").write_text('[tool.tito]\nrole = "workspace"\n', encoding="utf-8")
    with pytest.raises(ProjectError, match="this is a workspace"):
        run_audit(read_project(project.root))


@pytest.mark.parametrize("body", ["assert f(2) == 3", "assert False"])
def test_a_reference_that_fails_its_own_tests_is_an_error_and_no_perfect_score(tmp_path, body):
    with pytest.raises(ProjectError, match=r"alpha_dev\.py:.*the reference itself stops here"):
        run_audit(course(tmp_path, CLAMP, percent("test", body, "test-f", 1)))


# What `complete` would refuse.

EXPORTED = percent("solution", "#| export\n" + cell_of("if x < 0:\n    return 0\nreturn x", "x"), "f")
STRONG_FILE = f"from tinytorch.core.alpha import f\n\n\ndef test_values():\n    {STRONG}\n"


def waiting(before, after):
    return f'[[refused]]\ngrade_id = "f"\nbefore = "{before}"\nafter = "{after}"\n\n'


def test_a_mutant_that_keeps_its_points_and_fails_test_name_is_refused(tmp_path):
    project = course(tmp_path, EXPORTED, percent("test", "assert f(2) == 2", "test-f", 1), tests=STRONG_FILE)
    found = run_audit(project)
    assert found.tested == len(found.survivors) > len(found.refused) > 0
    refused = {one.mutant.after: one for one in found.refused}
    assert "if x <= 0:" not in refused, "which does the same"
    guard = refused["if False:"]
    assert guard.where == "modules/01_alpha/alpha_dev.py:14 (cell 3)" and guard.withheld == ()
    assert guard.refusal.test == "test_values" and "assert [-2, -0.5, 0, 0.5, 2]" in guard.refusal.message
    assert found.surprises == found.refused and not found.passed


def test_points_that_nobody_sees_do_not_warn_of_a_refusal(tmp_path):
    cells = [percent("test", "assert f(2) == 2", "test-f", 3), percent("test", hidden(STRONG), "test-f-hidden", 1)]
    explained = explanation("if x < 0:", "if x <= 0:")
    found = run_audit(course(tmp_path, EXPORTED, *cells, explained=explained, tests=STRONG_FILE))
    assert found.unexplained == () and found.rate == 1
    assert found.refused and {one.withheld for one in found.refused} == {("test-f-hidden",)} and not found.passed


def test_what_loses_a_visible_point_is_not_asked_of_test_name(tmp_path):
    explained = explanation("if x < 0:", "if x <= 0:")
    project = course(tmp_path, EXPORTED, percent("test", STRONG, "test-f", 1), explained=explained, tests=STRONG_FILE)
    found = run_audit(project)
    assert (found.tested, found.refused, found.passed) == (1, (), True)


def test_what_fails_only_now_and_then_is_not_refused(tmp_path):
    """As a test of time does on a busy machine."""
    flag = tmp_path / "flag"
    now_and_then = f"""
from pathlib import Path
from tinytorch.core.alpha import f

def test_only_once():
    if f(-1) != 0 and not Path({str(flag)!r}).exists():
        Path({str(flag)!r}).touch()
        raise AssertionError("busy")
"""
    cells = EXPORTED, percent("test", "assert f(2) == 2", "test-f", 1)
    found = run_audit(course(tmp_path / "course", *cells, tests=now_and_then))
    assert flag.exists() and found.refused == () and found.tested > 1


def test_refusals_that_wait_for_a_visible_case_are_listed_until_they_have_it(tmp_path):
    cells = EXPORTED, percent("test", "assert f(2) == 2 and f(-1) == 0", "test-f", 1)
    listed = run_audit(course(tmp_path / "a", *cells, tests=STRONG_FILE)).refused
    assert listed
    known = "".join(waiting(one.mutant.before, one.mutant.after) for one in listed)
    found = run_audit(course(tmp_path / "b", *cells, tests=STRONG_FILE, explained=known))
    assert len(found.refused) == len(listed) and found.surprises == ()
    gone = known + waiting("if x < 0:", "if False:")
    found = run_audit(course(tmp_path / "c", *cells, tests=STRONG_FILE, explained=gone))
    assert "f: if x < 0: -> if False:: complete no longer refuses this mutant; take it out of the list" in found.stale


@pytest.mark.parametrize("tests", [STRONG_FILE.replace("[0, 0, 0", "[1, 0, 0"), "import gone\n", "x = 1\n"])
def test_a_reference_that_test_name_refuses_is_an_error(tmp_path, tests):
    project = course(tmp_path, EXPORTED, percent("test", STRONG, "test-f", 1), tests=tests)
    with pytest.raises(ProjectError, match=r"test_alpha\.py refuses the reference itself"):
        run_audit(project)


@pytest.mark.parametrize("module", list(CATALOG), ids=lambda module: module.name)
def test_the_audit_exports_what_tito_exports(module):
    cells = forks.read_cells(notebooks.load(PROJECT, module.percent))
    assert complete.exported(module, cells) == (PROJECT.core / module.core_file).read_text(encoding="utf-8")


# What mutants may do to the process that runs them.


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ("i = 0\nwhile i < x:\n    i += 1\nreturn i", "i += 1 -> i -= 1"),  # endless
        ("i = 0\nwhile i < x:\n    i += 1\nreturn i", "i += 1 -> dropped"),
        (
            "if x < 0:\n    import os\n    os._exit(0)\nreturn x",
            "if x < 0: -> if True:",
        ),  # it ends, and says all is well
        ("if x < 0:\n    import os\n    os.kill(os.getpid(), 9)\nreturn x", "if x < 0: -> if True:"),
        ("return bytes(x * 10**10) and x if x < 0 else x", "-> return bytes(x * 10 ** 10) and x if True else x"),
        ("if x < 0:\n    raise SystemExit\nreturn x", "if x < 0: -> if True:"),
    ],
)
def test_a_mutant_that_does_not_come_to_its_end_loses_its_points(tmp_path, body, change):
    cells = percent("solution", cell_of(body, "x"), "f"), percent("test", "assert f(3) == 3", "test-f", 1)
    project = course(tmp_path, *cells)
    made = mutants(cell_of(body, "x"), "f")
    assert [mutant for mutant in made if change in f"{mutant.before} -> {mutant.after}"]
    found = run_audit(project, jobs=2, cell_seconds=0.2)
    assert not [one for one in found.survivors if change in f"{one.mutant.before} -> {one.mutant.after}"]
    assert found.seconds < 30


def test_a_mutant_that_hangs_in_a_later_cell_of_another_question_is_stopped_there(tmp_path):
    other = "def g(x):\n    ### BEGIN SOLUTION\n    while f(x) < 0:\n        pass\n    return 1\n    ### END SOLUTION"
    cells = [
        CLAMP,
        percent("test", "assert f(2) == 2", "test-f", 1),
        percent("solution", other, "g"),
        percent("test", "assert g(-1) == 1", "test-g", 1),
        percent("test", "assert f(-1) == 0", "test-module", 1),
    ]
    found = run_audit(course(tmp_path, *cells), cell_seconds=0.2)
    assert ("f", "if False:") not in {(one.mutant.grade_id, one.mutant.after) for one in found.survivors}
    assert found.cells[0].killed > 0


def test_forks_do_not_see_each_other(tmp_path):
    """A notebook's temporary folder is one in every fork of its own, and names do not leak from one to the next."""
    make = "import tempfile\nfrom pathlib import Path\nfolder = Path(tempfile.mkdtemp())\n(folder / 'old').touch()"
    given = percent("provided", f"{make}\nseen = []", "provided-folder")
    solution = percent("solution", cell_of("seen.append(x)\nreturn x + 1", "x"), "f")
    test = "f(1)\nassert seen == [1]\nassert [p.name for p in folder.iterdir()] == ['old']\n(folder / 'new').touch()"
    project = course(tmp_path, given, solution, percent("test", test, "test-f", 1))
    found = run_audit(project, jobs=2)
    assert {one.mutant.before for one in found.survivors} == {"return x + 1"}
    assert found.cells[0].killed == 1, "the one that appends nothing"


def test_what_a_cell_writes_to_the_process_s_own_output_is_none_of_the_findings(tmp_path):
    noisy = percent("solution", cell_of("import os\nos.write(1, b'{}')\nreturn x", "x"), "f")
    found = run_audit(course(tmp_path, noisy, percent("test", "assert f(3) == 3", "test-f", 1)))
    assert found.cells[0].killed > 0


def test_nothing_is_left_behind(tmp_path):
    project = course(tmp_path, CLAMP, percent("test", STRONG, "test-f", 1))
    before = set(tmp_path.rglob("*"))
    run_audit(project)
    after = {path for path in tmp_path.rglob("*") if path.name not in (".tito", "views")}
    assert after - before == set()


# The same verdicts as in a kernel.


@pytest.mark.kernel
@pytest.mark.parametrize("name", ["02_activations", "07_training"])
def test_the_verdicts_agree_with_running_the_notebook(name):
    module = CATALOG[name]
    cells = forks.read_cells(notebooks.load(PROJECT, module.percent))
    places = [number for number, cell in enumerate(cells) if cell["role"] == "answer"]
    made = [(number, mutant) for number in places for mutant in mutants(cells[number]["source"], "")]
    made.sort(key=lambda pair: hashlib.sha256(pair[1].code.encode()).hexdigest())
    versions = [forks.Version(number, mutant.code, reach="decided") for number, mutant in made]
    _, findings = forks.run(PROJECT, CATALOG, module, cells, versions=versions, jobs=os.cpu_count())
    verdicts = [audit.judge(cells, number, finding) for (number, _), finding in zip(made, findings, strict=True)]
    tried = dict.fromkeys(("visible", "hidden", "survived"), 0)
    for (number, mutant), verdict in zip(made, verdicts, strict=True):
        if tried[verdict] < 3:
            tried[verdict] += 1
            assert in_a_kernel(module, cells, number, mutant.code) == verdict, f"{mutant.before} -> {mutant.after}"
    assert tried["visible"] == tried["survived"] == 3


def in_a_kernel(module, cells, number, code):
    sources = [code if place == number else cell["source"] for place, cell in enumerate(cells)]
    with views.view(PROJECT, CATALOG.prerequisites(module)) as folder:
        outcomes = kernel.run_cells(sources, folder=folder, cwd=module.folder, limits=kernel.TimeLimits(20, 300))
    errors = {place: None if outcome.status == "ok" else outcome.message for place, outcome in enumerate(outcomes)}
    return audit.judge(cells, number, forks.Finding(errors))


# The command.


def test_the_command_reports_a_module_whose_tests_are_strong(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert app.main(["grade", "audit", "2", "--jobs", "2", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["data"]["audits"]
    assert (
        found["module"] == "02_activations"
        and found["passed"]
        and found["rate"] >= 0.95 >= found["visible_rate"] - 0.05
    )
    assert {one["kind"] for one in found["survivors"]} <= set(audit.KINDS) and all(
        one["why"] for one in found["survivors"]
    )


def test_the_command_fails_for_weak_tests_and_lists_the_survivors(capsys, monkeypatch, tmp_path):
    project = course(tmp_path, CLAMP, percent("test", "assert f(2) == 2", "test-f", 1))
    weak = run_audit(project)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(audit, "audit", lambda *_, **__: weak)
    assert app.main(["grade", "audit", "2"]) == 1
    said = capsys.readouterr()
    assert "survives: modules/01_alpha/alpha_dev.py:13 (cell 3): if x < 0: -> if False:" in said.out
    assert "95% have to be" in said.out and "let wrong answers pass" in said.err


def test_the_command_wants_modules_or_all(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert app.main(["grade", "audit"]) == 2
    assert app.main(["grade", "audit", "2", "--all"]) == 2


def test_a_system_that_cannot_fork_is_told_so(monkeypatch):
    monkeypatch.delattr(os, "fork", raising=False)
    with pytest.raises(ProjectError, match="cannot fork"):
        forks.run(PROJECT, CATALOG, CATALOG["02_activations"], [])


def test_explanations_are_not_handed_out(tmp_path):
    """They quote the reference."""
    workspace.init(PROJECT, tmp_path / "workspace")
    names = {path.name for path in (tmp_path / "workspace").rglob("*")}
    assert "02_activations" in names and audit.explanations_path(PROJECT, CATALOG["02_activations"]).name not in names
