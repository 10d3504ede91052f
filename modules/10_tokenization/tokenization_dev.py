# %% [markdown]
r"""
# 10 Tokenization

Tensors hold numbers, and nothing of yours makes them from text yet. A *tokenizer* turns text into a list of whole numbers, *ids*,
and ids into text again. What it has an id for is a *token* or *symbol*.

You build two. One numbers characters. The other starts from bytes and makes one symbol of neighbours that often stand together:
byte-pair encoding, which GPT-2 and its successors read with.

## Three questions on earlier modules

**1.** (08) The first four bytes of an MNIST file are 0, 0, 8, 3, the largest place first. Which number is that?

<details><summary>Answer</summary>

8 · 256 + 3 = 2051. What bytes mean is up to the reader.

</details>

**2.** (04) What is the cross-entropy of a model that finds all of 512 symbols equally likely? And of 65?

<details><summary>Answer</summary>

ln 512 = 6.24 and ln 65 = 4.17: losses over different vocabularies do not compare.

</details>

**3.** (01) Which dtypes have `Tensor([3, 1])` and `Tensor([3.0, 1.0])`?

<details><summary>Answer</summary>

int64 and float32. Ids are places, and stay integers.

</details>
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error

check_home()

# %%
#| default_exp core.tokenization

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import json
import operator
import re
from collections import Counter
from pathlib import Path

from tinytorch.checkpoints import write_atomically

# %%
import numpy as np

from tinytorch.datasets import load_shakespeare

# %% [markdown]
r"""
## Part 1 of 3 · about 2½ hours: a number for each character

The characters of *hello*, each once and in order, are `ehlo`. Numbered from 0:

    e 0   h 1   l 2   o 3          hello  →  [1, 0, 2, 2, 3]

**Write the two parts of `CharTokenizer`.** `__init__` keeps `self.characters`, a string: each character of `text` once, sorted.
`encode` gives the list of the places that the characters of a text have in it; one that is not there is a
`ValueError` whose message holds its `repr` and its place in the text. An empty text has no ids. Texts may have a million characters: look
each one up in a dictionary. `decode` is given, and `as_ids`, which checks ids.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-as_ids", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def as_ids(ids, size):
    """The whole numbers of a list, an array or a Tensor with one axis, as a list of Python's integers.

    Raises TypeError for what is no whole number, IndexError for one outside 0 … size - 1, naming its place.
    """
    found = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    for place, i in enumerate(found):
        try:
            found[place] = operator.index(i)
        except TypeError:
            raise TypeError(f"ids are whole numbers, not {i!r} at place {place}") from None
        if not 0 <= i < size:
            raise IndexError(f"id {i} at place {place} is none of the {size} ids from 0 to {size - 1}")
    return found

# %% nbgrader={"grade": false, "grade_id": "CharTokenizer", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of Python's containers keeps everything once? It has no order, so sort what comes out of it.", "Make the dictionary from character to number in the first part, and keep it beside the string.", "Count the places while you walk over the text, so that the error can name the one where you are."], "minutes": 20, "objective": "characters"}
#| export
class CharTokenizer:
    """Numbers the different characters of `text`, in sorted order."""

    def __init__(self, text):
        ### BEGIN SOLUTION
        self.characters = "".join(sorted(set(text)))
        self.places = {character: place for place, character in enumerate(self.characters)}
        ### END SOLUTION

    @property
    def vocab_size(self):
        return len(self.characters)

    def encode(self, text):
        """The ids of a text's characters. Raises ValueError naming an unknown one and its place."""
        ### BEGIN SOLUTION
        for place, character in enumerate(text):
            if character not in self.places:
                known = f"none of the {self.vocab_size} characters of this tokenizer"
                raise ValueError(f"{character!r} at place {place} is {known}")
        return [self.places[character] for character in text]
        ### END SOLUTION

    def decode(self, ids):
        """The text of the ids. Raises TypeError and IndexError as as_ids does."""
        return "".join(self.characters[i] for i in as_ids(ids, self.vocab_size))

# %% nbgrader={"grade": true, "grade_id": "test-CharTokenizer", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_char_tokenizer():
    tokenizer = CharTokenizer("hello")
    expect(tokenizer.characters, "ehlo", "the characters of 'hello'")
    expect(tokenizer.encode("hello"), [1, 0, 2, 2, 3], "'hello'")
    expect(tokenizer.decode([1, 0, 2, 2, 3]), "hello", "and back")
    expect(tokenizer.encode("hole"), [1, 3, 2, 0], "'hole', another text with these characters")
    expect(CharTokenizer("a\nB b").characters, "\n Bab", "'a\nB b': sorted as Python does")
    expect(tokenizer.encode(""), [], "an empty text")
    expect_error(ValueError, ["'p'", 3], tokenizer.encode, "help")
    expect_error(ValueError, ["'H'", 0], tokenizer.encode, "Hello")
    expect_error(ValueError, ["'x'", 0], CharTokenizer("").encode, "x")
    print("🔬 CharTokenizer: passed")


test_unit_char_tokenizer()

# %% nbgrader={"grade": true, "grade_id": "test-CharTokenizer-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: characters of other scripts, a long text, the first of several unknown characters.
### BEGIN HIDDEN TESTS
greek = CharTokenizer("γαβ αβγ 🙂")
expect(greek.characters, " αβγ🙂", "Greek, a space and a smiling face")
expect(greek.encode("🙂γα"), [4, 3, 1], "three of them")
expect_error(ValueError, ["'δ'", 1], greek.encode, "βδε")
long = "".join(chr(97 + i % 17) for i in range(100_000))
expect(CharTokenizer(long).encode(long)[-3:], [3, 4, 5], "the end of 100,000 letters")
### END HIDDEN TESTS

# %% [markdown]
r"""
Two things are wrong with it. **Predict** both numbers and the error, for a tokenizer of all of Shakespeare's characters:
"""

