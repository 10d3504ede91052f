"""Grading a class, `tito grade autograde` beside `nbgrader autograde`: python benchmarks/grading.py

Both grade the same copies of module 09 in the same run, one after the other: the reference, untouched stubs, answers
written differently, and wrong answers. nbgrader runs as one process over all students (or over the first of them,
--sample), tito with its sandbox and --jobs. Their scores are compared question by question.

nbgrader also executes the cells that only measure, which tito never does. So nbgrader is timed twice: with the
submissions as they are, and with these cells taken out; the second ratio is the fair one.

Peak memory is the sum over all processes of a run, watched ten times a second: "RSS" counts a page that processes share
for each of them, "PSS" once. --growth N grades N submissions more with tito, to see whether the cost grows in
proportion. Processor seconds are of all processes of a run, also of those whose parent was killed before it could wait
for them, as that of a sandbox is: they tell what a submission costs also where other programs run beside.

--one-sandbox grades the class once more in a tito whose withheld tests run with the visible ones, in one sandbox: the
difference is what a sandbox of their own costs.

--cluster grades the class on one and on two workers of a Dask scheduler on this machine, one submission at a time each,
beside one and two threads without a scheduler; and sends 10,000 tasks that take no time, to see what the way costs.
"""

import argparse
import contextlib
import ctypes
import json
import os
import platform
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests" / "grading")]

MODULE = "09_spatial"
NOTEBOOK = "spatial_dev"
AT_LEAST, AIM = 4, 8
SHORT = 10_000  # tasks that do nothing
# of ten submissions: 2 are the reference, 3 are written differently, 4 have one wrong answer, 1 is an untouched stub
KINDS = ("reference", "student", "wrong", "wrong", "student", "stub", "reference", "wrong", "student", "wrong")


# --- A class ----------------------------------------------------------------------------------------------------------


def make_course(folder):
    """A copy of the course whose assignments are nobody else's."""
    for name in ("tito", "tinytorch", "modules"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    tito(folder, "grade", "release", MODULE)
    return folder


def tito(course, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "tito", *arguments, "--json"], cwd=course, env=environment(course),
        stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert done.returncode == 0, document["error"]
    return document["data"]


def environment(folder):
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}


def submissions(course, count, first=0):
    """Hand in `count` notebooks; {student: kind}."""
    from answers import right_notebooks, wrong_answers

    from tito.services import notebooks

    assignments = course / "assignments"
    reference = json.loads((assignments / "source" / MODULE / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))
    stub = json.loads((assignments / "release" / MODULE / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))
    written = right_notebooks(MODULE)[0]
    wrong = [(name, flaw, code) for name, versions in wrong_answers(MODULE).items() for flaw, code in versions]
    solved = {notebooks.grade_id(cell): cell["source"] for cell in reference["cells"] if notebooks.is_solution(cell)}
    handed_in = {}
    for number in range(first, first + count):
        kind = KINDS[number % len(KINDS)]
        answers = {"reference": solved, "stub": {}}.get(kind, written)
        if kind == "wrong":
            name, flaw, code = wrong[7 * number % len(wrong)]
            answers = {**written, name: code}
            kind = f"wrong: {name}, {flaw}"
        notebook = json.loads(json.dumps(stub))
        for cell in notebook["cells"]:
            code = answers.get(notebooks.grade_id(cell))
            if code is not None:
                lead = "" if isinstance(code, list) or code.startswith("#| export") else "#| export\n"
                cell["source"] = code if isinstance(code, list) else lead + code
        handed_in[f"s{number:04}"] = kind
        path = assignments / "submitted" / f"s{number:04}" / MODULE / f"{NOTEBOOK}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook), encoding="utf-8")
    return handed_in


# --- What is measured -----------------------------------------------------------------------------------------------


SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <sys/prctl.h>
# withheld tests as if they were visible ones: without a sandbox of their own
ONE_SANDBOX = """
import sys
from tito.services.grading.scoring import scorer
scorer._Submission._is_hidden = lambda submission, number: False
from tito.app import main
sys.exit(main())
"""


