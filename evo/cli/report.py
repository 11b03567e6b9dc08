"""What the end of a run prints: the winner, its honest score, its gain, where it came from, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow.compute as pc
from rich.console import Console

from evo.budget import Usage
from evo.cli.text import duration, money, one_line, percent, safe, say, shell_word
from evo.failures import failure_words
from evo.model import INSTRUCTION, Individual, Prompt
from evo.run import Run
from evo.schema import EXTINCT
from evo.verdict import SEED

UNREAD = 0.25
"""Share of dev replies without an answer from which on the report says so."""


def print_report(run: Run, console: Console) -> None:
    """Print a finished run's result."""
    say(console, *report_lines(run))


def report_lines(run: Run) -> list[str]:
    """Return the report, line by line. The run must have a result."""
    result = run.result
    assert result is not None
    winner, baseline = result["winner"], result["baseline"]
    lines = ["", "best prompt", *(f"  {line}" for line in prompt_lines(winner["parts"])), ""]
    lines.append(
        f"  dev    {percent(winner['dev']['mean'])} on {winner['dev']['n']} rows: optimistic, it was chosen by them"
        + _optimism(result)
    )
    lines += [f"  test   {_test(result)}", f"  seed   {_seed(baseline)}", *_gain(result)]
    lines += [*_crossed(result), *_anytime(result), *_noise(result), *_looks(result), *_copied(result)]
    lines += [*_unread(run), *_failures(result), *_extinct(run)]
    line = run.lineage(winner["individual"]).line()
    lines += ["", f"where it came from ({len(line)} steps on the line of fittest parents)", *_steps(line)]
    spent = Usage(**result["spent"])
    lines += ["", f"cost     {_usage(spent)}, {duration(result['elapsed_s'])}", *_purposes(run)]
    path = shell_word(run.path)
    lines += [f"look     evo show {path}", f"         evo lineage {path}", f"         evo report {path}"]
    return lines


def _usage(spent: Usage) -> str:
    return f"{spent.calls:,} calls, {spent.tokens:,} tokens, {money(spent.usd)}"


def _purposes(run: Run) -> list[str]:
    """Return what each kind of model took, where there are several."""
    found = run.spending()
    return [f"         {purpose} {_usage(used)}" for purpose, used in found.items()] if len(found) > 1 else []


def _optimism(result: dict[str, Any]) -> str:
    excess = result.get("optimism")
    return "" if excess is None else f"; {100 * excess:+.1f} points beside test"


def gain_words(gain: dict[str, Any] | None, *, same: bool, rows: str = "test") -> str:
    """Return the paired difference on these rows in words, saying so when it is not significant."""
    if same:
        return "none: no prompt beat the best seed prompt on dev"
    if gain is None:
        return f"unknown: no {rows} rows were scored"
    points = f"{100 * gain['mean']:+.1f} points [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"
    words = f"{points}, paired on {gain['n']} {rows} rows, p = {gain['p_value']:.2g}"
    if not gain["significant"]:
        return f"{words}: no significant gain"
    return words if gain["mean"] > 0 else f"{words}: the seed prompt is better"


def _anytime(result: dict[str, Any]) -> list[str]:
    """Return what the gain is worth where one looks at a test and goes on; nothing where nothing is compared."""
    found = result.get("anytime")
    if found is None or result["winner"]["individual"] == result["baseline"]["individual"]:
        return []
    ends = f"[{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]"
    verdict = "better than the seed prompt" if found["e_value"] >= 1 / (1 - found["confidence"]) else "not settled"
    return [f"  anytime {ends}, e-value {found['e_value']:.2g}: {verdict}, however often one looks"]


def _crossed(result: dict[str, Any]) -> list[str]:
    """Return what a prompt chosen like the winner scores on rows that did not choose it, where that was asked for."""
    found = result.get("crossed")
    if found is None or found["mean"] is None:
        return []
    ends = f"[{percent(found['low'])}, {percent(found['high'])}]"
    return [
        f"  folds  {percent(found['mean'])} {ends} on {found['n']} dev rows, each under what the other folds chose",
        f"         gain {gain_words(found['gain'], same=False, rows='dev')}",
        "         the choice is cross-fitted, the search is not: it saw all rows, so this too is rather optimistic",
    ]


def _noise(result: dict[str, Any]) -> list[str]:
    """Return how much repeats of a row differ, where rows are asked more than once."""
    noise = result.get("noise")
    if noise is None:
        return []
    return [f"  noise  {100 * noise:.1f} points of one row from one repeat to the next, as a standard deviation"]


