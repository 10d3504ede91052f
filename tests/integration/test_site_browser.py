"""The course's site in a browser, from a folder, as somebody opens it who has no network: every page of it.

Needs Chromium with its driver, Selenium, the extra `docs` and axe-core, which .ci/run installs; in CI it is a failure
where one is missing.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import axe
import chromium
import pytest
from chromium import requested
from waiting import until

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services.site.build import INSTALL, NEEDED

ROOT = Path(__file__).resolve().parents[2]
CATALOG = read_catalog(read_project(ROOT))
SITE = ROOT / ".tito" / "site" / "html"
CUT_OFF = """
const frames = one => ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
const framed = one => one && (frames(one) || framed(one.parentElement));
return [...document.querySelectorAll("article *")].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width > 0 && box.right > innerWidth + 1 && !framed(one);
}).map(one => one.outerHTML.slice(0, 120));
"""
# what a screen reader goes by: a language, one main part, headings in order, words for pictures and headers of tables
UNREAD = """
const found = [], all = selector => [...document.querySelectorAll(selector)]
const words = one => one.textContent.trim() || one.ariaLabel || one.title || one.querySelector("img[alt]")
if (!document.documentElement.lang) found.push("no language")
if (all("main").length != 1 || all("h1").length != 1) found.push("not one main part with one title")
all("h1, h2, h3, h4, h5, h6").filter(one => one.closest("article")).reduce((before, one) => {
    if (one.tagName[1] - before > 1) found.push("a level of headings is left out: " + one.textContent)
    return +one.tagName[1]
}, 0)
all("img").filter(one => !one.alt).forEach(one => found.push("a picture without words: " + one.outerHTML))
all("th").filter(one => !words(one)).forEach(one => found.push("an empty header: " + one.closest("table").textContent))
all("a, button").filter(one => !words(one)).forEach(one => found.push("a link without words: " + one.outerHTML))
return found
"""

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("site")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        chromium.missing(INSTALL)
    started = chromium.start(tmp_path_factory.mktemp("chromium"))
    done = subprocess.run([sys.executable, "-m", "tito", "site", "build", "--no-run"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    yield started
    started.quit()


@pytest.fixture(autouse=True)
def on_a_telephone(browser):
    chromium.set_scheme(browser, "light")
    chromium.set_width(browser, 360, mobile=True)


def pages():
    found = [path for path in SITE.rglob("*.html") if "_static" not in path.parts]
    assert len(found) > 2 * len(CATALOG)
    return sorted(found)


def test_on_a_telephone_no_page_complains_asks_elsewhere_is_cut_off_or_left_without_words(browser):
    browser.get("about:blank")
    requested(browser), browser.get_log("browser")
    found = []
    for path in pages():
        name = path.relative_to(SITE).as_posix()
        browser.get(path.as_uri())
        found += [(name, one["message"]) for one in browser.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]
        found += [(name, url) for url in requested(browser) if not url.startswith(("file:", "data:"))]
        found += [(name, "is cut off", one) for one in browser.execute_script(CUT_OFF)]
        found += [(name, one) for one in browser.execute_script(UNREAD)]
        if browser.execute_script("return document.documentElement.scrollWidth > innerWidth"):
            found.append((name, "scrolls sideways"))
    assert found == []


def test_what_complains_asks_elsewhere_or_is_cut_off_would_be_noticed(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<meta name="viewport" content="width=device-width, initial-scale=1"><article><p style="width: 900px">wide</p>'
        '<h1>One</h1><h3>Three</h3><h1>One more</h1><table><tr><th></th></tr></table><a href="x"></a></article>'
        '<script>console.error("a complaint")</script><img src="http://127.0.0.1:9/x.png">'
    )
    browser.get_log("browser"), requested(browser)
    browser.get(bad.as_uri())
    assert any("a complaint" in one["message"] for one in browser.get_log("browser"))
    assert "http://127.0.0.1:9/x.png" in requested(browser)
    assert browser.execute_script(CUT_OFF.replace("innerWidth", "360"))
    assert {one.partition(":")[0] for one in browser.execute_script(UNREAD)} == {
        "no language", "not one main part with one title", "a level of headings is left out", "a picture without words",
        "an empty header", "a link without words",
    }  # fmt: skip


def test_next_visits_every_module_once_and_previous_the_same_way_back(browser):
    def walk(start, direction):
        browser.get((SITE / start).as_uri())
        seen = []
        while True:
            path = Path(browser.current_url.removeprefix("file://").partition("#")[0])
            name = path.relative_to(SITE).as_posix()
            assert name not in seen, name
            seen.append(name)
            links = browser.find_elements("css selector", f"a.{direction}-{'next' if direction == 'right' else 'prev'}")
            if not links or not name.startswith(("path", "modules", "milestones")):
                return seen
            browser.get(links[0].get_attribute("href"))

    there = walk("path.html", "right")
    modules = [name for name in there if name.startswith("modules/")]
    assert modules == [f"modules/{module.name}.html" for module in CATALOG]
    back = walk(there[-2], "left")
    assert back[: len(there) - 1] == there[-2::-1]


def test_search_from_a_folder_finds_a_name_of_the_package(browser):
    browser.get((SITE / "search.html").as_uri() + "?q=Conv2d")
    results = until(lambda: browser.find_elements("css selector", "#search-results li a"), "results")
    targets = [one.get_attribute("href") for one in results]
    assert any("/reference/" in target for target in targets), targets


def test_the_mathematics_is_set_by_the_sites_own_mathjax(browser):
    module = next(one for one in CATALOG if "$$" in one.percent.read_text(encoding="utf-8"))
    browser.get((SITE / "modules" / f"{module.name}.html").as_uri())
    shown = until(lambda: browser.find_elements("css selector", "mjx-container svg"), "mathematics")
    assert len(shown) >= 2 and all(one.size["width"] > 0 for one in shown[:2])
    assert "$$" not in browser.find_element("css selector", "article").text


def of_each_kind():
    """A page of each kind: of each folder its overview and another one, and those above all folders."""
    first, second = next(iter(CATALOG)), min((SITE / "milestones").glob("*.html"))
    shortest = min((SITE / "modules").glob("*.html"), key=lambda path: path.stat().st_size)
    names = ["index.html", "path.html", "measured.html", "search.html"]
    names += [f"modules/{shortest.name}", f"milestones/{second.name}", f"reference/{first.short}.html"]
    names += [f"{folder}/index.html" for folder in ("reference", "instructors", "maintainers")]
    assert {name.partition("/")[0] for name in names} == {path.relative_to(SITE).parts[0] for path in pages()}
    return names


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_everybody_can_read_a_page_of_each_kind(browser, scheme, width):
    chromium.set_scheme(browser, scheme)
    chromium.set_width(browser, width, mobile=width == 360)
    found = []
    for name in of_each_kind():
        browser.get((SITE / name).as_uri())
        assert browser.execute_script("return document.documentElement.dataset.theme") == scheme
        found += axe.findings(browser, f"{name}, {scheme}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("whole", "damaged", "rule"),
    [
        ("<p>layer</p>", '<p style="color: #888; background: #999">layer</p>', "color-contrast"),
        ("<h1>", '<img src="data:,"><h1>', "image-alt"),
        ("<h2>", "<h4>", "heading-order"),
        ('<html lang="en"', "<html", "html-has-lang"),
        ("<p>layer</p>", "<p></p>", "empty-table-header"),
    ],
)
def test_a_page_that_somebody_cannot_read_would_be_noticed(browser, whole, damaged, rule):
    page = SITE / "measured.html"
    text = page.read_text(encoding="utf-8")
    assert whole in text
    copy = page.with_name("damaged.html")
    copy.write_text(text.replace(whole, damaged), encoding="utf-8")
    try:
        browser.get(copy.as_uri())
        found = axe.findings(browser, "damaged.html")
    finally:
        copy.unlink()
    told = [one for one in found if one.startswith(f"damaged.html: {rule} ")]
    assert told and "element: " in told[0] and "Fix " in told[0], found


def test_with_the_tab_key_one_gets_to_the_content_and_sees_where_one_is(browser):
    from selenium.webdriver import Keys

    chromium.set_width(browser, 1200)
    page = SITE / "modules" / f"{next(iter(CATALOG)).name}.html"
    browser.get(page.as_uri())
    parts, unseen = [], []
    part = (
        "const in_part = name => document.activeElement.closest(name); return arguments[0].find(in_part) || 'elsewhere'"
    )
    order = ["#pst-skip-link", ".search-button__button", ".bd-header", ".bd-sidebar-primary", "article"]
    while "article" not in parts:
        seen, html = chromium.tab(browser)
        parts.append(browser.execute_script(part, order))
        unseen += [html] * (not seen)
        assert len(parts) < 100, parts
    assert unseen == []
    assert parts[0] == "#pst-skip-link" and set(order) <= set(parts)
    assert parts.index(".search-button__button") < parts.index(".bd-sidebar-primary") < parts.index("article")
    browser.get(page.as_uri())
    chromium.press(browser, Keys.TAB, Keys.ENTER, Keys.TAB)
    assert browser.execute_script("return Boolean(document.activeElement.closest('main'))"), "the skip link skips"


def test_the_search_is_opened_used_and_left_with_the_keyboard(browser):
    from selenium.webdriver import ActionChains, Keys

    def open_search():
        ActionChains(browser).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
        until(lambda: browser.execute_script(opened), "the search field")

    chromium.set_width(browser, 1200)
    browser.get((SITE / "index.html").as_uri())
    opened = "return document.activeElement.matches('dialog[open] input')"
    open_search()
    chromium.press(browser, Keys.ESCAPE)
    until(lambda: not browser.execute_script(opened), "the search field to close")
    open_search()
    chromium.press(browser, "Conv2d", Keys.ENTER)
    until(lambda: "search.html?q=Conv2d" in browser.current_url, "the results")


@pytest.mark.parametrize(
    "path", ["README.md", ".github/workflows/release.yml", "tito/services/check/documentation.py"]
)  # .ci/run and RELEASING.md take it from the README
def test_whoever_installs_axe_core_installs_the_one_that_is_run(path):
    assert axe.AXE_CORE.install in (ROOT / path).read_text(encoding="utf-8")
