"""What a test sees of the objects in the sandbox, and what an object can make a test believe: nothing."""

import builtins
import contextlib
import math
import operator
import os
import threading
from types import SimpleNamespace

import boxes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tito.services.grading.bridge import inside, proxies, wire
from tito.services.grading.bridge.proxies import Broken, Ended, Outer


class Talk:
    """A sandbox's side in a thread, and the trusted side here."""

    def __init__(self):
        reading, theirs = os.pipe()
        their_reading, writing = os.pipe()
        notebook = SimpleNamespace(names=dict(vars(boxes)), frames=lambda error: ())
        self.inner = inside.Inner(wire.Pipe(their_reading, theirs), notebook, SimpleNamespace(take=lambda: "printed"))
        self.outer = Outer(wire.Pipe(reading, writing))
        self.outer.classes = frozenset({"Box"})
        self.ends = reading, writing, their_reading, theirs
        self.thread = threading.Thread(target=self.inner.serve, daemon=True)
        self.thread.start()

    def __getattr__(self, name):
        return dict(self.outer.ask("names", (name,)))[name]

    def close(self):
        os.close(self.ends[1])
        self.thread.join(5)
        for number in (self.ends[0], *self.ends[2:]):
            os.close(number)


@pytest.fixture
def talk():
    made = Talk()
    yield made
    made.close()


# An object does what it does.


def test_classes_and_their_instances(talk):
    box, kind, base = talk.Box(3, note="a"), talk.Box, talk.Base
    assert isinstance(box, kind) and isinstance(box, base) and issubclass(kind, base) and type(box) is kind
    assert (type(box).__name__, kind.__name__, repr(box), f"{box}", len(box)) == ("Box", "Box", "Box(3)", "Box(3)", 3)
    assert not isinstance(3, kind) and not isinstance(box, talk.Swallow)
    assert (box.value, box.note, box.half, kind.count) == (3, "a", 1.5, 0)
    kind.count = 7
    assert box.count == 7 and talk.Box is kind and kind.make(2).value == 2
    kind.count = 0
    box.value = [1]
    del box.note
    assert box.value == [1] and not hasattr(box, "note")
    with pytest.raises(AttributeError, match="nothing"):
        _ = box.nothing


def test_operators_in_both_directions(talk):
    box = talk.Box(3)
    assert [(box + 1).value, (1 + box).value, (np.float64(1) + box).value, (box + box).value] == [4, 4, 4.0, 6]
    assert (np.ones(2) + box).value.tolist() == [4, 4]
    assert float(box) == 3.0 and math.isclose(box, 3) and box[1] == 1
    assert 2 in [one.value for one in talk.Box(3)]
    box += 1
    assert box.value == 4


def test_an_object_is_itself(talk):
    box = talk.Box(3)
    again = talk.kept(box)
    assert again is box and again == box and {box: 1}[again] == 1 and id(again) == id(box)
    other = talk.Box(3)
    assert other is not box and isinstance(other == box, talk.Box)


def test_what_extends_a_built_in_type_is_compared_by_its_content(talk):
    for kind in (talk.Pair, talk.Named):
        pair = kind(1, talk.Pair(2, [3]))
        assert isinstance(pair, tuple) and isinstance(pair, kind) and type(pair) is kind and pair.first == 1
        assert pair == (1, (2, [3])) and [pair] == [(1, (2, [3]))] and pair[0] == 1
        assert pair != (1, 2) and not pair == (1, (2, [4])) and pair != [1, (2, [3])]  # noqa: SIM201
    assert talk.Numbers([1, 2]) == [1, 2] and talk.Numbers([1]) != [2] and isinstance(talk.Numbers(), list)
    for kind in (talk.OrderedDict, talk.Counter):
        got = kind({"a": 1, "b": 2})
        assert got == {"b": 2, "a": 1} and got != {"a": 1} and isinstance(got, dict) and list(got) == ["a", "b"]
    assert talk.Color.RED == 6 and talk.Color.RED != 7 and isinstance(talk.Color.RED, int)
    assert talk.Word("ab") == "ab" and talk.Word("ab") != "b" and talk.Seconds(1.5) == 1.5 != talk.Seconds(2)
    counts = talk.defaultdict(int)
    assert counts["a"] == 0 and counts == {"a": 0} and isinstance(counts, dict)


