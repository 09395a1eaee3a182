"""The explorer in a real browser: JupyterLab and Voilà on the loopback, driven by Playwright with Debian's Chromium.

With ``M2S_SCREENSHOTS=folder`` it keeps a picture of each tab there; ``M2S_BROWSER=full:/data`` shows the networks of
another profile, in the checkout's results, on real images.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from m2s.paths import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SLOW = 1000 * int(os.environ.get("M2S_BROWSER_SECONDS", 240))
"""Milliseconds to wait for what a kernel has to do: generous, because the machine may be busy."""

SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "defer"}',  # keeps cells in the page that are scrolled away
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
}

PROFILE, _, DATA = os.environ.get("M2S_BROWSER", "smoke:phantom").partition(":")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (on Debian: apt install chromium)")


@pytest.fixture(scope="module")
def page():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (the extra test)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1500, "height": 1300})
        page.set_default_timeout(SLOW)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """Notebook 41 in a folder of its own, with its parameters set."""
    folder = tmp_path_factory.mktemp("served")
    text = (ROOT / "notebooks" / "41_explorer.ipynb").read_text(encoding="utf-8")
    for name, default, wanted in (("profile", "lab", PROFILE), ("data", "sample", DATA)):
        line = f'{name} = \\"{default}\\"'
        assert text.count(line) == 1
        text = text.replace(line, f'{name} = \\"{wanted}\\"')
    path = folder / "41_explorer.ipynb"
    path.write_text(text, encoding="utf-8")
    for name, setting in SETTINGS.items():
        target = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(setting)
    return path


def serve(command: list[str], folder: Path) -> Iterator[str]:
    """Start a server on a free port, wait until it answers, give its address, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
    }
    if PROFILE == "smoke":
        environment["M2S_RESULTS"] = str(folder / "results")
    log = (folder / f"{command[2]}.log").open("w")
    server = subprocess.Popen(
        [*command, f"--port={port}"], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + SLOW / 1000
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, (folder / f"{command[2]}.log").read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)
        log.close()


@pytest.fixture(scope="module")
def lab(notebook):
    quiet = ["--no-browser", "--allow-root", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]
    yield from serve([sys.executable, "-m", "jupyterlab", *quiet], notebook.parent)


@pytest.fixture(scope="module")
def voila(notebook):
    yield from serve([sys.executable, "-m", "voila", "--no-browser", notebook.name], notebook.parent)


def explore(page, name: str) -> None:
    """Click a node, move sliders, go through the tabs: the pictures change as they should, and no error is shown."""
    explorer = page.locator(".m2s-explorer").first
    node = explorer.locator("button.m2s-node[title='MS_3^2']")
    node.wait_for()

    def done() -> int:
        return int(explorer.locator("[data-done]").get_attribute("data-done"))

    def shown() -> list[str]:
        return explorer.locator("img").evaluate_all("all => all.filter(i => i.offsetParent).map(i => i.src)")

    def after(act: Callable[[], object]) -> list[str]:
        """The pictures when the explorer has answered to ``act``; each shows something."""
        before = done()
        act()
        page.wait_for_function(
            "before => { const done = document.querySelector('.m2s-explorer [data-done]');"
            " const images = [...document.querySelectorAll('.m2s-explorer img')].filter(i => i.offsetParent);"
            " return done && done.dataset.done > before && images.every(i => i.complete && i.naturalWidth > 0) }",
            arg=before,
        )
        return shown()

    def press(slider: str, key: str) -> list[str]:
        handle = explorer.locator(".widget-slider:visible", has_text=slider).locator(".noUi-handle")
        handle.focus()
        return after(lambda: page.keyboard.press(key))

    first = shown()
    assert "url(" in node.evaluate("b => getComputedStyle(b).backgroundImage")
    opened = after(node.click)
    explorer.locator("button.m2s-chosen[title='MS_3^2']").wait_for()
    assert opened != first and explorer.get_by_text("64 channels of").count() >= 1
    single = after(lambda: explorer.get_by_label("show").select_option("single channel"))
    other = press("channel", "ArrowRight")
    assert single != opened and other != single and len(other) == len(single)
    page.screenshot(path=screenshot(f"{name}_pyramid"))

    for tab, slider in (("LossNet", "grow"), ("Perturb", "noise")):
        still = after(explorer.get_by_role("tab", name=tab).click)
        moved = press(slider, "PageUp")
        assert len(moved) == len(still) > 3 and moved != still, tab
        page.screenshot(path=screenshot(f"{name}_{tab.lower()}"))
    assert explorer.locator("b[style*='D55E00']").count() == 0  # the explorer's own line for errors
    for error in ("Traceback (most recent", "Error displaying widget"):
        assert page.get_by_text(error).count() == 0, error


def screenshot(name: str) -> str | None:
    """Where a screenshot goes: into the folder M2S_SCREENSHOTS, or nowhere."""
    folder = os.environ.get("M2S_SCREENSHOTS")
    return f"{folder}/{name}.png" if folder else None


def test_explorer_in_jupyterlab(page, lab, notebook):
    page.goto(f"{lab}/lab/tree/{notebook.name}?reset")
    page.get_by_text(re.compile(r"Python 3.*\| Idle")).first.wait_for()  # until then the menu says "Run All", disabled
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.get_by_text(re.compile("as it is: .*; moved by ")).first.wait_for()  # the last cell: all have been run
    explore(page, "lab")


def test_explorer_in_voila(page, voila):
    page.goto(voila)
    explore(page, "voila")
