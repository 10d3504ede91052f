"""Values as bytes, for two processes of which one trusts nothing that the other sends.

Only plain values travel here: exact built-in types, NumPy scalars and dtypes, and types by name from a fixed list. What
is read from a frame is built, never run: no pickle, no import by name, no attribute by a name that came in.
"""

import builtins
import os
import re
import struct

from .protocol import Value

FRAME_BYTES = 64 * 2**20
DEPTH = 100
ITEMS = 2_000_000  # values in one frame
TEXT = 4000  # characters of a name or a message that is shown to people
DTYPE = re.compile(r"[<>|=][biufcSUmM]\d{1,4}(\[\d{0,9}[a-zA-Z]{1,3}\])?")
SCALAR_KINDS = "biufcmM"
LENGTH = struct.Struct("<I")
NUMBER = struct.Struct("<q")
FLOAT = struct.Struct("<d")
COMPLEX = struct.Struct("<dd")
SMALL = range(-(2**63), 2**63)

TYPES = ["bool", "int", "float", "complex", "str", "bytes", "bytearray", "memoryview", "object", "range", "slice"]
TYPES += ["tuple", "list", "dict", "set", "frozenset"]
# what a class of the sandbox may extend, so that its objects are compared by their content
EXTENDED = (tuple, list, dict, str, int, float)
# exceptions from outside `builtins` that come back as what they are
EXCEPTIONS = (
    "numpy.exceptions.AxisError",
    "numpy.exceptions.ComplexWarning",
    "numpy.linalg.LinAlgError",
    "json.decoder.JSONDecodeError",
    "zlib.error",
    "gzip.BadGzipFile",
    "struct.error",
    "zipfile.BadZipFile",
    "queue.Empty",
    "queue.Full",
    "copy.Error",
)


class Unreadable(Exception):
    """What came in is no message. The text says why, for people."""


class Closed(Exception):
    """The other process has ended."""


class Unsendable(TypeError):
    """A value that cannot cross."""


class Pipe:
    """Frames over a pair of file descriptors: four bytes of length, then so many bytes.

    limit: bytes of a frame; longest: of one that comes in, where that is less.
    """

    def __init__(self, reading, writing, limit=FRAME_BYTES, longest=None):
        self.reading, self.writing, self.limit = reading, writing, limit
        self.longest = longest or limit
        self.buffer = bytearray()

    def send(self, frame):
        if len(frame) > self.limit:
            raise Unsendable(f"a message of {len(frame):,} bytes is larger than {self.limit:,}")
        data = memoryview(LENGTH.pack(len(frame)) + frame)
        try:
            while data:
                data = data[os.write(self.writing, data) :]
        except OSError as error:
            raise Closed from error

    def receive(self):
        buffer = self.buffer
        self._fill(4)
        size = LENGTH.unpack_from(buffer)[0]
        if size > self.longest:
            raise Unreadable(f"a message of {size:,} bytes, more than {self.longest:,}")
        self._fill(4 + size)
        frame = bytes(buffer[4 : 4 + size])
        del buffer[: 4 + size]
        return frame

    def close(self):
        """Close both ends. From then on the other process counts as ended."""
        for descriptor in (self.reading, self.writing):
            os.close(descriptor)
        self.reading = self.writing = -1

    def _fill(self, size):
        while len(self.buffer) < size:
            try:
                chunk = os.read(self.reading, 1 << 16 if size < 1 << 16 else 1 << 20)
            except OSError as error:
                raise Closed from error
            if not chunk:
                raise Closed
            self.buffer += chunk


class Writer:
    """Puts values behind each other into `out`. What is no plain value goes to `other(writer, value)`."""

    def __init__(self, other):
        self.out = bytearray()
        self.other = other
        self.depth = 0

    def put(self, value):
        plain = PLAIN.get(type(value))
        if plain is None:
            self.other(self, value)
        else:
            plain(self, value)

    def tag(self, letter, *numbers):
        """A letter and the whole numbers that follow it."""
        self.out += letter
        for number in numbers:
            self.out += NUMBER.pack(number)

    def raw(self, data):
        self.out += LENGTH.pack(len(data))
        self.out += data

    def text(self, text):
        self.raw(text.encode("utf-8", "surrogatepass"))

    def items(self, values):
        """A count and the values."""
        if self.depth >= DEPTH:
            raise Unsendable(f"a value nested more than {DEPTH} deep")
        self.depth += 1
        self.out += LENGTH.pack(len(values))
        for value in values:
            self.put(value)
        self.depth -= 1


