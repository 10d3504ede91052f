"""The systems gate: ratios of times and of memory beside PyTorch, against the bounds that the benchmarks state."""

import importlib.util
import json
import os
import subprocess
import sys

from tito.services.check.gates import Breach, NotHere

# programs of benchmarks/ and rows of theirs, about two minutes together
RUNS = (
    ("spatial.py", ("conv 3→32", "max pool", "recorded adds")),
    ("transformer.py", ("layer_norm", "GELU")),
)


def speed(checked):
    if importlib.util.find_spec("torch") is None:
        raise NotHere("PyTorch is not installed: pip install -e '.[dev]'")
    for program, names in RUNS:
        path = checked.project.root / "benchmarks" / program
        for name in names:
            for setting, rows in _rows(checked, path, name).items():
                for row, found in rows.items():
                    if found["at_most"] is not None and found["ratio"] > found["at_most"]:
                        yield Breach(
                            checked.label(path), None,
                            f"{row}, malloc {setting}: {found['ratio']:.2f} of PyTorch's time; at most "
                            f"{found['at_most']:g}",
                            f"on a quiet machine: python benchmarks/{program} --only '{name}'",
                        )  # fmt: skip


def _rows(checked, path, name):
    """{setting of malloc: {row: figures}} of the rows whose name contains `name`, by the processor's clock."""
    command = [sys.executable, str(path), "--json", "--cpu", "--only", name]
    environment = {**os.environ, "TINYTORCH_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=checked.project.root, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise NotHere(f"{path.name} does not run: {(done.stderr.strip().splitlines() or ['it says nothing'])[-1]}")
    return json.loads(done.stdout)["rows"]
