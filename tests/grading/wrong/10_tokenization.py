# %% CharTokenizer: in the order of their first place
- self.characters = "".join(sorted(set(text)))
+ self.characters = "".join(dict.fromkeys(text))

# %% CharTokenizer: an unknown character is left out
- for place, character in enumerate(text):
-     if character not in self.places:
-         known = f"none of the {self.vocab_size} characters of this tokenizer"
-         raise ValueError(f"{character!r} at place {place} is {known}")
- return [self.places[character] for character in text]
+ return [self.places[character] for character in text if character in self.places]

# %% CharTokenizer: code points as ids
- return [self.places[character] for character in text]
+ return [ord(character) for character in text]

# %% CharTokenizer: an unknown character is a KeyError
- for place, character in enumerate(text):
-     if character not in self.places:
-         known = f"none of the {self.vocab_size} characters of this tokenizer"
-         raise ValueError(f"{character!r} at place {place} is {known}")

# %% CharTokenizer: counts the places of errors from 1
- for place, character in enumerate(text):
+ for place, character in enumerate(text, 1):

# %% decode_bytes: nothing is kept for later
def decode_bytes(data, final=False):
    return bytes(data).decode("utf-8", errors="replace")

# %% decode_bytes: wrong bytes are left out
- return bytes(data[:end]).decode("utf-8", errors="replace")
+ return bytes(data[:end]).decode("utf-8", errors="ignore")

# %% decode_bytes: takes a complete character at the end for an incomplete one
- if size > back and not final:
+ if size > 1 and not final:

# %% decode_bytes: cuts all bytes at the end that are not ASCII
def decode_bytes(data, final=False):
    end = len(data)
    while not final and end and data[end - 1] >= 0x80:
        end -= 1
    return bytes(data[:end]).decode("utf-8", errors="replace")

# %% decode_bytes: knows characters of two bytes only
- size = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
+ size = 2 if byte >> 6 == 0b11 else 1

# %% decode_bytes: one byte, one character
def decode_bytes(data, final=False):
    return bytes(data).decode("latin-1")

# %% decode_bytes: FF begins a character, too
- size = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
+ size = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 4 == 0b1111 else 1

# %% split_words: loses every underscore
- kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)", r"\s+"]
+ kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?[^\s\w]+", r"\s+(?!\S)", r"\s+"]

# %% split_words: underscores and digits are letters
- kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)", r"\s+"]
+ kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?\w+", r" ?[^\s\w]+", r"\s+(?!\S)", r"\s+"]

# %% split_words: Python's split
def split_words(text):
    return text.split()

# %% split_words: letters of English only
- kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)", r"\s+"]
+ kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[A-Za-z]+", r" ?\d+", r" ?[^\sA-Za-z\d]+", r"\s+(?!\S)", r"\s+"]

# %% split_words: white space takes all of a run
- kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)", r"\s+"]
+ kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+"]

# %% split_words: white space only where it ends a line
- kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)", r"\s+"]
+ kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)"]

# %% split_words: endings in capitals as well
- return re.findall("|".join(kinds), text)
+ return re.findall("|".join(kinds), text, re.IGNORECASE)

# %% split_words: no spaces before words
- kinds = [r"'(?:[sdmt]|ll|ve|re)", r" ?[^\W\d_]+", r" ?\d+", r" ?(?:[^\s\w]|_)+", r"\s+(?!\S)", r"\s+"]
+ kinds = [r"'(?:[sdmt]|ll|ve|re)", r"[^\W\d_]+", r"\d+", r"(?:[^\s\w]|_)+", r"\s+"]

# %% split_words: the whole text as one word
def split_words(text):
    return [text] if text else []

# %% split_words: one character each
def split_words(text):
    return list(text)

# %% count_pairs: a word counts once
- pairs[pair] = pairs.get(pair, 0) + number
+ pairs[pair] = pairs.get(pair, 0) + 1

# %% count_pairs: a pair counts once in a word
- for pair in zip(symbols, symbols[1:], strict=False):
+ for pair in set(zip(symbols, symbols[1:])):

# %% count_pairs: without overlap
def count_pairs(counts):
    pairs = {}
    for symbols, number in counts.items():
        place = 0
        while place < len(symbols) - 1:
            pair = symbols[place], symbols[place + 1]
            pairs[pair] = pairs.get(pair, 0) + number
            place += 2 if pair[0] == pair[1] else 1
    return pairs