def test_a_content_that_is_made_up_is_no_verdict(talk, monkeypatch):
    """The sandbox does not learn what it is compared with."""
    asked = []
    monkeypatch.setitem(inside.WORK, "plain", lambda *what: asked.append(what) or np.True_)
    with pytest.raises(AssertionError, match="came back where"):
        _ = talk.Pair(1, 2) == (3, 4)
    assert [len(what) for what in asked] == [1]


def test_iteration_is_as_late_as_there(talk):
    boxes = iter(talk.Box(10**9))
    assert [next(boxes).value for _ in range(3)] == [0, 1, 2]
    assert [one.value for one in talk.Box(2)] == [0, 1]


KINDS = [
    (ValueError, ("wrong",)),
    (KeyError, ("key",)),
    (OSError, ("gone",)),
    (IndexError, ()),
    (FileNotFoundError, (2, "No such file", "a/b")),
    (UnicodeDecodeError, ("utf-8", b"x", 0, 1, "bad")),
    (SystemExit, (3,)),
    (NotImplementedError, ("stub: write this cell",)),
    (AssertionError, ("no",)),
]


@pytest.mark.parametrize(("kind", "args"), KINDS, ids=[kind.__name__ for kind, _ in KINDS])
def test_an_error_is_of_the_same_kind_and_says_the_same(talk, kind, args):
    box = talk.Box(1)
    with pytest.raises(kind) as caught:
        box.fail(kind, *args)
    assert type(caught.value) is kind and str(caught.value) == str(kind(*args))


def test_other_errors_keep_their_name_and_what_they_are(talk):
    with pytest.raises(ValueError, match="odd") as caught:
        talk.Box(1).fail(talk.Odd, "odd")
    assert type(caught.value).__name__ == "Odd" and type(caught.value) is not ValueError
    with pytest.raises(np.exceptions.AxisError, match="axis 3"):
        talk.called(np.sum, np.zeros(2), 3)
    with pytest.raises(NotImplementedError, match="stub: write this cell"):
        talk.stub()


def test_a_group_of_errors_is_an_error(talk):
    with pytest.raises(Exception, match="two of them") as caught:
        talk.grouped()
    assert type(caught.value).__name__ == "ExceptionGroup" and not talk.outer.broken


def test_functions_of_the_test_are_called_back(talk):
    calls = []

    def note(*args, **settings):
        calls.append((args, settings))
        return talk.Box(len(calls))

    assert talk.Box(0)(note, 1, a=[2]).value == 1 and calls == [((1,), {"a": [2]})]
    assert talk.called(lambda box: box.doubled().value, talk.Box(4)) == 8
    assert talk.walked(number * 2 for number in range(3)) == [0, 2, 4]
    assert talk.called(abs, -3) == 3 and talk.called(np.subtract, 3, 1) == 2 and talk.called(math.tanh, 0.0) == 0
    assert talk.kept(note) is note and talk.kept(np.subtract) is np.subtract


def test_an_error_of_the_test_comes_back_as_the_same_object(talk):
    mine = KeyError("mine")

    def broken():
        raise mine

    with pytest.raises(KeyError) as caught:
        talk.caught(broken)
    assert caught.value is mine


def test_arrays_and_lists_are_one_on_both_sides(talk):
    array, numbers = talk.outer.in_place(np.zeros(3), [5])
    talk.change(array, numbers)
    talk.change(array, numbers)
    assert array.tolist() == [2, 2, 2] and numbers == [5, 1, 2]
    held = talk.kept(array)
    assert held is array
    array[0] = 9
    assert talk.kept.values is array and talk.kept.values[0] == 9
    store = talk.store
    store[1] = 4
    row = talk.store[1]
    row *= 2
    assert talk.store is store and type(store) is np.ndarray
    assert boxes.store.tolist() == [[0] * 3, [8] * 3]
    store[...] = 0
    talk.outer.ask("names", ())


