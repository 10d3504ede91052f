"""What a model is fed with, drawn from a seed, and what its answers are worth. Nothing of it is given out twice.

A track draws *units*, each with the frames that ask for it (stadium/serving.py says what is in them) and the right
answers: 64 distorted digits, or a window of text, in which the model learns each token only after its guess.
"""

import math
import struct
from dataclasses import dataclass, field

CLASSES = 10
SAME = 1e-6  # what outputs may differ by, of their size, and still be the same answer to everything


@dataclass(frozen=True)
class Drawn:
    """Units as they are asked for: the frames; the answers, an array for each frame, None for one that has none."""

    frames: list = field(repr=False)
    answers: list = field(repr=False)

    @property
    def items(self):
        """How many batches or tokens they are."""
        return sum(answer is not None for answer in self.answers)


class Digits:
    """Batches of distorted test digits. images: (n, 1, 8, 8) from 0 to 1; labels: (n,)."""

    frames_of_a_unit = 1
    readings = 40
    units_of_a_reading = 1
    slowest = 0.5  # seconds of a call
    vocabulary = CLASSES

    def __init__(self, rules, division, images, labels, seed):
        import numpy as np

        self.rules, self.division, self.images, self.labels = rules, division, images, labels
        self.generator = np.random.default_rng(seed)

    def draw(self, count):
        """Drawn of `count` batches, each image a new distortion."""
        picked = self.generator.integers(len(self.labels), size=(count, self.division.batch))
        images = self.rules.distort(self.images[picked.reshape(-1)], self.generator).reshape(*picked.shape, 1, 8, 8)
        return Drawn([b"I" + one.tobytes() for one in images], list(self.labels[picked]))

    def quality(self, logits, answers):
        """(accuracy, its standard error, number of answers)."""
        import numpy as np

        right = np.concatenate([found.argmax(axis=1) == wanted for found, wanted in zip(logits, answers, strict=True)])
        share = float(right.mean())
        return share, math.sqrt(share * (1 - share) / len(right)), len(right)


class Text:
    """Windows of a text. ids: the whole text as integers."""

    readings = 20
    units_of_a_reading = 2
    slowest = 0.02

    def __init__(self, rules, division, ids, vocabulary, seed):
        import numpy as np

        self.ids, self.vocabulary, self.window = np.asarray(ids), vocabulary, rules.WINDOW
        self.frames_of_a_unit = self.window + 1
        self.generator = np.random.default_rng(seed)
        self.starts = []

    def draw(self, count):
        """Drawn of `count` windows, no place twice before all were used."""
        drawn = Drawn([], [])
        for _ in range(count):
            if not self.starts:
                phase = self.generator.integers(self.window)
                places = range(int(phase), len(self.ids) - self.window, self.window)
                self.starts = [places[place] for place in self.generator.permutation(len(places))]
            ids = self.ids[(start := self.starts.pop()) : start + self.window + 1]
            drawn.frames.append(b"S")
            drawn.answers.append(None)
            for token, following in zip(ids[:-1], ids[1:], strict=True):
                drawn.frames.append(b"T" + struct.pack("<i", token))
                drawn.answers.append(following)
        return drawn

    def quality(self, logits, answers):
        """(mean cross-entropy in nats, its standard error, number of tokens)."""
        import numpy as np

        rows = np.stack(logits).reshape(len(answers), -1).astype(np.float64)
        rows = rows - rows.max(axis=1, keepdims=True)
        losses = np.log(np.exp(rows).sum(axis=1)) - rows[np.arange(len(rows)), answers]
        return float(losses.mean()), float(losses.std() / math.sqrt(len(losses))), len(losses)


def fault_of(frame, answer, track):
    """Why the bytes `answer` are no answer to `frame`; "" where they are."""
    import numpy as np

    wanted = _numbers(frame, track)
    if len(answer) != 4 * wanted:
        return f"a call returned {len(answer) // 4:,} numbers; {wanted:,} are expected"
    if not np.isfinite(np.frombuffer(answer, np.float32)).all():
        return "its outputs hold NaN or infinity"
    return ""


def logits_in(frame, answer, track):
    """The array (n, classes) in the bytes of an answer, None where `frame` asks for none."""
    import numpy as np

    return np.frombuffer(answer, np.float32).reshape(-1, track.vocabulary) if _numbers(frame, track) else None


def answers_size(frame, track):
    """Bytes of an answer, with its letter."""
    return 1 + 4 * _numbers(frame, track)


def _numbers(frame, track):
    if frame[:1] == b"S":
        return 0
    images = (len(frame) - 1) // (4 * 64) if frame[:1] == b"I" else 1
    return images * track.vocabulary


def is_constant(logits):
    """Whether all rows say the same, whatever was asked."""
    import numpy as np

    rows = np.concatenate(logits)
    return bool((np.ptp(rows, axis=0) <= SAME * max(1.0, float(np.abs(rows).max()))).all())
