"""The systems gate: ratios of times and of memory beside PyTorch, against the bounds that the benchmarks state."""

import importlib.util
import json
import os
import subprocess
import sys

from tito.services.check.gates import Breach, NotDecided, NotHere

# programs of benchmarks/ and what to run of them, about two minutes together
RUNS = (
    ("spatial.py", ("conv 3→32", "max pool", "recorded adds", "peak extra memory")),
    ("transformer.py", ("layer_norm", "GELU", "peak extra memory")),
)
ONE_THREAD = {"TINYTORCH_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def speed(checked):
    if importlib.util.find_spec("torch") is None:
        raise NotHere("PyTorch is not installed: pip install -e '.[dev]'")
    late, found = [], []  # times, which another process can spoil, and all else
    for program, names in RUNS:
        path = checked.project.root / "benchmarks" / program
        for name in names:
            command = f"python benchmarks/{program} --only '{name}'"
            for is_time, breach in _missed(checked.label(path), command, _run(path, name)):
                (late if is_time else found).append(breach)
    if late and not found and (busy := _busy()):
        raise NotDecided(f"{late[0].what}; but {busy}")
    yield from found + late


def _busy():
    """In words, why times decide nothing here: others compute beside us. "" where they do not, or nobody knows."""
    if os.environ.get("CI"):
        return "CI does not have its machine for itself"
    load, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0, os.cpu_count() or 1
    return f"the machine is busy, {load:.1f} processes on {cores} cores" if load > 2 * cores else ""


def _missed(file, command, said):
    """(whether it is a time, Breach) of what `said`, a benchmark's document or its last words, has above its bounds."""
    if isinstance(said, str):
        yield False, Breach(file, None, f"it does not run: {said}", command)
        return
    found = [
        (f"{row}, malloc {setting}", "time", one["ratio"], one["at_most"])
        for setting, rows in said["rows"].items()
        for row, one in rows.items()
    ]
    if "memory" in said:
        found.append(("peak extra memory", "memory", said["memory"]["ratio"], said["memory"]["at_most"]))
    bounded = [one for one in found if one[-1] is not None]
    if not bounded:
        yield False, Breach(file, None, "nothing that it measured has a bound", f"{command}   (is there such a row?)")
    for row, what, ratio, at_most in bounded:
        if ratio > at_most:
            shown = f"{row}: {ratio:.2f} of PyTorch's {what}; at most {at_most:g}"
            yield what == "time", Breach(file, None, shown, f"on a quiet machine: {command}")


def _run(path, name):
    """What the benchmark at `path` measures where its rows are called `name`, by the processor's clock."""
    command = [sys.executable, str(path), "--json", "--cpu", "--only", name]
    done = subprocess.run(
        command, cwd=path.parents[1], env={**os.environ, **ONE_THREAD}, capture_output=True, encoding="utf-8",
        check=False,
    )  # fmt: skip
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return json.loads(done.stdout)
