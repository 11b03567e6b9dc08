from __future__ import annotations

from itertools import combinations

import pytest
from breeding import individual
from hypothesis import given
from hypothesis import strategies as st

from operators.mutation_prompt_bank import MUTATION_PROMPTS
from operators.similarity import THRESHOLD, diverse, similarity

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
