"""Near-duplicates among prompts: the filter of Promptbreeder's estimation of distribution (Fernando et al., 2023).

The paper drops a prompt whose BERT embedding has a cosine above 0.95 with one that is kept. `diverse_in_meaning` does
so with the run's embedding model. The default, `diverse`, needs no model: its cosine is that of counts of character
trigrams, with another threshold; see `THRESHOLD` for how it was found. `niche_count` takes the same cosine.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from evo.errors import LlmError
from evo.model import Individual, Request, by_fitness
from evo.ports import Llm
from operators.parsing import normalised

Content = TypeVar("Content")
Vector = npt.NDArray[np.float64]

THRESHOLD = 0.9
"""Drops 96 % of near-copies, 75 % of prompts with one word replaced, 10 % with two, no paraphrase and no different
prompt (``benchmarks/similarity.py``); a cosine above 0.95 of sentence embeddings drops 83, 32, 7, 0 and 0 %."""
EMBEDDING_THRESHOLD = 0.95
"""The paper's, for embeddings of sentences. Those of a model made for text lie closer together: measure first."""
_GRAM = 3


def similarity(first: str, second: str) -> float:
    """Return the cosine of two texts' trigram counts, in [0, 1]; case, white space and ends do not count."""
    return _cosine(_grams(first), _grams(second))


def niche_count(text: str, others: Sequence[str], radius: float) -> float:
    """Return by how many texts a niche is shared, from 1 for the text alone up to all (Goldberg and Richardson 1987).

    Each of the others counts by 1 - distance / ``radius``, those farther than ``radius`` not at all. The distance is 1
    less the `similarity`.
    """
    distances = (1 - similarity(text, other) for other in others)
    return 1 + math.fsum(max(0.0, 1 - max(0.0, distance) / radius) for distance in distances)


def diverse(individuals: Sequence[Individual], threshold: float) -> tuple[Individual, ...]:
    """Return individuals, best first, without those whose text is more similar than ``threshold`` to one kept.

    The text is that of the part in focus. Cost: about 0.1 s for 50 prompts of 400 characters.
    """
    return _kept([(one, _grams(one.prompt.text)) for one in sorted(individuals, key=by_fitness)], _cosine, threshold)


async def diverse_in_meaning(individuals: Sequence[Individual], llm: Llm, threshold: float) -> tuple[Individual, ...]:
    """Return individuals as `diverse` does, similar by the cosine of their texts' embeddings.

    Asks for one embedding of each text, all at once. Raises LlmError.
    """
    best_first = sorted(individuals, key=by_fitness)
    texts = list(dict.fromkeys(one.prompt.text for one in best_first))
    vectors = dict(zip(texts, await embeddings(texts, llm), strict=True))
    return _kept([(one, vectors[one.prompt.text]) for one in best_first], np.dot, threshold)


async def embeddings(texts: Sequence[str], llm: Llm) -> list[Vector]:
    """Return the embedding of each text, of length 1. Raises LlmError, when all are answered or have failed."""
    asked = (llm.complete(Request.user(text, embedding=True)) for text in texts)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    vectors = [np.array(answer.embedding) for answer in answers if not isinstance(answer, BaseException)]
    if len(lengths := {len(vector) for vector in vectors}) > 1 or 0 in lengths:
        raise LlmError(f"expected embeddings of one length, got {sorted(lengths)}; name another embedding_model")
    return vectors


def _kept(
    best_first: Sequence[tuple[Individual, Content]], alike: Callable[[Content, Content], float], threshold: float
) -> tuple[Individual, ...]:
    kept: list[tuple[Individual, Content]] = []
    for individual, content in best_first:
        if all(alike(content, other) <= threshold for _, other in kept):
            kept.append((individual, content))
    return tuple(individual for individual, _ in kept)


@lru_cache(maxsize=1024)
def _grams(text: str) -> Counter[str]:
    padded = f" {normalised(text)} "
    return Counter(padded[place : place + _GRAM] for place in range(len(padded) - _GRAM + 1))


def _cosine(first: Counter[str], second: Counter[str]) -> float:
    norm = math.sqrt(sum(n * n for n in first.values()) * sum(n * n for n in second.values()))
    return sum(n * second.get(gram, 0) for gram, n in first.items()) / norm if norm else float(first == second)
