"""What a percent source of the course has to follow, besides what export refuses.

Each rule yields (cell index, line in the cell or None, message) for every breach. RULES say what is in order;
COURSE_RULES say what else the modules of this course hold, and an instructor's own module may do without.
"""

import ast
import builtins
import re

from tito.services import plain, syntax
from tito.services.notebooks import (
    code_cells,
    exported_definitions,
    grade_id,
    grading,
    guide,
    is_exported,
    is_folded,
    is_measure,
    is_stretch,
    is_withheld,
    points,
    question_of,
    questions,
)

HIDDEN_SHARE = 0.3
GRADE_ID = re.compile(r"[A-Za-z0-9_-]+")
KINDS = {  # (cell type, grade, locked, solution): what the cell is
    ("code", False, False, True): "solution",
    ("code", True, True, False): "test",
    ("code", False, True, False): "provided",
    ("markdown", False, True, False): "question",
    ("markdown", True, False, True): "written",
}
PREFIXES = {"test": "test-", "provided": "provided-", "question": "question-", "written": "written-"}
GUIDE = ("hints", "minutes", "objective")
STRETCH = "stretch"
SHORTEST_HINT = 25  # what leaks.py looks for
WIDEST = 110  # JupyterLab scrolls sideways from here on
UNFOLDED = 40
SHORT_MODULE = 8  # hours; a longer one has parts
ASSEMBLY_TEST = "test-module"  # it tests the module as a whole, not the answer above it


def kind_of(cell):
    """The row of the table of conventions that a cell's nbgrader metadata says it is, or None."""
    return KINDS.get((cell.cell_type, *(grading(cell).get(key) for key in ("grade", "locked", "solution"))))


def _opening(source, module):
    if source.node.cells[0].cell_type != "markdown":
        yield 0, None, "the first cell has to be markdown: # %% [markdown]"
    index, cell = next(iter(code_cells(source.node)), (0, None))
    tree = syntax.parsed(cell.source) if cell else None
    names = {imported.name for imported in syntax.imports(tree)} if tree else set()
    if "tinytorch.notebook.check_home" not in names or "check_home()" not in cell.source:
        yield index, None, "the first code cell has to import check_home from tinytorch.notebook and call check_home()"


def _markdown_is_raw(source, module):
    lines = source.path.read_text(encoding="utf-8-sig").splitlines()
    for index, cell in enumerate(source.node.cells):
        if cell.cell_type == "markdown" and lines[source.starts[index] - 2].strip() != 'r"""':
            yield index, None, 'markdown stands in a raw string, which opens with r""" on a line of its own'


def _syntax(source, module):
    for index, cell in code_cells(source.node):
        if mistake := syntax.mistake(cell.source):
            yield index, *mistake


def _metadata(source, module):
    for index, cell in enumerate(source.node.cells):
        if "nbgrader" not in cell.metadata:
            if is_exported(cell):
                yield index, None, "an exported cell needs nbgrader metadata, as a solution or as provided and locked"
            continue
        metadata, kind = grading(cell), kind_of(cell)
        if metadata.get("schema_version") != 3:
            yield index, None, "nbgrader metadata needs schema_version 3"
        if kind is None:
            yield index, None, f"grade, locked and solution fit no kind of cell: {', '.join(KINDS.values())}"
        elif not (grade_id(cell) or "").startswith(PREFIXES.get(kind, "")):
            yield index, None, f"the grade_id of a {kind} cell starts with {PREFIXES[kind]!r}"
        if not GRADE_ID.fullmatch(grade_id(cell) or ""):
            yield index, None, "grade_id has to be letters, digits, hyphens and underscores"
        if metadata.get("grade") and points(cell) <= 0:
            yield index, None, "a graded cell needs points above 0"
        if not metadata.get("grade") and "points" in metadata:
            yield index, None, "points on a cell that is not graded"
        if is_exported(cell) and kind in ("test", "written"):
            yield index, None, f"a {kind} cell cannot be exported"


def _markers(source, module):
    homes = {syntax.SOLUTION: ("solution", "written"), syntax.HIDDEN_TESTS: ("test",), syntax.MARK_SCHEME: ()}
    for index, cell in enumerate(source.node.cells):
        for number, line in enumerate(cell.source.split("\n"), 1):
            for kind in syntax.REGION_KINDS:
                if f"BEGIN {kind}" not in line and f"END {kind}" not in line:
                    continue
                if not syntax.MARKER_LINE.fullmatch(line):
                    yield index, number, f"a marker is a line of its own: ### BEGIN {kind} or ### END {kind}"
                if kind_of(cell) not in homes[kind]:
                    yield index, number, f"{kind} markers have no place in this kind of cell"


