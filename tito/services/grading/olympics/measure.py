"""One submission, measured: its bytes, what its answers are worth, and its time beside the reference's.

Nothing that the submission says of itself counts. The rules, and what each is for:

- Every call gets inputs that nobody has seen, and the outputs of the timed calls are those that are scored: a table of
  answers, a cache, and a model that works otherwise when it is timed lose there.
- The faster half of the readings reaches the floor as well: half of them answered well and the others in no time would
  have a good quality together, and a good median.
- The clock is this process's. It stops when the last byte of the last output is here: a clock that was patched over
  there, and an output that a thread fills in later, change nothing.
- Between two readings the submission has nothing to do. What it uses of the processor then, while the reference is
  timed on the same machine, disqualifies it.
- Outputs are finite and depend on the inputs.
- The model comes from the arrays: built from the same arrays with their elements shuffled, it misses the floor.
"""

import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tito.errors import ProjectError
from tito.services.files import digest
from tito.services.grading.olympics import racer as racers
from tito.services.grading.olympics import tracks
from tito.services.grading.olympics.racer import Foul
from tito.services.grading.olympics.timing import Compared, calls_for, compare

LEAST_SECONDS = 0.020  # of the model's own work in one reading, unless it does less in MOST_CALLS
AIM_SECONDS = 0.026
MOST_CALLS = 400
# where time does not rank: 20 times 64 images in 40 readings are 51,200, which tell 90 % to within 0.13 %; a small
# model would read a million of them in 400 calls
MOST_UNTIMED_CALLS = 20
ECHOES = 8  # readings of what the pipe costs
IDLE_SECONDS, IDLE_SHARE = 0.03, 0.05  # what may be used of the processor between readings: both have to be passed
UNITS_WITHOUT_ARRAYS = 12
CHANCE = 3  # standard errors
SWITCH_SECONDS = 0.0005  # no other thread of tito keeps the one with the clock waiting longer
TITLE = 60


@dataclass(frozen=True)
class Timing:
    """Seconds of a unit (64 images, or a token), medians. pipe: of handing inputs and outputs over, measured with a
    model that does nothing; own: raw less pipe. reference_raw, reference_own: of the reference. compared: the ratio of
    own times in the same pairs. calls: in a reading; shortest: seconds of the model's own work in the shortest one.
    """

    raw: float
    pipe: float
    own: float
    reference_raw: float
    reference_own: float
    compared: Compared
    calls: int
    shortest: float


@dataclass(frozen=True)
class Measured:
    """What became of a submission.

    status: "ranked"; "below the floor"; "disqualified", for what `detail` says; "not measured", which is no fault of
    the student's. quality: accuracy, or loss in nats, of `scored` outputs; error: its standard error. title: as the
    student called it. official: whether the inputs were drawn with an instructor's seed, in a sandbox.
    """

    division: str
    status: str
    detail: str = ""
    title: str = ""
    bytes: int = 0
    quality: float | None = None
    error: float | None = None
    scored: int = 0
    timing: Timing | None = None
    official: bool = False
    isolation: str = ""
    idle: float | None = None
    submission: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class HandedIn:
    """data: the bytes of submission.npz. package: the folder that holds `tinytorch`. module: the name in
    `tinytorch.core` that has `build`. notebook: that whose exported cells make this module, None where the package has
    it.
    """

    data: bytes
    package: Path
    module: str
    notebook: bytes | None = None


def title_of(submission):
    """What the manifest calls the submission, else what it says was changed, as it can be printed anywhere."""
    return _said(submission, "title") or _said(submission, "changed")


def _said(submission, name):
    text = submission.manifest.get(name, "")
    shown = "".join(part if part.isprintable() else " " for part in text) if isinstance(text, str) else ""
    return " ".join(shown.split())[:TITLE]


def division_named(rules, submission):
    """The name of the division that the manifest names, "" where it names none."""
    name = submission.manifest.get("division", "")
    return name if isinstance(name, str) and name in rules.DIVISIONS else ""


def no_division(rules, submission):
    """What is wrong with the division of a manifest for which `division_named` gives ""."""
    name = submission.manifest.get("division", "")
    said = "names no division" if name in ("", None) else f"names {repr(name)[:TITLE]}, which is no division"
    return f"{said}; there are {', '.join(rules.DIVISIONS)}"


