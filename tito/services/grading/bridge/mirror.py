"""Lists, dictionaries, arrays and random generators that two processes hold as one.

Each side keeps its own copy under a common number. The two take turns, so it is enough that every message begins with
what has changed since the last one: what a test writes into a parameter's array is there when the answer runs, and
what an answer does to its arguments shows in the test. Views of one block of memory stay views of one block.
"""

import math
import sys
from operator import is_

from .protocol import Change, Value
from .wire import Reader, Unreadable, Unsendable, Writer, is_plain, put_numpy

ARRAY_BYTES = 256 * 2**20
AXES = 64
SPARSE = 4  # a block this many times larger than what is wanted of it is not sent whole
SPARSE_BYTES = 65536


class Shared:
    """One object that both sides hold. seen: what the other side knows of its content."""

    def __init__(self, number, thing):
        self.number = number
        self.thing = thing
        self.seen = None

    def look(self):
        """What the other side has to know; compared with `seen`."""

    def differs(self):
        return False


class Sequence(Shared):
    """A list. Its elements are compared by identity: those that can change are shared things of their own."""

    def look(self):
        return tuple(self.thing)

    def differs(self):
        return len(self.thing) != len(self.seen) or not all(map(is_, self.thing, self.seen))

    def put(self, writer):
        writer.items(self.thing)

    def read(self, reader):
        self.thing[:] = reader.items()


class Mapping(Shared):
    def look(self):
        return (*self.thing.keys(), *self.thing.values())

    def differs(self):
        return len(self.thing) * 2 != len(self.seen) or not all(map(is_, self.look(), self.seen))

    def put(self, writer):
        writer.items(self.look())

    def read(self, reader):
        both = reader.items()
        half = len(both) // 2
        try:
            content = dict(zip(both[:half], both[half:], strict=True))
        except (TypeError, ValueError):
            raise Unreadable("a dictionary that is none") from None
        self.thing.clear()
        self.thing.update(content)


class Draws(Shared):
    """A numpy.random.Generator over PCG64: what it will draw is its state."""

    def look(self):
        state = self.thing.bit_generator.state
        return (state["state"]["state"], state["state"]["inc"], state["has_uint32"], state["uinteger"])

    def differs(self):
        return self.look() != self.seen

    def put(self, writer):
        writer.items(self.look())

    def read(self, reader):
        numbers = reader.items(4)
        if [type(one) for one in numbers] != [int] * 4:
            raise Unreadable("a random state that is none")
        first, second, flag, rest = numbers
        inner = {"state": first % 2**128, "inc": second % 2**128}
        state = {"bit_generator": "PCG64", "state": inner, "has_uint32": flag % 2, "uinteger": rest % 2**32}
        self.thing.bit_generator.state = state


class View(Shared):
    """An array; its content is that of its block."""


class Patch(Shared):
    """An array whose memory has gaps. Only its entries travel, not what lies between them.

    room: the same entries, writable, where the memory was made here for the other side's array.
    """

    room = None

    def look(self):
        return self.thing.tobytes()

    def differs(self):
        return self.look() != self.seen

    def put(self, writer):
        writer.raw(self.look())

    def read(self, reader):
        self.fill(reader.raw(), reader.np)

    def fill(self, data, np):
        own = self.thing if self.room is None else self.room
        if len(data) != own.nbytes:
            raise Unreadable("an array of another size")
        if own.flags.writeable:
            own[...] = np.frombuffer(data, own.dtype).reshape(own.shape)


class Block(Shared):
    """A piece of memory without gaps. thing: the array that lies in it, or a buffer of bytes."""

    def packed(self):
        return packed(self.thing)

    def look(self):
        return self.packed().tobytes()

    def differs(self):
        return self.look() != self.seen

    def put(self, writer):
        writer.raw(self.look())

    def read(self, reader):
        self.fill(reader.raw(), reader.np)

    def fill(self, data, np):
        own = self.packed()
        if len(data) != own.nbytes:
            raise Unreadable("an array of another size")
        if own.flags.writeable:
            own.reshape(-1).view("u1")[...] = np.frombuffer(data, "u1")


