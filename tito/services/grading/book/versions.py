"""The versions of a module that a class is graded with: what of the course a score depends on, kept by its hash.

assignments/.tito/versions/
    objects/ab/abcd…    the files of all versions, each under its SHA-256
    01_tensor.json      which versions there are, what each consists of, which one grades (the pinned one), and a
                        regrade that is half done

Of the course a kit needs the notebook with solutions and hidden tests (source.ipynb), and the package as the module's
sandbox sees it (view/…), with the exports of its prerequisites and what is provided. What scores is tito's, and no part
of a version: see scoring/keys.py.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime

from tito.errors import ProjectError, UsageError
from tito.services import notebooks, views
from tito.services.files import atomic_write, digest
from tito.services.pristine import EARLIER, other_texts
from tito.services.strip import KERNEL, LANGUAGE, strip

SOURCE, VIEW = "source.ipynb", "view"
SHOWN = 8  # digits of a fingerprint in the name of a version


@dataclass(frozen=True)
class CourseVersion:
    """What a class can be graded with. name: the course's version, with a part of the fingerprint behind it where an
    earlier one has that name; files: {path: digest}.
    """

    name: str
    fingerprint: str
    files: dict = field(repr=False)
    kept_at: str = ""


class Versions:
    """The versions of one module that are kept. pinned: the one that grades, None where none was ever released.

    unfinished: what a regrade that is being written has noted, None where there is none.
    """

    def __init__(self, course, module):
        self.course, self.module = course, module
        self.folder = course.state / "versions"
        data = course.read_record(self._record)
        self.kept = {made["fingerprint"]: CourseVersion(**made) for made in data.get("versions", [])}
        self.pinned = self.kept.get(data.get("pinned"))
        self.unfinished = data.get("unfinished")

    @property
    def _record(self):
        return f"versions/{self.module.name}.json"

    def named(self, contents):
        """The CourseVersion that `contents`, {path: bytes}, are; one that is kept already keeps its name."""
        files = {path: digest(data) for path, data in sorted(contents.items())}
        fingerprint = digest("".join(f"{path} {one}\n" for path, one in files.items()).encode())
        if fingerprint in self.kept:
            return self.kept[fingerprint]
        name = self.course.project.version
        if any(name == one.name for one in self.kept.values()):
            name = f"{name}+{fingerprint[:SHOWN]}"
        return CourseVersion(name, fingerprint, files)

    def find(self, text, current=None):
        """The version that a person means by `text`: its name, or the first digits of its fingerprint.

        current: the CourseVersion of the course as it is, which need not be kept. Raises UsageError.
        """
        known = {**self.kept, **({current.fingerprint: current} if current else {})}
        by_name = [one for one in known.values() if one.name == text]
        found = by_name or [one for one in known.values() if len(text) >= 4 and one.fingerprint.startswith(text)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(sorted(one.name for one in known.values()))
        what = "means more than one version" if found else "is no version"
        raise UsageError(f"{text!r} {what} of {self.module.name}", f"there are: {names}", code="version")

    def keep(self, version, contents):
        """Keep what a version consists of. A kept file that was damaged is put right."""
        for path, data in contents.items():
            target = self._object(version.files[path])
            if not target.is_file() or digest(target.read_bytes()) != version.files[path]:
                atomic_write(target, data)
        if version.fingerprint not in self.kept:
            self.kept[version.fingerprint] = CourseVersion(version.name, version.fingerprint, version.files, now())
            self._write()

    def pin(self, version):
        """From now on this version, which is kept, grades; no regrade is unfinished any more."""
        self.pinned, self.unfinished = self.kept[version.fingerprint], None
        self._write()

    def note(self, unfinished):
        """Note that a regrade is being written, so that whatever ends it another call can go on."""
        self.unfinished = unfinished
        self._write()

    def contents(self, version):
        """{path: bytes} of a version that is kept. Raises ProjectError where a file is missing or was changed."""
        found, damaged = {}, []
        for path, expected in version.files.items():
            try:
                data = self._object(expected).read_bytes()
            except OSError:
                data = None
            if data is None or digest(data) != expected:
                damaged.append((path, self._object(expected), "is missing" if data is None else "was changed"))
            found[path] = data
        if damaged:
            path, kept, what = damaged[0]
            more = f", and {len(damaged) - 1} more" if damaged[1:] else ""
            which = f"{path} ({self.course.label(kept)}) {what}{more}"
            raise ProjectError(
                f"version {version.name} of {self.module.name} is damaged: {which}",
                f"restore {self.course.label(self.folder)} from a backup; or, where the course still is that version: "
                f"tito grade release {self.module.name}",
                code="damaged-version",
            )
        return found

    def earlier(self, contents):
        """{grade_id: texts} of the locked cells of `contents` that were handed out otherwise in other versions."""
        own, others = contents[SOURCE], []
        for one in self.kept.values():
            path = self._object(one.files[SOURCE])
            data = path.read_bytes() if path.is_file() else b""
            if data != own and digest(data) == one.files[SOURCE]:  # a damaged one says nothing
                others.append(_handed_out(data))
        return other_texts(_handed_out(own), others) if others else {}

    def require_settled(self):
        """Raise ProjectError where a regrade was interrupted while it wrote."""
        if self.unfinished:
            name = self.kept[self.unfinished["to"]].name
            raise ProjectError(
                f"a regrade of {self.module.name} to {name} is half written",
                f"tito grade regrade {self.module.name} --to {name} --apply   (goes on with it)",
                code="unfinished-regrade",
            )

    def _object(self, hashed):
        return self.folder / "objects" / hashed[:2] / hashed

    def _write(self):
        self.course.write_record(
            self._record,
            {
                "pinned": self.pinned and self.pinned.fingerprint,
                "versions": [asdict(one) for one in self.kept.values()],
                "unfinished": self.unfinished,
            },
        )


def as_released(project, node):
    """Make of a module's notebook the one that grades: stretch answers count where the course says so."""
    notebooks.count_stretches(project, node)
    node.metadata.update(kernelspec=dict(KERNEL), language_info=dict(LANGUAGE))


