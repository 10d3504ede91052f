"""`tito check`: the course as it is passes, and every validator finds the damage that it is for."""

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from part_of_course import checked, copy_part
from said import typed

import tito.project
from tito.errors import ProjectError, Undecided, UsageError, WorkError
from tito.project import Project
from tito.services.check import gates, package, systems

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("01_tensor", "02_activations", "03_layers", "04_losses", "05_autograd")


def run(name, root, work):
    return found_by(name, checked(root, work))


def found_by(name, looked_at):
    (validator,) = gates.chosen([name])
    return list(validator.run(looked_at))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """The first modules of the course, with the rest that a course is made of."""
    root = tmp_path_factory.mktemp("course") / "course"
    return copy_part(root, MODULES, ("01_1957_perceptron", "02_1969_xor"))


@pytest.fixture
def course(pristine, tmp_path):
    shutil.copytree(pristine, tmp_path / "course")
    return tmp_path / "course"


OBJECTIVE = '\n[[objectives]]\nid = "x"\ntext = "y"\n'
DAMAGES = [
    ("times", "modules/05_autograd/module.toml", r"^hours = 10$", "hours = 11", "the parts sum to 10 hours"),
    ("times", "modules/README.md", r"(?<=\| 01–03 \| )4(?= \|)", "5", "04_losses: 5 hours, module.toml says 4"),
    ("times", "modules/03_layers/README.md", "About five hours", "About six hours", "03_layers: 6 hours"),
    ("times", "modules/03_layers/README.md", "About five hours", "It takes long", "03_layers: no hours"),
    ("times", "modules/05_autograd/autograd_dev.py", r"(?<=Part 2 of 4 · about )2", "3", "its headings give the parts"),
    ("difficulty", "modules/01_tensor/module.toml", "^difficulty = 2$", "difficulty = 3", "2 of 5, module.toml says 3"),
    ("difficulty", "modules/README.md", r"4(?= of 5)|3(?= of 5)", "1", "04_losses: 1 of 5"),
    ("checkpoints", "modules/05_autograd/autograd_dev.py", r"^## Part 3 of 4 · .*$", "## More", "3 headings of parts"),
    ("checkpoints", "modules/05_autograd/autograd_dev.py", "Part 3 of 4", "Part 2 of 4", "calls itself Part 2 of 4"),
    ("objectives", "modules/02_activations/module.toml", r"\Z", OBJECTIVE, "no graded cell meets"),
    ("objectives", "modules/03_layers/layers_dev.py", r'"minutes": \d+(, )?', "", "lacks minutes"),
    ("sources", "modules/02_activations/activations_dev.py", r'(?<="grade_id": )"relu"', '"rectify"', "rectify"),
    ("exports", "tinytorch/core/losses.py", r"\Z", "# one more line\n", "losses"),
    ("patterns", "modules/04_losses/losses_dev.py", r"def test_module\b", "def test_all", "there is no test_module()"),
    ("patterns", "modules/04_losses/losses_dev.py", r"^(def test_unit_.+:)$", r"\1\n    assert 1", "without a message"),
    ("links", "README.md", "modules/README.md#milestones", "modules/PATH.md", "there is no such file"),
    ("links", "README.md", "#milestones", "#the-mountains", "there is no such heading"),
    ("links", "README.md", "tito module start", "tito module begin", "there is no command module begin"),
    ("links", "README.md", "tito module start 01", "tito module start 01 --fast", "there is no option --fast"),
    ("answers", "modules/02_activations/README.md", r"\Z", None, "activations"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "what"), DAMAGES, ids=[f"{one[0]}-{n}" for n, one in enumerate(DAMAGES)]
)
def test_each_validator_finds_the_damage_that_it_is_for(course, tmp_path, monkeypatch, name, file, old, new, what):
    path = course / file
    before = path.read_text(encoding="utf-8")
    after = re.sub(old, answer_of(course) if new is None else new, before, count=1, flags=re.MULTILINE)
    assert after != before, "nothing was damaged"
    path.write_text(after, encoding="utf-8")
    monkeypatch.setattr(package, "_built", lambda checked: wheel_without_core(tmp_path))
    found = run(name, course, tmp_path / "work")
    assert any(what in one.what for one in found), found
    assert all(one.file and one.fix for one in found)


def answer_of(course):
    """A line of an answer of module 02, as text would give it away."""
    source = (course / "modules" / "02_activations" / "activations_dev.py").read_text(encoding="utf-8")
    region = re.search(r"### BEGIN SOLUTION\n(.+?)### END SOLUTION", source, re.DOTALL)[1]
    return "\n" + region


