from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from breeding import ScriptedLlm, individual
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import OperatorError
from evo.model import Demo, Individual, Prompt, demos_of, with_demos
from evo.ports import Llm
from operators.novelty import Novel, content_of, resemblance

PARENT = individual(0, "Read the message and answer with one word: complaint, praise or question.")


@dataclass(frozen=True)
class Writes:
    name: ClassVar[str] = "writes"
    text: str

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        del llm, rng
        return parents[0].prompt.with_text(self.text)


@dataclass(frozen=True)
class Shows:
    name: ClassVar[str] = "shows"
    demos: tuple[Demo, ...]

    async def __call__(self, parents: Sequence[Individual], llm: Llm, rng: np.random.Generator) -> Prompt:
        del llm, rng
        return with_demos(parents[0].prompt, self.demos)


async def born(text: str, *known: str) -> Prompt:
    novel = Novel(Writes(text), tuple(content_of(Prompt.of(one)) for one in known))
    return await novel([PARENT], ScriptedLlm(lambda _: ""), np.random.default_rng(0))


async def test_what_is_new_passes() -> None:
    assert (await born("Name the tone.", PARENT.prompt.text)).text == "Name the tone."


@pytest.mark.parametrize("change", [str.upper, lambda text: f"  {text}\n", lambda text: text.rstrip(".") + "!"])
async def test_case_space_and_a_last_mark_do_not_make_a_prompt_new(change: object) -> None:
    assert callable(change)
    with pytest.raises(OperatorError, match="nearly one that was tried"):
        await born(change(PARENT.prompt.text), PARENT.prompt.text)


async def test_one_word_of_a_short_prompt_makes_it_new() -> None:
    changed = PARENT.prompt.text.replace("message", "letter")
    assert (await born(changed, PARENT.prompt.text)).text == changed


async def test_a_letter_in_a_long_prompt_does_not_make_it_new() -> None:
    long = " ".join(f"Rule {n}: mind the case in which number {n} is meant." for n in range(12))
    with pytest.raises(OperatorError, match="nearly"):
        await born(long.replace("number 7 is", "numbers 7 is"), long)


async def test_another_part_makes_a_prompt_new() -> None:
    child = PARENT.prompt.with_part("system", "You sort mail.")
    assert content_of(child) != content_of(PARENT.prompt)


def test_it_goes_by_the_name_of_what_it_wraps() -> None:
    assert Novel(Writes("x"), ()).name == "writes"


@given(st.text(max_size=60), st.text(max_size=60))
def test_resemblance_is_symmetric_and_one_for_the_same(first: str, second: str) -> None:
    assert 0 <= resemblance(first, second) == resemblance(second, first) <= 1
    assert resemblance(first, first) == 1


async def test_other_worked_examples_or_another_order_of_them_make_a_prompt_new() -> None:
    demos = tuple(Demo(f"A long message about the matter number {number}.", "praise") for number in range(4))
    base = individual(0, "")
    shown = replace(base, prompt=with_demos(PARENT.prompt, demos))
    for changed, new in ((demos, False), (demos[::-1], True), (demos[:3], True)):
        novel = Novel(Shows(changed), (content_of(shown.prompt),))
        if new:
            assert demos_of(await novel([shown], ScriptedLlm(lambda _: ""), np.random.default_rng(0))) == changed
        else:
            with pytest.raises(OperatorError, match="nearly"):
                await novel([shown], ScriptedLlm(lambda _: ""), np.random.default_rng(0))
