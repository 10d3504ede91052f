# %% CharTokenizer: a search in the string, errors from the dictionary
class CharTokenizer:
    def __init__(self, text):
        letters = sorted(dict.fromkeys(text))
        self.characters = "".join(letters)
        self.number = dict(zip(letters, range(len(letters))))

    @property
    def vocab_size(self):
        return len(self.characters)

    def encode(self, text):
        ids = []
        for character in text:
            try:
                ids.append(self.number[character])
            except KeyError:
                raise ValueError(f"unknown: {character!r}, place {len(ids)}") from None
        return ids

    def decode(self, ids):
        return "".join(self.characters[i] for i in as_ids(ids, self.vocab_size))

# %% CharTokenizer: all unknown ones at once
- for place, character in enumerate(text):
-     if character not in self.places:
-         known = f"none of the {self.vocab_size} characters of this tokenizer"
-         raise ValueError(f"{character!r} at place {place} is {known}")
- return [self.places[character] for character in text]
+ strange = set(text).difference(self.places)
+ if strange:
+     where = min(map(text.index, strange))
+     raise ValueError(f"place {where}: {text[where]!r} has no id")
+ return list(map(self.places.__getitem__, text))

# %% CharTokenizer: grows the string
- self.characters = "".join(sorted(set(text)))
- self.places = {character: place for place, character in enumerate(self.characters)}
+ self.characters = ""
+ self.places = {}
+ for character in sorted(set(text)):
+     self.places[character] = len(self.characters)
+     self.characters += character

# %% decode_bytes: Python's incremental decoder
def decode_bytes(data, final=False):
    import codecs
    return codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(data), final)

# %% decode_bytes: tries to cut one, two and three bytes
def decode_bytes(data, final=False):
    data = bytes(data)
    if not final:
        for cut in (1, 2, 3):
            try:
                data[-cut:].decode()
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data" and error.start == 0 and cut <= len(data):
                    data = data[:-cut]
                    break
    return data.decode(errors="replace")

# %% decode_bytes: a table of first bytes
def expected_size(byte):
    for low, high, size in ((0xC0, 0xE0, 2), (0xE0, 0xF0, 3), (0xF0, 0xF8, 4)):
        if low <= byte < high:
            return size
    return 1

def decode_bytes(data, final=False):
    data, start = bytes(data), len(data) - 1
    while start > 0 and len(data) - start < 3 and 0x80 <= data[start] < 0xC0:
        start -= 1
    if not final and start >= 0 and start + expected_size(data[start]) > len(data):
        data = data[:start]
    return str(data, "utf-8", "replace")

# %% split_words: places of a compiled pattern
def split_words(text):
    pattern = re.compile(r"'s|'d|'m|'t|'ll|'ve|'re| ?[^\W\d_]+| ?\d+| ?(?:_|[^\w\s])+|\s+(?!\S)|\s+")
    return [found.group() for found in pattern.finditer(text)]

# %% split_words: one sign at a time, joined afterwards by the pattern
def split_words(text):
    letters, digits, signs = r" ?[^\W\d_]+", r" ?[\d]+", r" ?(?:(?!\s|[^\W_]).)+"
    return re.findall(rf"'(?:[sdmt]|ll|ve|re)|{letters}|{digits}|{signs}|\s+(?=\s|$)(?!\S)|\s+", text, re.DOTALL)

# %% split_words: walks through the text
def split_words(text):
    pattern = re.compile(r"'(?:s|d|m|t|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?[^\w\s]*(?:_+[^\w\s]*)+| ?[^\w\s]+|\s+(?!\S)|\s+")
    words, place = [], 0
    while place < len(text):
        found = pattern.match(text, place)
        words.append(found[0])
        place = found.end()
    return words

# %% count_pairs: a Counter
def count_pairs(counts):
    pairs = Counter()
    for symbols, number in counts.items():
        for place in range(1, len(symbols)):
            pairs[symbols[place - 1], symbols[place]] += number
    return dict(pairs)

# %% count_pairs: every place by itself
def count_pairs(counts):
    places = [(word[i : i + 2], often) for word, often in counts.items() for i in range(len(word) - 1)]
    pairs = dict.fromkeys((pair for pair, _ in places), 0)
    for pair, often in places:
        pairs[pair] += often
    return pairs

# %% count_pairs: setdefault
def count_pairs(counts):
    pairs = {}
    for word in counts:
        last = None
        for symbol in word:
            if last is not None:
                pairs.setdefault((last, symbol), 0)
                pairs[last, symbol] += counts[word]
            last = symbol
    return pairs

# %% merge_pair: slices
def merge_pair(symbols, pair, new):
    out, i = [], 0
    while i < len(symbols):
        if symbols[i : i + 2] == pair:
            out += [new]
            i += 1
        else:
            out += [symbols[i]]
        i += 1
    return tuple(out)

# %% merge_pair: looks back at what it has
def merge_pair(symbols, pair, new):
    out = []
    for symbol in symbols:
        if out and out[-1] == pair[0] and symbol == pair[1] and out[-1] != new:
            out[-1] = new
        else:
            out.append(symbol)
    return tuple(out)

