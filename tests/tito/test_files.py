"""Files are written whole or not at all, kept before they are replaced, and removed for good."""

import os
import stat

import pytest

from tito.services import files


def test_atomic_write_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new folder" / "notes.txt"
    files.atomic_write(path, "a first and much longer text\n")
    files.atomic_write(path, "é\nsecond\n")
    assert path.read_bytes() == "é\nsecond\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "notes.txt"
    path.write_text("old", encoding="utf-8")

    def full_disk(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        files.atomic_write(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file_that_was_to_be_written_and_not_the_draft(tmp_path, monkeypatch):
    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError) as caught:
        files.atomic_write(tmp_path / "notes.txt", "new")
    assert (caught.value.errno, caught.value.filename) == (28, str(tmp_path / "notes.txt"))


@pytest.mark.skipif(os.name == "nt", reason="has neither")
def test_what_is_no_file_is_written_to_and_stays(tmp_path):
    """A pipe with a name stands for the devices: a test that fails must not take /dev/null from this machine."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for path in (pipe, link, f"/dev/fd/{os.open(pipe, os.O_WRONLY)}"):
        files.atomic_write(path, "through")
        assert os.read(reader, 100) == b"through"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == [link, pipe]


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(OSError) as caught:
        files.atomic_write(tmp_path, "text")
    assert caught.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    files.atomic_write(link, "new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_written_file_is_as_readable_as_any_other(tmp_path):
    ordinary = tmp_path / "ordinary.txt"
    ordinary.write_text("", encoding="utf-8")
    files.atomic_write(tmp_path / "atomic.txt", "")
    assert stat.S_IMODE((tmp_path / "atomic.txt").stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_backups_pile_up_and_none_is_lost(tmp_path, monkeypatch):
    class StandingClock(files.datetime):
        """The same microsecond three times, then another."""

        readings = [files.datetime(2026, 11, 21, 1, 45, 2, 123456)] * 3 + [files.datetime(2026, 11, 21, 1, 45, 3)]

        @classmethod
        def now(cls):
            return cls.readings.pop(0)

    monkeypatch.setattr(files, "datetime", StandingClock)
    path = tmp_path / "alpha_dev.ipynb"
    path.write_text("one", encoding="utf-8")
    first = files.backup(path, tmp_path / "backups")
    path.write_text("two", encoding="utf-8")
    second = files.backup(path, tmp_path / "backups")
    assert first.name == "2026-11-21T01-45-02.123456_alpha_dev.ipynb"
    assert first.read_text(encoding="utf-8") == "one"
    assert second.read_text(encoding="utf-8") == "two"
    assert second != first


def test_digest_is_sha_256():
    assert files.digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_remove_tree_takes_read_only_files_and_absent_folders(tmp_path):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("", encoding="utf-8")
    (folder / "inner" / "file").chmod(stat.S_IREAD)
    files.remove_tree(folder)
    files.remove_tree(folder)
    assert not folder.exists()
