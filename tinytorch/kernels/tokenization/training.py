"""Byte-pair encoding trained by changes: a merge touches only the words that hold its pair.

Four tables are kept up to date: the symbols of each word, how often each pair occurs, in which words it may stand, and
a heap with the most frequent pair on top. Counts change under the heap, so it may hold outdated entries: an entry
whose count is not the pair's is passed over when it comes to the top.
"""

import heapq
from collections import defaultdict

BYTES = 256


def train_bpe(counts, vocab_size):
    """The merges that make vocab_size symbols of the 256 bytes, in order; fewer where no pair occurs twice.

    counts: {tuple of ids: how often}. Of pairs that are equally frequent, the smaller one. Raises ValueError where
    vocab_size is below 256.
    """
    if vocab_size < BYTES:
        raise ValueError(f"train_bpe: vocab_size {vocab_size} is below {BYTES}, the number of bytes")
    table, merges = PairTable(counts), []
    for new in range(BYTES, vocab_size):
        pair = table.most_frequent()
        if pair is None:
            break
        table.merge(pair, new)
        merges.append(pair)
    return merges


class PairTable:
    """The words of `counts`, and the pairs in them."""

    def __init__(self, counts):
        self.words, self.often = [*counts], [*counts.values()]
        self.pairs, self.where = defaultdict(int), defaultdict(set)
        for index in range(len(self.words)):
            self.count(index, 1)
        self.heap = [(-number, pair) for pair, number in self.pairs.items()]
        heapq.heapify(self.heap)

    def count(self, index, sign):
        """Add the pairs of a word, or take them away; returns them."""
        word, number = self.words[index], sign * self.often[index]
        pairs = list(zip(word, word[1:], strict=False))
        for pair in pairs:
            self.pairs[pair] += number
            if sign > 0:
                self.where[pair].add(index)
        return pairs

    def most_frequent(self):
        """The pair with the largest count, the smaller one of equals; None where none occurs twice."""
        while self.heap and -self.heap[0][0] != self.pairs.get(self.heap[0][1], 0):
            heapq.heappop(self.heap)
        return self.heap[0][1] if self.heap and -self.heap[0][0] > 1 else None

    def merge(self, pair, new):
        """Write `new` for `pair` in every word that holds it, and bring the tables up to date."""
        changed = set()
        for index in self.where.pop(pair):
            word = replaced(self.words[index], pair, new)
            if len(word) < len(self.words[index]):  # an earlier merge may have taken the pair from this word
                changed.update(self.count(index, -1))
                self.words[index] = word
                changed.update(self.count(index, 1))
        for one in changed:
            if self.pairs[one] > 0:
                heapq.heappush(self.heap, (-self.pairs[one], one))
            else:
                del self.pairs[one]


def replaced(word, pair, new):
    """The symbols of `word` with `new` in place of `pair`, from the left."""
    merged, place, last = [], 0, len(word) - 1
    while place <= last:
        if place < last and word[place] == pair[0] and word[place + 1] == pair[1]:
            merged.append(new)
            place += 2
        else:
            merged.append(word[place])
            place += 1
    return merged
