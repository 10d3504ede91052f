"""Becomes another user for good, under a filter of system calls, and then a program. Started by root, without tito.

Arguments: the number of the user, the descriptor of a file with the filter, and the program with its own arguments.
"""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

SET_DEATH_SIGNAL, SET_SECCOMP, SET_NO_NEW_PRIVILEGES = 1, 22, 38  # prctl(2)
FILTER = 2
INSTRUCTION = 8  # bytes


class SocketFilter(ctypes.Structure):
    """struct sock_fprog: the kernel once filtered packets only."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def main():
    user, descriptor, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    with open(descriptor, "rb") as file:
        instructions = file.read()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(
            "1000", encoding="ascii"
        )  # where memory runs out, the submission goes and not the grader
    os.umask(0o077)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    kept = ctypes.create_string_buffer(instructions, len(instructions))
    control(SET_DEATH_SIGNAL, signal.SIGKILL)
    control(SET_NO_NEW_PRIVILEGES, 1)
    control(SET_SECCOMP, FILTER, ctypes.byref(SocketFilter(len(instructions) // INSTRUCTION, ctypes.addressof(kept))))
    os.execv(program[0], program)


def control(what, *values):
    """prctl(2). Raises OSError: a program without its filter does not start."""
    arguments = [value if isinstance(value, int) else ctypes.cast(value, ctypes.c_void_p).value for value in values]
    arguments += [0] * (4 - len(arguments))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(what), *map(ctypes.c_ulong, arguments)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({what})")


if __name__ == "__main__":
    main()
