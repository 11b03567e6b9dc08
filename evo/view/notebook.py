"""How a run, a lineage and an individual show themselves in a notebook: as text, and as HTML.

The HTML begins with a static part that JupyterLab leaves alone in a notebook it does not trust: pictures as images,
tables, folds. In a run's and a lineage's, the report's page follows in a frame without rights but to run its own
script; it is sent no further than its content security policy lets it, which is nowhere. IPython, JupyterLab,
nbconvert, VS Code and marimo ask an object for `_repr_mimebundle_`.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evo.ancestry import Ancestry
from evo.cli.report import gain_words
from evo.cli.text import percent
from evo.folder import RunFolder
from evo.model import Individual, sequence_of
from evo.statistics import mean_interval
from evo.untrusted import one_line, safe
from evo.view.course import course
from evo.view.digest import cost_rows, estimate_of, operators_table, origin_table, score_rows, steps_table, verdict_of
from evo.view.kinship import descent
from evo.view.markup import folded, prompt_of, table, text_of
from evo.view.page import html_of
from evo.view.snapshot import Snapshot
from evo.view.story import opening, story
from evo.view.svg import colour_of, course_picture, image, line_picture, rows_picture

if TYPE_CHECKING:
    from evo.best import Best
    from evo.run import Run

NODES, TEXTS = 400, 300_000
"""Individuals in a notebook's page, and characters of their prompts."""
BIRTHS = 20_000
"""Most births of a run whose page is made unasked: it takes some seconds."""
PAGE = 1_500_000
"""Most characters of a page inside a notebook."""
ROWS = 400
"""Most rows of an individual's picture: more would stand on each other."""
MISSES = 8
"""Most rows named that an individual got wrong."""
Bundle = dict[str, str]


def run_bundle(run: Run) -> Bundle:
    """Return a run as text and HTML; beyond `BIRTHS` births without its page. Raises EvoError for a damaged file."""
    small = run.ancestry.numbers.size <= BIRTHS
    told = story(run, nodes=NODES, texts=TEXTS) if small else opening(run)
    return {"text/plain": safe(repr(run)), "text/html": _card(_run_card(told), _frame(told if small else None))}


def lineage_bundle(folder: Path, ancestry: Ancestry, number: int) -> Bundle:
    """Return an individual's line of descent as text and HTML."""
    page = _page_of(folder, ancestry, number)
    if page is None:
        snapshot = Snapshot.of(folder, RunFolder.open(folder).settings, ancestry, number)
        told, colours = descent(snapshot), colour_of(course(snapshot))
    else:
        told, colours = page["descent"], colour_of(page["course"])
    kin = [len(links.closure(ancestry.places([number]))) - 1 for links in (ancestry.up, ancestry.down)]
    head = f"Lineage of {number}: {told['total']} births on its line, {kin[0]:,} ancestors, {kin[1]:,} descendants"
    lines = [
        f"{percent(step['fitness']):>8}  {one_line(step['operator'], 24):<24} {step['id']}" for step in told["steps"]
    ]
    content = (
        f"<p>{head}</p>",
        _line_image(told["steps"], colours),
        steps_table(told),
        folded("Where each phrase comes from", origin_table(told)),
        _frame(page),
    )
    return {"text/plain": "\n".join([head, *lines]), "text/html": _card(*content)}


def _page_of(folder: Path, ancestry: Ancestry, number: int) -> dict[str, Any] | None:
    """Return the story of a small run with an individual in its middle."""
    from evo.run import Run

    small = ancestry.numbers.size <= BIRTHS
    return story(Run(folder), nodes=NODES, texts=TEXTS, focus=number) if small else None


def individual_bundle(one: Individual) -> Bundle:
    """Return an individual as text and HTML: who it is, its prompt, its scores and mistakes."""
    return _individual(one, {})


def best_bundle(best: Best) -> Bundle:
    """Return the best individual as text and HTML, with the honest figures where there are some."""
    honest = {}
    if best.test is not None:
        honest["test"] = estimate_of(asdict(best.test))
    if best.gain is not None:
        honest["gain"] = gain_words(asdict(best.gain), same=False)
    return _individual(best.individual, honest)


