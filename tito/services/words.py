"""How tito says amounts, on the terminal and on its pages."""

UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(seconds):
    """Seconds as people say them, in the two largest units: 2 d 3 h, 5 min."""
    said, left = [], int(seconds)
    for unit, length in UNITS:
        count, left = divmod(left, length)
        if count:
            said.append(f"{count} {unit}")
    return " ".join(said[:2]) or "0 s"


def count(number, thing):
    """How many of a thing: 1 answer, 2 answers."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def number(value):
    """A number as people write it: at most two decimals."""
    return "" if value is None else f"{round(float(value), 2):g}"


def numbers(names):
    """The numbers of modules: 01–05 for five in a row, 01, 03 for two that are none, – for no module."""
    parts = []
    for first, last in runs(int(name[:2]) for name in names):
        between = "–" if last > first + 1 else ", "
        parts.append(f"{first:02}" if first == last else f"{first:02}{between}{last:02}")
    return ", ".join(parts) or "–"


def modules(names):
    """A few modules by their names, more of them by their numbers."""
    return ", ".join(names) if len(names) <= 2 else numbers(names)


def runs(numbers):
    """[(first, last)] of the numbers that follow each other."""
    found = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found
