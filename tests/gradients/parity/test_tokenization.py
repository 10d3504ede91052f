"""The tokenizer against tiktoken, built from our merges; and the provided trainer against the student's.

tiktoken is asked word by word, in bytes, and about Shakespeare; not about drawn texts as a whole, because Rust's
regular expressions know other letters than Python's.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.core.tokenization import count_pairs, encode_word, split_words, train_bpe, word_counts
from tinytorch.datasets import load_shakespeare
from tinytorch.kernels import tokenization as kernels
from tinytorch.text import BPETokenizer

tiktoken = pytest.importorskip("tiktoken")
pytestmark = pytest.mark.parity

END = "<|endoftext|>"
GPT_2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # as OpenAI publishes it


def theirs(ours):
    plain = ours.vocab[: 256 + len(ours.merges)]
    assert len(set(plain)) == len(plain), "two merges spell the same bytes: tiktoken cannot tell them apart"
    ranks = {part: i for i, part in enumerate(plain)}
    return tiktoken.Encoding("ours", pat_str=GPT_2, mergeable_ranks=ranks, special_tokens=ours.special_tokens)


@pytest.fixture(scope="module")
def shakespeare():
    return load_shakespeare()


@pytest.fixture(scope="module", params=[512, 4096])
def pair(request, shakespeare):
    ours = BPETokenizer.train(shakespeare, request.param, [END], trainer=kernels.train_bpe)
    assert ours.vocab_size == request.param
    return ours, theirs(ours)


def test_all_of_shakespeare_has_the_same_ids(pair, shakespeare):
    ours, other = pair
    ids = ours.encode(shakespeare)
    assert ids == other.encode_ordinary(shakespeare)
    assert ours.decode(ids) == shakespeare


def test_words_of_any_bytes_have_the_same_ids(pair, shakespeare):
    ours, other = pair
    draws, words = random.Random(0), [word.encode() for word in set(split_words(shakespeare))]
    drawn = [b"".join(draws.choices(words, k=2)) for _ in range(2_000)]
    drawn += [bytes(draws.choices(b"aeinorst \xc3\xa9", k=draws.randrange(1, 20))) for _ in range(2_000)]
    drawn += [draws.randbytes(draws.randrange(1, 20)) for _ in range(2_000)]
    for word in drawn:
        assert encode_word(word, ours.ranks) == other._encode_single_piece(word), word


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet=" etaoinshr'\n.,é", max_size=60), st.booleans())
def test_special_tokens_are_the_same_marks(pair, text, allowed):
    ours, other = pair
    marked = f"{text}{END}{text}"
    names = {END} if allowed else set()
    assert ours.encode(marked, names) == other.encode(marked, allowed_special=names, disallowed_special=())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=80))
def test_whatever_is_drawn_comes_back(pair, text):
    ours, other = pair
    ids = ours.encode(text)
    assert ours.decode(ids) == text
    for count in range(len(ids) + 1):
        assert ours.decode(ids[:count]) == other.decode(ids[:count])
        assert text.startswith(ours.decode(ids[:count], final=False))


TABLES = st.dictionaries(st.lists(st.integers(0, 3), max_size=9).map(tuple), st.integers(1, 6), max_size=12)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TABLES, st.integers(256, 300))
def test_the_provided_trainer_learns_the_same_merges(counts, vocab_size):
    before = dict(counts)
    assert kernels.train_bpe(counts, vocab_size) == train_bpe(counts, vocab_size)
    assert counts == before


def test_the_provided_trainer_learns_the_same_merges_of_a_text(shakespeare):
    counts = word_counts(shakespeare[:100_000])
    assert kernels.train_bpe(counts, 700) == train_bpe(counts, 700)
    assert max(count_pairs(counts).values()) == count_pairs(counts)[kernels.train_bpe(counts, 257)[0]]


def test_the_provided_trainer_refuses_what_the_students_does():
    with pytest.raises(ValueError, match="255 is below 256"):
        kernels.train_bpe({}, 255)
