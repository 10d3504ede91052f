"""The program that reads submissions and judges what became of their cells: a child of its own for each of them.

It reads the kit, and then forks, see bridge/forks.py. A child inherits the kit, sets its limits, reads the one file
that comes on its socket, and answers questions about it until that is closed. Nothing of a submission is executed here,
but its JSON and its code are parsed, which can take any time and memory, or end the process: then one submission is
unreadable, and no other notices.

Arguments: the descriptor of the socket on which sockets come, the folder of the kit,
seconds of processor time for reading and for each question.
"""

import contextlib
import json
import socket
import sys
from pathlib import Path

from tito.errors import WorkError
from tito.services import uses
from tito.services.grading.bridge import forks
from tito.services.grading.bridge.wire import Closed, Pipe
from tito.services.grading.scoring import kits, reading


def main():
    control, seconds = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[3])
    kit = kits.load(Path(sys.argv[2]), None)
    for cell in kit.source.node.cells:
        uses.read(cell.source)  # remembered, and inherited by every child
    forks.serve(control, 1, lambda descriptor: _serve(kit, descriptor, seconds))


def _serve(kit, descriptor, seconds):
    """Read the submission that comes first, then answer what is asked about it."""
    import resource  # not on Windows, where nothing is scored

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (reading.MEMORY, reading.MEMORY))
    pipe = Pipe(descriptor, descriptor, reading.FRAME_BYTES)
    data = pipe.receive()
    _start_clock(seconds)
    try:
        found = reading.Reading(kit, data)
        answer = reading.read_as_json(found.read())
    except WorkError as error:
        answer = {"unreadable": error.message}
    except MemoryError:
        answer = {"ended": reading.LIMITS}
    del data
    pipe.send(json.dumps(answer).encode())
    work = {
        "waits": lambda position, late, passed: found.waits(position, late, passed),
        "verdicts": lambda outcomes: reading.verdicts_as_json(found.verdicts(reading.outcomes_from_json(outcomes))),
    }
    while True:
        try:
            question = json.loads(pipe.receive())
        except Closed:
            return
        _start_clock(seconds)
        try:
            answer = {"answer": work[question.pop("do")](**question)}
        except MemoryError:
            answer = {"ended": reading.LIMITS}
        except Exception as error:  # a fault of tito's, of which no other submission has to know
            answer = {"ended": f"{type(error).__name__}: {error}"[:300]}
        pipe.send(json.dumps(answer).encode())


def _start_clock(seconds):
    """The kernel ends the process after so many seconds of processor time from now."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + seconds
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
