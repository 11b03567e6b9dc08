"""The static part of what a notebook shows, piece by piece: verdict, scores, cost, steps, phrases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evo.cli.report import gain_words
from evo.cli.text import duration, money, percent
from evo.verdict import SEED
from evo.view.markup import NAME, changes_of, table, text_of

STEPS = 12
"""Most births of a line in a table, the last ones."""
PHRASES = 40
"""Most phrases whose origin is told."""


def verdict_of(result: Mapping[str, Any]) -> str:
    """Return in a sentence what the final test says of the winner, or that it is still to come."""
    winner, baseline = result["winner"], result["baseline"]
    if not result["ended"]:
        return "The best so far; the final test comes at the end of the run."
    if baseline["operator"] != SEED:
        return "Gain unknown: no seed prompt was scored to compare with."
    same = winner["individual"] == baseline["individual"]
    return f"Gain over the best seed prompt: <strong>{gain_words(result['gain'], same=same)}</strong>."


def score_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return winner and seed prompt with their scores, for a table."""
    winner, baseline = result["winner"], result["baseline"]
    rows = [["test", estimate_of(winner["test"])]] if result["ended"] else []
    if result["ended"] and baseline["operator"] == SEED and baseline["individual"] != winner["individual"]:
        rows.append(["test of the seed prompt", estimate_of(baseline["test"])])
    dev = winner["dev"]
    rows.append(["dev", f"{percent(dev['mean'])} on {dev['n']} rows, optimistic: it was chosen by them"])
    made = f"island {winner['island']}, generation {winner['generation']}, by {text_of(winner['operator'], NAME)}"
    return [*rows, ["individual", f"{winner['individual']}, {made}"]]


def cost_rows(head: Mapping[str, Any]) -> list[list[str]]:
    """Return what a run was and took, for a table."""
    births = f"{head['births']:,} on {head['islands']} islands, {head['failed']:,} failed, {head['dropped']:,} dropped"
    cost = f"{head['calls']:,} calls, {head['tokens']:,} tokens, {money(head['usd'])}, {duration(head['elapsed_s'])}"
    named = ", ".join((*head["methods"], *sorted({name for names in head["models"].values() for name in names})))
    return [["cost", cost], ["births", births], ["run", text_of(f"{head['run']}, {head['status']}: {named}", 400)]]


def steps_table(descent: Mapping[str, Any]) -> str:
    """Return the last births of a line of descent: what each gained and changed."""
    steps = descent["steps"][-STEPS:]
    left = descent["total"] - len(steps)
    caption = "Gains are optimistic: the search chose this line by these scores."
    if left:
        caption = f"The last {len(steps)} of {descent['total']} births. {caption}"
    head = ("individual", "operator", "dev", "gain over its parent [95 %]", "change")
    return table(caption, head, (_step(step) for step in steps))


def operators_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return what each operator's births gained over their parents, and what they took."""
    head = ("operator", "births", "compared", "improved", "mean gain [95 %]", "calls", "calls to score them")
    return table("", head, (_operator(row) for row in rows))


def origin_table(descent: Mapping[str, Any]) -> str:
    """Return each phrase of the prompt with the ancestor that first had it, and what made that one."""
    spans = [span for part in descent["origin"] for span in part["spans"] if span["text"].strip()]
    rows = (
        [text_of(one["text"].strip(), 300), str(one["individual"]), text_of(one["operator"], NAME), str(one["island"])]
        for one in spans[:PHRASES]
    )
    caption = f"The first {PHRASES} of {len(spans)} phrases." if len(spans) > PHRASES else ""
    return table(caption, ("phrase", "first had by", "made by", "island"), rows)


def _step(step: Mapping[str, Any]) -> list[str]:
    gain = step["gain"]
    words = "-" if gain is None else _between(gain["mean"], gain["low"], gain["high"])
    dev = percent(step["fitness"]).replace(" ", "&nbsp;")
    change = changes_of(step["diff"], first=step["parent"] is None)
    return [str(step["id"]), text_of(step["operator"], NAME), dev, words, change]


def _operator(row: Mapping[str, Any]) -> list[str]:
    gain = "-" if row["gain"] is None else _between(row["gain"], row["gain_low"], row["gain_high"])
    counts = [f"{row[name]:,}" for name in ("tried", "compared", "improved")]
    return [text_of(row["operator"], NAME), *counts, gain, f"{row['calls']:,}", f"{row['task_calls']:,}"]


def estimate_of(estimate: Mapping[str, Any] | None) -> str:
    """Return a mean with its interval and rows in words."""
    if estimate is None:
        return "not scored"
    interval = f"[{percent(estimate['low'])}, {percent(estimate['high'])}]"
    return f"{percent(estimate['mean'])} {interval} on {estimate['n']} rows"


def _between(mean: float, low: float, high: float) -> str:
    """Return a gain and its interval in points."""
    return f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