# %%
shakespeare = load_shakespeare()
characters = CharTokenizer(shakespeare)
print("different characters:", characters.vocab_size)
print("ids of the whole text:", len(characters.encode(shakespeare)))
try:
    characters.encode("a café")
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
r"""
It cannot read what it has never seen, and a text becomes as many ids as it has characters. Later, attention compares each id
with every other one, and twice as many ids cost four times as much.

## Bytes: nothing is unknown

Every text already is a list of numbers below 256: its bytes. UTF-8 writes a character, by its number in Unicode (its *code
point*, in hexadecimal here), as one to four of them:

    code point         bytes                                  x: bits of the code point
    0 … 7F             0xxxxxxx                               7
    80 … 7FF           110xxxxx 10xxxxxx                      11
    800 … FFFF *       1110xxxx 10xxxxxx 10xxxxxx             16
    10000 … 10FFFF     11110xxx 10xxxxxx 10xxxxxx 10xxxxxx    21
                                                              * without D800 … DFFF, which are no characters

é is E9, in bits 00011 101001, so its bytes are 110 00011 and 10 101001: C3 A9. The given `encode_utf8` does this for a text. A
byte that begins with 10 goes on with a character, and any other one tells how long its character is.

A list of ids may end between C3 and A9. Then A9 may still come.

**Write `decode_bytes(data, final=False)`**: the text of the bytes. If a character is incomplete at the end, its one to three
bytes are left for later: they give nothing yet. With `final=True` nothing comes later, and they are wrong, like everything that
fits no row of the table. For what is wrong, `data.decode("utf-8", errors="replace")` writes the sign U+FFFD (�) and goes on: so
your work is the end. It may hold any bytes, and `data` may be empty.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-encode_utf8", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def check_text(text):
    """Raise ValueError for half of a surrogate pair (D800 … DFFF), no character; it names the place."""
    if half := re.search("[\ud800-\udfff]", text):
        code, place = ord(half[0]), half.start()
        raise ValueError(f"U+{code:X} at place {place} is half of a surrogate pair and no character")


def encode_utf8(text):
    """The bytes of a text, as `text.encode()` gives them. Raises ValueError as check_text does."""
    check_text(text)
    data = bytearray()
    for code in map(ord, text):
        more = (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)  # bytes that go on
        data.append((0, 0b11000000, 0b11100000, 0b11110000)[more] | code >> 6 * more)
        data += bytes(0b10000000 | code >> 6 * i & 0b111111 for i in reversed(range(more)))
    return bytes(data)

# %% nbgrader={"grade": false, "grade_id": "decode_bytes", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["At most the last three bytes can belong to a character that is incomplete: go back from the end to the first of its bytes.", "That byte says how many bytes its character has. Compare with how many there are from it to the end.", "Cut the data there or nowhere, and let Python decode the rest; with final there is nothing to cut."], "minutes": 30, "objective": "bytes"}
#| export
def decode_bytes(data, final=False):
    """The text of UTF-8 bytes; what is wrong becomes U+FFFD.

    final: whether no bytes will follow. If some may, an incomplete character at the end gives nothing yet.
    """
    ### BEGIN SOLUTION
    end = len(data)
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >> 6 != 0b10:
            size = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
            if size > back and not final:
                end -= back
            break
    return bytes(data[:end]).decode("utf-8", errors="replace")
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-decode_bytes", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_decode_bytes():
    expect(encode_utf8("aé語🙂"), "aé語🙂".encode(), "the given encoder: a, é, 語 and 🙂, of 1 to 4 bytes")
    data = "aé語🙂".encode()  # 61 · C3 A9 · E8 AA 9E · F0 9F 99 82
    texts = ["", "a", "a", "aé", "aé", "aé", "aé語", "aé語", "aé語", "aé語", "aé語🙂"]
    for size, text in enumerate(texts):
        expect(decode_bytes(data[:size]), text, f"the first {size} of the 10 bytes of aé語🙂")
    expect(decode_bytes(b"\xc3\xa9\xc3", final=True), "é\ufffd", "C3 A9 C3, final: the last byte is wrong")
    expect(decode_bytes(b"\xe8\xaa", final=True), "\ufffd", "E8 AA, final: one character is missing")
    expect(decode_bytes(data, final=True), "aé語🙂", "all 10 bytes, final")
    expect(decode_bytes(b"", final=True), "", "no bytes, final")
    expect(decode_bytes(b"a\xe8b"), "a\ufffdb", "E8 in the middle, and b does not go on with it: wrong")
    expect(decode_bytes(b"b\xa9"), "b\ufffd", "A9 at the end goes on with nothing: wrong")
    expect(decode_bytes(b"b\xff"), "b\ufffd", "FF fits no row of the table: wrong")
    print("🔬 decode_bytes: passed")


test_unit_decode_bytes()

# %% nbgrader={"grade": true, "grade_id": "test-decode_bytes-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other texts, cut everywhere; wrong bytes in other places.
### BEGIN HIDDEN TESTS
words = "Ωß\n€ 𝄞ñ…"
raw, ends = words.encode(), []
for letter in words:
    ends += [len(ends) + len(letter.encode())] * len(letter.encode())
for size in range(len(raw) + 1):
    complete = raw[: max([0] + [end for end in ends if end <= size])].decode()
    expect(decode_bytes(raw[:size]), complete, f"the first {size} bytes of {words!r}")
expect(decode_bytes(b"\xf8\x88\x88"), "\ufffd" * 3, "F8 88 88")
expect(decode_bytes(b"\x80\x80\x80\x80"), "\ufffd" * 4, "80 four times")
expect(decode_bytes(b"\xc3\xc3"), "\ufffd", "C3 C3: the first is wrong, the second waits")
expect(decode_bytes(b"x\xf0\x9f\x99", final=True), "x\ufffd", "F0 9F 99, final")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Words

Byte-pair encoding will make symbols of what often stands together. Left alone it would also make one of `dog.`, one of `dog!` and
one of `the dog`. So the text is first cut into *words*, and symbols do not cross their borders (GPT-2's idea). At each place of
the text, the first of these kinds that fits is taken:

1. an apostrophe with the ending `s`, `d`, `m`, `t`, `ll`, `ve` or `re`, in small letters;
2. letters, as many as follow each other, and the space before them if there is one;
3. digits, likewise;
4. other signs, neither white space nor letters nor digits, likewise;
5. white space, but without its last character if something else follows: that one may belong to the next word;
6. white space.

    I'll be_back in··2 days!      (· is a space)
    I | 'll | ·be | _ | back | ·in | · | ·2 | ·days | !

**Write `split_words(text)`**, the list of words, with one regular expression, the six kinds joined by `|`. In Python's `re`, `\s`
is white space, `\d` a digit, `\w` a letter, a digit or `_`; capitals mean the opposite, `[^\W\d]` is what is neither `\W` nor
`\d`, and `(?!\S)` holds where no `\S` follows. Group with `(?:…)`: of a plain `(…)`, `re.findall` returns what stands in it. Joined, the words must be the text again, whatever it was: think about where `_`
belongs.
"""

