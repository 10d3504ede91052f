"""Collecting: what an LMS, a folder or nbgrader hands over, the good and the bad, and that nothing is ever lost."""

import json
import os
import re
import struct
import unicodedata
import zipfile
from datetime import UTC, datetime

import pytest
import tiny_course
from week import Week, zipped

from tito.services.grading.intake import archives, collect, recognise
from tito.services.grading.intake.received import Received, read_submissions

RIGHT = tiny_course.ANSWERS["01_alpha"]
CLASS = """\
id,login,first,last,email,canvas id
am1,amueller,Änne,Müller,am@school.edu,4711
so2,soneil,Sean Paul,O'Neil,so@school.edu,4712
li3,wli,Wei,Li,wli@school.edu,4713
li4,wli2,Wei,Li,wli2@school.edu,4714
"""


@pytest.fixture
def week(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    return Week(tmp_path / "course", monkeypatch)


@pytest.fixture
def listed(week):
    assert week.tito("roster", "import", week.file("class.csv", CLASS)).exit_code == 0
    return week


def rows(said):
    """{file: (status, student, reason)} of what --json says."""
    return {row["file"]: (row["status"], row["student"], row["reason"]) for row in said.document["data"]["files"]}


def statuses(said):
    return {row["file"].rpartition("/")[2]: row["status"] for row in said.document["data"]["files"]}


def entry(week, student, module="01_alpha"):
    return read_submissions(week.course)[module][student]


def folder(week, name, **files):
    root = week.root.parent / name
    for path, data in files.items():
        week.file(f"{name}/{path}", data)
    return root


# Where it comes from.


def test_canvas_with_a_class_list(listed, tmp_path):
    archive = zipped(
        tmp_path / "submissions.zip",
        ("mulleranne_4711_9001_alpha_dev.ipynb", listed.notebook(**RIGHT)),
        ("oneilseanpaul_LATE_4712_9002_whatever I like.ipynb", listed.notebook(mark="sean")),
        ("liwei_4714_9003_alpha_dev-1.ipynb", listed.notebook(mark="li")),
    )
    said = listed.tito("collect", archive)
    assert said.exit_code == 0, said.stderr
    assert "3 collected" in said.stdout
    assert "marked late by the LMS" in said.stdout
    assert "01_alpha: nothing from 1 of the class: li3" in said.stdout
    assert listed.submitted("am1") == listed.notebook(**RIGHT)
    assert listed.submitted("so2") == listed.notebook(mark="sean")
    assert listed.submitted("li4") == listed.notebook(mark="li")
    found = entry(listed, "so2")
    assert (found["name"], found["lms"], found["lms_id"]) == (
        "oneilseanpaul_LATE_4712_9002_whatever I like.ipynb",
        "late",
        "4712",
    )


def test_who_sent_something_else_is_named(listed, tmp_path):
    archive = zipped(
        tmp_path / "c.zip",
        ("am_4711_1_report.pdf", b"%PDF"),
        ("so_4712_2_alpha_dev.ipynb", listed.notebook()),
        ("so_4712_3_picture.png", b"\x89PNG"),
    )
    said = listed.json("collect", archive)
    assert rows(said)["c.zip/am_4711_1_report.pdf"] == ("refused", "am1", "is no notebook (.pdf)")
    assert said.document["data"]["ignored"] == 1 and said.exit_code == 1


def test_canvas_without_a_class_list(week, tmp_path):
    archive = zipped(
        tmp_path / "submissions.zip",
        ("liwei_4713_1_alpha_dev.ipynb", week.notebook(mark="one")),
        ("liwei_4714_2_alpha_dev.ipynb", week.notebook(mark="two")),
        ("mülleränne_4711_3_alpha_dev.ipynb", week.notebook(mark="three")),
    )
    assert week.tito("collect", archive).exit_code == 0
    assert week.submitted("liwei") == week.notebook(mark="one")
    assert week.submitted("liwei-4714") == week.notebook(mark="two")
    assert week.submitted("mülleränne") == week.notebook(mark="three")
    # another week's archive in another order: the same people
    second = zipped(tmp_path / "week2.zip", ("liwei_4714_7_beta_dev.ipynb", week.notebook("beta")))
    assert week.tito("collect", second).exit_code == 0
    assert week.submitted("liwei-4714", "beta") == week.notebook("beta")


@pytest.mark.parametrize("form", ["folders", "flat"])
def test_moodle(listed, tmp_path, form):
    end = "_assignsubmission_file_" + ("/" if form == "folders" else "")
    archive = zipped(
        tmp_path / "moodle.zip",
        (f"Änne Müller_331{end}my work.ipynb", listed.notebook(mark="änne")),
        # this participant has the number that is another student's LMS id
        (f"Sean Paul O'Neil_4711{end}alpha_dev.ipynb", listed.notebook(mark="sean")),
        (f"Wei Li_333{end}alpha_dev.ipynb", listed.notebook(mark="li")),
        (f"New Person_4712{end}alpha_dev.ipynb", listed.notebook(mark="new")),
        ("Änne Müller_331_assignsubmission_onlinetext_/onlinetext.html", b"<p>hello"),
    )
    said = listed.json("collect", archive)
    assert said.exit_code == 1
    assert listed.submitted("am1") == listed.notebook(mark="änne")
    found = rows(said)
    assert found[f"moodle.zip/Sean Paul O'Neil_4711{end}alpha_dev.ipynb"][:2] == ("collected", "so2")
    status, _, reason = found[f"moodle.zip/Wei Li_333{end}alpha_dev.ipynb"]
    assert status == "ambiguous" and "li3, li4" in reason
    status, _, reason = found[f"moodle.zip/New Person_4712{end}alpha_dev.ipynb"]
    assert status == "refused" and "New Person (LMS id 4712), who is not on the class list" in reason
    assert said.document["data"]["ignored"] == 1


def test_nbgrader_layout_and_its_timestamps(week, tmp_path):
    root = folder(
        week,
        "incoming",
        **{
            "ana/01_alpha/alpha_dev.ipynb": week.notebook(mark="ana"),
            "ana/01_alpha/timestamp.txt": "2026-12-02 10:00:00.000000 UTC\n",
            "ben/02_beta/renamed.ipynb": week.notebook("beta"),
        },
    )
    week.tito("due", "1", "2026-12-01T23:59", "--tz", "UTC")
    assert week.tito("collect", root).exit_code == 0
    assert week.submitted("ana") == week.notebook(mark="ana")
    assert week.submitted("ben", "beta") == week.notebook("beta")
    assert entry(week, "ana")["late"] == 10 * 3600 + 60


def test_what_lies_in_submitted_already_is_recorded_and_left_as_it_is(week):
    path = week.course.submitted / "ana" / "01_alpha" / "alpha_dev.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(week.notebook(mark="by hand"))
    said = week.json("collect", week.course.submitted)
    assert statuses(said) == {"alpha_dev.ipynb": "unchanged"} and said.exit_code == 0
    assert entry(week, "ana")["name"] == "ana/01_alpha/alpha_dev.ipynb"
    assert path.read_bytes() == week.notebook(mark="by hand")


def test_a_folder_of_files_by_name_login_and_id(listed):
    root = folder(
        listed,
        "files",
        **{
            "Änne Müller.ipynb": listed.notebook(mark="1"),
            "alpha_dev_soneil (1).ipynb": listed.notebook(mark="2"),
            "li3/labs/alpha.ipynb": listed.notebook(mark="3"),
            "wli2@school.edu/02_beta.ipynb": listed.notebook("beta"),
            "Wei Li.ipynb": listed.notebook(mark="4"),
            "stranger.ipynb": listed.notebook(mark="5"),
        },
    )
    said = listed.json("collect", root)
    assert statuses(said) == {
        "Änne Müller.ipynb": "collected",
        "alpha_dev_soneil (1).ipynb": "collected",
        "alpha.ipynb": "collected",
        "02_beta.ipynb": "collected",
        "Wei Li.ipynb": "ambiguous",
        "stranger.ipynb": "refused",
    }
    assert listed.submitted("am1") and listed.submitted("so2") and listed.submitted("li3")
    assert listed.submitted("li4", "beta")
    assert "not collected" in said.error["message"] and said.exit_code == 1


def test_names_are_the_same_in_every_normalisation(week):
    name = "Zoë Åström"
    for form in ("NFC", "NFD"):
        root = folder(week, form, **{f"{unicodedata.normalize(form, name)}.ipynb": week.notebook(mark="same")})
        said = week.json("collect", root)
        assert list(statuses(said)) == [unicodedata.normalize("NFC", f"{name}.ipynb")]
    assert [path.name for path in week.course.submitted.iterdir()] == ["Zoë-Åström"]


def test_a_single_file_of_a_student(week):
    path = week.file("download.ipynb", week.notebook(mark="x"))
    assert week.tito("collect", path, "--student", "ana").exit_code == 0
    assert week.submitted("ana") == week.notebook(mark="x")
    nameless = week.file("alpha_dev.ipynb", week.notebook(mark="y"))
    said = week.json("collect", nameless)
    assert rows(said)["alpha_dev.ipynb"][2] == "nothing in its name or folder says whose it is; give --student"


# Which module it is.


def test_a_module_is_recognised_by_what_is_in_the_notebook(week, tmp_path):
    renamed = week.notebook("beta", mark="it is beta")
    archive = zipped(tmp_path / "c.zip", ("ana_1_1_alpha_dev.ipynb", renamed), ("ben_2_2_homework.ipynb", renamed))
    week.tito("collect", archive)
    assert week.submitted("ana", "beta") == renamed and week.submitted("ben", "beta") == renamed
    assert week.submitted("ana", "alpha") is None


def test_broken_notebooks_are_collected(week, tmp_path):
    whole = week.notebook(mark="cut")
    archive = zipped(
        tmp_path / "c.zip",
        ("ana_1_1_homework.ipynb", whole[: len(whole) // 2]),
        ("ben_2_2_beta_dev.ipynb", b"\xff\xfe no notebook"),
        ("cem_3_3_homework.ipynb", b""),
        ("dan_4_4_homework.ipynb.txt", whole),
        ("eve_5_5_homework", week.notebook("beta")),
    )
    said = week.json("collect", archive)
    assert week.submitted("ana") == whole[: len(whole) // 2]
    assert week.submitted("ben", "beta") == b"\xff\xfe no notebook"
    assert week.submitted("dan") == whole and week.submitted("eve", "beta")
    status, _, reason = rows(said)["c.zip/cem_3_3_homework.ipynb"]
    assert status == "refused" and "give --module" in reason
    again = week.json("collect", archive, "--module", "1")
    assert week.submitted("cem") == b""
    status, _, reason = rows(again)["c.zip/ben_2_2_beta_dev.ipynb"]
    assert (status, reason) == ("refused", "is named for 02_beta, not of 01_alpha")
    assert "is a notebook of 02_beta, not of 01_alpha" in rows(again)["c.zip/eve_5_5_homework"][2]


def test_a_file_that_is_too_large_for_a_parser_is_only_searched(week, tmp_path, monkeypatch):
    data = week.notebook("beta", mark="large")
    monkeypatch.setattr(recognise, "PARSED", len(data) - 1)
    finder = recognise.ModuleFinder(week.course, week.catalog)
    assert finder.is_untouched(week.notebook("beta"), week.beta)
    monkeypatch.setattr(recognise.json, "loads", lambda text: pytest.fail("parsed"))
    assert finder.by_content(data) == week.beta
    assert not finder.is_untouched(data, week.beta)
    assert not recognise.is_notebook("ana.txt", data)


def test_a_whole_workspace_in_a_zip(week, tmp_path):
    """Only what was worked on counts; stubs that tito keeps, installed packages and caches are no submissions."""
    inner = zipped(
        tmp_path / "inner.zip",
        ("ws/modules/01_alpha/alpha_dev.ipynb", week.notebook(**RIGHT)),
        ("ws/modules/02_beta/beta_dev.ipynb", week.notebook("beta")),
        ("ws/.tito/stubs/01_alpha.ipynb", week.notebook()),
        ("ws/modules/01_alpha/.ipynb_checkpoints/alpha_dev-checkpoint.ipynb", week.notebook(mark="old")),
        ("ws/.venv/lib/x.ipynb", b"{}"),
        ("__MACOSX/ws/modules/01_alpha/._alpha_dev.ipynb", b"\0\5"),
        ("ws/tito/app.py", b"x = 1"),
    )
    outer = zipped(tmp_path / "outer.zip", ("ana_1_1_workspace.zip", inner.read_bytes()), (".DS_Store", b"\0"))
    said = week.json("collect", outer)
    assert said.exit_code == 0, said.stdout
    assert statuses(said) == {"alpha_dev.ipynb": "collected", "beta_dev.ipynb": "untouched"}
    assert week.submitted("ana") == week.notebook(**RIGHT) and week.submitted("ana", "beta") is None
    assert said.document["data"]["ignored"] == 1
    week.tito("collect", outer, "--module", "beta")
    assert week.submitted("ana", "beta") == week.notebook("beta")


# Attempts and dates.


def at(day, hour=12):
    return (2026, 12, day, hour, 0, 0)


def attempts_archive(week, path):
    return zipped(
        path,
        ("ana_1_11_alpha_dev.ipynb", week.notebook(mark="first"), at(1)),
        ("ana_1_12_alpha_dev-1.ipynb", week.notebook(mark="second"), at(2)),
        ("ana_1_13_alpha_dev-2.ipynb", week.notebook(mark="third"), at(5)),
    )


@pytest.mark.parametrize(
    ("policy", "counts"), [(None, "third"), ("latest", "third"), ("first", "first"), ("best-before-due", "second")]
)
def test_which_attempt_counts(week, tmp_path, policy, counts):
    week.tito("due", "1", "2026-12-03", "--tz", "UTC")
    said = week.json("collect", attempts_archive(week, tmp_path / "c.zip"), *(["--attempt", policy] if policy else []))
    assert said.exit_code == 0, said.stdout
    assert week.submitted("ana") == week.notebook(mark=counts)
    assert sorted(row["status"] for row in said.data["files"]) == ["collected", "kept", "kept"]
    kept = [path.read_bytes() for path in (week.course.state / "attempts" / "01_alpha" / "ana").iterdir()]
    assert sorted(kept) == sorted(week.notebook(mark=mark) for mark in ("first", "second", "third"))
    assert (entry(week, "ana")["late"] > 0) == (counts == "third")


def test_a_policy_is_kept_and_changed_for_the_whole_class(week, tmp_path):
    archive = attempts_archive(week, tmp_path / "c.zip")
    week.tito("collect", archive, "--attempt", "first")
    other = zipped(tmp_path / "d.zip", ("ben_2_21_alpha_dev.ipynb", week.notebook(mark="ben"), at(1)))
    week.tito("collect", other)
    assert week.submitted("ana") == week.notebook(mark="first")
    said = week.json("collect", other, "--attempt", "latest")
    assert week.submitted("ana") == week.notebook(mark="third")
    assert [row["reason"] for row in said.data["files"] if row["student"] == "ana"] == ["another attempt counts now"]


def test_attempts_in_several_archives_in_any_order(week, tmp_path):
    new = zipped(tmp_path / "new.zip", ("ana_1_12_alpha_dev-1.ipynb", week.notebook(mark="new"), at(2)))
    old = zipped(tmp_path / "old.zip", ("ana_1_11_alpha_dev.ipynb", week.notebook(mark="old"), at(1)))
    assert list(statuses(week.json("collect", new)).values()) == ["collected"]
    said = week.json("collect", old)
    assert rows(said)["old.zip/ana_1_11_alpha_dev.ipynb"] == ("kept", "ana", "attempt 1 of 2; attempt 2 counts")
    assert week.submitted("ana") == week.notebook(mark="new")
    newest = zipped(tmp_path / "newest.zip", ("ana_1_13_alpha_dev-2.ipynb", week.notebook(mark="newest"), at(3)))
    assert list(statuses(week.json("collect", newest)).values()) == ["replaced-older-attempt"]
    assert week.submitted("ana") == week.notebook(mark="newest")
    # the first file again, later: what was handed in last counts
    back = zipped(tmp_path / "back.zip", ("ana_1_14_alpha_dev-3.ipynb", week.notebook(mark="old"), at(4)))
    week.tito("collect", back)
    assert week.submitted("ana") == week.notebook(mark="old")


def test_collecting_twice_changes_nothing(week, tmp_path):
    week.tito("due", "1", "2026-12-03", "--tz", "Europe/Berlin")
    archive = attempts_archive(week, tmp_path / "c.zip")
    week.tito("collect", archive)
    before = week.everything()
    said = week.json("collect", archive)
    assert set(statuses(said).values()) == {"unchanged"} and said.exit_code == 0
    assert week.everything() == before


def test_a_submission_that_an_instructor_mended_by_hand_stays(week, tmp_path):
    archive = attempts_archive(week, tmp_path / "c.zip")
    week.tito("collect", archive)
    path = week.course.submitted / "ana" / "01_alpha" / "alpha_dev.ipynb"
    path.write_bytes(b"mended")
    for policy in ("latest", "latest"):
        week.tito("collect", archive, "--attempt", policy)
        assert path.read_bytes() == b"mended"
    week.tito("collect", archive, "--attempt", "first")
    assert path.read_bytes() == week.notebook(mark="first")
    week.tito("collect", archive, "--attempt", "latest")
    assert path.read_bytes() == b"mended"
    newer = zipped(tmp_path / "n.zip", ("ana_1_14_alpha_dev-3.ipynb", week.notebook(mark="newer"), at(9)))
    week.tito("collect", newer)
    assert path.read_bytes() == week.notebook(mark="newer")
    assert b"mended" in week.everything().values()


def test_lateness_counts_from_the_deadline_of_the_student(listed, tmp_path):
    listed.tito("due", "1", "2026-12-01T23:00", "--tz", "Europe/Berlin")  # 22:00 UTC
    listed.tito("extend", "so2", "1", "+2d")
    archive = zipped(
        tmp_path / "c.zip",
        ("am_4711_1_alpha_dev.ipynb", listed.notebook(mark="a"), (2026, 12, 2, 23, 0, 0)),
        ("so_4712_2_alpha_dev.ipynb", listed.notebook(mark="s"), (2026, 12, 3, 22, 30, 0)),
    )
    said = listed.json("collect", archive)
    # the zone of the course is that of times without one
    assert {row["student"]: row["late"] for row in said.data["files"]} == {"am1": 86_400.0, "so2": 0.0}
    with listed.course.open_gradebook() as book:
        submission = book.find_submission("01_alpha", "so2")
        assert submission.extension.total_seconds() == 2 * 86_400
    changed = listed.json("extend", "am1", "1", "+3d").data
    assert changed["late"] == {}
    assert entry(listed, "am1")["late"] == 0.0
    moved = listed.json("due", "1", "2026-11-20").data
    assert set(moved["late"]) == {"am1", "so2"}


def test_nbgrader_knows_how_late_it_is(week, tmp_path):
    """The timestamp that is written is one that nbgrader's own reader understands."""
    from nbgrader.coursedir import CourseDirectory

    week.tito("due", "1", "2026-12-01T22:00", "--tz", "UTC")
    week.tito("collect", attempts_archive(week, tmp_path / "c.zip"))
    found = CourseDirectory(config=week.course.config()).get_existing_timestamp(
        str(week.course.submission("ana", week.alpha))
    )
    assert found == datetime(2026, 12, 5, 12, 0, 0)
    assert entry(week, "ana")["late"] == (found - datetime(2026, 12, 1, 22)).total_seconds()


def test_an_attempt_without_a_time_takes_the_time_of_the_older_one_away(week, tmp_path):
    week.tito("collect", zipped(tmp_path / "a.zip", ("ana_1_1_a.ipynb", week.notebook(mark="timed"), at(9))))
    stamp = week.course.submission("ana", week.alpha) / "timestamp.txt"
    assert stamp.read_text(encoding="utf-8") == "2026-12-09 12:00:00.000000 UTC\n"
    nobody_knows = (1980, 1, 1, 0, 0, 0)
    week.tito("collect", zipped(tmp_path / "b.zip", ("ana_1_2_a.ipynb", week.notebook(mark="new"), nobody_knows)))
    assert week.submitted("ana") == week.notebook(mark="new")
    assert not stamp.exists()


def test_an_archive_whose_times_are_those_of_the_download(week, tmp_path):
    week.tito("due", "1", "2026-12-01", "--tz", "UTC")
    names = ("ana_1_1_a.ipynb", "ben_LATE_2_2_a.ipynb", "cem_3_3_a.ipynb")
    archive = zipped(tmp_path / "c.zip", *((name, week.notebook(mark=name), at(9)) for name in names))
    said = week.tito("collect", archive)
    assert "3 times are those of the download" in said.stderr
    assert "1 file is marked late by the LMS" in said.stderr
    assert {name: entry(week, name)["late"] for name in ("ana", "ben", "cem")} == {"ana": 0.0, "ben": None, "cem": 0.0}
    assert not (week.course.submitted / "ben" / "01_alpha" / "timestamp.txt").exists()


# What must not be taken.


def refused(week, archive):
    said = week.json("collect", archive)
    assert said.exit_code == 1, said.stdout
    return {file: reason for file, (status, _, reason) in rows(said).items() if status == "refused"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../../evil.ipynb", "points outside its archive"),
        ("a/../../evil.ipynb", "points outside its archive"),
        ("..\\..\\evil.ipynb", "points outside its archive"),
        ("/etc/cron.d/evil.ipynb", "has an absolute path"),
        ("C:\\evil.ipynb", "has an absolute path"),
        ("new\nline.ipynb", "has control characters in its name"),
    ],
)
def test_names_that_point_elsewhere(week, tmp_path, name, reason):
    before = set(tmp_path.rglob("*"))
    good = ("ana_1_1_alpha_dev.ipynb", week.notebook())
    archive = zipped(tmp_path / "c.zip", (name, week.notebook(mark="evil")), good)
    (found,) = refused(week, archive).values()
    assert found == reason
    assert week.submitted("ana") == week.notebook()
    new = {path for path in tmp_path.rglob("*") if path not in before and path != archive}
    assert all(path.is_relative_to(week.course.root) for path in new)
    assert b"evil" not in b"".join(week.everything().values())


def test_links(week, tmp_path):
    secret = week.file("secret.ipynb", week.notebook(mark="secret"))
    link = zipfile.ZipInfo("ana_1_1_alpha_dev.ipynb")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr(link, str(secret))
    assert list(refused(week, tmp_path / "c.zip").values()) == ["is a symbolic link"]
    root = folder(week, "files", **{"ben.ipynb": week.notebook(mark="ben")})
    (root / "cem.ipynb").symlink_to(secret)
    (root / "dan").symlink_to(tmp_path, target_is_directory=True)
    assert refused(week, root) == {"files/cem.ipynb": "is a symbolic link", "files/dan": "is a symbolic link"}
    assert week.submitted("ben") and not week.submitted("cem")


def patched(data, **fields):
    """A zip file in which headers were overwritten: flags (both headers) or size (the claimed one)."""
    data = bytearray(data)
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    if "flags" in fields:
        struct.pack_into("<H", data, local + 6, fields["flags"])
        struct.pack_into("<H", data, central + 8, fields["flags"])
    if "size" in fields:
        struct.pack_into("<I", data, local + 22, fields["size"])
        struct.pack_into("<I", data, central + 24, fields["size"])
    return bytes(data)


def test_encrypted_broken_and_foreign_archives(week, tmp_path):
    whole = zipped(tmp_path / "whole.zip", ("alpha_dev.ipynb", week.notebook(mark="x" * 500))).read_bytes()
    damaged = bytearray(whole)
    damaged[80:120] = b"\0" * 40
    archive = zipped(
        tmp_path / "c.zip",
        ("ana_1_1_a.zip", patched(whole, flags=1)),
        ("ben_2_2_a.zip", whole[:-30]),
        ("cem_3_3_a.zip", b"no archive"),
        ("dan_4_4_a.zip", bytes(damaged)),
        ("eve_5_5_a.zip", patched(whole, size=10)),
        ("fin_6_6_a.7z", b"7z"),
        ("gus_7_7_report.pdf", b"%PDF"),
        ("hal_8_8_alpha_dev.ipynb", week.notebook(mark="good")),
    )
    found = refused(week, archive)
    assert found.pop("c.zip/ana_1_1_a.zip/alpha_dev.ipynb") == "is encrypted"
    assert found.pop("c.zip/ben_2_2_a.zip").startswith("is not a zip archive that can be read")
    assert found.pop("c.zip/cem_3_3_a.zip").startswith("is not a zip archive that can be read")
    assert found.pop("c.zip/dan_4_4_a.zip/alpha_dev.ipynb").startswith("cannot be unpacked")
    assert found.pop("c.zip/eve_5_5_a.zip/alpha_dev.ipynb").startswith("cannot be unpacked")
    assert found.pop("c.zip/fin_6_6_a.7z").startswith("is an archive that tito does not read")
    assert found.pop("c.zip/gus_7_7_report.pdf") == "is no notebook (.pdf)"
    assert found == {}
    assert week.submitted("hal") == week.notebook(mark="good")
    broken = week.file("broken.zip", b"PK\x03\x04 and no more")
    assert list(refused(week, broken)) == ["broken.zip"]


def test_bombs(week, tmp_path, monkeypatch):
    small = archives.UnpackLimits(file=60_000, total=100_000, count=20, ratio=10, harmless=30_000, depth=2)
    monkeypatch.setattr(archives, "ENTRY", small)
    good = week.notebook(mark="good")
    large = zipped(tmp_path / "large.zip", ("alpha_dev.ipynb", os.urandom(61_000)))
    dense = zipped(tmp_path / "dense.zip", ("alpha_dev.ipynb", b"0" * 59_000))
    many = zipped(tmp_path / "many.zip", *((f"{n}.ipynb", b"") for n in range(21)))
    total = zipped(tmp_path / "total.zip", *((f"{n}.ipynb", os.urandom(17_000) * 2) for n in range(3)))
    deep = zipped(tmp_path / "deep.zip", ("in.zip", zipped(tmp_path / "in.zip", ("x.ipynb", good)).read_bytes()))
    names = {"a": large, "b": dense, "c": many, "d": total, "e": deep}
    members = [(f"{name}_{n}_1_x.zip", path.read_bytes()) for n, (name, path) in enumerate(names.items())]
    archive = zipped(tmp_path / "c.zip", *members, ("good_9_9_alpha_dev.ipynb", good))
    found = {file.split("/")[1][0]: reason for file, reason in refused(week, archive).items()}
    assert "are the most" in found["a"] and "times its own size" in found["b"]
    assert found["c"] == "holds 21 files; 20 are the most"
    assert found["d"].startswith("would unpack to") and "archive in an archive" in found["e"]
    assert week.submitted("good") == good


def taken(path):
    """({first name below `path`: bytes that were unpacked}, [reasons]) of walking `path`."""
    files, sizes = list(archives.walk(path)), {}
    for file in files:
        top = file.path.split("/")[1] if "/" in file.path else ""
        sizes[top] = sizes.get(top, 0) + len(file.data or b"")
    return sizes, [file.refused for file in files if file.refused]


@pytest.fixture(params=["archive", "folder"])
def laid(request, tmp_path):
    """laid(files) puts {name: bytes} into an archive or a folder and returns its path."""

    def lay(files):
        if request.param == "archive":
            return zipped(tmp_path / "c.zip", *files.items())
        for name, data in files.items():
            (tmp_path / "all").mkdir(exist_ok=True)
            (tmp_path / "all" / name).write_bytes(data)
        return tmp_path / "all"

    return lay


def test_the_archives_in_one_archive_have_one_budget(laid, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ENTRY", archives.UnpackLimits(total=300_000, count=50, ratio=10, harmless=100_000))
    zeros = zipped(tmp_path / "zeros.zip", ("alpha_dev.ipynb", b"0" * 40_000)).read_bytes()
    noise = zipped(tmp_path / "noise.zip", ("alpha_dev.ipynb", os.urandom(40_000))).read_bytes()
    empty = zipped(tmp_path / "empty.zip", *((f"{number}.ipynb", b"") for number in range(9))).read_bytes()
    packed = {"dense.zip": zeros, "large.zip": noise, "many.zip": empty}
    files = {
        name: zipped(tmp_path / name, *((f"{number}.zip", inner) for number in range(6))).read_bytes()
        for name, inner in packed.items()
    }
    sizes, reasons = taken(laid({**files, "good.ipynb": b"g" * 50_000}))
    assert sizes == {"dense.zip": 80_000, "large.zip": 40_000, "many.zip": 0, "good.ipynb": 50_000}
    for reason in (r"times its own size", r"would unpack to .* are the most", r"holds 51 files; 50 are the most"):
        assert any(re.fullmatch(rf"together with what came before it, .*{reason}", one) for one in reasons), reasons


def test_a_whole_collect_has_one_budget(laid, tmp_path, monkeypatch):
    inner = zipped(tmp_path / "inner.zip", ("alpha_dev.ipynb", os.urandom(20_000))).read_bytes()
    path = laid({f"{name}.zip": inner for name in "abcdefgh"})
    packed = 0 if path.is_dir() else 8 * len(inner)
    monkeypatch.setattr(archives, "WHOLE", archives.UnpackLimits(total=packed + 100_000, count=20))
    sizes, reasons = taken(path)
    assert sum(sizes.values()) == 100_000
    assert len(reasons) == 3 and all("together with what came before it, would unpack" in one for one in reasons)
    monkeypatch.setattr(archives, "WHOLE", archives.UnpackLimits(total=10**9, count=12 if packed else 4))
    sizes, reasons = taken(path)
    assert sum(sizes.values()) == 80_000 and len(reasons) == 4


def test_the_same_id_in_other_capitals(week):
    week.tito("collect", folder(week, "one", **{"Ana.ipynb": week.notebook(mark="1")}))
    said = week.json("collect", folder(week, "two", **{"ana.ipynb": week.notebook(mark="2")}))
    assert rows(said)["two/ana.ipynb"][0] == "ambiguous"
    assert week.submitted("Ana") == week.notebook(mark="1")


def test_a_folder_of_groups_is_not_taken_for_a_student(week):
    files = {f"labA/{name}/alpha_dev.ipynb": week.notebook(mark=name) for name in ("ana", "ben")}
    said = week.json("collect", folder(week, "all", **files))
    assert [row["status"] for row in said.document["data"]["files"]] == ["ambiguous", "ambiguous"]
    assert not week.course.submitted.exists()


@pytest.mark.parametrize("path", [".", "assignments", "assignments/source", "nowhere"])
def test_what_holds_no_submissions(week, path):
    week.tito("release", "1")
    before = week.everything()
    said = week.json("collect", path)
    assert said.exit_code == 2
    assert week.everything() == before


def test_wrong_usage(week):
    root = folder(week, "files", **{"ana.ipynb": week.notebook()})
    assert week.tito("collect", root, "--attempt", "best").exit_code == 2
    assert week.tito("collect", root, "--module", "nine").exit_code == 2
    assert week.tito("collect", root, "--student", "a/b").exit_code == 2


def test_an_interrupted_run_keeps_what_it_did_and_goes_on(week, tmp_path, monkeypatch):
    members = [(f"{name}_{n}_{n}_alpha_dev.ipynb", week.notebook(mark=name)) for n, name in enumerate("abc", 1)]
    archive = zipped(tmp_path / "c.zip", *members)
    place, calls = collect.Attempts.place, []

    def stop(self, chosen):
        calls.append(self.student)
        if len(calls) == 2:
            raise KeyboardInterrupt
        place(self, chosen)

    monkeypatch.setattr(collect.Attempts, "place", stop)
    said = week.json("collect", archive)
    assert said.exit_code == 130 and said.error["code"] == "interrupted"
    monkeypatch.setattr(collect.Attempts, "place", place)
    assert week.tito("collect", archive).exit_code == 0
    assert [week.submitted(name) for name in "abc"] == [week.notebook(mark=name) for name in "abc"]
    assert not list(week.course.state.glob("collect-*"))
    assert len(list((week.course.state / "attempts").rglob("*.ipynb"))) == 3


def test_what_tito_wrote_is_what_grading_reads(week, tmp_path):
    week.tito("due", "1", "2026-12-01T22:00", "--tz", "UTC")
    week.tito("collect", attempts_archive(week, tmp_path / "c.zip"))
    received = Received(week.course, week.alpha)
    assert received.late("ana") == 3 * 86_400 + 14 * 3600
    assert received.name("ana") == "ana_1_13_alpha_dev-2.ipynb"


def test_times_of_archives():
    stamp = int(datetime(2026, 12, 1, 12, 0, 1, tzinfo=UTC).timestamp())
    info = zipfile.ZipInfo("a", (2026, 11, 1, 0, 0, 0))
    info.extra = struct.pack("<HH", 1, 2) + b"xx" + struct.pack("<HHBi", 0x5455, 5, 1, stamp)
    assert archives._time(info, UTC).timestamp() == stamp
    assert archives._time(zipfile.ZipInfo("a", (1980, 1, 1, 0, 0, 0)), UTC) is None
    assert archives._time(zipfile.ZipInfo("a", (2026, 13, 1, 0, 0, 0)), UTC) is None


def test_names_of_archives_without_the_flag_for_utf8():
    info = zipfile.ZipInfo("x")
    info.orig_filename, info.flag_bits = "Änne.ipynb".encode().decode("cp437"), 0
    assert archives._name(info) == "Änne.ipynb"
    info.orig_filename = json.loads('"\\u00c4nne.ipynb"')
    assert archives._name(info) == "Änne.ipynb"
