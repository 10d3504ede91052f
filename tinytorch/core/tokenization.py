"""Tokenization: Text as bytes, frequent pairs as symbols: a byte-pair tokenizer that loses nothing.

Exported from module 10_tokenization by tito export. Edit the notebook of that module, not this file.
"""

import json
import operator
import re
from collections import Counter
from pathlib import Path

from ..checkpoints import write_atomically

__all__ = [
    "as_ids", "CharTokenizer", "check_text", "encode_utf8", "decode_bytes", "split_words", "word_counts", "count_pairs",
    "merge_pair", "train_bpe", "encode_word", "BPE", "BPETokenizer",
]


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


class CharTokenizer:
    """Numbers the different characters of `text`, in sorted order."""

    def __init__(self, text):
        self.characters = "".join(sorted(set(text)))
        self.places = {character: place for place, character in enumerate(self.characters)}

    @property
    def vocab_size(self):
        return len(self.characters)

    def encode(self, text):
        """The ids of a text's characters. Raises ValueError naming an unknown one and its place."""
        for place, character in enumerate(text):
            if character not in self.places:
                known = f"none of the {self.vocab_size} characters of this tokenizer"
                raise ValueError(f"{character!r} at place {place} is {known}")
        return [self.places[character] for character in text]

    def decode(self, ids):
        """The text of the ids. Raises TypeError and IndexError as as_ids does."""
        return "".join(self.characters[i] for i in as_ids(ids, self.vocab_size))


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


def decode_bytes(data, final=False):
    """The text of UTF-8 bytes; what is wrong becomes U+FFFD.

    final: whether no bytes will follow. If some may, an incomplete character at the end gives nothing yet.
    """
    end = len(data)
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >> 6 != 0b10:
            size = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
            if size > back and not final:
                end -= back
            break
    return bytes(data[:end]).decode("utf-8", errors="replace")


def split_words(text):
    """The words of a text as GPT-2 cuts them, with the spaces before them; joined, they are the text."""
    kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)", r"\s+"]
    return re.findall("|".join(kinds), text)


def word_counts(text):
    """{bytes of a word, as a tuple: how often it occurs} of a text. Raises ValueError as check_text does."""
    check_text(text)
    return {tuple(word.encode()): number for word, number in Counter(split_words(text)).items()}


def count_pairs(counts):
    """{(id, id): how often these two are neighbours} in the words of `counts`, {tuple of ids: how often}."""
    pairs = {}
    for symbols, number in counts.items():
        for pair in zip(symbols, symbols[1:], strict=False):
            pairs[pair] = pairs.get(pair, 0) + number
    return pairs


def merge_pair(symbols, pair, new):
    """The tuple `symbols` with the id `new` in place of every `pair` of neighbours, from the left."""
    merged, place = [], 0
    while place < len(symbols):
        is_pair = symbols[place] == pair[0] and symbols[place + 1 : place + 2] == pair[1:]
        merged.append(new if is_pair else symbols[place])
        place += 2 if is_pair else 1
    return tuple(merged)


def train_bpe(counts, vocab_size):
    """The merges that make vocab_size ids of the 256 bytes, in order; fewer where no pair occurs twice.

    counts: {tuple of ids: how often}. Of pairs that are equally frequent, the smaller one. Raises ValueError
    where vocab_size is below 256.
    """
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


def encode_word(word, ranks):
    """The ids of the bytes `word` after all merges that fit, lowest rank first; ranks: {(id, id): rank}."""
    symbols, none = tuple(word), len(ranks)
    while len(symbols) > 1:
        pairs = zip(symbols, symbols[1:], strict=False)
        best = min(pairs, key=lambda pair: ranks.get(pair, none))
        if best not in ranks:
            break
        symbols = merge_pair(symbols, best, 256 + ranks[best])
    return list(symbols)


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


class BPETokenizer(BPE):
    """Text to ids and back by byte-pair encoding; no text is unknown to it, and none is changed."""

    def encode(self, text, allowed_special=()):
        """The list of ids of a text. An allowed special token becomes one id; any other one stays text.

        Raises ValueError as pieces does.
        """
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

    def decode(self, ids, final=True):
        """The text of the ids. final: whether no ids will follow, see decode_bytes.

        Raises TypeError and IndexError as as_ids does.
        """
        return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), final)
