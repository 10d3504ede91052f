"""What a course says of its grading, in `[tool.tito.grading]` of its pyproject.toml."""

import tomllib

from tito.errors import ProjectError

# every key that some part of grading reads: book/database.py, reports/rules.py
KNOWN = ("database", "weights", "drop-lowest", "slip-days", "late-penalty")


def grading_settings(project):
    """The table as a dict, {} where there is none. Raises ProjectError for a key that nothing reads."""
    path = project.root / "pyproject.toml"
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    table = document.get("tool", {}).get("tito", {}).get("grading", {})
    if not isinstance(table, dict):
        raise wrong_setting(project, f"[tool.tito] grading is {table!r}", "make it a table: [tool.tito.grading]")
    unknown = sorted(set(table) - set(KNOWN))
    if unknown:
        raise wrong_setting(
            project, f"[tool.tito.grading] has no setting {unknown[0]}", f"its settings are {', '.join(KNOWN)}"
        )
    return table


def wrong_setting(project, message, hint):
    return ProjectError(f"{project.root / 'pyproject.toml'}: {message}", hint, code="settings")
