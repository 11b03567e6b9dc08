from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from evo.errors import LlmError
from evo.model import Request
from evo.settings import ModelSettings
from fitness.local import LocalLlm

pytestmark = pytest.mark.real
NAME = "local/smollm2-135m"
TEXT = "Read the review carefully and answer with one word."
NEAR = "Read this review carefully and answer with one word."
FAR = "Count the objects one by one, and write down the total."


@pytest.fixture
async def llm() -> AsyncIterator[LocalLlm]:
    local = LocalLlm(ModelSettings(name=NAME, options={"context": 128}))
    yield local
    await local.aclose()


async def embedded(llm: LocalLlm, text: str) -> np.ndarray:
    return np.array((await llm.complete(Request.user(text, embedding=True))).embedding)


async def test_near_copies_are_closer_than_different_prompts(llm: LocalLlm) -> None:
    text, near, far = [await embedded(llm, one) for one in (TEXT, NEAR, FAR)]
    assert text @ text == pytest.approx(1, abs=1e-5)
    assert text @ near > 0.95 > text @ far


async def test_texts_and_likelihoods_are_the_same_before_and_after_an_embedding(llm: LocalLlm) -> None:
    writing, choosing = Request.user("Say hello.", max_tokens=6, seed=1), Request.user(TEXT, choices=("yes", "no"))
    before = [(await llm.complete(one)).text for one in (writing, choosing)]
    likelihoods = (await llm.complete(choosing)).logprobs
    first = await embedded(llm, TEXT)
    await embedded(llm, FAR)
    assert [(await llm.complete(one)).text for one in (writing, choosing)] == before
    assert (await llm.complete(choosing)).logprobs == likelihoods
    assert (await embedded(llm, TEXT)).tolist() == first.tolist()


async def test_a_text_longer_than_the_context_is_refused_with_the_mend(llm: LocalLlm) -> None:
    with pytest.raises(LlmError, match="more tokens than the model's context") as caught:
        await embedded(llm, "other words " * 100)
    assert not caught.value.transient
    with pytest.raises(LlmError, match="cannot be empty"):
        await embedded(llm, "")


async def test_an_embedding_is_free_and_counts_its_tokens(llm: LocalLlm) -> None:
    answer = await llm.complete(Request.user(TEXT, embedding=True))
    assert (answer.text, answer.prompt_tokens, answer.output_tokens, answer.cost_usd) == ("", 10, 0, 0.0)
