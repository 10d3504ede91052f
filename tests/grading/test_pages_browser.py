"""The pages that tito makes, in a browser: feedback, class report, similarity, board, a notebook as it ran, and a
milestone's report. Names, answers, comments and outputs on them are hostile.

Needs Chromium with its driver, Selenium and axe-core (.ci/run installs them); in CI the absence of any is a failure.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import axe
import chromium
import pytest
from nbformat import v4
from small_course import FAULT, SECOND, WRONG, StandIn, released
from test_similarity import BOX, COPIED_BOX, COPIED_DOUBLE, DOUBLE

from tito.project import read_project
from tito.services import executed, pages
from tito.services.grading.olympics import board
from tito.services.grading.olympics.measure import Measured, Timing
from tito.services.grading.olympics.results import new_result
from tito.services.grading.olympics.rules import read_rules
from tito.services.grading.olympics.timing import Compared
from tito.services.grading.reports.feedback import feedback
from tito.services.grading.reports.report import report
from tito.services.grading.scoring.autograde import autograde
from tito.services.grading.similarity.compare import similarity

ROOT = Path(__file__).resolve().parents[2]
ATTACK = "document.documentElement.dataset.attacked = 1"
HOSTILE = f"</pre></td><script>{ATTACK}</script><img src=x onerror='{ATTACK}'>"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LONG = "test-conv2d_weight_gradient_naive_" * 3
KINDS = ("feedback", "class", "similarity", "board", "executed", "milestone")
WIDE, NARROW = 1200, 360
CUT_OFF = """
const framed = one => one && (["auto", "scroll"].includes(getComputedStyle(one).overflowX) || framed(one.parentElement))
const cut = [...document.querySelectorAll("body *")].filter(one => {
    const box = one.getBoundingClientRect()
    return box.width > 1 && box.right > innerWidth + 1 && !framed(one)
})
return [document.documentElement.scrollWidth, cut.map(one => one.outerHTML.slice(0, 120))]
"""

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = chromium.start(tmp_path_factory.mktemp("chromium"))
    axe.source()
    yield started
    started.quit()


@pytest.fixture(scope="module")
def made(browser, tmp_path_factory):
    """{kind: path of a page}"""
    folder = tmp_path_factory.mktemp("pages")
    return {
        **_of_a_class(folder),
        "board": _board(folder),
        "executed": _executed(folder),
        "milestone": _milestone(folder),
    }


class Attacked(StandIn):
    """A scorer whose messages and outputs are the student's."""

    def score(self, kit, task, cancel=None):
        scored = super().score(kit, task, cancel)
        cells = [
            replace(one, message=f"{one.message} {HOSTILE}") if one.message else one for one in scored.result.cells
        ]
        result = replace(scored.result, cells=tuple(cells), outputs=dict.fromkeys(scored.result.outputs, HOSTILE))
        return replace(scored, result=result)


def _of_a_class(folder):
    small = released((folder / "course").resolve())
    small.on_roster("ada", "bob", "cy", "dan", "eve", "flo", "zoe")
    small.submit("ada", double=DOUBLE.replace("total = parts[0]", f"total = parts[0]  # {HOSTILE}"), Box=BOX)
    small.submit("bob", double=COPIED_DOUBLE, Box=COPIED_BOX)
    small.solved("cy", double=f"{WRONG}\n# {HOSTILE}\n", written=f"Because {HOSTILE}")
    small.solved("dan", double=SECOND)
    small.submit("eve", written="")
    small.solved("flo", double=FAULT)
    autograde(small.project, small.catalog, small.module, executor=Attacked())
    with small.course.open_gradebook() as book:
        book.update_or_create_student("cy", last_name=HOSTILE)
        where = ("written-linear", small.module.notebook.stem, small.module.name, "cy")
        book.find_comment(*where).manual_comment = HOSTILE
        book.db.commit()
    return {
        "feedback": feedback(small.project, small.module).pages["cy"],
        "class": report(small.project, small.module).path,
        "similarity": similarity(small.project, small.catalog, small.module).path,
    }


def _board(folder):
    divisions = read_rules(read_project(ROOT)).DIVISIONS
    timing = Timing(0.012, 0.002, 0.01, 0.016, 0.014, Compared(0.71, 0.69, 0.74, 20), 10, 0.1)
    first = Measured("fast", "ranked", title=HOSTILE, bytes=61_706, quality=0.981, error=0.004, timing=timing)
    last = Measured("fast", "disqualified", f"{HOSTILE}: it asked for the file of the inputs", "a try", submission="ab")
    places = tuple(board.Place(place, new_result(HOSTILE, one)) for place, one in ((1, first), (None, last)))
    ranking = board.Ranking(divisions["fast"], True, places)
    path = folder / "board.html"
    board.write_page(board.Board(folder, (ranking,), ((HOSTILE, "too large"),), (("edited.json", HOSTILE),)), path)
    return path


def _executed(folder):
    picture = v4.new_output("display_data", {"image/png": PIXEL})
    printed = v4.new_output("stream", text=HOSTILE)
    cells = [v4.new_markdown_cell(HOSTILE), v4.new_code_cell("x = 1\n" * 3, outputs=[printed, picture])]
    path = folder / "executed.html"
    path.write_bytes(pages.render("executed.html", title="Alpha", cells=[executed._plain(cell) for cell in cells]))
    return path


