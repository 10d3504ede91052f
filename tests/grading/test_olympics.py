"""One submission measured: an honest one is ranked, and each way to look better than one is fails."""

import io
import os
import zipfile

import entries
import numpy as np
import pytest
from tiny_course import REPOSITORY

from tito.errors import ProjectError
from tito.project import read_project
from tito.services.grading.olympics import hidden, racer, timing, tracks
from tito.services.grading.olympics.measure import HandedIn, _Race, division_named, measure, title_of
from tito.services.grading.olympics.rules import read_rules
from tito.services.grading.sandbox import find, plain

READINGS = 8
BARE = find.Sandbox("none", "", plain.Plain())


@pytest.fixture(scope="module")
def project():
    return read_project(REPOSITORY)


@pytest.fixture(scope="module")
def rules(project):
    return read_rules(project)


@pytest.fixture
def run(project, rules):
    """run(code, …): the Measured of a submission whose notebook exports `code`."""

    def measured(code, division="fast", arrays=None, manifest=None, data=None, sandbox=BARE, readings=READINGS):
        kind = rules.DIVISIONS[division]
        track = hidden.open_track(project, rules, kind, hidden.own_settings(project))
        track.readings = readings
        arrays = entries.arrays("gpt" if division == "tokens" else "lenet5") if arrays is None else arrays
        manifest = {"changed": "as the test says", **(manifest or {})}
        data = rules.pack_submission(arrays, manifest) if data is None else data
        return measure(rules, kind, HandedIn(data, project.root, "capstone", entries.notebook(code)), track, sandbox)

    return measured


# Honest ones.


@pytest.mark.parametrize(("division", "most"), [("small", 20), ("open", 20), ("fast", 400), ("tokens", 400)])
def test_where_time_does_not_rank_a_quick_model_reads_no_million_of_images(rules, division, most):
    race = _Race(rules.DIVISIONS[division], None)
    race.calls = 4
    for _ in range(9):
        race._call_more(1e-6 * race.calls)  # a model that needs a microsecond
    assert race.calls == most


def test_an_honest_reader_is_ranked_by_what_was_measured(run):
    found = run(entries.LENET, manifest={"title": "seeing\x1b[2J  is believing", "bytes": 1, "accuracy": 1.0})
    assert (found.status, found.detail) == ("ranked", "")
    assert 0.93 < found.quality < 0.99 and found.error < 0.02
    assert found.scored >= 64 * READINGS
    assert found.bytes > 100_000
    times = found.timing
    assert times.shortest >= 0.02
    assert 0 < times.pipe < times.own < times.raw
    assert times.own == pytest.approx(times.raw - times.pipe, rel=0.2)
    assert times.compared.low <= times.compared.ratio <= times.compared.high
    assert times.compared.pairs == READINGS
    assert found.title == "seeing [2J is believing"
    assert not found.official and found.isolation == "none"


def test_an_honest_writer_is_ranked(run):
    found = run(entries.GPT, "tokens", readings=4)
    assert (found.status, found.detail) == ("ranked", "")
    assert 1.7 < found.quality < 2.1
    assert found.scored >= 64 * 2 * 4


class Recorded:
    """In place of a pipe: what was sent and received, in order."""

    longest, buffer = 0, b""

    def __init__(self, reading):
        self.reading, self.order = reading, []

    def send(self, frame):
        self.order.append(frame)

    def receive(self):
        self.order.append("answer")
        return b"L" + bytes(4)


def test_what_is_asked_next_is_sent_after_the_answer():
    """So a model that is told the text, token by token, cannot look ahead."""
    reading, writing = os.pipe()
    racing = object.__new__(racer.Racer)
    racing.pipe = Recorded(reading)
    seconds, answers = racing.ask([b"S", b"T1", b"T2"], [1, 5, 5])
    assert racing.pipe.order == [b"S", "answer", b"T1", "answer", b"T2", "answer"]
    assert answers == [bytes(4)] * 3 and seconds > 0
    os.close(reading)
    os.close(writing)


# Dishonest ones: each would look better than it is, and does not.

SLOW = "    def __call__(self, images):\n        import time\n        time.sleep(0.05)\n"


