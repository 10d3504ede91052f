"""Where the links of the repository's texts lead on the site."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

LINK = re.compile(r"(?<!!)\[([^\]\[]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
FENCE = re.compile(r" {0,3}(```|~~~)")
ELSEWHERE = re.compile(r"[a-z]+:")


@dataclass
class Links:
    """pages: {path in the repository: name of the page it became}. broken: what was found to lead nowhere."""

    root: Path
    pages: dict
    broken: list = field(default_factory=list)

    def moved(self, text, origin, page):
        """`text` of the file `origin` (below the root) with its links as they are to be on `page`.

        A link to a file that is no page becomes the file's name; one to nothing is added to `broken`.
        """
        return "\n".join(
            line if is_code else self._moved_line(line, f"{origin}:{number}", Path(origin).parent, page)
            for number, (line, is_code) in enumerate(lines(text), 1)
        )

    def _moved_line(self, line, place, folder, page):
        spans = [match.span() for match in CODE.finditer(line)]

        def replace(match):
            if any(start <= match.start() < end for start, end in spans):
                return match[0]
            label, target, anchor = match[1], match[2], match[3] or ""
            if not target or ELSEWHERE.match(target):
                return match[0]
            path = os.path.normpath(folder / target).replace(os.sep, "/")
            if path in self.pages:
                return f"[{label}]({relative(self.pages[path], page)}.md{anchor})"
            if not (self.root / path).exists():
                self.broken.append(f"{place}: the link to {target} leads nowhere")
            return f"{label} (`{path}`)" if label.strip("`") != path else f"`{path}`"

        return LINK.sub(replace, line)


def lines(text):
    """(line, whether it is code) of each line of a Markdown text."""
    fence = None
    for line in text.split("\n"):
        mark = FENCE.match(line)
        inside = fence is not None
        if mark and fence in (None, mark[1]):
            fence = None if inside else mark[1]
        yield line, inside or bool(mark) or line.startswith("    ")


def relative(page, other):
    """The path of `page` as a link on the page `other` writes it."""
    return os.path.relpath(page, Path(other).parent).replace(os.sep, "/")