def test_what_cannot_be_sent_is_an_error_there_and_here_and_loses_nothing(talk):
    numbers = talk.outer.in_place([1])
    with pytest.raises(TypeError, match="object cannot be sent"):
        talk.unsendable(lambda array: 1, numbers)
    assert numbers == [1, 2] and talk.called(len, numbers) == 2
    with pytest.raises(TypeError, match="cannot be"):
        talk.called(len, np.array([object()]))
    numbers.append(3)
    with pytest.raises(TypeError, match="cannot be handed"):
        talk.called(len, SimpleNamespace())
    assert talk.called(len, numbers) == 3


def test_numpys_settings_hold_over_there(talk):
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        talk.overflow()
    with np.errstate(over="ignore"):
        assert talk.overflow() == math.inf


def test_random_generators_are_one(talk):
    generator = np.random.default_rng(1)
    got = talk.called(lambda one: one.normal(), generator)
    assert [got, generator.normal()] == np.random.default_rng(1).normal(size=2).tolist()


# An object cannot say what a test finds.


def test_an_object_is_neither_true_nor_equal_to_anything(talk):
    for thing in (talk.Liar(), talk.Box(1)):
        with pytest.raises(TypeError, match="came back where True or False was expected"):
            bool(thing)
        for other in (3, [1, 2], None, "x", np.zeros(2)):
            with pytest.raises(AssertionError, match="an object of class .* came back where"):
                _ = thing == other
            with pytest.raises(AssertionError):
                _ = other == thing
            with pytest.raises(AssertionError):
                _ = thing != other
    with pytest.raises(AssertionError, match="return a number or an array, not a Liar"):
        _ = talk.Liar() == talk.Box(1)
    with pytest.raises(AssertionError):
        _ = talk.Liar() > 0


@pytest.mark.parametrize(
    "claim",
    [
        lambda near: abs(near - 6) < 1e-6,
        lambda near: abs(6 - near) < 1e-6,
        lambda near: np.abs(near - np.ones(3)).max() < 1e-6,
        lambda near: abs(near / 3) < 1,
        lambda near: (near @ np.ones(3)).max() == 0,
        lambda near: abs(near) == round(near) == near**2,
        lambda near: operator.isub(near, np.ones(3)).max() == 0,
        lambda near: near == type(near)(),
        lambda near: (near != type(near)()) is False,
        lambda near: [near] == [type(near)()],
        lambda near: near < 7,
        lambda near: near <= type(near)(),
    ],
)
def test_an_object_makes_up_no_difference_and_no_verdict(talk, claim):
    with pytest.raises(AssertionError, match="an object of class Near came back"):
        claim(talk.Near())


@pytest.mark.parametrize(
    "tell",
    [
        lambda told: told + 3,
        lambda told: np.ones(2) * told,
        lambda told: told @ np.ones(2),
        lambda told: told < 3,
        lambda told: 3 in told,
        lambda told: operator.iadd(told, [1]),
        lambda told: (told + told) + 3,
    ],
)
def test_an_object_of_a_class_that_is_not_the_courses_is_told_no_operand(talk, tell):
    told = talk.Told()
    with pytest.raises(AssertionError, match="an object of class Told came back: return a number or an array"):
        tell(told)
    assert all(one is told for one in told.heard)


def test_what_an_object_says_about_itself_is_exactly_that(talk):
    liar = talk.Liar()
    assert type(liar).__name__ == "Liar" and not isinstance(liar, list)
    assert type(len(liar)) is int
    for ask in (repr, str, iter, next):
        with pytest.raises(TypeError):
            ask(liar)
    array = np.asarray(liar)
    assert type(array) is np.ndarray and array.tolist() == [0, 0, 0] and not np.allclose(array, 1)
    with pytest.raises(AssertionError):
        _ = liar.tolist() == [1, 2]
    assert not np.allclose(liar, [1, 2, 3])


