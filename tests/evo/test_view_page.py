"""The page holds the story, harmlessly, and needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import born
from reported import archipelago, reported

from evo.errors import EvoError
from evo.untrusted import safe
from evo.view import page
from evo.view.page import LIVE, STILL, STYLES, html_of, json_of
from evo.view.story import story

WEB = Path(page.__file__).with_name("web")
HOSTILE = (
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> \u202eevil\u2028\x1b[31m \x00 half \ud800"
)


def inside(html: str, element: str) -> str:
    found = re.findall(rf"<{element}>(.*?)</{element.partition(' ')[0]}>", html, re.DOTALL)
    assert len(found) == 1, element
    return str(found[0])


def data_of(html: str) -> Any:
    return json.loads(inside(html, 'script type="application/json" id="data"'))


def test_the_page_holds_the_story(tmp_path: Path) -> None:
    told = story(reported(tmp_path))
    held = data_of(html_of(told))
    for name in ("graph", "descent", "heat", "migration"):
        assert held[name] == json.loads(json_of(told[name]))
    assert held["graph"]["id"] == told["graph"]["id"]


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_stands_in_the_page_as_data_and_is_shown_safely(text: str) -> None:
    written = json_of({"prompt": text})
    assert not re.search("[<>&\u2028\u2029]", written)
    assert json.loads(written) == {"prompt": safe(text)}
    written.encode()


def test_no_prompt_ends_the_data_or_begins_markup(tmp_path: Path) -> None:
    run = reported(
        tmp_path, [born(0, "seed"), born(1, HOSTILE, (1.0, 1.0), (0, HOSTILE), operator=HOSTILE)], ended=False
    )
    html = run.report().read_text(encoding="utf-8")
    assert html.count("<script") == html.count("</script>") == 2
    assert "<img" not in html
    (parts,) = [parts for parts in data_of(html)["graph"]["prompts"] if "alert" in parts[0][1]]
    assert parts == [["instruction", safe(HOSTILE)]]
    assert safe(HOSTILE).endswith("\\u202eevil\u2028\\u001b[31m \\u0000 half \\ud800")


def test_a_title_is_text(tmp_path: Path) -> None:
    html = html_of(story(reported(tmp_path)))
    assert inside(html, "title") == "Sort &lt;b&gt;texts&lt;/b&gt; · prompt-archipelago"


def test_only_the_pages_own_script_and_style_may_act(tmp_path: Path) -> None:
    html = html_of(story(reported(tmp_path)))
    rules = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert rules is not None
    policy = dict(rule.split(" ", 1) for rule in rules[1].split("; "))
    assert policy["default-src"] == "'none'"
    for name, element in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(inside(html, element).encode()).digest()).decode()
        assert policy[name] == f"'sha256-{digest}'"
    assert "unsafe" not in rules[1]


def test_the_page_names_no_other_place(tmp_path: Path) -> None:
    html = html_of(story(reported(tmp_path)))
    assert set(re.findall(r"https?://[^\s\"'`]+", html)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|innerHTML|outerHTML|insertAdjacentHTML|eval)\s*[(=]", html)


def test_every_file_of_the_page_is_used_and_short() -> None:
    used = {f"{name}.js" for name in {*STILL, *LIVE}} | {f"{name}.css" for name in STYLES} | {"page.html", "live.html"}
    assert {path.name for path in WEB.iterdir()} == used
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in WEB.iterdir()) <= 300


def test_megabytes_of_prompt_make_no_megabytes_of_page(tmp_path: Path) -> None:
    huge = "word " * 400_000
    run = reported(tmp_path, [born(0, huge), born(1, huge + "!", (1.0, 1.0), (0, "base"))])
    html = run.report().read_text(encoding="utf-8")
    assert len(html) < 250_000
    assert "1,994,001 characters left out" in html


def test_numbers_that_json_lacks_are_none() -> None:
    assert json.loads(json_of([float("nan"), float("inf"), 3.06e-15, 1 / 3])) == [None, None, 3.06e-15, 0.333333]


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = reported(tmp_path)
    path = run.report(tmp_path / "r.html")
    before = path.read_text(encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(page.os, "replace", full)
        with pytest.raises(EvoError, match=r"r\.html.*No space left on device; name another file"):
            run.report(path)
    assert path.read_text(encoding="utf-8") == before
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["r.html"]


def test_a_report_reads_the_run_and_changes_nothing_of_it(tmp_path: Path) -> None:
    run = reported(tmp_path, archipelago(), ended=False)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    assert run.report() == run.path / "report.html"
    after = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    assert {path: time for path, time in after.items() if path.name != "report.html"} == before
