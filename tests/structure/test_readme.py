"""What the READMEs say of the registry. Hours, links and commands in them are `tito check times links`."""

import re
import subprocess
import sys
from pathlib import Path

from tito.catalog import read_catalog, read_milestones
from tito.project import read_project
from tito.services import notebooks

ROOT = Path(__file__).resolve().parents[2]
PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
MILESTONES = read_milestones(PROJECT)
PATH = (ROOT / "modules" / "README.md").read_text(encoding="utf-8")


def numbers(text):
    """The module numbers meant by `01, 02` or `01–04` or a dash."""
    found = set()
    for first, last in re.findall(r"(\d\d)(?:–(\d\d))?", text):
        found.update(range(int(first), int(last or first) + 1))
    return found


def test_the_path_agrees_with_the_registry():
    rows = re.findall(r"^\| \[(\w+)\]\((.+?)\) \| .+? \| (.+?) \| \S+ \| \d of 5 \|$", PATH, re.MULTILINE)
    assert [row[0] for row in rows] == [module.name for module in CATALOG]
    for module, (name, link, needs) in zip(CATALOG, rows, strict=True):
        assert link == f"{name}/README.md"
        assert numbers(needs) == {other.number for other in CATALOG.prerequisites(module)}, name


def test_the_milestones_agree_with_the_registry():
    rows = re.findall(r"^\| \[(\d\d_\d{4}_\w+)\]\((.+?)\) \| (.+?) \| .+ \|$", PATH, re.MULTILINE)
    assert [row[0] for row in rows] == [milestone.name for milestone in MILESTONES]
    for milestone, (name, _, needs) in zip(MILESTONES, rows, strict=True):
        assert numbers(needs) == {CATALOG[module].number for module in milestone.needs}, name


def test_the_first_command_line_completes_the_latest_module_that_is_no_elective():
    command = [sys.executable, ROOT / ".ci" / "readme_block.py", "install"]
    install = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    latest = [module.name for module in CATALOG if not module.elective][-1]
    assert install.strip().endswith(f"tito module complete {latest}")


def test_ci_runs_every_gate_and_every_test_once():
    """What the whole of `tito check` has run is all that is left out of the tests."""
    command = [sys.executable, ROOT / ".ci" / "readme_block.py", "check"]
    check = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    assert check.splitlines()[-1] == "tito check"
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 0 < ci.find('-c "$check"') < ci.find("--ignore=") < ci.find('-c "$test"')
    left_out = re.findall(r"--(?:ignore|deselect)[= ](\S+?)\"?$", ci, re.MULTILINE)
    run_by_site = (ROOT / "tito" / "services" / "check" / "documentation.py").read_text(encoding="utf-8")
    assert [Path(path).name in run_by_site and (ROOT / path).is_file() for path in left_out] == [True]


def test_every_module_says_the_same_of_how_it_is_opened():
    pages = {module.name: (module.folder / "README.md").read_text(encoding="utf-8") for module in CATALOG}
    said = {name: re.findall(r"^    tito module start \d\d +(.+)$", page, re.MULTILINE) for name, page in pages.items()}
    assert said == {name: ["opens the notebook"] for name in pages}


def test_a_readme_gives_the_points_and_answers_of_its_notebook_and_those_of_stretches_apart():
    """Its table's row, where it has one: hours and difficulty of the registry, answers and points of the source."""
    counts = ["", "a stretch", "two stretches", "three stretches"]
    for module in CATALOG:
        row = re.search(r"^\| about .+ \|$", (module.folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
        if row is None:
            continue
        node = notebooks.load(PROJECT, module.percent).node
        answers = [cell for cell in node.cells if notebooks.is_solution(cell)]
        stretches = sum(map(notebooks.is_stretch, answers))
        with_stretch = sum(map(notebooks.points, node.cells))
        notebooks.count_stretches(PROJECT, node)
        points = sum(map(notebooks.points, node.cells))
        time, difficulty, said_answers, said_points = (field.strip() for field in row[0].strip("| ").split("|"))
        assert time.startswith(f"about {module.hours:g} hours, in "), module.name
        assert difficulty == f"{module.difficulty} of 5", module.name
        both = f"{len(answers) - stretches} cells" + (f" and {counts[stretches]}" if stretches else "")
        assert said_answers.startswith(f"{both}, "), module.name
        apart = f", and {with_stretch - points} for the stretch{'es' if stretches > 1 else ''}" if stretches else ""
        assert said_points == f"{points}{apart}", module.name


def test_the_page_about_the_sandbox_states_the_limits_that_hold():
    """docs/sandbox.md, which instructors read before they grade."""
    from tito.services.grading.sandbox.find import MIB, Limits

    text = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^\| ([a-z ]+) \| ([\d,]+)(?: s| MiB)? \|$", text, re.MULTILINE))
    limits = Limits()
    held = {
        "time by the clock": limits.seconds,
        "memory": limits.memory // MIB,
        "processes and threads": limits.processes,
        "open files of a process": limits.files,
        "files written": limits.disk // MIB,
        "output beside what cells print": limits.output // MIB,
    }
    assert {name: int(number.replace(",", "")) for name, number in stated.items()} == held


def test_one_version_stands_in_the_package_the_citation_and_the_changelog():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    (version,) = re.findall(r"^version: (.+)$", citation, re.MULTILINE)
    (day,) = re.findall(r"^date-released: (.+)$", citation, re.MULTILINE)
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert (version, newest) == (PROJECT.version, f"{PROJECT.version}, {day}")
