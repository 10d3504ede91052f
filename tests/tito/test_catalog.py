"""What `module.toml` says of a module: parts, objectives, whether it may be left out; and what is wrong with one."""

import pytest

from tito.catalog import Objective, Part, read_catalog
from tito.errors import ProjectError

PARTS = """
[[parts]]
title = "Numbers"
hours = 1
works = "double"

[[parts]]
title = "Boxes"
hours = 0.5
works = "a box grows"
"""


def rewrite(module, text):
    path = module.folder / "module.toml"
    path.write_text(text, encoding="utf-8")


def read(module):
    return (module.folder / "module.toml").read_text(encoding="utf-8")


def test_parts_objectives_and_elective(project, alpha, catalog):
    rewrite(alpha, f"elective = true\n{read(alpha)}{PARTS}")
    found = read_catalog(project).find("alpha")
    assert found.parts == (Part("Numbers", 1, "double"), Part("Boxes", 0.5, "a box grows"))
    assert found.objectives == (Objective("doubling", "double a number"),)
    assert found.elective
    beta = catalog.find("beta")
    assert (beta.parts, beta.objectives, beta.elective) == ((), (), False)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("hours = 0.5\n", "", "hours of [[parts]] number 2 is missing or of the wrong type"),
        ("hours = 0.5", "hours = true", "hours of [[parts]] number 2 is missing or of the wrong type"),
        ('"Boxes"', '" "', "title of [[parts]] number 2 is missing or of the wrong type"),
        ('works = "double"', 'work = "double"', "works of [[parts]] number 1 is missing"),
        ("hours = 1\n", "hours = 1\nminutes = 60\n", "minutes of [[parts]] number 1 is no key of [[parts]]"),
        ("difficulty = 2\n", "difficulty = 2\nelective = 1\n", "elective is of the wrong type"),
        (
            "difficulty = 2\n",
            'difficulty = 2\nartifact = "../a.npz"\n',
            "artifact = '../a.npz' is no plain name of a file",
        ),
        ("difficulty = 2\n", "difficulty = 2\nartifact = true\n", "artifact is of the wrong type"),
        ("difficulty = 2\n", "difficulty = 2\nparst = 1\n", "parst is no key of a module"),
        ('id = "doubling"\n', "", "id of [[objectives]] number 1 is missing"),
        ("[[parts]]", '[[objectives]]\nid = "doubling"\ntext = "again"\n[[parts]]', "two of them have the same id"),
    ],
)
def test_what_is_wrong_names_the_file_and_the_key(project, alpha, old, new, reason):
    text = f"{read(alpha)}{PARTS}"
    assert old in text
    rewrite(alpha, text.replace(old, new, 1))
    with pytest.raises(ProjectError) as caught:
        read_catalog(project)
    assert caught.value.message.startswith("modules/01_alpha/module.toml: ")
    assert reason in caught.value.message


def test_a_module_names_the_file_that_comes_with_its_notebook(project, alpha, catalog):
    rewrite(alpha, f'artifact = "submission.npz"\n{read(alpha)}')
    assert read_catalog(project).find("alpha").artifact == "submission.npz"
    assert catalog.find("beta").artifact == ""


def test_parts_that_are_no_tables_are_refused(project, alpha):
    rewrite(alpha, f'parts = ["one"]\n{read(alpha)}')
    with pytest.raises(ProjectError, match="parts has to be tables"):
        read_catalog(project)
