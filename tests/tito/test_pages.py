"""The templates of pages: everything in them is escaped, nothing is fetched, and a missing value is an error."""

import re

import jinja2
import pytest

from tito.services import pages

HOSTILE = "</pre><script>alert(1)</script>'\"&\x1b[31m\u202e"
SHOWN = "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&#34;&amp;"


def write(folder, text):
    (folder / "own.html").write_text(text, encoding="utf-8")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """render(text, **values): a template of the test's own, among the others."""
    for path in pages.TEMPLATES.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(pages, "TEMPLATES", tmp_path)
    pages._environment.cache_clear()

    def render(text, **values):
        write(tmp_path, text)
        return pages.render("own.html", **values).decode("utf-8")

    yield render
    pages._environment.cache_clear()


def test_what_is_put_onto_a_page_is_escaped_and_has_no_control_characters(own):
    text = own('{% extends "frame.html" %}{% block content %}{{ said }}{% endblock %}', title="t", said=HOSTILE)
    assert SHOWN in text and "<script" not in text and "\x1b" not in text and "\u202e" not in text


@pytest.mark.parametrize(
    "call",
    [
        "table(said, [said, '>' ~ said], [[said, said], [{'text': said, 'kind': 'lost'}, said]])",
        "terms([(said, said)])",
        "code(said)",
        "lines(said)",
    ],
)
def test_the_parts_escape_what_they_are_given(own, call):
    name = call.partition("(")[0]
    text = own('{% from "parts.html" import ' + name + " %}{{ " + call + " }}", said=HOSTILE)
    assert SHOWN in text and "<script" not in text and "\x1b" not in text


def test_lines_of_a_text_stay_lines(own):
    assert own('{% from "parts.html" import lines %}{{ lines(said) }}', said="a<\nb") == "a&lt;<br>b"


def test_a_value_that_is_missing_is_an_error_and_no_gap(own):
    with pytest.raises(jinja2.UndefinedError):
        own("{{ nothing }}")


def test_no_template_turns_escaping_off():
    for path in pages.TEMPLATES.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bsafe\b|\bautoescape\b|\bMarkup\b", text), path.name


def test_every_page_is_in_the_frame():
    """One place for the head of a page: the policy that nothing is fetched, the language, the width of a telephone."""
    for path in pages.TEMPLATES.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        if path.name not in ("frame.html", "parts.html"):
            assert text.startswith('{% extends "frame.html" %}') and "<html" not in text, path.name
    assert "default-src 'none'" in (pages.TEMPLATES / "frame.html").read_text(encoding="utf-8")


def test_a_milestones_report_escapes_what_it_is_given():
    from milestones import report

    metrics = {
        "asserts": [
            {"outcome": "reached", "reached": True, "metric": HOSTILE, "words": HOSTILE, "value": 1, "interval": None}
        ],
        "about": [HOSTILE], "milestone": HOSTILE,
        "results": {HOSTILE: 1234.5}, "setting": {HOSTILE: HOSTILE}, "reached": True, "data": HOSTILE, "seed": 0,
    }  # fmt: skip
    figure = {"name": HOSTILE, "light": "a.png", "dark": "b.png", "caption": HOSTILE, "width": 736}
    blocks = [{"note": HOSTILE}, {"name": HOSTILE, "rows": [[HOSTILE, "n"], [HOSTILE, 12345.678]]}, figure]
    text = report._page({"title": HOSTILE, "year": 1957, "paper": HOSTILE}, metrics, blocks)
    assert "<script" not in text and text.count("&lt;script") >= 12
    assert '<td class="number">12,345.7</td>' in text and '<img src="a.png"' in text


def test_only_the_tokens_name_colours():
    """One file of colours for the site and every other page: else they are no family, or dark in one place only."""
    color = re.compile(r"#[0-9a-fA-F]{3,8}\b(?=[;, )])|\b(?:rgb|hsl)a?\(|: (?:white|black|gr[ae]y|red|green|blue)\b")
    tokens = (pages.TEMPLATES / "tokens.css").read_text(encoding="utf-8")
    assert len(color.findall(tokens)) > 15
    for path in (*pages.TEMPLATES.iterdir(), pages.TEMPLATES.parent / "site" / "site.css"):
        text = path.read_text(encoding="utf-8")
        assert path.name == "tokens.css" or color.findall(text) == [], path.name
        used = set(re.findall(r"var\((--(?!pst-)[a-z0-9-]+)", text))
        assert used <= set(re.findall(r"(--[a-z0-9-]+):", tokens + text)), path.name


def test_plots_have_the_ink_and_the_paper_of_the_pages():
    from milestones import report

    tokens = (pages.TEMPLATES / "tokens.css").read_text(encoding="utf-8")
    for name, color in (("ink", report.INK), ("paper", report.PAPER)):
        assert f"--{name}: light-dark({color}, {report.ON_DARK[color]});" in tokens