def test_a_subclass_is_no_plain_value(talk):
    for kind, plain in ((talk.Text, "a"), (talk.Half, 1.0), (talk.Many, [1])):
        thing = kind(plain)
        with pytest.raises(AssertionError):
            _ = thing == plain
        assert not isinstance(thing, (str, float, list))


def test_what_a_test_finds_out_inside_of_a_with_goes_on_upwards(talk):
    with talk.Swallow() as three:
        assert three == 3
        raise KeyError("as there")
    with pytest.raises(AssertionError, match="found"), talk.Swallow():
        raise AssertionError("found")


def test_the_words_of_a_verdict_stay_outside(talk):
    def check():
        raise AssertionError("expected 42")

    with pytest.raises(AssertionError, match="expected 42"):
        talk.called(check)
    assert [str(error) for error in talk.inner.errors.values()] == [""]


# What a test hands over is what it was afterwards.


def test_an_array_that_an_answer_changes_fails_the_test_and_is_named(talk):
    image, kernel = np.ones((3, 4)), np.ones(2)
    with pytest.raises(AssertionError, match=r"it changed argument 1, an array of shape \(3, 4\): work on a copy"):
        talk.blot(image, kernel)
    assert talk.outer.damage


@pytest.mark.parametrize(
    ("hand_over", "named"),
    [
        (lambda talk: talk.blot(np.ones((2, 3))[:, 1]), "argument 1, an array of shape (2,)"),
        (lambda talk: talk.blot(talk.kept([np.ones(2)])[0]), "argument 1, an array of shape (2,)"),
        (lambda talk: talk.shorten([1, 2]), "argument 1, a list"),
        (lambda talk: talk.shorten(values=[1, 2]), "argument values, a list"),
        (lambda talk: talk.blot(talk.store[1]), "argument 1, an array of shape (3,)"),
    ],
)
def test_whatever_is_handed_over_is_compared(talk, hand_over, named):
    boxes.store[...] = 1
    with pytest.raises(AssertionError) as caught:
        hand_over(talk)
    assert str(caught.value) == f"it changed {named}: work on a copy"


def test_a_change_that_comes_later_is_noticed(talk):
    image = np.ones(3)
    talk.blot_later(image)
    with pytest.raises(AssertionError, match=r"what an earlier call handed over, an array of shape \(3,\)"):
        talk.blot_now()


def test_a_test_cannot_catch_the_change_away(talk):
    image = np.ones(3)
    with contextlib.suppress(AssertionError):
        talk.blot(image)
    assert talk.outer.damage.startswith("it changed argument 1")
    talk.outer.forget()
    assert talk.outer.damage == "", "the next test begins anew"


def test_what_the_test_says_may_be_written_may_be_and_nothing_beside_it(talk):
    table = np.ones((3, 2))
    row = talk.outer.in_place(table[1])
    assert talk.blot(row).tolist() == [0, 0] and table.tolist() == [[1, 1], [0, 0], [1, 1]]
    whole, _ = talk.outer.in_place(np.ones(4), np.ones(4))
    talk.blot(whole[1:])
    assert whole.tolist() == [1, 0, 0, 0]
    numbers = talk.outer.in_place([1, 2])
    assert talk.shorten(numbers) == 1 and numbers == [1]
    beside = np.ones(4)
    talk.outer.in_place(beside[:2])
    with pytest.raises(AssertionError, match="it changed argument 1"):
        talk.blot(beside)


def test_drawing_and_what_the_test_itself_changes_are_no_damage(talk):
    generator, image = np.random.default_rng(1), np.ones(3)

    def change():
        image[0] = 5
        return float(image.sum())

    assert talk.drawn(generator) != talk.drawn(generator)
    assert talk.drawn(generator, change) == 7
    talk.kept(image)
    image += 1
    assert talk.kept(image) is image and talk.outer.damage == ""