# %% nbgrader={"grade": false, "grade_id": "split_words", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A function of the module re gives all places where a pattern fits, from left to right, as a list of texts; with groups in the pattern it gives the groups, unless they begin with a question mark and a colon.", "A letter is what the class of letters, digits and underscore has, without two of the three. A question mark behind a space makes it optional.", "A sign of the fourth kind is either outside of two classes, or the one character that is no letter and yet in the class of letters."], "minutes": 25, "objective": "words"}
#| export
def split_words(text):
    """The words of a text as GPT-2 cuts them, with the spaces before them; joined, they are the text."""
    ### BEGIN SOLUTION
    kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)", r"\s+"]
    return re.findall("|".join(kinds), text)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-split_words", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_split_words():
    words = ["I", "'ll", " be", "_", "back", " in", " ", " 2", " days", "!"]
    expect(split_words("I'll be_back in  2 days!"), words, "I'll be_back in  2 days!")
    expect(split_words("Don't O'Neill's"), ["Don", "'t", " O", "'", "Neill", "'s"], "kind 1, and ' as a sign")
    expect(split_words("'sure I'VE"), ["'s", "ure", " I", "'", "VE"], "'s comes first, 'VE is no ending")
    expect(split_words("__init__ _a"), ["__", "init", "__", " _", "a"], "underscores are signs")
    expect(split_words("über 3rd 語 1½"), ["über", " 3", "rd", " 語", " 1", "½"], "any script, digits")
    expect(split_words("a   b\n\n c \n"), ["a", "  ", " b", "\n\n", " c", " \n"], "all but one before a word")
    expect(split_words("a\tb"), ["a", "\t", "b"], "a tab, which does not belong to a word")
    expect(split_words("?!... ..."), ["?!...", " ..."], "signs")
    expect(split_words(""), [], "an empty text")
    print("🔬 split_words: passed")


test_unit_split_words()

# %% nbgrader={"grade": true, "grade_id": "test-split_words-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: texts of all kinds of characters, which come back whole.
### BEGIN HIDDEN TESTS
for start in range(0, 0x3000, 0x400):
    odd = "".join(chr(start + 7 * i % 0x400) + " _'"[i % 3] for i in range(0x400))
    expect("".join(split_words(odd)) == odd, True, f"characters from {start:X}, mixed, come back")
words = [" \n", " '", "tis", " 12", ",", "5", "%", " x", "_", "1"]
expect(split_words(" \n 'tis 12,5% x_1"), words, "'tis 12,5% x_1")
### END HIDDEN TESTS

# %% [markdown]
r"""
What is the most frequent word of Shakespeare? And how many of his words occur only once?
"""

# %%
found = Counter(split_words(shakespeare))
once = sum(number == 1 for number in found.values())
print(f"{found.total():,} words, {len(found):,} different ones, {once:,} of them once")
print("the most frequent:", found.most_common(5))

# %% [markdown]
r"""
A new line and a comma are words as well. Any text becomes words and bytes now, and comes back: a good place to stop.

Training need not look at a word as often as it occurs: once, with a number beside it, is enough. The given `word_counts` does
that, and from here on words are tuples of ids, at first their bytes.

## Part 2 of 3 · about 3 hours: which neighbours are most frequent?

A table of two words, `aab` twice and `ab` three times (97 is a, 98 is b):

    counts   {(97, 97, 98): 2,  (97, 98): 3}
    pairs    (97, 97): 2        (97, 98): 2 + 3 = 5

**Write `count_pairs(counts)`**: a dictionary from each pair of neighbours to how often it occurs. A word counts as often as it
occurs, and each of its places counts: in `aaa` the pair (97, 97) stands twice. Words of one id have no pairs. `counts` stays as
it is.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-word_counts", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def word_counts(text):
    """{bytes of a word, as a tuple: how often it occurs} of a text. Raises ValueError as check_text does."""
    check_text(text)
    return {tuple(word.encode()): number for word, number in Counter(split_words(text)).items()}

# %% nbgrader={"grade": false, "grade_id": "count_pairs", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A tuple beside itself without its first entry: walking over both at once gives the neighbours.", "A dictionary can be asked for a key that is not there yet, with the number that counts in its place."], "minutes": 15, "objective": "merges"}
#| export
def count_pairs(counts):
    """{(id, id): how often these two are neighbours} in the words of `counts`, {tuple of ids: how often}."""
    ### BEGIN SOLUTION
    pairs = {}
    for symbols, number in counts.items():
        for pair in zip(symbols, symbols[1:], strict=False):
            pairs[pair] = pairs.get(pair, 0) + number
    return pairs
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-count_pairs", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_count_pairs():
    counts = {(97, 97, 98): 2, (97, 98): 3}
    expect(count_pairs(counts), {(97, 97): 2, (97, 98): 5}, "aab twice and ab three times")
    expect(counts, {(97, 97, 98): 2, (97, 98): 3}, "the table stays as it is")
    expect(count_pairs({(97, 97, 97): 4}), {(97, 97): 8}, "aaa four times: two pairs in each")
    expect(count_pairs({(1, 2, 1, 2): 1}), {(1, 2): 2, (2, 1): 1}, "1 2 1 2: the order counts")
    expect(count_pairs({(256, 300): 7, (9,): 5, (): 1}), {(256, 300): 7}, "words of one id or none")
    expect(count_pairs({}), {}, "no words")
    print("🔬 count_pairs: passed")


test_unit_count_pairs()

# %% nbgrader={"grade": true, "grade_id": "test-count_pairs-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: longer words.
### BEGIN HIDDEN TESTS
expect(count_pairs({(1,) * 50: 2, (2, 1, 1): 10}), {(1, 1): 108, (2, 1): 10}, "fifty ones, and 2 1 1")
expect(count_pairs({tuple(range(40)): 3}), {(i, i + 1): 3 for i in range(39)}, "0 to 39")
### END HIDDEN TESTS

# %% [markdown]
r"""
## One symbol for two

The most frequent pair gets an id of its own, the next free one, and takes the place of its two neighbours everywhere:

    (97, 97, 97, 98) with (97, 97) → 256     →   (256, 97, 98)

From the left, and without overlap: of `aaa` the first two become one, and the third is left. `aaaa` becomes (256, 256).

