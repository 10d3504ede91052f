"""Is an answer on a built page? What a page shows, without its markup, is searched as a release is."""

from html.parser import HTMLParser

from tito.services import leaks, views
from tito.services.files import atomic_write

NOT_SHOWN = ("script", "style")


class _Shown(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in NOT_SHOWN
        self.parts += [value for name, value in attrs if name in ("alt", "title", "aria-label") and value]

    def handle_endtag(self, tag):
        self.hidden -= tag in NOT_SHOWN

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data)


def shown(html):
    """The text of a page, its alternatives for pictures among it; highlighting leaves no trace in it."""
    parser = _Shown()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts)


def scan(project, folder, secrets, names):
    """The leaks on the pages `names` below `folder`, with the path of the page."""
    with views.folder(project) as texts:
        for name in names:
            atomic_write(texts / name, shown((folder / name).read_text(encoding="utf-8")))
        return leaks.scan(texts, secrets)
