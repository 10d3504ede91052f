"""The page that shows the engine shows the engine that is there."""

import runpy


def test_the_page_of_the_engine_is_what_the_notebooks_hold(project):
    program = runpy.run_path(str(project.root / "docs" / "engine.py"))
    assert program["PAGE"].read_text(encoding="utf-8") == program["page"](project), "run: python docs/engine.py"


def test_the_page_shows_each_part_once_and_nothing_of_the_course_around_it(project):
    program = runpy.run_path(str(project.root / "docs" / "engine.py"))
    text = program["page"](project)
    for name in ("class Op:", "def topological_order(", "def input_gradients(", "def backward("):
        assert text.count(name) == 1
    assert "BEGIN SOLUTION" not in text and "#| export" not in text
