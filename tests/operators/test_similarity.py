from __future__ import annotations

import asyncio
import math
from itertools import combinations

import pytest
from breeding import ScriptedLlm, individual
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import LlmError
from evo.model import Completion, Request
from operators.mutation_prompt_bank import MUTATION_PROMPTS
from operators.similarity import EMBEDDING_THRESHOLD, THRESHOLD, diverse, diverse_in_meaning, niche_count, similarity

COPY = ("Read the review carefully and answer with one word.", "Read this review carefully and answer with one word.")
PARAPHRASE = (COPY[0], "Study the customer's text closely, then reply in a single word.")


@given(st.text(), st.text())
def test_similarity_is_a_symmetric_share(first: str, second: str) -> None:
    assert similarity(first, second) == similarity(second, first)
    assert 0 <= similarity(first, second) <= 1 + 1e-9
    assert similarity(first, first) == pytest.approx(1)


def test_case_and_spacing_make_no_difference() -> None:
    assert similarity("Sort  the text.", "sort the TEXT") == pytest.approx(1)


def test_the_threshold_tells_a_near_copy_from_a_paraphrase() -> None:
    assert similarity(*COPY) > THRESHOLD
    assert similarity(*PARAPHRASE) < 0.6


def test_nearly_all_of_the_house_s_mutation_prompts_count_as_different() -> None:
    pairs = list(combinations(MUTATION_PROMPTS, 2))
    assert sum(similarity(*pair) > THRESHOLD for pair in pairs) <= 0.002 * len(pairs)


def test_of_near_copies_the_fittest_is_kept_and_the_best_comes_first() -> None:
    poor, good = individual(1, COPY[0], 0.2), individual(2, COPY[1], 0.6)
    other = individual(3, PARAPHRASE[1], 0.4)
    assert diverse([poor, other, good], THRESHOLD) == (good, other)
    assert diverse([poor, other, good], 1.0) == (good, other, poor)


def at_angle(degrees: float) -> tuple[float, ...]:
    return (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def embedding(**degrees: float) -> ScriptedLlm:
    return ScriptedLlm(lambda request: "", embed=lambda text: at_angle(degrees[text]))


async def test_by_embeddings_too_the_fittest_of_near_copies_is_kept() -> None:
    poor, middle, good = individual(1, "a", 0.2), individual(2, "b", 0.4), individual(3, "c", 0.6)
    llm = embedding(a=0, b=40, c=10)  # the cosine is 0.985 at 10 degrees, 0.866 at 30
    assert await diverse_in_meaning([poor, middle, good], llm, EMBEDDING_THRESHOLD) == (good, middle)
    assert await diverse_in_meaning([poor, middle, good], llm, 0.99) == (good, middle, poor)
    assert await diverse_in_meaning([poor, middle, good], llm, 0.8) == (good,)


async def test_only_those_that_are_kept_can_drop_another() -> None:
    chain = [individual(1, "a", 0.6), individual(2, "b", 0.4), individual(3, "c", 0.2)]
    kept = await diverse_in_meaning(chain, embedding(a=0, b=15, c=30), EMBEDDING_THRESHOLD)
    assert [one.number for one in kept] == [1, 3]


async def test_a_text_is_embedded_once_and_all_at_once() -> None:
    llm, waiting = embedding(a=0, b=90), []

    class Slow(ScriptedLlm):
        async def complete(self, request: Request) -> Completion:
            waiting.append(request.text)
            await asyncio.sleep(0)
            assert len(waiting) == 2
            return await llm.complete(request)

    twins = [individual(1, "a", 0.6), individual(2, "b", 0.4), individual(3, "a", 0.2)]
    kept = await diverse_in_meaning(twins, Slow(lambda request: ""), EMBEDDING_THRESHOLD)
    assert [one.number for one in kept] == [1, 2]
    assert waiting == ["a", "b"]
    assert await diverse_in_meaning([], llm, 0.5) == ()


@pytest.mark.parametrize("vectors", [{"a": (), "b": ()}, {"a": (1.0,), "b": (1.0, 0.0)}])
async def test_vectors_that_cannot_be_compared_are_refused(vectors: dict[str, tuple[float, ...]]) -> None:
    llm = ScriptedLlm(lambda request: "", embed=lambda text: vectors[text])
    with pytest.raises(LlmError, match="embeddings of one length"):
        await diverse_in_meaning([individual(1, "a"), individual(2, "b")], llm, 0.95)


async def test_an_embedding_that_failed_is_raised_when_the_others_are_answered() -> None:
    answered: list[str] = []

    class Failing(ScriptedLlm):
        async def complete(self, request: Request) -> Completion:
            if request.text == "a":
                raise LlmError("busy")
            await asyncio.sleep(0)
            answered.append(request.text)
            return Completion("", 1, 0, embedding=(1.0,))

    with pytest.raises(LlmError, match="busy"):
        await diverse_in_meaning([individual(1, "a"), individual(2, "b")], Failing(lambda request: ""), 0.95)
    assert answered == ["b"]


def test_a_niche_counts_each_by_nearness_and_nobody_beyond_the_radius() -> None:
    assert niche_count(COPY[0], [], 0.5) == 1
    assert niche_count(COPY[0], [COPY[0], COPY[0].upper()], 0.5) == pytest.approx(3)
    distance = 1 - similarity(*COPY)
    assert niche_count(COPY[0], [COPY[1]], 2 * distance) == pytest.approx(1.5)
    assert niche_count(COPY[0], [COPY[1]], distance / 2) == 1


@given(st.text(), st.lists(st.text(), max_size=5), st.floats(0.05, 1))
def test_a_niche_count_goes_from_one_to_all(text: str, others: list[str], radius: float) -> None:
    assert 1 <= niche_count(text, others, radius) <= 1 + len(others)