**Write `merge_pair(symbols, pair, new)`**: the tuple in which `new` stands for every `pair`. Long words happen (a line of 10,000
dashes), so walk through the word once.
"""

# %% nbgrader={"grade": false, "grade_id": "merge_pair", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Keep a place of your own: it moves by two where the pair stands, and otherwise by one.", "A comparison of slices does not fail at the last id, which has no neighbour.", "Collect in a list; a tuple that grows is copied with every step."], "minutes": 20, "objective": "merges"}
#| export
def merge_pair(symbols, pair, new):
    """The tuple `symbols` with the id `new` in place of every `pair` of neighbours, from the left."""
    ### BEGIN SOLUTION
    merged, place = [], 0
    while place < len(symbols):
        is_pair = symbols[place] == pair[0] and symbols[place + 1 : place + 2] == pair[1:]
        merged.append(new if is_pair else symbols[place])
        place += 2 if is_pair else 1
    return tuple(merged)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-merge_pair", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_merge_pair():
    expect(merge_pair((97, 97, 97, 98), (97, 97), 256), (256, 97, 98), "aaab: from the left")
    expect(merge_pair((97,) * 4, (97, 97), 256), (256, 256), "aaaa: twice, without overlap")
    expect(merge_pair((97,) * 5, (97, 97), 256), (256, 256, 97), "aaaaa: the last one is left")
    expect(merge_pair((5, 6, 7, 5, 6), (5, 6), 300), (300, 7, 300), "at the start and at the end")
    expect(merge_pair((6, 5, 6, 6), (5, 6), 300), (6, 300, 6), "in the middle")
    expect(merge_pair((6, 5), (5, 6), 300), (6, 5), "the other order is another pair")
    expect(merge_pair((5,), (5, 6), 300), (5,), "one id")
    expect(merge_pair((), (5, 6), 300), (), "no id")
    expect(merge_pair((5, 300, 6), (5, 6), 300), (5, 300, 6), "5 and 6 that are no neighbours")
    print("🔬 merge_pair: passed")

test_unit_merge_pair()

# %% nbgrader={"grade": true, "grade_id": "test-merge_pair-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: long words, pairs of merged ids.
### BEGIN HIDDEN TESTS
expect(merge_pair((7,) * 20_001, (7, 7), 256), (256,) * 10_000 + (7,), "20,001 equal ids")
expect(merge_pair((256, 257, 256, 257, 256), (256, 257), 258), (258, 258, 256), "256 257 256 257 256")
expect(merge_pair((1, 2, 2, 1, 2, 1, 1, 2), (1, 2), 3), (3, 2, 3, 1, 3), "1 2 2 1 2 1 1 2")
expect(merge_pair((0, 0, 0), (0, 0), 1), (1, 0), "id 0")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Learn the merges

Byte-pair encoding (Gage, 1994, to compress files; Sennrich, Haddow and Birch, 2016, for text) repeats the two steps. By hand, for
the single word `aaabdaaabac`:

    pairs that occur most                    merge            the word
    (a, a): 4                                aa → 256         256 a b d 256 a b a c
    (256, a): 2 and (a, b): 2                ab → 257         256 257 d 256 257 a c
    (256, 257): 2                            → 258            258 d 258 a c

In the second step two pairs are equally frequent. Then the smaller one is merged, as Python compares tuples: (97, 98) < (256,
97). And now no pair occurs twice: an id for something that occurs once saves nothing, and training stops.

**Write `train_bpe(counts, vocab_size)`**: the list of merged pairs in order, here `[(97, 97), (97, 98), (256, 257)]`. The first
one becomes id 256, and there are at most as many as make `vocab_size` ids with the 256 bytes. A `vocab_size` below 256 is a
`ValueError` that names it and 256. `counts` stays as it is.
"""

# %% nbgrader={"grade": false, "grade_id": "train_bpe", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["One pass of the loop for each new id: count, choose, note, and make a new table of words.", "Choose by two things at once: a tuple of the count, turned around so that the largest is the smallest, and the pair.", "A table without pairs, and one in which the best pair occurs once, both end the loop."], "minutes": 35, "objective": "merges"}
#| export
def train_bpe(counts, vocab_size):
    """The merges that make vocab_size ids of the 256 bytes, in order; fewer where no pair occurs twice.

    counts: {tuple of ids: how often}. Of pairs that are equally frequent, the smaller one. Raises ValueError
    where vocab_size is below 256.
    """
    ### BEGIN SOLUTION
    if vocab_size < 256:
        raise ValueError(f"train_bpe: vocab_size {vocab_size} is below 256, the number of bytes")
    merges = []
    for new in range(256, vocab_size):
        pairs = count_pairs(counts)
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            break
        merges.append(best)
        counts = {merge_pair(symbols, best, new): number for symbols, number in counts.items()}
    return merges
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-train_bpe", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
def test_unit_train_bpe():
    counts = {tuple(b"aaabdaaabac"): 1}
    merges = [(97, 97), (97, 98), (256, 257)]
    expect(train_bpe(counts, 1000), merges, "aaabdaaabac, until no pair occurs twice")
    expect(counts, {tuple(b"aaabdaaabac"): 1}, "the table stays as it is")
    expect(train_bpe(counts, 258), merges[:2], "aaabdaaabac with a vocabulary of 258: two merges")
    expect(train_bpe(counts, 256), [], "a vocabulary of 256 has no merges")
    several = {(1, 2): 2, (3, 4): 5, (3, 4, 1): 1}
    expect(train_bpe(several, 999), [(3, 4), (1, 2)], "(3, 4) occurs 6 times, (1, 2) twice, (256, 1) once")
    equal = {(9, 1): 3, (1, 9): 3, (1, 8): 3}
    expect(train_bpe(equal, 259), [(1, 8), (1, 9), (9, 1)], "equal counts: the smaller one first")
    expect(train_bpe({(5,): 100, (): 3}, 300), [], "words without pairs")
    expect(train_bpe({}, 300), [], "no words")
    print("🔬 train_bpe: passed")


test_unit_train_bpe()

# %% nbgrader={"grade": true, "grade_id": "test-train_bpe-errors", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_train_bpe_errors():
    expect_error(ValueError, [255, 256], train_bpe, {(1, 2): 9}, 255)
    expect_error(ValueError, [0, 256], train_bpe, {}, 0)
    text = "low lower lowest low low slow slower new newer newest widest wider show shower low low new new"
    first = [(111, 119), (108, 256), (32, 257), (32, 110)]  # ow, low, low and n behind a space
    expect(train_bpe(word_counts(text), 260), first, "the first four merges of 'low lower lowest …'")
    print("🔬 train_bpe, errors and a text: passed")

test_unit_train_bpe_errors()

# %% nbgrader={"grade": true, "grade_id": "test-train_bpe-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: other words, ties between merged ids, runs of one id.
### BEGIN HIDDEN TESTS
runs = {(1, 1, 1, 1): 3, (1, 1, 2): 2, (2, 1, 1, 1, 1, 1): 1, (3, 4, 3, 4, 3): 5, (4, 3): 1}
expect(train_bpe(runs, 300), [(1, 1), (4, 3), (3, 257), (258, 257), (256, 256), (256, 2)], "runs of one id")
table = {tuple((7 * i * i + 3 * i * j + j) % 5 for j in range(3 + i % 6)): 1 + i % 4 for i in range(40)}
merges = [(3, 3), (0, 1), (256, 256), (2, 0), (257, 2), (2, 1), (259, 3), (261, 0), (3, 0), (262, 1)]
expect(train_bpe(table, 266), merges, "30 words over five ids, a vocabulary of 266")
expect(len(train_bpe(table, 300)), 33, "30 words over five ids: how many merges there are")
expect(len(table), 30, "the table stays as it is")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Encode a word

