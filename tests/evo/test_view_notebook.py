"""What a notebook shows of a run, a lineage and an individual: harmless, bounded, and readable without scripts."""

from __future__ import annotations

import base64
import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from records import born
from reported import COPY, reported, without_evidence

from evo.best import Estimate, Gain
from evo.model import Evaluation, Individual, Outcome, Prompt, individual_number
from evo.run import Run
from evo.view import notebook
from evo.view.page import html_of
from evo.view.story import story
from evo.view.svg import COLOURS, GREY, colour_of, course_picture, line_picture

BEST = individual_number(1, 2)
HOSTILE = (
    "</code></iframe><script>alert(1)</script><img src=x onerror='alert(1)'>' \" $x^2$ \u202eevil\x1b[31m \x00 \ud800"
)
ALLOWED = {
    *("div", "p", "strong", "code", "blockquote", "br", "table", "caption", "thead", "tbody", "tr", "th", "td", "img"),
    *("details", "summary", "ins", "del", "iframe"),
}
"""Elements of ours that JupyterLab leaves in an untrusted notebook; of a frame it leaves the bare element."""


class Reader(HTMLParser):
    """Which elements an output has, with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def one(self, tag: str) -> dict[str, str | None]:
        (found,) = [attributes for name, attributes in self.elements if name == tag]
        return found

    def pictures(self) -> list[str]:
        sources = [str(attributes["src"]) for name, attributes in self.elements if name == "img"]
        return [base64.b64decode(source.removeprefix("data:image/svg+xml;base64,")).decode() for source in sources]


def shown(thing: Any) -> Reader:
    bundle = thing._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain", "text/html"}
    return Reader(bundle["text/html"])


def views(run: Run) -> list[Any]:
    return [run, run.lineage(), run.best.individual]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return reported(tmp_path)


def test_a_run_shows_verdict_interval_gain_and_cost_before_its_frame(run: Run) -> None:
    static = run._repr_mimebundle_()["text/html"].partition("<iframe")[0]
    text = Reader(static).text
    cost = f"{run.spent.calls:,} calls, {run.spent.tokens:,} tokens"
    for words in ("Sort the text.\nBe kind.", "75.0 % on 4 rows, optimistic", "no test rows were scored", cost):
        assert words in text
    assert str(BEST) in text
    assert text.index("Be kind.") < text.index(cost)


def test_a_test_score_and_its_gain_are_shown_with_their_intervals(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told = story(run)
    test = {"mean": 0.9, "low": 0.8, "high": 0.95, "n": 160}
    gain = {"mean": 0.38, "low": 0.29, "high": 0.46, "n": 160, "p_value": 1e-5, "significant": True}
    told["result"] |= {"gain": gain, "winner": told["result"]["winner"] | {"test": test}}
    monkeypatch.setattr(notebook, "story", lambda *_, **__: told)
    text = shown(run).text
    assert "90.0 % [80.0 %, 95.0 %] on 160 rows" in text
    assert "+38.0 points [+29.0, +46.0], paired on 160 test rows" in text


def test_the_frame_holds_the_reports_page_and_may_only_run_its_script(run: Run) -> None:
    frame = shown(run).one("iframe")
    assert frame["sandbox"] == "allow-scripts"
    page = html_of(story(run, nodes=notebook.NODES, texts=notebook.TEXTS))
    made = re.compile(r'"made_at":"[^"]*"')
    assert made.sub("", str(frame["srcdoc"])) == made.sub("", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("which", range(3))
def test_hostile_text_stays_text(tmp_path: Path, which: int) -> None:
    one = born(1, HOSTILE, (1.0, 1.0), (0, HOSTILE), operator=HOSTILE)
    wrong = Outcome(2, 0.0, answer=HOSTILE, reason=HOSTILE)
    one = replace(one, evaluation=one.evaluation.merge(Evaluation((wrong,))))
    run = reported(tmp_path, [born(0, "seed"), one], ended=False)
    view = views(run)[which]
    bundle = view._repr_mimebundle_()
    read = Reader(bundle["text/html"])
    assert {name for name, _ in read.elements} <= ALLOWED
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800-\udfff]", read.text + bundle["text/plain"])
    assert "alert(1)" in read.text
    static = bundle["text/html"].partition("<iframe")[0]
    outside = re.sub(r"<code[^>]*>.*?</code>", "", static, flags=re.DOTALL)
    assert "$x" in static
    assert "$x" not in outside


def test_pictures_are_wellformed_and_run_nothing(run: Run) -> None:
    pictures = [*shown(run).pictures(), *shown(run.lineage()).pictures()]
    assert len(pictures) == 3
    for picture in pictures:
        names = {element.tag.rpartition("}")[2] for element in ET.fromstring(picture).iter()}
        assert names <= {"svg", "style", "rect", "line", "text", "path", "circle"}
        assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert all(attributes["alt"] for name, attributes in shown(run).elements if name == "img")


def test_a_line_has_a_dot_for_each_birth_in_the_colour_of_its_island(run: Run) -> None:
    told = story(run)
    colours = colour_of(told["course"])
    assert list(colours.values()) == list(COLOURS[:2])
    dots = re.findall(r'<circle[^>]*fill="([^"]*)"', line_picture(told["descent"]["steps"], colours))
    assert dots == [colours[step["id"] >> 40] for step in told["descent"]["steps"]]
    assert len(set(dots)) == 2


def test_only_the_best_islands_have_a_colour_and_a_name() -> None:
    islands = [
        {"island": n, "births": 1, "points": [[1, 1, n / 10, None]], "arrivals": []} for n in range(len(COLOURS) + 2)
    ]
    course = {"islands": islands}
    assert [island for island, colour in colour_of(course).items() if colour == GREY] == [1, 0]
    assert course_picture(course).count("island ") == len(COLOURS)


def test_labels_do_not_lie_on_each_other() -> None:
    islands = [{"island": n, "births": 1, "points": [[1, 1, 0.5, None]], "arrivals": []} for n in range(4)]
    heights = re.findall(r'y="([\d.]+)"[^>]*>island', course_picture({"islands": islands}))
    assert sorted(set(map(float, heights))) == sorted(map(float, heights))


@pytest.mark.parametrize("individuals", [[], [without_evidence(0)]])
def test_a_run_without_a_score_shows_itself_too(tmp_path: Path, individuals: list[Individual]) -> None:
    assert "No prompt has been scored yet" in shown(reported(tmp_path, individuals, ended=False)).text


def test_a_run_that_goes_on_promises_no_gain(tmp_path: Path) -> None:
    text = shown(reported(tmp_path, ended=False)).text
    assert "The best so far" in text
    assert "Gain over" not in text


def test_a_lineage_shows_its_steps_with_gains_and_changes(run: Run) -> None:
    bundle = run.lineage(COPY)._repr_mimebundle_()
    read = Reader(bundle["text/html"])
    assert "3 births on its line, 3 ancestors, 1 descendants" in read.text
    assert ">kindly" in bundle["text/html"] or "<ins>" in bundle["text/html"]
    assert [line.split()[-1] for line in bundle["text/plain"].splitlines()[1:]] == ["0", "2", str(COPY)]


def test_an_individual_shows_its_prompt_its_score_and_its_mistakes() -> None:
    bundle = born(5, "Sort.", (1.0, 0.0), (2, "base"))._repr_mimebundle_()
    assert "Sort." in bundle["text/plain"]
    assert "50.0 % [" in bundle["text/plain"]
    assert "2 (base)" in html.unescape(bundle["text/html"])
    assert "Rows it got wrong" in bundle["text/html"]
    assert "Outcome(" not in bundle["text/plain"]


def test_the_best_shows_its_honest_score_too(run: Run) -> None:
    estimate = Estimate(0.9, 0.8, 0.95, 160)
    bundle = replace(run.best, test=estimate, gain=Gain(0.3, 0.2, 0.4, 160, 1e-4, 0.95, True))._repr_mimebundle_()
    for text in bundle.values():
        assert "90.0 % [80.0 %, 95.0 %] on 160 rows" in text
        assert "+30.0 points [+20.0, +40.0]" in text


def test_a_failed_birth_shows_why() -> None:
    failed = Individual(3, Prompt(()), "paraphrase", status="failed", note="no prompt in 3 tries")
    assert "no prompt in 3 tries" in failed._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("limit", ["BIRTHS", "PAGE"])
def test_a_page_too_large_for_a_notebook_is_left_to_a_file(
    run: Run, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(notebook, limit, 3)
    read = shown(run)
    assert "iframe" not in {name for name, _ in read.elements}
    assert "run.report() writes it to a file" in read.text
    assert len(read.pictures()) == 2


def many(count: int, length: int) -> list[Individual]:
    texts = ["".join(chr(97 + (n * k) % 26) for k in range(1, length)) for n in range(count)]
    seed = born(0, texts[0], (0.0,) * 4)
    return [seed, *(born(n, texts[n], (1.0, 0.0, float(n % 2), 0.0), (n // 2, "base")) for n in range(1, count))]


@pytest.mark.parametrize(("count", "length", "most"), [(2_000, 60, 500_000), (300, 3_000, 1_200_000)])
def test_many_births_and_long_prompts_do_not_swell_a_notebook(
    tmp_path: Path, count: int, length: int, most: int
) -> None:
    run = reported(tmp_path, many(count, length), ended=False)
    bundle = run._repr_mimebundle_()
    assert "<iframe" in bundle["text/html"]
    assert len(bundle["text/html"]) < most
    assert len(run.lineage()._repr_mimebundle_()["text/html"]) < 250_000


def test_a_megabyte_of_prompt_is_cut_everywhere() -> None:
    one = born(1, "word " * 200_000, (1.0,))
    bundle: Callable[[], dict[str, str]] = one._repr_mimebundle_
    assert sum(map(len, bundle().values())) < 8_000


def test_the_example_keeps_its_outputs_and_stays_small() -> None:
    path = Path(__file__).parents[2] / "examples" / "lineage.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert path.stat().st_size < 500_000
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"execute_result", "display_data", "stream"}
    (run, *_) = ["".join(output["data"]["text/html"]) for output in outputs if "text/html" in output.get("data", {})]
    assert len(Reader(run).pictures()) == 2
    assert "Gain over the best seed prompt" in Reader(run).text
