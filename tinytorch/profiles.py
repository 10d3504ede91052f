"""What watches the operations of a block, adds up what they cost, and writes it down; module 14 brings the counts."""

import json
import math
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

LOOKUPS = ("embedding", "index")  # they read no more than they hand over


class Row(NamedTuple):
    """One call of an operation ("forward") or of its rule ("backward"), or the sum of several.

    start, seconds: from the beginning of the block. shapes: of the operation's inputs, None where there is none.
    """

    name: str
    way: str
    calls: int
    start: float
    seconds: float
    flops: int
    bytes: int
    shapes: tuple = ()
    thread: int = 0


class Recorder:
    """A context that watches every operation of a block, forward and backward; `Profile` of module 14 is one.

    op: the class Op with the observer's slot. flops_of(name, arrays, out, settings, backward) and
    bytes_of(inputs, outputs) count. An operation that has an attribute `flops`, a function (arrays, out, settings,
    backward), states its cost itself, and flops_of is not asked. rows: a Row for each call, in order. seconds: the time
    of the block, that of counting left out. On the way back the incoming gradient and the inputs are taken as read, the
    gradients as written.
    An operation that runs others has only the time between them in its own row.

    Raises RuntimeError where somebody else observes already, for a clock that stands still, for a block in which no
    operation ran, and for a table of a block that has not ended.
    """

    def __init__(self, op, flops_of, bytes_of, clock=time.perf_counter):
        self._op, self._flops_of, self._bytes_of, self._clock = op, flops_of, bytes_of, clock
        self.rows, self.seconds, self._start = [], 0.0, 0.0
        self._counting = self._inside = 0.0  # seconds of counting so far, and of operations inside the present one

    def __enter__(self):
        if self._op.observer is not None:
            raise RuntimeError(f"{type(self).__name__}: somebody observes the operations already")
        self.rows, self.seconds, self._counting, self._inside, self._start = [], 0.0, 0.0, 0.0, self._clock()
        self._op.observer = self._observe
        return self

    def __exit__(self, kind, error, traceback):
        self._op.observer, self.seconds = None, self._clock() - self._start - self._counting
        if kind is None and not self.rows:
            raise RuntimeError(f"{type(self).__name__}: no operation ran in this block")
        if kind is None and not self.seconds > 0:
            clock = f"the clock stands still, {self.seconds} s for {len(self.rows)} operations"
            raise RuntimeError(f"{type(self).__name__}: {clock}")

    def _observe(self, op, function, arguments, settings):
        around, self._inside = self._inside, 0.0
        begin = self._clock()
        start = begin - self._start - self._counting
        results = function(*arguments, **settings)
        end = self._clock()
        seconds = end - begin - self._inside
        self.rows.append(self._row(op, function is op.rule, arguments, results, settings, start, seconds))
        done = self._clock()
        self._counting += done - end
        self._inside = around + done - begin
        return results

    def _row(self, op, backward, arguments, results, settings, start, seconds):
        name, own_count = op.__name__, getattr(op, "flops", None)
        several = results if isinstance(results, (tuple, list)) else (results,)
        outputs = [np.asarray(x) for x in several if x is not None]
        inputs = arguments[2:] if backward else arguments  # a rule gets (grad, out, *inputs)
        counted = inputs, arguments[1] if backward else outputs[0], settings, backward
        flops = self._flops_of(name, *counted) if own_count is None else own_count(*counted)
        moved = self._bytes_of((arguments[0], *inputs) if backward else inputs, outputs)
        if name in LOOKUPS and moved and not backward:
            moved = 2 * self._bytes_of((), outputs)
        shapes = tuple(None if x is None else np.shape(x) for x in inputs)
        way = "backward" if backward else "forward"
        return Row(name, way, 1, start, seconds, flops, moved, shapes, threading.get_ident())

    def total(self, name=None, way=None):
        """The Row that sums those of one operation, of one way, or all."""
        rows = [row for row in self.rows if name in (None, row.name) and way in (None, row.way)]
        start = min((row.start for row in rows), default=0.0)
        sums = [sum(getattr(row, what) for row in rows) for what in ("calls", "seconds", "flops", "bytes")]
        return Row(name or "all", way or "both", sums[0], start, *sums[1:])

    def by_operation(self):
        """A Row for each operation and way, those that took longest first."""
        kinds = dict.fromkeys((row.name, row.way) for row in self.rows)
        return sorted((self.total(*kind) for kind in kinds), key=lambda row: -row.seconds)

    def table(self, limit=10):
        """The operations that took longest, as text; its last line says how much of the block they all are."""
        if not self.seconds > 0:
            advice = "the time of the block is not known before it ends; call table() below the `with`"
            raise RuntimeError(f"{type(self).__name__}.table: {advice}")
        heads = f"{'calls':>6}{'ms':>9}{'share':>7}{'MFLOP':>10}{'GFLOP/s':>9}{'MB':>9}{'FLOP/B':>8}"
        lines = [f"{'operation':18}{'way':10}{heads}"]
        for row in [*self.by_operation()[:limit], self.total()]:
            rate = row.flops / row.seconds / 1e9 if row.seconds else math.nan
            intensity = row.flops / row.bytes if row.bytes else math.nan
            lines.append(
                f"{row.name:18}{row.way:10}{row.calls:6}{row.seconds * 1e3:9.2f}{row.seconds / self.seconds:7.0%}"
                f"{row.flops / 1e6:10.2f}{rate:9.2f}{row.bytes / 1e6:9.2f}{intensity:8.2f}"
            )
        share = self.total().seconds / self.seconds
        outside = "the rest is outside of operations: the engine, the optimizer, Python"
        said = f"{share:.0%}" if share >= 0.9 else f"only {share:.0%}"
        lines.append(f"operations take {said} of {self.seconds * 1e3:.1f} ms{'' if share >= 0.9 else '; ' + outside}")
        return "\n".join(lines)

    def trace_events(self):
        """The rows as complete events of the trace-event format, times in microseconds."""
        return [
            {
                "name": row.name, "cat": row.way, "ph": "X", "ts": row.start * 1e6, "dur": row.seconds * 1e6,
                "pid": 1, "tid": row.thread,
                "args": {"flops": row.flops, "bytes": row.bytes, "shapes": str(row.shapes)},
            }
            for row in self.rows
        ]  # fmt: skip

    def save_trace(self, path):
        """Write the trace to `path` as JSON, for https://ui.perfetto.dev."""
        trace = {"traceEvents": self.trace_events(), "displayTimeUnit": "ms"}
        Path(path).write_text(json.dumps(trace), encoding="utf-8")
