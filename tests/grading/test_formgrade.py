"""The formgrader runs for this course, shows what students wrote as text, and executes nothing."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser

import pytest
from nbformat import v4
from small_course import StandIn, released

from tito.errors import ProjectError
from tito.project import Project
from tito.services.grading import formgrade, formgrade_server
from tito.services.grading.book import gradebook
from tito.services.grading.graders.assigning import assign
from tito.services.grading.scoring.autograde import autograde

ATTACKS = """
Because of ATTACK.

<script>ATTACK(1)</script> <img src="x" onerror="ATTACK(2)"> <svg onload="ATTACK(3)"></svg>
[link](javascript:ATTACK) <a href="javascript:ATTACK">x</a> <iframe src="https://ATTACK"></iframe>
<input class="score" id="test-double" value="ATTACK"> <img src="https://ATTACK/pixel.png">
<style>body { background: url(https://ATTACK) }</style> <div id="attacked" class="score">x</div>

`<script>` ![x](attachment:evil.svg)
"""
REFUSED = {
    "submission/01_alpha/bob/autograde": "tito grade autograde 01_alpha",
    "assignment/01_alpha/assign": "tito grade release 01_alpha",
    "assignment/01_alpha/release": "tito grade release 01_alpha",
    "assignment/01_alpha/unrelease": "tito grade release 01_alpha",
    "assignment/01_alpha/collect": "tito grade collect PATH",
    "assignment/01_alpha/generate_feedback": "tito grade feedback 01_alpha",
    "assignment/01_alpha/release_feedback": "tito grade feedback 01_alpha",
    "assignment/01_alpha/bob/generate_feedback": "tito grade feedback 01_alpha",
    "assignment/01_alpha/bob/release_feedback": "tito grade feedback 01_alpha",
}
PROVOKED = '"><script>ATTACK(4)</script>'


@pytest.fixture
def small(tmp_path):
    return released((tmp_path / "course").resolve())


class Page(HTMLParser):
    """What a browser would run or fetch."""

    def __init__(self, page):
        super().__init__()
        self.scripts, self.attributes, self.tags, self.inside = [], [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.inside = tag if tag in ("script", "style") else None
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.scripts.append(data)


class Running:
    """A formgrader that runs."""

    def __init__(self, small):
        self.server = formgrade.server(small.project, open_browser=False)
        self.base, self.token = self.server.url.split("/formgrader/gradebook?token=")
        self.process = subprocess.Popen(
            self.server.command, cwd=self.server.folder, env=self.server.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def request(self, path, method="GET", token=None):
        headers = {"Authorization": f"token {token or self.token}"}
        request = urllib.request.Request(self.base + path, headers=headers, method=method)
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as reply:
                    return reply.read().decode("utf-8")
            except urllib.error.HTTPError:
                raise
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, "the server does not answer"
                time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)


def hostile(node):
    node.cells.append(v4.new_markdown_cell(ATTACKS))
    node.cells.append(v4.new_raw_cell(ATTACKS, metadata={"raw_mimetype": "text/html"}))
    code = v4.new_code_cell("1", metadata={"tags": [PROVOKED], "name": PROVOKED})
    code.outputs = [v4.new_output("display_data", {"text/html": ATTACKS, "application/javascript": "ATTACK(5)"})]
    node.cells.append(code)
    node.metadata = {"kernelspec": {"name": PROVOKED, "display_name": PROVOKED}, "title": PROVOKED}
    written = next(cell for cell in node.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "written-linear")
    written.attachments = {"evil.svg": {"image/svg+xml": "PHN2Zz4="}}


def test_the_formgrader_runs_and_shows_our_scores_and_nothing_that_runs(small):
    small.solved("bob", written=ATTACKS, change=hostile)
    autograde(small.project, small.catalog, small.module, executor=StandIn())
    with Running(small) as running:
        assert "Manage Assignments" in running.request("/formgrader/manage_assignments")
        assert "bob" in running.request("/formgrader/api/students")
        assert "bob" not in running.request("/formgrader/api/students", token="guessed"), "the page to log in"
        (shown,) = json.loads(running.request("/formgrader/api/submitted_notebooks/01_alpha/alpha_dev"))
        assert (shown["student"], shown["code_score"], shown["needs_manual_grade"]) == ("bob", 19, True)
        html = running.request(f"/formgrader/submissions/{shown['id']}/?index=0")
        for button, command in REFUSED.items():
            done = json.loads(running.request(f"/formgrader/api/{button}", "POST"))
            assert not done["success"] and command in done["log"] and "error" not in done, "its heading is Traceback"
        assert "Manual Grading" in running.request("/formgrader/gradebook")
    assert html.index("Why is doubling linear") < html.index("Because of ATTACK."), "the question above its answer"
    page = Page(html)
    fetched = [value for tag, name, value in page.attributes if name == "src" or (tag, name) == ("link", "href")]
    assert [url for url in fetched if "://" in url] == [], "no page needs a network"
    assert [script for script in page.scripts if "ATTACK" in script] == []
    assert [one for one in page.attributes if "ATTACK" in one[2]] == []
    assert [tag for tag in page.tags if tag in ("iframe", "object", "embed", "svg")] == []
    assert [one for one in page.attributes if one[1] == "id" and one[2] == "test-double"] == [
        ("input", "id", "test-double")
    ], "the field for the score, once"
    assert "attacked" not in [value for _, name, value in page.attributes if name == "id"]


def test_what_it_saves_is_what_feedback_and_exports_read(gradebook_on, tmp_path):
    small = released((tmp_path / "course").resolve())
    # written before the setting, so that it says nothing of the gradebook
    settings = small.course.settings.read_text(encoding="utf-8").partition("# nbgrader's gradebook.db")[0]
    small.course.settings.write_text(settings, encoding="utf-8")
    small.solved("bob")
    autograde(small.project, small.catalog, small.module, executor=StandIn())
    with Running(small) as running:
        (shown,) = json.loads(running.request("/formgrader/api/submitted_notebooks/01_alpha/alpha_dev"))
        grades = json.loads(running.request(f"/formgrader/api/grades?submission_id={shown['id']}"))
        (listed,) = assign(small.project, small.module, ["ta1"], url=running.base).lists[0].rows
        assert "Because addition is." in running.request(listed.address.removeprefix(running.base))
    assert {grade["name"] for grade in grades} == set(next(gradebook.submissions(small.course, small.module)).grades)


def test_without_a_gradebook_or_in_a_workspace_it_does_not_start(small, tmp_path):
    with pytest.raises(ProjectError, match="workspace"):
        formgrade.server(Project(small.root, "workspace", "1"))
    small.course.database.path.unlink()
    with pytest.raises(ProjectError, match="nothing is graded"):
        formgrade.server(small.project)


def test_formulas_are_pictures_and_what_cannot_be_drawn_is_code():
    markup = formgrade_server.with_formulas(
        r"<p>$F(2, 3)$ and <code>$x$</code> and $$\frac{1}{2} &lt; 1$$ $\begin{aligned}x\end{aligned}$, 5 $</p>"
    )
    assert markup.count('<img src="data:image/svg+xml;base64,') == 2
    assert 'alt="F(2, 3)"' in markup and r'alt="\frac{1}{2} &lt; 1"' in markup
    assert "<code>$x$</code>" in markup and r"<code>\begin{aligned}x\end{aligned}</code>, 5 $" in markup
    long = formgrade_server.with_formulas("$" + "x" * 1000 + "$")
    assert long == "<code>" + "x" * 1000 + "</code>"
