"""Which of the files that a student handed in is the notebook? As `tito grade collect` decides it, for one student."""

import json
from dataclasses import dataclass

from tito.errors import WorkError
from tito.services.files import digest
from tito.services.grading.intake.archives import walk
from tito.services.grading.intake.recognise import Finder, has_answers_of, is_notebook

NAMED = 10


@dataclass(frozen=True)
class Known:
    """A module, as far as it has to be recognised."""

    name: str
    short: str


def remembered(finder):
    """What a Finder knows, as JSON."""
    modules = [[module.name, module.short] for module in finder.modules.values()]
    return json.dumps({"modules": modules, "own": {name: sorted(ids) for name, ids in finder.own.items()}})


def recalled(text):
    found = json.loads(text)
    own = {name: set(ids) for name, ids in found["own"].items()}
    return Finder([Known(*one) for one in found["modules"]], own)


def notebook(folder, finder, name, handed):
    """The bytes of the notebook of module `name` in `folder`. handed: the notebook as it was handed out.

    Raises WorkError (code "no-notebook" or "several-notebooks") with the files that are there.
    """
    found, others = {}, []
    for file in walk(folder):
        path = file.path.partition("/")[2] or file.path
        if file.refused:
            others.append(f"{path} {file.refused}")
        elif not is_notebook(file.path, file.data):
            others.append(f"{path} is no notebook")
        else:
            module = finder.by_content(file.data) or finder.by_name(path) or finder.modules[name]
            if module.name == name:
                found.setdefault(digest(file.data), (path, file.data))
            else:
                others.append(f"{path} is a notebook of {module.name}")
    worked = [one for one in found.values() if not has_answers_of(one[1], handed)]
    if len(worked or found) == 1:
        return (worked or list(found.values()))[0][1]
    if not found:
        there = "\n".join(others[:NAMED]) or "the submission is empty"
        raise WorkError(f"no notebook of {name} was handed in:\n{there}", code="no-notebook")
    names = ", ".join(sorted(path for path, _ in worked or found.values())[:NAMED])
    raise WorkError(
        f"{len(worked or found)} different notebooks of {name} were handed in, and which one counts nobody can tell: "
        f"{names}. Hand in one of them",
        code="several-notebooks",
    )