def measure(rules, division, entry, track, sandbox, *, official=False, yardsticks=racers.YARDSTICKS):
    """Measured for a HandedIn in `division`. track: a fresh Digits or Text; sandbox: where both programs run.

    Raises ProjectError where the reference cannot be loaded or nothing can be started.
    """
    start = time.monotonic()
    known = {"division": division.name, "bytes": len(entry.data), "submission": digest(entry.data)}
    known |= {"official": official and sandbox.kind != "none", "isolation": sandbox.kind}

    def result(status, detail="", **more):
        return Measured(status=status, detail=detail, **known, **more, seconds=time.monotonic() - start)

    try:
        submission = rules.parse_submission(entry.data)
    except ValueError as error:
        return result("disqualified", str(error))
    known["title"] = title_of(submission)
    if division.name == "open" and not _said(submission, "changed"):
        return result(
            "disqualified", 'an idea of one\'s own is explained: "changed" in its manifest says what was done'
        )
    race = _Race(division, track)
    with racers.yardstick(sandbox, division.quality, yardsticks) as reference:
        try:
            with _at_its_place(entry) as folder, racers.contestant(sandbox, entry, folder) as racer:
                racer.get_ready()
                race.run(racer, reference)
            found = race.found()
            if not division.reaches(found["quality"]):
                return result("below the floor", _floor(division), **found)
            race.require_fast_half()
            _require_arrays(rules, division, entry, submission, track, sandbox)
            return result("ranked", **found)
        except Foul as foul:
            return result("disqualified", str(foul), idle=race.idle_share)
        except Unsettled:
            return result("not measured", "times change too much on this machine now: run it again when it is quieter")


def _floor(division):
    if division.quality == "accuracy":
        return f"its accuracy has to be at least {100 * division.floor:g} %"
    return f"its loss has to be at most {division.floor:g} nats"


@contextlib.contextmanager
def _at_its_place(entry):
    """Yield a folder with the files of a HandedIn."""
    folder = Path(tempfile.mkdtemp(prefix="tito-entry-"))
    try:
        (folder / "submission.npz").write_bytes(entry.data)
        if entry.notebook is not None:
            (folder / "notebook.ipynb").write_bytes(entry.notebook)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_arrays(rules, division, entry, submission, track, sandbox):
    """Raise Foul where the model is as good when the elements of each of its arrays are shuffled."""
    import numpy as np

    generator = np.random.default_rng(0)
    shuffled = {name: generator.permutation(array.ravel()).reshape(array.shape)
                for name, array in submission.arrays.items()}  # fmt: skip
    other = replace(entry, data=rules.pack_submission(shuffled, submission.manifest))
    race = _Race(division, track)
    try:
        with _at_its_place(other) as folder, racers.contestant(sandbox, entry, folder) as racer:
            racer.get_ready()
            race.ask(racer, race.draw(UNITS_WITHOUT_ARRAYS))
        quality = race.found(timed=False)["quality"]
    except Foul:  # built from other arrays it is no model at all
        return
    if division.reaches(quality):
        raise Foul(
            f"is not made from its arrays: with their elements shuffled its {division.quality} is still {quality:.3g}"
        )


class Unsettled(Exception):
    """Readings of enough work come too seldom: the machine's fault."""