The merges of a training text now cut any word. They must be applied **in the order in which they were learned**, since each was
learned on words in which all earlier ones had been made. With the merges (b, c) → 256 and (a, b) → 257:

    a b c   →   a 256          not 257 c, which is what merging from the left would give

So: among the pairs of neighbours in the word, take the one of lowest *rank* (its place in the list of merges), merge it
everywhere, and repeat until no pair of neighbours has a rank. The merge of rank r makes the id 256 + r.

**Write `encode_word(word, ranks)`** for the bytes of a word and a dictionary {pair: rank}: the list of its ids. Do not try all
merges one after the other: there may be 50,000 of them, and a word has few pairs. An empty word has no ids.
"""

# %% nbgrader={"grade": false, "grade_id": "encode_word", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Bytes are a sequence of whole numbers: as a tuple they are the ids to start from.", "A pair without a rank must not win: let it count as if it had a rank behind all others.", "What you wrote for training merges a pair everywhere in a word. Stop when the best pair of all has no rank."], "minutes": 30, "objective": "encoding"}
#| export
def encode_word(word, ranks):
    """The ids of the bytes `word` after all merges that fit, lowest rank first; ranks: {(id, id): rank}."""
    ### BEGIN SOLUTION
    symbols, none = tuple(word), len(ranks)
    while len(symbols) > 1:
        pairs = zip(symbols, symbols[1:], strict=False)
        best = min(pairs, key=lambda pair: ranks.get(pair, none))
        if best not in ranks:
            break
        symbols = merge_pair(symbols, best, 256 + ranks[best])
    return list(symbols)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-encode_word", "locked": true, "points": 9, "schema_version": 3, "solution": false, "task": false}
def test_unit_encode_word():
    ranks = {(98, 99): 0, (97, 98): 1}
    expect(encode_word(b"abc", ranks), [97, 256], "abc with bc → 256, ab → 257: the lower rank first")
    expect(encode_word(b"abab", ranks), [257, 257], "abab: ab twice")
    expect(encode_word(b"abcab", ranks), [97, 256, 257], "abcab: first bc, then the ab that is left")
    worked = {(97, 97): 0, (97, 98): 1, (256, 257): 2}
    expect(encode_word(b"aaabdaaabac", worked), [258, 100, 258, 97, 99], "aaabdaaabac")
    expect(encode_word(b"aaaaa", worked), [256, 256, 97], "aaaaa")
    expect(encode_word(b"", worked), [], "an empty word")
    expect(encode_word(b"a", worked), [97], "a word of one byte")
    expect(type(encode_word(b"ab", worked)), list, "what comes back")
    expect(encode_word("é!".encode(), worked), [195, 169, 33], "bytes that no merge knows stay bytes")
    expect(encode_word(b"ab", {}), [97, 98], "no merges at all")
    print("🔬 encode_word: passed")


test_unit_encode_word()

# %% nbgrader={"grade": true, "grade_id": "test-encode_word-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other merges and words, with the ids that tiktoken gives.
### BEGIN HIDDEN TESTS
# learned from "Peter Piper picked a peck of pickled peppers …"; the ids are those of tiktoken 0.14
spelled = "32 112|101 114|99 107|101 100|105 258|112 257|256 101|256 260|32 80|32 111|101 116|105 261|108 259"
spelled += "|112 261|262 258|262 269|263 259|263 268|264 267|265 102|266 257|271 115|264 276|32 97"
piper = {tuple(map(int, pair.split())): rank for rank, pair in enumerate(spelled.split("|"))}
cases = {b" pickled": [273], b"pepper": [112, 101, 269], b"peter": [112, 276], b"kepp": [107, 101, 112, 112]}
cases |= {b" picking": [263, 105, 110, 103], b" pick pick": [263, 263]}
cases[b" Piperpeppe"] = [274, 112, 101, 112, 112, 101]
for word, ids in cases.items():
    expect(encode_word(word, piper), ids, f"{word} with the merges of a tongue twister")
expect(encode_word(b"ab" * 5_000, {(97, 98): 0, (256, 256): 1}), [257] * 2_500, "10,000 bytes")
### END HIDDEN TESTS

# %% [markdown]
r"""
Train on a short stretch of Shakespeare. Which of these words will come out in one piece?
"""

# %%
ranks = {pair: rank for rank, pair in enumerate(train_bpe(word_counts(shakespeare[:20_000]), 256 + 100))}
print({word: encode_word(word.encode(), ranks) for word in split_words(" the people then theory café")})

# %% [markdown]
r"""
## Part 3 of 3 · about 2½ hours: a tokenizer

Your merges encode any word now, id for id as OpenAI's tiktoken does. A tokenizer needs a little more. `BPE` below is given: it
keeps the merges, trains, saves to JSON and loads. It has

- `ranks`, for `encode_word`, and `vocab`, the list of the bytes of each id;
- `special_tokens`, {text: id}. A token such as `<|endoftext|>` is no text but a mark that stands between texts. Its id comes
  after all others;
- `pieces(text, allowed_special)`: the text cut at the special tokens that are *allowed*, as a list in which each of those is a
  piece of its own. All others stay text: what a user types must not become a mark. It refuses what cannot be encoded,
  such as half of a surrogate pair;
- `cache`, {word: list of its ids}, at first empty, for at most `cache_size` words.

**Write the two parts of `BPETokenizer`.** `encode` gives the list of ids of a text: of its pieces in order, one id for a special
token, otherwise those of its words. A word that is in the cache is not encoded again, whoever put it there; a new word comes into
the cache and stays while there is room. When `cache_size` words are in there, first throw out what you like. The list that you
return is new: who changes it must not change the cache.