def wheel_without_core(folder):
    made = folder / "dist"
    made.mkdir(exist_ok=True)
    with zipfile.ZipFile(made / "x.whl", "w") as archive:
        archive.writestr("tinytorch/core/__init__.py", "")
    return made


def test_an_answer_in_the_wheel_is_found(course, tmp_path, monkeypatch):
    made = wheel_without_core(tmp_path)
    with zipfile.ZipFile(made / "x.whl", "a") as archive:
        archive.write(course / "tinytorch" / "core" / "layers.py", "tinytorch/core/layers.py")
    monkeypatch.setattr(package, "_built", lambda checked: made)
    found = run("answers", course, tmp_path / "work")
    assert found and {one.file for one in found} == {"wheel: tinytorch/core/layers.py"}


@pytest.fixture(scope="module")
def as_it_is(tmp_path_factory):
    return checked(ROOT, tmp_path_factory.mktemp("check"))


@pytest.mark.parametrize(
    "name", ["times", "difficulty", "checkpoints", "objectives", "sources", "exports", "patterns", "answers", "links"]
)
def test_the_course_as_it_is_passes(as_it_is, monkeypatch, name):
    """`strength`, `builds`, `site` and `speed` take minutes: CI runs `tito check`, which is all of them."""
    monkeypatch.setattr(package, "_built", lambda checked: wheel_without_core(as_it_is.work))
    assert found_by(name, as_it_is) == []