def course_now(project, catalog, module, source=None):
    """What of the course as it is now a score of `module` depends on, {path: bytes}.

    source: the notebook with its solutions, in bytes, where it is made already. Raises WorkError for an unreadable one.
    """
    if source is None:
        node = notebooks.load(project, module.percent).node
        as_released(project, node)
        source = notebooks.as_bytes(node)
    found = {SOURCE: source}
    with views.folder(project) as folder:
        views.fill(folder / VIEW, project, catalog.prerequisites(module), without_kernels_of=module)
        for path in sorted((folder / VIEW).rglob("*")):
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def put(contents, folder, earlier=None):
    """Put a version's files into `folder`, and what its cells said in other ones: see Versions.earlier.

    Returns how a kit is made of them.
    """
    atomic_write(folder / EARLIER, json.dumps(earlier or {}))
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return {"source": folder / SOURCE, "view": folder / VIEW}


def now():
    return datetime.now().astimezone().isoformat(timespec="seconds")


# What changed between two versions.


@dataclass(frozen=True)
class Changes:
    """What differs between two versions. tests: {grade_id: what a person reads of it}; answers: grade_ids of the
    course's answers; provided: of other cells with a name; files: of the package, as paths in it.
    """

    tests: dict
    answers: tuple = ()
    provided: tuple = ()
    files: tuple = ()

    @property
    def words(self):
        """All of it, a text each."""
        return (*self.tests.values(), *self.others())

    def others(self, question=None):
        """What changed besides tests, in words, the course's own answer to `question` first."""
        answers = sorted(self.answers, key=lambda name: name != question)
        files = (f"the package's {path}" for path in self.files)
        return (*(f"the course's {name}" for name in answers), *self.provided, *files)


def changes(before, after):
    """The Changes from the contents `before` to the contents `after`."""
    files = sorted(path for path in {*before, *after} - {SOURCE} if before.get(path) != after.get(path))
    old, new = (_cells(found[SOURCE]) for found in (before, after))
    tests, answers, provided = {}, [], []
    for name in dict.fromkeys([*new, *old]):
        one, other = old.get(name), new.get(name)
        if one is not None and other is not None and _asked(one) == _asked(other):
            continue
        cell = other if other is not None else one
        if notebooks.is_test(cell):
            tests[name] = f"{name}{_points_words(one, other)}"
        else:
            (answers if notebooks.is_solution(cell) else provided).append(name)
    package = f"{VIEW}/tinytorch/"
    return Changes(tests, tuple(answers), tuple(provided), tuple(path.removeprefix(package) for path in files))


def _asked(cell):
    return cell.source, notebooks.points(cell)


def _points_words(one, other):
    if one is None or other is None:
        return " (new)" if one is None else " (gone)"
    before, after = notebooks.points(one), notebooks.points(other)
    return "" if before == after else f" ({before:g} to {after:g} points)"


def _handed_out(data):
    """The notebook that students get of one with solutions."""
    source = notebooks.parse(data, SOURCE)
    return strip(source.node, source)


def _cells(data):
    """{grade_id: cell} of a notebook."""
    node = notebooks.parse(data, SOURCE).node
    return {name: cell for cell in node.cells if (name := notebooks.grade_id(cell))}
