"""What is printed: a name from elsewhere drives no terminal, turns no line around and begins none."""

import contextlib
import json
import sys
import unicodedata

import pytest

from tito import console as printer
from tito.console import Console, clean, on_one_line

TURNED = "ana\u202egnp.ipynb\u2066\u2028\u2029\u061c\ufeff\u200b\u00ad\U000e0041"


@pytest.fixture
def said(capsys):
    """said() is what was printed since it was last asked."""
    return lambda: "".join(capsys.readouterr())


def is_unseen(char):
    return unicodedata.category(char) in ("Cf", "Zl", "Zp", "Cc") and char not in "\n\t\u200c\u200d"


def test_every_character_that_is_not_seen_is_escaped_or_gone():
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)]))
    for char in {char for char in everything if is_unseen(char)} - {"\r", "\x1b"}:
        assert not any(map(is_unseen, clean(f"a{char}b"))), hex(ord(char))


def test_what_scripts_spell_with_stays():
    family = "\N{MAN}\u200d\N{GIRL}"
    assert clean(f"می\u200cخواهم {family}\tx\ny") == f"می\u200cخواهم {family}\tx\ny"


def test_what_is_escaped_can_be_read():
    assert clean("a\u202eb\u2028c") == r"a\u202eb\u2028c"
    assert on_one_line("a\nb\r\nc") == r"a\nb\nc"


@pytest.mark.parametrize("way", ["line", "warn", "error", "table", "json"])
def test_whatever_prints_a_name(said, way):
    console = Console()
    console.configure(json=way == "json")
    name = f"{TURNED}\x1b[31m\x9b31m\x85"
    match way:
        case "line" | "warn":
            getattr(console, way)(name)
        case "error":
            console.error(name, name)
        case "table":
            console.table(["file", ""], [(name, name)])
        case "json":
            console.show({name: name}, lambda: None)
            console.document()
    text = said()
    assert "ana" in text and not any(map(is_unseen, text)), ascii(text)
    if way == "json":
        assert json.loads(text)["data"] == {name: name}


def test_the_document_of_a_command_that_stays_comes_once_and_an_error_afterwards_is_said(capsys):
    console = Console()
    console.configure(json=True)
    with contextlib.redirect_stdout(sys.stderr):
        console.show({"address": "here"}, lambda: None)
        console.stays()
    console.error("the server ended", "start it again")
    console.document({"code": "ended", "message": "the server ended", "hint": "start it again"})
    out, err = capsys.readouterr()
    assert json.loads(out)["data"] == {"address": "here"}
    assert err == "error: the server ended\n  next: start it again\n"


@pytest.mark.parametrize("on_terminal", [False, True])
def test_a_name_begins_no_row_of_a_table(said, monkeypatch, on_terminal):
    console = Console()
    console.configure(json=False)
    monkeypatch.setattr(printer.Console, "on_terminal", on_terminal)
    rows = [("collected", "bob\ncollected  eve", "late"), ("refused", "eve", "one\ntwo")]
    console.table(["", "student", ""], rows)
    lines = [line.strip() for line in said().splitlines()]
    assert sum(line.startswith("collected") for line in lines) == 1
    assert any(r"bob\ncollected  eve" in line for line in lines)
    assert any(line.endswith("two") for line in lines)
