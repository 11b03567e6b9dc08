"""What a report tells of a run is what the run says of itself."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from records import born
from reported import COPY, REPLY, archipelago, reported, without_evidence

from evo.model import FAILED, NO_PROMPT, Evaluation, Individual, Outcome, individual_number
from evo.run import Run
from evo.view.shorten import LEAST, Room, shortened
from evo.view.story import HIDDEN, story

BEST = individual_number(1, 2)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return reported(tmp_path)


def edges(run: Run) -> Counter[tuple[int, int, str]]:
    return Counter((row["child"], row["parent"], row["role"]) for row in run.edges().to_pylist())


def links(graph: dict[str, Any]) -> Counter[tuple[int, int, str]]:
    ids, roles = graph["id"], graph["roles"]
    return Counter((ids[child], ids[parent], roles[role]) for child, parent, role in zip(*graph["links"], strict=True))


def test_winner_and_baseline_are_those_of_the_result(run: Run) -> None:
    told, result = story(run)["result"], run.result
    assert result is not None
    for side in ("winner", "baseline"):
        assert {name: told[side][name] for name in ("individual", "dev", "test")} == {
            name: result[side][name] for name in ("individual", "dev", "test")
        }
    assert told["ended"]
    assert told["winner"]["individual"] == BEST


def test_a_run_that_goes_on_tells_of_the_best_so_far(tmp_path: Path) -> None:
    told = story(reported(tmp_path, ended=False))
    assert told["head"]["status"] == "unfinished"
    assert not told["result"]["ended"]
    assert told["result"]["winner"]["individual"] == BEST
    assert told["result"]["winner"]["test"] is None
    assert told["result"]["baseline"]["operator"] == "seed"


@pytest.mark.parametrize("individuals", [[], [without_evidence(0)]])
def test_a_run_without_a_score_has_a_story_too(tmp_path: Path, individuals: list[Any]) -> None:
    told = story(reported(tmp_path, individuals, ended=False))
    assert told["result"] is None
    assert told["graph"]["best"] is None
    assert told["graph"]["id"] == [one.number for one in individuals]
    assert told["descent"]["steps"] == []


def test_the_graph_holds_every_birth_and_every_edge(run: Run) -> None:
    graph = story(run)["graph"]
    assert sorted(graph["id"]) == sorted(run.individuals()["id"].to_pylist())
    assert links(graph) == edges(run)
    assert graph["id"][graph["best"]] == BEST
    texts = [graph["prompts"][which] if which >= 0 else [] for which in graph["prompt"]]
    known = {one.number: [list(part) for part in one.prompt.parts] for one in archipelago()}
    assert dict(zip(graph["id"], texts, strict=True)) == known


def test_a_graph_too_small_for_all_keeps_the_best_and_its_line_and_counts_the_rest(run: Run) -> None:
    graph = story(run, nodes=4)["graph"]
    assert graph["id"] == [BEST, COPY, 2, 0]  # the line; the mate is left out, and so are the others
    assert graph["total"] == 7
    assert graph["parents"] == [1, 1, 2, 0]
    assert set(links(graph)) == {(BEST, COPY, "base"), (COPY, 2, "migrant_of"), (2, 0, "base")}


def test_the_calls_that_made_an_individual_are_told(run: Run) -> None:
    graph = story(run)["graph"]
    ((place, purpose, model, prompt, output, attempts, error, text),) = graph["calls"]
    assert graph["id"][place] == 2
    assert (purpose, model, prompt, output, attempts, error, text) == ("operator", "fake/toy", 20, 8, 1, "", REPLY)


def test_the_line_of_descent_gains_and_changes_what_the_lineage_says(run: Run) -> None:
    told = story(run)["descent"]
    assert [step["id"] for step in told["steps"]] == run.lineage().line_numbers()
    for step, known in zip(told["steps"][1:], run.lineage().why(), strict=True):
        assert known.gain is not None
        assert step["gain"]["mean"] == known.gain.mean
        assert step["won"] == [len(known.won), *known.won]
        changes = [[[one.kind, one.text] for one in part.changes] for part in run.diff(known.parent, known.child)]
        assert [part["changes"] for part in step["diff"]] == changes
    assert "".join(span["text"] for span in told["origin"][0]["spans"]) == run.best.prompt.text


def test_a_long_line_of_descent_is_told_by_its_last_steps(tmp_path: Path) -> None:
    line = [
        born(0),
        *(born(n, "", (1.0, 0.0), (n - 1, "base")) for n in range(1, 60)),
        born(60, "", (1, 1), (59, "base")),
    ]
    told = story(reported(tmp_path, line))["descent"]
    assert told["total"] == 61
    assert [step["id"] for step in told["steps"]] == list(range(21, 61))
    assert told["steps"][0]["gain"] is None


def test_operators_are_those_of_the_ledger(run: Run) -> None:
    assert story(run)["operators"] == run.operators().to_pylist()


def costing(number: int, tokens: int, right: int) -> Individual:
    outcomes = [Outcome(row, float(row < right), tokens=tokens) for row in range(4)]
    return replace(born(number), evaluation=Evaluation.of(outcomes))


def test_the_front_is_whom_nobody_beats_in_cost_and_quality(tmp_path: Path) -> None:
    told = story(reported(tmp_path, [costing(0, 50, 2), costing(1, 40, 2), costing(2, 90, 4), costing(3, 95, 3)]))
    assert told["quality"]["front"] == [(40.0, 0.5, 1), (90.0, 1.0, 2)]
    assert told["quality"]["points"] == [(40.0, 0.5, 1), (50.0, 0.5, 0), (90.0, 1.0, 2), (95.0, 0.75, 3)]


def test_fitness_over_births_and_calls_is_the_best_so_far(run: Run) -> None:
    told = story(run)["course"]
    first, second = told["islands"]
    assert [point[2] for point in first["points"]] == [0.25, 0.25, 2 / 3, 2 / 3]
    assert [point[3] for point in first["points"]] == [0.25, 0.125, 0.25, 0.25]
    assert [point[:2] for point in second["points"]] == [[1, 1], [2, 1], [3, 1]]
    assert second["arrivals"] == [[2, 1]]


def test_migration_counts_sent_accepted_and_living_descendants(run: Run) -> None:
    told = story(run)["migration"]
    assert told["flows"] == [{"from": 0, "to": 1, "sent": 2, "accepted": 1, "living": 1}]
    assert told["living"] == 4  # the parents of the last births: 0, 1, 2 and the copy


def test_the_phylogeny_joins_the_living_and_the_best(run: Run) -> None:
    told = story(run)["phylogeny"]
    small = run.lineage().simplified(living=[0, 1, 2, COPY], tree=True)
    assert [node[0] for node in told["nodes"]] == small.numbers.tolist()
    assert told["links"] == list(zip(small.child.tolist(), small.parent.tolist(), small.steps.tolist(), strict=True))


def test_scores_by_row_are_the_evaluations_and_missing_ones_stay_missing(run: Run) -> None:
    told = story(run)["heat"]
    known = {one.number: one.evaluation.scores for one in archipelago()}
    for one in told["prompts"]:
        scores = dict(zip(told["examples"], one["scores"], strict=True))
        assert {row: score for row, score in scores.items() if score is not None} == known[one["id"]]
    assert [one["id"] for one in told["prompts"] if one["line"]] == [0, 2, COPY, BEST]
    assert told["unsolved"] == []


def test_failures_are_counted_by_kind_whatever_their_numbers(tmp_path: Path) -> None:
    failed = [replace(born(n, "", ()), prompt=NO_PROMPT, status=FAILED, note=f"luck {n / 10}") for n in range(1, 4)]
    told = story(reported(tmp_path, [born(0, "", (1.0, None)), *failed]))["failures"]
    assert told["births"] == [{"what": "luck #", "count": 3}]
    assert told["rows"] == [{"what": "lost", "count": 1}]
    assert told["calls"] == []


def test_a_secret_in_an_edited_run_file_is_left_out(run: Run) -> None:
    path = run.path / "run.json"
    manifest = json.loads(path.read_text())
    manifest["settings"]["task"]["scorer"]["api_key"] = "sk-0123456789abcdef"
    path.write_text(json.dumps(manifest))
    told = story(run)["head"]["settings"]
    assert told["task"]["scorer"]["api_key"] == HIDDEN
    assert "sk-0123456789abcdef" not in json.dumps(told)


def test_a_story_is_plain_data(run: Run) -> None:
    assert json.loads(json.dumps(story(run), allow_nan=False))["head"]["births"] == 7


def test_a_long_text_is_shortened_and_says_by_how_much() -> None:
    text = "a" * 750 + "x" * 1_000_000 + "b" * 250
    assert shortened(text, 1000) == "a" * 750 + " [… 1,000,000 characters left out …] " + "b" * 250
    assert shortened("abc", 3) == "abc"


def test_when_the_room_is_used_up_texts_are_cut_to_their_beginning() -> None:
    room = Room(100)
    assert room.fit("a" * 120) == "a" * 120
    assert room.fit("b" * LEAST) == "b" * LEAST
    assert "left out" in room.fit("c" * (LEAST + 1))
