"""Rows written by hand: what the tests of everything that reads a run's log share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evo.journal import Journal
from evo.model import Evaluation, Individual, Outcome, Prompt
from evo.schema import edge_rows, evaluation_rows, individual_row, prompt_row


def born(
    number: int, text: str = "", scores: Iterable[float | None] = (1.0, 0.0), *parents: tuple[int, str], **more: object
) -> Individual:
    """Return an individual with a score for each of the first examples; None is a missing one."""
    outcomes = [Outcome(place, score, error="" if score is not None else "lost") for place, score in enumerate(scores)]
    fields = {"operator": "seed" if not parents else "paraphrase", **more}
    return Individual(
        number, Prompt.of(text or f"prompt {number}"), parents=parents, evaluation=Evaluation.of(outcomes), **fields
    )


def write(folder: Path, individuals: Iterable[Individual], **test: object) -> Path:
    """Write individuals as an island does; ``test`` holds rows of other tables."""
    journal = Journal(folder)
    for one in individuals:
        journal.append(
            {
                "prompts": [prompt_row(one.prompt)] if one.prompt.parts else [],
                "individuals": [individual_row(one)],
                "edges": edge_rows(one),
                "evaluations": evaluation_rows(one.number, one.evaluation.outcomes, "dev"),
            }
        )
    if test:
        journal.append(test)
    journal.close()
    return folder