def test_an_answer_table_of_the_public_test_set_misses_the_floor(run, rules):
    images, labels = hidden.test_digits()
    table = """
import numpy as np


def build(submission):
    table = dict(zip(map(bytes, submission.arrays["keys"]), submission.arrays["labels"], strict=True))

    def model(images):
        keys = np.round(images.numpy().reshape(len(images), 64) * 16).astype(np.uint8)
        return np.eye(10, dtype=np.float32)[[table.get(bytes(key), 3) for key in keys]]

    return model
"""
    keys = np.round(images.reshape(-1, 64) * 16).astype(np.uint8)
    for division in ("small", "open"):
        found = run(table, division, {"keys": keys, "labels": labels}, readings=4)
        assert found.status == "disqualified", "no distorted digit is in the table, so it always says 3"


def test_the_nearest_of_the_public_test_set_misses_the_floor(run):
    images, labels = hidden.test_digits()
    nearest = """
import numpy as np


def build(submission):
    table, labels = submission.arrays["table"], submission.arrays["labels"]

    def model(images):
        seen = images.numpy().reshape(len(images), 64)
        distances = (table**2).sum(axis=1) - 2 * seen @ table.T
        return np.eye(10, dtype=np.float32)[labels[distances.argmin(axis=1)]]

    return model
"""
    found = run(nearest, "small", {"table": images.reshape(-1, 64), "labels": labels}, readings=4)
    assert found.status == "below the floor" and found.detail == "its accuracy has to be at least 90 %"


def test_what_an_edited_manifest_claims_counts_for_nothing(run):
    claims = {"division": "small", "accuracy": 1.0, "bytes": 10, "seconds": 0.0, "status": "ranked", "official": True}
    arrays = {name: np.zeros_like(array) for name, array in entries.arrays().items()}
    found = run(entries.LENET, "small", arrays, claims, readings=4)
    assert found.status == "disqualified" and found.quality is None
    assert found.bytes > 1_000 and not found.official


@pytest.mark.parametrize(
    ("outputs", "detail"),
    [
        ("np.full((len(images), 10), np.nan, np.float32)", "NaN or infinity"),
        ("np.full((len(images), 10), np.inf, np.float32)", "NaN or infinity"),
        ("np.tile(np.arange(10, dtype=np.float32), (len(images), 1))", "the same outputs, whatever it is given"),
        ("np.zeros((len(images), 10), np.float32)", "the same outputs, whatever it is given"),
        ("np.zeros((len(images), 9), np.float32)", "576 numbers; 640 are expected"),
        ("np.zeros((10**6, 10), np.float32)", "a message of 40,000,001 bytes"),
        ("None", "failed in a call: TypeError"),
        ("1 / 0", "failed in a call: ZeroDivisionError"),
        ("__import__('os')._exit(3)", "ended: exit code 3"),
    ],
)
def test_outputs_that_are_none(run, outputs, detail):
    """In the division with the lowest floor."""
    code = f"import numpy as np\n\ndef build(submission):\n    return lambda images: {outputs}\n"
    found = run(code, "open", readings=4)
    assert found.status == "disqualified"
    assert detail in found.detail


def test_a_model_of_zeros_whose_name_says_efficient_is_a_model_of_zeros(run):
    arrays = {name: np.zeros_like(array) for name, array in entries.arrays().items()}
    code = entries.LENET.replace("Model", "EfficientModel")
    manifest = {"title": "efficient", "changed": "efficient", "layers": [{"kind": "efficient"}]}
    for division in ("fast", "open"):
        found = run(code, division, arrays, manifest, readings=4)
        assert found.status == "disqualified" and "the same outputs, whatever it is given" in found.detail


def test_an_idea_of_ones_own_is_explained(run):
    for changed in ("", "  \n", 3):
        found = run(entries.LENET, "open", manifest={"changed": changed})
        assert found.status == "disqualified" and '"changed" in its manifest' in found.detail


def test_random_numbers_miss_the_floor(run):
    code = "import numpy as np\n\ndef build(submission):\n    return lambda images: np.random.rand(len(images), 10)\n"
    for division in ("fast", "open"):
        assert run(code, division, readings=4).status == "below the floor"


