"""What the tracks draw from: the test digits, and text that a model was not trained on.

In a class, both are drawn with the instructor's secret seed, which stands in assignments/olympics.toml and is never
handed out; alone, with a new one each time.
"""

import gzip
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tito.errors import ProjectError
from tito.services import data
from tito.services.files import atomic_write, digest
from tito.services.grading.olympics.tracks import Digits, Text

SETTINGS = "olympics.toml"
WRITTEN = """\
# The olympics of the capstone: tito wrote this file once and reads it at every run. Never hand it out.
# The hidden data are drawn with this seed; a new one measures everybody anew.
seed = "{seed}"
# For the division tokens: a text file, in a path from this folder, that no student has.
# text = "hidden.txt"
"""
TEST_SHARE = 5  # a fifth of the digits, drawn as module 08 draws them
UNKNOWN = 0.02  # the share of a text that may be characters which Shakespeare does not use; they are left out
LEAST_TEXT = 5_000


@dataclass(frozen=True)
class HiddenData:
    """seed: of the hidden data. text: the file for *tokens*, None where there is none. key: changes with both."""

    seed: str
    text: Path | None
    key: str

    def draws(self, division):
        """The seed of a division's generator."""
        return int(digest(f"{self.seed}\n{division.name}".encode()), 16)


def own_settings(project):
    """What somebody alone is measured with alone: a new seed, and what of the bundled text no module trains on."""
    return HiddenData(secrets.token_hex(16), None, "")


def class_settings(course):
    """The HiddenData of a class, from assignments/olympics.toml, which is written where there is none.

    Raises ProjectError where it cannot be read or does not hold what it should.
    """
    path = course.root / SETTINGS
    if not path.exists():
        course.prepare()
        atomic_write(path, WRITTEN.format(seed=secrets.token_hex(16)))
    label = course.label(path)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProjectError(f"{label} cannot be read: {error}", "fix it, or delete it: tito writes it new") from error
    seed, text = found.get("seed"), found.get("text")
    if not isinstance(seed, str) or len(seed) < 8:
        raise ProjectError(f"{label}: seed is {seed!r}", "write a text of at least 8 characters, in quotation marks")
    if text is not None and not (isinstance(text, str) and (course.root / text).is_file()):
        raise ProjectError(f"{label}: text names {text!r}, which is no file", "name one, in a path from its folder")
    named = course.root / text if text else None
    content = named.read_bytes() if named else b""
    return HiddenData(seed, named, digest(f"{seed}\n".encode() + content))


def open_track(project, rules, division, settings, *, in_class=False):
    """A fresh Digits or Text for `division`. Raises ProjectError; code "no-text" where a class has no hidden text."""
    seed = settings.draws(division)
    if division.quality == "accuracy":
        return Digits(rules, division, *test_digits(), seed)
    if in_class and settings.text is None:
        raise ProjectError(
            f"the division {division.name} needs a text that no student has",
            f'put one into assignments/, and name it there in {SETTINGS}: text = "hidden.txt"',
            code="no-text",
        )
    return _text_track(project, rules, division, settings, seed)


def test_digits():
    """(images (360, 1, 8, 8) from 0 to 1, labels) of the test set, as tinytorch.datasets.load_digits has it."""
    import numpy as np

    images, labels = (np.frombuffer(file, np.uint8) for file in data.build_digits().values())
    images, labels = images[16:].reshape(-1, 1, 8, 8), labels[8:].astype(np.int64)
    test = np.random.default_rng(0).permutation(len(labels))[: len(labels) // TEST_SHARE + 1]
    return np.divide(images[test], 16, dtype=np.float32), labels[test]


def _text_track(project, rules, division, settings, seed):
    import numpy as np

    known = _shakespeare(project)
    vocabulary = sorted(set(known))
    text = known[len(known) * 9 // 10 :] if settings.text is None else _read(settings.text)
    numbers = {character: number for number, character in enumerate(vocabulary)}
    ids = [numbers[character] for character in text if character in numbers]
    label = "the bundled text" if settings.text is None else settings.text
    strange = sorted(set(text) - set(vocabulary))
    if len(ids) < (1 - UNKNOWN) * len(text):
        raise ProjectError(
            f"{label}: {1 - len(ids) / len(text):.0%} of its characters are not among the {len(vocabulary)} of the "
            f"course's text, such as {' '.join(map(repr, strange[:5]))}",
            "name a text in plain English letters and punctuation",
        )
    if len(ids) < LEAST_TEXT:
        message = f"{label}: {len(ids):,} characters; at least {LEAST_TEXT:,} are needed"
        raise ProjectError(message, "name a longer text", code="text")
    return Text(rules, division, np.array(ids), len(vocabulary), seed)


def _shakespeare(project):
    path = project.package / "data" / "shakespeare.txt.gz"
    try:
        return gzip.decompress(path.read_bytes()).decode("ascii")
    except (OSError, EOFError, ValueError) as error:
        label = project.relative(path)
        raise ProjectError(f"{label} cannot be read: {error}", f"restore {label}") from error


def _read(path):
    try:
        return path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} cannot be read as UTF-8: {error}", "save it as UTF-8") from error
