"""The tokenizers as they are used: against slow versions, Python's own UTF-8, and what must hold."""

import codecs
import json
import random
import sys

import numpy as np
import pytest

from tinytorch.core.tensor import Tensor
from tinytorch.core.tokenization import (
    BPETokenizer,
    CharTokenizer,
    as_ids,
    count_pairs,
    decode_bytes,
    encode_utf8,
    encode_word,
    merge_pair,
    split_words,
    train_bpe,
    word_counts,
)

TEXTS = [
    "", " ", "a", "\n", "naïve café, 12½ €", "  two  spaces ", "tabs\tand\r\nlines\n\n", "I'll've 'tis O'Neill's",
    "__x__", "\U0010ffff\ufffd", "ſK ²٣",
    "語の文字", "🙂🙃 👩‍👩‍👧", "\x00\x7f\x80\xff", "e\u0301 \u200b\u00a0\u2003", "<|end|>",
]  # fmt: skip


def drawn_texts(count, seed=0):
    """Texts of characters of all kinds, white space and quotes among them."""
    draws = random.Random(seed)
    points = [draws.randrange(0x110000) for _ in range(2_000)] + list(range(0x500)) * 2 + list(b" \n'_ ") * 300
    letters = [chr(point) for point in points if not 0xD800 <= point < 0xE000]
    return ["".join(draws.choices(letters, k=draws.randrange(40))) for _ in range(count)]


def tables(count, seed=0):
    """Tables of words over few ids, in which pairs tie and overlap."""
    draws = random.Random(seed)
    return [drawn_table(draws, draws.randint(1, 4)) for _ in range(count)]


def drawn_table(draws, ids):
    words = [tuple(draws.randrange(ids) for _ in range(draws.randrange(9))) for _ in range(draws.randrange(12))]
    return {word: draws.randint(1, 5) for word in words}


# slow versions


def slow_pairs(counts):
    seen = [pair for word, often in counts.items() for pair in zip(word, word[1:], strict=False) for _ in range(often)]
    return {pair: seen.count(pair) for pair in seen}


def slow_merge(symbols, pair, new):
    for place in range(len(symbols) - 1):
        if symbols[place : place + 2] == pair:
            return (*symbols[:place], new, *slow_merge(symbols[place + 2 :], pair, new))
    return symbols


def slow_train(counts, vocab_size):
    merges = []
    while len(merges) < vocab_size - 256:
        pairs = slow_pairs(counts)
        most = max(pairs.values(), default=0)
        if most < 2:
            break
        merges.append(min(pair for pair, often in pairs.items() if often == most))
        counts = {slow_merge(word, merges[-1], 255 + len(merges)): often for word, often in counts.items()}
    return merges


def slow_encode(word, merges):
    """All merges, one after the other, as they were learned."""
    symbols = tuple(word)
    for rank, pair in enumerate(merges):
        symbols = slow_merge(symbols, pair, 256 + rank)
    return list(symbols)


# characters and bytes


@pytest.mark.parametrize("text", TEXTS)
def test_a_character_tokenizer_numbers_what_it_has_seen_and_gives_it_back(text):
    tokenizer = CharTokenizer(text)
    assert list(tokenizer.characters) == sorted(set(text))
    assert tokenizer.vocab_size == len(set(text))
    ids = tokenizer.encode(text)
    assert [tokenizer.characters[i] for i in ids] == list(text)
    assert tokenizer.decode(ids) == tokenizer.decode(np.array(ids, np.int64)) == text


def test_an_unknown_character_is_named_with_its_place():
    with pytest.raises(ValueError) as error:
        CharTokenizer("acf ").encode("cafés")
    assert "'é'" in str(error.value) and "3" in str(error.value)
    assert CharTokenizer("").encode("") == []


@pytest.mark.parametrize("ids", [[0.0], [0, None], ["0"], [[0]], np.zeros(1), np.zeros((1, 1), np.int64)])
def test_what_is_no_whole_number_is_no_id(ids):
    with pytest.raises(TypeError, match="whole numbers"):
        as_ids(ids, 3)


@pytest.mark.parametrize(
    ("ids", "facts"), [([0, 3], "id 3 at place 1"), ([-1], "id -1 at place 0"), ([2**70], "id 118")]
)
def test_an_id_out_of_range_is_named_with_its_place(ids, facts):
    with pytest.raises(IndexError, match=facts):
        as_ids(ids, 3)


def test_ids_come_from_lists_arrays_tensors_and_iterators():
    assert as_ids(Tensor([2, 0]), 3) == as_ids(np.array([2, 0], np.uint8), 3) == as_ids(iter((2, 0)), 3) == [2, 0]


