"""What ``evo lineage`` prints: the line of descent with its changes, gains, origins, and graphs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from records import born, write
from rich.console import Console

from evo.cli import main
from evo.cli.descent import diff_lines
from evo.folder import RunFolder
from evo.model import FAILED, Individual, Prompt
from evo.settings import RunSettings

SEED = born(0, "Sort the text.", [0, 0, 1, 1])
MATE = born(1, "Be brief.", [0, 0, 0, 0])
CHILD = born(2, "Sort the whole text. Be brief.", [1, 1, 1, 0], (0, "base"), (1, "mate"), generation=1, operator="mix")
COPY = born(3, CHILD.prompt.text, [1, 1, 1, 0], (2, "migrant_of"), generation=1, operator="migration")
LOST = Individual(4, Prompt(()), "cloze", ((0, "base"),), 1, status=FAILED, note="no tag")


@pytest.fixture
def run(tmp_path) -> Path:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(tmp_path)})
    folder = RunFolder.create(settings, base=Path(), title="t", fingerprint="f")
    return write(folder.path, [SEED, MATE, CHILD, COPY, LOST])


def said(capsys, *arguments: object) -> str:
    assert main(["lineage", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_the_line_shows_what_changed(run, capsys):
    assert said(capsys, run, 3).splitlines() == [
        "0  generation 0, island 0, seed, dev 50.0 %",
        "   | Sort the text.",
        "2  generation 1, island 0, mix, dev 75.0 % (+25.0 points: 2 rows won, 1 lost)",
        "   from 0 (base), 1 (mate)",
        "   | Sort the{+ whole+} text.{+ Be brief.+}",
        "3  generation 1, island 0, migration, dev 75.0 % (+0.0 points: 0 rows won, 0 lost)",
        "   from 2 (migrant_of)",
        "   | (unchanged)",
    ]
    assert "   | no tag" in said(capsys, run, 4)


def test_why_names_the_rows_with_an_interval(run, capsys):
    out = said(capsys, run, 3, "--why")
    assert "gain over 0 +25.0 points [" in out
    assert "p = 1 on 4 rows; won 2: rows 0, 1; lost 1: rows 3" in out
    assert "optimistic" in out
    (first, second) = json.loads(said(capsys, run, 3, "--why", "--json"))["why"]
    assert (first["individual"], first["parent"], first["role"], first["won"], first["lost"]) == (
        2,
        0,
        "base",
        [0, 1],
        [3],
    )
    assert first["gain"]["low"] < 0.25 < first["gain"]["high"]
    assert not first["gain"]["significant"]
    assert (second["gain"]["mean"], second["won"]) == (0, [])


def test_origin_says_who_brought_each_phrase(run, capsys):
    assert said(capsys, run, 3, "--origin").splitlines()[-5:] == [
        "[instruction]",
        "   Sort the  <- 0, island 0, seed",
        "   whole  <- 2, island 0, mix",
        "   text.  <- 0, island 0, seed",
        "   Be brief.  <- 1, island 0, seed",
    ]
    (part,) = json.loads(said(capsys, run, 3, "--origin", "--json"))["origin"]
    assert "".join(span["text"] for span in part["spans"]) == CHILD.prompt.text


def test_graphs_go_to_other_programs_as_they_are(run, capsys):
    assert said(capsys, run, 3, "--dot").startswith("digraph lineage {\n")
    assert said(capsys, run, 3, "--mermaid").splitlines()[0] == "flowchart TD"
    assert "-.->" not in said(capsys, run, 3, "--mermaid", "--simplified")
    assert "n1 --> " in said(capsys, run, 3, "--mermaid", "--simplified").replace("|", " ")
    assert "n1 --> " not in said(capsys, run, 3, "--mermaid", "--tree").replace("|", " "), "the mate is no base parent"
    assert main(["lineage", str(run), "3", "--tree"]) == 2
    assert "expect --dot or --mermaid" in capsys.readouterr().err


def test_parts_that_changed_are_shown_each_under_its_name():
    before = Prompt((("system", "You sort."), ("instruction", "Sort."), ("_mutation", "Be bold.")))
    after = before.with_part("instruction", "Sort\nwell.").with_part("_mutation", "Be brief.")
    lines = [line.plain for line in diff_lines(before, after, coloured=False)]
    assert lines == ["[instruction]", "Sort{+", "well+}.", "[_mutation] (gene)", "Be [-bold-]{+brief+}."]


def test_on_a_terminal_changes_are_coloured_and_an_enemy_still_steers_nothing():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system="standard", width=80, no_color=False)
    for line in diff_lines(Prompt.of("old \x1b[2J text"), Prompt.of("new \u202e text[/]"), coloured=True):
        console.print(line)
    out = screen.getvalue()
    assert "\x1b[32mnew" in out
    assert "\x1b[2J" not in out
    assert "\u202e" not in out
    assert "\\u001b" in out


def test_a_run_is_compacted_on_demand(run, capsys):
    write(run, [born(9)])
    assert main(["compact", str(run), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["before"] > done["after"] > 0
    assert main(["compact", str(run)]) == 0
    assert "files of tables before" in capsys.readouterr().out
    assert "9  generation 0" in said(capsys, run, 9)