# %% count_pairs: in either order
- for pair in zip(symbols, symbols[1:], strict=False):
+ for pair in map(tuple, map(sorted, zip(symbols, symbols[1:]))):

# %% count_pairs: eats the table
- for symbols, number in counts.items():
+ while counts:
+     symbols, number = counts.popitem()

# %% merge_pair: the first place only
def merge_pair(symbols, pair, new):
    for place in range(len(symbols) - 1):
        if symbols[place : place + 2] == pair:
            return (*symbols[:place], new, *symbols[place + 2 :])
    return symbols

# %% merge_pair: from the right
def merge_pair(symbols, pair, new):
    merged, place = [], len(symbols) - 1
    while place >= 0:
        is_pair = place > 0 and symbols[place - 1 : place + 1] == pair
        merged.append(new if is_pair else symbols[place])
        place -= 2 if is_pair else 1
    return tuple(reversed(merged))

# %% merge_pair: with overlap
def merge_pair(symbols, pair, new):
    merged = []
    for place, symbol in enumerate(symbols):
        if symbols[place : place + 2] == pair:
            merged.append(new)
        elif symbols[max(place - 1, 0) : place + 1] != pair:
            merged.append(symbol)
    return tuple(merged)

# %% merge_pair: either order
- is_pair = symbols[place] == pair[0] and symbols[place + 1 : place + 2] == pair[1:]
+ is_pair = sorted(symbols[place : place + 2]) == sorted(pair)

# %% merge_pair: looks at the first of the two only
- is_pair = symbols[place] == pair[0] and symbols[place + 1 : place + 2] == pair[1:]
+ is_pair = symbols[place] == pair[0] and place + 1 < len(symbols)

# %% merge_pair: fails at the last id
- is_pair = symbols[place] == pair[0] and symbols[place + 1 : place + 2] == pair[1:]
+ is_pair = symbols[place] == pair[0] and symbols[place + 1] == pair[1]

# %% merge_pair: changes nothing
def merge_pair(symbols, pair, new):
    return symbols

# %% train_bpe: of equals the larger pair
- best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
+ best = max(pairs, key=lambda pair: (pairs[pair], pair), default=None)

# %% train_bpe: of equals the one that was met first
- best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
+ best = max(pairs, key=pairs.get, default=None)

# %% train_bpe: fails when no pair is left
- best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
- if best is None or pairs[best] < 2:
+ best = min(pairs, key=lambda pair: (-pairs[pair], pair))
+ if pairs[best] < 2:

# %% train_bpe: the most frequent pairs of the first count, and no merges
def train_bpe(counts, vocab_size):
    if vocab_size < 256:
        raise ValueError(f"train_bpe: vocab_size {vocab_size} is below 256")
    pairs = count_pairs(counts)
    often = [pair for pair in pairs if pairs[pair] > 1]
    return sorted(often, key=lambda pair: (-pairs[pair], pair))[: vocab_size - 256]

# %% train_bpe: vocab_size counts the merges
- for new in range(256, vocab_size):
+ for new in range(256, 256 + vocab_size):

# %% train_bpe: takes any vocab_size
- if vocab_size < 256:
-     raise ValueError(f"train_bpe: vocab_size {vocab_size} is below 256, the number of bytes")

# %% train_bpe: changes the table that it was given
- counts = {merge_pair(symbols, best, new): number for symbols, number in counts.items()}
+ merged = {merge_pair(symbols, best, new): number for symbols, number in counts.items()}
+ counts.clear()
+ counts.update(merged)

# %% train_bpe: learns nothing
def train_bpe(counts, vocab_size):
    if vocab_size < 256:
        raise ValueError(f"train_bpe: vocab_size {vocab_size} is below 256")
    return []

# %% train_bpe: calls the provided kernels
def train_bpe(counts, vocab_size):
    from tinytorch.kernels import tokenization
    return tokenization.train_bpe(counts, vocab_size)

# %% encode_word: from the left, whatever the rank
def encode_word(word, ranks):
    symbols, place = list(word), 0
    while place < len(symbols) - 1:
        pair = symbols[place], symbols[place + 1]
        if pair in ranks:
            symbols[place : place + 2] = [256 + ranks[pair]]
            place = 0
        else:
            place += 1
    return symbols