def _milestone(folder):
    root = folder / "milestones"
    for name in ("tinytorch", "milestones", "tito"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    program = root / "milestones" / "01_1957_perceptron" / "perceptron.py"
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, program], cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return next((root / ".tito" / "milestones").rglob("index.html"))


def show(browser, path, *, width=WIDE, scheme="light", media=""):
    chromium.set_width(browser, width, mobile=width == NARROW)
    chromium.set_scheme(browser, scheme, media)
    browser.get(path.as_uri())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_everybody_can_read_it(browser, made, kind, scheme):
    show(browser, made[kind], scheme=scheme)
    found = axe.findings(browser, f"{kind}, {scheme}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("whole", "damaged", "rule"),
    [
        ("--quiet: light-dark(#57606a", "--quiet: light-dark(#a7a0aa", "color-contrast"),
        ("<h2>Points</h2>", "<h4>Points</h4>", "heading-order"),
        ('lang="en"', "", "html-has-lang"),
        ('<th scope="col">Test</th>', '<th scope="col"></th>', "empty-table-header"),
        ("</main>", '<img src="data:,"></main>', "image-alt"),
        ('<main id="content">', '<div id="content">', "region"),
    ],
)
def test_what_somebody_cannot_read_would_be_noticed(browser, made, tmp_path, whole, damaged, rule):
    text = made["feedback"].read_text(encoding="utf-8")
    assert whole in text
    path = tmp_path / "damaged.html"
    path.write_text(text.replace(whole, damaged), encoding="utf-8")
    show(browser, path)
    found = axe.findings(browser, "damaged.html")
    assert any(one.startswith(f"damaged.html: {rule} ") for one in found), found


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_telephone_it_is_whole_runs_nothing_and_asks_for_nothing(browser, made, kind):
    browser.get("about:blank")
    browser.get_log("browser"), chromium.requested(browser)
    path = made[kind].with_name(f"{kind}-narrow.html")  # pictures lie beside it
    text = made[kind].read_text(encoding="utf-8")
    path.write_text(text.replace("test-double", LONG).replace("<h2>double", f"<h2>{LONG}"), encoding="utf-8")
    show(browser, path, width=NARROW)
    assert browser.get_log("browser") == []
    assert all(url.startswith(("file:", "data:")) for url in chromium.requested(browser))
    assert browser.execute_script(CUT_OFF) == [NARROW, []]
    assert not browser.execute_script("return document.documentElement.dataset.attacked")
    assert browser.execute_script("return document.scripts.length + document.querySelectorAll('[src=x]').length") == 0
    shown = browser.execute_script("return document.body.textContent")
    assert kind == "milestone" or "</pre></td><script>" in shown, "the attack is there, as text"


def brightness(browser, name):
    """From 0 to 255, of a colour of the page."""
    color = browser.execute_script("return getComputedStyle(document.body)[arguments[0]]", name)
    return sum(float(part) for part in color[color.index("(") + 1 : -1].split(",")[:3]) / 3


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_light_or_dark_as_the_reader_has_it_and_light_on_paper(browser, made, kind):
    for scheme, media, dark in (("light", "", False), ("dark", "", True), ("dark", "print", False)):
        show(browser, made[kind], scheme=scheme, media=media)
        paper, ink = brightness(browser, "backgroundColor"), brightness(browser, "color")
        assert (paper < 60 and ink > 200) if dark else (paper > 240 and ink < 60), (scheme, media, paper, ink)


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_tab_key_one_gets_everywhere_and_sees_where_one_is(browser, made, kind):
    from selenium.webdriver import Keys

    show(browser, made[kind])
    stops = browser.execute_script("return document.querySelectorAll('a[href], [tabindex=\"0\"]').length")
    reached = [chromium.tab(browser) for _ in range(stops)]
    assert 'href="#content"' in reached[0][1], "the first stop skips to the content"
    assert [html for seen, html in reached if not seen] == []
    assert len({html for _, html in reached}) > 1 or stops == 1
    show(browser, made[kind])
    chromium.press(browser, Keys.TAB, Keys.ENTER)
    assert browser.current_url.endswith("#content")


def test_a_focus_that_cannot_be_seen_would_be_noticed(browser, made, tmp_path):
    text = made["feedback"].read_text(encoding="utf-8")
    path = tmp_path / "damaged.html"
    path.write_text(
        text.replace(":focus-visible { outline: 3px solid", ":focus-visible { outline: 0px solid"), encoding="utf-8"
    )
    show(browser, path)
    assert not chromium.tab(browser)[0]


def test_the_pages_are_one_family(made):
    """All have the tokens, and no page has a colour of its own."""
    tokens = (pages.TEMPLATES / "tokens.css").read_text(encoding="utf-8").strip()
    for kind, path in made.items():
        assert tokens in path.read_text(encoding="utf-8"), kind


def test_without_axe_core_it_is_a_skip_at_home_and_a_failure_in_ci(monkeypatch, tmp_path):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="npm pack axe-core@"):
        axe.AXE_CORE.archive(tmp_path)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="npm pack axe-core@"):
        axe.AXE_CORE.archive(tmp_path)
    (tmp_path / f"axe-core-{axe.AXE_CORE.version}.tgz").write_bytes(b"another file")
    with pytest.raises(AssertionError, match="is not axe-core"):
        axe.AXE_CORE.archive(tmp_path)
