"""A run whose every text an enemy wrote: prompts, roles, notes, rows, replies, its result, its folder's name."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from records import write
from rich.console import Console

from evo.budget import Usage
from evo.cli import main
from evo.cli.display import LiveTable, PlainLines
from evo.commission import load_task
from evo.folder import RunFolder
from evo.model import FAILED, Completion, Evaluation, Individual, Outcome, Prompt
from evo.receipts import Receipt
from evo.run import Run
from evo.schema import EXTINCT, call_row, evaluation_rows, event_row
from evo.settings import RunSettings
from evo.status import IslandStatus, Snapshot
from evo.verdict import finalists, verdict
from evo.view.live import LiveStory
from evo.view.page import live_html

NASTY = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> \"'`${x} {y} [red]z[/red]"
    " \u202egnihton\u202c \u2066i\u2069 \x1b[2J\x1b]0;owned\x07 \x9b31m \x00\b\r \u200e\u200f\u061c \u2028\u2029 é 😀"
)
HALF = NASTY + " \ud800 half"
FOLDER = "ru\x1b[2Jn \u202eevil\nline two $(touch owned)"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ud800-\udfff]")
READING = [
    ("best",),
    ("best", "-k", "5"),
    ("show",),
    ("show", "--operators"),
    ("show", "--examples"),
    ("show", "--sql", "SELECT * FROM individuals"),
    ("show", "--sql", "SELECT text, parts FROM prompts"),
    ("lineage",),
    ("lineage", "--all"),
    ("lineage", "--why", "--origin"),
    ("lineage", "3"),
    ("lineage", "--dot"),
    ("lineage", "--mermaid"),
    ("lineage", "--dot", "--simplified"),
    ("lineage", "--mermaid", "--tree"),
    ("report",),
    ("compact",),
]
JSON = [words for words in READING if not {"--dot", "--mermaid"} & {*words}]


def written(root: Path, text: str = HALF, name: str = FOLDER) -> Path:
    """Return a finished run in a folder of this name, with this text wherever text is."""
    rows = [{"input": f"{NASTY} {place}", "target": f"{NASTY}{'ab'[place % 2]}"} for place in range(40)]
    (root / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = {"data": "rows.jsonl", "scorer": "choice", "description": NASTY}
    content = {"task": task, "prompts": ["Sort."], "storage": str(root), "model": "fake/toy"}
    settings = RunSettings.model_validate(content)
    known = load_task(settings, root)
    folder = RunFolder.create(settings, base=root, title="t", fingerprint=known.fingerprint)
    dev, test = sorted(known.examples("dev")), sorted(known.examples("test"))

    def one(number: int, said: str, right: int, *parents: tuple[int, str], **more: Any) -> Individual:
        outcomes = [
            Outcome(row, float(at < right), answer=text, reason=NASTY, reply=text, error="")
            for at, row in enumerate(dev)
        ]
        return Individual(
            number, Prompt.of(said), parents=parents, evaluation=Evaluation.of(outcomes), **{"operator": NASTY, **more}
        )

    lost = Individual(9, Prompt(()), NASTY, ((1, text),), 1, status=FAILED, note=text)
    parts = Prompt.of({"system": text, "instruction": f"{text}!", "_gene": text})
    individuals = [
        one(0, "Sort.", 2, operator="seed"),
        one(1, text, 8, (0, "base")),
        one(2, f"{text} more", 9, (1, text)),
    ]
    individuals += [one(3, "", 12, (2, "base"), (1, NASTY)), *(one(n, f"{text} {n}", 3) for n in (4, 5, 6)), lost]
    individuals[3] = Individual(3, parts, NASTY, individuals[3].parents, evaluation=individuals[3].evaluation)
    write(
        folder.path,
        individuals,
        evaluations=[row for n in (0, 3) for row in evaluation_rows(n, [Outcome(k, n / 3) for k in test], "test")],
        calls=[call_row(Receipt("k", NASTY, "operator", 3, 1.0, Completion(text, 20, 8, 0.1, 0.0)))],
        events=[{**event_row(0, EXTINCT), "detail": text}],
    )
    ended = verdict(folder.path, finalists(folder.path), status="done", spent=Usage(1, 4, 0.5), elapsed_s=3.0, seed=0)
    ended |= {"status": NASTY, "copied": {NASTY: [3]}, "looks": 2}
    (folder.path / "result.json").write_text(json.dumps(ended))
    return folder.path.rename(root / name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return two runs of one task."""
    first, second = (written(tmp_path_factory.mktemp("runs"), name=f"{FOLDER}{place}") for place in range(2))
    return [first, second]


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run a command as the shell does; return its exit code and all it wrote, which must not steer a terminal."""
    try:
        code = main([str(word) for word in words])
    except SystemExit as end:
        code = int(str(end.code))
    out, err = capsys.readouterr()
    assert not STEERING.findall(re.sub("[\n\t]", "", out + err))
    (out + err).encode()
    assert "Traceback" not in err
    return code, out + err


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_no_reading_command_lets_it_steer_the_terminal(
    runs: list[Path], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    code, out = said(capsys, words[0], runs[0], *words[1:])
    assert code == 0
    assert out
    assert "\nline two" not in out, "a folder's name begins no line"


@pytest.mark.parametrize("words", JSON, ids=" ".join)
def test_json_stays_json(runs: list[Path], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, out = said(capsys, words[0], runs[0], *words[1:], "--json")
    assert code == 0
    assert isinstance(json.loads(out), dict)


def test_the_comparison_lets_it_steer_nothing(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    code, out = said(capsys, "compare", *runs)
    assert code == 0
    assert "\\u202egnihton" in out
    assert "\nline two" not in out
    code, out = said(capsys, "compare", *runs, "--json")
    assert json.loads(out)["runs"][0]["path"] == str(runs[0])


def test_a_command_that_can_be_copied_runs_nothing_else(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, out = said(capsys, "best", runs[0])
    (look,) = [line for line in out.splitlines() if line.startswith("look ")]
    assert re.search(r"evo show '[^']*\$\(touch owned\)0'$", look)


@pytest.mark.parametrize(
    "words",
    [
        ("best", "{name}/none"),
        ("show", "{run}", "{name}"),
        ("lineage", "{run}", "{name}"),
        ("report", "{run}", "-o", "{run}/none/{name}.html"),
        ("show", "{run}", "--sql", "SELECT {name}"),
        ("run", "{name}.yaml"),
        ("compare", "{run}", "{name}"),
        ("compare", "{run}", "{run}"),
        ("watch", "{run}", "--port", "99999"),
        ("watch", "{name}"),
        ("{name}",),
        ("best", "{run}", "-k", "{name}"),
    ],
    ids=" ".join,
)
def test_no_error_lets_it_steer_the_terminal(
    runs: list[Path], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    name = NASTY.replace("\x00", "").replace("/", "")
    code, out = said(capsys, *(word.replace("{run}", str(runs[0])).replace("{name}", name) for word in words))
    assert code in (1, 2)
    assert out


def test_a_name_that_is_no_text_can_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, name="b\udcffad")
    for words in (["best"], ["show"], ["report"], ["lineage"]):
        assert said(capsys, *words, path)[0] == 0
    assert "\\udcff" in said(capsys, "show", path)[1]


@pytest.mark.parametrize("shown", [LiveTable, PlainLines])
def test_the_display_of_a_run_lets_it_steer_nothing(shown: Any) -> None:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "method": {"name": "mine:Thing"}})
    screen = io.StringIO()
    console = Console(file=screen, width=120, force_terminal=False)
    status = IslandStatus(0, 3, 1, 0.5, 0.4, improved_by=HALF)
    with shown(console, settings) as display:
        display.show(Snapshot(NASTY, 1.0, None, Usage(3, 4, 0.0), 1, 0, 0, 1, (status,)))
    assert screen.getvalue()
    assert not STEERING.findall(re.sub("[\n\t]", "", screen.getvalue()))


def test_neither_page_lets_it_act(runs: list[Path]) -> None:
    run = Run(runs[0])
    for html in (run.report().read_text(encoding="utf-8"), live_html(NASTY)):
        assert html.count("<script") == html.count("</script>") == 2
        assert "<img" not in html
        assert not STEERING.findall(re.sub("[\n\t]", "", html))
    answer = LiveStory(run).answer("").decode()
    assert not STEERING.findall(answer)
    assert not set("<>&\u2028\u2029") & set(answer)


def test_megabytes_of_prompt_take_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "".join(f"word{n % 977} " for n in range(40_000)), "huge")
    for words in (("best",), ("show", "--examples"), ("lineage", "--why", "--origin"), ("lineage", "--dot")):
        began = time.process_time()
        assert said(capsys, words[0], path, *words[1:])[0] == 0
        assert time.process_time() - began < 20, words
    assert len(LiveStory(Run(path)).answer("")) < 300_000