def test_a_test_that_passes_anything_is_found(course):
    """The audit of a module whose test of one answer asks for nothing: its stub and its mutants keep points."""
    source = course / "modules" / "02_activations" / "activations_dev.py"
    text, count = re.subn(
        r"^(def test_unit_relu\(\):\n)(?:(?: .*)?\n)+?(?=test_unit_relu\(\))",
        r"\1    pass\n\n",
        source.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert count == 1
    source.write_text(text, encoding="utf-8")
    found = found_by("strength", checked(course, course.parent, ["02_activations"], jobs=2))
    assert "an untouched stub passes test-relu" in [one.what for one in found]
    weak = [one for one in found if one.what.startswith("relu: this change loses no points: ")]
    assert weak and {one.file for one in weak} == {"modules/02_activations/activations_dev.py"}
    assert all(one.line and one.fix == "tito grade audit 02_activations" for one in weak)


def test_a_reference_that_fails_is_a_finding_and_the_other_modules_are_looked_at(course):
    source = course / "modules" / "02_activations" / "activations_dev.py"
    text = source.read_text(encoding="utf-8").replace("return np.maximum(x, 0, dtype", "return np.minimum(x, 0, dtype")
    source.write_text(text, encoding="utf-8")
    (found,) = found_by("strength", checked(course, course.parent, ["02_activations"], jobs=2))
    assert found.file == "modules/02_activations/activations_dev.py" and "the reference itself stops here" in found.what


def speeds(monkeypatch, tmp_path, said, load=0.5):
    """What `speed` finds where one benchmark says `said`, while so many processes want to run."""
    monkeypatch.setattr(systems, "_run", lambda path, name: said)
    monkeypatch.setattr(systems.os, "getloadavg", lambda: (load, 0, 0), raising=False)
    monkeypatch.setattr(systems, "RUNS", (("spatial.py", ("conv",)),))
    monkeypatch.setattr(systems.importlib.util, "find_spec", lambda name: True)
    monkeypatch.delenv("CI", raising=False)
    return run("speed", ROOT, tmp_path)


def test_a_bound_that_is_missed_is_a_finding_be_it_of_time_or_of_memory(tmp_path, monkeypatch):
    rows = {"kept": {"conv": {"ratio": 1.7, "at_most": 1.6}, "pool": {"ratio": 0.9, "at_most": 1.0}}}
    (found,) = speeds(monkeypatch, tmp_path, {"rows": rows})
    assert found.what == "conv, malloc kept: 1.70 of PyTorch's time; at most 1.6"
    assert found.file == "benchmarks/spatial.py" and "--only 'conv'" in found.fix
    (found,) = speeds(monkeypatch, tmp_path, {"rows": {}, "memory": {"ratio": 1.2, "at_most": 1.0}})
    assert found.what == "peak extra memory: 1.20 of PyTorch's memory; at most 1"
    assert speeds(monkeypatch, tmp_path, {"rows": {}, "memory": {"ratio": 0.7, "at_most": 1.0}}) == []


def test_a_time_above_its_bound_on_a_busy_machine_is_not_decided_and_memory_is(tmp_path, monkeypatch):
    late = {"rows": {"kept": {"conv": {"ratio": 1.7, "at_most": 1.6}}}}
    with pytest.raises(gates.NotDecided, match="conv.* 1.70 .*the machine is busy, 999.0 processes"):
        speeds(monkeypatch, tmp_path, late, load=999)
    large = {"memory": {"ratio": 1.2, "at_most": 1.0}}
    assert len(speeds(monkeypatch, tmp_path, late | large, load=999)) == 2
    assert speeds(monkeypatch, tmp_path, {"rows": {}, "memory": {"ratio": 0.9, "at_most": 1.0}}, load=999) == []


def test_in_ci_a_time_is_shown_and_fails_nothing_and_memory_does(tmp_path, monkeypatch):
    said = {"rows": {"kept": {"conv": {"ratio": 1.7, "at_most": 1.6}}}}
    assert len(speeds(monkeypatch, tmp_path, said)) == 1
    tried = {}
    for in_ci in ("", "true"):
        monkeypatch.setenv("CI", in_ci)
        monkeypatch.setattr(systems.os, "getloadavg", lambda: (999, 0, 0), raising=False)
        tried[in_ci] = typed(ROOT, "check", "speed")
    assert tried[""].exit_code == Undecided.exit_code and "tito check speed" in tried[""].stderr
    assert tried["true"].exit_code == 0
    assert all("not decided" in one.stdout and "1.70 of PyTorch's time" in one.stdout for one in tried.values())
    said["memory"] = {"ratio": 1.2, "at_most": 1.0}
    assert typed(ROOT, "check", "speed").exit_code == WorkError.exit_code


def test_a_benchmark_that_stops_or_measures_nothing_is_a_finding(tmp_path, monkeypatch):
    (found,) = speeds(monkeypatch, tmp_path, "ImportError: no tinytorch")
    assert found.what == "it does not run: ImportError: no tinytorch"
    for rows in ({}, {"kept": {}}, {"kept": {"conv": {"ratio": 9.0, "at_most": None}}}):
        (found,) = speeds(monkeypatch, tmp_path, {"rows": rows})
        assert found.what == "nothing that it measured has a bound"
    monkeypatch.undo()
    words = systems._run(ROOT / "benchmarks" / "nothing.py", "conv")
    assert isinstance(words, str) and "nothing.py" in words


def test_a_benchmark_whose_child_stops_says_the_childs_reason(tmp_path):
    program = tmp_path / "benchmarks" / "some.py"
    program.parent.mkdir()
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'benchmarks')!r})\nfrom beside_pytorch import child\n"
        "if '--child' in sys.argv:\n    raise ImportError('no conv2d today')\nchild('kept', program=__file__)\n",
        encoding="utf-8",
    )
    assert systems._run(program, "conv") == "ImportError: no conv2d today"


def test_what_speed_runs_are_rows_of_the_benchmarks():
    """A row that was renamed would be measured by nobody."""
    for program, names in systems.RUNS:
        text = (ROOT / "benchmarks" / program).read_text(encoding="utf-8")
        rows = re.findall(r'^    "(.+?)": \(', text, re.MULTILINE) + re.findall(r'^MEMORY_ROW.* = "(.+?)"', text, re.M)
        for name in names:
            assert any(name in row for row in rows), f"{program}: {name}"


def test_a_wheel_of_a_tree_that_is_not_committed_is_refused_and_says_what_is_not(course, tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=course, check=True)
    (found,) = run("builds", course, tmp_path)
    assert (
        found.what.startswith("not committed: LICENSE, README.md, milestones/, ")
        and found.fix == "git commit, or git stash"
    )


@pytest.fixture
def built(course, tmp_path, monkeypatch):
    """The course with a wheel and an sdist that were made, and no environment that anything is installed into.

    answers: {a part of a command: its output}; commands with that part fail with it. asked: all commands.
    """
    made = wheel_without_core(tmp_path)
    (made / "x.tar.gz").touch()
    with zipfile.ZipFile(made / "x.whl", "a") as archive:
        archive.writestr("x.dist-info/METADATA", "".join(f"{field}: x\n" for field in package.NEEDED))
    found = SimpleNamespace(root=course, work=tmp_path / "work", answers={}, asked=[])
    found.work.mkdir()

    def python(*command, cwd=None):
        words = " ".join(map(str, command))
        found.asked.append(words)
        said = [text for part, text in found.answers.items() if part in words]
        return SimpleNamespace(returncode=len(said), stdout="", stderr="".join(said))

    monkeypatch.setattr(package, "_built", lambda checked: made)
    monkeypatch.setattr(package, "_environment", lambda checked, name: Path(name, "python"))
    monkeypatch.setattr(package, "_python", python)
    return found


