"""How wide a page is on a telephone, asked of a headless Chromium."""

import html
import json
import re
import shutil
import subprocess

import pytest

WIDTH = 360
FRAME = """<!DOCTYPE html><body style="margin: 0"><iframe srcdoc="{page}" width="{width}" height="30000"
style="border: 0"></iframe><script>
addEventListener("load", () => {{
  const inner = document.querySelector("iframe").contentDocument, cut = []
  for (const one of inner.querySelectorAll("h1, h2, h3, dd, dt, p, .wide"))
    if (one.getBoundingClientRect().right > {width} + 1) cut.push(one.tagName + " " + one.textContent.slice(0, 40))
  document.title = JSON.stringify([inner.documentElement.scrollWidth, cut])
}})</script>"""


def measured(page, folder):
    """[width of the page, [what ends right of the screen]] in a window of WIDTH pixels; skips without Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    path = folder / "narrow.html"
    path.write_text(FRAME.format(page=html.escape(page), width=WIDTH), encoding="utf-8")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'chromium'}"]
    command += ["--virtual-time-budget=5000", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr[-2000:]
    return json.loads(html.unescape(title[1]))