def packed(array):
    """`array` with its axes in the order of its memory, or None where that has gaps or is used twice."""
    if array.flags.c_contiguous:
        return array
    if array.flags.f_contiguous:
        return array.T
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    turned = array.transpose(order)
    turned = turned[tuple(slice(None, None, -1 if step < 0 else 1) for step in turned.strides)]
    return turned if turned.flags.c_contiguous else None


def _address(array):
    return array.__array_interface__["data"][0]


def _reach(shape, strides):
    """How far the entries of an array lie before and behind its first one, in bytes."""
    steps = [(length - 1) * step for length, step in zip(shape, strides, strict=True)]
    return sum(min(step, 0) for step in steps), sum(max(step, 0) for step in steps)


def _home(array, kind):
    """The array in whose memory `array` lies."""
    while True:
        base = array.base
        if type(base) is kind:
            array = base
        elif type(getattr(base, "base", None)) is kind and type(base).__name__ == "DummyArray":  # of as_strided
            array = base.base
        else:
            return array


class Mirror:
    """What one side knows about the things that both hold.

    step: +1 or -1, so that the numbers of the two sides never meet. whole: whether an array may take the rest of its
    block along (what a test does not hand over must not travel).
    """

    def __init__(self, np, step, whole):
        self.np, self.step, self.whole = np, step, whole
        self.last = 0
        self.shared, self.blocks = {}, {}
        self.numbers, self.block_numbers = {}, {}  # id of a thing -> its number
        self.spans = {}  # (address, bytes) of a block of one's own -> its number
        self.fresh = []
        generator = np.random.Generator
        self.kinds = {list: Sequence, dict: Mapping, np.ndarray: None, generator: Draws}
        readers = {
            Value.LIST: self._get_list,
            Value.DICT: self._get_dict,
            Value.GENERATOR: self._get_draws,
            Value.SHARED: self._get_known,
        }
        self.readers = readers | {
            Value.VIEW: self._get_view,
            Value.PATCH: self._get_patch,
            Value.EMPTY: self._get_empty,
        }
        # the references to a thing that nobody but this book holds
        probe = Shared(0, [])
        self.lonely = sys.getrefcount(probe.thing)

    def forget(self):
        """Nothing is shared any more."""
        self.shared, self.blocks, self.numbers, self.block_numbers, self.spans = {}, {}, {}, {}, {}

    def number(self):
        self.last += self.step
        return self.last

    # writing

    def writer(self):
        return Writer(self.put)

    def put(self, writer, value):
        """Put what is no plain value."""
        kind = type(value)
        if kind in self.kinds:
            known = self.numbers.get(id(value))
            if known is not None:
                writer.tag(Value.SHARED, known)
            elif kind is self.np.ndarray:
                self._put_array(writer, value)
            elif kind is self.np.random.Generator:
                self._put_draws(writer, value)
            else:
                self._put_new(writer, Value.LIST if kind is list else Value.DICT, self.kinds[kind], value)
        elif not put_numpy(writer, value, self.np):
            self.put_other(writer, value)

    def put_other(self, writer, value):
        raise Unsendable(f"a {type(value).__name__} cannot be sent")

    def _share(self, entry):
        self.shared[entry.number] = entry
        self.numbers[id(entry.thing)] = entry.number
        self.fresh.append((self.shared, self.numbers, entry))

    def _share_block(self, entry):
        self.blocks[entry.number] = entry
        self.block_numbers[id(entry.thing)] = entry.number
        self.fresh.append((self.blocks, self.block_numbers, entry))

    def take_back(self, mark):
        """Forget the things that were shared since `self.fresh` had the length `mark`: their message is not sent."""
        for book, numbers, entry in self.fresh[mark:]:
            book.pop(entry.number, None)
            numbers.pop(id(entry.thing), None)
        del self.fresh[mark:]

    def _put_new(self, writer, letter, kind, value):
        entry = kind(self.number(), value)
        self._share(entry)
        writer.tag(letter, entry.number)
        entry.seen = entry.look()
        entry.put(writer)

    def _put_draws(self, writer, value):
        if type(value.bit_generator) is not self.np.random.PCG64:
            self.put_other(writer, value)
        else:
            self._put_new(writer, Value.GENERATOR, Draws, value)

    def _put_array(self, writer, array):
        if not is_plain(array.dtype):
            raise Unsendable(f"an array of dtype {array.dtype} cannot be sent")
        if array.nbytes > ARRAY_BYTES:
            raise Unsendable(f"an array of {array.nbytes:,} bytes is too large to be sent")
        entry = View(self.number(), array)
        if not array.size:
            self._share(entry)
            writer.tag(Value.EMPTY, entry.number)
            self._put_form(writer, array, None)
            return
        block, new = self._block(array)
        if block is None:
            self._put_patch(writer, Patch(entry.number, array))
            return
        self._share(entry)
        writer.tag(Value.VIEW, entry.number, block.number, _address(array) - _address(block.packed()))
        self._put_form(writer, array, None if array.flags.c_contiguous else array.strides)
        writer.put(new)
        if new:
            block.seen = block.look()
            writer.raw(block.seen)

    def _block(self, array):
        """(the block that `array` lies in, whether it is new); (None, True) where its memory has gaps."""
        home = _home(array, self.np.ndarray)
        known = self.block_numbers.get(id(home))
        if known is not None:
            return self.blocks[known], False
        small = home.nbytes <= SPARSE * array.nbytes + SPARSE_BYTES
        if not (self.whole and small and packed(home) is not None and is_plain(home.dtype)):
            home = array
        within = packed(home)
        if within is None:
            return None, True
        span = (_address(within), within.nbytes)
        known = self.blocks.get(self.spans.get(span))
        if known is not None:  # what a block holds is alive, so that its memory cannot be another one's by now
            return known, False
        block = Block(self.number(), home)
        self._share_block(block)
        self.spans[span] = block.number
        return block, True

    def _put_form(self, writer, array, strides):
        writer.text(array.dtype.str)
        writer.put(array.shape)
        writer.put(strides)
        writer.put(array.flags.writeable)

    def _put_patch(self, writer, entry):
        self._share(entry)
        writer.tag(Value.PATCH, entry.number)
        self._put_form(writer, entry.thing, entry.thing.strides)
        entry.seen = entry.look()
        entry.put(writer)

    def put_changes(self, writer):
        """Put what changed here since the last message."""
        for letter, book in ((Change.BLOCK, self.blocks), (Change.SHARED, self.shared)):
            for entry in list(book.values()):
                if entry.differs():
                    entry.seen = entry.look()
                    writer.tag(letter, entry.number)
                    entry.put(writer)
        writer.tag(Change.END)

    # reading

    def reader(self, data):
        return Reader(data, self.readers, self.np)

    def get_changes(self, reader):
        while (letter := reader.letter()) != Change.END:
            if letter not in (Change.BLOCK, Change.SHARED):
                raise Unreadable("a message without a beginning")
            entry = (self.blocks if letter == Change.BLOCK else self.shared).get(reader.number())
            if entry is None or isinstance(entry, View):
                raise Unreadable("news of something that was never shared")
            self.read_change(entry, reader)

    def read_change(self, entry, reader):
        """Read what the other side has made of `entry`."""
        entry.read(reader)
        entry.seen = entry.look()

    def _theirs(self, reader):
        """The number of a new thing that the other side introduces."""
        number = reader.number()
        if number * self.step >= 0 or number in self.shared:
            raise Unreadable("something new under the number of another one")
        return number

    def _get_known(self, reader):
        try:
            return self.shared[reader.number()].thing
        except KeyError:
            raise Unreadable("something that was never shared") from None

    def _get_new(self, reader, kind, thing):
        entry = kind(self._theirs(reader), thing)
        self._share(entry)
        entry.seen = ()
        entry.read(reader)
        entry.seen = entry.look()
        return thing

    def _get_list(self, reader):
        return self._get_new(reader, Sequence, [])

    def _get_dict(self, reader):
        return self._get_new(reader, Mapping, {})

    def _get_draws(self, reader):
        return self._get_new(reader, Draws, self.np.random.Generator(self.np.random.PCG64(0)))

    def _get_form(self, reader):
        dtype, shape, strides, writeable = reader.dtype(), reader.get(), reader.get(), reader.get()
        size = dtype.itemsize
        if type(shape) is not tuple or len(shape) > AXES or not all(type(n) is int and n >= 0 for n in shape):
            raise Unreadable("an array without a shape")
        size *= math.prod(shape)
        if size > ARRAY_BYTES:
            raise Unreadable(f"an array of {size:,} bytes")
        if strides is not None:
            fits = type(strides) is tuple and len(strides) == len(shape)
            if not fits or not all(type(n) is int and abs(n) < 2**62 for n in strides):
                raise Unreadable("an array without strides")
        return dtype, shape, strides, writeable is True

    def _get_empty(self, reader):
        number = self._theirs(reader)
        dtype, shape, _, writeable = self._get_form(reader)
        if 0 not in shape and dtype.itemsize:
            raise Unreadable("an array without content")
        return self._new_view(number, self.np.empty(shape, dtype), writeable)

    def _new_view(self, number, array, writeable):
        array.flags.writeable = writeable and array.flags.writeable
        self._share(View(number, array))
        return array

    def _get_view(self, reader):
        number, place, offset = self._theirs(reader), reader.number(), reader.number()
        dtype, shape, strides, writeable = self._get_form(reader)
        if 0 in shape:
            raise Unreadable("an array without content")
        if reader.get() is True:
            if place * self.step >= 0 or place in self.blocks:
                raise Unreadable("something new under the number of another one")
            data = reader.raw()
            buffer = self.np.empty(len(data), "u1")
            buffer[...] = self.np.frombuffer(data, "u1")
            block = Block(place, buffer)
            block.seen = data
            self._share_block(block)
        try:
            within = self.blocks[place].packed()
            steps = strides or [dtype.itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
            low, high = _reach(shape, steps)
            # NumPy itself takes an offset before the beginning
            if offset + low < 0 or offset + high + dtype.itemsize > within.nbytes:
                raise ValueError
            array = self.np.ndarray(shape, dtype, within, offset, strides)
        except (KeyError, ValueError, TypeError, OverflowError):
            raise Unreadable("an array outside of its memory") from None
        return self._new_view(number, array, writeable)

    def _get_patch(self, reader):
        number = self._theirs(reader)
        dtype, shape, strides, writeable = self._get_form(reader)
        if strides is None or 0 in shape:
            raise Unreadable("an array without content")
        low, high = _reach(shape, strides)
        if high - low > ARRAY_BYTES:
            raise Unreadable("an array spread too far")
        buffer = self.np.zeros(high - low + dtype.itemsize, "u1")
        try:
            array = self.np.ndarray(shape, dtype, buffer, -low, strides)
        except (ValueError, TypeError):
            raise Unreadable("an array outside of its memory") from None
        entry = Patch(number, array)
        entry.room = array[...]
        self._share(entry)
        entry.read(reader)
        entry.seen = entry.look()
        array.flags.writeable = writeable
        return array

    # what is no longer needed

    def lonely_numbers(self):
        """Forget the things that nobody holds any more; the (letter, number) of each, for the other side.

        An array over memory that somebody else holds is kept: it may be looked at through another one.
        """
        gone = []
        for book, numbers, letter in (
            (self.shared, self.numbers, Change.SHARED),
            (self.blocks, self.block_numbers, Change.BLOCK),
        ):
            for entry in list(book.values()):
                both = book is self.shared and id(entry.thing) in self.block_numbers  # two entries hold it
                if sys.getrefcount(entry.thing) <= self.lonely + both and not self._is_borrowed(entry):
                    del book[entry.number], numbers[id(entry.thing)]
                    gone.append((letter, entry.number))
        return gone

    def _is_borrowed(self, entry):
        """Whether a test's own array, gone by now, showed memory that the test may still hold."""
        return entry.number * self.step > 0 and isinstance(entry, Block) and entry.thing.base is not None

    def release(self, letter, number):
        book, numbers = (self.shared, self.numbers) if letter == Change.SHARED else (self.blocks, self.block_numbers)
        entry = book.pop(number, None)
        if entry is not None:
            numbers.pop(id(entry.thing), None)
