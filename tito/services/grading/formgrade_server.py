"""The server of `tito grade formgrade`: a program of its own, nbgrader's formgrader with two things changed.

What students wrote is shown without anything that a browser would run: nbgrader shows Markdown as it is, and a script
in an answer would grade with the instructor's rights. And the buttons that would execute submissions without a
sandbox, make a release without a look for leaks, or write feedback with the hidden tests in it, say which command of
tito does it.
"""

import html

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


def _refusal(command):
    def post(self, *names):
        import json

        log = f"This would run nbgrader's own step. Type in a terminal: {command} {names[0]}"
        self.write(json.dumps({"success": False, "log": log, "error": log}))

    return post


def _jupyter_server_extension_points():
    return [{"module": __name__}]


def _load_jupyter_server_extension(app):
    from jinja2 import pass_context
    from nbgrader.server_extensions.formgrader import apihandlers, formgrader
    from tornado import web

    for name, command in INSTEAD.items():
        handler = getattr(apihandlers, name)
        handler.post = web.authenticated(_refusal(command))
    formgrader.load_jupyter_server_extension(app)
    exporter = app.web_app.settings["nbgrader_exporter"]
    as_it_is = exporter.markdown2html

    @pass_context
    def markdown2html(context, source):
        try:
            return clean(as_it_is(context, source))
        except Exception:  # for example an attachment that is not there
            return f"<pre>{html.escape(source)}</pre>"

    exporter.register_filter("markdown2html", markdown2html)
    exporter.register_filter("clean_html", clean)  # of raw cells; nbconvert's own leaves ids and classes


def main():
    from jupyter_server.serverapp import ServerApp

    ServerApp.jpserver_extensions.default_value = {"tito.services.grading.formgrade_server": True}
    ServerApp.launch_instance()


if __name__ == "__main__":
    main()