def test_a_patched_clock_changes_no_time(run):
    clock = """
import time

for name in ("time", "perf_counter", "monotonic", "process_time", "time_ns", "perf_counter_ns", "monotonic_ns"):
    setattr(time, name, lambda: 0)
"""
    found = run(clock + entries.LENET.replace("    def __call__(self, images):\n", SLOW), readings=4)
    assert found.timing.own > 0.05
    assert found.timing.compared.verdict == "slower"


def test_outputs_that_a_thread_fills_in_later_are_scored_as_they_were(run):
    later = """
import threading

import numpy as np
""" + entries.LENET.replace(
        "def build(submission):\n    return Model(submission.arrays)",
        """
def build(submission):
    model = Model(submission.arrays)

    def at_once(images):
        out = np.random.rand(len(images), 10).astype(np.float32)

        def work():
            out[...] = model(images).numpy()

        threading.Thread(target=work).start()
        return out

    return at_once""",
    )
    found = run(later, readings=4)
    assert found.status == "disqualified" or (found.status == "below the floor" and found.quality < 0.5)


def test_work_between_the_calls_is_noticed(run):
    """A thread that outlives the call keeps the machine busy while the reference is timed."""
    busy = (
        entries.LENET
        + """

import threading


def spin():
    while True:
        sum(range(1000))


def build(submission):
    threading.Thread(target=spin, daemon=True).start()
    return Model(submission.arrays)
"""
    )
    found = run(busy)
    assert found.status == "disqualified" and found.detail.startswith("works when it is not asked: ")
    assert found.idle > 0.05


def test_a_process_that_works_between_the_calls_is_noticed(run):
    busy = (
        entries.LENET
        + """

import subprocess, sys


def build(submission):
    subprocess.Popen([sys.executable, "-c", "while True: pass"])
    return Model(submission.arrays)
"""
    )
    found = run(busy)
    assert found.status == "disqualified" and found.detail.startswith("works when it is not asked: ")


def test_what_is_hidden_in_a_sandbox_is_noticed_too(run, project):
    found = find.find(project, allow_none=True)
    if found.kind != "bubblewrap":
        pytest.skip("no bubblewrap on this machine")
    spinning = (
        entries.LENET
        + """

import subprocess, sys


def build(submission):
    subprocess.Popen([sys.executable, "-c", "import os\\nif not os.fork():\\n os.setsid()\\n while 1: pass"])
    return Model(submission.arrays)
"""
    )
    found = run(spinning, sandbox=found)
    assert found.status == "disqualified" and found.detail.startswith("works when it is not asked: ")


@pytest.mark.parametrize(("fast", "fair"), [(0.97, True), (0.92, True), (0.85, False)])
def test_readings_that_are_faster_and_worse_are_noticed(project, rules, fast, fair):
    """Together they reach the floor, and the median is that of the fast ones."""
    division = rules.DIVISIONS["fast"]
    race = _Race(division, hidden.open_track(project, rules, division, hidden.own_settings(project)))
    draws = np.random.default_rng(0)
    for number in range(20):
        right = draws.random(640) < (0.97 if number % 2 else fast)
        labels = draws.integers(10, size=640)
        race.outputs.append(slice(number, number + 1))
        race.answers.append(labels)
        race.logits.append(np.eye(10)[np.where(right, labels, (labels + 1) % 10)])
        race.own.append((0.0, 2.0 if number % 2 else 1.0))
    assert division.reaches(race.found(timed=False)["quality"])
    if fair:
        race.require_fast_half()
    else:
        with pytest.raises(racer.Foul, match="answers worse when it is faster"):
            race.require_fast_half()


def test_answers_before_the_question_are_noticed(run):
    twice = (
        entries.LENET
        + """

import os


def build(submission):
    model = Model(submission.arrays)

    def eager(images):
        for descriptor in range(3, 20):
            try:
                os.write(descriptor, (641 * 4).to_bytes(4, "little") + b"L" + bytes(2560))
            except OSError:
                pass
        return model(images)

    return eager
"""
    )
    assert run(twice, readings=4).status == "disqualified"


