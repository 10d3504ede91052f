"""`tito milestone` in both roles, on small programs that train with the real package, fail, or are interrupted."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tito.catalog import read_milestones
from tito.errors import WorkError
from tito.project import read_project
from tito.services.site import build

REPOSITORY = Path(__file__).resolve().parents[2]
LONG = 60

POSIX = pytest.mark.skipif(os.name != "posix", reason="sends a real SIGINT")

# a network with everything that draws random numbers: the order, dropout, the start. Slow enough to be interrupted.
SLOW = """\
import hashlib
import os
import time

import numpy as np

from milestones.run import start
from tinytorch import accuracy, nn, optim
from tinytorch.training import Trainer
from tinytorch.utils.data import DataLoader, TensorDataset


def slow_accuracy(outputs, targets):
    time.sleep(float(os.environ.get("SLOW", 0)))
    return accuracy(outputs, targets)


run = start(__file__)
draw = np.random.default_rng(run.seed)
points = draw.standard_normal((120, 2)).astype(np.float32)
classes = (points[:, 0] * points[:, 1] > 0).astype(np.int64)
data = TensorDataset(points, classes)
model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2))
optimizer = optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
schedule = optim.lr_scheduler.StepLR(optimizer, 4, 0.5)
trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, schedule=schedule, metrics={"accuracy": slow_accuracy})
run.fit(trainer, DataLoader(data, 20, shuffle=True), validation=DataLoader(data, 60))
run.result("accuracy", trainer.evaluate(DataLoader(data, 120))["accuracy"])
digest = hashlib.sha256()
for parameter in model.parameters():
    digest.update(parameter.numpy().tobytes())