# Nothing that comes back can do more than fail its test.


class Forged:
    """The trusted side, and on the other a student who answers with bytes of his own."""

    def __init__(self, *frames):
        reading, theirs = os.pipe()
        their_reading, writing = os.pipe()
        self.ends = reading, theirs, their_reading, writing
        self.outer = Outer(wire.Pipe(reading, writing))
        self.heard = []

        def answer():
            there = wire.Pipe(their_reading, theirs)
            for frame in frames:
                self.heard.append(there.receive())
                os.write(theirs, frame)

        self.thread = threading.Thread(target=answer, daemon=True)
        self.thread.start()

    def close(self):
        self.thread.join(5)
        for number in self.ends:
            with contextlib.suppress(OSError):
                os.close(number)


@pytest.fixture
def forged():
    made = []

    def make(*frames):
        made.append(Forged(*frames))
        return made[-1]

    yield make
    for one in made:
        one.close()


def framed(data):
    return wire.LENGTH.pack(len(data)) + data


def composed(kind, *values):
    """A frame; values that are bytes stand in it as they are."""
    writer = wire.Writer(None)
    writer.out += kind + b"."
    for value in values:
        if isinstance(value, bytes):
            writer.out += value
        else:
            writer.put(value)
    return framed(bytes(writer.out))


NUMBER, LENGTH = wire.NUMBER.pack, wire.LENGTH.pack


def text(words):
    return LENGTH(len(words)) + words.encode()


def a_class(number, name, bases=(), methods=()):
    writer = wire.Writer(None)
    writer.tag(b"C", number)
    writer.text(name)
    for value in (bases, methods, ()):
        writer.put(value)
    return bytes(writer.out)