class _Race:
    """The readings of one submission beside the reference, and all outputs of the submission."""

    def __init__(self, division, track):
        self.division, self.track = division, track
        self.logits, self.answers = [], []
        self.own, self.reference, self.pipes, self.shortest = [], [], [], []
        self.outputs = []  # of each reading: where its outputs begin and end among all
        self.calls = 1
        self.most_calls = MOST_CALLS if division.ranks_by_time else MOST_UNTIMED_CALLS
        self.watched, self.idle_seconds, self.idle_used = None, 0.0, 0.0

    def draw(self, units):
        return self.track.draw(units)

    # One reading.

    def ask(self, racer, drawn):
        """The seconds in which the submission answered; the outputs are kept, to be scored."""
        seconds, answers = racer.ask(drawn.frames, racers.sizes_of(drawn.frames, self.track))
        for frame, answer, wanted in zip(drawn.frames, answers, drawn.answers, strict=True):
            if fault := tracks.fault_of(frame, answer, self.track):
                raise Foul(fault)
            logits = tracks.logits_in(frame, answer, self.track)
            if logits is not None:
                self.logits.append(logits)
                self.answers.append(wanted)
        return seconds

    def _ask_reference(self, reference, frames, sizes):
        try:
            return reference.ask(frames, sizes)[0]
        except Foul as foul:  # no fault of the student's
            raise ProjectError(f"the reference {foul}", "run it again", code="reference") from None

    def _timed_reference(self, reference, drawn):
        return self._ask_reference(reference, drawn.frames, racers.sizes_of(drawn.frames, self.track))

    def _echo(self, reference, drawn, times):
        """Seconds of a frame that is only handed over and back."""
        frames = [frame if frame == b"S" else b"E" + frame for frame in drawn.frames] * times
        sizes = racers.sizes_of(drawn.frames, self.track) * times
        return self._ask_reference(reference, frames, sizes) / len(frames)

    # All readings.

    def run(self, racer, reference):
        """Warm both up, find how many calls make a reading, then take the pairs: A B B A."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            self._size(racer, reference)
            self._require_sense()  # before hundreds of calls of what answers in no time
            count = 0
            while len(self.own) < self.track.readings:
                self._pair(racer, reference, first=len(self.own) % 2 == 0)
                count += 1
                if count > 3 * self.track.readings + 20:
                    raise Unsettled
        finally:
            sys.setswitchinterval(before)
        self._require_sense()
        self._require_idle()

    def _require_sense(self):
        if tracks.is_constant(self.logits):
            raise Foul("gives the same outputs, whatever it is given")

    def _size(self, racer, reference):
        units = self.track.units_of_a_reading
        for _ in range(2):
            drawn = self.draw(units)
            call = self.ask(racer, drawn) / len(drawn.frames)
            reference_call = self._timed_reference(reference, drawn) / len(drawn.frames)
        if call > self.track.slowest:  # the first call may have more to do
            raise Foul(f"is too slow to be measured: a call took {call:.3g} s, {self.track.slowest:g} s is the most")
        per_frame = self._echo(reference, drawn, 1)
        times = calls_for(AIM_SECONDS, per_frame * len(drawn.frames), 4_000)
        self.pipes = [self._echo(reference, drawn, times) for _ in range(ECHOES // 2)]
        self.echoed = drawn, times
        self.calls = units
        while True:
            drawn = self.draw(self.calls)
            own = self._own(self.ask(racer, drawn), drawn)
            if own >= LEAST_SECONDS or self.calls >= self.most_calls:
                break
            self._call_more(own)
        reference_unit = max(1e-6, reference_call - self.pipe) * self.track.frames_of_a_unit
        self.reference_calls = max(units, calls_for(AIM_SECONDS, reference_unit, self.most_calls))

    def _call_more(self, own):
        """After a reading with `own` seconds, too few: let the next one have more calls."""
        wanted = calls_for(AIM_SECONDS, own / self.calls, self.most_calls)
        self.calls = min(self.most_calls, max(wanted, self.calls + 1 + self.calls // 4))

    @property
    def pipe(self):
        return statistics.median(self.pipes)

    def _own(self, seconds, drawn):
        """The seconds of a reading without those of the pipe; a twentieth at least, so that no ratio is without end."""
        return max(seconds - self.pipe * len(drawn.frames), seconds / 20)

    def _pair(self, racer, reference, first):
        mine, theirs = self.draw(self.calls), self.draw(self.reference_calls)
        begin = len(self.logits)
        if first:
            seconds = self._timed(racer, mine)
            other = self._timed_reference(reference, theirs)
        else:
            other = self._timed_reference(reference, theirs)
            seconds = self._timed(racer, mine)
        own = self._own(seconds, mine)
        if own < LEAST_SECONDS and self.calls < self.most_calls:
            self._call_more(own)
            return
        self.outputs.append(slice(begin, len(self.logits)))
        self.own.append((seconds / mine.items, own / mine.items))
        self.shortest.append(own)
        self.reference.append((other / theirs.items, self._own(other, theirs) / theirs.items))
        if len(self.own) % (self.track.readings // (ECHOES // 2)) == 0:
            self.pipes.append(self._echo(reference, *self.echoed))

    def _timed(self, racer, drawn):
        """A reading of the submission; what it used of the processor since the last one counts as idle time."""
        used, now = racer.processor_seconds(), time.monotonic()
        if self.watched is not None and used is not None:
            self.idle_used += used - self.watched[0]
            self.idle_seconds += now - self.watched[1]
        seconds = self.ask(racer, drawn)
        used = racer.processor_seconds()
        self.watched = None if used is None else (used, time.monotonic())
        return seconds

    @property
    def idle_share(self):
        """The share of the time between its readings in which it used the processor; None where nobody knows."""
        return self.idle_used / self.idle_seconds if self.idle_seconds else None

    def _require_idle(self):
        if self.idle_used > IDLE_SECONDS and self.idle_share > IDLE_SHARE:
            raise Foul(
                f"works when it is not asked: {self.idle_used:.2f} s of the processor in the {self.idle_seconds:.2f} s "
                "between its calls, while the reference was timed"
            )

    def require_fast_half(self):
        """Raise Foul where the faster readings miss the floor, by more than chance explains."""
        half = statistics.median(own for _, own in self.own)
        fast = [outputs for outputs, (_, own) in zip(self.outputs, self.own, strict=True) if own <= half]
        logits, answers = ([one for part in fast for one in of[part]] for of in (self.logits, self.answers))
        quality, error, _ = self.track.quality(logits, answers)
        spared = quality + CHANCE * error if self.division.quality == "accuracy" else quality - CHANCE * error
        if not self.division.reaches(spared):
            raise Foul(
                f"answers worse when it is faster: the {self.division.quality} of its faster readings is {quality:.3g}"
            )

    def found(self, timed=True):
        """What Measured says of the outputs and, where they were timed, of the time."""
        quality, error, scored = self.track.quality(self.logits, self.answers)
        said = {"quality": quality, "error": error, "scored": scored}
        if not timed:
            return said
        middle = lambda pairs, place: statistics.median(pair[place] for pair in pairs)
        compared = compare([own for _, own in self.own], [own for _, own in self.reference])
        timing = Timing(
            raw=middle(self.own, 0),
            pipe=self.pipe * len(self.echoed[0].frames) / self.echoed[0].items,
            own=middle(self.own, 1),
            reference_raw=middle(self.reference, 0),
            reference_own=middle(self.reference, 1),
            compared=compared,
            calls=self.calls,
            shortest=min(self.shortest),
        )
        return {**said, "timing": timing, "idle": self.idle_share}