def _looks(result: dict[str, Any]) -> list[str]:
    """Return a warning where the test rows have judged more than one winner: with each they are less unseen."""
    looks = result.get("looks", 1)
    if looks == 1 or result["winner"]["test"] is None:
        return []
    return [f"  looks  {looks}: resumes ended with other finalists on the same test rows; test and gain are less sure"]


def _copied(result: dict[str, Any]) -> list[str]:
    """Return a warning where the winner quotes rows it is judged by."""
    return [
        f"  copied the prompt quotes {len(rows)} {split} rows, the first is {rows[0]}: its {split} score knows them"
        for split, rows in result.get("copied", {}).items()
        if rows
    ]


def _unread(run: Run) -> list[str]:
    """Return a warning where many replies held no answer, or the judge's words no verdict: all of these score 0.

    Without answers a search mostly learns to have a label named; without verdicts it learns nothing of its prompts.
    """
    rows = run.individuals()
    scored, unread = (pc.sum(rows[column]).as_py() or 0 for column in ("n_scored", "n_unparsed"))
    if unread <= UNREAD * scored:
        return []
    unjudged = (run.result or {}).get("failures", {}).get("rows_unjudged", 0)
    if 2 * unjudged > unread:
        return [
            f"  unread the judge's verdicts could not be read for most of {percent(unread / scored)} of dev replies, "
            "which score 0: name a stronger judge_model, or raise the scorer's max_tokens"
        ]
    return [
        f"  unread {percent(unread / scored)} of dev replies held no answer and score 0: "
        "name the labels in the seed prompts, or raise model.max_tokens"
    ]


def _failures(result: dict[str, Any]) -> list[str]:
    words = failure_words(result["failures"]) if "failures" in result else ""
    return [f"  failed {safe(words)}"] if words else []


def _extinct(run: Run) -> list[str]:
    return [
        f"  lost   island {event['island']} died out: {one_line(event['detail'], 200)}"
        for event in run.events().to_pylist()
        if event["kind"] == EXTINCT
    ]


def _seed(baseline: dict[str, Any]) -> str:
    if baseline["operator"] != SEED:
        return "none was scored"
    dev = baseline["dev"]
    untested = f"{percent(dev['mean'])} on {dev['n']} dev rows, not tested"
    score = untested if baseline["test"] is None else _estimate(baseline["test"])
    return f"{score}: the best seed prompt by dev, {one_line(baseline['text'], 60)!r}"


def _gain(result: dict[str, Any]) -> list[str]:
    """Return the line of the gain; none where folds stand in for a test, which have a gain of their own."""
    winner, baseline = result["winner"], result["baseline"]
    if baseline["operator"] != SEED:
        return ["  gain   unknown: no seed prompt was scored to compare with"]
    if result.get("crossed") is not None:
        return []
    return [f"  gain   {gain_words(result['gain'], same=winner['individual'] == baseline['individual'])}"]


def _test(result: dict[str, Any]) -> str:
    folded = result.get("crossed") is not None
    return "none: folds stand in for it, all its rows are dev rows" if folded else _estimate(result["winner"]["test"])


def _estimate(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return "not scored"
    interval = f"[{percent(estimate['low'])}, {percent(estimate['high'])}]"
    return f"{percent(estimate['mean'])} {interval} on {estimate['n']} test rows"


def prompt_lines(parts: Iterable[Sequence[str]]) -> list[str]:
    """Return a prompt's lines, safe to print; of several parts each under its name."""
    parts = list(parts)
    if len(parts) == 1:
        return safe(parts[0][1]).splitlines() or ["(empty)"]
    return [line for name, text in parts for line in (f"[{safe(name)}]", *safe(text).splitlines())]


def _steps(line: list[Individual]) -> list[str]:
    shown = line if len(line) <= 8 else [*line[:2], *line[-5:]]
    steps = []
    for place, one in enumerate(shown):
        if len(shown) < len(line) and place == 2:
            steps.append(f"  ... {len(line) - len(shown)} more")
        fitness = percent(one.fitness if one.ok else None)
        said = one_line(_said(shown[place - 1].prompt if place else None, one.prompt), 100)
        steps.append(f"  {fitness:>8}  {one_line(one.operator, 20):<20} island {one.island}  {said}")
    return steps


def _said(before: Prompt | None, prompt: Prompt) -> str:
    """Return the instruction, or the parts that are new where others than it are."""
    known = dict(before.shown) if before else {}
    new = [(name, text) for name, text in prompt.shown if before and known.get(name) != text]
    if {name for name, _ in new} <= {INSTRUCTION}:
        return prompt.text
    return " ".join(f"[{name}] {text}" for name, text in new)