def test_wheel_and_sdist_are_installed_at_both_ends_of_the_bounds_and_imported(built):
    assert run("builds", built.root, built.work) == []
    extras = "[browser,postgres,cluster,release,docs]"
    installs = [words for words in built.asked if " install " in words]
    assert [extras in words for words in installs] == [True, False, True, False, False], installs
    assert "x.tar.gz" in installs[1] and "--no-deps" in installs[1]
    oldest = (built.work / "oldest.txt").read_text(encoding="utf-8").splitlines()
    for text in ("numpy==2.0.*", "psycopg==", "sphinx==", "pytest-xdist=="):
        assert [one for one in oldest if one.startswith(text)], text
    assert (built.work / "newest.txt").read_text(encoding="utf-8") == ""
    assert sum("import tinytorch, tito.app, selenium" in words for words in built.asked) == 2
    assert "import tinytorch, tinytorch.nn" in built.asked[-1]


@pytest.mark.parametrize(
    ("part", "text", "what"),
    [
        ("oldest/python install", "ERROR: no matching distribution", "x.whl does not install (oldest): ERROR: no"),
        ("newest/python install -q --disable-pip-version-check --no-compile --no-deps", "no", "x.tar.gz does not"),
        ("oldest/python -c", "ImportError: cannot import name a", "oldest: it does not import: ImportError"),
        ("numpy-alone/python -c", "No module named 'pandas'", "it does not import with NumPy alone: No module named"),
        ("numpy-alone/python install", "no network", "does not install: no network"),
    ],
)
def test_what_does_not_install_or_import_is_a_finding(built, part, text, what):
    built.answers[part] = text
    found = run("builds", built.root, built.work)
    assert [one for one in found if what in one.what], found
    assert all(one.file and one.fix for one in found)


def test_without_the_package_that_builds_nothing_is_known_of_the_wheel(course, tmp_path, monkeypatch):
    monkeypatch.setattr(package, "_python", lambda *command, cwd=None: SimpleNamespace(returncode=1))
    with pytest.raises(gates.NotHere, match="release"):
        run("builds", course, tmp_path)


def test_metadata_that_lack_something_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("x.dist-info/METADATA", "Name: x\nVersion: 1\nSummary: y\nRequires-Python: >=3\n\nlong\n")
    said = [one.what for one in package._metadata(tmp_path / "x.whl")]
    assert said == [
        "the wheel's metadata have no License-Expression",
        "the wheel's metadata have no Description-Content-Type",
    ]


def test_a_site_that_does_not_build_and_one_that_breaks_in_a_browser_are_found(tmp_path, monkeypatch):
    from tito.errors import WorkError
    from tito.services.check import documentation
    from tito.services.site import build

    def broken(*_, **__):
        raise WorkError("docs/lms.md:3: a link to nowhere.md", "fix it", code="links")

    monkeypatch.setattr(build, "build", broken)
    (found,) = run("site", ROOT, tmp_path)
    assert "nowhere.md" in found.what
    monkeypatch.setattr(build, "build", lambda *_, **__: None)
    said = (["FAILED test_site_browser.py::test_search - no Conv2d"], False)
    monkeypatch.setattr(documentation, "failed_tests", lambda checked, path: said)
    (found,) = run("site", ROOT, tmp_path)
    assert "no Conv2d" in found.what
    monkeypatch.setattr(documentation, "failed_tests", lambda checked, path: ([], True))
    with pytest.raises(gates.NotHere, match="no Chromium"):
        run("site", ROOT, tmp_path)
    monkeypatch.setattr(documentation, "failed_tests", lambda checked, path: ([], False))
    assert run("site", ROOT, tmp_path) == []