def _put_int(writer, value):
    if value in SMALL:
        writer.out += Value.INT + NUMBER.pack(value)
    else:
        writer.out += Value.LONG
        writer.raw(value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def _put_float(writer, value):
    writer.out += Value.FLOAT + FLOAT.pack(value)


def _put_complex(writer, value):
    writer.out += Value.COMPLEX + COMPLEX.pack(value.real, value.imag)


def _put_str(writer, value):
    writer.out += Value.STR
    writer.text(value)


def _put_bytes(writer, value):
    writer.out += Value.BYTES
    writer.raw(value)


def _collection(letter):
    def put(writer, value):
        writer.out += letter
        writer.items(list(value) if letter in (Value.SET, Value.FROZENSET) else value)

    return put


def _put_range(writer, value):
    writer.out += Value.RANGE
    writer.items((value.start, value.stop, value.step))


def _put_slice(writer, value):
    writer.out += Value.SLICE
    writer.items((value.start, value.stop, value.step))


CONSTANTS = {
    Value.NONE: None,
    Value.TRUE: True,
    Value.FALSE: False,
    Value.ELLIPSIS: ...,
    Value.NOT_IMPLEMENTED: NotImplemented,
}


def _constant(writer, value):
    writer.out += next(letter for letter, constant in CONSTANTS.items() if constant is value)


PLAIN = {
    bool: lambda writer, value: writer.tag(Value.TRUE if value else Value.FALSE),
    int: _put_int,
    float: _put_float,
    complex: _put_complex,
    str: _put_str,
    bytes: _put_bytes,
    bytearray: lambda writer, value: _put_bytes(writer, bytes(value)),
    tuple: _collection(Value.TUPLE),
    set: _collection(Value.SET),
    frozenset: _collection(Value.FROZENSET),
    range: _put_range,
    slice: _put_slice,
    type(None): _constant,
    type(...): _constant,
    type(NotImplemented): _constant,
}


def put_numpy(writer, value, np):
    """Put a NumPy scalar, a dtype or a type of the list; False where `value` is none of them."""
    if isinstance(value, np.generic) and value.dtype.kind in SCALAR_KINDS and type(value) is value.dtype.type:
        writer.out += Value.SCALAR
        writer.text(value.dtype.str)
        writer.raw(value.tobytes())
    elif isinstance(value, np.dtype) and is_plain(value):
        writer.out += Value.DTYPE
        writer.text(value.str)
    elif isinstance(value, type) and value in (names := known_names(np)):
        writer.out += Value.TYPE
        writer.text(names[value])
    else:
        return False
    return True


def is_plain(dtype):
    return DTYPE.fullmatch(dtype.str) is not None and dtype.fields is None and dtype.subdtype is None


class Reader:
    """Takes values out of a frame. `others`: {letter: function(reader) -> value} for what is no plain value."""

    def __init__(self, data, others, np):
        self.data, self.others, self.np = data, others, np
        self.place = self.depth = self.count = 0

    def letter(self):
        letter = self.data[self.place : self.place + 1]
        self.place += 1
        return letter

    def number(self):
        place = self.place
        self.place = place + 8
        try:
            return NUMBER.unpack_from(self.data, place)[0]
        except struct.error:
            raise Unreadable("a message that ends too early") from None

    def raw(self):
        place = self.place + 4
        try:
            size = LENGTH.unpack_from(self.data, self.place)[0]
        except struct.error:
            raise Unreadable("a message that ends too early") from None
        self.place = place + size
        if self.place > len(self.data):
            raise Unreadable("a message that ends too early")
        return self.data[place : self.place]

    def text(self):
        try:
            return self.raw().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise Unreadable("a text that is no text") from None

    def items(self, at_most=ITEMS):
        """The values behind a count."""
        try:
            size = LENGTH.unpack_from(self.data, self.place)[0]
        except struct.error:
            raise Unreadable("a message that ends too early") from None
        self.place += 4
        self.count += size
        if size > at_most or self.count > ITEMS:
            raise Unreadable("too many values in one message")
        if self.depth >= DEPTH:
            raise Unreadable(f"a value nested more than {DEPTH} deep")
        self.depth += 1
        values = [self.get() for _ in range(size)]
        self.depth -= 1
        return values

    def get(self):
        letter = self.letter()
        plain = READERS.get(letter)
        if plain is not None:
            return plain(self)
        if letter in CONSTANTS:
            return CONSTANTS[letter]
        other = self.others.get(letter)
        if other is None:
            raise Unreadable("a value of no known kind" if letter else "a message that ends too early")
        return other(self)

    def end(self):
        if self.place != len(self.data):
            raise Unreadable("a message that is too long")

    def three(self):
        values = self.items(3)
        if len(values) != 3:
            raise Unreadable("a range that is none")
        return values

    def dtype(self):
        text = self.text()
        if not DTYPE.fullmatch(text):
            raise Unreadable("a dtype that is none")
        try:
            return self.np.dtype(text)
        except (TypeError, ValueError):
            raise Unreadable("a dtype that is none") from None


def _get_float(reader):
    return _unpack(reader, FLOAT)[0]


def _get_complex(reader):
    return complex(*_unpack(reader, COMPLEX))


def _unpack(reader, form):
    try:
        values = form.unpack_from(reader.data, reader.place)
    except struct.error:
        raise Unreadable("a message that ends too early") from None
    reader.place += form.size
    return values


def _get_hashed(kind):
    def get(reader):
        try:
            return kind(reader.items())
        except TypeError:
            raise Unreadable("a set of what no set can hold") from None

    return get


def _get_range(reader):
    start, stop, step = reader.three()
    if not type(start) is type(stop) is type(step) is int or step == 0:
        raise Unreadable("a range that is none")
    return range(start, stop, step)


def _get_scalar(reader):
    dtype, data = reader.dtype(), reader.raw()
    if dtype.kind not in SCALAR_KINDS or len(data) != dtype.itemsize:
        raise Unreadable("a number that is none")
    return reader.np.frombuffer(data, dtype)[0]


def _get_known(reader):
    name = reader.text()
    try:
        return known_types(reader.np)[name]
    except KeyError:
        raise Unreadable("a name that is not on the list") from None


READERS = {
    Value.INT: Reader.number,
    Value.LONG: lambda reader: int.from_bytes(reader.raw(), "little", signed=True),
    Value.FLOAT: _get_float,
    Value.COMPLEX: _get_complex,
    Value.STR: Reader.text,
    Value.BYTES: Reader.raw,
    Value.TUPLE: lambda reader: tuple(reader.items()),
    Value.SET: _get_hashed(set),
    Value.FROZENSET: _get_hashed(frozenset),
    Value.RANGE: _get_range,
    Value.SLICE: lambda reader: slice(*reader.three()),
    Value.SCALAR: _get_scalar,
    Value.DTYPE: Reader.dtype,
    Value.TYPE: _get_known,
}

_known = {}


def known_types(np):
    """{name: type} of the types that both sides have, the same ones."""
    if not _known:
        for name in TYPES:
            _known[f"builtins.{name}"] = getattr(builtins, name)
        for value in vars(builtins).values():
            if isinstance(value, type) and issubclass(value, BaseException):
                _known[f"builtins.{value.__name__}"] = value
        for kind in set(np.sctypeDict.values()):
            if kind is not np.object_ and kind is not np.void:
                _known[f"numpy.{kind.__name__}"] = kind
        _known["types.NoneType"], _known["types.EllipsisType"] = type(None), type(...)
    return _known


def known_names(np):
    """{type: name} of the same types."""
    if "" not in _names:
        _names.update({kind: name for name, kind in known_types(np).items()})
        _names[""] = None
    return _names


_names = {}
