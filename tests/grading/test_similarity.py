"""Which submissions are alike: renamed and reordered copies are, what everybody was handed is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_course import released
from tiny_course import run_tito

from tito.errors import UsageError
from tito.services.grading.similarity import compare, fingerprints
from tito.services.grading.similarity.fingerprints import WINDOW, K, grams, tokens, winnow

DOUBLE = """\
#| export
def double(number):
    '''Twice the number.'''
    if isinstance(number, str):
        raise TypeError(f"{number} is no number")
    parts = [number for _ in range(2)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
"""
BOX = """\
#| export
class Box:
    def __init__(self, size):
        whole, rest = divmod(size, 1)
        self.size = int(whole) if rest >= 0 else int(whole) - 1

    def grown(self):
        bigger = [double(one) for one in (self.size,)]
        return Box(bigger.pop())
"""
# the same, under other names, with comments, in another layout; and the two methods the other way round
COPIED_DOUBLE = """\
#| export
def double(z):
    # my own work
    if isinstance(z, str):

        raise TypeError(
            f"a text: {z}"
        )
    q = [z for i in range(2)]
    s = q[0]
    for w in q[1:]:
        s = s + w  # add
    return s
"""
COPIED_BOX = """\
#| export
class Box:
    def grown(self):
        l = [double(k) for k in (self.size,)]
        return Box(l.pop())

    def __init__(self, size):
        a, b = divmod(size, 1)
        self.size = int(a) if b >= 0 else int(a) - 1
"""
OTHER_DOUBLE = """\
#| export
def double(number):
    try:
        number + 0
    except TypeError as error:
        raise TypeError("numbers only, please") from error
    return sum((number, number))
"""
REFERENCE = """\
#| export
def double(number):
    if isinstance(number, str):
        raise TypeError(f"double needs a number, not the text {number!r}")
    twofold = number + number
    return twofold
"""


@pytest.fixture
def small(tmp_path):
    return released((tmp_path / "course").resolve())


def pairs(done):
    return {(pair.one.who, pair.other.who): pair for pair in done.pairs}


def test_names_comments_and_layout_are_not_compared():
    assert [token.text for token in tokens(DOUBLE)] == [token.text for token in tokens(COPIED_DOUBLE)]
    assert [token.text for token in tokens("np.sum(x)")] != [token.text for token in tokens("np.prod(x)")]
    assert [token.text for token in tokens("self.size")] == [token.text for token in tokens("self.length")]
    assert [token.line for token in tokens("a\n\n# no\nb")] == [0, 3]
    assert tokens("def (((\n'''") and tokens("") == []


@given(st.lists(st.sampled_from("abc"), max_size=60), st.lists(st.sampled_from("abc"), max_size=60), st.data())
def test_a_shared_run_has_a_fingerprint_in_both(before, behind, data):
    """What the paper guarantees, whatever stands around the run."""
    run = data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=K + WINDOW - 1, max_size=40))
    texts = [[*before, *run, *behind], [*behind, *run, *before]]
    hashes = [grams([fingerprints.Token(text, 0) for text in text]) for text in texts]
    kept = [{values[place] for place in winnow(values)} for values in hashes]
    assert kept[0] & kept[1] & set(grams([fingerprints.Token(text, 0) for text in run]))
    assert len(winnow(hashes[0])) <= len(hashes[0])


def test_a_renamed_and_reordered_copy_comes_first(small):
    small.submit("ada", double=DOUBLE, Box=BOX)
    small.submit("bob", double=COPIED_DOUBLE, Box=COPIED_BOX)
    small.submit("cy", double=OTHER_DOUBLE, Box=BOX)
    small.submit("dee", double=REFERENCE)
    small.submit("eli", double=REFERENCE.replace("twofold", "t"))
    done = compare.similarity(small.project, small.catalog, small.module)
    found = pairs(done)
    assert next(iter(found)) == ("ada", "bob") and found["ada", "bob"].part > 0.8
    assert ("ada", "cy") in found and found["ada", "cy"].part > found.get(("bob", "dee"), done.pairs[-1]).part / 2
    assert ("dee", "eli") not in found, "what both share is the reference's"
    assert done.shares == {"Box": 0, "double": 0.4}
    page = done.path.read_text(encoding="utf-8")
    assert "<mark>        s = s + w  # add</mark>" in page and "a place to look" in page.lower()
    assert "40 %" in page


def test_handed_out_cells_are_nobodys(small):
    small.submit("ada")
    small.submit("bob")
    assert compare.similarity(small.project, small.catalog, small.module).pairs == ()


def test_what_most_of_a_class_writes_is_no_sign(small):
    for number in range(10):
        small.submit(f"s{number}", double=DOUBLE)
    assert compare.similarity(small.project, small.catalog, small.module).pairs == ()
    small.submit("ada", double=OTHER_DOUBLE, Box=BOX)
    small.submit("bob", double=OTHER_DOUBLE, Box=COPIED_BOX)
    assert list(pairs(compare.similarity(small.project, small.catalog, small.module))) == [("ada", "bob")]


def test_another_term(small, tmp_path):
    small.submit("ada", double=DOUBLE, Box=BOX)
    small.submit("zoe", double=COPIED_DOUBLE, Box=COPIED_BOX)
    old = tmp_path / "last year" / "zoe" / "01_alpha"
    old.mkdir(parents=True)
    (small.course.submission("zoe", small.module) / small.module.notebook.name).rename(old / "alpha_dev.ipynb")
    done = compare.similarity(small.project, small.catalog, small.module, against=tmp_path / "last year")
    assert list(pairs(done)) == [("ada", "last year/zoe/01_alpha")]
    with pytest.raises(UsageError, match=r"alpha_dev\.ipynb"):
        compare.similarity(small.project, small.catalog, small.module, against=tmp_path / "course" / "tito")


def test_hostile_submissions_are_read_apart_and_shown_escaped(small):
    small.submit("ada", double=DOUBLE.replace("total = parts[0]", "total = parts[0]  # <script>alert(1)</script>"))
    small.submit("bob", double=COPIED_DOUBLE)
    small.submit("mad", double="#| export\n" + "(" * 300_000)
    broken = small.course.submission("eve", small.module) / small.module.notebook.name
    broken.parent.mkdir(parents=True)
    broken.write_text("{", encoding="utf-8")
    done = compare.similarity(small.project, small.catalog, small.module)
    assert ("ada", "bob") in pairs(done) and "eve" in done.unread
    page = done.path.read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page and "eve" in page


def test_one_submission_is_alike_to_nothing(small):
    small.submit("ada", double=DOUBLE)
    outcome = run_tito(small.root, "grade", "similarity", "1", "--json")
    assert outcome.exit_code == 2 and outcome.document["error"]["code"] == "too-few"
    small.submit("bob", double=COPIED_DOUBLE)
    outcome = run_tito(small.root, "grade", "similarity", "1")
    assert outcome.exit_code == 0, outcome.stderr
    assert "ada" in outcome.stdout and "no verdict" in outcome.stdout
