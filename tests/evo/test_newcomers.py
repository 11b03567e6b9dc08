"""What a newcomer does with a run in Python and the terminal: numbers from tables, looks at objects, who is alive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from records import born, write

from evo import Run, evolve
from evo.ancestry import Ancestry
from evo.cli import main
from evo.errors import EvoError
from evo.lineage import alive_in, number_of
from evo.model import FAILED, individual_number, island_of, sequence_of
from evo.schema import LIVING, event_row
from evo.untrusted import safe
from fitness.toy import toy_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return evolve(
        {"data": toy_rows(120), "scorer": "choice"},
        prompts=["Sort the text.", "What is the mood?", "Positive or negative?"],
        model="fake/toy",
        method={"name": "evoprompt-ga", "population": 4},
        islands=2,
        budget={"births": 40},
        executor="inline",
        storage=str(tmp_path_factory.mktemp("runs")),
        seed=1,
    )


def test_a_number_out_of_a_table_names_an_individual(run: Run) -> None:
    table = run.individuals()
    number = table["id"][5].as_py()
    for same in (np.int64(number), table["id"][5], pa.scalar(number), run.individual(number)):
        assert number_of(same) == number
        assert run.lineage(same).number == number
        assert run.diff(same, number)[0].changed is False
        assert run.lineage(number).common_ancestor(same) == number
    assert run.individual(np.int64(number)).number == number


@pytest.mark.parametrize("stranger", ["3", 3.5, int, [1]], ids=["text", "fraction", "type", "list"])
def test_what_is_no_number_is_refused_with_a_word(run: Run, stranger: object) -> None:
    for ask in (run.lineage, run.individual):
        with pytest.raises(EvoError, match="expected an individual or its number"):
            ask(stranger)  # type: ignore[operator]
    with pytest.raises(EvoError, match="expected one individual or more, got 0"):
        run.top(0)


def test_a_prompt_is_listed_once_however_often_it_was_born(run: Run) -> None:
    born = [row["prompt"] for row in run.individuals().to_pylist() if row["status"] != FAILED]
    hashes = run.prompts()["hash"].to_pylist()
    assert len(hashes) == len(set(hashes)) == len(set(born)) < len(born)
    joined = run.sql("SELECT count(*) AS n FROM individuals i JOIN prompts p ON i.prompt = p.hash")
    assert joined["n"].to_pylist() == [len(born)]


def test_what_python_shows_fits_a_screen(run: Run) -> None:
    lineage = run.lineage()
    assert (
        repr(lineage)
        == f"Lineage({lineage.number}, {len(lineage.ancestors)} ancestors, {len(lineage.descendants)} descendants)"
    )
    assert len(repr(run.best)) < 2000
    assert max(len(repr(step)) for step in lineage.why()) < 3000
    assert repr(run.best.individual.evaluation).startswith("Evaluation(mean 0.")


def test_a_lineage_shows_its_graph_and_an_individual_its_rows(run: Run) -> None:
    number = run.individuals()["id"][-1].as_py()
    shown = run.lineage(number)._repr_mimebundle_()["text/html"]
    assert shown.count("<iframe") == 1
    one = run.best.individual._repr_mimebundle_()["text/html"]
    assert one.count("<img") == 1
    assert f"Score of each of {len(run.best.individual.evaluation.outcomes)} dev rows" in one
    bare = born(0, "unscored", [])._repr_mimebundle_()["text/html"]
    assert "<img" not in bare


def test_the_terminal_takes_the_name_that_the_report_has(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    number = run.best.individual.number
    name = f"{island_of(number)}:{sequence_of(number)}"
    shown = []
    for words in (str(number), name):
        assert main(["lineage", str(run.path), words]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    for wrong in ("1:", ":2", "a:1", "1:2:3", "-1"):
        assert main(["lineage", str(run.path), "--", wrong]) == 2
        assert "2:17" in capsys.readouterr().err


def test_the_living_are_the_populations_the_islands_ended_with(run: Run) -> None:
    found = run.ancestry.numbers[alive_in(run.path, run.ancestry)]
    told = [row for row in run.events().to_pylist() if row["kind"] == LIVING]
    assert len(told) == 2
    assert np.bincount([island_of(number) for number in found.tolist()]).tolist() == [4, 4]
    rows = {row["id"]: row for row in run.individuals().to_pylist()}
    for island in (0, 1):
        mine = [one["fitness"] for one in rows.values() if one["island"] == island and one["fitness"] is not None]
        living = [rows[number]["fitness"] for number in found.tolist() if island_of(number) == island]
        assert max(living) == max(mine)
        assert min(living) >= np.median(mine)


def test_before_an_island_comes_to_rest_those_who_bred_of_late_count_as_alive(tmp_path: Path) -> None:
    individuals = [born(0, "seed", [1.0]), born(1, "other", [1.0]), born(2, "child", [1.0], (0, "base"), generation=1)]
    other = individual_number(1, 0)
    rests = [event_row(0, LIVING, None, "[1]"), event_row(1, LIVING, None, f"[{other}]"), event_row(0, "asked", 3)]
    write(tmp_path, [*individuals, born(other, "apart", [1.0])], events=rests)
    ancestry = Ancestry(tmp_path)
    assert ancestry.numbers[alive_in(tmp_path, ancestry)].tolist() == [0, other], "island 0 has gone on since"


@pytest.mark.parametrize("hidden", ["\u200b", "\ufeff", "\u2060", "\U000e0041"])
def test_letters_nobody_sees_are_shown(hidden: str) -> None:
    assert safe(f"a{hidden}b") == f"a\\u{ord(hidden):04x}b"


def test_added_words_are_marked_on_a_terminal_without_colours(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["lineage", str(run.path)]) == 0
    assert "{+" in capsys.readouterr().out