# %% encode_word: the highest rank first
- best = min(pairs, key=lambda pair: ranks.get(pair, none))
+ best = max(pairs, key=lambda pair: ranks.get(pair, -1))

# %% encode_word: one merge
- while len(symbols) > 1:
+ if len(symbols) > 1:
      pairs = zip(symbols, symbols[1:], strict=False)
      best = min(pairs, key=lambda pair: ranks.get(pair, none))
      if best not in ranks:
-         break
+         return list(symbols)

# %% encode_word: no merges
def encode_word(word, ranks):
    return list(word)

# %% encode_word: fails for a word of one byte
- while len(symbols) > 1:
+ while True:

# %% BPETokenizer: the text as one word
- for word in split_words(piece):
+ for word in [piece]:

# %% BPETokenizer: no cache
-     if word not in self.cache:
-         if len(self.cache) >= self.cache_size:
-             self.cache.clear()
-         self.cache[word] = encode_word(word.encode(), self.ranks)
-     ids += self.cache[word]
+     ids += encode_word(word.encode(), self.ranks)

# %% BPETokenizer: fills a cache and never looks into it
-     if word not in self.cache:
-         if len(self.cache) >= self.cache_size:
-             self.cache.clear()
-         self.cache[word] = encode_word(word.encode(), self.ranks)
-     ids += self.cache[word]
+     if len(self.cache) >= self.cache_size:
+         self.cache.clear()
+     self.cache[word] = encode_word(word.encode(), self.ranks)
+     ids += encode_word(word.encode(), self.ranks)

# %% BPETokenizer: a cache without a bound
- if len(self.cache) >= self.cache_size:
-     self.cache.clear()

# %% BPETokenizer: the cache stays as it is once it is full
-     if word not in self.cache:
-         if len(self.cache) >= self.cache_size:
-             self.cache.clear()
-         self.cache[word] = encode_word(word.encode(), self.ranks)
-     ids += self.cache[word]
+     if word not in self.cache and len(self.cache) < self.cache_size:
+         self.cache[word] = encode_word(word.encode(), self.ranks)
+     ids += self.cache.get(word) or encode_word(word.encode(), self.ranks)

# %% BPETokenizer: hands out the list of the cache
-     ids += self.cache[word]
+     ids = ids + self.cache[word] if ids else self.cache[word]

# %% BPETokenizer: special tokens are always marks
- for piece in self.pieces(text, allowed_special):
-     if piece in allowed_special:
+ for piece in self.pieces(text, self.special_tokens):
+     if piece in self.special_tokens:

# %% BPETokenizer: a piece that is a special token is a mark, allowed or not
- if piece in allowed_special:
+ if piece in self.special_tokens:

# %% BPETokenizer: special tokens are never marks
- for piece in self.pieces(text, allowed_special):
-     if piece in allowed_special:
-         ids.append(self.special_tokens[piece])
-         continue
+ for piece in self.pieces(text, allowed_special):

# %% BPETokenizer: cuts at special tokens itself, in the order of its list
- for piece in self.pieces(text, allowed_special):
+ import re
+ pattern = "|".join(re.escape(token) for token in allowed_special)
+ for piece in re.split(f"({pattern})", text) if pattern else [text]:

# %% BPETokenizer: half a surrogate pair is a question mark
- for piece in self.pieces(text, allowed_special):
+ for piece in self.pieces(text.encode(errors="replace").decode(), allowed_special):

# %% BPETokenizer: leaves special tokens out
- ids.append(self.special_tokens[piece])
- continue
+ continue

# %% BPETokenizer: decodes id by id
- return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), final)
+ return "".join(decode_bytes(self.vocab[i], final) for i in as_ids(ids, self.vocab_size))

# %% BPETokenizer: decodes negative ids from the end
- return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), final)
+ return decode_bytes(b"".join(self.vocab[i] for i in ids), final)

# %% BPETokenizer: an incomplete end is never shown
- return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), final)
+ return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)))

# %% BPETokenizer: an incomplete end is always shown
- return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), final)
+ return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), True)

# %% BPETokenizer: special tokens are left out of the text
- return decode_bytes(b"".join(self.vocab[i] for i in as_ids(ids, self.vocab_size)), final)
+ plain = [i for i in as_ids(ids, self.vocab_size) if i not in self.special_tokens.values()]
+ return decode_bytes(b"".join(self.vocab[i] for i in plain), final)
