"""The example notebook in a real JupyterLab, trusted and not, and as nbconvert's page, in a real browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
from command import EXAMPLES, wait_for
from nbformat.sign import NotebookNotary
from playwright.sync_api import Browser, Frame, Page, sync_playwright

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("default")]  # Jupyter warns on its own account
CHROMIUM = Path("/usr/bin/chromium")
PICTURE = "img[src^='data:image/svg+xml']"
QUIET = ("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly")


@dataclass
class Opened:
    """A page, where its requests went, and what its console said of our outputs."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM.exists(), f"these tests need a browser at {CHROMIUM}: apt-get install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the example notebook, signed, and a stranger's; return the address."""
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "notebooks"
    for place in (folder, home / "data"):
        place.mkdir()
    text = (EXAMPLES / "lineage.ipynb").read_text(encoding="utf-8")
    (folder / "trusted.ipynb").write_text(text, encoding="utf-8")
    notary = NotebookNotary(data_dir=str(home / "data"))
    notary.sign(nbformat.reads(text, as_version=4))
    # a signature is by content: the copy that shall not be trusted differs from the signed one
    (folder / "untrusted.ipynb").write_text(text.replace("The story of a run", "A stranger's run"), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{name.upper()}_DIR": str(home / name) for name in ("config", "data", "runtime")}
    options = ("--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=", *QUIET)
    with subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"],
        env={**os.environ, **places, "HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: _answers(f"{address}/api"))
            yield address
        finally:
            server.terminate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def opened(browser: Browser, address: str) -> Opened:
    page = browser.new_page(viewport={"width": 1280, "height": 3600})
    found = Opened(page)
    page.on("request", lambda request: found.hosts.add(request.url.split("/")[2] if "://" in request.url else ""))
    page.on("console", lambda message: found.said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.goto(address)
    page.locator(PICTURE).first.wait_for(timeout=60_000)
    return found


def all_pictures_drawn(page: Page) -> bool:
    """Return whether the notebook's four pictures come to be seen; one that cannot be read has no width."""
    page.wait_for_function(
        f'[...document.querySelectorAll("{PICTURE}")].filter(e => e.naturalWidth > 0 && e.clientWidth > 0).length === 4'
    )
    return True


def unfolded(page: Page) -> Frame:
    """Return the report inside the page, unfolded."""
    page.locator("summary", has_text="Explore").first.click()
    handle = page.locator("iframe[srcdoc]").first.element_handle()
    frame = handle.content_frame()
    assert frame is not None
    frame.wait_for_selector("#failures", timeout=30_000)
    return frame


def works(frame: Frame) -> None:
    """Check that the report answers to the keyboard, has its full width, and that its contents lead to its parts."""
    assert frame.evaluate("document.querySelector('#verdict svg').viewBox.baseVal.width") > 500
    frame.locator("canvas").press("End")
    best = frame.inner_text("#chosen")
    frame.locator("canvas").press("ArrowLeft")
    assert frame.inner_text("#chosen") != best
    frame.locator("nav a", has_text="Operators").click()
    assert frame.url == "about:srcdoc"
    assert frame.evaluate("document.activeElement.id") == "operators"
    assert frame.evaluate("window.origin") == "null"


def test_a_trusted_notebook_shows_the_static_part_and_a_report_that_answers(browser: Browser, lab: str) -> None:
    seen = opened(browser, f"{lab}/lab/workspaces/trusted/tree/trusted.ipynb")
    assert all_pictures_drawn(seen.page)
    works(unfolded(seen.page))
    assert seen.hosts <= {lab.split("/")[2], ""}
    assert not [words for words in seen.said if "srcdoc" in words]


def test_an_untrusted_notebook_keeps_the_static_part_and_runs_nothing(browser: Browser, lab: str) -> None:
    seen = opened(browser, f"{lab}/lab/workspaces/untrusted/tree/untrusted.ipynb")
    page = seen.page
    assert all_pictures_drawn(page)
    output = page.locator(".jp-OutputArea", has=page.locator(PICTURE)).first
    assert "Gain over the best seed prompt" in output.inner_text()
    page.locator("summary", has_text="The line of descent").first.click()
    assert output.locator("ins").first.is_visible()
    page.locator("summary", has_text="Explore").first.click()
    assert "stays empty until you trust this notebook" in output.inner_text()
    assert page.locator("iframe[srcdoc]").count() == 0
    assert seen.hosts <= {lab.split("/")[2], ""}


def test_nbconvert_makes_a_page_that_fetches_nothing_for_us(browser: Browser, tmp_path: Path) -> None:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url="")
    page, _ = exporter.from_notebook_node(nbformat.read(EXAMPLES / "lineage.ipynb", as_version=4))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    seen = opened(browser, (tmp_path / "page.html").as_uri())
    assert all_pictures_drawn(seen.page)
    works(unfolded(seen.page))
    assert seen.hosts == {""}
    assert seen.said == []
