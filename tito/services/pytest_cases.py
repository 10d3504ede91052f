"""A plugin of pytest: beside each failure it puts into the report what the case was and which lines were running."""

import json

import pytest

from tito.services.testing import PROPERTY

VALUE_LENGTH = 100


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and call.excinfo is not None:
        found = {"error": call.excinfo.typename, "message": str(call.excinfo.value), "case": _case(item)}
        found["frames"] = [_frame(entry) for entry in call.excinfo.traceback]
        item.user_properties.append((PROPERTY, json.dumps(found)))
    return report


def _case(item):
    """The parameters of a test: "size = 3, kind = 'naive'"."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return ", ".join(f"{name} = {_short(value)}" for name, value in parameters.items())


def _short(value):
    name = getattr(value, "__name__", None)
    text = " ".join((name if isinstance(name, str) else repr(value)).split())
    return text if len(text) <= VALUE_LENGTH else text[: VALUE_LENGTH - 2] + " …"


def _frame(entry):
    """(file, line, function, text of the line)."""
    try:
        text = str(entry.statement).strip()
    except Exception:
        text = ""
    return str(entry.path), entry.lineno + 1, entry.name, text