`decode` gives the text of ids (of an array or a Tensor as well; `as_ids` checks them). Bytes of one character may come from
several ids, so join before you decode. An end that is incomplete becomes �, unless `final` is False.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-BPE", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class BPE:
    """What a BPETokenizer is made of: merges, special tokens, bytes of ids; training, saving, loading.

    merges: pairs of ids, of which number r makes the id 256 + r. special_tokens: texts; their ids follow.
    """

    format, version = "tinytorch bpe", 1

    def __init__(self, merges, special_tokens=(), cache_size=65_536):
        self.merges = [tuple(pair) for pair in merges]
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self.vocab = [bytes([byte]) for byte in range(256)]
        for pair in self.merges:
            if len(pair) != 2 or not all(type(i) is int and 0 <= i < len(self.vocab) for i in pair):
                raise ValueError(
                    f"merge {len(self.vocab) - 256}, {pair}, is no pair of ids below {len(self.vocab)}"
                )
            self.vocab.append(self.vocab[pair[0]] + self.vocab[pair[1]])
        self.special_tokens = {token: len(self.vocab) + place for place, token in enumerate(special_tokens)}
        if len(self.ranks) != len(self.merges) or len(self.special_tokens) != len(special_tokens):
            raise ValueError("a merge or a special token stands in its list twice")
        if isinstance(special_tokens, str) or "" in self.special_tokens:
            raise ValueError(f"special_tokens is a list of texts that are not empty, not {special_tokens!r}")
        if cache_size < 1:
            raise ValueError(f"cache_size is at least 1, not {cache_size}")
        self.vocab += [token.encode() for token in self.special_tokens]
        self.cache, self.cache_size = {}, cache_size

    @classmethod
    def train(cls, text, vocab_size, special_tokens=(), trainer=None):
        """A tokenizer of at most vocab_size ids, special tokens included, with merges learned from `text`.

        trainer: called as train_bpe, and by default that; tinytorch.kernels.tokenization has a faster one.
        """
        merges = (trainer or train_bpe)(word_counts(text), vocab_size - len(special_tokens))
        return cls(merges, special_tokens)

    @property
    def vocab_size(self):
        return len(self.vocab)

    def pieces(self, text, allowed_special=()):
        """`text` cut at the allowed special tokens, the longer one first where two begin at one place.

        Raises ValueError for half of a surrogate pair, naming its place, and for a token that is no special
        one, naming it.
        """
        check_text(text)
        for token in allowed_special:
            if token not in self.special_tokens:
                raise ValueError(f"{token!r} is none of the special tokens {list(self.special_tokens)}")
        longest_first = sorted(map(re.escape, allowed_special), key=len, reverse=True)
        found = re.split(f"({'|'.join(longest_first)})", text) if longest_first else [text]
        return [piece for piece in found if piece]

    def save(self, path):
        """Write merges and special tokens into a JSON file, in one step."""
        document = {"format": self.format, "version": self.version, "merges": self.merges}
        document["special_tokens"] = list(self.special_tokens)
        write_atomically(path, json.dumps(document).encode())

    @classmethod
    def load(cls, path):
        """The tokenizer that save wrote. Raises ValueError naming the file and what is wrong with it."""
        try:
            document = json.loads(Path(path).read_bytes())
            found = document["format"], document["version"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path} is no file that save of a tokenizer wrote") from None
        if found != (cls.format, cls.version):
            known = f"version {cls.version} of {cls.format!r}"
            raise ValueError(f"{path} is version {found[1]} of {found[0]!r}; this reads {known}")
        try:
            return cls(document["merges"], document["special_tokens"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

# %% nbgrader={"grade": false, "grade_id": "BPETokenizer", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Two loops, one in the other: over the pieces, and over the words of a piece that is no special token.", "Words become bytes before they can be encoded. Ask the cache first, and look at its size only when a word is new.", "Extending a list copies ids out of the cache; returning or keeping the cached list itself does not."], "minutes": 45, "objective": "tokenizer"}
#| export
class BPETokenizer(BPE):
    """Text to ids and back by byte-pair encoding; no text is unknown to it, and none is changed."""

    def encode(self, text, allowed_special=()):
        """The list of ids of a text. An allowed special token becomes one id; any other one stays text.

        Raises ValueError as pieces does.
        """
        ### BEGIN SOLUTION
        ids = []
        for piece in self.pieces(text, allowed_special):
            if piece in allowed_special:
                ids.append(self.special_tokens[piece])
                continue
            for word in split_words(piece):
                if word not in self.cache:
                    if len(self.cache) >= self.cache_size:
                        self.cache.clear()
                    self.cache[word] = encode_word(word.encode(), self.ranks)
                ids += self.cache[word]
        return ids
        ### END SOLUTION

    def decode(self, ids, final=True):
        """The text of the ids. final: whether no ids will follow, see decode_bytes.

        Raises TypeError and IndexError as as_ids does.
        """
        ### BEGIN SOLUTION
        return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), final)
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-BPETokenizer", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_bpe_tokenizer():
    tokenizer = BPETokenizer(
        [(97, 98), (256, 99), (99, 32)], ["<|end|>", "<|end|>er"]
    )  # ab, abc, c and a space
    expect(tokenizer.encode("abc c c"), [257, 32, 99, 32, 99], "'abc c c': three words")
    expect(tokenizer.encode("é"), [195, 169], "é, which no merge knows: its bytes")
    expect(tokenizer.encode(""), [], "an empty text")
    expect(tokenizer.encode("ab<|end|>ab", ["<|end|>"]), [256, 259, 256], "a special token that is allowed")
    expect(tokenizer.encode("<|end|>", ["<|end|>"]), [259], "nothing but a special token")
    text = [60, 124, 101, 110, 100, 124, 62]
    expect(tokenizer.encode("<|end|>"), text, "a special token that is not allowed is text")
    expect(tokenizer.encode("<|end|>ab"), [*text, 256], "and so it is in front of other text")
    both = ("<|end|>", "<|end|>er")
    expect(tokenizer.encode("<|end|>er<|end|>", both), [260, 259], "of two, the longer one first")
    expect(tokenizer.encode("<|end|>er", both[:1]), [259, 101, 114], "the shorter one alone is allowed")
    expect_error(ValueError, ["D83D", 3], tokenizer.encode, "abc\ud83d")
    expect_error(ValueError, ["<|no|>"], tokenizer.encode, "a", ["<|no|>"])
    print("🔬 BPETokenizer, encode: passed")


test_unit_bpe_tokenizer()

# %% nbgrader={"grade": true, "grade_id": "test-BPETokenizer-cache", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_bpe_tokenizer_cache():
    tokenizer = BPETokenizer([(97, 98)], cache_size=2)
    ids = tokenizer.encode("ab")
    expect(tokenizer.cache, {"ab": [256]}, "the cache after 'ab'")
    ids.append(7)
    expect(tokenizer.encode("ab"), [256], "'ab' again, when somebody has changed the list that came back")
    tokenizer.encode("x")
    expect(tokenizer.cache, {"ab": [256], "x": [120]}, "'ab', then 'x': both fit into a cache of 2")
    expect(tokenizer.encode("x ab y ab z"), [120, 32, 256, 32, 121, 32, 256, 32, 122], "more words than fit")
    expect(len(tokenizer.cache) <= 2, True, "after five words: at most 2 in a cache of 2")
    expect(" z" in tokenizer.cache, True, "the word that came last is in the cache")
    tokenizer.cache.clear()
    tokenizer.cache["ab"] = [1, 2, 3]
    expect(tokenizer.encode("ab"), [1, 2, 3], "a word that is in the cache is not encoded again")
    print("🔬 BPETokenizer, cache: passed")

