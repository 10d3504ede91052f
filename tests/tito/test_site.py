"""`tito site`: what its pages hold, what they may not, and what is built again.

Needs the extra `docs`; in CI its absence is a failure.
"""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from tiny_course import put, run_tito, write_course

from tito.catalog import read_catalog, read_milestones
from tito.errors import ProjectError, UsageError
from tito.project import read_project
from tito.services.site import build, module_page, page_text, path, reference, serve
from tito.services.site.links import Links

ROOT = Path(__file__).resolve().parents[2]
PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
PLAN = path.read_plan(PROJECT, CATALOG)
README = """\
# The tiny course

See [the path](modules/README.md), [notes](docs/notes.md) and [the tool](tito/app.py).

## For instructors

    tito grade release 01
"""
PICTURE = """
# %% tags=["measure"]
import base64
from IPython.display import Image

text = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
Image(base64.b64decode(text), format="png")
"""
FETCHED = re.compile(r"""<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]*)""")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(root, document of --json) of a tiny course with its site, for tests that only look, or copy it."""
    if any(importlib.util.find_spec(name) is None for name in build.NEEDED):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(build.INSTALL)
    root = write_course((tmp_path_factory.mktemp("site") / "course").resolve())
    put(root / "README.md", README)
    put(root / "docs" / "notes.md", "# Notes\n\nThe mathematics: $x^2$.\n")
    source = root / "modules" / "03_gamma" / "gamma_dev.py"
    put(source, source.read_text(encoding="utf-8") + PICTURE)
    assert run_tito(root, "export", "--all").exit_code == 0
    said = run_tito(root, "site", "build", "--json")
    assert said.exit_code == 0, said.stdout
    return root, json.loads(said.stdout)["data"]


@pytest.fixture
def course(built, tmp_path):
    """A copy of the course and its site, to be changed."""
    shutil.copytree(built[0], tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__"))
    return (tmp_path / "course").resolve()


def page(root, name):
    return page_text.shown((root / ".tito" / "site" / "html" / name).read_text(encoding="utf-8"))


def again(root, *options):
    """(exit code, document) of another build."""
    said = run_tito(root, "site", "build", "--json", *options)
    return said.exit_code, json.loads(said.stdout)


# The pages.


def test_there_is_a_page_for_each_text_and_each_module(built):
    html = built[0] / ".tito" / "site" / "html"
    pages = {file.relative_to(html).as_posix() for file in html.rglob("*.html") if "_static" not in file.parts}
    wanted = {"index.html", "path.html", "modules/01_alpha.html", "reference/alpha.html", "instructors/notes.html"}
    assert wanted <= pages
    assert len(pages) == built[1]["pages"]


def test_a_module_shows_its_stub_and_what_its_measured_cell_printed(built):
    shown = page(built[0], "modules/01_alpha.html")
    assert 'raise NotImplementedError("double: write this cell")' in shown
    source = (built[0] / "modules" / "01_alpha" / "alpha_dev.py").read_text(encoding="utf-8")
    assert "BEGIN SOLUTION" in source and "BEGIN SOLUTION" not in shown
    assert built[1]["ran"] == ["01_alpha", "02_beta", "03_gamma"]
    assert built[1]["seconds"]["the cells of 01_alpha"] > 0
    outputs = json.loads((built[0] / ".tito" / "shown" / "01_alpha.json").read_text(encoding="utf-8"))
    printed = [one["text"] for cell in outputs["cells"].values() for one in cell if one["output_type"] == "stream"]
    assert printed and any(text.strip() in shown for text in printed)


def test_the_first_page_links_to_pages_and_names_files_that_are_none(built):
    html = (built[0] / ".tito" / "site" / "html" / "index.html").read_text(encoding="utf-8")
    assert 'href="path.html"' in html and 'href="instructors/notes.html"' in html
    assert "the tool (tito/app.py)" in page_text.shown(html)


def test_no_page_fetches_anything_from_elsewhere(built):
    html = built[0] / ".tito" / "site" / "html"
    for file in html.rglob("*.html"):
        assert FETCHED.findall(file.read_text(encoding="utf-8")) == [], file
    notes = (html / "instructors" / "notes.html").read_text(encoding="utf-8")
    assert "../_static/mathjax/tex-svg.js" in notes
    assert (html / "_static" / "mathjax" / "tex-svg.js").stat().st_size > 1_000_000


def test_every_picture_of_a_page_is_there_and_has_words_in_its_place(built):
    html = built[0] / ".tito" / "site" / "html"
    found = re.findall(r'<img alt="([^"]*)"[^>]* src="([^"]+)"', (html / "modules/03_gamma.html").read_text("utf-8"))
    assert len(found) == 1
    for alt, source in found:
        assert alt == "a plot; Gamma"
        assert (html / "modules" / source).is_file(), source


def test_fetching_from_elsewhere_would_be_noticed():
    assert FETCHED.findall('<script async src="https://cdn.example/x.js">') and FETCHED.findall('<img src="//a/b.png">')


# Building again.


def test_what_did_not_change_is_not_built_again(course):
    html = course / ".tito" / "site" / "html"
    again(course)  # Sphinx builds everything again in a folder of another name
    before = {file: file.stat().st_mtime_ns for file in html.rglob("*.html") if file.name != "search.html"}
    code, said = again(course)
    assert (code, said["data"]["changed"], said["data"]["ran"]) == (0, 0, [])
    assert html / "modules" / "01_alpha.html" in before
    assert [file for file, time in before.items() if file.stat().st_mtime_ns != time] == []


def test_a_change_of_prose_writes_one_page_and_runs_no_cell(course):
    readme = course / "modules" / "02_beta" / "README.md"
    put(readme, readme.read_text(encoding="utf-8") + "\nA sentence that was added.\n")
    code, said = again(course)
    assert (code, said["data"]["changed"], said["data"]["ran"]) == (0, 1, [])
    assert "A sentence that was added." in page(course, "modules/02_beta.html")


def test_a_change_of_code_runs_that_module_and_a_build_without_running_says_what_lacks(course):
    source = course / "modules" / "03_gamma" / "gamma_dev.py"
    put(source, source.read_text(encoding="utf-8") + "\n# %%\nprint('another', 'cell')\n")
    code, said = again(course, "--no-run")
    assert (code, said["data"]["lacking"], said["data"]["kept"]) == (0, ["03_gamma"], ["01_alpha", "02_beta"])
    assert "built without running them" in page(course, "modules/03_gamma.html")
    built = run_tito(course, "site", "build")
    assert built.exit_code == 0, built.stderr
    assert "nothing current is kept of 1 of 3 modules: their cells run now, 1 of them took" in built.stdout
    assert "the cells of 03_gamma" in built.stdout and "run for it: 03_gamma" in built.stdout
    assert "another cell" in page(course, "modules/03_gamma.html")


def test_a_page_whose_text_is_gone_is_removed(course):
    (course / "docs" / "notes.md").unlink()
    put(course / "README.md", README.replace(", [notes](docs/notes.md)", ""))
    assert again(course)[0] == 0
    assert not (course / ".tito" / "site" / "html" / "instructors" / "notes.html").exists()


# What is refused.


def test_an_answer_on_a_page_is_found_through_the_markup_and_the_page_is_removed(course):
    source = course / "modules" / "01_alpha" / "alpha_dev.py"
    found = re.search(r"### BEGIN SOLUTION\n(.+?)### END SOLUTION", source.read_text(encoding="utf-8"), re.DOTALL)
    answer = max((line.strip() for line in found[1].splitlines()), key=len)
    assert len("".join(answer.split())) >= 25, answer
    put(course / "docs" / "notes.md", f"# Notes\n\n```python\n{answer}\n```\n")
    code, said = again(course)
    assert (code, said["error"]["code"]) == (1, "leak")
    assert "instructors/notes.html" in said["error"]["message"]
    assert not (course / ".tito" / "site" / "html" / "instructors" / "notes.html").exists()
    assert again(course)[1]["error"]["code"] == "leak"  # and not forgotten the next time


def test_a_link_that_leads_nowhere_is_named_with_its_line(course):
    put(course / "docs" / "notes.md", "# Notes\n\nSee [that](../nowhere.md).\n")
    code, said = again(course)
    assert (code, said["error"]["code"]) == (1, "links")
    assert said["error"]["message"] == "docs/notes.md:3: the link to ../nowhere.md leads nowhere"


def test_a_warning_of_sphinx_is_an_error_each_time(course):
    put(course / "docs" / "notes.md", "# Notes\n\n#### Too deep\n")
    for _ in range(2):
        code, said = again(course)
        assert (code, said["error"]["code"]) == (1, "sphinx")
        assert "instructors/notes.md" in said["error"]["message"]


def test_a_folder_with_something_else_in_it_is_left_alone(course, tmp_path):
    put(tmp_path / "mine" / "index.html", "mine")
    code, said = again(course, "--to", tmp_path / "mine")
    assert (code, said["error"]["code"]) == (2, "not-own")
    assert (tmp_path / "mine" / "index.html").read_text(encoding="utf-8") == "mine"


def test_a_workspace_has_no_site(workspace):
    said = workspace.tito("site", "build")
    assert said.exit_code == 3 and "course repository" in said.stderr


def test_without_sphinx_the_command_that_installs_it_is_named(project, catalog, monkeypatch):
    monkeypatch.setattr(build, "NEEDED", ("no_such_package",))
    with pytest.raises(ProjectError, match="no_such_package") as refused:
        build.build(project, catalog)
    assert refused.value.hint == build.INSTALL


def test_what_takes_too_long_is_said_with_the_command_to_type(project, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "SECONDS", 0.01)
    put(tmp_path / "doctrees" / "some", "half of it")
    with pytest.raises(ProjectError, match=r"Sphinx took more than 0\.01 seconds") as refused:
        build._sphinx(project, tmp_path, tmp_path / "html")
    assert refused.value.hint.endswith("tito site build") and not (tmp_path / "doctrees").exists()
    monkeypatch.setattr(reference, "SECONDS", 0.01)
    with pytest.raises(ProjectError, match=r"importing tinytorch took more than 0\.01 seconds"):
        reference.offered(project)


# Serving.


def test_serve_answers_with_the_pages_and_only_on_this_machine(tmp_path):
    put(tmp_path / build.MARK, "")
    put(tmp_path / "index.html", "hello")
    with serve.server(tmp_path, 0) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        with urllib.request.urlopen(serve.address(listening)) as answer:
            assert answer.read() == b"hello"
        assert listening.server_address[0] == "127.0.0.1"
        with pytest.raises(UsageError, match="is in use"):
            serve.server(tmp_path, listening.server_address[1])
        listening.shutdown()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_who_reads_from_a_pipe_gets_the_address_while_it_is_served(mini_course, tmp_path, options):
    put(tmp_path / build.MARK, "")
    put(tmp_path / "index.html", "hello")
    process = subprocess.Popen(
        [sys.executable, "-m", "tito", "site", "serve", "--to", tmp_path, "--port", "0", *options],
        cwd=mini_course, env={**os.environ, "PYTHONPATH": str(mini_course), "PYTHONUNBUFFERED": ""},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    timer = threading.Timer(20, process.kill)
    timer.start()
    try:
        said = next((line for line in process.stdout if "http://" in line), "nothing")
        assert process.poll() is None, process.communicate()
        with urllib.request.urlopen(re.search(r"http://[\d.:]+/", said)[0]) as answer:
            assert answer.read() == b"hello"
        process.send_signal(signal.SIGINT)
        rest = process.communicate()
        assert (process.returncode, "http" in "".join(rest)) == (0, False), "the document comes once"
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def test_serve_without_a_site_names_the_command_that_builds_it(tito, mini_course):
    said = tito("site", "serve", "--port", "0")
    assert said.exit_code == 3 and "tito site build" in said.stderr


def test_serve_on_a_busy_port_says_so(course):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = run_tito(course, "site", "serve", "--port", taken.getsockname()[1])
    assert said.exit_code == 2 and "is in use" in said.stderr and "--port 0" in said.stderr


# The parts.


def test_highlighting_and_entities_leave_no_trace_in_the_text_of_a_page():
    html = '<p title="a&lt;b"><span class="k">raise</span> <span>X</span>(a &lt; b)</p><script>hidden</script>'
    assert page_text.shown(html) == "a<braise X(a < b)"


def test_links_in_code_stay_as_they_are(tmp_path):
    links = Links(tmp_path, {"a.md": "room/a"})
    text = "[a](a.md#x) and `[a](a.md)`\n\n    [a](a.md)\n```\n[a](a.md)\n```\n[out](https://example.org)"
    assert links.moved(text, "b.md", "b") == text.replace("[a](a.md#x)", "[a](room/a.md#x)")
    assert links.broken == []


def test_no_heading_of_a_notebook_is_two_levels_below_the_one_before():
    text, level = module_page._lowered("# Title\n### Deep\n```\n# comment\n```\n## Part", 2, drop_title=True)
    assert (text, level) == ("### Deep\n```\n# comment\n```\n### Part", 3)


def test_a_picture_is_told_by_its_titles_and_labels():
    cell = type("Cell", (), {"source": 'axes.set_title("speed & size")\nplt.xlabel("bytes")\nplt.ylabel("seconds")'})
    assert module_page._alt(cell, "A section") == "a plot; speed & size; axes: bytes, seconds"
    cell.source = 'axes.set(title="by name", xlabel="epoch", ylabel=name)\nshow(title="no setter")'
    assert module_page._alt(cell, "A section") == "a plot; by name; axes: epoch"
    cell.source = "show_images(maps)"
    assert module_page._alt(cell, "What `conv2d` sees") == "a plot; What conv2d sees"


def test_every_public_part_of_the_package_is_in_the_reference_with_the_module_that_builds_it():
    names = reference.offered(PROJECT)
    public = [
        path
        for path in (*ROOT.glob("tinytorch/[a-z]*.py"), *ROOT.glob("tinytorch/*/__init__.py"))
        if path.parent.name != "core"
    ]
    assert {f"tinytorch.{file.parent.name if file.name == '__init__.py' else file.stem}" for file in public} <= set(
        names
    )
    built = reference.counterparts(names)
    assert ("tinytorch.nn.Linear", "torch.nn.Linear") in built["layers", "Linear"]
    assert ("tinytorch.training.Trainer", "") in built["training", "Trainer"]
    table = reference.facade_page(PROJECT, CATALOG, "tinytorch.training", names["tinytorch.training"])
    assert "| [`Trainer`](training.md) | [07_training](../modules/07_training.md) |" in table
    assert "| `ProgressBar` | provided |" in table and "PyTorch" not in table.partition("\n## ")[0]


def test_a_docstring_shows_its_own_characters():
    assert reference.prose("a * b_c, `x*y` and $1") == r"a \* b\_c, `x*y` and \$1"


def test_the_two_ways_are_those_of_the_course():
    ways = {module.number: path.way(PLAN, CATALOG, module) for module in CATALOG}
    assert [number for number, way in ways.items() if way == "vision"] == [9, 21]
    assert [number for number, way in ways.items() if way == "language"] == [10, 11, 12, 13, 17]


def test_each_milestone_stands_behind_the_last_module_that_it_needs():
    steps = path.in_order(CATALOG, read_milestones(PROJECT))
    seen = set()
    for step in steps:
        assert set(getattr(step, "needs", ())) <= seen
        seen.add(step.name)
    assert len(steps) == len(CATALOG) + len(read_milestones(PROJECT))


def test_each_part_of_a_module_is_linked_to_where_it_begins():
    for module in CATALOG:
        text, _ = module_page.page(PROJECT, CATALOG, module, Links(ROOT, {}), None)
        wanted = [str(number) for number, _ in enumerate(module.parts, 1)]
        assert re.findall(r'<a href="#part-(\d+)">', text) == wanted, module.name
        assert re.findall(r'<span id="part-(\d+)"></span>\n\n#+ Part \1 of', text) == wanted, module.name
        heads = re.findall(r"^\|.*\| hours \||^\| hours \||^\| time \|", text, re.MULTILINE)
        assert len(heads) == 1 + bool(module.parts), f"{module.name}: hours, or those of the parts, are said twice"


def test_each_milestone_of_a_term_stands_beside_the_module_after_which_it_comes():
    milestones = read_milestones(PROJECT)
    text = path.terms(PLAN, CATALOG, milestones)
    tables = text.split("### ")[1:]
    assert [len(re.findall(r"\(milestones/", table)) for table in tables] == [4, 5, 7]
    assert "| [09 Spatial](modules/09_spatial.md) | 14 | [04 Convolutions" in text
    assert "Residual networks (elective)" in text


def test_a_term_begins_in_its_first_week_and_ends_in_its_last():
    for term in PLAN.terms:
        weeks = re.findall(
            r"^\| (\d+)(?:–(\d+))? \|", path._term(CATALOG, read_milestones(PROJECT), **term), re.MULTILINE
        )
        numbers = [(int(first), int(last or first)) for first, last in weeks]
        assert numbers[0][0] == 1 and numbers[-1][1] == term["weeks"], term["title"]
        assert all(a[1] <= b[1] and b[0] - a[1] <= 1 for a, b in zip(numbers, numbers[1:], strict=False))


def test_a_plan_that_names_no_module_is_refused(project, catalog):
    put(project.root / path.PLAN, '[ways]\nvision = "99_nothing"\n[[terms]]\ntitle="T"\nweeks=1\nuntil="01_alpha"\n')
    with pytest.raises(ProjectError, match="99_nothing"):
        path.read_plan(project, catalog)


@pytest.mark.parity
def test_each_counterpart_that_the_reference_names_is_in_pytorch():
    torch = pytest.importorskip("torch") if not os.environ.get("CI") else importlib.import_module("torch")
    importlib.import_module("torch.utils.checkpoint")
    stated = [
        (name, reference.counterpart(facade, name))
        for facade, own in reference.offered(PROJECT).items()
        for name in own
    ]
    assert len(stated) > 100

    def is_there(name):
        found = torch
        for part in name.split(".")[1:]:
            found = getattr(found, part, None)
        return found is not None

    assert [name for name in stated if name[1] and not is_there(name[1])] == []
    assert [own for own in reference.OWN if is_there(own.replace("tinytorch", "torch", 1))] == []