class Watch:
    """The largest sums of memory of a process and all its descendants; Linux only.

    Whose parent was killed becomes a child of this program, which waits for it, so that its time is counted.
    """

    def __init__(self, process):
        self.process, self.peak, self.shared_once, self.processes = process, 0, 0, 0
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while self.process.poll() is None:
            sizes = self._sizes()
            self.peak, self.processes = max(self.peak, sum(sizes.values())), max(self.processes, len(sizes))
            self.shared_once = max(self.shared_once, sum(map(self._proportional, sizes)))
            time.sleep(0.1)
        self._sizes()

    @staticmethod
    def _proportional(number):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{number}/smaps_rollup").read_text(encoding="utf-8").splitlines():
                if line.startswith("Pss:"):
                    return 1024 * int(line.split()[1])
        return 0

    def _sizes(self):
        """{number of a process: bytes of memory}"""
        parents, resident = {}, {}
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError, KeyError):
                lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
                number = int(status.parent.name)
                parents[number] = int(lines["PPid"])
                resident[number] = 1024 * int(lines.get("VmRSS", "0").split()[0])
        orphans = {number for number, parent in parents.items() if parent == os.getpid()} - {self.process.pid}
        for number in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(number, os.WNOHANG)
        ours = {self.process.pid, *orphans}
        while more := {number for number, parent in parents.items() if parent in ours} - ours:
            ours |= more
        return {number: resident[number] for number in ours if number in resident}


def run(command, folder, package):
    """({seconds, processor seconds, peak bytes}, exit code, output) of a command and all that it starts."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        start, used = time.perf_counter(), processor_seconds()
        process = subprocess.Popen(command, cwd=folder, env=package, stdout=output, stderr=subprocess.STDOUT)
        watch = Watch(process)
        code = process.wait()
        seconds = time.perf_counter() - start
        watch.thread.join()
        found = {"seconds": seconds, "processor": processor_seconds() - used}
        output.seek(0)
        said = output.read()
    return {**found, "peak": watch.peak, "peak, shared once": watch.shared_once}, code, said


def processor_seconds():
    """Of all processes that ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def time_tito(course, count, jobs, *, one_sandbox=False):
    # the first try alone is what nbgrader can be compared with; the second is run and kept all the same
    program = ["-c", ONE_SANDBOX] if one_sandbox else ["-m", "tito"]
    command = [sys.executable, *program, "grade", "autograde", MODULE, "--json", "--no-second-try"]
    command += ["--force"] if one_sandbox else []
    found, code, said = run([*command, "--jobs", str(jobs)], course, environment(course))
    assert code == 0, said[-3000:]
    data = json.loads(said[said.index("{") :])["data"]
    fresh = [row for row in data["students"] if row["graded_now"]]
    assert len(fresh) == count, f"{len(fresh)} of {count} were graded"
    return {**found, "count": count, "isolation": data["isolation"], "jobs": jobs}


def measure_cluster(options):
    """{"machine", "class": {what: figures}, "short": figures}"""
    from cluster import Scheduler

    with tempfile.TemporaryDirectory(prefix="grading-") as temporary:
        course = make_course(Path(temporary).resolve() / "course")
        submissions(course, options.count)
        command = [sys.executable, "-m", "tito", "grade", "autograde", MODULE, "--json", "--no-second-try", "--force"]
        found = {}

        def grade(what, *more):
            figures, code, said = run([*command, *more], course, environment(course))
            assert code == 0, said[-3000:]
            found[what] = {**figures, "count": options.count}

        with Scheduler(Path(temporary) / "dask", course) as scheduler:
            for number in (1, 2):
                grade(f"{number} thread{'s' * (number > 1)}, no scheduler", "--jobs", str(number))
                scheduler.start_worker(f"worker-{number}")
                grade(f"{number} worker{'s' * (number > 1)}", "--scheduler", scheduler.address)
            short = short_tasks(course, scheduler.address, SHORT)
    return {
        "submissions": options.count,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "class": found,
        "short": short,
    }