def _individual(one: Individual, honest: Mapping[str, str]) -> Bundle:
    place = f"number {sequence_of(one.number)} of island {one.island}, generation {one.generation}"
    head = f"Individual {one.number}: {place}"
    facts = {**honest, **_facts(one)}
    lines = [f"  {name:<9}{value}" for name, value in facts.items()]
    said = [f"  {line}" for name, text in one.prompt.parts for line in _said(name, text, len(one.prompt.parts))]
    rows = [[name, text_of(value)] for name, value in facts.items()]
    content = (
        f"<p>{head}</p>",
        prompt_of(one.prompt.parts),
        table("", (), rows),
        _rows_image(one),
        folded("Rows it got wrong", _misses(one)),
    )
    return {"text/plain": safe("\n".join([head, *said, *lines])), "text/html": _card(*content)}


def _card(*content: str) -> str:
    """Return parts of an output as one, in which no mathematics is looked for."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{"".join(content)}</div>'


def _run_card(told: Mapping[str, Any]) -> str:
    head, result, steps = told["head"], told["result"], told["descent"]["steps"]
    title = f"<p><strong>{text_of(head['description'] or head['run'], 200)}</strong></p>"
    if result is None:
        return title + "<p>No prompt has been scored yet.</p>" + table("", (), cost_rows(head))
    colours = colour_of(told["course"])
    return "".join(
        (
            title,
            prompt_of(result["winner"]["parts"]),
            f"<p>{verdict_of(result)}</p>",
            table("", (), [*score_rows(result), *cost_rows(head)]),
            _course_image(told["course"]),
            _line_image(steps, colours),
            folded("The line of descent, step by step", steps_table(told["descent"])),
            folded("Where each phrase comes from", origin_table(told["descent"])),
            folded("What each operator gained and took", operators_table(told.get("operators", ()))),
        )
    )


def _course_image(told: Mapping[str, Any]) -> str:
    last = ", ".join(f"island {one['island']} after {one['births']} births" for one in told["islands"][:8])
    return image(course_picture(told), f"Best dev fitness of each island over its births: {last}.")


def _rows_image(one: Individual) -> str:
    scores = [outcome.score for outcome in one.evaluation.outcomes][:ROWS]
    if not scores:
        return ""
    wrong, missing = scores.count(0.0), scores.count(None)
    return image(rows_picture(scores), f"Score of each of {len(scores)} dev rows: {wrong} wrong, {missing} missing.")


def _line_image(steps: Sequence[Mapping[str, Any]], colours: Mapping[int, str]) -> str:
    last = ", ".join(percent(step["fitness"]) for step in steps[-8:])
    return image(line_picture(steps, colours), f"Dev fitness along the line of descent, oldest first: {last}.")


def _frame(told: Mapping[str, Any] | None) -> str:
    """Return the interactive page in a frame, or where to find it."""
    page = "" if told is None else html_of(told)
    if not page or len(page) > PAGE:
        return "<p>The interactive page is too large for a notebook: <code>run.report()</code> writes it to a file.</p>"
    source = html.escape(page, quote=False).replace("'", "&#39;")  # in single quotes: JSON is full of double ones
    return folded(
        "Explore: graph, diffs, operators, cost, rows",
        "<p>The frame stays empty until you trust this notebook; <code>run.report()</code> writes its page to a file."
        f"</p><iframe title='report of the run' sandbox='allow-scripts' loading='lazy' width='100%' height='720' "
        f"style='border:0' srcdoc='{source}'></iframe>",
    )


def _facts(one: Individual) -> dict[str, str]:
    evidence = one.evaluation
    parents = ", ".join(f"{number} ({role})" for number, role in one.parents)
    facts = {"operator": one.operator, "parents": parents, "status": one.status, "note": one.note}
    if evidence.count:
        interval = mean_interval(list(evidence.scores.values()))
        between = f"[{percent(interval.low)}, {percent(interval.high)}]"
        facts["dev"] = (
            f"{percent(one.fitness)} {between} on {evidence.count} rows, optimistic where it was chosen by it"
        )
        facts["rows"] = f"{len(evidence.missing)} without a score, {evidence.unparsed} replies without an answer"
        usd = "unknown cost" if evidence.cost_usd is None else f"${evidence.cost_usd:.4f}"
        facts["cost"] = f"{evidence.tokens:,} tokens, {usd}"
    return {name: one_line(value, 300) for name, value in facts.items() if value}


def _misses(one: Individual) -> str:
    rows = (
        [str(miss.example), percent(miss.score), text_of(miss.answer, 200), text_of(miss.reason, 200)]
        for miss in one.evaluation.failures(MISSES)
    )
    return table("", ("row", "score", "answer", "reason"), rows)


def _said(name: str, text: str, parts: int) -> list[str]:
    return [f"[{name}]"] * (parts > 1) + text[:2_000].splitlines()
