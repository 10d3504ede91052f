"""The implementation gate: sources that follow the rules, and a package that is what they export."""

from tito.services import export, rules
from tito.services.check.gates import Breach, place_of


def sources(checked):
    for module in checked.catalog:
        wanted = {"README.md", "module.toml", module.percent.name, module.tests.name}
        for name in sorted(wanted - {path.name for path in module.folder.iterdir()}):
            yield Breach(checked.label(module.folder), None, f"{name} is missing", "write it")
        if not module.percent.is_file():
            continue
        for problem in (*checked.problems(module), *rules.unfinished(checked.source(module), module)):
            file, line, cell = place_of(problem.where)
            what = f"{cell}: {problem.message}" if cell else problem.message
            yield Breach(file, line, what, "modules/README.md says the convention")


def exports(checked):
    for one in export.check(checked.project, checked.catalog, list(checked.catalog)):
        name = one.module.name if one.module else ""
        file = checked.label(checked.project.core / one.module.core_file) if one.module else "tinytorch/core"
        yield Breach(file, None, f"{one.kind}: {one.message}", f"tito export {name}" if name else "remove it")