def short_tasks(course, address, count):
    """What `count` tasks take that do nothing, from the first that is sent to the last that came back."""
    from cluster_scorers import quick

    from tito.catalog import read_catalog
    from tito.project import read_project
    from tito.services.grading.cluster.connection import connect
    from tito.services.grading.cluster.executor import Cluster
    from tito.services.grading.scoring.scorer import Task

    project = read_project(course)
    catalog = read_catalog(project)
    with connect(address) as connection:
        executor = Cluster(connection)
        executor.score = quick
        sandbox = executor.sandbox(project)
        with executor.kit(project, catalog, catalog.find(MODULE), sandbox=sandbox) as kit:
            list(executor.run(kit, (Task(f"warm{number}", b"") for number in range(10))))
            start = time.perf_counter()
            done = sum(1 for _ in executor.run(kit, (Task(f"s{number}", b"") for number in range(count))))
            seconds = time.perf_counter() - start
    assert done == count
    return {"count": count, "seconds": seconds}


def cluster_lines(data):
    yield f"{data['submissions']} submissions of {MODULE}, {data['cores']} cores, load before {data['load']:.1f}"
    for what, found in data["class"].items():
        yield f"{what:28}{found['seconds']:8.1f} s{per_minute(found):10.1f} a minute"
    for number in ("1 thread, no scheduler", "2 threads, no scheduler"):
        with_it = number.replace("threads", "workers").replace("thread", "worker").partition(",")[0]
        ratio = data["class"][with_it]["seconds"] / data["class"][number]["seconds"]
        yield f"{with_it} against {number}: {ratio:.2f} of its time"
    short = data["short"]
    each = 1e3 * short["seconds"] / short["count"]
    yield f"{short['count']} tasks that do nothing: {short['seconds']:.1f} s, {each:.1f} ms each"


