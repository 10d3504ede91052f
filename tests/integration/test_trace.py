"""The trace of a profile is what the trace-event format asks for, so that Perfetto opens it."""

import json

import numpy as np
import pytest
from jsonschema import ValidationError, validate

from tinytorch import Tensor
from tinytorch.core.profiling import Profile

# Trace Event Format, complete events ("ph": "X"): the fields that have to be there, and their kinds
EVENT = {
    "type": "object",
    "required": ["name", "cat", "ph", "ts", "dur", "pid", "tid"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "cat": {"enum": ["forward", "backward"]},
        "ph": {"const": "X"},
        "ts": {"type": "number", "minimum": 0},
        "dur": {"type": "number", "minimum": 0},
        "pid": {"type": "integer"},
        "tid": {"type": "integer"},
        "args": {"type": "object"},
    },
}
TRACE = {
    "type": "object",
    "required": ["traceEvents"],
    "properties": {
        "traceEvents": {"type": "array", "minItems": 1, "items": EVENT},
        "displayTimeUnit": {"enum": ["ms", "ns"]},
    },
}


@pytest.fixture
def trace(tmp_path):
    x = Tensor(np.ones((3, 4)), requires_grad=True)
    with Profile() as profile:
        (x.exp() @ np.ones((4, 2))).sum().backward()
    profile.save_trace(tmp_path / "trace.json")
    return json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_a_trace_keeps_to_the_format(trace):
    validate(trace, TRACE)
    assert {event["cat"] for event in trace["traceEvents"]} == {"forward", "backward"}


def test_events_of_a_thread_do_not_overlap(trace):
    ends = [event["ts"] + event["dur"] for event in trace["traceEvents"]]
    starts = [event["ts"] for event in trace["traceEvents"]]
    assert all(end <= start + 1e-6 for end, start in zip(ends, starts[1:], strict=False))


@pytest.mark.parametrize("spoil", [
    lambda events: events.clear(), lambda events: events[0].pop("dur"), lambda events: events[0].update(ph="B"),
    lambda events: events[0].update(ts=-1), lambda events: events[0].update(name=3),
])  # fmt: skip
def test_what_breaks_the_format_is_noticed(trace, spoil):
    spoil(trace["traceEvents"])
    with pytest.raises(ValidationError):
        validate(trace, TRACE)