def _regions(cell, kind):
    """The regions of a cell; none where the markers do not balance, which is reported elsewhere."""
    try:
        return syntax.regions(cell.source, kind)
    except syntax.MarkerError:
        return []


def _solutions(source, module):
    for index, cell in enumerate(source.node.cells):
        tree = syntax.parsed(cell.source)
        if kind_of(cell) != "solution" or tree is None:
            continue
        defined = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        found = _regions(cell, syntax.SOLUTION)
        if len(defined) == 1 and defined[0].name != grade_id(cell):
            yield index, None, f"the cell defines {defined[0].name}, so that its grade_id is {defined[0].name!r}"
        if not _each_has_its_regions(defined, found):
            yield index, None, "a solution cell holds functions with one region each, or a class with one or two"
        for begin, end in found:
            if not _has_code(cell.source.split("\n")[begin : end - 1]):
                yield index, begin, "this solution region holds no code"
        if _signatures(_with_stubs(cell.source, found)) != _signatures(cell.source):
            yield index, None, "signatures and decorators belong outside the solution region"


def _each_has_its_regions(defined, found):
    counts = [sum(node.lineno < begin <= node.end_lineno for begin, _ in found) for node in defined]
    if len(defined) == 1 and isinstance(defined[0], ast.ClassDef):
        return counts == [len(found)] and len(found) in (1, 2)
    return bool(found) and counts == [1] * len(found)


def _has_code(lines):
    return any(line.strip() and not line.strip().startswith("#") for line in lines)


def _with_stubs(code, found):
    """`code` with `pass` in place of the regions."""
    lines = code.split("\n")
    for begin, end in reversed(found):
        marker = lines[begin - 1]
        lines[begin - 1 : end] = [marker[: len(marker) - len(marker.lstrip())] + "pass"]
    return "\n".join(lines)


def _signatures(code):
    """Name, parameters and decorators of every function and method at the top of `code`; None if it does not parse."""
    tree = syntax.parsed(code)
    if tree is None:
        return None
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    functions = [node for scope in (tree, *classes) for node in scope.body if isinstance(node, ast.FunctionDef)]
    return [(node.name, *map(ast.dump, [node.args, *node.decorator_list])) for node in functions]


def _tests(source, module):
    answers = questions(source.node)
    for index, cell in enumerate(source.node.cells):
        if kind_of(cell) != "test":
            continue
        name, hidden = grade_id(cell) or "", _regions(cell, syntax.HIDDEN_TESTS)
        subjects = {f"test-{answers.get(name)}", ASSEMBLY_TEST}
        if not any(name == subject or name.startswith(f"{subject}-") for subject in subjects):
            yield index, None, f"the closest solution above is {answers.get(name)!r}, which {name!r} does not name"
        if name.endswith("-hidden"):
            yield from _hidden_test(index, cell, hidden)
        elif hidden:
            yield index, hidden[0][0], "hidden tests stand in a cell of their own, test-<question>-hidden"
        elif is_withheld(cell):
            yield index, None, "this test holds no code"


def _hidden_test(index, cell, hidden):
    if len(hidden) != 1 or not _has_code(syntax.lines_inside(cell.source, hidden)):
        yield index, None, "a hidden test has one region ### BEGIN HIDDEN TESTS … ### END HIDDEN TESTS with code in it"
        return
    outside = [line for line in syntax.lines_outside(cell.source, hidden) if line.strip()]
    if len(outside) != 1 or not outside[0].startswith("#"):
        yield index, None, "outside the region of a hidden test stands one line, a comment that says what is withheld"


def _scores(source, module):
    answers = questions(source.node)
    for index, cell in enumerate(source.node.cells):
        if kind_of(cell) != "solution" or not grade_id(cell):
            continue
        tests = [
            test
            for test in source.node.cells
            if kind_of(test) == "test"
            and answers.get(grade_id(test)) == grade_id(cell)
            and not grade_id(test).startswith(ASSEMBLY_TEST)
        ]
        hidden = sum(points(test) for test in tests if grade_id(test).endswith("-hidden"))
        total = sum(points(test) for test in tests)
        if total == hidden:
            yield index, None, f"{grade_id(cell)} has no visible test"
        elif hidden == 0:
            yield index, None, f"{grade_id(cell)} has no hidden test"
        elif hidden > HIDDEN_SHARE * total:
            yield index, None, f"{hidden} of {total} points of {grade_id(cell)} are hidden; {HIDDEN_SHARE:.0%} may be"