ANSWERS = {
    "nothing at all": framed(b""),
    "a gigabyte announced": LENGTH(2**30) + b"x",
    "garbage": framed(bytes(range(256))),
    "an unknown kind": composed(b"Z", None),
    "a request": composed(b"Q", "call", None, ()),
    "two values": composed(b"R", 1, 2),
    "a call of what was never handed over": composed(b"B", "call", 1, ((), ())),
    "a call by a text": composed(b"B", "call", "1", ((), ())),
    "a call without a name": composed(b"B", None, 1, ((), ())),
    "an object never sent": composed(b"R", b"H" + NUMBER(-5)),
    "an object without a class": composed(b"R", b"K" + NUMBER(-5), None),
    "an object of a number": composed(b"R", b"K" + NUMBER(-5), 3),
    "an object under our number": composed(b"R", b"K" + NUMBER(5), a_class(-6, "A")),
    "a class of a number": composed(b"R", b"C" + NUMBER(-5) + text("A") + b"i" + NUMBER(3) + b"t\0\0\0\0t\0\0\0\0"),
    "a class with numbers for names": composed(b"R", a_class(-5, "A", (), (1, 2))),
    "a class twice": composed(b"R", b"t" + LENGTH(2), a_class(-5, "A"), a_class(-5, "B")),
    "a class of itself": composed(b"R", b"C" + NUMBER(-5) + text("A") + b"t" + LENGTH(1) + b"H" + NUMBER(-5)),
    "a class that nothing can be": composed(b"R", b"t" + LENGTH(2), a_class(-5, "A"), a_class(-6, "B")[:-5]),
    "a function by name": composed(b"R", b"@" + text("builtins.eval")),
    "a method": composed(b"R", b"m" + NUMBER(-5) + text("__class__")),
    "an error of no kind": composed(b"E", 3, text("A"), text("a"), None, 0, None),
    "an error of numbers": composed(b"E", (3,), text("A"), text("a"), None, 0, None),
    "an exception that was never raised": composed(b"R", b"!" + NUMBER(1)),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_none_fails_its_test_and_nothing_else(forged, answer):
    talk = forged(answer)
    with pytest.raises(Broken, match="something that cannot be read"):
        talk.outer.ask("names", ("x",))
    with pytest.raises(Broken):  # from here on nothing is asked any more
        talk.outer.ask("names", ("x",))
    assert len(talk.heard) == 1


class Canned:
    """A pipe from which frames come that nobody wrote on the other side."""

    limit = wire.FRAME_BYTES

    def __init__(self, *frames):
        self.frames = list(frames)

    def send(self, frame):
        pass

    def receive(self):
        if not self.frames:
            raise wire.Closed
        return self.frames.pop(0)


@settings(deadline=None, max_examples=500)
@given(
    st.sampled_from([b"R.", b"E.", b"B.", b"R", b""]), st.sampled_from(list(b"CKHX@mtLDA*Ps0")), st.binary(max_size=120)
)
def test_whatever_comes_is_read_or_breaks(kind, letter, data):
    outer = Outer(Canned(kind + bytes([letter]) + data))
    with contextlib.suppress(Exception, Broken):
        outer.ask("names", ())
    assert all(isinstance(type(one), (proxies.Remote, type)) for one in outer.remote.values())


ERRORS = {
    "of a builtin": (("builtins.ValueError", "builtins.object"), "ValueError", ValueError),
    "a class of one's own named like a builtin": (("student.ValueError", "builtins.Exception"), "ValueError", None),
    "by a name that leads elsewhere": (("os.system", "subprocess.Popen"), "Popen", None),
    "of no exception": (("builtins.list", "builtins.eval"), "eval", None),
}


@pytest.mark.parametrize(("kinds", "name", "exact"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_becomes_one_of_a_known_kind_or_a_new_one(forged, kinds, name, exact):
    talk = forged(composed(b"E", kinds, text(name), text("a"), ("a",), 0, None))
    with pytest.raises(Exception, match="a") as caught:
        talk.outer.ask("names", ("x",))
    found = type(caught.value)
    assert found is exact if exact else not any(found is one for one in vars(builtins).values())
    assert issubclass(found, Exception)


def test_a_class_named_like_a_builtin_is_another_one(forged):
    thing = forged(composed(b"R", b"K" + NUMBER(-5), a_class(-6, "float"))).outer.ask("names", ())
    assert type(thing) is not float and not isinstance(thing, float) and type(thing).__name__ == "float"


def test_an_exception_class_is_called_what_it_says_and_no_more(forged):
    name = "__import__('os').abort()"
    thing = forged(composed(b"R", b"K" + NUMBER(-5), a_class(-6, name))).outer.ask("names", ())
    assert type(thing).__name__ == "object"


def test_the_end_of_the_sandbox_is_said(forged):
    talk = forged()
    os.close(talk.ends[1])
    with pytest.raises(Ended):
        talk.outer.ask("names", ())


class Iterable:
    secret = "secret"

    def __iter__(self):
        return iter([1])


def test_of_an_object_nothing_can_be_had_but_what_it_was_handed_over_for(talk):
    Iterable.__module__ = "__main__"  # where tests stand
    assert talk.walked(Iterable()) == [1]
    ((number, (_, abilities)),) = [one for one in talk.outer.handed.items() if isinstance(one[1][0], Iterable)]
    assert abilities == ["iter"]
    for what in ("call", "item", "secret", "__getattribute__"):
        with pytest.raises(Broken):
            talk.outer._call_back(what, number, ("secret",))


def test_a_function_cannot_be_called_after_its_test(talk):
    calls = []
    talk.late(lambda: calls.append(1))
    late = boxes.late.function
    talk.outer.ask("end")
    talk.outer.forget()
    with pytest.raises(RuntimeError, match="over"):
        late()
    assert calls == [] and talk.outer.ask("names", ("nothing",)) == ()


def test_threads_of_an_answer_take_turns(talk):
    assert talk.threaded(lambda x: x + 1) == [2, 3, 4, 5]


def test_objects_of_an_earlier_test_are_refused(talk):
    box = talk.Box(1)
    talk.outer.ask("end")
    talk.outer.forget()
    with pytest.raises(TypeError, match="a test that is over"):
        talk.kept(box)