@pytest.mark.parametrize("text", [*TEXTS, *drawn_texts(30)])
def test_a_text_cut_anywhere_gives_its_complete_characters(text):
    data = encode_utf8(text)
    assert data == text.encode()
    decoder = codecs.getincrementaldecoder("utf-8")()
    grown = ""
    for size in range(len(data) + 1):
        grown += decoder.decode(data[size - 1 : size]) if size else ""
        assert decode_bytes(data[:size]) == grown
        assert decode_bytes(data[:size], final=True) == data[:size].decode(errors="replace")
    assert decode_bytes(bytearray(data)) == text


def test_with_final_wrong_bytes_are_what_python_makes_of_them():
    draws = np.random.default_rng(0)
    for _ in range(300):
        data = draws.choice([0x41, 0x80, 0xA9, 0xC3, 0xE8, 0xED, 0xF0, 0xF4, 0xFF], draws.integers(8)).astype(np.uint8)
        data = data.tobytes()
        whole = data.decode(errors="replace")
        assert decode_bytes(data, final=True) == whole
        assert whole.startswith(decode_bytes(data)), "what came early is what comes in the end"
    assert decode_bytes(b"a\xff") == "a\ufffd"


def test_half_of_a_surrogate_pair_is_refused_with_its_place():
    for refuses in (encode_utf8, word_counts, lambda text: BPETokenizer.train(text, 300)):
        with pytest.raises(ValueError, match="U[+]D800 at place 2"):
            refuses("ab\ud800")
    for tokenizer in (BPETokenizer([]), BPETokenizer([], ["<s>"])):
        with pytest.raises(ValueError, match="U[+]DFFF at place 4"):
            tokenizer.encode("ab c\udfff", tokenizer.special_tokens)


# words and merges


@pytest.mark.parametrize("text", [*TEXTS, *drawn_texts(100)])
def test_words_join_to_the_text(text):
    words = split_words(text)
    assert "".join(words) == text
    assert "" not in words


def test_every_character_that_python_knows_comes_back():
    for first in range(0, sys.maxunicode + 1, 0x10000):
        text = "".join(map(chr, range(first, first + 0x10000)))
        assert "".join(split_words(text)) == text, hex(first)


def test_words_are_cut_as_gpt_2_cuts_them():
    words = ["Hello", ",", " world", "!", "\n\n", " It", "'s", " 12", "th", ";", "  ", " x", "_", "y", " \n"]
    assert split_words("Hello, world!\n\n It's 12th;   x_y \n") == words


@pytest.mark.parametrize("counts", tables(30))
def test_pairs_are_counted_one_by_one(counts):
    before = dict(counts)
    assert count_pairs(counts) == slow_pairs(counts)
    assert counts == before


@pytest.mark.parametrize("counts", tables(30, seed=1))
def test_a_pair_is_merged_from_the_left(counts):
    for word in counts:
        for pair in [(0, 0), (0, 1), (1, 0)]:
            assert merge_pair(word, pair, 256) == slow_merge(word, pair, 256)


@pytest.mark.parametrize("counts", tables(40, seed=2))
def test_training_is_the_two_steps_repeated(counts):
    before = dict(counts)
    assert list(map(tuple, train_bpe(counts, 262))) == slow_train(counts, 262)
    assert list(map(tuple, train_bpe(counts, 999))) == slow_train(counts, 999)
    assert counts == before


@pytest.mark.parametrize("size", [255, 0, -1])
def test_a_vocabulary_without_all_bytes_is_refused(size):
    with pytest.raises(ValueError) as error:
        train_bpe({(1, 2): 2}, size)
    assert str(size) in str(error.value) and "256" in str(error.value)


def test_a_word_is_encoded_as_if_all_merges_came_in_order():
    text = "the theme of the thesis: these thistles, then those; they bother others. Élève, élan, naïve, naïveté " * 3
    merges = slow_train(word_counts(text), 320)
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    for word in [*split_words(text), "thethe", "ïï", "eeee", "", "thèse"]:
        assert list(encode_word(word.encode(), ranks)) == slow_encode(word.encode(), merges)


# the tokenizer

STANZA = "Tyger Tyger, burning bright,\nIn the forests of the night;\nWhat immortal hand or eye,\nCould frame thy "
STANZA += "fearful symmetry?\n\nIn what distant deeps or skies.\nBurnt the fire of thine eyes?\n"
STANZA += "On what wings dare he aspire?\n"


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(STANZA, 280, ["<|end|>", "<|pad|>"])


def test_training_makes_the_size_that_was_asked_for_or_what_the_text_allows(tokenizer):
    assert tokenizer.vocab_size == 280
    assert list(map(tuple, tokenizer.merges)) == slow_train(word_counts(STANZA), 278)
    assert tokenizer.special_tokens == {"<|end|>": 278, "<|pad|>": 279}
    assert BPETokenizer.train("", 1000).vocab_size == 256
    with pytest.raises(ValueError, match="256"):
        BPETokenizer.train("text", 257, ["<|end|>", "<|pad|>"])


def test_another_trainer_can_be_asked_for():
    seen = []

    def trainer(counts, vocab_size):
        seen.append((counts, vocab_size))
        return [(97, 98)]

    assert BPETokenizer.train("ab ab", 280, ["<s>"], trainer=trainer).encode("ab") == [256]
    assert seen == [({(97, 98): 1, (32, 97, 98): 1}, 279)]