test_unit_bpe_tokenizer_cache()

# %% nbgrader={"grade": true, "grade_id": "test-BPETokenizer-decode", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_bpe_tokenizer_decode():
    tokenizer = BPETokenizer([(97, 98), (256, 195)], ["<|end|>"])  # ab, and "ab" with the first byte of é
    expect(tokenizer.decode([257, 169]), "abé", "é out of two ids")
    expect(tokenizer.decode([257]), "ab\ufffd", "an incomplete end")
    expect(tokenizer.decode([257], final=False), "ab", "an incomplete end, when more may come")
    expect(tokenizer.decode([256, 258, 97]), "ab<|end|>a", "a special token is its text")
    expect(tokenizer.decode([]), "", "no ids")
    expect_error(IndexError, [259, 1], tokenizer.decode, [97, 259])
    expect_error(IndexError, [-1, 0, 259], tokenizer.decode, [-1])
    expect_error(TypeError, [97.0, 0], tokenizer.decode, [97.0])
    text = "Aé語🙂\n\t  _'ll \x00 <|end|>"
    expect(tokenizer.decode(tokenizer.encode(text)), text, "all kinds of characters, there and back")
    print("🔬 BPETokenizer, decode: passed")

test_unit_bpe_tokenizer_decode()

# %% nbgrader={"grade": true, "grade_id": "test-BPETokenizer-hidden", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
# Withheld: other merges and texts, arrays of ids, a cache that is full.
### BEGIN HIDDEN TESTS
small = BPETokenizer([(32, 116), (104, 101), (256, 257), (226, 128)], ["<s>", "</s>"], cache_size=3)
ids = [260, 116, 257, 258, 259, 148, 261]
expect(small.encode("<s>the the—</s>", {"</s>", "<s>"}), ids, "two special tokens, in a set")
ids = [60, 47, 115, 62, 260, 60, 47, 115, 62]
expect(small.encode("</s><s></s>", ("<s>",)), ids, "one of two is allowed")
for odd in ("a b c d e f g", "e e e\n\n\n", "\u00a0\u2003x", "ÿÿÿ 𝄞", "</s>"):
    expect(small.decode(small.encode(odd, ["</s>"])), odd, f"{odd!r} there and back")
expect(len(small.cache) <= 3, True, "a cache of 3")
expect(small.decode(np.array([258, 259, 148])), " the—", "an array of ids")
expect(small.decode([259, 128, 226], final=False), "\u2000", "two ids and the start of another character")
expect_error(ValueError, ["DC00", 0], small.encode, "\udc00", ["<s>"])
expect_error(IndexError, [262, 2], small.decode, np.array([0, 1, 262]))
expect_error(TypeError, [0.5, 0], small.decode, np.array([0.5, 2]))
### END HIDDEN TESTS

# %% [markdown]
r"""
### Find the fault

A chat program shows an answer as it comes, id after id, with the tokenizer that you have just built. Users complain about
"caf��". **Which line is wrong, and why did nobody notice in English?**
"""

# %%
tokenizer = BPETokenizer.train("a cafe, a naive cafe", 260)
answer = tokenizer.encode("a naïve café")

shown = ""
for i in answer:
    shown += tokenizer.decode([i])
print(shown)

# %% [markdown]
r"""
<details><summary>Answer</summary>

`shown += tokenizer.decode([i])`: the two bytes of ï are two ids here, and each by itself is no character. English letters are one
byte each, so every id holds whole ones. Decode all ids so far instead: with `final=False`, what comes out only grows at its end.

</details>
"""

# %% [markdown]
r"""
## Put together

A tongue twister to learn from, 23 merges and a special token; then another sentence. The ids are those of tiktoken with the same
merges.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    twister = "Peter Piper picked a peck of pickled peppers. A peck of pickled peppers Peter Piper picked; "
    twister += "if Peter Piper picked a peck of pickled peppers, "
    twister += "where's the peck of pickled peppers Peter Piper picked?"
    tokenizer = BPETokenizer.train(twister, 280, ["<|endoftext|>"])
    expect(tokenizer.vocab_size, 280, "256 bytes, 23 merges and a special token")
    expect(tokenizer.vocab[278], b" Peter", "the last merge: its bytes")
    text = "Peter, a picky café owner<|endoftext|>picked_his  pickled peppers"
    ids = tokenizer.encode(text, ["<|endoftext|>"])
    first = [80, 276, 44, 32, 97, 263, 121, 32, 99, 97, 102, 195, 169, 265, 119, 110, 257, 279]
    expect(ids, [*first, 112, 260, 259, 95, 104, 105, 115, 32, 273, 277], "tiktoken's ids")
    grown = [tokenizer.decode(ids[:count], final=False) for count in (11, 12, 13, 18)]
    expect(grown[:2], ["Peter, a picky caf"] * 2, "the first 11 and 12 of the ids, not final")
    expect(grown[2], "Peter, a picky café", "13 of the ids")
    expect(grown[3], "Peter, a picky café owner<|endoftext|>", "18 of the ids")
    print("🧪 module 10, a tokenizer beside tiktoken: passed")


test_module()

# %% [markdown]
r"""
Saved, it is a small file of JSON, and a file that another version wrote is refused:
"""

# %%
import tempfile

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "tokenizer.json"
    tokenizer.save(path)
    print(path.read_text())
    print("loaded:", BPETokenizer.load(path).encode("a cafe"))
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    try:
        BPETokenizer.load(path)
    except ValueError as error:
        print("ValueError:", str(error).replace(folder, "…"))

# %% [markdown]
r"""
## Measure: what an engineer does to training

`train_bpe` counts all pairs of all words for every merge, and a merge changes few words. An engineer's version
(`tinytorch/kernels/tokenization/`) remembers in which words each pair stands, and brings up to date only what changes:

    for index in self.where.pop(pair):          # the words that hold the pair
        self.count(index, -1)                   # take this word's pairs out of the counts
        self.words[index] = replaced(...)
        self.count(index, +1)                   # and put the new ones in

