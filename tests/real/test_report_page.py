"""The report in a real browser: it fetches nothing, shows what the run holds, and obeys mouse, keyboard and theme."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from command import EXAMPLES, evo, only_run
from playwright.sync_api import Browser, Page, sync_playwright

import evo as package
from evo.folder import RunFolder
from evo.journal import Journal
from evo.model import Evaluation, Individual, Outcome, Prompt, individual_number
from evo.run import Run
from evo.schema import edge_rows, evaluation_rows, individual_row, prompt_row
from evo.settings import RunSettings
from evo.view.page import html_of
from evo.view.story import story

pytestmark = pytest.mark.real
CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> "
    "<b>bold</b> \u202eevil\u202c \x1b[31mred \x00 half \ud800 line\u2028end مرحبا ${x}"
)
SHOWN = HOSTILE.replace("\u202e", "\\u202e").replace("\u202c", "\\u202c").replace("\x1b", "\\u001b")
SHOWN = SHOWN.replace("\x00", "\\u0000").replace("\ud800", "\\ud800")
MAIN = "#main > section"


@dataclass
class Opened:
    """A page, and what it asked of the network and said on the console."""

    page: Page
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def data(self) -> Any:
        return json.loads(self.page.text_content("#data") or "")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM.exists(), f"these tests need a browser at {CHROMIUM}: apt-get install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a small run of two islands, as a user gets it."""
    storage = tmp_path_factory.mktemp("runs")
    settings = ("executor=inline", f"storage={storage}", "budget.calls=6000")
    evo("run", EXAMPLES / "toy.yaml", "--plain", *(w for s in settings for w in ("--set", s)), cwd=EXAMPLES)
    return package.open_run(only_run(storage))


def individual(number: int, text: str, score: float, *parents: tuple[int, str], **more: Any) -> Individual:
    evidence = Evaluation.of([Outcome(row, float(row < 10 * score), tokens=40) for row in range(10)])
    return Individual(number, Prompt.of(text), more.pop("operator", "edit"), parents, evaluation=evidence, **more)


def written(storage: Path, individuals: list[Individual]) -> Run:
    settings = RunSettings.model_validate({"task": {"data": "x", "description": "Task"}, "storage": str(storage)})
    folder = RunFolder.create(settings, base=Path("."), title="t", fingerprint="f")
    journal = Journal(folder.path)
    for one in individuals:
        evidence = evaluation_rows(one.number, one.evaluation.outcomes, "dev")
        rows = {"prompts": [prompt_row(one.prompt)], "individuals": [individual_row(one)], "evaluations": evidence}
        journal.append({**rows, "edges": edge_rows(one)})
    journal.close()
    return Run(folder.path)


def opened(browser: Browser, path: Path, **context: Any) -> Opened:
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **context})
    found = Opened(page)
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("console", lambda message: found.said.append(message.text))
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.goto(path.resolve().as_uri())
    page.wait_for_selector("#failures")
    return found


def chosen(page: Page) -> str:
    return page.inner_text("#chosen")


def name(number: int) -> str:
    return f"Individual {number >> 40}:{number & ((1 << 40) - 1)}"