# %% merge_pair: an iterator with a flag
def merge_pair(symbols, pair, new):
    out, skip = [], False
    for here, following in zip(symbols, (*symbols[1:], None)):
        if skip:
            skip = False
        elif (here, following) == tuple(pair):
            out.append(new)
            skip = True
        else:
            out.append(here)
    return tuple(out)

# %% train_bpe: sorts, and merges only words that hold the pair
def train_bpe(counts, vocab_size):
    if vocab_size - 256 < 0:
        raise ValueError(f"256 bytes do not fit into a vocabulary of {vocab_size}")
    words, merges = list(counts.items()), []
    while 256 + len(merges) < vocab_size:
        ordered = sorted(((-often, pair) for pair, often in count_pairs(dict(words)).items()))
        if not ordered or ordered[0][0] > -2:
            break
        best = ordered[0][1]
        words = [(merge_pair(w, best, 256 + len(merges)) if best[0] in w else w, n) for w, n in words]
        merges.append(best)
    return merges

# %% train_bpe: the largest count first, then the smallest pair that has it
def train_bpe(counts, vocab_size):
    if vocab_size < 256:
        raise ValueError(f"vocab_size is {vocab_size}, and has to be at least 256")
    merges, table = [], dict(counts)
    for new in range(256, vocab_size):
        pairs = count_pairs(table)
        most = max(pairs.values(), default=0)
        if most <= 1:
            return merges
        merges.append(min(pair for pair in pairs if pairs[pair] == most))
        table = {merge_pair(word, merges[-1], new): often for word, often in table.items()}
    return merges

# %% train_bpe: calls itself
def train_bpe(counts, vocab_size, new=256):
    if vocab_size < 256:
        raise ValueError(f"{vocab_size} is less than 256")
    merges = []
    while new < vocab_size:
        often, best = 0, None
        for pair, number in count_pairs(counts).items():
            if number > often or (number == often and pair < best):
                often, best = number, pair
        if often < 2:
            break
        merges, new = [*merges, best], new + 1
        counts = dict((merge_pair(word, best, new - 1), number) for word, number in counts.items())
    return merges

# %% encode_word: a list, one place at a time
def encode_word(word, ranks):
    symbols = list(word)
    while True:
        found = [(ranks[pair], i) for i, pair in enumerate(zip(symbols, symbols[1:])) if pair in ranks]
        if not found:
            return symbols
        if len(symbols) > 500:
            rank = min(found)[0]
            pair = next(pair for pair in ranks if ranks[pair] == rank)
            symbols = list(merge_pair(tuple(symbols), pair, 256 + rank))
            continue
        rank, place = min(found)
        symbols[place : place + 2] = [256 + rank]

# %% encode_word: the ranks of the pairs that are there
def encode_word(word, ranks):
    symbols = tuple(word)
    while known := [pair for pair in zip(symbols, symbols[1:]) if pair in ranks]:
        best = sorted(known, key=ranks.get)[0]
        symbols = merge_pair(symbols, best, 256 + ranks[best])
    return [*symbols]

# %% encode_word: infinity for pairs without a rank
def encode_word(word, ranks):
    symbols = tuple(word)
    for _ in range(len(word)):
        pairs = set(zip(symbols, symbols[1:]))
        lowest = min((ranks.get(pair, float("inf")) for pair in pairs), default=float("inf"))
        if lowest == float("inf"):
            break
        symbols = merge_pair(symbols, next(p for p in pairs if ranks.get(p) == lowest), lowest + 256)
    return list(symbols)

# %% BPETokenizer: throws out the oldest word
class BPETokenizer(BPE):
    def ids_of(self, word):
        if word in self.cache:
            return self.cache[word]
        while len(self.cache) >= self.cache_size:
            del self.cache[next(iter(self.cache))]
        found = self.cache[word] = encode_word(word.encode("utf-8"), self.ranks)
        return found

    def encode(self, text, allowed_special=()):
        ids = []
        for piece in self.pieces(text, allowed_special):
            if piece in self.special_tokens and piece in allowed_special:
                ids += [self.special_tokens[piece]]
            else:
                for word in split_words(piece):
                    ids.extend(self.ids_of(word))
        return ids

    def decode(self, ids, final=True):
        data = bytearray()
        for i in as_ids(ids, self.vocab_size):
            data.extend(self.vocab[i])
        return decode_bytes(data, final=final)

# %% BPETokenizer: a nested list, flattened
-         for word in split_words(piece):
-             if word not in self.cache:
-                 if len(self.cache) >= self.cache_size:
-                     self.cache.clear()
-                 self.cache[word] = encode_word(word.encode(), self.ranks)
-             ids += self.cache[word]
+         for word in split_words(piece):
+             found = self.cache.get(word)
+             if found is None:
+                 found = encode_word(encode_utf8(word), self.ranks)
+                 if len(self.cache) == self.cache_size:
+                     self.cache.popitem()
+                 self.cache[word] = found
+             ids = [*ids, *found]

# %% BPETokenizer: pieces by index, bytes first
- return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), final)
+ numbers = as_ids(ids, len(self.vocab))
+ return decode_bytes(b"".join(map(self.vocab.__getitem__, numbers)), final=bool(final))
