"""What the reference shows is kept by whoever runs it, and shown only as long as nothing that it comes from changes."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import pytest
from tiny_course import put

from tito.catalog import read_catalog, read_milestones
from tito.errors import WorkError
from tito.project import read_project
from tito.services import notebooks, shown
from tito.services.site import build, milestone_page
from tito.services.site.links import Links

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = """\
import matplotlib.pyplot as plt

from milestones.run import start
from tinytorch.core.alpha import WORD

run = start(__file__)
figure, axes = plt.subplots()
axes.plot([1, 2], [3, 4])
run.about("What is *done* with a|b.")
run.result("accuracy", 0.9)
run.result("mistakes", 3)
run.note("A note between.\\n1. No list, and\\nanother line\\n\\nbehind a gap")
run.figure("A line", figure, "It goes up, as " + WORD + " says.")
run.table("Steps", [["step", "loss"], [1, 0.5], ["a|b", 0.25]])
run.finish()
"""
FACTS = """\
title = "The line"
year = 1957
paper = "Somebody (1957)"
summary = "a line"
program = "line.py"
needs = ["01_alpha"]

[datasets.big]
epochs = 1
asserts = [{ metric = "accuracy", at_least = 0.99, words = "at least 99 %" }]

[datasets.points]
epochs = 1
asserts = [{ metric = "accuracy", at_least = 0.75, words = "at least 75 %" }]
"""


def test_a_run_with_measurements_is_kept_for_the_site_and_one_without_is_not(tito, project, catalog, alpha):
    assert tito("export", "--all").exit_code == 0
    assert tito("module", "test", "01").exit_code == 0
    assert shown.outputs(project, catalog, alpha) is None
    assert tito("module", "test", "01", "--all").exit_code == 0
    found = shown.outputs(project, catalog, alpha)
    assert found.cells and found.seconds == shown.last_seconds(project, alpha) > 0
    sources = [cell for cell in alpha.source(project).read_text(encoding="utf-8").split("# %%") if "measure" in cell]
    assert sources, "the tiny module measures something"


def test_a_run_in_which_a_cell_stopped_is_not_kept(tito, project, catalog, alpha):
    source = alpha.source(project)
    put(source, source.read_text(encoding="utf-8") + '\n# %% tags=["measure"]\nraise OSError("the disk is full")\n')
    assert tito("export", "--all").exit_code == 0
    assert tito("module", "test", "01", "--all").exit_code == 1
    assert shown.outputs(project, catalog, alpha) is None


def test_the_key_changes_with_code_and_with_what_it_can_import_and_with_nothing_else(tito, project, catalog, alpha):
    assert tito("export", "--all").exit_code == 0
    gamma = catalog.find("gamma")
    before = shown.key(project, catalog, gamma)
    source = gamma.source(project)
    text = source.read_text(encoding="utf-8")
    put(source, text + '\n# %% [markdown]\nr"""\nMore words.\n"""\n')
    assert shown.key(project, catalog, gamma) == before, "prose"
    put(source, text + "\n# %%\nprint(1)\n")
    assert shown.key(project, catalog, gamma) != before, "code"
    put(source, text)
    for changed, path in ((True, project.core / alpha.core_file), (False, project.core / gamma.core_file)):
        old = path.read_text(encoding="utf-8")
        put(path, old + "\nMORE = 1\n")
        assert (shown.key(project, catalog, gamma) != before) == changed, path
        put(path, old)
    data = project.package / "data" / "words.txt"
    put(data, "words")
    assert shown.key(project, catalog, gamma) != before, "data"


@pytest.fixture
def line(mini_course, tito):
    """A small milestone, run on its last dataset in the tiny course with the real package."""
    package = REPOSITORY / "tinytorch"
    shutil.copytree(
        package, mini_course / "tinytorch", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    put(mini_course / "tinytorch" / "core" / "alpha.py", 'WORD = "alpha"\n')
    home = mini_course / "milestones"
    put(home / "01_1957_line" / "line.py", PROGRAM)
    put(home / "01_1957_line" / "milestone.toml", FACTS)
    put(home / "01_1957_line" / "README.md", "# 01: a line, 1957\n\nThe story.\n")
    for name in ("run.py", "report.py"):
        shutil.copy(REPOSITORY / "milestones" / name, home / name)
    assert tito("milestone", "run", "1", "--data", "points").exit_code == 0
    return mini_course


def test_the_report_of_a_run_is_current_until_something_that_ran_changes(line, project):
    (milestone,) = read_milestones(project)
    folder, metrics = shown.report(project, milestone)
    assert folder.name == "points-seed0" and metrics["reached"]
    put(line / "tinytorch" / "core" / "spatial.py", "# which the program does not import\n")
    assert shown.report(project, milestone)
    for path in (
        "tinytorch/core/alpha.py",
        "milestones/01_1957_line/line.py",
        "milestones/01_1957_line/milestone.toml",
    ):
        old = (line / path).read_text(encoding="utf-8")
        put(line / path, old + "\n# changed\n")
        assert shown.report(project, milestone) is None, path
        put(line / path, old)
    (folder / "a-line-dark.png").unlink()
    assert shown.report(project, milestone) is None, "a picture is gone"


def test_a_report_of_another_numpy_and_one_without_its_sources_are_not_shown(line, project):
    (milestone,) = read_milestones(project)
    path = shown.report(project, milestone)[0] / shown.METRICS
    metrics = json.loads(path.read_text(encoding="utf-8"))
    put(path, json.dumps(metrics | {"setting": metrics["setting"] | {"NumPy": "1.0"}}))
    assert shown.report(project, milestone) is None
    put(path, json.dumps({key: value for key, value in metrics.items() if key != "sources"}))
    assert shown.report(project, milestone) is None
    put(path, json.dumps(metrics))
    assert shown.report(project, milestone)


def test_a_milestones_page_tells_its_story_and_the_report_in_its_order(line, project):
    (milestone,) = read_milestones(project)
    report = shown.report(project, milestone)
    text, pictures = milestone_page.page(project, milestone, Links(line, {}), report)
    assert text.startswith("# Milestone 01: a line, 1957\n\nThe story.")
    wanted = [
        "tito milestone run 01 --data points --epochs 1 --seed 0",
        r"What is \*done\* with a\|b.",
        "reached: accuracy 90.00 %; expected: at least 75 %",
        "A note between.\\\n1\\. No list, and\\\nanother line\n\nbehind a gap",
        "### A line",
        "only-light",
        "only-dark",
        "It goes up, as alpha says.",
        "| step | loss |\n|---|---:|\n| 1 | 0.5 |\n| a\\|b | 0.25 |",
        "| mistakes | 3 |",
    ]
    places = [text.find(one) for one in wanted]
    assert -1 not in places and places == sorted(places), dict(zip(wanted, places, strict=True))
    assert [data[:4] for data in pictures.values()] == [b"\x89PNG"] * 2
    without, none = milestone_page.page(project, milestone, Links(line, {}), None)
    assert "built without running the milestone" in without and none == {}


def test_the_site_runs_a_milestone_of_which_nothing_is_kept_and_refuses_one_that_is_not_reached(line, project, catalog):
    (milestone,) = read_milestones(project)
    clock = build._Clock(None)
    shutil.rmtree(shown.report(project, milestone)[0])
    assert build._run_milestone(project, catalog, milestone, clock)[1]["reached"]
    clock.stop()
    assert clock.seconds["the run of 01_1957_line"] > 0
    facts = line / "milestones" / "01_1957_line" / "milestone.toml"
    put(facts, FACTS.replace("at_least = 0.75", "at_least = 0.95"))
    with pytest.raises(WorkError, match="not reached: accuracy 90.00 %") as refused:
        build._run_milestone(project, catalog, milestone, clock)
    assert refused.value.hint == "tito milestone run 01 --data points"


def test_the_dataset_that_everybody_has_is_one_that_no_test_lets_be_fetched():
    found = {one.short: shown.dataset(one) for one in read_milestones(read_project(REPOSITORY))}
    assert found == {
        "perceptron": "points", "xor": "xor", "mlp": "digits", "lenet": "digits", "transformer": "characters",
        "mlperf": "digits", "resnet": "digits",
    }  # fmt: skip


def test_ci_runs_milestones_and_modules_before_tito_check_builds_the_site_which_runs_nothing():
    text = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    places = [text.find(one) for one in ("python .ci/milestones.py", "python .ci/measured.py", '-c "$check"')]
    assert -1 not in places and places == sorted(places)
    assert "--no-run" not in text


@pytest.mark.parametrize(
    ("exit_code", "missed", "fails"),
    [
        (0, [], False),
        (4, [("not decided", [0.9, 1.1])], False),
        (1, [("not reached", [0.5, 0.6])], False),
        (1, [("not reached", [0.5, 0.6]), ("not reached", None)], True),
        (1, [("not reached", None)], True),
        (1, [], True),
        (3, [("not reached", [0.5, 0.6])], True),
    ],
)
def test_a_ratio_of_times_fails_no_ci_and_all_else_does(exit_code, missed, fails):
    spec = importlib.util.spec_from_file_location("ci_milestones", REPOSITORY / ".ci" / "milestones.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    asserts = [{"outcome": outcome, "interval": interval} for outcome, interval in [("reached", None), *missed]]
    error = {"message": "too bad"} if exit_code else None
    said = program.failed(exit_code, {"data": {"asserts": asserts}, "error": error})
    assert said == (("too bad", "") if fails else ("", "too bad" if exit_code else ""))


def test_nothing_lacks_on_the_site_that_ci_builds():
    """.ci/run has run everything by now; elsewhere only what happens to be kept is looked at."""
    project = read_project(REPOSITORY)
    catalog = read_catalog(project)
    found = {one.name: shown.outputs(project, catalog, one) for one in catalog}
    reports = {one.name: shown.report(project, one) for one in read_milestones(project)}
    if os.environ.get("CI"):
        assert [name for name, one in (found | reports).items() if one is None] == []
    for module in catalog:
        cells = notebooks.load(project, module.source(project)).node.cells
        measuring = {index for index, cell in enumerate(cells) if notebooks.is_measure(cell)}
        assert measuring, module.name
        if found[module.name] is not None:
            shows = {index for index in measuring if index in found[module.name].cells}
            assert 2 * len(shows) >= len(measuring), f"{module.name}: {sorted(measuring - shows)} show nothing"