def test_what_pytest_says_is_read_as_failures_and_skips(tmp_path):
    looked_at = checked(ROOT, tmp_path)
    path = tmp_path / "test_some.py"
    path.write_text("import pytest\n\ndef test_a():\n    pass\n", encoding="utf-8")
    assert gates.failed_tests(looked_at, path) == ([], False)
    path.write_text("import pytest\n\ndef test_a():\n    pytest.skip('no')\n", encoding="utf-8")
    assert gates.failed_tests(looked_at, path) == ([], True)
    path.write_text("def test_a():\n    pass\n\ndef test_b():\n    assert 1 == 2\n", encoding="utf-8")
    (failed,), skipped = gates.failed_tests(looked_at, path)
    assert "test_b" in failed and not skipped
    path.write_text("def test_a(:\n", encoding="utf-8")
    assert gates.failed_tests(looked_at, path)[0], "a file that cannot be read is no success"


def test_places_of_the_rules_are_files_and_lines(course, tmp_path):
    path = course / "modules" / "02_activations" / "activations_dev.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("#| export\n", "#| export\n#| export\n", 1), encoding="utf-8")
    found = run("sources", course, tmp_path)
    assert found
    for one in found:
        assert one.file == "modules/02_activations/activations_dev.py"
        assert one.line and "cell" in one.what


# The command.


def test_the_command_lists_findings_and_ends_with_1(course, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    done = typed(course, "check", "difficulty", "--json")
    assert done.exit_code == 0 and done.data[0]["status"] == "passed"
    path = course / "modules" / "01_tensor" / "module.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("difficulty = 2", "difficulty = 3"), encoding="utf-8")
    done = typed(course, "check", "difficulty", "times", "--json")
    assert done.exit_code == 1 and done.error["code"] == "findings" and "tito check difficulty" in done.error["hint"]
    data = json.loads(done.stdout)["data"]
    assert [(one["validator"], one["status"]) for one in data] == [("times", "passed"), ("difficulty", "failed")]
    (finding,) = data[1]["findings"]
    assert finding["file"] == "modules/README.md" and finding["line"] and finding["fix"]
    shown = typed(course, "check", "educational")
    assert shown.exit_code == 1 and "modules/README.md:" in shown.stdout
    listed = typed(course, "check", "--list")
    assert listed.exit_code == 0
    for one in gates.VALIDATORS:
        assert one.about in listed.stdout


def test_a_validator_that_cannot_run_is_no_success(course, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(systems.importlib.util, "find_spec", lambda name: None)
    done = typed(course, "check", "systems", "--json")
    assert done.exit_code == 1 and done.error["code"] == "not-run"
    assert "PyTorch is not installed" in json.loads(done.stdout)["data"][0]["not_run"]


@pytest.mark.parametrize("stop", [gates.NotHere("no build"), gates.NotDecided("busy"), ProjectError("no source")])
def test_what_was_found_before_a_validator_stopped_is_not_lost(project, tmp_path, monkeypatch, stop):
    leak = gates.Breach("release: 01_alpha/alpha_dev.ipynb", 3, "it gives away double", "take it out")

    def answers(looked_at):
        yield leak
        raise stop

    monkeypatch.setattr(gates, "read_milestones", lambda project: ())
    monkeypatch.setattr(package, "answers", answers)
    (found,) = gates.check(project, ["answers"], work=tmp_path)
    assert (found.status, found.findings[0]) == ("failed", leak)
    assert [found.not_run, found.undecided, *(one.what for one in found.findings[1:])].count(str(stop)) == 1


@pytest.mark.parametrize("text", ["[1]", '{"times": "soon"}', "{", "null"])
def test_a_record_of_times_that_is_none_is_written_anew(project, text):
    record = project.state / gates.RECORD
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(text, encoding="utf-8")
    assert gates.last_seconds(project) == {}
    gates._remember(project, gates.VALIDATORS[0], 1.5)
    assert gates.last_seconds(project) == {"times": 1.5}


def test_a_name_that_is_none_and_a_workspace_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no gate and no validator 'speeed'"):
        gates.chosen(["speeed"])
    with pytest.raises(ProjectError, match="workspace"):
        list(gates.check(Project(tmp_path, "workspace", "1"), work=tmp_path))


def test_every_gate_of_the_list_has_a_file_and_every_validator_a_function():
    assert gates.GATES == ("educational", "implementation", "testing", "package", "documentation", "systems")
    assert len({one.name for one in gates.VALIDATORS}) == len(gates.VALIDATORS)
    for one in gates.VALIDATORS:
        home = __import__(f"tito.services.check.{one.gate}", fromlist=["x"])
        assert callable(getattr(home, one.name.replace("-", "_")))
