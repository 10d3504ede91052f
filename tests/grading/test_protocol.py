"""docs/protocol.md against the code: every letter has one meaning, and the page says which."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tito.services.grading.bridge import crossing, inside, protocol, proxies, trusted, wire
from tito.services.grading.bridge.inside import Inner
from tito.services.grading.bridge.protocol import Change, Message, Value, letters
from tito.services.grading.bridge.proxies import Outer

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
BRIDGE = ROOT / "tito" / "services" / "grading" / "bridge"


def rows(title):
    """The rows of all tables below the heading `title`, each a list of its cells."""
    part = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def coded(cell):
    return re.findall(r"`([^`]+)`", cell)


def table(title):
    """{name: letter} as the page says."""
    return {coded(row[1])[0]: coded(row[0])[0].encode() for row in rows(title)}


@pytest.mark.parametrize(("title", "kind"), [("Messages", Message), ("Changes", Change), ("Values", Value)])
def test_the_page_has_the_letters_of_the_code(title, kind):
    assert table(title) == letters(kind)


def second_meanings(*kinds):
    found = [letter for kind in kinds for letter in letters(kind).values()]
    return sorted({letter for letter in found if found.count(letter) > 1})


def test_no_letter_has_a_second_meaning():
    assert second_meanings(Message, Change, Value) == []
    assert all(len(letter) == 1 for kind in (Message, Change, Value) for letter in letters(kind).values())
    assert second_meanings(Message, SimpleNamespace(OTHER=b"Q")) == [b"Q"], "the rule notices a breach"


def bare_letters(tree):
    """The letters that a file spells itself instead of naming them."""
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node.value for node in constants if isinstance(node.value, bytes) and len(node.value) == 1]


def test_letters_are_spelled_in_one_file_only():
    for path in BRIDGE.glob("*.py"):
        if path.name != "protocol.py":
            assert bare_letters(ast.parse(path.read_text(encoding="utf-8"))) == [], path.name
    assert bare_letters(ast.parse("writer.tag(b'q', 3)")) == [b"q"], "the rule notices a breach"


def test_each_side_reads_what_the_other_may_send():
    pipe = SimpleNamespace()
    sides = {"from the sandbox": Outer(pipe), "to the sandbox": Inner(pipe, None, None)}
    for direction, side in sides.items():
        said = {coded(row[0])[0].encode() for row in rows("Values") if row[2] in ("both", direction)}
        assert {*side.readers, *wire.READERS, *wire.CONSTANTS} == said, direction
    assert {row[2] for row in rows("Values")} <= {"both", *sides}


def test_each_letter_is_read_in_one_way():
    """No kind of value is looked up twice, in the readers of plain values and in a side's own."""
    for side in (Outer(SimpleNamespace()), Inner(SimpleNamespace(), None, None)):
        assert not set(side.readers) & set(wire.READERS) and not set(wire.READERS) & set(wire.CONSTANTS)


def test_an_answer_is_a_message_of_the_other_side():
    sent = {coded(row[0])[0]: row[2] for row in rows("Messages")}
    for row in rows("Messages"):
        assert {sent[letter] for letter in coded(row[5])} <= {"to the sandbox", "from the sandbox"} - {row[2]}


def test_the_work_is_what_the_sandbox_does():
    said = [name for row in rows("Work") for name in coded(row[0])]
    assert len(said) == len(set(said))
    assert set(said) == {"run", "names", "end", *inside.WORK}


def test_a_proxy_asks_for_nothing_else():
    """Every work that the trusted side names is in the table."""
    said = {name for row in rows("Work") for name in coded(row[0])}
    text = "".join((BRIDGE / name).read_text(encoding="utf-8") for name in ("proxies.py", "trusted.py"))
    asked = set(re.findall(r'_(?:ask|object)\(self, "(\w+)"|_exactly\(self, \w+, "(\w+)"|\.ask\("(\w+)"', text))
    names = {name for found in asked for name in found if name} | {*proxies.BINARY, *proxies.IN_PLACE}
    assert len(names) > 30 and names <= said


def test_the_scorers_commands_and_the_answers_are_those_of_the_page():
    commands = {coded(row[0])[0]: coded(row[1]) for row in rows("Scorer and trusted process")}
    statuses = {"ok", "error", "broken", "died"}
    assert set(commands) == {"start", "cell", "define", "test"} | statuses
    for name in set(commands) - statuses:
        code = getattr(trusted.Tests, name).__code__
        assert commands[name] == list(code.co_varnames[1 : code.co_argcount]), name
    tree = ast.parse((BRIDGE / "trusted.py").read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is str}
    assert statuses <= texts


def test_what_may_be_called_back_is_on_the_page():
    row = next(row for row in rows("Messages") if coded(row[1]) == ["CALL_BACK"])
    every = [len, iter([]), [1].__iter__(), _Sequence()]
    abilities = {ability for thing in every for ability in crossing.abilities(thing)}
    assert abilities - {"function"} <= set(coded(row[4])) == {"call", "iter", "next", "len", "item"}


class _Sequence:
    def __len__(self):
        return 0

    def __getitem__(self, key):
        raise IndexError

    def __call__(self):
        return None

    def __iter__(self):
        return iter(())


def test_the_three_ways_of_running_cells_exist():
    ways = [coded(row[0])[0] for row in rows("Why cells are run in three ways")]
    assert len(ways) == 3
    for way in ways:
        home = ROOT / "tito" / "services"
        assert (home / way.removeprefix("services/")).is_file(), way


def test_the_protocol_has_no_code():
    """It is imported on both sides, also next to a student's code."""
    assert set(vars(protocol)) >= {"Message", "Change", "Value", "letters"}
    tree = ast.parse((BRIDGE / "protocol.py").read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
