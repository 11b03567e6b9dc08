"""The page that follows a run, in a real browser: it grows with the run, keeps what one has set, asks nobody else."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from command import EXAMPLES, only_run, running, wait_for
from playwright.sync_api import Browser, Page, sync_playwright

import evo as package
from evo.folder import RunFolder
from evo.settings import RunSettings

pytestmark = pytest.mark.real
CHROMIUM = Path("/usr/bin/chromium")
SLOW = "model={name: fake/toy, options: {latency_ms: 40}}"


@dataclass
class Seen:
    """A page, and what it asked of the network and said on the console."""

    page: Page
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def shown(self) -> int:
        """How many individuals the graph says it shows."""
        found = re.search(r"([\d,]+) individuals?", self.page.get_attribute("canvas", "aria-label") or "")
        return int(found[1].replace(",", "")) if found else 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM.exists(), f"these tests need a browser at {CHROMIUM}: apt-get install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(browser: Browser, url: str) -> Seen:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    seen = Seen(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.goto(url)
    return seen


@contextmanager
def watched(storage: Path) -> Iterator[str]:
    """Watch the latest run of a storage folder from another process; yield the page's address."""
    with running("watch", storage, cwd=storage) as process:
        assert process.stdout is not None
        address = next(filter(None, (re.search(r"http://127\.0\.0\.1:\d+/\S+/", line) for line in process.stdout)))
        yield address[0]
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "Traceback" not in rest
        assert "finished; the page stays until Ctrl-C" in rest
        assert "no longer watched" in rest


def started(storage: Path, calls: int) -> tuple[str | Path, ...]:
    settings = ("executor=inline", f"storage={storage}", f"budget.calls={calls}", "concurrency=8", SLOW)
    return ("run", EXAMPLES / "toy.yaml", "--plain", *(word for one in settings for word in ("--set", one)))


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for a condition; the browser's own way of waiting would need what the page forbids."""

    def holds() -> bool:
        page.wait_for_timeout(200)
        return condition()

    wait_for(holds, 120)


def not_begun(storage: Path) -> Path:
    """Return a run that is made and has not begun."""
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(storage)})
    return RunFolder.create(settings, base=storage, title="t", fingerprint="f").path


def set_by_the_reader(page: Page) -> tuple[object, ...]:
    """Return who is selected, how far one has zoomed in, and what is open, typed and in focus."""
    return (
        page.inner_text("#chosen"),
        str(page.get_attribute("canvas", "data-at")).split()[0],
        page.evaluate("[...document.querySelectorAll('details[open] > summary')].map(e => e.textContent)"),
        page.get_attribute("#course button:text-is('calls')", "aria-pressed"),
        page.input_value("#number"),
        page.evaluate("document.activeElement.localName"),
    )


def stands_at(page: Page) -> float:
    """Return how far below the window's top the graph begins, in pixels: where one stands."""
    return float(page.evaluate("document.querySelector('canvas').getBoundingClientRect().top"))


def test_a_run_is_watched_from_its_first_prompt_to_its_end(browser: Browser, tmp_path: Path) -> None:
    with running(*started(tmp_path, 6000), cwd=EXAMPLES) as run:
        wait_for(lambda: list(tmp_path.glob("*/run.json")))
        with watched(tmp_path) as url:
            seen = opened(browser, url)
            page = seen.page
            page.wait_for_selector("#failures")
            until(page, lambda: page.inner_text("#live span").startswith("live"))
            until(page, lambda: page.locator("canvas").count() == 1)
            for key in ("Home", "+", "+"):
                page.locator("canvas").press(key)
            page.get_by_role("button", name="calls", exact=True).click()
            page.get_by_text("Settings and versions").click()
            page.fill("#number", "0:1")
            page.locator("canvas").focus()
            page.locator("canvas").scroll_into_view_if_needed()
            page.wait_for_timeout(300)
            before, stood, born, version = set_by_the_reader(page), stands_at(page), seen.shown, seen.requests[-1]
            until(page, lambda: seen.shown > born)
            assert set_by_the_reader(page) == before
            assert stands_at(page) == pytest.approx(stood, abs=2)
            assert seen.requests[-1] != version

            page.evaluate("getSelection().selectAllChildren(document.querySelector('#verdict h2'))")
            born = seen.shown
            until(page, lambda: run.poll() is not None)
            page.wait_for_timeout(7000)
            assert seen.shown == born, "what one has marked stays"
            page.evaluate("getSelection().removeAllRanges()")
            page.wait_for_selector("#verdict h2:text-is('Best prompt')")
            assert page.inner_text("#live span") == "finished"
            assert page.inner_text("#said") in ("The run has finished.", "")
            assert seen.shown == package.open_run(only_run(tmp_path)).individuals().num_rows
            assert page.inner_text("#chosen") == before[0]
            place = url.rsplit("/", 2)[0]
            assert all(one.startswith((f"{url}data.json?since=", "data:")) or one == url for one in seen.requests)
            assert seen.said == []
            refused = opened(browser, f"{place}/wrong/")
            assert "needs the secret" in refused.page.inner_text("body")


def test_a_page_waits_pauses_and_says_when_nobody_answers(browser: Browser, tmp_path: Path) -> None:
    page = package.watch(not_begun(tmp_path))
    try:
        seen = opened(browser, page.url)
        seen.page.wait_for_selector("#failures")
        assert seen.page.inner_text("#live span") == "waiting for the first part of the log …"
        seen.page.get_by_role("button", name="Pause").click()
        asked = len(seen.requests)
        seen.page.wait_for_timeout(7000)
        assert len(seen.requests) == asked
        seen.page.get_by_role("button", name="Pause").click()
        until(seen.page, lambda: seen.page.inner_text("#live span").startswith("waiting"))
    finally:
        page.close()
    until(seen.page, lambda: seen.page.inner_text("#live span").startswith("no answer"))
    assert json.dumps(seen.said).count("ERR_CONNECTION_REFUSED") == len(seen.said)


def test_another_page_can_neither_read_nor_frame_it(browser: Browser, tmp_path: Path) -> None:
    with package.watch(not_begun(tmp_path)) as watching:
        page = browser.new_page()
        page.goto("data:text/html,<title>other</title>")
        read = f"fetch('{watching.url}data.json').then(r => r.text()).catch(e => 'refused')"
        assert page.evaluate(read) == "refused"
        page.set_content(f"<iframe src='{watching.url}'></iframe>")
        page.wait_for_timeout(1500)
        framed = page.frames[1]
        assert framed.evaluate("document.getElementById('live') === null")
