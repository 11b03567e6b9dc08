"""Promptbreeder with an embedding model: the operators leave out near-duplicates, the recipes hand them everyone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from breeding import brief
from units_by_hand import World, world

from evo.errors import ConfigError
from operators.estimation import Estimate, RankedEstimate
from operators.promptbreeder import Promptbreeder
from operators.replication import Replicate

LISTING = Promptbreeder(
    population=6, generations=4, batch=5, seed_units=0, operators={"eda": 1, "eda-rank-index": 1}, crossover=0
)
ABLE = replace(brief(2), can_embed=True)


def first_copies(method: Promptbreeder, task: Any = ABLE) -> World:
    """Return a world whose first copies are asked for; every first prompt is a near-copy of the others."""
    here = world(method, task, reply=lambda request: f"<prompt>Sort this text very carefully {request.seed}</prompt>")
    while not here.copies:
        for number in here.stage():
            if number not in here.copies:
                here.tell(number)
    return here


def mutations(here: World) -> list[Any]:
    found = [proposal.operator for proposal in here.copies.values()]
    assert all(isinstance(operator, Replicate) for operator in found)
    return [operator.mutation for operator in found]  # type: ignore[attr-defined]


def test_everyone_who_shares_the_part_is_a_parent_and_the_operator_is_told_what_is_too_similar() -> None:
    here = first_copies(replace(LISTING, embeddings=True))
    assert {proposal.roles.count("listed") for proposal in here.copies.values()} == {6}
    assert {operator.max_cosine for operator in mutations(here)} == {0.95}
    assert {type(operator) for operator in mutations(here)} <= {Estimate, RankedEstimate}


def test_a_similarity_that_is_named_counts_for_embeddings_too() -> None:
    here = first_copies(replace(LISTING, embeddings=True, similarity=0.8))
    assert {operator.max_cosine for operator in mutations(here)} == {0.8}


def test_without_embeddings_the_recipes_leave_out_near_copies_by_trigrams() -> None:
    here = first_copies(replace(LISTING, similarity=0.6))
    assert {operator.max_cosine for operator in mutations(here)} == {None}
    assert {proposal.roles.count("listed") for proposal in here.copies.values()} == {1}


def test_an_embedding_model_must_be_there() -> None:
    assert replace(LISTING, embeddings=True).start(ABLE).kit.embeddings
    with pytest.raises(ConfigError, match=r"expects an embedding model .*, got none; set embedding_model"):
        replace(LISTING, embeddings=True).start(brief(2))