def test_weights_in_the_code_are_noticed(run):
    """The file would be small; but its arrays do nothing."""
    code = entries.LENET.replace(
        "return Model(submission.arrays)", f"return Model(np.load({str(racer.YARDSTICKS / 'lenet5.npz')!r}))"
    )
    found = run(code, "small", {"a": np.arange(10)}, readings=4)
    assert found.status == "disqualified"
    assert "not made from its arrays" in found.detail


def test_a_model_that_is_too_slow_is_said_to_be(run):
    found = run(entries.LENET.replace("    def __call__(self, images):\n", SLOW.replace("0.05", "0.7")), readings=4)
    assert found.status == "disqualified" and "too slow to be measured" in found.detail


def test_a_model_that_writes_no_tokens_is_told_what_tokens_needs(run):
    found = run(entries.LENET, "tokens", arrays=entries.arrays("lenet5"), readings=2)
    assert found.status == "disqualified"
    assert "tokens needs a model with start() and step(token), and Model has not both: pack a GPT" in found.detail


def test_a_build_that_does_not_come_to_an_end(run, monkeypatch):
    monkeypatch.setattr(racer, "BUILD_SECONDS", 2)
    found = run("def build(submission):\n    while True:\n        pass\n", readings=4)
    assert found.status == "disqualified" and "was not built within 2 s" in found.detail


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("def build(submission):\n    raise NotImplementedError", "could not be built: NotImplementedError"),
        ("x = 1", "could not be built: AttributeError"),
        ("def build(:", "could not be built: SyntaxError"),
        ("raise SystemExit(0)", "could not be built: SystemExit"),
        ("import no_such_module", "could not be built: ModuleNotFoundError"),
    ],
)
def test_code_that_builds_nothing(run, code, detail):
    found = run(code, readings=4)
    assert found.status == "disqualified" and detail in found.detail


# Files.


