from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from breeding import ScriptedLlm, individual

from evo.errors import ConfigError, OperatorError
from evo.model import Prompt
from operators.rewrites import CrossoverMutation, DifferentialRecombination, Paraphrase
from operators.seeds import Seed
from operators.worked_examples import CROSSOVER, DIFFERENCE

ONE, TWO, THREE, FOUR = (individual(n, f"Prompt number {word}.") for n, word in enumerate(("a", "b", "c", "d")))
CASES = [
    (Paraphrase(), [ONE]),
    (CrossoverMutation(), [ONE, TWO]),
    (DifferentialRecombination(), [ONE, TWO, THREE, FOUR]),
    (DifferentialRecombination(variant="v2"), [ONE, TWO, FOUR]),
    (DifferentialRecombination(variant="v3"), [ONE, TWO, THREE, FOUR]),
]


@pytest.mark.parametrize(("operator", "parents"), CASES)
async def test_an_operator_calls_the_model_once_and_shows_it_every_parent(operator: Any, parents: Any) -> None:
    llm = ScriptedLlm(lambda request: "<prompt>Something new.</prompt>")
    child = await operator(parents, llm, np.random.default_rng(3))
    assert child == Prompt.of("Something new.")
    (request,) = llm.requests
    assert all(parent.prompt.text in request.text for parent in parents)
    assert (request.temperature, request.max_tokens) == (0.5, 1000)
    again = ScriptedLlm(lambda request: "<prompt>Something new.</prompt>")
    await operator(parents, again, np.random.default_rng(3))
    assert again.requests == llm.requests
    await operator(parents, again, np.random.default_rng(4))
    assert again.requests[1].seed != request.seed


@pytest.mark.parametrize(("operator", "parents"), CASES)
async def test_a_copy_of_any_parent_is_refused(operator: Any, parents: Any) -> None:
    for parent in parents:
        shouted = f"<prompt>{parent.prompt.text.upper()}</prompt>"
        llm = ScriptedLlm(partial(lambda reply, request: reply, shouted))
        with pytest.raises(OperatorError, match=f"copy of parent {parent.number}"):
            await operator(parents, llm, np.random.default_rng(0))


@pytest.mark.parametrize("family", ["simplification", "sentiment"])
@pytest.mark.parametrize(
    ("operator", "shown", "parents"),
    [
        (CrossoverMutation, CROSSOVER, [ONE, TWO]),
        (DifferentialRecombination, DIFFERENCE, [ONE, TWO, THREE, FOUR]),
    ],
)
async def test_a_copy_of_the_worked_example_is_refused(operator: Any, shown: Any, parents: Any, family: Any) -> None:
    for text in shown[family].values():
        llm = ScriptedLlm(partial(lambda reply, request: reply, f"Step 2. <prompt> {text.upper()}</prompt>"))
        with pytest.raises(OperatorError, match="copy of the worked example"):
            await operator(example=family)(parents, llm, np.random.default_rng(0))


async def test_a_reply_without_tags_is_refused() -> None:
    llm = ScriptedLlm(lambda request: "I would rather not.")
    with pytest.raises(OperatorError, match="no <prompt>"):
        await Paraphrase()([ONE], llm, np.random.default_rng(0))


async def test_other_parts_come_from_the_base() -> None:
    base = individual(9, "Base text here.")
    base = type(base)(9, base.prompt.with_part("examples", "one, two"), "seed")
    llm = ScriptedLlm(lambda request: "<prompt>Something new.</prompt>")
    child = await DifferentialRecombination()([ONE, TWO, THREE, base], llm, np.random.default_rng(0))
    assert child.parts == (("instruction", "Something new."), ("examples", "one, two"))
    child = await CrossoverMutation()([base, TWO], llm, np.random.default_rng(0))
    assert child.part("examples") == "one, two"


async def test_differential_recombination_shows_parents_in_their_roles() -> None:
    llm = ScriptedLlm(lambda request: "<prompt>Something new.</prompt>")
    await DifferentialRecombination()([ONE, TWO, THREE, FOUR], llm, np.random.default_rng(0))
    own = llm.requests[0].text.split("Now do the same")[1]
    assert (
        "Prompt 1: Prompt number a.\nPrompt 2: Prompt number b.\nPrompt 3, the best so far: Prompt number c.\n" in own
    )
    assert "Basic prompt: Prompt number d.\n" in own
    with pytest.raises(ValueError, match="got 3 parents"):
        await DifferentialRecombination()([ONE, TWO, FOUR], llm, np.random.default_rng(0))


def test_arguments_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"variant to be one of v1, v2, v3, got 'v4'"):
        DifferentialRecombination(variant="v4")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="temperature"):
        Paraphrase(temperature=3)
    with pytest.raises(ConfigError, match="max_tokens"):
        CrossoverMutation(max_tokens=0)


async def test_a_seed_is_born_without_parents_or_model() -> None:
    llm = ScriptedLlm(lambda request: "")
    prompt = Prompt.of("Be brief.")
    assert await Seed(prompt)([], llm, np.random.default_rng(0)) == prompt
    assert llm.requests == []
