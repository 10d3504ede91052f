"""The attempts of one student at one module: all are kept, one counts and stands in nbgrader's folder.

Each attempt is a file of its own that is never written again; the submitted file is a copy of the one that counts. Of a
module with which a second file is handed in, an attempt is both.
"""

from datetime import UTC, datetime

from tito.services.files import atomic_write, digest
from tito.services.grading.intake.dates import read_time

POLICIES = ("latest", "first", "best-before-due")
SECRET = "submission_secret.txt"  # of an exchange: nbgrader makes of it under which name feedback is fetched
STAMP = "%Y-%m-%d %H:%M:%S.%f UTC"  # as nbgrader writes and reads it


class Attempts:
    """What `student` handed in for `module`. entry: its record, changed in place; {} for a new one."""

    def __init__(self, course, module, student, entry):
        self.course = course
        self.module = module
        self.student = student
        self.entry = entry
        self.list = entry.setdefault("attempts", [])
        self.folder = course.submission(student, module)
        self.path = self.folder / module.notebook.name
        self.artifact = self.folder / module.artifact if module.artifact else None

    @property
    def counting(self):
        """The attempt that counts, None where there is none yet."""
        return next((one for one in self.list if one["digest"] == self.entry.get("digest")), None)

    def adopt(self):
        """Keep a submitted file that tito did not put there, or that was edited since, as an attempt."""
        if not self.path.is_file():
            return
        data, artifact = self._lies_there()
        own = attempt_digest(data, artifact)
        if any(one["digest"] == own for one in self.list):
            return
        counting = self.counting
        time = counting["time"] if counting else _write_time(self._stamp() or _changed(self.path))
        about = {**self._uncollected(), "time": time}
        if counting:
            kept = ("name", "archive", "way", "lms", "lms_id", "secret")
            about = {**{key: counting.get(key, "") for key in kept}, "time": time}
            counting["edited_as"] = own
        self._append(data, about, artifact)
        self.entry["digest"] = own

    def _lies_there(self):
        """(notebook, the other file or None) in nbgrader's folder."""
        artifact = self.artifact.read_bytes() if self.artifact is not None and self.artifact.is_file() else None
        return self.path.read_bytes(), artifact

    def _uncollected(self):
        """What is known of a file that lay in nbgrader's folder before anything was collected."""
        about = {"name": f"{self.student}/{self.module.name}/{self.path.name}", "archive": "", "way": "folder"}
        secret = self.folder / SECRET
        if secret.is_file():
            about["secret"] = secret.read_text(encoding="utf-8", errors="replace").strip()
        return about

    def before(self):
        """The attempts of which something is known, with a file in nbgrader's folder that none was made of yet."""
        if self.list or not self.path.is_file():
            return self.list
        return [{**self._uncollected(), "digest": attempt_digest(*self._lies_there()), "lms_id": ""}]

    def _stamp(self):
        """The time in nbgrader's timestamp.txt, or None."""
        try:
            return read_stamp((self.folder / "timestamp.txt").read_text(encoding="utf-8"))
        except OSError:
            return None

    def add(self, data, about, artifact=None):
        """Keep the attempt `data`, with the file `artifact`; False where it is known already.

        The same file once more is a new attempt only where something else was handed in between.
        """
        own = [one for one in self.ordered() if one["digest"] not in self._by_hand()]
        same = next((one for one in self.list if one["digest"] == attempt_digest(data, artifact)), None)
        if same is None:
            self._append(data, about, artifact)
            return True
        time = about["time"]
        if own[-1] is same or same not in own or not all(time and one["time"] and one["time"] < time for one in own):
            return False
        same.update(about)
        return True

    def _by_hand(self):
        """The digests of files that an instructor edited: each counts in place of the attempt that it was."""
        return {one["edited_as"] for one in self.list if one.get("edited_as")}

    def _append(self, data, about, artifact):
        own = attempt_digest(data, artifact)
        name = f"{len(self.list) + 1:03}_{own[:12]}"
        one = {"way": "", "lms": "", "lms_id": "", **about, "digest": own, "file": self._keep(f"{name}.ipynb", data)}
        if artifact is not None:
            one["artifact"] = self._keep(f"{name}{self.artifact.suffix}", artifact)
        self.list.append(one)

    def _keep(self, name, data):
        kept = self.course.state / "attempts" / self.module.name / self.student / name
        if not kept.exists():
            atomic_write(kept, data)
        return kept.relative_to(self.course.root).as_posix()

    def ordered(self):
        """The attempts from the first to the last. One whose time is not known follows the one collected before it."""
        keyed, last = [], ""
        for position, one in enumerate(self.list):
            last = one["time"] or last
            keyed.append((last, position, one))
        return [one for _, _, one in sorted(keyed, key=lambda each: each[:2])]

    def choose(self, policy, is_late):
        """The attempt that counts. best-before-due: the last that is not is_late(attempt), else the first of all."""
        own = [one for one in self.ordered() if one["digest"] not in self._by_hand()]
        chosen = own[0] if policy == "first" else own[-1]
        if policy == "best-before-due":
            in_time = [one for one in own if not is_late(one)]
            chosen = in_time[-1] if in_time else own[0]
        while chosen.get("edited_as"):
            chosen = next(one for one in self.list if one["digest"] == chosen["edited_as"])
        return chosen

    def place(self, chosen):
        """Let `chosen` count: in nbgrader's folder with its time, and in the record."""
        self._keep_what_lies_alone()
        self._put(self.path, chosen["file"])
        if chosen.get("artifact"):
            self._put(self.artifact, chosen["artifact"])
        elif self.artifact is not None:  # of another attempt, where it is kept
            self.artifact.unlink(missing_ok=True)
        stamp, time = self.folder / "timestamp.txt", read_time(chosen["time"])
        if time is None:
            stamp.unlink(missing_ok=True)
        elif self._stamp() != time:
            atomic_write(stamp, time.strftime(STAMP) + "\n")
        if chosen.get("secret"):
            atomic_write(self.folder / SECRET, chosen["secret"])
        else:
            (self.folder / SECRET).unlink(missing_ok=True)
        for key in ("name", "archive", "time", "digest", "way", "lms", "lms_id"):
            self.entry[key] = chosen.get(key, "")

    def _keep_what_lies_alone(self):
        """Keep the second file where it is of no attempt: it lay there without a notebook."""
        if self.artifact is None or not self.artifact.is_file():
            return
        data = self.artifact.read_bytes()
        kept = ((self.course.root / one["artifact"]).read_bytes() for one in self.list if one.get("artifact"))
        if data not in kept:
            self._keep(f"000_{digest(data)[:12]}{self.artifact.suffix}", data)

    def _put(self, path, kept):
        data = (self.course.root / kept).read_bytes()
        if not path.is_file() or path.read_bytes() != data:
            atomic_write(path, data)


def attempt_digest(data, artifact=None):
    """The digest of an attempt: of the notebook, and of the file that came with it, where one did."""
    return digest(data) if artifact is None else digest(f"{digest(data)} {digest(artifact)}".encode())


def read_stamp(text):
    """The time in UTC that nbgrader's timestamp.txt says, or None."""
    from nbgrader.utils import parse_utc

    try:
        return parse_utc(text.strip()).replace(tzinfo=UTC)
    except (ValueError, OverflowError, AttributeError):
        return None


def _changed(path):
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)


def _write_time(time):
    return time.isoformat() if time else None