def _written_answers(source, module):
    kinds = [None, *map(kind_of, source.node.cells), None]
    for index, cell in enumerate(source.node.cells):
        above, kind, below = kinds[index : index + 3]
        if kind == "question" and below != "written":
            yield index, None, "below a question stands the cell of its answer, written-…"
        if kind != "written":
            continue
        found = _regions(cell, syntax.SOLUTION)
        asks = above == "question" or "".join(syntax.lines_outside(cell.source, found)).strip()
        if len(found) != 1 or not asks:
            yield index, None, "a written cell is one region with its rubric; its question stands in the cell above"


def _written_questions(source, module):
    """A question in the cell of the answer is lost when a student selects all and writes."""
    cells = source.node.cells
    for index, cell in enumerate(cells):
        if kind_of(cell) != "written":
            continue
        question = question_of(cell, source.node)
        if index == 0 or question is None or question is not cells[index - 1]:
            name = (grade_id(cell) or "").replace("written-", "question-", 1)
            yield index, None, f"the question of a written answer stands in a locked cell of its own above, {name}"
        elif "".join(syntax.lines_outside(cell.source, _regions(cell, syntax.SOLUTION))).strip():
            yield index, None, "a written cell holds its rubric and nothing else; the question has its own cell above"


def _guides(source, module):
    """What `tinytorch` and `jupyter` in a cell's metadata say, where they say something."""
    for index, cell in enumerate(source.node.cells):
        if "tinytorch" in cell.metadata:
            if kind_of(cell) != "solution":
                yield index, None, "tinytorch metadata belongs to a solution cell"
            yield from ((index, None, reason) for reason in _guide_faults(cell.metadata["tinytorch"], module))
        if "jupyter" in cell.metadata:
            if cell.metadata["jupyter"] != {"source_hidden": True}:
                yield index, None, 'jupyter metadata is {"source_hidden": true}'
            if cell.cell_type != "code" or kind_of(cell) not in ("provided", None):
                yield index, None, "only provided code is folded"


def _guide_faults(said, module):
    if not isinstance(said, dict):
        yield 'tinytorch metadata is {"hints": […], "minutes": …, "objective": …}'
        return
    for key in said.keys() - {*GUIDE, STRETCH}:
        yield f"tinytorch metadata knows {', '.join(GUIDE)}, {STRETCH}, not {key!r}"
    if said.get(STRETCH, True) is not True:
        yield f"stretch is true or not there, not {said[STRETCH]!r}"
    hints, minutes = said.get("hints", ["", ""]), said.get("minutes", 1)
    if type(minutes) is not int or minutes < 1:
        yield f"minutes is a whole number above 0, not {minutes!r}"
    known = [objective.id for objective in module.objectives]
    if "objective" in said and said["objective"] not in known:
        ids = ", ".join(known) or "there is none"
        yield f"objective is an id of [[objectives]] in module.toml ({ids}), not {said['objective']!r}"
    if "hints" not in said:
        return
    if not isinstance(hints, list) or len(hints) not in (2, 3) or not all(isinstance(hint, str) for hint in hints):
        yield "hints are two or three texts"
        return
    for number, hint in enumerate(hints, 1):
        if len(re.sub(r"\W", "", hint)) < SHORTEST_HINT:
            yield f"hint {number} is shorter than a sentence of {SHORTEST_HINT} letters: a leak would not be found"
        if _holds_code(hint):
            yield f"hint {number} holds code; a hint says in words what to do"


def _holds_code(hint):
    """Whether a line, or what stands between backticks, is a Python statement; an expression or an argument is none."""
    pieces = [*hint.splitlines(), *re.findall(r"`([^`]*)`", hint)]
    trees = [tree for piece in pieces if (tree := syntax.parsed(piece.strip())) is not None]
    return "```" in hint or any(_is_statement(node) for tree in trees for node in tree.body)


def _is_statement(node):
    is_argument = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)  # as in axis=0
    return not isinstance(node, ast.Expr) and not is_argument