def packed(**entries_of):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries_of.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def declared(shape):
    """The .npy of zeros float32 that declares a shape and holds nothing."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


BAD_FILES = {
    "objects": (packed(manifest=saved(np.frombuffer(b"{}", np.uint8)), a=saved(np.array([{}]))), "Python objects"),
    "four gigabytes": (packed(manifest=saved(np.frombuffer(b"{}", np.uint8)), a=declared((2**30,))), "4,294,967,298"),
    "no zip": (b"nothing", "no .npz file"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_refused_is_not_even_started(run, what):
    data, detail = BAD_FILES[what]
    found = run("raise AssertionError", data=data)
    assert found.status == "disqualified" and detail in found.detail and "built" not in found.detail


# What is not the student's fault.


def test_a_reference_that_cannot_be_loaded_is_named(project, rules, tmp_path):
    division = rules.DIVISIONS["fast"]
    entry = HandedIn(
        rules.pack_submission(entries.arrays(), {}), project.root, "capstone", entries.notebook(entries.LENET)
    )
    track = hidden.open_track(project, rules, division, hidden.own_settings(project))
    with pytest.raises(ProjectError, match="lenet5.npz does not exist") as caught:
        measure(rules, division, entry, track, BARE, yardsticks=tmp_path)
    assert caught.value.code == "reference"
    (tmp_path / "lenet5.npz").write_bytes(b"PK broken")
    with pytest.raises(ProjectError, match="lenet5.npz could not be built"):
        measure(rules, division, entry, track, BARE, yardsticks=tmp_path)


# Ratios of times.


def test_equal_programs_are_not_told_apart_and_a_faster_one_is():
    draws = np.random.default_rng(0)
    base = 1 + draws.random(40)
    noise = lambda: np.exp(draws.normal(0, 0.05, 40))
    equal = timing.compare(base * noise(), base * noise())
    assert equal.verdict == "not decided" and equal.low < 1 < equal.high
    assert timing.compare(0.5 * base * noise(), base * noise()).verdict == "faster"
    slower = timing.compare(2 * base * noise(), base * noise())
    assert slower.verdict == "slower" and slower.ratio == pytest.approx(2, rel=0.05)
    # machines that are busy for some pairs: the median of ratios does not care
    assert timing.compare(np.where(np.arange(40) < 8, 20, 0.5) * base, base).ratio == pytest.approx(0.5)


@pytest.mark.parametrize("times", [[1.0], [0.0, 0.0], [1.0, np.nan], []])
def test_times_from_which_no_ratio_follows(times):
    with pytest.raises(ValueError, match=f"{len(times)} pairs of times"):
        timing.compare(times, [1.0] * len(times))


def test_a_machine_on_which_nothing_can_be_read_is_not_the_students_fault(run, monkeypatch):
    monkeypatch.setattr("tito.services.grading.olympics.measure._Race._pair", lambda self, *_, first: None)
    found = run(entries.LENET)
    assert found.status == "not measured" and "run it again when it is quieter" in found.detail


# The hidden data.


def test_the_test_digits_are_those_of_the_course(rules):
    from tinytorch.datasets import load_digits

    images, labels = hidden.test_digits()
    _, test = load_digits()
    np.testing.assert_array_equal(images, test.images)
    np.testing.assert_array_equal(labels, test.labels)


def test_the_characters_have_the_ids_of_the_course(project, rules):
    from tinytorch.core.tokenization import CharTokenizer
    from tinytorch.datasets import load_shakespeare

    text = load_shakespeare()
    track = hidden.open_track(project, rules, rules.DIVISIONS["tokens"], hidden.own_settings(project))
    held_out = text[len(text) * 9 // 10 :]
    np.testing.assert_array_equal(track.ids, CharTokenizer(text).encode(held_out))


def test_a_seed_draws_the_same_and_no_input_comes_twice(project, rules):
    settings = hidden.HiddenData("a secret of this test", None, "")
    for name in ("fast", "tokens"):
        one, other = (hidden.open_track(project, rules, rules.DIVISIONS[name], settings) for _ in range(2))
        assert one.draw(3).frames == other.draw(3).frames
        another = hidden.HiddenData("another one", None, "")
        assert hidden.open_track(project, rules, rules.DIVISIONS[name], another).draw(3).frames != one.draw(3).frames
    digits = hidden.open_track(project, rules, rules.DIVISIONS["fast"], settings).draw(60)
    seen = np.frombuffer(b"".join(frame[1:] for frame in digits.frames), np.float32).reshape(-1, 64)
    assert len(np.unique(seen, axis=0)) == len(seen) == 60 * 64
    text = hidden.open_track(project, rules, rules.DIVISIONS["tokens"], settings)
    places = text.draw(1) and [text.starts[-1 - place] for place in range(100)]
    assert len(set(places)) == 100


def test_alone_each_run_has_a_seed_of_its_own(project):
    assert hidden.own_settings(project).seed != hidden.own_settings(project).seed


def test_the_loss_is_the_cross_entropy(project, rules):
    track = hidden.open_track(project, rules, rules.DIVISIONS["tokens"], hidden.own_settings(project))
    loss, error, count = track.quality([np.zeros((1, 65), np.float32)] * 4, [1, 2, 3, 4])
    assert (loss, error, count) == (pytest.approx(np.log(65)), pytest.approx(0, abs=1e-9), 4)
    sure = np.zeros((1, 65), np.float32)
    sure[0, 7] = 1000
    assert track.quality([sure, sure], [7, 8])[0] == pytest.approx(500)


def test_constant_outputs_are_told_from_others():
    assert tracks.is_constant([np.ones((3, 10)), np.ones((2, 10))])
    assert tracks.is_constant([np.full((3, 10), 1e6) + np.random.default_rng(0).random((3, 10)) * 1e-3])
    assert not tracks.is_constant([np.eye(10)])


def test_what_a_manifest_says_is_shown_without_control_characters(rules):
    for title, shown in ((None, ""), (3, ""), ("a\n\tb‮", "a b"), ("x" * 99, "x" * 60)):
        assert title_of(rules.Submission({}, {"title": title})) == shown
    for division, name in (("fast", "fast"), ("nonsense", ""), (["fast"], ""), (None, "")):
        assert division_named(rules, rules.Submission({}, {"division": division})) == name
