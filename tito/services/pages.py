"""HTML pages: templates below tito/templates/pages/, all in one frame, and everything in them escaped.

Each page is one file without scripts that fetches nothing, readable in light, dark and print.
"""

import re
from functools import cache
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parents[1] / "templates" / "pages"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def render(template, **values):
    """The bytes of the page that `template` makes of `values`."""
    return _environment().get_template(template).render(values).encode("utf-8", "replace")


@cache
def _environment():
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_without_control,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _without_control(value):
    """What a template puts onto a page, without control characters; a macro's markup is made of such already."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return CONTROL.sub("", value.replace("\r\n", "\n"))
    return value