def _guided(source, module):
    for index, cell in enumerate(source.node.cells):
        missing = [key for key in GUIDE if key not in guide(cell)] if kind_of(cell) == "solution" else []
        if missing:
            yield index, None, f"{grade_id(cell)} lacks {', '.join(missing)} in its tinytorch metadata"


def _width(source, module):
    for index, cell in code_cells(source.node):
        for number, line in enumerate(cell.source.split("\n"), 1):
            if len(line) > WIDEST:
                yield index, number, f"this line has {len(line)} columns; {WIDEST} fit"


def _folds(source, module):
    for index, cell in code_cells(source.node):
        count = len(cell.source.split("\n"))
        if kind_of(cell) in ("provided", None) and count > UNFOLDED and not is_folded(cell):
            yield index, None, f'{count} lines of provided code are folded: jupyter={{"source_hidden": true}}'


def _parts(source, module):
    total = sum(part.hours for part in module.parts)
    if module.parts and abs(total - module.hours) > 1e-9:
        yield 0, None, f"module.toml: the hours of its parts sum to {total:g}, hours says {module.hours:g}"
    if module.hours >= SHORT_MODULE and len(module.parts) < 2:
        yield 0, None, f"module.toml: a module of {SHORT_MODULE} hours or more has at least two [[parts]]"
    if not module.objectives:
        yield 0, None, "module.toml: there are no [[objectives]]"


def _measures(source, module):
    for index, cell in enumerate(source.node.cells):
        if is_measure(cell) and (cell.cell_type != "code" or "nbgrader" in cell.metadata or is_exported(cell)):
            yield index, None, "a measure cell is code, has no nbgrader metadata and is not exported"


def _measures_are_not_needed(source, module):
    """Testing skips the measure cells, so that nothing they alone define may be read elsewhere."""
    globals_of = {
        index: syntax.bound_and_needed(cell.source)
        for index, cell in code_cells(source.node)
        if syntax.parsed(cell.source) is not None
    }
    measures = {index for index in globals_of if is_measure(source.node.cells[index])}
    elsewhere = {name for index in globals_of.keys() - measures for name in globals_of[index][0]}
    only_measured = {name for index in measures for name in globals_of[index][0]} - elsewhere
    for index in globals_of.keys() - measures:
        cell = source.node.cells[index]
        for name in only_measured & globals_of[index][1] if kind_of(cell) or is_exported(cell) else []:
            yield index, None, f"needs {name}, which only a measure cell defines"


def _stretch_is_not_needed(source, module):
    """A stretch may stay unwritten: neither other answers nor their tests nor what is provided may read it."""
    answers = questions(source.node)
    stretch = {grade_id(cell) for cell in source.node.cells if is_stretch(cell)}
    for index, cell in code_cells(source.node):
        if kind_of(cell) is None or syntax.parsed(cell.source) is None:
            continue
        own = grade_id(cell) if kind_of(cell) == "solution" else answers.get(grade_id(cell))
        for name in sorted(stretch - {own}) if own not in stretch else ():
            if name in syntax.bound_and_needed(cell.source)[1]:
                yield index, None, f"needs {name}, a stretch, which students may leave out"


def _builtins(source, module):
    for index, name, line, _ in exported_definitions(source.node):
        if hasattr(builtins, name):
            yield index, line, f"{name} shadows Python's builtin of that name"


def _results_are_plain(source, module):
    """What an answer gave is a plain array before a test computes with it: see plain.py."""
    answers = set()
    for _, cell in code_cells(source.node):
        if kind_of(cell) == "solution" and (tree := syntax.parsed(cell.source)):
            answers |= {name for name, _, _ in syntax.definitions(tree)}
    for index, cell in code_cells(source.node):
        if kind_of(cell) == "test" and syntax.parsed(cell.source):
            for line, text in plain.computed(cell.source, answers):
                yield index, line, f"{text} computes with what an answer gave: make it np.asarray(…) before"


RULES = (
    _opening,
    _markdown_is_raw,
    _syntax,
    _metadata,
    _markers,
    _solutions,
    _tests,
    _scores,
    _written_answers,
    _guides,
    _measures,
    _measures_are_not_needed,
    _stretch_is_not_needed,
    _builtins,
)
COURSE_RULES = (
    _written_questions,
    _guided,
    _results_are_plain,
    _width,
    _folds,
    _parts,
)
