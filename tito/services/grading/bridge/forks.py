"""A program that forks: it has imported and read what every child needs, and each child has one submission.

Nothing of a submission reaches the program itself, so every child begins as the first one did. It is told what to do
over a socket: some descriptors mean a new child for them, eight bytes the number of a child that is to end. Each is
answered by eight bytes, the number of the child. When the socket is closed, all children end, and the program does.
"""

import contextlib
import gc
import os
import signal
import socket
import struct

NUMBER = struct.Struct("<q")
READY = NUMBER.pack(0)


def serve(control, count, work):
    """Fork a child that does work(*descriptors) each time that `count` descriptors come on the socket `control`."""
    children = set()
    gc.collect()
    gc.freeze()  # what is here stays: a collection in a child would copy all of its pages
    control.sendall(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, NUMBER.size, count)
        for number in list(children):
            _reap(children, number, os.WNOHANG)
        if not message:
            break
        if not descriptors:
            number = NUMBER.unpack(message)[0]
            _end(children, number)
        elif (number := os.fork()) == 0:
            try:
                control.close()
                work(*descriptors)
            finally:
                os._exit(0)
        else:
            children.add(number)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            control.sendall(NUMBER.pack(number))
    for number in list(children):
        _end(children, number)


def _end(children, number):
    if number in children:  # until it is waited for, its number is no other process's
        os.kill(number, signal.SIGKILL)
        _reap(children, number, 0)


def _reap(children, number, options):
    if os.waitpid(number, options)[0]:
        children.discard(number)
