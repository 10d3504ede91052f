"""No isolation at all: the program runs as the user, with limits where the system has them."""

import os
import sys
import tempfile
from pathlib import Path

from tito.services.grading.sandbox.process import Prepared

ADDRESS_SPACE = 2**30  # beyond the memory: stacks of threads and what libraries reserve and never touch
# tried one by one, because systems differ in what they have: dash and ash call -u -p, macOS has no -v
LIMITING = (
    "ulimit -c 0; ulimit -n {files}; ulimit -f {blocks}; ulimit -t {seconds}; ulimit -v {kilobytes} 2>/dev/null; "
    '{count}exec "$@"'
)
COUNTING = "ulimit -u {tasks} 2>/dev/null || ulimit -p {tasks}; "


def limited(program, limits, count_processes):
    """`program` below a shell that sets the limits of a process."""
    text = LIMITING.format(
        files=limits.files,
        blocks=limits.disk // 512,
        # processor time is a second net below the clock
        seconds=int(limits.seconds * (os.cpu_count() or 1)) + 2,
        kilobytes=(limits.memory + ADDRESS_SPACE) // 1024,
        count=COUNTING.format(tasks=limits.processes) if count_processes else "",
    )
    return ["/bin/sh", "-c", text, "sh", *program]


def base_environment():
    """What every sandboxed program gets, whatever the environment of tito is."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/home/student",
        "USER": "student",
        "LOGNAME": "student",
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }


class Plain:
    """Kind "none"."""

    def prepare(self, program, readable, limits, environment):
        scratch = Path(tempfile.mkdtemp(prefix="tito-submission-"))
        paths = {inside: outside for outside, inside in readable.items()}
        for folder, inside in (("work", "/work"), ("home", "/home/student")):
            (scratch / folder).mkdir()
            paths[inside] = str(scratch / folder)
        (scratch / "tmp").mkdir()
        variables = {**base_environment(), "TMPDIR": str(scratch / "tmp"), **environment}
        variables = {name: outside(value, paths) for name, value in variables.items()}
        if os.name == "nt":
            kept = ("SYSTEMROOT", "PATH", "COMSPEC", "PATHEXT")
            variables.update({name: os.environ[name] for name in kept if name in os.environ})
            variables.update(TEMP=variables["TMPDIR"], TMP=variables["TMPDIR"], USERPROFILE=variables["HOME"])
        interpreter, *arguments = program  # which is outside already, be it in a folder called /work
        command = [interpreter, *(outside(part, paths) for part in arguments)]
        return Prepared(
            command=limited(command, limits, count_processes=False) if os.name == "posix" else command,
            cwd=paths["/work"],
            environment=variables,
            own_group=True,
            watched=sys.platform == "linux",
            clean=(str(scratch),),
        )


def outside(text, paths):
    """`text` with paths inside the sandbox, one or several with colons between them, as they are outside."""
    parts = text.split(":")
    changed = [_one_outside(part, paths) for part in parts]
    return text if changed == parts else os.pathsep.join(changed)


def _one_outside(part, paths):
    for inside, path in sorted(paths.items(), key=lambda pair: -len(pair[0])):
        if part == inside or part.startswith(inside.rstrip("/") + "/"):
            return path + part[len(inside) :].replace("/", os.sep)
    return part