def time_nbgrader(course, assignments, students, *, measure):
    """nbgrader on a copy of the folder, against the same package: the exports below the module."""
    from tito.catalog import read_catalog
    from tito.project import read_project
    from tito.services import views

    project = read_project(course)
    catalog = read_catalog(project)
    with (
        tempfile.TemporaryDirectory(prefix="nbgrader-") as temporary,
        views.view(project, catalog.prerequisites(catalog.find(MODULE))) as view,
    ):
        folder = Path(temporary) / "assignments"
        shutil.copytree(assignments, folder, ignore=shutil.ignore_patterns(".tito"))
        for path in (folder / "submitted").iterdir():
            if path.name not in students:
                shutil.rmtree(path)
            elif not measure:
                file = path / MODULE / f"{NOTEBOOK}.ipynb"
                notebook = json.loads(file.read_text(encoding="utf-8"))
                tagged = lambda cell: "measure" in cell["metadata"].get("tags", [])
                notebook["cells"] = [cell for cell in notebook["cells"] if not tagged(cell)]
                file.write_text(json.dumps(notebook), encoding="utf-8")
        package = {**environment(view), "TINYTORCH_VIEW": str(view), "MPLBACKEND": "agg"}
        package["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        command = [sys.executable, "-m", "nbgrader", "autograde", MODULE, f"--db=sqlite:///{folder}/gradebook.db"]
        found, code, said = run(command, folder, package)
        assert code == 0, said[-3000:]
        return {**found, "count": len(students), "scores": scores(folder / "gradebook.db")}


def scores(gradebook):
    """{student: {name of a test cell: points}} of a gradebook."""
    query = """
        SELECT submitted_assignment.student_id, base_cell.name, grade.auto_score
        FROM grade JOIN base_cell ON grade.cell_id = base_cell.id
        JOIN grade_cells ON grade_cells.id = base_cell.id
        JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id
        JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id
        WHERE grade_cells.cell_type = 'code'"""
    found = {}
    with contextlib.closing(sqlite3.connect(gradebook)) as book:
        for student, cell, points in book.execute(query):
            found.setdefault(student, {})[cell] = points
    return found


def differences(ours, theirs, kinds):
    """Where two gradebooks disagree about a test cell of a student whom both graded."""
    return [
        f"{student} ({kinds[student]}), {cell}: tito {ours[student].get(cell)}, nbgrader {points}"
        for student in sorted(theirs)
        for cell, points in sorted(theirs[student].items())
        if ours[student].get(cell) != points
    ]


# --- The run --------------------------------------------------------------------------------------------------------


def measure(options):
    import numpy

    with tempfile.TemporaryDirectory(prefix="grading-") as temporary:
        course = make_course(Path(temporary).resolve() / "course")
        kinds = submissions(course, options.count)
        fresh = Path(temporary) / "fresh"  # nbgrader begins with a gradebook that tito has not written
        shutil.copytree(course / "assignments", fresh)
        sample = sorted(kinds)[: options.sample or options.count]
        data = {
            "machine": {"python": platform.python_version(), "numpy": numpy.__version__, "cores": os.cpu_count(),
                        "load": os.getloadavg()[0]},
            "submissions": options.count,
            "sample": len(sample),
            "tito": time_tito(course, options.count, options.jobs),
        }  # fmt: skip
        ours = scores(course / "assignments" / "gradebook.db")
        if options.one_sandbox:
            data["one sandbox"] = time_tito(course, options.count, options.jobs, one_sandbox=True)
        variants = {"as they are": True, "without measure cells": False}
        for name, with_measure in variants.items():
            if options.tito_only or options.only and options.only != name.split()[0]:
                continue
            theirs = time_nbgrader(course, fresh, sample, measure=with_measure)
            compared = theirs.pop("scores")
            data.setdefault("nbgrader", {})[name] = theirs
            data.setdefault("differences", {})[name] = differences(ours, compared, kinds)
            data["compared"] = sum(len(cells) for cells in compared.values())
        if options.growth:
            submissions(course, options.growth, first=options.count)
            data["growth"] = time_tito(course, options.growth, options.jobs)
        return data


def per_minute(found):
    return 60 * found["count"] / found["seconds"]


def lines(data):
    yield f"{data['submissions']} submissions of {MODULE}, {data['machine']['cores']} cores"
    head = (("seconds", 10), ("CPU s each", 12), ("graded", 8), ("a minute", 10))
    head += (("RSS MB", 9), ("PSS MB", 9), ("tito's speed", 14))
    yield " " * 46 + "".join(f"{word:>{width}}" for word, width in head)
    ours = data["tito"]
    name = f"tito, sandbox {ours['isolation']}, {ours['jobs']} jobs"
    yield row(name, ours)
    if "one sandbox" in data:
        yield row("tito, withheld tests with the others", data["one sandbox"])
    for name, theirs in data.get("nbgrader", {}).items():
        speed = per_minute(ours) / per_minute(theirs)
        yield f"{row(f'nbgrader, one process, {name}', theirs)}{speed:13.1f}x"
    if data["sample"] < data["submissions"]:
        yield f"nbgrader graded the first {data['sample']} only"
    yield f"at least {AT_LEAST}x is asked for, {AIM}x aimed at"
    for name, found in data.get("differences", {}).items():
        yield f"scores of {data['compared']} test cells, {name}: {len(found)} differ"
        yield from (f"    {text}" for text in found[:20])
    if "growth" in data:
        more = data["growth"]
        yield row(f"tito, {more['count']} more", more)
        each = more["seconds"] / more["count"], ours["seconds"] / ours["count"]
        yield f"seconds a submission: {each[1]:.2f} for {ours['count']}, {each[0]:.2f} for {more['count']} more"
    here = data["machine"]
    yield f"Python {here['python']}, NumPy {here['numpy']}, load before {here['load']:.1f}"


def row(name, found):
    each = found["processor"] / found["count"]
    numbers = f"{found['seconds']:10.1f}{each:12.2f}{found['count']:8}{per_minute(found):10.1f}"
    return f"{name:46}{numbers}{found['peak'] / 1e6:9.0f}{found['peak, shared once'] / 1e6:9.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="submissions (100)")
    parser.add_argument("--jobs", type=int, default=2, help="submissions at once, for tito (2)")
    parser.add_argument("--sample", type=int, default=0, help="nbgrader grades only the first N")
    parser.add_argument("--growth", type=int, default=0, help="tito grades N more afterwards, for example 500")
    parser.add_argument(
        "--only", choices=("as", "without"), help="nbgrader only on the submissions as they are/without"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured")
    parser.add_argument("--one-sandbox", action="store_true", help="what a sandbox for withheld tests costs")
    parser.add_argument("--tito-only", action="store_true", help="without nbgrader")
    parser.add_argument("--cluster", action="store_true", help="workers of a Dask scheduler instead of nbgrader")
    options = parser.parse_args()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    data = measure_cluster(options) if options.cluster else measure(options)
    if options.json:
        options.json.write_text(json.dumps(data, indent=1), encoding="utf-8")
    print("\n".join((cluster_lines if options.cluster else lines)(data)))


if __name__ == "__main__":
    main()
