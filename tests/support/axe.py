"""axe-core in a page: what keeps somebody from reading it who uses a keyboard, a screen reader or other colours."""

import io
import tarfile
from functools import cache

from npm import Package

AXE_CORE = Package(
    "axe-core", "4.14.1", "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)

# Of WCAG's rules what is serious fails. Of axe's own, which it calls less than that, those that the course demands of
# its pages: headings in order, everything in a landmark, tables whose headers have names.
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SERIOUS = ("serious", "critical")
OWN = "best-practice"

# preload: false, because a page in a folder may not read its own style sheets, and axe would wait for them
RUN = """
const done = arguments[arguments.length - 1]
axe.run(document, {preload: false, resultTypes: ["violations"], runOnly: {type: "tag", values: arguments[0]}})
   .then(found => done({violations: found.violations.map(rule => ({
       id: rule.id, impact: rule.impact, tags: rule.tags, help: rule.help,
       nodes: rule.nodes.map(node => ({where: node.target.join(" "), html: node.html, fix: node.failureSummary}))}))}),
         error => done({error: String(error)}))
"""


def findings(browser, page):
    """What axe has against the page that the browser shows, a text each: page, rule, element, how to fix it."""
    browser.execute_script(source())
    found = browser.execute_async_script(RUN, [*WCAG, OWN])
    assert "error" not in found, f"axe did not run on {page}: {found['error']}"
    return [
        f"{page}: {rule['id']} ({rule['impact']}): {rule['help']}\n"
        f"  element: {node['where']}: {node['html'][:160]}\n  {_indented(node['fix'])}"
        for rule in found["violations"]
        if rule["impact"] in SERIOUS or OWN in rule["tags"]
        for node in rule["nodes"]
    ]


def _indented(text):
    return (text or "").strip().replace("\n", "\n  ")


@cache
def source():
    """The script, from the archive that npm packed."""
    with tarfile.open(fileobj=io.BytesIO(AXE_CORE.archive())) as archive:
        return archive.extractfile("package/axe.min.js").read().decode("utf-8")