run.note(digest.hexdigest())
run.finish()
"""
PROGRAMS = {
    # name of the folder: (program, what it needs, its datasets)
    "01_1957_quick": ("run.result('accuracy', 0.9)\nrun.finish()", ["01_alpha"], ["points"]),
    "02_1969_later": ("run.result('accuracy', 0.9)\nrun.finish()", ["01_alpha", "02_beta"], ["points"]),
    "03_1986_slow": (SLOW, ["01_alpha"], ["made"]),
    "04_1998_images": (
        "train, test = run.load()\nrun.note(f'{len(train)} images {train[0][0].shape}')\n"
        "run.result('accuracy', run.seed / 10)\nrun.finish()",
        ["01_alpha"],
        ["mnist", "cifar10", "digits"],
    ),
    "05_2001_faulty": ("raise {fault}", ["01_alpha"], ["made"]),
}
TOML = """\
title = "A {short} one"
year = {year}
paper = "Somebody, Something ({year})"
summary = "what {short} is about"
program = "{short}.py"
needs = {needs}
"""
DATA = """
[datasets.{name}]
epochs = {epochs}
asserts = [{{ metric = "accuracy", at_least = 0.75, words = "at least 75 %" }}]
"""


def add_milestones(root):
    """The real package, and small milestones, into a tiny course or a workspace of one."""
    shutil.copytree(
        REPOSITORY / "tinytorch", root / "tinytorch", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    home = root / "milestones"
    home.mkdir()
    for name in ("run.py", "report.py"):
        shutil.copy(REPOSITORY / "milestones" / name, home / name)
    for folder, (program, needs, datasets) in PROGRAMS.items():
        _, year, short = folder.split("_")
        opening = "" if "start(__file__)" in program else "from milestones.run import start\n\nrun = start(__file__)\n"
        put(home / folder / f"{short}.py", f"{opening}{program}\n")
        text = TOML.format(short=short, year=year, needs=json.dumps(needs))
        put(home / folder / "milestone.toml", text + "".join(DATA.format(name=name, epochs=6) for name in datasets))
    return root


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


@pytest.fixture
def course(mini_course):
    """A tiny course in which alpha is built, and beta is not."""
    add_milestones(mini_course)
    put(mini_course / "tinytorch" / "core" / "alpha.py", '"""Alpha."""\n')
    return mini_course


@pytest.fixture
def student(completed):
    """A workspace in which alpha is complete, and beta is not."""
    add_milestones(completed.root)
    return completed


@pytest.fixture
def milestone(course, tito):
    """milestone(*args): `tito milestone …` in the tiny course."""
    return lambda *args: tito("milestone", *args)


def metrics(root, name, run):
    return json.loads((root / ".tito" / "milestones" / name / run / "metrics.json").read_text(encoding="utf-8"))


def rewrite(root, name, program):
    short = name.split("_")[2]
    text = f"from milestones.run import start\n\nrun = start(__file__)\n{program}\n"
    put(root / "milestones" / name / f"{short}.py", text)


# list, status


def test_list_shows_what_is_ready_what_is_missing_and_what_starts_it(milestone):
    done = milestone("list", "--json")
    assert done.exit_code == 0
    found = {one["name"]: one for one in done.document["data"]["milestones"]}
    assert list(found) == list(PROGRAMS)
    assert found["01_1957_quick"]["state"] == "ready"
    assert found["01_1957_quick"]["next"] == "tito milestone run 01"
    assert found["02_1969_later"]["state"] == "locked"
    assert found["02_1969_later"]["missing"] == ["02_beta"]
    assert found["02_1969_later"]["next"] == "tito module start 02"
    text = milestone("list").stdout
    assert "needs 02_beta" in text
    assert "tito module start 02" in text


def test_completing_a_module_leads_to_the_milestone_that_it_unlocks_and_then_to_the_next_module(student):
    done = student.tito("module", "complete", "01")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[lines.index("next: tito milestone run 01") + 1].startswith("then: tito milestone run 0")
    assert lines[-1] == "then: tito module start 02_beta"
    for number in ("01", "03"):
        student.tito("milestone", "run", number)
    document = student.tito("module", "complete", "01", "--json").document["data"]
    assert "tito milestone run 01" not in document["commands"], "it is done"
    assert document["commands"][-1] == "tito module start 02_beta"


def test_completing_the_capstone_leads_to_the_measurement_of_its_file(student):
    toml = student.root / "modules" / "02_beta" / "module.toml"
    toml.write_text(toml.read_text(encoding="utf-8") + 'artifact = "submission.npz"\n', encoding="utf-8")
    student.solve("02_beta")
    commands = student.tito("module", "complete", "02", "--json").document["data"]["commands"]
    assert commands[0] == "tito benchmark run"
    assert "tito milestone run 02" in commands and commands[-1] == "tito module start 03_gamma"


def test_list_names_the_command_that_fetches_a_dataset(milestone, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path / "nothing"))
    text = milestone("list").stdout
    assert "without a download:" in text
    assert "--data digits: " in text
    assert "for mnist: tito data fetch mnist" in text
    assert "tito data fetch digits" not in text, "they are brought along"


def test_the_list_offers_what_is_next_and_not_what_is_done(milestone):
    """One command, of the first milestone that is ready and not reached; a done one shows its report in place of it."""
    assert milestone("list").stdout.splitlines()[-1] == "next: tito milestone run 01"
    milestone("run", "1")
    text = milestone("list").stdout
    assert "reached on points: .tito/milestones/01_1957_quick/points-seed0/index.html" in text
    assert "tito milestone run 01" not in text
    assert text.splitlines()[-1] == "next: tito milestone run 03"
    assert text.count("next: ") == 1


def test_the_help_says_the_datasets_of_each_milestone_and_their_epochs(milestone):
    text = " ".join(milestone("run", "--help").stdout.split())
    assert "01_1957_quick points (6 epochs) 02_1969_later" in text
    assert "mnist (6 epochs), cifar10 (6 epochs), digits (6 epochs); digits where mnist is not fetched" in text


def test_an_upper_bound_is_kept_to_and_not_reached(milestone, course):
    path = course / "milestones" / "01_1957_quick" / "milestone.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("at_least", "at_most"), encoding="utf-8")
    for value, word, code in ((0.75, "not exceeded", 0), (0.9, "exceeded", 1), ("float('nan')", "not reached", 1)):
        rewrite(course, "01_1957_quick", f"run.result('accuracy', {value})\nrun.finish()")
        done = milestone("run", "1")
        assert done.exit_code == code
        assert done.stdout.splitlines()[-2].startswith(f"{word}: accuracy "), done.stdout


def test_the_report_says_in_sentences_what_was_done_and_what_a_figure_shows(milestone, course):
    program = (
        "import matplotlib.pyplot as plt\nrun.about('Points were counted.')\nfigure, axes = plt.subplots()\n"
        "run.figure('The curve', figure, 'It falls.')\nrun.table('Counts', [['name', 'count'], ['a', 3]])\n"
        "run.result('accuracy', 0.9)\nrun.finish()"
    )
    rewrite(course, "01_1957_quick", program)
    assert milestone("run", "1").exit_code == 0
    page = (course / ".tito/milestones/01_1957_quick/points-seed0/index.html").read_text(encoding="utf-8")
    verdict = '<span class="passed">Reached:</span> accuracy 90.00 %; expected: at least 75'
    assert page.index("<p>Points were counted.</p>") < page.index(verdict)
    assert "<figcaption>It falls.</figcaption>" in page
    assert not re.search(r"<th[^>]*>\s*</th>", page), "every column has a title"
    assert "assert" not in page
    assert page.count("seconds") == 1
    assert page.count('class="wide" tabindex="0"') == page.count("<table") + page.count("<picture")
    assert metrics(course, "01_1957_quick", "points-seed0")["about"] == ["Points were counted."]


def test_what_is_measured_on_test_data_is_not_called_validation(milestone, course):
    rewritten = SLOW.replace("validation=DataLoader(data, 60)", "test=DataLoader(data, 60)")
    (course / "milestones" / "03_1986_slow" / "slow.py").write_text(rewritten, encoding="utf-8")
    done = milestone("run", "slow")
    assert done.exit_code == 0, done.stderr
    assert "test_accuracy" in done.stdout and "validation" not in done.stdout
    history = metrics(course, "03_1986_slow", "made-seed0")["history"]
    assert "test_loss" in history and not any("validation" in name for name in history)


def test_done_is_what_was_reached(milestone):
    assert milestone("run", "1").exit_code == 0
    assert milestone("run", "04", "--data", "digits", "--seed", "3").exit_code == 1
    states = {one["name"]: one["state"] for one in milestone("list", "--json").document["data"]["milestones"]}
    assert states["01_1957_quick"] == "done"
    assert states["04_1998_images"] == "ready", "0.3 is not 75 %"


def test_status_keeps_the_best_run(milestone):
    for seed in (8, 9, 7):
        milestone("run", "04", "--data", "digits", "--seed", str(seed))
    (found,) = [one for one in milestone("status", "--json").document["data"]["milestones"] if one["best"]]
    (best,) = found["best"]
    assert (best["seed"], best["value"], best["reached"]) == (9, 0.9, True)
    assert found["last"]["seed"] == 7
    assert best["report"] == ".tito/milestones/04_1998_images/digits-seed9/index.html"
    text = milestone("status").stdout
    assert "digits, seed 9, 6 epochs  reached: accuracy 90.00 %" in text
    assert "1 of 5 milestones reached" in text


def test_a_report_is_not_replaced_by_that_of_a_worse_run(milestone, course):
    milestone("run", "1")
    rewrite(course, "01_1957_quick", "run.result('accuracy', 0.5)\nrun.finish()")
    milestone("run", "1")
    (found,) = [one for one in milestone("status", "--json").document["data"]["milestones"] if one["best"]]
    assert metrics(course, "01_1957_quick", "points-seed0")["results"] == {"accuracy": 0.5}
    best = course / found["best"][0]["report"]
    assert json.loads((best.parent / "metrics.json").read_text(encoding="utf-8"))["results"] == {"accuracy": 0.9}


def test_runs_that_cannot_be_read_are_kept_aside(milestone, course):
    milestone("run", "1")
    path = course / ".tito" / "milestones" / "01_1957_quick" / "runs.json"
    for broken in ("{", '{"schema": 1, "best": {"points": {"data": 1}}, "last": null}', "[]"):
        path.write_text(broken, encoding="utf-8")
        done = milestone("status")
        assert done.exit_code == 0
        assert "runs.json could not be read and was moved to .tito/backups/" in done.stderr
        path.write_text(broken, encoding="utf-8")
        assert milestone("run", "1").exit_code == 0, "by the program as well"
    assert len(list((course / ".tito" / "backups").iterdir())) == 3
    assert len(list(path.parent.glob("*.unreadable"))) == 3


# run


@pytest.mark.parametrize("name", ["1", "01", "quick", "1957", "01_1957_quick", "01_1957_quick/"])
def test_a_milestone_answers_to_its_number_name_and_year(milestone, name):
    done = milestone("run", name, "--json")
    assert done.exit_code == 0
    assert done.document["data"]["milestone"] == "01_1957_quick"


def test_a_run_writes_its_report(milestone, course):
    done = milestone("run", "slow", "--seed", "1")
    assert done.exit_code == 0, done.stderr
    assert "epoch 6/6" in done.stdout
    assert "images/s" in done.stdout
    assert "reached: accuracy" in done.stdout
    folder = course / ".tito" / "milestones" / "03_1986_slow" / "made-seed1"
    assert f"report: {(folder / 'index.html').relative_to(course).as_posix()}" in done.stdout
    found = metrics(course, "03_1986_slow", "made-seed1")
    assert found["results"]["accuracy"] >= 0.75
    assert len(found["history"]["loss"]) == len(found["history"]["validation_accuracy"]) == 6
    assert found["setting"]["parameters"] == 2 * 8 + 8 + 8 * 2 + 2
    assert found["setting"]["command"] == "tito milestone run 03 --data made --epochs 6 --seed 1"
    assert str(course) not in json.dumps(found)
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "<h1>A slow one, 1986</h1>" in page
    assert "color-scheme: light dark" in page
    assert not list(folder.glob("*.npz")), "nothing is left to go on with"


def test_a_report_says_which_modules_are_the_courses_own(milestone, course):
    adopted = course / "tinytorch" / "core" / "alpha.py"
    adopted.write_text("# Adopted: this is the course's own 01_alpha\n" + adopted.read_text(encoding="utf-8"), "utf-8")
    outcome = milestone("run", "3")
    assert outcome.exit_code == 0, outcome.stderr
    assert "adopted, so the course's own and not written here: alpha" in outcome.stdout
    assert metrics(course, "03_1986_slow", "made-seed0")["setting"]["adopted modules"] == "alpha"


def test_a_report_can_go_elsewhere(milestone, course, tmp_path):
    done = milestone("run", "1", "--report", tmp_path / "else where")
    assert done.exit_code == 0, done.stderr
    assert f"report: {tmp_path / 'else where' / 'index.html'}" in done.stdout
    assert (tmp_path / "else where" / "metrics.json").is_file()
    assert str(tmp_path) not in (tmp_path / "else where" / "metrics.json").read_text(encoding="utf-8")
    assert str(tmp_path / "else where" / "index.html") in milestone("status").stdout
    done = milestone("run", "1", "--report", course / "pyproject.toml")
    assert done.exit_code == 3
    assert "the report cannot be written to" in done.stderr


def test_a_report_leaves_what_it_did_not_write(milestone, course, tmp_path):
    home = tmp_path / "home"
    assert milestone("run", "1", "--report", home, "--seed", "0").exit_code == 0
    plots = set(home.glob("*.png"))
    document = json.loads((home / "metrics.json").read_text(encoding="utf-8"))
    document["figures"].append({"file": "old.png", "dark": "old-dark.png"})
    (home / "metrics.json").write_text(json.dumps(document), encoding="utf-8")
    for name in ("old.png", "old-dark.png", "holiday.png"):
        (home / name).write_bytes(b"a picture")
    assert milestone("run", "1", "--report", home, "--seed", "0").exit_code == 0
    assert set(home.glob("*.png")) == {*plots, home / "holiday.png"}, "the plots of the report before are gone"

    album = tmp_path / "album"
    album.mkdir()
    (album / "index.html").write_text("mine", encoding="utf-8")
    done = milestone("run", "1", "--report", album)
    assert done.exit_code == 3
    assert "holds something that is no report of a milestone" in done.stderr
    assert (album / "index.html").read_text(encoding="utf-8") == "mine"


def test_the_same_seed_gives_the_same_run_and_another_one_does_not(milestone, course):
    notes = []
    for seed in (0, 0, 1):
        milestone("run", "slow", "--seed", str(seed))
        notes.append(metrics(course, "03_1986_slow", f"made-seed{seed}")["notes"])
    assert notes[0] == notes[1] != notes[2]


def test_not_reached_is_said_with_the_figures(milestone):
    done = milestone("run", "images", "--data", "digits", "--seed", "5", "--json")
    assert done.exit_code == 1
    assert done.document["ok"] is False
    assert done.document["error"]["code"] == "not-reached"
    assert done.document["error"]["message"] == "not reached: accuracy 50.00 %, at least 75 %"
    assert done.document["data"]["entry"]["value"] == 0.5
    text = milestone("run", "images", "--data", "digits", "--seed", "5")
    assert "not reached: accuracy 50.00 %; expected: at least 75 %" in text.stdout
    assert text.exit_code == 1


def test_what_was_not_measured_is_not_reached(milestone, course):
    for value in ("float('nan')", None):
        rewrite(course, "01_1957_quick", f"run.result('accuracy', {value})\nrun.finish()" if value else "run.finish()")
        done = milestone("run", "1")
        assert done.exit_code == 1
        assert "not reached: accuracy not measured" in done.stdout


@pytest.mark.parametrize(
    ("interval", "code", "verdict"),
    [
        ("(0.75, 0.9)", 0, "reached"),
        ("(0.7, 0.9)", 4, "not decided"),
        ("(0.7, 0.75)", 4, "not decided"),
        ("(0.7, 0.74)", 1, "not reached"),
        ("(float('nan'), 0.9)", 1, "not reached"),
    ],
)
def test_a_ratio_of_times_is_reached_missed_or_not_decided(milestone, course, interval, code, verdict):
    """By the whole of its interval, whatever the value in the middle."""
    program = f"run.result('accuracy', 0.8, {interval})\nrun.finish()"
    rewrite(course, "01_1957_quick", program)
    done = milestone("run", "1")
    assert done.exit_code == code
    assert done.stdout.splitlines()[-2].startswith(f"{verdict}: accuracy "), done.stdout
    assert ("close other programs, and run it again" in done.stderr) == (code == 4)
    (claim,) = metrics(course, "01_1957_quick", "points-seed0")["asserts"]
    assert (claim["outcome"], claim["reached"]) == (verdict, code == 0)
    assert verdict in milestone("status").stdout
    (found,) = [one for one in milestone("list", "--json").document["data"]["milestones"] if one["name"][:2] == "01"]
    assert found["state"] == ("done" if code == 0 else "ready")
    by_hand = begin(course, sys.executable, str(course / "milestones" / "01_1957_quick" / "quick.py"))
    out, err = by_hand.communicate(timeout=LONG)
    assert by_hand.returncode == code, out + err
    if code == 4:
        error = milestone("run", "1", "--json").document["error"]
        assert error["code"] == "not-decided"
        assert error["message"] == "not decided: accuracy 80.00 %, at least 75 %"
        assert "(from 0.7 to " in done.stdout


def test_what_was_missed_outweighs_what_is_not_decided(milestone, course):
    path = course / "milestones" / "01_1957_quick" / "milestone.toml"
    second = ', { metric = "gain", at_least = 1, words = "not slower" }]'
    path.write_text(path.read_text(encoding="utf-8").replace(" }]", f" }}{second}"), encoding="utf-8")
    for accuracy, code in ((0.9, 4), (0.7, 1)):
        program = f"run.result('gain', 1.1, (0.9, 1.3))\nrun.result('accuracy', {accuracy})\nrun.finish()"
        rewrite(course, "01_1957_quick", program)
        done = milestone("run", "1")
        assert done.exit_code == code, done.stdout
        assert "not decided: gain 1.1 (from 0.9 to 1.3); expected: not slower" in done.stdout
        assert ("gain" in done.stderr) == (code == 4), "the error is about what decided"


REACHED = {"outcome": "reached", "interval": None, "verdict": "reached: accuracy"}
OPEN = {"outcome": "not decided", "interval": [0.9, 1.3], "verdict": "not decided: gain"}
LATE = {"outcome": "not reached", "interval": [0.5, 0.7], "verdict": "not reached: gain"}
MISSED = {"outcome": "not reached", "interval": None, "verdict": "not reached: accuracy"}


@pytest.fixture
def ci():
    """.ci/milestones.py"""
    spec = importlib.util.spec_from_file_location("ci_milestones", REPOSITORY / ".ci" / "milestones.py")
    ci = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ci)
    return ci


@pytest.mark.parametrize(
    ("asserts", "exit_code", "fails"),
    [
        ([REACHED], 0, False),
        ([REACHED, OPEN], 4, False),
        ([REACHED, OPEN, LATE], 1, False),
        ([MISSED], 1, True),
        ([LATE, MISSED], 1, True),
    ],
)
def test_a_ratio_of_times_that_was_missed_fails_neither_ci_nor_the_site(ci, monkeypatch, asserts, exit_code, fails):
    said = {"data": {"asserts": asserts}, "error": {"message": "what it says"}}
    assert ci.failed(exit_code, said) == (("what it says", "") if fails else ("", "what it says" if exit_code else ""))
    outcome = SimpleNamespace(asserts=asserts, reached=exit_code == 0, undecided=exit_code == 4)
    monkeypatch.setattr(build.runs, "run", lambda *_, **__: outcome)
    monkeypatch.setattr(build.shown, "report", lambda *_: "the report")
    monkeypatch.setattr(build.shown, "dataset", lambda _: "points")
    milestone, clock = SimpleNamespace(name="01_quick", number=1), build._Clock(None)
    if fails:
        with pytest.raises(WorkError, match=r"^01_quick: not reached: accuracy$"):
            build._run_milestone(None, None, milestone, clock)
    else:
        assert build._run_milestone(None, None, milestone, clock) == "the report"


def test_a_milestone_that_stops_fails_ci(ci):
    for exit_code in (1, 3, 70, 130):
        assert ci.failed(exit_code, {"data": None, "error": {"message": "it stopped"}}) == ("it stopped", "")


def test_a_run_of_an_earlier_version_is_read(milestone, course):
    """It did not know of runs that are not decided."""
    milestone("run", "1")
    path = course / ".tito" / "milestones" / "01_1957_quick" / "runs.json"
    runs = json.loads(path.read_text(encoding="utf-8"))
    for entry in (runs["best"]["points"], runs["last"]):
        del entry["undecided"]
    path.write_text(json.dumps(runs), encoding="utf-8")
    assert "1 of 5 milestones reached" in milestone("status").stdout
    assert milestone("run", "1").exit_code == 0


def test_a_milestone_may_name_the_dataset_that_is_used_unless_another_one_is_asked_for(milestone, course):
    path = course / "milestones" / "04_1998_images" / "milestone.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("program =", 'default = "digits"\nprogram ='), encoding="utf-8")
    rewrite(course, "04_1998_images", "run.load()\nrun.result('accuracy', 0.9)\nrun.finish()")
    done = milestone("run", "04", "--json")
    assert done.document["data"]["entry"]["data"] == "digits", done.stderr
    words = " ".join(milestone("run", "--help").stdout.split())
    assert "digits (6 epochs), mnist (6 epochs), cifar10 (6 epochs) 05" in words


@pytest.mark.parametrize(("value", "code"), [(0.75, 0), (0.7499999999, 0), (0.7499, 1)])
def test_the_limit_belongs_to_it(milestone, course, value, code):
    """0.7499999999 is what float32 makes of means like 0.75."""
    rewrite(course, "01_1957_quick", f"run.result('accuracy', {value})\nrun.finish()")
    assert milestone("run", "1").exit_code == code


def test_without_the_dataset_the_bundled_digits_are_used_meanwhile(milestone, monkeypatch, tmp_path, course):
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path / "nothing"))
    done = milestone("run", "04", "--seed", "9")
    assert done.exit_code == 0, done.stderr
    assert "mnist is not here; get it with: tito data fetch mnist. Meanwhile: digits" in done.stdout
    assert metrics(course, "04_1998_images", "digits-seed9")["notes"] == ["1437 images (1, 8, 8)"]
    document = milestone("run", "04", "--seed", "9", "--json").document
    assert (document["data"]["wanted"], document["data"]["entry"]["data"]) == (None, "digits")


def test_a_dataset_that_is_asked_for_and_not_here_is_an_error_and_no_other_experiment(milestone, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path / "nothing"))
    for wanted in ("mnist", "cifar10"):
        done = milestone("run", "04", "--seed", "9", "--data", wanted)
        assert done.exit_code == 3
        assert f"--data {wanted} learns from {wanted}, which is not here; --data digits" in done.stderr
        assert f"tito data fetch {wanted}" in done.stderr


@pytest.mark.parametrize(
    ("usual", "wanted", "taken", "is_said"),
    [("mnist", None, "digits", True), ("digits", None, "digits", False), ("mnist", "digits", "digits", False),
     ("mnist", "part", "part", False)],
)  # fmt: skip
def test_only_another_dataset_is_taken_meanwhile(monkeypatch, usual, wanted, taken, is_said):
    """Nothing is here. `part` learns from the digits, which are fetched each time."""
    from milestones import run as running

    fetched, told, run = [], [], object.__new__(running.Run)

    def load(self, name):
        if self._images(name) not in fetched:
            raise FileNotFoundError(name)
        return "two parts"

    monkeypatch.setattr(running.Run, "_load", load)
    monkeypatch.setattr(running.Run, "_fetch", lambda self, name: fetched.append(name))
    monkeypatch.setattr(running, "voice", SimpleNamespace(tell=lambda event, text: told.append(text)))
    run.facts = {"datasets": {"mnist": {}, "part": {"images": "digits"}, "digits": {}}, "default": usual}
    assert run._find_data(wanted) == (taken, "two parts")
    assert fetched == ["digits"]
    assert told == ["mnist is not here; get it with: tito data fetch mnist. Meanwhile: digits"] * is_said


@pytest.mark.parametrize("stop", range(1, 9))
def test_the_step_in_which_ctrl_c_came_keeps_its_loss(tmp_path, stop):
    """Of eight steps in two epochs; the run that goes on has the losses of one that was not interrupted."""
    from milestones.callbacks import LossByStep
    from tinytorch import Tensor, manual_seed, nn, optim
    from tinytorch.training import Trainer
    from tinytorch.utils.data import DataLoader, TensorDataset

    class Loss:
        def __init__(self, stop):
            self.calls, self.stop = 0, stop

        def __call__(self, outputs, targets):
            self.calls += 1
            if self.calls == self.stop:
                signal.raise_signal(signal.SIGINT)
            return nn.MSELoss()(outputs, targets)

    x = np.arange(32, dtype=np.float32).reshape(16, 2) / 16

    def trainer(stop=0):
        manual_seed(0)
        model, seen = nn.Linear(2, 1), LossByStep()
        made = Trainer(model, Loss(stop), optim.SGD(model.parameters(), lr=0.1), callbacks=[seen], progress=False)
        return made, DataLoader(TensorDataset(Tensor(x), Tensor(x[:, :1])), 4, shuffle=True), seen

    whole, loader, expected = trainer()
    whole.fit(loader, 2)
    assert len(expected.losses) == 8
    begun, loader, _ = trainer(stop)
    begun.fit(loader, 2)
    assert begun.stopped.startswith("interrupted")
    begun.save_checkpoint(tmp_path / "checkpoint.npz")
    again, loader, seen = trainer()
    again.load_checkpoint(tmp_path / "checkpoint.npz")
    again.fit(loader, 2 - again.epoch)
    assert seen.losses == expected.losses


def test_a_batch_within_one_tick_of_a_slow_clock_has_its_rate(monkeypatch):
    from milestones import run as running

    told, loader = [], type("Loader", (list,), {"batch_size": 20})([None] * 3)
    trainer = SimpleNamespace(epoch=0, last_epoch=1, position={"step": 1}, running=dict)
    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic=lambda: 100.0, perf_counter=time.perf_counter))
    monkeypatch.setattr(running, "voice", SimpleNamespace(tell=lambda event, text, **values: told.append(values)))
    progress = running.Progress(None, loader, dict)
    for event in (progress.on_fit_start, progress.on_epoch_start, progress.on_batch_end):
        event(trainer)
    assert [values["images_per_second"] > 0 for values in told] == [True]


def test_a_program_prints_and_it_is_seen(milestone, course):
    rewrite(course, "01_1957_quick", "print('hello from the program')\nrun.result('accuracy', 1)\nrun.finish()")
    assert "hello from the program" in milestone("run", "1").stdout
    assert "hello" not in milestone("run", "1", "--json").stdout


# the student's workspace


def test_a_workspace_names_the_module_that_is_missing(student):
    assert student.tito("milestone", "run", "1").exit_code == 0
    done = student.tito("milestone", "run", "later", "--json")
    assert done.exit_code == 1
    assert done.document["error"] == {
        "code": "prerequisites",
        "message": "02_1969_later needs 02_beta, which is not complete",
        "hint": "tito module start 02",
    }
    listed = student.tito("milestone", "list").stdout
    assert "needs 02_beta" in listed
    assert "tito module start 02" in listed


def test_a_file_in_the_package_does_not_unlock_what_was_not_completed(student):
    put(student.root / "tinytorch" / "core" / "beta.py", '"""Taken from somewhere."""\n')
    done = student.tito("milestone", "run", "later")
    assert done.exit_code == 1
    assert "02_1969_later needs 02_beta, which is not complete" in done.stderr


def test_a_workspace_runs_its_own_package(student):
    program = "import tinytorch\nprint(tinytorch.__file__)\nrun.result('accuracy', 1)\nrun.finish()"
    rewrite(student.root, "01_1957_quick", program)
    assert str(student.root / "tinytorch" / "__init__.py") in student.tito("milestone", "run", "1").stdout


def test_init_copies_the_milestones(course, tito, tmp_path):
    assert tito("init", tmp_path / "new").exit_code == 0
    for folder in PROGRAMS:
        assert (tmp_path / "new" / "milestones" / folder / "milestone.toml").is_file()
    assert (tmp_path / "new" / "milestones" / "run.py").is_file()
    assert not (tmp_path / "new" / ".tito" / "milestones").exists()


# bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nope"], "there is no milestone 'nope'; the milestones are: 01_1957_quick"),
        (["run", "6"], "there is no milestone '6'"),
        (["run", "1", "--data", "mnist"], "does not know the dataset 'mnist'; it knows: points"),
        (["run", "1", "--epochs", "0"], "Invalid value for '--epochs'"),
        (["run", "1", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["run", "1", "--seed", "-1"], "Invalid value for '--seed'"),
        (["run"], "Missing argument"),
    ],
)
def test_what_does_not_exist_is_a_usage_error(milestone, arguments, words):
    done = milestone(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert milestone(*arguments, "--json").document["error"]["code"] == "usage"


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_broken_file_of_a_dataset_is_named(milestone, monkeypatch, tmp_path, file):
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path))
    for part in ("train", "t10k"):
        put(tmp_path / "mnist" / f"{part}-images-idx3-ubyte", "")
        (tmp_path / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\0\0\0\1" * 3 + b"\7")
        (tmp_path / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + b"\0\0\0\1" + b"\7")
    (tmp_path / "mnist" / file).write_bytes(b"\0\0\x08\x03\0\0")
    done = milestone("run", "04")
    assert done.exit_code == 3
    assert file in done.stderr
    assert "next: tito data fetch mnist" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("fault", "exit_code", "code", "words", "hint"),
    [
        (
            "MemoryError('8 GB')",
            3,
            "memory",
            "too little memory (8 GB); what was trained is kept",
            "close other programs",
        ),
        ("__import__('numpy').empty(1 << 52)", 3, "memory", "too little memory", "close other programs"),
        ("FloatingPointError('epoch 2, step 7: it is nan')", 1, "not-finite", "epoch 2, step 7: it is nan", "--fresh"),
        ("ValueError('odd')", 1, "program", "ValueError in milestones/05_2001_faulty/faulty.py:4: odd", "fix"),
        ("SystemExit(7)", 1, "program", "faulty.py ended with exit code 7", "python milestones/05_2001_faulty"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", 3, "memory", "was killed", "close other programs"),
    ],
)
def test_what_goes_wrong_in_a_program_is_told_without_a_traceback(
    milestone, course, fault, exit_code, code, words, hint
):
    if "kill" in fault and os.name != "posix":
        pytest.skip("kills by a signal")
    rewrite(course, "05_2001_faulty", f"raise {fault}")
    done = milestone("run", "5")
    assert done.exit_code == exit_code
    assert words in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert milestone("run", "5", "--json").document["error"]["code"] == code
    if code == "program" and "ValueError" in fault:
        assert "Traceback" in milestone("run", "5", "-v").stderr


def test_a_loss_that_is_not_finite_names_step_and_parameter_and_keeps_what_there_was(milestone, course):
    path = course / "milestones" / "03_1986_slow" / "slow.py"
    text = path.read_text(encoding="utf-8")
    spoil = "\n    if spoiled(outputs): model[0].weight.data[1, 0] = np.nan"
    text = text.replace("    return accuracy(", f"{spoil[1:]}\n    return accuracy(")
    text = text.replace(
        "run = start",
        "calls = []\n\n\ndef spoiled(outputs):\n    calls.append(1)\n    return len(calls) == 12\n\n\nrun = start",
    )
    path.write_text(text, encoding="utf-8")
    done = milestone("run", "slow", "--json")
    assert done.exit_code == 1
    assert done.document["error"]["code"] == "not-finite"
    message = done.document["error"]["message"]
    assert "training stopped: epoch 2, step 5" in message, "six steps and two validation batches an epoch"
    assert "the first parameter that is not finite is 0.weight, nan at (1, 0)" in message
    assert "--fresh" in done.document["error"]["hint"]
    assert (course / ".tito/milestones/03_1986_slow/made-seed0/checkpoint.npz").is_file(), "the first epoch is kept"


def test_a_loop_without_a_trainer_names_step_and_parameter(milestone, course):
    program = (
        "from tinytorch import nn\nmodel = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))\n"
        "model[1].weight.data[0, 1] = float('inf')\nrun.progress(1, 9, model, loss=0.5)\n"
        "run.progress(2, 9, model, loss=float('nan'))"
    )
    rewrite(course, "05_2001_faulty", program)
    done = milestone("run", "5")
    assert done.exit_code == 1
    assert "step 2: loss is nan; the first parameter not finite: 1.weight" in done.stderr


def test_a_report_that_cannot_be_written_is_told_before_the_training(milestone, course):
    put(course / ".tito" / "milestones" / "03_1986_slow", "a file is in the way")
    done = milestone("run", "slow")
    assert done.exit_code == 3
    assert "the report cannot be written to" in done.stderr
    assert "--report FOLDER" in done.stderr
    assert "epoch" not in done.stdout
    assert "Traceback" not in done.stderr


def test_a_report_that_cannot_be_written_afterwards_loses_nothing(milestone, course):
    path = course / "milestones" / "03_1986_slow" / "slow.py"
    text = path.read_text(encoding="utf-8")
    blocked = text.replace("run.finish()", "(run.folder / 'index.html').mkdir()\nrun.finish()")
    path.write_text(blocked, encoding="utf-8")
    done = milestone("run", "slow")
    assert done.exit_code == 3
    assert "the report cannot be written to" in done.stderr
    assert "Traceback" not in done.stderr
    path.write_text(text, encoding="utf-8")
    (course / ".tito/milestones/03_1986_slow/made-seed0/index.html").rmdir()
    again = milestone("run", "slow")
    assert again.exit_code == 0
    assert "going on after epoch 6" in again.stdout, "nothing is trained twice"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "is not valid TOML"),
        ('title = "a"\n', "year is missing or of the wrong type"),
        (TOML.format(short="quick", year=1958, needs="[]"), "different years"),
        (TOML.format(short="gone", year=1957, needs="[]"), "there is no program gone.py"),
        (
            TOML.format(short="quick", year=1957, needs='["07_gone"]'),
            "needs 07_gone, which is no module of this course",
        ),
        (TOML.format(short="quick", year=1957, needs="[]"), "datasets needs a table for each dataset"),
        (TOML.format(short="quick", year=1957, needs="[]") + "[datasets.x]\nepochs = 3\n", "datasets needs a table"),
    ],
)
def test_a_milestone_that_is_not_in_order_is_named(milestone, course, text, words):
    put(course / "milestones" / "01_1957_quick" / "milestone.toml", text)
    done = milestone("list")
    assert done.exit_code == 3
    assert "milestones/01_1957_quick/milestone.toml" in done.stderr
    assert words in done.stderr


def test_a_course_without_milestones_says_so(tito):
    done = tito("milestone", "list")
    assert done.exit_code == 3
    assert "no milestones in" in done.stderr


# Ctrl-C


def begin(root, *args, slow="0.05", **settings):
    """Start a command and leave it running."""
    command = args if args[0] == sys.executable else (sys.executable, "-m", "tito", "milestone", *args)
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1", "SLOW": slow}
    return subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        **settings,
    )


def wait_for(process, words):
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(process.stderr.read())


def place(line):
    """(epoch, step) of the line that says where a run goes on."""
    words = line.replace(",", " ").split()
    return int(words[words.index("epoch") + 1]), int(words[words.index("step") + 1])


def interrupt(process, whole_group):
    send = os.killpg if whole_group else os.kill  # as a terminal does, or as a program does
    send(process.pid, signal.SIGINT)
    return process.communicate(timeout=LONG)


@POSIX
@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "signal"])
def test_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_been(student, whole_group):
    root = student.root
    assert student.tito("milestone", "run", "slow").exit_code == 0
    expected = metrics(root, "03_1986_slow", "made-seed0")
    places = [(0, 0)]
    for pause in (0.02, 0.13, 0.31):
        process = begin(root, "run", "slow")
        if len(places) > 1:
            places.append(place(wait_for(process, "going on after")))
        else:
            wait_for(process, "epoch 1/6")
            places.append((1, 0))
        time.sleep(pause)
        out, err = interrupt(process, whole_group)
        assert process.returncode == 130, out + err
        assert "interrupted; run it again to go on: tito milestone run 03" in err
        assert "Traceback" not in out + err
    done = student.tito("milestone", "run", "slow")
    assert done.exit_code == 0
    (line,) = [line for line in done.stdout.splitlines() if "going on after" in line]
    places.append(place(line))
    assert places == sorted(places), "it goes on where it stopped"
    assert any(step for _, step in places), "in the middle of an epoch, too"
    assert done.stdout.count("images/s") == 6 - places[-1][0], "what was trained is not trained again"
    found = metrics(root, "03_1986_slow", "made-seed0")
    assert found["notes"] == expected["notes"], "every bit of every weight"
    assert found["history"] == expected["history"]
    assert found["results"] == expected["results"]


@POSIX
def test_a_program_run_by_hand_goes_on_too(course, tito):
    tito("milestone", "run", "slow")
    expected = metrics(course, "03_1986_slow", "made-seed0")
    program = str(course / "milestones" / "03_1986_slow" / "slow.py")
    process = begin(course, sys.executable, program)
    wait_for(process, "epoch 2/6")
    _, err = interrupt(process, whole_group=False)
    assert process.returncode == 130
    assert "interrupted; run it again to go on" in err
    assert "Traceback" not in err
    process = begin(course, sys.executable, program, slow="0")
    out, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    assert "going on after epoch 2" in out
    assert metrics(course, "03_1986_slow", "made-seed0")["notes"] == expected["notes"]


@POSIX
def test_fresh_starts_anew(student):
    process = begin(student.root, "run", "slow")
    wait_for(process, "epoch 2/6")
    interrupt(process, whole_group=True)
    done = student.tito("milestone", "run", "slow", "--fresh")
    assert done.exit_code == 0
    assert "going on" not in done.stdout
    assert "epoch 1/6" in done.stdout


@POSIX
def test_a_checkpoint_that_is_broken_is_told(student):
    path = student.root / ".tito" / "milestones" / "03_1986_slow" / "made-seed0" / "checkpoint.npz"
    put(path, "not a checkpoint")
    done = student.tito("milestone", "run", "slow")
    assert done.exit_code == 3
    assert "the interrupted run cannot be continued" in done.stderr
    assert "--fresh" in done.stderr
    assert path.read_text(encoding="utf-8") == "not a checkpoint"
    assert student.tito("milestone", "run", "slow", "--fresh").exit_code == 0


@POSIX
@pytest.mark.parametrize("where", ["before", "after"])
def test_ctrl_c_outside_of_the_training(course, where):
    """before: the program has not even imported what handles it. after: while the report is being made."""
    wait = "import time\nprint('waiting', flush=True)\ntime.sleep(60)\n"
    path = course / "milestones" / "03_1986_slow" / "slow.py"
    path.write_text(wait + SLOW if where == "before" else SLOW.replace("digest =", f"{wait}digest ="), encoding="utf-8")
    process = begin(course, "run", "slow", slow="0")
    wait_for(process, "waiting")
    out, err = interrupt(process, whole_group=False)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert "run it again to go on" in err
    path.write_text(SLOW, encoding="utf-8")
    process = begin(course, "run", "slow", slow="0")
    out, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    assert ("going on after epoch 6" in out) == (where == "after"), "what was trained is not trained again"


@POSIX
def test_a_program_that_does_not_end_after_ctrl_c_is_ended(course, monkeypatch):
    service = course / "tito" / "services" / "milestones.py"
    text = service.read_text(encoding="utf-8")
    assert "SECONDS_TO_SAVE = 30" in text
    service.write_text(text.replace("SECONDS_TO_SAVE = 30", "SECONDS_TO_SAVE = 1"), encoding="utf-8")
    program = (
        "import signal, time\nsignal.signal(signal.SIGINT, lambda *_: None)\nprint('deaf', flush=True)\ntime.sleep(60)"
    )
    rewrite(course, "05_2001_faulty", program)
    process = begin(course, "run", "5")
    wait_for(process, "deaf")
    started = time.monotonic()
    interrupt(process, whole_group=False)
    assert process.returncode == 130
    assert time.monotonic() - started < 20


@POSIX
def test_nothing_is_left_running(course):
    rewrite(course, "05_2001_faulty", "import os, time\nprint(f'pid {os.getpid()}', flush=True)\ntime.sleep(60)")
    process = begin(course, "run", "5")
    line = ""
    while not line.startswith("pid "):
        line = process.stdout.readline()
    child = int(line.split()[1])
    interrupt(process, whole_group=False)
    with suppress(ProcessLookupError):
        os.kill(child, 0)
        raise AssertionError("the program is still there")


def test_the_parts_of_a_milestone_need_no_download():
    """The transformers' datasets are parts that the program makes itself; LeNet's are fetched."""
    milestones = {one.short: one for one in read_milestones(read_project(REPOSITORY))}
    assert milestones["transformer"].has_parts and milestones["transformer"].unit == "steps"
    assert not milestones["lenet"].has_parts and milestones["lenet"].unit == "epochs"


def test_a_part_counts_as_absent_by_the_dataset_that_it_uses(course, milestone, monkeypatch, tmp_path):
    toml = course / "milestones" / "04_1998_images" / "milestone.toml"
    text = toml.read_text(encoding="utf-8")
    assert "[datasets.cifar10]\n" in text
    put(toml, text.replace("[datasets.cifar10]\n", '[datasets.cifar10]\nimages = "mnist"\n'))
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path / "nothing"))
    text = milestone("list").stdout
    assert "for mnist: tito data fetch mnist" in text
    assert "fetch cifar10" not in text
