"""The server of `tito grade formgrade`: a program of its own, nbgrader's formgrader with three things changed.

What students wrote is shown without anything that a browser would run: nbgrader shows Markdown as it is, and a script
in an answer would grade with the instructor's rights. And the buttons that would execute submissions without a
sandbox, make a release without a look for leaks, or write feedback with the hidden tests in it, say which command of
tito does it. And no page fetches anything from elsewhere: formulas are pictures, where nbgrader loads MathJax.
"""

import base64
import html
import io
import os
import re
from functools import lru_cache

from tito.services.grading.book.database import GRADEBOOK

TAGS = {
    "a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "img", "kbd", "li", "ol", "p", "pre", "q", "s", "span", "strong", "sub", "sup", "table", "tbody",
    "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
# no class and no id: the page's own scripts find what they work on by these
ATTRIBUTES = {
    "a": ["href", "title"],
    "img": ["src", "alt", "title", "width", "height"],
    "td": ["align"],
    "th": ["align"],
}
INSTEAD = {
    "AutogradeHandler": "tito grade autograde",
    "AssignHandler": "tito grade release",
    "ReleaseHandler": "tito grade release",
    "UnReleaseHandler": "tito grade release",
    "CollectHandler": "tito grade collect PATH, the folder or archive with what was handed in for",
    "ReleaseFeedbackHandler": "tito grade feedback",
    "ReleaseAllFeedbackHandler": "tito grade feedback",
    "GenerateFeedbackHandler": "tito grade feedback",
    "GenerateAllFeedbackHandler": "tito grade feedback",
}


def clean(markup):
    """HTML made from a student's Markdown, without anything that runs, and pictures from nowhere but the notebook."""
    import bleach

    def allowed(tag, name, value):
        return name in ATTRIBUTES.get(tag, ()) and (name != "src" or value.startswith("data:image/"))

    attributes = dict.fromkeys(ATTRIBUTES, allowed)
    return bleach.clean(markup, tags=TAGS, attributes=attributes, protocols=("http", "https", "mailto", "data"))


# Formulas, as pictures.

FORMULA = re.compile(r"\$\$(?P<shown>[^$]+?)\$\$|\$(?P<inline>[^$\n]+?)\$|\\\\[(\[](?P<other>.+?)\\\\[)\]]", re.DOTALL)
NOT_TEXT = re.compile(r"(<pre\b.*?</pre>|<code\b.*?</code>|<[^>]*>)", re.DOTALL)
LONGEST = 400  # characters of a formula
MOST = 100  # formulas of a cell


def with_formulas(markup):
    """Clean HTML with pictures of its formulas; what cannot be drawn stays as it was written, as code."""
    parts, count = NOT_TEXT.split(markup), 0

    def draw(match):
        nonlocal count
        count += 1
        text = html.unescape(next(filter(None, match.groups())).strip())
        picture = _picture(text) if len(text) <= LONGEST and count <= MOST else None
        if picture is None:
            return f"<code>{html.escape(text)}</code>"
        data, depth = picture
        style = f"vertical-align: {-depth:.1f}px" if match["shown"] is None else "display: block; margin: 0.5em auto"
        return f'<img src="data:image/svg+xml;base64,{data}" alt="{html.escape(text)}" style="{style}">'

    return "".join(part if number % 2 else FORMULA.sub(draw, part) for number, part in enumerate(parts))


@lru_cache(1000)
def _picture(formula):
    """(SVG in base64, pixels below the line) of a formula; None where it cannot be drawn."""
    try:
        from matplotlib import mathtext
        from matplotlib.font_manager import FontProperties

        text, drawn = formula.replace("\n", " "), io.BytesIO()
        depth = mathtext.math_to_image(f"${text}$", drawn, FontProperties(size=12), dpi=72, format="svg")
        return base64.b64encode(drawn.getvalue()).decode(), depth
    except Exception:  # there is no matplotlib, or it does not know a command of LaTeX
        return None


def _refusal(command):
    def post(self, *names):
        import json

        self.write(json.dumps({"success": False, "log": f"Not here. Type in a terminal: {command} {names[0]}"}))

    return post


def _jupyter_server_extension_points():
    return [{"module": __name__}]


def _load_jupyter_server_extension(app):
    from jinja2 import ChoiceLoader, DictLoader, pass_context
    from nbgrader.server_extensions.formgrader import apihandlers, formgrader
    from tornado import web

    for name, command in INSTEAD.items():
        handler = getattr(apihandlers, name)
        handler.post = web.authenticated(_refusal(command))
    # the course's nbgrader_config.py may be older than the setting that says where the gradebook is
    app.config.CourseDirectory.db_url = os.environ[GRADEBOOK]
    formgrader.load_jupyter_server_extension(app)
    exporter = app.web_app.settings["nbgrader_exporter"]
    as_it_is = exporter.markdown2html

    @pass_context
    def markdown2html(context, source):
        try:
            return with_formulas(clean(as_it_is(context, source)))
        except Exception:  # for example an attachment that is not there
            return f"<pre>{html.escape(source)}</pre>"

    exporter.register_filter("markdown2html", markdown2html)
    nothing = {"mathjax.html.j2": "{% macro mathjax(url=None) %}{% endmacro %}"}
    exporter.environment.loader = ChoiceLoader([DictLoader(nothing), exporter.environment.loader])
    exporter.register_filter("clean_html", clean)  # of raw cells; nbconvert's own leaves ids and classes


def main():
    from jupyter_server.serverapp import ServerApp

    ServerApp.jpserver_extensions.default_value = {"tito.services.grading.formgrade_server": True}
    ServerApp.launch_instance()


if __name__ == "__main__":
    main()
