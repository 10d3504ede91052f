"""What both programs of a race do: read a request from a pipe, let a model answer, write its numbers back.

A frame is four bytes of length and so many bytes; the first of them says what it is.
request   I  float32 images (n, 1, 8, 8)   -> their logits (n, 10)
          S  nothing: a new text begins    -> no numbers
          T  int32, the id of a token      -> the logits of the next one
          E  as I or T, behind its letter  -> as many zeros, without a model: what the pipe costs
answer    R  nothing: ready     L  float32 numbers     X  text: what went wrong
"""

import os
import struct

LENGTH = struct.Struct("<I")
SIDE, CLASSES = 8, 10
MESSAGE = 2_000


class Line:
    """The pipe to whoever measures, on descriptors that no print of a model reaches."""

    def __init__(self):
        self.reading, self.writing = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        os.close(nothing)

    def receive(self):
        return self._exactly(LENGTH.unpack(self._exactly(LENGTH.size))[0])

    def send(self, letter, data=b""):
        left = memoryview(LENGTH.pack(len(data) + 1) + letter + data)
        while left:
            left = left[os.write(self.writing, left) :]

    def fail(self, error):
        self.send(b"X", f"{type(error).__name__}: {error}"[:MESSAGE].encode("utf-8", "replace"))

    def _exactly(self, size):
        parts = []
        while size:
            part = os.read(self.reading, min(size, 1 << 20))
            if not part:  # whoever measured is done
                os._exit(0)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def serve(line, read, start=None, step=None, vocabulary=0):
    """Answer requests for ever. read(images) -> logits; start() and step(id) -> logits of the next token."""
    import numpy as np

    def images_in(data):
        return np.frombuffer(data, np.float32).reshape(-1, 1, SIDE, SIDE)

    def answer(letter, data):
        if letter == b"I":
            return read(images_in(data).copy())
        if letter == b"S":
            start()
            return b""
        if letter == b"T":
            return step(int.from_bytes(data, "little"))
        if data[:1] == b"I":
            return np.zeros((len(images_in(data[1:])), CLASSES), np.float32)
        return np.zeros(vocabulary, np.float32)

    while True:
        frame = line.receive()
        try:
            numbers = answer(frame[:1], frame[1:])
            line.send(b"L", np.ascontiguousarray(numbers, np.float32).tobytes() if len(numbers) else b"")
        except Exception as error:
            line.fail(error)
