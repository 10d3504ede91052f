"""What was measured, kept as one JSON file each, with a seal: what was edited, or comes from elsewhere, has none.

The seal is a keyed hash; the key lies beside the results and is never handed out. It keeps a ranking from believing a
file that somebody wrote by hand, not somebody who can read all files of the machine.
"""

import hashlib
import hmac
import json
import os
import platform
import secrets
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from tito.errors import ProjectError
from tito.services.files import atomic_write
from tito.services.grading.olympics.measure import Measured, Timing
from tito.services.grading.olympics.timing import Compared

SCHEMA = 1


@dataclass(frozen=True)
class KeptResult:
    """Something measured. who: a student's id, "" alone; at: ISO 8601; key: what it was measured with."""

    who: str
    at: str
    key: str
    machine: dict
    measured: Measured


def new_result(who, measured, key=""):
    return KeptResult(who, datetime.now().astimezone().isoformat(timespec="seconds"), key, machine(), measured)


def machine():
    """What a time depends on besides the program."""
    import numpy as np

    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "load": load,
    }


def write(path, result, seal_key):
    document = {"schema": SCHEMA, **asdict(result)}
    atomic_write(path, json.dumps({**document, "seal": _seal(document, seal_key)}, indent=1, ensure_ascii=False) + "\n")


def read(path, *keys):
    """The KeptResult in a file, sealed with one of the `keys`. Raises ValueError that says why it does not count."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        seal = str(document.pop("seal")).encode("utf-8", "replace")
        if not any(hmac.compare_digest(seal, _seal(document, key).encode()) for key in keys):
            raise ValueError("is not as this course's tito wrote it: it was edited, or measured elsewhere")
        if document.pop("schema") != SCHEMA:
            raise ValueError("was written by another version of tito")
        measured = document.pop("measured")
        timing = measured.pop("timing")
        if timing is not None:
            timing = Timing(**{**timing, "compared": Compared(**timing["compared"])})
        return KeptResult(**document, measured=Measured(**measured, timing=timing))
    except (OSError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"is no result of a measurement ({type(error).__name__}: {error})") from error


def read_folder(folder, *keys):
    """(KeptResults, [(file name, why it does not count)]) of the JSON files in `folder`."""
    results, refused = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            results.append(read(path, *keys))
        except ValueError as error:
            reason = "is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            refused.append((path.name, reason))
    return results, refused


def seal_key(path):
    """The key at `path`, made where there is none."""
    if not path.exists():
        atomic_write(path, secrets.token_hex(32) + "\n")
        path.chmod(0o600)
    key = path.read_text(encoding="ascii", errors="replace").strip()
    if len(key) < 32:
        raise ProjectError(f"{path} is no key", "delete it; what was measured so far then has to be measured again")
    return key


def as_data(result):
    """A KeptResult for --json, without the key that only tito needs."""
    measured = {field.name: getattr(result.measured, field.name) for field in fields(Measured)}
    if (timing := result.measured.timing) is not None:
        measured["timing"] = {**asdict(timing), "verdict": timing.compared.verdict}
    return {"who": result.who, "at": result.at, "machine": result.machine, **measured}


def _seal(document, key):
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