The largest count comes from a heap. **Predict** how many times faster that makes 256 merges on Shakespeare; and how much longer
than 256 merges do 3,840 take?
"""

# %% tags=["measure"]
import time

from tinytorch.kernels import tokenization as kernels


def analyze_training():
    """Seconds for merges of Shakespeare, counted anew and brought up to date. Returns those of 4,096 ids."""
    counts, seconds, merges = word_counts(shakespeare), [], []
    runs = [
        ("yours", train_bpe, 512),
        ("engineer's", kernels.train_bpe, 512),
        ("engineer's", kernels.train_bpe, 4096),
    ]
    for name, train, size in runs:
        start = time.perf_counter()
        merges.append(train(counts, size))
        seconds.append(time.perf_counter() - start)
        print(f"📊 {name}, {size - 256:,} merges: {seconds[-1]:.2f} s")
    same = "the same" if merges[0] == merges[1] else "not the same"
    print(f"📊 256 merges: {same}, {seconds[0] / seconds[1]:.0f} times faster;", end=" ")
    print(f"3,840 take {seconds[2] / seconds[1]:.1f} times as long as 256")
    return merges[2]


learned = analyze_training()

# %% [markdown]
r"""
The first merges are the expensive ones, since frequent pairs stand in many words; later ones touch a handful. Counting anew costs
much the same every time, so the engineer's lead grows with the vocabulary.

## Look inside

**Predict**: which are the longest symbols among 4,096? Asked how often the letter r occurs in *strawberry*, language models used
to be wrong. Into which symbols is the word cut?
"""

# %% tags=["measure"]
small, large = BPETokenizer(learned[:256]), BPETokenizer(learned)
print("📊 longest symbols of 512: ", [part.decode() for part in sorted(small.vocab, key=len)[-8:]])
print("📊 longest symbols of 4,096: ", [part.decode() for part in sorted(large.vocab, key=len)[-8:]])
for name, one in (("512", small), ("4,096", large)):
    cut = " | ".join(one.decode([i]) for i in one.encode(" strawberry"))
    print(f"📊 ' strawberry' with {name} symbols: {cut}")

# %% [markdown]
r"""
The longest symbols say what the text is: speakers' names. And a model never sees letters. It sees numbers of symbols, and would
have to learn by heart, symbol by symbol, how each is spelled.

## Measure: how large a vocabulary?

A larger vocabulary makes texts shorter, and the table with a row for each symbol larger. To compare, the simplest model of all:
it knows how often each symbol occurs. Merges are learned and symbols counted on nine tenths of Shakespeare, and the last tenth
measures. The loss is given in **bits per byte**: −log₂ of the probability of each symbol, added up and divided by the bytes of the
*text*. A loss per symbol would not compare, since a symbol of 4,096 holds more text.

**Predict**: with 256, 512, … 4,096 symbols, does a byte cost more bits or fewer? How many times fewer symbols does the text have
with 4,096 than with 256? So how many times smaller is the table of all pairs of symbols of a text, n², which attention will
compute?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt


def analyze_vocabularies():
    """Bits per byte of the simplest model, bytes per symbol, and what tables cost, over the vocabulary."""
    sizes, cut, rows = [256, 512, 1024, 2048, 4096], len(shakespeare) * 9 // 10, []
    learned = kernels.train_bpe(word_counts(shakespeare[:cut]), max(sizes))  # the last tenth stays unseen
    for size in sizes:
        tokenizer = BPETokenizer(learned[: size - 256])
        seen, unseen = (tokenizer.encode(part) for part in (shakespeare[:cut], shakespeare[cut:]))
        often = np.bincount(seen, minlength=size) + 0.5  # a symbol that was never seen is not impossible
        bits = -np.log2(often / often.sum())[unseen].sum() / len(shakespeare[cut:])
        many = len(seen) + len(unseen)
        each = len(shakespeare) / many
        pairs = (1024 / each) ** 2
        rows.append((bits, each, size * 128 * 4 / 1e6, pairs / 1e6))
        print(f"📊 {size:5,} symbols, {many:9,} in the text: {each:.2f} bytes each, {bits:.2f} bits per byte")
        print(f"      table of 128 columns {rows[-1][2]:.2f} MB, pairs in 1,024 bytes of text {pairs:,.0f}")
    bits, each, table, pairs = np.array(rows).T
    print(f"📊 256 → 4,096: {each[-1]:.2f} times fewer symbols, {pairs[0] / pairs[-1]:.1f} times fewer pairs;")
    print(f"   {bits[0] - bits[-1]:.2f} bits per byte less, a table {table[-1] / table[0]:.0f} times larger")
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    left.semilogx(sizes, bits, "o-", base=2, label="bits per byte, held out")
    left.semilogx(sizes, each, "s--", base=2, label="bytes per symbol")
    left.set(title="What a symbol is worth", ylabel="bits, bytes", ylim=(0, None))
    right.loglog(sizes, table, "o-", base=2, label="table of 128 columns, MB")
    right.loglog(sizes, pairs, "s--", base=2, label="million pairs in 1,024 bytes")
    marks = [0.125, 0.25, 0.5, 1, 2]
    right.set(title="What it costs", ylabel="megabytes, million pairs", yticks=marks, yticklabels=marks)
    for axes in (left, right):
        axes.set(xlabel="symbols in the vocabulary", xticks=sizes, xticklabels=sizes)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize="small")
    plt.show()


analyze_vocabularies()

# %% [markdown]
r"""
A byte costs fewer bits with every doubling, since a longer symbol already says what follows its first letter: the vocabulary does
a part of the model's work. Each doubling brings fewer bytes per symbol than the one before, while the table doubles. And pairs
fall with the square of what the text shortens.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-vocabulary", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) Your run printed bits per byte for 512 and for 4,096 symbols. What is the loss *per symbol* of the same two models, in bits?
Which vocabulary looks better if somebody compares those, and why is that no fair comparison? (b) A model with 128 columns reads
1,024 bytes of text at a time. Going from 512 to 4,096 symbols, how many numbers does its table gain, and how many pairs does
attention lose? The table is paid for once, and the pairs in each of the model's four layers and for each of its 32 texts: which
weighs more? (c) Your run printed how *strawberry* is cut. What would a model have to know to count its r's?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-vocabulary", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) bits per byte times bytes per symbol, about 3.98 · 1.94 = 7.7 and 3.12 · 3.22 = 10.1: the smaller vocabulary looks
better, 1 point; its symbols hold less text each, 1 point. (b) The table gains 3,584 · 128 = 458,752 numbers; a text has about 529
and 318 symbols, so about 280,000 − 101,000 = 179,000 pairs less in each layer and text, times 128 that is 23 million: the pairs
weigh more, 1 point. (c) How each symbol is spelled, which no id says; it can only be learned from texts that spell words out, 1
point, with the printed pieces.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Ids are numbers without meaning: 259 is no more than 258. Module 11 gives each of them a row of numbers that is learned, and
trains the first language model, on pairs of characters. Next: `tito module complete 10_tokenization`.
"""
