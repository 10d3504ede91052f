"""Which cells of a notebook a test depends on, read from the code without running it.

A test depends on an answer when code that the test can reach names what the answer defines. Functions are followed
through the cells above the test and through the modules that the notebook imports. Of a class only those methods
count whose names, or operators, occur in code that is reached: Tensor's methods call every operation, and a test of
one of them must not depend on all the others.
"""

from tito.services.uses import Uses, is_always_asked_for, read


class Dependence:
    """What the cells of a notebook depend on.

    sources: of the cells, in order; modules: {name: source} of the course's modules that they may import.
    """

    def __init__(self, sources, modules=None):
        self.cells = [read(source) for source in sources]
        self.modules = {name: read(source) for name, source in (modules or {}).items()}
        self.bases, self.keepers = {}, {}
        for code in (*self.modules.values(), *self.cells):
            for method, attributes in code.keepers.items():
                self.keepers.setdefault(method, set()).update(attributes)

    def family(self, kind):
        """The names of a class, of those that it extends, and of those that extend it."""
        if not self.bases:
            for code in (*self.modules.values(), *self.cells):
                for name, one in code.definitions.items():
                    self.bases.setdefault(name, set()).update(one.bases)
        above = self._above(kind)
        return above | {name for name in self.bases if kind in self._above(name)}

    def _above(self, kind):
        found, waiting = set(), [kind]
        while waiting:
            if (one := waiting.pop()) not in found:
                found.add(one)
                waiting += self.bases.get(one, ())
        return found

    def needed(self, position, own=()):
        """The positions of the cells that the cell at `position` depends on. own: cells that count as its text."""
        reached = _Reached(self, position)
        reached.use(self.cells[position].runs)
        for one in own:
            reached.cells.add(one)
            reached.use(self.cells[one].runs)
            reached.use(Uses(set(self.cells[one].definitions)))
        reached.follow()
        return reached.cells - {position}


def read_modules(folder):
    """{name: source} of the modules that the package in `folder` has."""
    paths = sorted((folder / "tinytorch" / "core").glob("*.py"))
    return {path.stem: path.read_text(encoding="utf-8") for path in paths if path.stem != "__init__"}


class _Reached:
    """What can be reached from the cell at `position`, as far as it has been followed.

    home: the name of the module whose code it is, None for the notebook's.
    """

    def __init__(self, dependence, position):
        self.dependence, self.position = dependence, position
        self.cells, self.names = set(), set()
        self.asked = set()  # attributes, and (class, attribute)
        self.waiting = []  # (name, home of the code that asks for it)
        self.members = {}  # what nobody has asked for yet, as in `asked` -> [(Uses, home)]
        self.registrations = {}
        for code in dependence.cells[: position + 1]:
            for one in code.registrations:
                self.registrations.setdefault(one.name, []).append((one, None))
        for home, code in dependence.modules.items():
            for one in code.registrations:
                self.registrations.setdefault(one.name, []).append((one, home))

    def use(self, uses, home=None):
        self.waiting += [(name, home) for name in uses.names]
        for one in (uses.attributes | uses.own) - self.asked:
            self.asked.add(one)
            for member, its_home in self.members.pop(one, ()):
                self.use(member, its_home)

    def follow(self):
        while self.waiting:
            name, home = self.waiting.pop()
            if (name, home) in self.names:
                continue
            self.names.add((name, home))
            place, definition = self._definition(name, home)
            if definition is None or definition.is_foreign:
                continue
            home = None if isinstance(place, int) else place
            if home is None:
                self.cells.add(place)
            self.use(definition.uses, home)
            family = self.dependence.family(name) if definition.members else ()
            for attribute, uses in definition.members.items():
                self._member([attribute, *[(one, attribute) for one in family]], uses, home)
            for one, its_home in self.registrations.get(name, ()):
                self._member(one.attributes or self.dependence.keepers.get(one.through), one.uses, its_home)

    def _definition(self, name, home):
        """(number of the cell or name of the module, Definition) of what `name` means in the code of `home`."""
        if home is None:
            for place in range(self.position, -1, -1):
                found = self.dependence.cells[place].definitions.get(name)
                if found is not None:
                    return (place, found) if found.alias is None else self._imported(*found.alias)
            return None, None
        return self._imported(home, name)

    def _imported(self, home, name):
        for _ in self.dependence.modules:  # a chain of imports is no longer than that
            code = self.dependence.modules.get(home)
            found = code.definitions.get(name) if code else None
            if found is None or found.alias is None:
                return home, found
            home, name = found.alias
        return None, None

    def _member(self, attributes, uses, home):
        """Reach `uses` as soon as one of the attributes is asked for; at once where they are not known."""
        if not attributes or any(one in self.asked or is_always_asked_for(one) for one in attributes):
            self.use(uses, home)
            return
        for one in attributes:
            self.members.setdefault(one, []).append((uses, home))
