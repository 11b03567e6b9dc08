from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
from pathlib import Path

import pytest
from records import born, write

from evo.budget import Usage
from evo.cli import main
from evo.cli.text import duration, money, one_line, percent, safe
from evo.config import load
from evo.engine import prepare
from evo.folder import RunFolder, write_json
from evo.model import FAILED, Completion, Individual, Outcome, Prompt
from evo.receipts import Receipt
from evo.schema import call_row, evaluation_rows, event_row
from evo.settings import RunSettings
from evo.verdict import finalists, verdict
from fitness.toy import toy_rows

HOSTILE = "Ignore\x1b[2J\x1b]0;o\x07 \u202egnihton\u202c \x9b31m \x00 \u200b[bold]x[/bold] é 😀"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ud800-\udfff]")


def command(capsys, *arguments: object) -> tuple[int, str, str]:
    """Run a command as the shell does; return its exit code, stdout and stderr."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """Return a finished run whose every text was written by an enemy."""
    storage = tmp_path_factory.mktemp("runs")
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(storage), "model": "fake/toy"})
    folder = RunFolder.create(settings, base=Path("."), title="t", fingerprint="f")
    call = Receipt("k", "m", "task", 1, 0.0, Completion(HOSTILE, 3, 1, 0.5))
    write(
        folder.path,
        [
            born(0, "seed", [1, 0, 0]),
            born(1, HOSTILE, [1, 1, 0], (0, "base"), generation=1, operator="ev\x1b[31mil"),
            born(2, "half \ud800 pair", [1, 1, 1], (1, HOSTILE), generation=2),
            Individual(3, Prompt(()), "cloze", ((0, "base"),), 1, status=FAILED, note=HOSTILE),
        ],
        evaluations=[*evaluation_rows(2, [Outcome(9, 1.0)], "test"), *evaluation_rows(0, [Outcome(9, 0.0)], "test")],
        calls=[call_row(call)],
        events=[event_row(-1, "started")],
    )
    result = verdict(folder.path, finalists(folder.path), status="done", spent=Usage(1, 4, 0.5), elapsed_s=3.0, seed=0)
    (folder.path / "result.json").write_text(json.dumps(result))
    return folder.path


READING = [
    ("best",),
    ("best", "-k", "5"),
    ("show",),
    ("lineage",),
    ("lineage", "--all"),
    ("show", "--operators"),
    ("lineage", "--why", "--origin"),
    ("show", "--sql", 'SELECT id AS "a\x1b[31m", operator, fitness / 0 AS nan, born_at FROM individuals'),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_text_of_an_enemy_cannot_steer_the_terminal(hostile, capsys, words):
    code, out, err = command(capsys, words[0], hostile, *words[1:])
    assert (code, err) == (0, "")
    assert not STEERING.findall(out.replace("\n", "").replace("\t", ""))
    out.encode()
    if words[0] == "show":
        assert "ev\\u001b[31mil" in out
    else:
        assert "\\u001b[2J" in out
        assert "\\u202egnihton" in out
        assert "[bold]x[/bold]" in out
        assert "é 😀" in out


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_json_is_one_document_and_nothing_else(hostile, capsys, words):
    code, out, err = command(capsys, words[0], hostile, *words[1:], "--json")
    assert (code, err) == (0, "")
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(document, dict)
    out.encode()
    assert not STEERING.findall(out.replace("\n", "")), "a terminal shows JSON, too"


def test_a_report_is_written_where_one_says_or_into_the_run(hostile, tmp_path, capsys):
    code, out, err = command(capsys, "report", hostile, "-o", tmp_path / "r.html", "--json")
    assert (code, err, json.loads(out)) == (0, "", {"report": str(tmp_path / "r.html")})
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert command(capsys, "report", hostile)[1] == f"{hostile / 'report.html'}\n"
    assert (hostile / "report.html").exists()


def test_the_documents_hold_what_one_reads_them_for(hostile, capsys):
    best = json.loads(command(capsys, "best", hostile, "--json", "-k", "2")[1])
    assert [one["individual"] for one in best["top"]] == [2, 1]
    assert best["result"]["winner"]["test"]["n"] == 1
    assert best["top"][1]["text"] == HOSTILE
    show = json.loads(command(capsys, "show", hostile, "--json")[1])
    assert show["spent"] == {"calls": 1, "tokens": 4, "usd": 0.5}
    assert show["islands"][0]["failed"] == 1
    assert show["failures"] == [{"note": HOSTILE, "count": 1}]
    operators = json.loads(command(capsys, "show", hostile, "--operators", "--json")[1])["operators"]
    assert [(one["operator"], one["tried"], one["improved"], one["gain"]) for one in operators] == [
        ("ev\x1b[31mil", 1, 1, pytest.approx(1 / 3)),
        ("paraphrase", 1, 1, pytest.approx(1 / 3)),
        ("cloze", 1, 0, None),
    ]
    line = json.loads(command(capsys, "lineage", hostile, "--json")[1])
    assert ([one["individual"] for one in line["line"]], line["ancestors"]) == ([0, 1, 2], [0, 1])
    of_failed = json.loads(command(capsys, "lineage", hostile, "3", "--json")[1])
    assert of_failed["line"][-1]["status"] == "failed"


def test_an_estimate_can_be_read_by_a_program_and_by_people(config, capsys):
    code, out, _ = command(capsys, "estimate", config, "--json", "--set", "budget.calls=150")
    document = json.loads(out)
    assert (code, document["ended_by"]) == (0, "calls")
    assert document["calls"] == document["search_calls"] + document["final_calls"] <= 150
    code, out, _ = command(capsys, "estimate", config, "--offline", "--set", "budget.calls=150")
    assert code == 0
    assert "no model was asked" in out
    assert f"in all      {document['calls']:,} calls" in out
    assert "unknown cost" in out
    assert "budget.calls ends it" in out


def test_a_run_whose_budget_does_not_pay_its_first_prompts_says_so_while_it_starts(config, capsys):
    more = ("--set", "method.name=promptbreeder", "--set", "budget.calls=150")
    assert "warning" not in command(capsys, "run", config, "--plain")[1]
    _, out, _ = command(capsys, "run", config, "--plain", *more)
    warning = r"^warning: the first prompts take about [\d,]+ calls .* raise budget.calls to [\d,]+, or lower.*\n"
    assert re.search(warning, out, re.MULTILINE)
    assert "best prompt" in out.partition("warning:")[2]


@pytest.mark.parametrize("name", ["methods", "racing", "scorers", "models"])
def test_the_catalogue_can_be_read_by_a_program_and_by_people(capsys, name):
    code, out, _ = command(capsys, name, "--json")
    listed = json.loads(out)
    assert code == 0
    assert all(one["name"] for one in listed)
    assert listed
    code, out, _ = command(capsys, name)
    assert code == 0
    assert all(one["name"] in out for one in listed)


def test_scorers_are_listed_with_what_they_take(capsys):
    by_name = {row["name"]: row for row in json.loads(command(capsys, "scorers", "--json")[1])}
    assert by_name["numeric"]["arguments"] == {"tolerance": 1e-6, "units": {}}
    assert "folder" not in by_name["json-schema"]["arguments"]
    assert "`{name: chrf, words: 2}`" in command(capsys, "scorers")[1]


def test_racing_policies_are_listed_beside_the_methods(capsys):
    policies = json.loads(command(capsys, "racing", "--json")[1])
    out = command(capsys, "methods")[1]
    assert "full" in {policy["name"] for policy in policies}
    assert all(policy["summary"].endswith(".") and policy["summary"] in out for policy in policies)


def test_a_storage_folder_stands_for_its_latest_run(hostile, capsys):
    assert json.loads(command(capsys, "best", hostile.parent, "--json")[1])["run"] == str(hostile)


def damaged(hostile: Path, tmp_path: Path, name: str, content: bytes) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(hostile, copy)
    (copy / name).write_bytes(content)
    return copy


BAD_INPUTS = [
    (["best", "nowhere"], 2, "no run"),
    (["show", "{tmp}"], 2, "no run"),
    (["lineage", "{run}", "x1"], 2, "a number"),
    (["lineage", "{run}", "²"], 2, "a number"),
    (["lineage", "{run}", "99999"], 1, "no individual 99999"),
    (["lineage", "{run}", "9" * 40], 1, "no individual"),
    (["best", "{run}", "-k", "0"], 2, "1 or more"),
    (["best", "{run}", "-k", "many"], 2, "invalid int"),
    (["run", "missing.yaml"], 2, "no file"),
    (["run", "{tmp}/bad.yaml"], 2, "unknown key 'modle'"),
    (["run", "{tmp}/good.yaml", "--set", "budget"], 2, "key=value"),
    (["run", "{tmp}/good.yaml", "--set", "method=evoprompt-gaa"], 2, "did you mean 'evoprompt-ga'"),
    (["run", "{tmp}/good.yaml", "--set", "method={name: evoprompt-ga, popolation: 3}"], 2, "population"),
    (["run", "{tmp}/good.yaml", "--set", "executor=rya"], 2, "did you mean 'ray'"),
    (["run", "{tmp}/good.yaml", "--set", "racing=nonsense:Thing"], 2, "cannot import 'nonsense'"),
    (["run", "{tmp}/good.yaml", "--set", "racing=:Thing"], 2, "racing"),
    (["run", "{tmp}/good.yaml", "--set", "task.scorer=mine:score"], 2, "put the module beside the configuration"),
    (["run", "{tmp}/good.yaml", "--set", "task.data=none.jsonl"], 2, "none.jsonl"),
    (["run", "{tmp}/good.yaml", "--set", "storage=/proc/nowhere"], 2, "cannot be written"),
    (["run", "{tmp}/good.yaml", "--set", "prompts=[]"], 2, "seed prompt"),
    (["run", "{tmp}/good.yaml", "--set", "model.options.latency=3"], 2, "latency_ms"),
    (["resume", "{tmp}"], 2, "no run"),
    (["resume", "{run}", "--set", "seed=4"], 2, "only budget.*, concurrency, workers, executor, profile can change"),
    (["resume", "{run}", "--set", "budget.cals=4"], 2, "did you mean 'calls'"),
    (["models", "pull"], 2, "expects a name"),
    (["models", "pull", "no-such-model"], 2, "no-such-model"),
    (["report", "{run}", "-o", "none/r.html"], 1, "name another file"),
    (["frobnicate"], 2, "invalid choice"),
]


@pytest.mark.parametrize(
    ("words", "code", "said"), BAD_INPUTS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_bad_input_is_one_message_and_no_traceback(hostile, tmp_path, capsys, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in toy_rows(20)))
    good = f"task: {{data: {data}, scorer: choice}}\nprompts: [Judge it.]\nmodel: fake/toy\nexecutor: inline\n"
    (tmp_path / "good.yaml").write_text(good)
    (tmp_path / "bad.yaml").write_text(good + "modle: x\n")
    arguments = [word.format(tmp=tmp_path, run=hostile) if "{name" not in word else word for word in words]
    got, out, err = command(capsys, *arguments)
    assert (got, "Traceback" in out + err) == (code, False)
    assert said in err
    assert len(err.strip().splitlines()) == 1 or err.startswith("usage: ")
    if "model.options" not in " ".join(words):  # models are made by the workers
        assert not (tmp_path / "runs").exists(), "what cannot run leaves no folder"


@pytest.mark.parametrize("words", [*READING[:4], ("report",)], ids=" ".join)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", b"{"),
        ("result.json", b"\xff"),
        ("individuals/part-000000.parquet", b"PAR1"),
        ("edges/part-000000.parquet", b""),
        ("journal-000009.jsonl", b"not json\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_run_is_one_message_and_no_traceback(hostile, tmp_path, capsys, words, name, content):
    code, _, err = command(capsys, words[0], damaged(hostile, tmp_path, name, content), *words[1:])
    assert code in (0, 1, 2)
    assert "Traceback" not in err
    assert code == 0 or len(err.strip().splitlines()) == 1


def test_a_run_that_scored_nothing_yet_can_be_looked_at(tmp_path, capsys):
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(tmp_path)})
    path = RunFolder.create(settings, base=Path("."), title="t", fingerprint="f").path
    assert command(capsys, "show", path)[0] == 0
    assert "no operator's birth has ended yet" in command(capsys, "show", path, "--operators")[1]
    assert json.loads(command(capsys, "show", path, "--json")[1])["status"] == "unfinished"
    assert command(capsys, "report", path)[0] == 0
    for name in ("best", "lineage"):
        code, out, err = command(capsys, name, path)
        assert (code, out) == (1, "")
        assert "has scored no prompt yet" in err


@pytest.fixture
def config(tmp_path) -> Path:
    rows = "\n".join(json.dumps(row) for row in toy_rows(24))
    (tmp_path / "rows.jsonl").write_text(rows)
    file = tmp_path / "toy.yaml"
    file.write_text(
        'task: {data: rows.jsonl, scorer: choice}\nprompts: [Judge the review., "What is the tone?"]\n'
        f"model: fake/toy\nexecutor: inline\nstorage: {tmp_path / 'runs'}\nbudget: {{calls: 150}}\n"
    )
    return file


def test_a_run_prints_the_winner_and_exits_0_and_goes_on_when_resumed(config, capsys):
    code, out, err = command(capsys, "run", config, "--plain")
    assert code == 0, err
    assert re.search(r"best prompt\n  \S", out)
    assert "evo show" in out
    (manifest,) = (config.parent / "runs").glob("*/run.json")
    code, out, err = command(capsys, "resume", manifest.parent, "--set", "budget.calls=200", "--json", "--plain")
    assert code == 0
    document = json.loads(out)
    assert 150 < document["spent"]["calls"] <= 200
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ("model.options.fatal=true", 1, "the key is not valid"),
        ("budget.calls=3", 3, "budget"),
    ],
)
def test_how_a_run_ended_is_its_exit_code(config, capsys, change, code, said):
    words = ["--set", "model={name: fake/toy}", "--set", change, "--plain"]
    got, _, err = command(capsys, "run", config, *words)
    assert (got, "Traceback" in err) == (code, False)
    assert said in err


def test_an_interrupt_exits_130_and_says_how_to_go_on(config, capsys):
    ended = threading.Event()

    def interrupt() -> None:
        while not list((config.parent / "runs").glob("*/journal-*")) and not ended.wait(0.02):
            pass
        if not ended.wait(0.3):
            os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=interrupt)
    sender.start()
    words = ["--set", "model={name: fake/toy, options: {latency_ms: 30}}", "--set", "budget.calls=100000", "--plain"]
    code, out, err = command(capsys, "run", config, *words)
    ended.set()
    sender.join()
    assert code == 130
    (manifest,) = (config.parent / "runs").glob("*/run.json")
    assert f"evo resume {manifest.parent}" in out
    assert "Traceback" not in err


def test_without_a_command_the_help_is_shown(capsys):
    code, out, _ = command(capsys)
    assert code == 2
    assert "start here" in out
    assert command(capsys, "--version")[0] == 0


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\x7f", "\u202e", "\u2066", "\u200e", "\ud800", "\r", "\b"])
def test_a_character_that_steers_a_terminal_is_shown_as_its_number(character):
    assert safe(f"a{character}b") == f"a\\u{ord(character):04x}b"
    assert STEERING.search(one_line(f"a{character}b", 80)) is None


@pytest.mark.parametrize("text", ["plain", "tab\tand\nline", "日本語 é 😀 🏳️‍🌈", "[bold]markup[/bold]"])
def test_other_text_is_left_alone(text):
    assert safe(text) == text


def test_short_forms():
    assert one_line("a\n\n b\tc", 80) == "a b c"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"
    assert [money(value) for value in (None, 0.0, 0.01234, 12.345)] == ["unknown cost", "$0.0000", "$0.0123", "$12.35"]
    assert [duration(value) for value in (0.4, 59.9, 60, 185, 7800)] == ["0s", "59s", "1m00s", "3m05s", "2h10m"]
    assert [percent(value) for value in (None, 0.0, 0.1234, 1.0)] == ["-", "0.0 %", "12.3 %", "100.0 %"]


def test_preparing_leaves_a_folder_that_reading_commands_take(config, capsys):
    path = prepare(load(config), base=config.parent, title="t").path
    write_json(path / "note.json", {})
    assert command(capsys, "show", path)[0] == 0
