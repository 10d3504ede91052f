"""A headless Chromium for tests of pages, with its messages and its requests."""

import importlib.util
import json
import os
import shutil
import time

import pytest

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
INSTALL = 'apt-get install chromium chromium-driver && pip install -e ".[browser]"'

# a ring around the element that has the focus, which is not there without it
RING = """
const ring = one => {
    const style = getComputedStyle(one), outlined = style.outlineStyle != "none" && parseFloat(style.outlineWidth) >= 2
    return outlined ? `${style.outlineWidth} ${style.outlineColor}` : style.boxShadow
}
const one = document.activeElement
if (one == document.body) return null
const box = one.getBoundingClientRect(), focused = ring(one)
const onScreen = box.width > 1 && box.height > 1 && box.right > 0 && box.bottom > 0 && box.top < innerHeight
one.blur()
const plain = ring(one)
one.focus({preventScroll: true})
return {seen: onScreen && focused != "none" && focused != plain, html: one.outerHTML.slice(0, 120)}
"""


def missing(install):
    """End a test that lacks something which `install` brings: a skip at home, a failure in CI."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs: {install}")


def start(folder, *arguments):
    """A driver of a Chromium that keeps its profile in `folder`; its logs are "browser" and "performance"."""
    driver = shutil.which("chromedriver")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not (driver and chromium and importlib.util.find_spec("selenium")):
        missing(INSTALL)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*ARGUMENTS, *arguments, f"--user-data-dir={folder}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(300)  # of a busy machine
    return started


def set_width(browser, width, *, mobile=False):
    size = {"width": width, "height": 740 if mobile else 900, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def set_scheme(browser, scheme, media=""):
    """What the reader's system asks for, "light" or "dark"; media: "print" as if on paper."""
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},  # no colour is read while it changes
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def requested(browser):
    """The addresses that were asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]


def press(browser, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def tab(browser):
    """Go on with the Tab key: (is it to be seen where the focus is, the HTML of that element), None behind the last."""
    from selenium.webdriver import Keys

    press(browser, Keys.TAB)
    found = browser.execute_script(RING)
    if found and not found["seen"]:
        time.sleep(0.5)  # what comes into view moves for a moment
        found = browser.execute_script(RING)
    return found and (found["seen"], found["html"])