@pytest.mark.parametrize("text", [STANZA, *TEXTS, *drawn_texts(60, seed=3)])
def test_what_is_encoded_comes_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert all(type(i) is int and 0 <= i < 278 for i in ids)
    assert tokenizer.decode(ids) == tokenizer.decode(np.array(ids, np.int64)) == text
    expected = [i for word in split_words(text) for i in slow_encode(word.encode(), tokenizer.merges)]
    assert tokenizer.encode(text) == ids == expected, "also from the cache"
    marked = f"{text}<|end|>{text}<|pad|><|end|>"
    assert 278 in tokenizer.encode(marked, {"<|end|>"})
    assert tokenizer.decode(tokenizer.encode(marked, tokenizer.special_tokens)) == marked


def test_a_text_becomes_shorter(tokenizer):
    assert len(tokenizer.encode(STANZA)) < 0.75 * len(STANZA)


def test_special_tokens_are_marks_only_where_they_are_allowed(tokenizer):
    assert tokenizer.encode("<|end|><|pad|>", ["<|pad|>"])[-1] == 279
    assert 278 not in tokenizer.encode("<|end|><|pad|>", ["<|pad|>"])
    assert max(tokenizer.encode("<|end|>")) < 278
    for unknown in (["<|no|>"], "<|end|>"):  # a text is not a list of texts
        with pytest.raises(ValueError, match="none of the special tokens"):
            tokenizer.encode("a", unknown)


def test_special_tokens_may_look_like_patterns():
    tokenizer = BPETokenizer([], [".*", "a|b", "(", "((x"])
    assert tokenizer.encode("((x(.*a|b", tokenizer.special_tokens) == [259, 258, 256, 257]


def test_ids_decoded_one_after_the_other_only_grow(tokenizer):
    ids = tokenizer.encode("naïve 語 🙂 tyger")
    grown = [tokenizer.decode(ids[:count], final=False) for count in range(len(ids) + 1)]
    assert grown[-1] == "naïve 語 🙂 tyger"
    assert all(grown[-1].startswith(text) for text in grown)


@pytest.mark.parametrize(("ids", "error"), [([280], IndexError), ([-1], IndexError), ([1.0], TypeError)])
def test_wrong_ids_are_refused(tokenizer, ids, error):
    with pytest.raises(error):
        tokenizer.decode(ids)


def test_the_cache_is_bounded_used_and_nobody_elses():
    tokenizer = BPETokenizer([(97, 98)], cache_size=3)
    for number in range(50):
        tokenizer.encode(f"w{number} ab")
        assert 1 <= len(tokenizer.cache) <= 3
    tokenizer.encode("ab").append(5)
    assert tokenizer.encode("ab") == [256]
    tokenizer.cache["ab"] = [1, 2]
    assert tokenizer.encode("ab") == [1, 2]


def test_a_saved_tokenizer_is_the_same_one(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    loaded = BPETokenizer.load(str(path))
    assert (loaded.merges, loaded.special_tokens) == (tokenizer.merges, tokenizer.special_tokens)
    assert loaded.encode(STANZA) == tokenizer.encode(STANZA)
    assert json.loads(path.read_text())["version"] == 1
    loaded.save(path)
    assert BPETokenizer.load(path).vocab == tokenizer.vocab


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version 2 .*version 1"),
        ({"format": "words"}, "'words'"),
        ({"merges": [[97, 999]]}, "damaged.*999"),
        ({"merges": [[97, 98], [97, 98]]}, "twice"),
        ({"merges": [[97]]}, "damaged"),
        ({"merges": 3}, "damaged"),
        ({"special_tokens": ["<s>", "<s>"]}, "twice"),
        ({"special_tokens": ["\ud800"]}, "damaged"),
    ],
)
def test_a_file_of_another_kind_is_named_and_refused(tmp_path, change, said):
    path = tmp_path / "tokenizer.json"
    BPETokenizer([(97, 98)]).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=said) as error:
        BPETokenizer.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", ["", "{}", "[]", "3", "merges", '{"version": 1'])
def test_a_file_that_is_none_is_refused_by_name(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="no file that save") as error:
        BPETokenizer.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "merges", [[(97, 256)], [(1, 2), (258, 1)], [(-1, 2)], [(1.0, 2)], [(1, 2, 3)], [(1, 2), (1, 2)]]
)
def test_merges_that_cannot_have_been_learned_are_refused(merges):
    with pytest.raises(ValueError, match="merge"):
        BPETokenizer(merges)


def test_settings_that_make_no_sense_are_refused():
    for settings in ({"special_tokens": "<s>"}, {"special_tokens": [""]}, {"cache_size": 0}):
        with pytest.raises(ValueError, match="|".join(settings)):
            BPETokenizer([], **settings)