def settled(page: Page) -> tuple[float, float]:
    """Return where on the page the selected individual is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.locator("canvas").scroll_into_view_if_needed()
    box, at = page.locator("canvas").bounding_box(), page.get_attribute("canvas", "data-at")
    assert box is not None
    assert at is not None
    x, y = map(float, at.split())
    return box["x"] + x, box["y"] + y


def key(page: Page, *keys: str) -> None:
    for one in keys:
        page.locator("canvas").press(one)


def texts(page: Page, *tags: str) -> str:
    """Return the words of a diff that stand in some of its elements."""
    found: str = page.evaluate(
        "tags => [...document.querySelector('#detail .text').children].filter(e => tags.includes(e.tagName))"
        ".map(e => e.textContent).join('')",
        [tag.upper() for tag in tags],
    )
    return found


@pytest.fixture(scope="module")
def report(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run.report(tmp_path_factory.mktemp("page") / "report.html")


def test_the_page_fetches_nothing_and_complains_of_nothing(browser: Browser, report: Path) -> None:
    seen = opened(browser, report)
    for summary in seen.page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    assert [url for url in seen.requests if not url.startswith("data:")] == [report.as_uri()]
    assert seen.said == []


def test_every_part_is_there_under_its_heading_and_in_the_contents(browser: Browser, report: Path) -> None:
    page = opened(browser, report).page
    headings = page.locator(f"{MAIN} > h2").all_inner_texts()
    assert headings == page.locator("nav a").all_inner_texts()
    assert len(headings) == 10
    for link in page.locator("nav a").all():
        assert page.locator(str(link.get_attribute("href"))).count() == 1


def test_as_many_individuals_are_shown_as_were_born(browser: Browser, report: Path, run: Run) -> None:
    page, born = opened(browser, report).page, run.individuals().num_rows
    assert f"{born} individuals on 2 islands" in str(page.get_attribute("canvas", "aria-label"))
    page.get_by_text(f"All {born} individuals as a table").click()
    while page.get_by_role("button", name="Show 100 more").count():
        page.get_by_role("button", name="Show 100 more").click()
    assert page.locator("#lineage > details tbody tr").count() == born


def test_a_click_selects_and_the_diff_is_between_parent_and_child(browser: Browser, report: Path, run: Run) -> None:
    page = opened(browser, report).page
    key(page, "End")
    best = chosen(page)
    at = settled(page)
    assert best == name(run.best.number)
    key(page, "ArrowLeft")
    assert chosen(page) != best
    page.mouse.click(*at)
    assert chosen(page) == best
    base = next((parent for parent, role in run.best.individual.parents if role == "base"), None)
    assert base is not None
    assert texts(page, "span", "del") == run.individual(base).prompt.text
    assert texts(page, "span", "ins") == run.best.prompt.text
    assert "calls that made it" in page.inner_text("#detail")


def test_the_raw_reply_behind_an_individual_can_be_read(browser: Browser, report: Path, run: Run) -> None:
    page = opened(browser, report).page
    best = run.best.number
    calls = run.calls().select(["individual", "purpose", "text"]).to_pylist()
    reply = next(row["text"] for row in calls if (row["individual"], row["purpose"]) == (best, "operator"))
    page.locator("#detail summary", has_text="operator").first.click()
    assert page.locator("#detail pre").first.text_content() == reply


def test_the_keyboard_alone_leads_through_the_graph(browser: Browser, report: Path, run: Run) -> None:
    page = opened(browser, report).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "CANVAS":
            break
    assert page.evaluate("document.activeElement.matches('canvas:focus-visible')")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    key(page, "End")
    assert page.inner_text("#said").startswith(name(run.best.number))
    base = next(parent for parent, role in run.best.individual.parents if role == "base")
    key(page, "ArrowLeft")
    assert page.inner_text("#said").startswith(f"{name(base)}, {run.individual(base).operator}")
    for _ in range(200):
        key(page, "ArrowLeft")
        if page.inner_text("#said") == "No parent":
            break
    assert page.inner_text("#said") == "No parent"
    key(page, "ArrowDown", "ArrowUp", "ArrowRight", "Enter")
    assert page.evaluate("document.activeElement.id") == "chosen"


def test_a_link_elsewhere_selects_and_leads_to_the_graph(browser: Browser, report: Path, run: Run) -> None:
    page = opened(browser, report).page
    first = run.lineage().line_numbers()[0]
    page.locator(f"#descent button[data-id='{first}']").click()
    assert chosen(page) == name(first)
    assert page.evaluate("document.activeElement.id") == "chosen"
    page.fill("#number", str(run.best.number))
    page.keyboard.press("Enter")
    assert chosen(page) == name(run.best.number)


def test_hostile_texts_are_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    born = [individual(0, "seed", 0.1, operator="seed"), individual(1, HOSTILE, 0.9, (0, HOSTILE), operator=HOSTILE)]
    seen = opened(browser, written(tmp_path, born).report())
    page = seen.page
    assert page.title() == "Task · prompt-archipelago"
    assert page.locator("body img, body b:not(.step b), main script").count() == 0
    assert page.locator("#verdict .text").first.text_content() == SHOWN
    assert texts(page, "ins") == SHOWN
    assert page.locator("#verdict .text").first.evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"
    assert seen.said == []


def test_what_is_injected_cannot_run(browser: Browser, report: Path) -> None:
    seen = opened(browser, report)
    script = "const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s);"
    seen.page.evaluate(f"() => {{ {script} }}")
    seen.page.evaluate("() => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"owned = 1\">'); }")
    seen.page.wait_for_timeout(200)
    assert seen.page.evaluate("typeof window.owned") == "undefined"
    assert "Content Security Policy" in "".join(seen.said)


def test_the_page_and_its_graph_follow_the_theme_and_print_on_white(browser: Browser, report: Path) -> None:
    page = opened(browser, report, color_scheme="light").page

    def looks() -> tuple[str, str]:
        settled(page)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return paper, page.evaluate("document.querySelector('canvas').toDataURL()")

    light = looks()
    page.emulate_media(color_scheme="dark")
    dark = looks()
    page.emulate_media(color_scheme="dark", media="print")
    printed = looks()
    assert len({light[0], dark[0], printed[0]}) == 3
    assert len({light[1], dark[1], printed[1]}) == 3
    assert printed[0] == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [320, 360, 768])
def test_a_narrow_screen_needs_no_scrolling_sideways(browser: Browser, report: Path, width: int) -> None:
    page = opened(browser, report, viewport={"width": width, "height": 740}, has_touch=True).page
    for summary in page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_pictures_and_tables_have_words_and_headings_have_an_order(browser: Browser, report: Path) -> None:
    page = opened(browser, report).page
    for summary in page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    unsaid = (
        "[...document.querySelectorAll('svg')].filter(e => !e.ariaLabel && e.getAttribute('aria-hidden') !== 'true')"
    )
    assert page.evaluate(f"{unsaid}.length") == 0
    assert page.evaluate("[...document.querySelectorAll('table')].filter(e => !e.caption.textContent).length") == 0
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.locator("main").count() == page.locator("nav").count() == page.locator("[role=status]").count() == 1


def test_a_run_that_goes_on_has_a_page_too(browser: Browser, tmp_path: Path) -> None:
    born = [individual(0, "seed", 0.1, operator="seed"), individual(individual_number(1, 0), "Sort.", 0.5)]
    seen = opened(browser, written(tmp_path, born).report())
    assert seen.page.inner_text("#verdict h2") == "Best prompt so far"
    assert "the final test comes at the end" in seen.page.inner_text("#verdict")
    assert "not finished" in seen.page.inner_text("#head")
    empty = opened(browser, written(tmp_path, []).report())
    assert "No prompt has been scored yet" in empty.page.inner_text("#verdict")
    assert seen.said == empty.said == []


def test_five_thousand_individuals_can_be_moved_and_selected(browser: Browser, tmp_path: Path) -> None:
    born = [individual(0, "seed", 0.1, operator="seed")]
    born += [individual(n, f"prompt {n}", (n % 10) / 10, (n // 2, "base"), (n - 1, "mate")) for n in range(1, 5000)]
    told = story(written(tmp_path, born), nodes=5000)
    (tmp_path / "r.html").write_text(html_of(told), encoding="utf-8")
    page = opened(browser, tmp_path / "r.html").page
    key(page, "+", "+", "+")
    at = settled(page)
    frames = page.evaluate(
        """async () => {
          const canvas = document.querySelector('canvas'), took = [];
          for (let k = 0; k < 20; k += 1) {
            canvas.dispatchEvent(new WheelEvent('wheel', { deltaX: k < 10 ? -30 : 30, cancelable: true }));
            await new Promise((done) => requestAnimationFrame(() => {
              const began = performance.now();
              setTimeout(() => done(took.push(performance.now() - began)));
            }));
          }
          return took.sort((a, b) => a - b);
        }"""
    )
    assert frames[10] < 100, f"a frame takes {frames[10]:.0f} ms"
    page.mouse.click(*at)
    assert chosen(page) == name(told["graph"]["id"][0])


def test_where_folds_stand_in_for_a_test_the_gain_says_so(browser: Browser, tmp_path: Path) -> None:
    changes = ("executor=inline", f"storage={tmp_path}", "budget.calls=3000", "task.split={folds: 4}")
    evo("run", EXAMPLES / "toy.yaml", "--plain", *(w for one in changes for w in ("--set", one)), cwd=EXAMPLES)
    run = package.open_run(only_run(tmp_path))
    assert run.result is not None
    seen = opened(browser, run.report(tmp_path / "report.html"))
    claim = seen.page.inner_text("#verdict")
    assert f"paired on {run.result['crossed']['gain']['n']} dev rows, each under what the other folds chose" in claim
    assert "the search saw all rows" in claim
    assert not seen.said
