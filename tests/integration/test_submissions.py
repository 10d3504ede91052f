"""submission.npz: what is written comes back, and what a hostile file declares is refused before it is unpacked."""

import io
import json
import re
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinytorch import submissions
from tinytorch.submissions import (
    DIVISIONS,
    MOST_FILE_BYTES,
    distort,
    find_division,
    parse_submission,
    read_submission,
    write_submission,
)

ARRAYS = {
    "0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "codes": np.array([[-1, 2]], np.int8),
    "half": np.ones(3, np.float16),
    "mask": np.array([True, False]),
    "scale": np.float64(0.5),
    "none": np.zeros((0, 4), np.float32),
}
MANIFEST = {"division": "small", "architecture": [{"layer": "linear", "weight": "0.weight"}]}


def header(shape, descr="<f4"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape})
    text += " " * ((-len(text) - 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def packed(entries, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            with warnings.catch_warnings(action="ignore"):  # of a name that stands twice
                archive.writestr(name, data)
    return file.getvalue()


def saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


MANIFEST_ENTRY = ("manifest.npy", saved(np.frombuffer(b"{}", np.uint8)))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "submission.npz"
    assert write_submission(path, ARRAYS, MANIFEST) == path.stat().st_size
    found = read_submission(path)
    assert found.manifest == MANIFEST
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_the_same_submission_is_the_same_file(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_submission(tmp_path / name, ARRAYS, MANIFEST)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("arrays", "manifest", "said"),
    [
        ({"a": np.array([{}])}, {}, "entry 'a' holds Python objects"),
        ({"a": np.array(["text"])}, {}, "entry 'a' holds dtype <U4"),
        ({"a": np.ones(2, np.complex64)}, {}, "entry 'a' holds dtype complex64"),
        ({"a": np.zeros(2, [("x", "f4")])}, {}, "entry 'a' holds dtype"),
        ({"../a": np.ones(1)}, {}, "entry '../a'"),
        ({"manifest": np.ones(1)}, {}, "entry 'manifest'"),
        ({}, {"a": {1}}, "the manifest is not JSON"),
        ({}, {"a": float("nan")}, "the manifest is not JSON"),
        ({}, {"a": "x" * 70_000}, "entry 'manifest'"),
        ({"a": np.zeros(20_000_000, np.float32)}, {}, "80,000,0"),
        ({"a": np.random.default_rng(0).random(600_000)}, {}, "more than 4,000,000 bytes"),
    ],
)
def test_what_may_not_be_written(tmp_path, arrays, manifest, said):
    path = tmp_path / "submission.npz"
    with pytest.raises(ValueError, match=said.replace(".", r"\.")) as caught:
        write_submission(path, arrays, manifest)
    assert str(path) in str(caught.value)
    assert not path.exists()


def huge():
    """4 GB of zeros in a zip of less than 4 MB, with every size declared as it is."""
    file, block = io.BytesIO(), bytes(2**24)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(*MANIFEST_ENTRY)
        with archive.open("zeros.npy", "w", force_zip64=True) as entry:
            entry.write(header((2**30,)))
            for _ in range(2**32 // len(block) // 16):  # a sixteenth of it: what follows is declared only
                entry.write(block)
    return file.getvalue()


BAD = {
    "nothing": (b"", "damaged or no .npz file"),
    "text": (b"not a zip at all", "damaged or no .npz file"),
    "too large": (bytes(MOST_FILE_BYTES + 1), "more than 4,000,000 bytes"),
    "no manifest": (packed([("a.npy", saved(np.ones(2)))]), "no entry 'manifest'"),
    "objects": (packed([MANIFEST_ENTRY, ("a.npy", saved(np.array([{}])))]), "entry 'a' holds Python objects"),
    "objects as a manifest": (packed([("manifest.npy", saved(np.array([{}])))]), "entry 'manifest' holds Python obj"),
    "a pickle": (packed([MANIFEST_ENTRY, ("a.npy", b"\x80\x04N.")]), "entry 'a' is damaged or no array"),
    "a pickle beside it": (packed([MANIFEST_ENTRY, ("a.pkl", b"\x80\x04N.")]), "entry 'a.pkl': no .npy array"),
    "twice": (packed([MANIFEST_ENTRY, MANIFEST_ENTRY]), "twice"),
    "too many": (packed([(f"{i}.npy", b"") for i in range(2_001)]), "2,001 entries"),
    "data cut off": (packed([MANIFEST_ENTRY, ("a.npy", header((4,)) + bytes(8))]), "entry 'a'"),
    "more data than declared": (packed([MANIFEST_ENTRY, ("a.npy", header((4,)) + bytes(800))]), "entry 'a'"),
    "a header without end": (packed([MANIFEST_ENTRY, ("a.npy", header((1,) * 3000))]), "entry 'a'"),
    "a header that is a program": (
        packed([MANIFEST_ENTRY, ("a.npy", header("__import__('os')"))]),
        "entry 'a'",
    ),
    "a shape below zero": (packed([MANIFEST_ENTRY, ("a.npy", header((-1, -4)))]), "entry 'a'"),
    "a shape that overflows": (packed([MANIFEST_ENTRY, ("a.npy", header((2**33, 2**33)))]), "295,147,905,179,352,825"),
    "a name with a folder": (packed([MANIFEST_ENTRY, ("../a.npy", saved(np.ones(1)))]), "entry '../a'"),
    "a manifest that is no JSON": (packed([("manifest.npy", saved(np.frombuffer(b"{", np.uint8)))]), "is not JSON"),
    "a manifest without end": (
        packed([("manifest.npy", saved(np.frombuffer(b"[" * 60_000, np.uint8)))]),
        "is not JSON",
    ),
    "a manifest that is a list": (packed([("manifest.npy", saved(np.frombuffer(b"[]", np.uint8)))]), "got list"),
    "a manifest of floats": (packed([("manifest.npy", saved(np.ones(3)))]), "float64"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_by_name(tmp_path, what):
    data, said = BAD[what]
    path = tmp_path / "submission.npz"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        read_submission(path)
    assert said in str(caught.value) and str(path) in str(caught.value)


def test_four_gigabytes_in_a_small_zip_are_refused_before_they_are_unpacked():
    data = huge()
    assert len(data) < MOST_FILE_BYTES
    tracemalloc.start()
    with pytest.raises(ValueError, match="entry 'zeros'.*declare 4,294,967,29[0-9]|declare 4,294,967,3"):
        parse_submission(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_many_small_entries_count_together():
    entry = header((10_000_000,), "|u1") + bytes(10_000_000)
    data = packed([MANIFEST_ENTRY, *((f"{i}.npy", entry) for i in range(7))])
    assert len(data) < MOST_FILE_BYTES
    with pytest.raises(ValueError, match="entry '6'"):
        parse_submission(data)


def test_a_damaged_byte_is_noticed(tmp_path):
    path = tmp_path / "submission.npz"
    write_submission(path, {"a": np.random.default_rng(0).random(500)}, {})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    with pytest.raises(ValueError, match="entry 'a'"):
        parse_submission(bytes(data))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="absent.npz cannot be read"):
        read_submission(tmp_path / "absent.npz")


def test_a_manifest_is_json_of_any_program(tmp_path):
    """No array of ours is needed to read it."""
    write_submission(tmp_path / "a.npz", {}, MANIFEST)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert json.loads(file["manifest"].tobytes()) == MANIFEST


def test_each_division_says_what_counts():
    assert list(DIVISIONS) == ["small", "fast", "tokens", "open"]
    for name, division in DIVISIONS.items():
        assert find_division(name) is division
        assert division.quality in ("accuracy", "loss")
        assert not division.reaches(float("nan"))
    assert DIVISIONS["small"].reaches(1.0) and not DIVISIONS["small"].reaches(0.1)
    assert DIVISIONS["tokens"].reaches(0.0) and not DIVISIONS["tokens"].reaches(4.2)
    with pytest.raises(ValueError, match="'smal'.*small, fast, tokens, open"):
        find_division("smal")


def test_a_distortion_keeps_the_kind_of_image_and_is_drawn_anew_for_each():
    images = np.zeros((50, 1, 8, 8), np.float32)
    images[:, :, 2:6, 3:5] = 0.8
    seen = distort(images, np.random.default_rng(0))
    assert seen.shape == images.shape and seen.dtype == np.float32
    assert seen.min() >= 0 and seen.max() <= 1
    assert len(np.unique(seen.reshape(50, -1), axis=0)) == 50
    np.testing.assert_array_equal(seen, distort(images, np.random.default_rng(0)))
    assert not np.array_equal(seen, distort(images, np.random.default_rng(1)))


def test_a_distortion_moves_a_spot_where_the_docstring_says():
    """One pixel in the middle of an odd image: only the shift moves it, by at most a pixel, and its light is kept."""
    images = np.zeros((400, 1, 9, 9), np.float32)
    images[:, :, 4, 4] = 0.5
    seen = distort(images, np.random.default_rng(0))[:, 0].mean(axis=0)
    assert seen[3:6, 3:6].sum() > 0.4
    assert abs(seen[:2].mean() - 0.02) < 0.01  # half of a normal noise of 0.05 is cut off: its mean is 0.0199


def test_an_answer_table_of_the_test_set_does_not_read_distorted_digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:360] / 16).astype(np.float32).reshape(360, 1, 8, 8)
    seen = distort(np.repeat(images, 3, axis=0), np.random.default_rng(0)).reshape(1080, 64)
    table = images.reshape(360, 64)
    nearest = ((table**2).sum(axis=1) - 2 * seen @ table.T).argmin(axis=1)
    assert (digits.target[nearest] == np.repeat(digits.target[:360], 3)).mean() < DIVISIONS["small"].floor - 0.1


def test_the_rules_need_nothing_of_the_package():
    """tito loads them by their path, where the package may be broken."""
    program = "import runpy, sys; runpy.run_path(sys.argv[1]); print('tinytorch' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program, submissions.__file__], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_the_page_of_the_olympics_says_what_the_rules_say():
    page = (Path(submissions.__file__).parents[1] / "docs" / "olympics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", page, re.MULTILINE)
    floor = lambda one: f"{100 * one.floor:g} % of" if one.quality == "accuracy" else f"a loss of {one.floor:g} nats"
    assert [name for name, _ in rows] == list(DIVISIONS)
    assert all(text.startswith(floor(DIVISIONS[name])) for name, text in rows)


def test_the_limits_are_those_of_the_course():
    assert submissions.MOST_FILE_BYTES == 4_000_000 and submissions.MOST_ARRAY_BYTES == 64_000_000
