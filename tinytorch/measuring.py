"""What a benchmark needs besides a clock: Student's t, a machine to practise on, a record of what was measured."""

import datetime
import functools
import json
import math
import os
import platform
import statistics
from pathlib import Path

import numpy as np

from tinytorch.checkpoints import write_atomically
from tinytorch.threads import thread_count


def z_critical(confidence):
    """The z with P(|Z| ≤ z) = confidence for the standard normal distribution."""
    return statistics.NormalDist().inv_cdf((1 + confidence) / 2)


@functools.lru_cache(maxsize=1024)
def t_critical(confidence, freedom):
    """The t with P(|T| ≤ t) = confidence for Student's t with `freedom` degrees of freedom, an integer from 1 on.

    By bisection on the angle θ = arctan(t / √freedom), in which the probability is a finite sum (Abramowitz and Stegun,
    *Handbook of Mathematical Functions*, 1964, 26.7.3 and 26.7.4). Raises ValueError for a confidence outside of 0 … 1
    and for fewer degrees than 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"t_critical: a confidence lies between 0 and 1, not at {confidence}")
    if freedom < 1 or freedom != int(freedom):
        raise ValueError(f"t_critical: degrees of freedom are a positive integer, not {freedom}")
    low, high = 0.0, math.pi / 2
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, int(freedom)) < confidence else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def _within(angle, freedom):
    """P(|T| ≤ tan(angle) · √freedom)."""
    sine, squared = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term = total = math.cos(angle) if odd else 1.0
    for k in range(2 if odd else 1, freedom - 2, 2):
        term *= squared * k / (k + 1)
        total += term
    if not odd:
        return sine * total
    return 2 / math.pi * (angle + (sine * total if freedom > 1 else 0.0))


class SimulatedMachine:
    """A machine whose programs take time on a clock of its own, with the noise of a real one; nothing waits.

    generator: draws all chance. Each call takes its program's seconds, times exp(noise · a normal number), times 1 ±
    drift in a slow wave over all calls, and with probability `disturbed` three times as long. cold: how many times as
    long a program's first call takes; what it takes more halves with each call.
    """

    def __init__(self, generator, noise=0.05, drift=0.2, disturbed=0.02, cold=1.0):
        self.generator, self.noise, self.drift, self.disturbed, self.cold = generator, noise, drift, disturbed, cold
        self.now, self.calls, self.phase = 0.0, 0, 2 * math.pi * generator.random()

    def clock(self):
        """Seconds since the machine was made."""
        return self.now

    def program(self, seconds):
        """A function of anything that takes about `seconds`, and returns nothing."""
        calls = 0

        def run(*_):
            nonlocal calls
            factor = math.exp(self.noise * self.generator.normal())
            factor *= 1 + self.drift * math.sin(self.phase + self.calls / 40)
            factor *= 3 if self.generator.random() < self.disturbed else 1
            factor *= 1 + (self.cold - 1) * 0.5**calls
            calls += 1
            self.calls += 1
            self.now += seconds * factor

        return run


def machine_record():
    """What has to stand beside every measured number: a dictionary of machine, software and load, for a results file.

    threads: those that `map_blocks` uses. BLAS, which multiplies matrices, has its own number (OPENBLAS_NUM_THREADS).
    load: the processes that ran or waited, on average over the last minute; None where the system does not say.
    """
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):
        load = None
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        "processor": _processor(),
        "system": platform.platform(),
        "cores": os.cpu_count() or 1,
        "threads": thread_count(),
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "load": load,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _processor():
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _lines(path):
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
POSITIVE, NUMBER = {"type": "number", "exclusiveMinimum": 0}, {"type": "number"}


def _object(required, **optional):
    known = {**required, **optional}
    return {"type": "object", "properties": known, "required": list(required), "additionalProperties": False}


MACHINE = dict.fromkeys(("processor", "system", "blas", "python", "numpy", "time"), TEXT)
MACHINE |= {"cores": COUNT, "threads": COUNT, "load": {"type": ["number", "null"]}}
SECONDS = _object({"median": POSITIVE, "lower": POSITIVE, "upper": POSITIVE})
ROW = {
    "task": TEXT,
    "name": TEXT,
    "changes": {"type": "array", "items": TEXT},
    "seed": {"type": "integer"},
    "accuracy": {"type": "number", "minimum": 0, "maximum": 1},
    "bytes": COUNT,
    "ratio": SECONDS,
    "verdict": {"enum": ["reference", "faster", "slower", "not decided"]},
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Results of a benchmark of TinyTorch",
    **_object(
        {"format": {"const": 1}, "machine": _object(MACHINE), "rows": {"type": "array", "items": _object(ROW)}}
    ),
}
KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}


def check_results(results, schema=SCHEMA, place="results"):
    """Raise ValueError naming the place in `results` that does not follow SCHEMA.

    It knows what SCHEMA uses of JSON Schema, and no more.
    """
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and (isinstance(results, bool) or not any(isinstance(results, KINDS[kind]) for kind in kinds)):
        raise ValueError(f"{place}: {' or '.join(kinds)} is wanted, not {results!r}")
    if "const" in schema and results != schema["const"]:
        raise ValueError(f"{place}: {schema['const']!r} is wanted, not {results!r}")
    if "enum" in schema and results not in schema["enum"]:
        raise ValueError(f"{place}: one of {', '.join(schema['enum'])} is wanted, not {results!r}")
    if isinstance(results, (int, float)):
        bounds = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        inside = math.isfinite(results) and bounds[0] <= results <= bounds[1]
        if not inside or results <= schema.get("exclusiveMinimum", -math.inf):
            raise ValueError(f"{place}: {results!r} is out of bounds")
    if isinstance(results, list):
        for i, item in enumerate(results):
            check_results(item, schema.get("items", {}), f"{place}[{i}]")
    if isinstance(results, dict):
        known = schema.get("properties", {})
        wrong = [name for name in schema.get("required", []) if name not in results]
        wrong += [name for name in results if name not in known]
        if wrong:
            raise ValueError(f"{place}: {wrong[0]!r} is {'unknown' if wrong[0] in results else 'missing'}")
        for name, value in results.items():
            check_results(value, known[name], f"{place}.{name}")


def write_results(path, rows):
    """Write `rows`, dictionaries as SCHEMA has them, and the record of this machine to `path`, as JSON.

    Raises ValueError naming what does not follow SCHEMA; then nothing is written.
    """
    results = {"format": 1, "machine": machine_record(), "rows": rows}
    check_results(results)
    text = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def read_results(path):
    """The results in the file `path`. Raises ValueError naming file and place where they do not follow SCHEMA."""
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
        check_results(results)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return results
