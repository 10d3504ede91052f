"""What `expect` and `expect_error` accept and refuse, and what a student reads then."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch import Tensor
from tinytorch.notebook import check_home, expect, expect_error, no_warnings

NAN, INF = float("nan"), float("inf")


def words(check, *args, **kwargs):
    with pytest.raises(AssertionError) as raised:
        check(*args, **kwargs)
    return str(raised.value)


@pytest.mark.parametrize(
    "got, expected",
    [
        (np.float32(3), 3),
        (np.array(3.0), 3),
        (Tensor([1.0, 2.0]), [1, 2]),
        ([1, 2], np.array([1.0, 2.0])),
        (np.zeros((0, 4)), np.zeros((0, 4))),
        ([NAN, INF, -INF], [NAN, INF, -INF]),
        (np.array([True, False]), [True, False]),
        (np.bool_(True), True),
        (Tensor(True), True),
        ((2, 3), (2, 3)),
        ((), ()),
        (np.dtype("float32"), np.float32),
        (np.float32, np.dtype("float32")),
        (list, list),
        (None, None),
        ("text", "text"),
        ((np.array([1.0]), None), ([1], None)),
        ({"a": np.array([1.0, 2.0]), "b": None}, {"a": [1, 2], "b": None}),
        ([None, "x", [1.0]], [None, "x", [1]]),
        (2**60 + 1, 2**60 + 1),
    ],
)
def test_what_is_the_same_passes(got, expected):
    expect(got, expected, "the case")


@pytest.mark.parametrize(
    "got, expected, text",
    [
        (None, [11, 12], "expected [11, 12], got None (is a return missing?)"),
        (np.array([1.0, 3.0]), [1, 2], "expected [1, 2], got [1, 3]"),
        (np.array([[1.0], [2.0]]), [1, 2], "expected shape (2,), got shape (2, 1): [[1], [2]]"),
        (np.array([1.0]), 1, "expected shape (), got shape (1,): [1]"),
        (np.float32(0.0505051), 0.0505076, "expected 0.0505076, got 0.0505051"),
        (1 + 1e-9, 1.0, "expected 1, got 1.000000001"),
        (NAN, 0.0, "expected 0, got nan"),
        (0.0, NAN, "expected nan, got 0"),
        (INF, -INF, "expected -inf, got inf"),
        (np.array([1, 0]), [True, False], "expected [True, False], got [1, 0] of dtype int64"),
        (1, True, "expected True, got 1"),
        (False, True, "expected True, got False"),
        ([(1, 2), (3, 5)], [(1, 2), (3, 4)], "expected [(1, 2), (3, 4)], got [(1, 2), (3, 5)]"),
        ([[1, 2], [3, 5]], [(1, 2), (3, 4)], "expected [(1, 2), (3, 4)], got [[1, 2], [3, 5]]"),
        ([1, 2], [1, 2, 3], "expected [1, 2, 3], got [1, 2]"),
        ([(1, 2)], [(1, 2), (3, 4)], "expected [(1, 2), (3, 4)], got [(1, 2)]"),
        ([0] * 90, [0] * 91, "expected shape (91,), got shape (90,)"),
        (np.array([1, 2]), [1, 2, 3], "expected shape (3,), got shape (2,): [1, 2]"),
        ([2, 3], (2, 3), "expected the tuple (2, 3), got a list, [2, 3]"),
        ((2,), (2, 3), "expected (2, 3), got (2,)"),
        ((2, 4), (2, 3), "expected (2, 3), got (2, 4)"),
        ((np.array([1.0]), np.array([5.0])), ([1], [2]), "in item 1, expected [2], got [5]"),
        ({"a": 1}, {"b": 1}, "expected the keys 'b', got 'a'"),
        ({"a": 1}, {"a": 2}, "at 'a', expected 2, got 1"),
        (np.dtype("float64"), np.float32, "expected float32, got float64"),
        (dict, list, "expected list, got dict"),
        ("b", "a", "expected 'a', got 'b'"),
        (0, None, "expected None, got 0"),
        (Tensor([1.0]), None, "got a Tensor"),
        (object(), 3, "expected 3, got an object"),
        (2**60 + 1, 2**60, "expected 1152921504606846976, got 1152921504606846977"),
    ],
)
def test_what_differs_is_said_once(got, expected, text):
    said = words(expect, got, expected, "the case")
    assert said.startswith("the case: ") and text in said


def test_a_large_array_names_the_place_and_not_the_wall():
    got = np.zeros((20, 30))
    got[3, 4] = 1
    assert words(expect, got, np.zeros((20, 30)), "zeros") == (
        "zeros: expected 0 at [3, 4], got 1 (1 of 600 entries differ)"
    )


def test_a_tolerance_is_absolute_plus_relative():
    expect(1.1, 1.0, "atol", atol=0.11)
    expect(110.0, 100.0, "rtol", rtol=0.11)
    expect(np.float32([INF, NAN]), [INF, NAN], "not finite", atol=1)
    words(expect, 1.2, 1.0, "atol", atol=0.11)
    words(expect, INF, 1.0, "not finite", atol=1e300)
    words(expect, NAN, 1.0, "not a number", atol=INF)


def test_a_dtype_is_asked_for_by_name():
    expect(np.float32([1]), [1], "the case", dtype=np.float32)
    assert "expected dtype float32, got float64" in words(expect, np.array([1.0]), [1], "case", dtype=np.float32)
    assert "expected dtype float32, got a list" in words(expect, [1.0], [1], "case", dtype=np.float32)


def test_a_class_that_says_it_equals_everything_is_compared_by_its_numbers():
    class Liar(np.ndarray):
        def __eq__(self, other):
            return np.ones(self.shape, dtype=bool)

        __ne__ = None

    assert "expected [1, 2], got [0, 0]" in words(expect, np.zeros(2).view(Liar), [1, 2], "lies")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=20), st.data())
def test_one_changed_entry_is_always_found(numbers, data):
    array = np.array(numbers, dtype=np.float32)
    expect(array.copy(), array, "the same")
    place = data.draw(st.integers(0, len(numbers) - 1))
    array[place] = 7 if array[place] != 7 else 8
    words(expect, np.array(numbers, dtype=np.float32), array, "changed")


# Warnings.


@pytest.mark.parametrize(
    "calculate, words_of_numpy",
    [
        (lambda: np.exp(np.float32([1000])), "overflow encountered in exp"),
        (lambda: np.array([INF]) - INF, "invalid value encountered in subtract"),
        (lambda: np.log(np.zeros(1)), "divide by zero encountered in log"),
        (lambda: np.mean(np.zeros(0)), "Mean of empty slice"),
    ],
    ids=["overflow", "invalid", "divide", "mean"],
)
def test_a_warning_of_numpy_fails_and_names_the_case(calculate, words_of_numpy):
    def run():
        with np.errstate(all="ignore"), no_warnings("the case"):
            calculate()

    said = words(run)
    assert said.startswith("the case: ") and words_of_numpy in said


def test_what_does_not_warn_or_silences_its_warning_itself_passes():
    with no_warnings("the case"):
        np.exp(np.float32([-1000]))  # a number too small is 0, which is no warning
        with np.errstate(over="ignore"):
            np.exp(np.float32([1000]))


def test_other_errors_go_through_a_block_without_warnings():
    with pytest.raises(KeyError), no_warnings("the case"):
        raise KeyError("x")


# Errors.


def fails(error):
    def refuse(*args, **kwargs):
        raise error

    return refuse


class ShapeError(ValueError):
    pass


@pytest.mark.parametrize(
    "facts, message",
    [
        (5, "label 5 at index 2"),
        ([5, 2, "classes"], "row 2: there are no 5 Classes"),
        ((2, 3), "the shape [2, 3] does not fit"),
        ((2, 3), "(1, 2) and (2, 3)"),
        ((3,), "shape (3,) is too short"),
        ((), "a number, of shape ()"),
        ("bias", "The Bias has another shape"),
        (-1, "axis -1 is out of bounds"),
        (0.5, "p = 0.5 is no probability"),
        (10_000, "10,000 records"),
    ],
)
def test_facts_count_and_wording_does_not(facts, message):
    expect_error(ValueError, facts, fails(ValueError(message)))


@pytest.mark.parametrize(
    "facts, message",
    [(5, "conv5 and 15 and 5.5"), ((2, 3), "(1, 2, 3)"), ((2, 3), "2 and 3"), ([1, 2], "only 1"), ("bias", "weights")],
)
def test_a_fact_that_is_not_there_is_missed(facts, message):
    assert "should hold" in words(expect_error, ValueError, facts, fails(ValueError(message)))


def test_a_subclass_counts_and_another_class_does_not():
    expect_error(ValueError, [], fails(ShapeError("no")))
    expect_error(IndexError, [], fails(np.exceptions.AxisError("no")))
    assert "expected a ValueError, got TypeError: no" in words(expect_error, ValueError, [], fails(TypeError("no")))


def test_an_unwritten_cell_is_no_refusal():
    with pytest.raises(NotImplementedError):
        expect_error(RuntimeError, [], fails(NotImplementedError("double: write this cell")))


def test_a_missing_error_names_the_call_with_its_settings_functions_and_shapes():
    def accepts(x, *, axis):
        return x

    def clock_that_stands():
        return 0

    assert words(expect_error, ValueError, [], accepts, clock_that_stands, axis=0).startswith(
        "accepts(clock_that_stands, axis=0): "
    )

    said = words(expect_error, ValueError, [], accepts, Tensor(np.zeros((3, 40))), axis=2)
    called, got = said.split(": ", 1)
    assert called == "accepts(a Tensor of shape (3, 40), axis=2)"
    assert got == "expected a ValueError, but it returned a Tensor of shape (3, 40)"


@pytest.mark.parametrize("broken", [b"[tool\n", b"name = 'caf\xe9'\n"])
def test_a_broken_pyproject_is_named_where_it_is_a_projects_and_passed_over_elsewhere(monkeypatch, tmp_path, broken):
    path, folder = tmp_path / "pyproject.toml", tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.delenv("TINYTORCH_VIEW", raising=False)
    monkeypatch.chdir(folder)
    path.write_bytes(broken)
    check_home()
    path.write_bytes(b"[tool.tito]\nrole = 'workspace'\n" + broken)
    with pytest.raises(ImportError) as raised:
        check_home()
    assert str(path) in str(raised.value)
    assert "Fix the file" in str(raised.value)
