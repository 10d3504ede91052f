"""What running a cell came to, whatever ran it: a kernel, a sandbox, a fork. Verdicts are read from it."""

from dataclasses import dataclass

MESSAGE_LENGTH = 4000  # characters of a message that is kept


@dataclass(frozen=True)
class Outcome:
    """What became of one cell.

    status: "ok"; "error", with the name and the message of the exception; "timeout"; "died", where the kernel ended
    in this cell; "skipped", where an earlier cell had ended the run. `message` says why for the last three.
    frames: (cell, line) of the exception's frames that are in cells, the innermost last, those of an exception that it
    was raised from first. cell: the cell that ended the run. Cells are counted from 0 among the cells that were to run,
    lines from 1.
    """

    status: str
    seconds: float = 0.0
    error: str = ""
    message: str = ""
    cell: int | None = None
    frames: tuple = ()
