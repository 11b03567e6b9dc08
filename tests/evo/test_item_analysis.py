"""What a run says of its rows, and whether a prompt quotes them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from records import born, write
from toys import ToyTask

import evo
from evo.cli import main
from evo.cli.examples import print_examples
from evo.contamination import copied_rows
from evo.item_analysis import FEWEST, item_analysis
from evo.model import Evaluation, Example, Individual, Prompt
from evo.prompt import Demo, with_demos
from fitness.toy import toy_rows

PROMPTS = 10


def judged(number: int, scores: list[float | None]) -> Individual:
    one = born(number, "", scores)
    outcomes = [replace(o, answer="a" if o.score else "b") for o in one.evaluation.outcomes]
    return replace(one, evaluation=Evaluation.of(outcomes))


def analysed(folder: Path, scores: list[list[float | None]]) -> list[dict[str, Any]]:
    return item_analysis(write(folder, [judged(number, row) for number, row in enumerate(scores)])).to_pylist()


def test_a_row_that_good_prompts_miss_with_the_same_answer_is_suspect(tmp_path):
    # Prompts get better; row 3 is solved by the worst alone, row 4 by nobody, row 5 by all.
    scores = [[float(n > 1), float(n > 3), float(n > 6), float(n < 2), 0.0, 1.0] for n in range(PROMPTS)]
    rows = analysed(tmp_path, scores)
    assert [row["suspect"] for row in rows] == [False, False, False, True, True, False]
    assert rows[3]["common_miss"] == "b"
    assert rows[3]["agreed"] == 1.0
    assert rows[3]["discrimination"] < 0 < min(row["discrimination"] for row in rows[:3])
    assert [row["best"] for row in rows] == [1.0, 1.0, 1.0, 1.0, 0.0, 1.0]
    assert rows[4]["discrimination"] is None, "what does not vary correlates with nothing"
    assert rows[0]["mean"] == pytest.approx(0.8)


def test_migrants_and_seeds_of_several_islands_count_as_one_prompt(tmp_path):
    same = [replace(judged(number, [0.0, 1.0]), prompt=Prompt.of("the same")) for number in range(FEWEST + 3)]
    more = replace(judged(90, [0.0, 1.0, 1.0]), prompt=Prompt.of("the same"))
    rows = item_analysis(write(tmp_path, [*same, more, judged(91, [1.0, 0.0, 0.0])])).to_pylist()
    assert [row["tried"] for row in rows] == [2, 2, 2], "that with the most rows stands for all"
    assert not any(row["suspect"] for row in rows)


def test_few_prompts_and_failed_calls_make_no_suspect(tmp_path):
    rows = analysed(tmp_path, [[0.0, 1.0, None]] * (FEWEST - 1))
    assert not any(row["suspect"] for row in rows)
    assert [(row["tried"], row["missing"]) for row in rows] == [(4, 0), (4, 0), (0, 4)]
    assert rows[2]["mean"] is rows[2]["best"] is None


def test_a_run_without_scores_has_no_rows(tmp_path):
    assert item_analysis(write(tmp_path, [born(0, "", ())])).num_rows == 0


def with_words(folder: Path, words: dict[str, Any], scores: list[float]) -> list[dict[str, Any]]:
    """Return the rows of a run whose every outcome has these words beside its score."""
    prompts = [born(number, "", [score, 1.0]) for number, score in enumerate(scores)]
    worded = [
        replace(one, evaluation=Evaluation.of([replace(o, **words) for o in one.evaluation.outcomes]))
        for one in prompts
    ]
    return item_analysis(write(folder, worded)).to_pylist()


def test_replies_that_miss_by_degrees_are_compared_not_reasons_that_hold_the_score(tmp_path):
    scores = [0.1 + number / 100 for number in range(PROMPTS)]
    rows = with_words(tmp_path, {"reply": " In Paris. ", "reason": "F1 0.100; expected 'Rome'"}, scores)
    assert [(row["suspect"], row["common_miss"]) for row in rows] == [(True, "in paris."), (False, "")]
    assert (rows[0]["best"], rows[0]["agreed"]) == (pytest.approx(0.19), 1.0)
    (tmp_path / "more").mkdir()
    right = with_words(tmp_path / "more", {"reply": "In Paris."}, [0.6] * PROMPTS)
    assert not right[0]["suspect"], "half right is no miss"


def test_replies_without_an_answer_or_verdict_make_no_suspect(tmp_path):
    words = {"parsed": False, "reason": "the judge gave no verdict, but 'well'", "reply": "Dear customer,"}
    rows = with_words(tmp_path, words, [0.0] * PROMPTS)
    assert [(row["suspect"], row["common_miss"], row["agreed"]) for row in rows] == [(False, "", 0.0)] * 2


def test_noise_is_what_repeats_of_a_row_differ_by(tmp_path):
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
    assert [row["noise"] for row in with_words(tmp_path / "once", {}, [1.0])] == [None, None]
    one, other = born(0, "", [0.5, 1.0]), born(1, "", [0.5, 1.0])
    spread = [replace(o, spread=s) for o, s in zip(one.evaluation.outcomes, (0.5, 0.0), strict=True)]
    folder = write(tmp_path / "again", [replace(one, evaluation=Evaluation.of(spread)), other])
    assert [row["noise"] for row in item_analysis(folder).to_pylist()] == [0.5, 0.0]


def test_noisy_rows_of_a_run_and_those_below_half_are_shown(tmp_path, capsys):
    run = evo.evolve(
        {"data": {"dev": toy_rows(30)}, "scorer": "choice", "repeats": 3},
        prompts=[f"What is the mood{'?' * number}" for number in range(1, 7)],
        model={"name": "fake/toy", "temperature": 1.0, "options": {"choose": False}},
        method="steady-state",
        budget={"births": 6},
        executor="inline",
        storage=str(tmp_path),
    )
    noise = [row["noise"] for row in run.examples().to_pylist()]
    assert any(noise)
    assert None not in noise
    assert main(["show", str(run.path), "--examples"]) == 0
    shown = capsys.readouterr().out
    assert "noisy: the score varies" in shown
    print_examples(run, [{**run.examples().to_pylist()[0], "best": 0.4, "suspect": False, "noise": None}], "")
    shown = capsys.readouterr().out
    assert "solved by no prompt" in shown
    assert "noise" not in shown


def test_a_mislabelled_row_of_a_run_is_found_and_shown_with_its_text(tmp_path, capsys):
    rows = toy_rows(40)
    label = rows[7]["target"]
    wrong = {**rows[7], "target": "negative" if label == "positive" else "positive"}
    run = evo.evolve(
        {"data": {"dev": [*rows[:7], wrong, *rows[8:]]}, "scorer": "choice"},
        prompts=["Read the review carefully and tell the overall sentiment exactly in one word: the customer feeling."],
        model="fake/toy",
        method={"name": "steady-state", "operators": {"paraphrase": 1.0}},
        budget={"births": 25},
        executor="inline",
        storage=str(tmp_path),
    )
    (suspect,) = [row for row in run.examples().to_pylist() if row["suspect"]]
    assert (suspect["example"], suspect["common_miss"]) == (7, label)
    assert (suspect["input"], suspect["target"]) == (rows[7]["input"], wrong["target"])
    assert main(["show", str(run.path), "--examples"]) == 0
    assert rows[7]["input"][:40] in capsys.readouterr().out
    assert main(["show", str(run.path), "--examples", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["examples"]) == 40
    (run.path / "data-dev.jsonl").unlink()
    assert main(["show", str(run.path), "--examples"]) == 0
    assert "the data cannot be read any more" in capsys.readouterr().out
    assert main(["show", str(run.path), "--examples", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "the data cannot be read any more" in document["note"]
    assert {row["input"] for row in document["examples"]} == {None}


TEXTS = (
    *("the film was too long and had no plot at all", "fine by me, thanks", "good film"),
    *("one two three\nfour five six\nseven eight nine", "この映画は本当に長すぎて退屈でした"),
)


class Quoted(ToyTask):
    """A long row, short ones, one of several lines, and one without spaces."""

    def examples(self, split: str) -> list[int]:
        return list(range(len(TEXTS)))

    def example(self, number: int) -> Example:
        return Example(number, {"input": TEXTS[number]}, "a")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Say whether a film is good.", ()),
        ("Negative: The film was TOO long, and had no plot!", (0,)),
        ("The film was too long and had a plot", ()),
        ("Say 'fine by me, thanks' is praise; a good film is too.", (1,)),
        ("「映画は本当に長すぎて退屈」は否定的です。", (4,)),
        ("この映画はどうでしたか。", ()),
    ],
)
def test_a_prompt_that_quotes_eight_words_or_a_whole_short_row_is_found_out(text, rows):
    assert copied_rows(Prompt.of(text), Quoted(), "dev") == rows


class Answered(ToyTask):
    """Rows with the same long question in a column of its own, and an answer each."""

    rows = 40

    def examples(self, split: str) -> list[int]:
        return list(range(self.rows))

    def example(self, number: int) -> Example:
        asked = "Which of these two sentences has the adjectives in order?"
        return Example(
            number, {"input": f"Row {number}", "task": asked}, f"It is number {number} of all of those here."
        )


def test_a_quoted_answer_is_found_out_and_words_of_all_rows_are_nobodys() -> None:
    asked = "Which of these two sentences has the adjectives in order? Say it."
    assert copied_rows(Prompt.of(asked), Answered(), "dev") == ()
    few = Answered()
    few.rows = 2
    assert copied_rows(Prompt.of(asked), few, "dev") == (0, 1)
    assert copied_rows(Prompt.of("Say: it is number 7 of all of those here"), Answered(), "dev") == (7,)


def test_a_worked_example_that_quotes_a_row_of_several_lines_is_found_out():
    prompt = with_demos(Prompt.of("Count."), [Demo(TEXTS[3], "a"), Demo("x", "a", working=f"I thought: {TEXTS[0]}")])
    assert copied_rows(prompt, Quoted(), "dev") == (0, 3)
