from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import TRAIN, ScriptedLlm, individual

from evo.errors import ConfigError, OperatorError
from evo.model import Evaluation, Individual, Outcome, Prompt
from operators.estimation import Estimate, LineageEstimate, RankedEstimate
from operators.genes import MUTATION, TEMPERATURE
from operators.lamarckian import Lamarckian
from operators.mutation_prompt_bank import MUTATION_PROMPTS
from operators.mutation_prompts import AddPart, BetterMutation, FirstOrder, FirstUnit, Given, NewMutation, ZeroOrder
from operators.thinking_styles import THINKING_STYLES

BASE = individual(1, "Sort the text.", 0.5)
MEMBERS = [individual(n, f"Member {word} of the list.", score) for n, word, score in ((2, "b", 0.3), (3, "c", 0.9))]
CARRIER = Individual(9, Prompt.of({MUTATION: "Turn it upside down."}), "given-mutation")
ROWS = TRAIN[:4]
REPLIES = ("Because of the word sun. good", "It rains, so bad", "", "I am wrong")
RIGHT = replace(
    BASE,
    practice=Evaluation.of(
        Outcome(row.number, float(place < 3), answer=f"own answer {place}", reply=reply)
        for place, (row, reply) in enumerate(zip(ROWS, REPLIES, strict=True))
    ),
)
CASES = [
    (ZeroOrder("Sort texts."), [BASE], ["Sort texts."]),
    (AddPart("Sort texts.", "Think backwards."), [BASE, CARRIER], ["Turn it upside down.", "Think backwards."]),
    (FirstOrder(), [BASE, CARRIER], ["Turn it upside down.", BASE.prompt.text]),
    (Estimate(), [BASE, *MEMBERS], [one.prompt.text for one in MEMBERS]),
    (RankedEstimate(), [BASE, CARRIER, *MEMBERS], ["Turn it upside down.", *(one.prompt.text for one in MEMBERS)]),
    (LineageEstimate(), [BASE, *MEMBERS], [one.prompt.text for one in MEMBERS]),
    (Lamarckian(ROWS), [RIGHT], [REPLIES[0], REPLIES[1], "own answer 2"]),
]
HYPER = [
    (NewMutation("Sort texts.", "Think backwards."), [], ["Sort texts.", "Think backwards."]),
    (BetterMutation(), [CARRIER], ["Turn it upside down."]),
]


def saying(*texts: str) -> ScriptedLlm:
    replies = iter(texts)
    return ScriptedLlm(lambda request: f"<prompt>{next(replies)}</prompt>")


@pytest.mark.parametrize(("operator", "parents", "shown"), CASES, ids=lambda case: getattr(case, "name", ""))
async def test_an_operator_calls_the_model_once_and_shows_it_what_it_works_on(
    operator: Any, parents: Any, shown: Any
) -> None:
    warm = replace(operator, temperature=1.7, max_tokens=99)
    llm = saying("Something new.")
    assert await warm(parents, llm, np.random.default_rng(3)) == Prompt.of("Something new.")
    (request,) = llm.requests
    assert all(text in request.text for text in shown)
    assert (request.temperature, request.max_tokens) == (1.7, 99)


@pytest.mark.parametrize(("operator", "parents", "shown"), HYPER, ids=lambda case: getattr(case, "name", ""))
async def test_a_hypermutation_makes_a_prompt_of_a_mutation_prompt_alone(
    operator: Any, parents: Any, shown: Any
) -> None:
    llm = saying("Say it shorter.")
    assert await operator(parents, llm, np.random.default_rng(3)) == Prompt.of({MUTATION: "Say it shorter."})
    assert all(text in llm.requests[0].text for text in shown)


@pytest.mark.parametrize(("operator", "parents", "shown"), [*CASES, *HYPER], ids=lambda case: getattr(case, "name", ""))
async def test_a_reply_without_a_tag_is_never_a_prompt(operator: Any, parents: Any, shown: Any) -> None:
    with pytest.raises(OperatorError, match="expected <prompt>"):
        await operator(parents, ScriptedLlm(lambda request: "Sorry, I cannot."), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("operator", "parents", "copied"),
    [
        (FirstOrder(), [BASE, CARRIER], BASE),
        (FirstOrder(), [BASE, CARRIER], CARRIER),
        (AddPart("Sort texts.", "Think backwards."), [BASE, CARRIER], BASE),
        (Estimate(), [BASE, *MEMBERS], MEMBERS[0]),
        (Estimate(), [BASE, *MEMBERS], BASE),
        (RankedEstimate(), [BASE, CARRIER, *MEMBERS], MEMBERS[1]),
        (RankedEstimate(), [BASE, CARRIER, *MEMBERS], BASE),
        (RankedEstimate(), [BASE, CARRIER, *MEMBERS], CARRIER),
        (LineageEstimate(), [BASE, *MEMBERS], MEMBERS[1]),
        (LineageEstimate(), [BASE, *MEMBERS], BASE),
        (BetterMutation(), [CARRIER], CARRIER),
    ],
)
async def test_a_copy_of_what_was_shown_is_refused(operator: Any, parents: Any, copied: Any) -> None:
    with pytest.raises(OperatorError, match=f"copy of parent {copied.number}"):
        await operator(parents, saying(copied.prompt.text.upper()), np.random.default_rng(0))


async def test_the_part_in_focus_is_written_and_the_others_stay() -> None:
    two = replace(BASE, prompt=Prompt.of({"instruction": "One.", "stage-2": "Two.", MUTATION: "M."}).focused("stage-2"))
    llm = saying("Three.")
    child = await FirstOrder()([two, CARRIER], llm, np.random.default_rng(0))
    assert child.parts == (("instruction", "One."), ("stage-2", "Three."), (MUTATION, "M."))
    assert "Instruction: Two." in llm.requests[0].text


async def test_a_first_unit_is_made_of_mutation_prompt_then_style_then_task() -> None:
    operator = FirstUnit(
        "Sort texts.", ("Style one.", "Style two."), ("instruction", "stage-2"), Prompt.of("Seed."), 1.5
    )
    llm = saying("First.", "Second.")
    unit = await operator([CARRIER], llm, np.random.default_rng(0))
    assert unit.part("instruction") == "First."
    assert unit.part("stage-2") == "Second."
    assert unit.part(MUTATION) == "Turn it upside down."
    assert unit.part(TEMPERATURE) == "1.5000"
    for request, style in zip(llm.requests, ("Style one.", "Style two."), strict=True):
        places = [request.text.index(text) for text in ("Turn it upside down.", style, "Instruction: Sort texts.")]
        assert places == sorted(places)
        assert request.temperature == 1.5


async def test_each_task_prompt_may_have_a_mutation_prompt_of_its_own() -> None:
    other = replace(CARRIER, number=10, prompt=Prompt.of({MUTATION: "Make it rhyme."}))
    operator = FirstUnit("Sort texts.", ("Style.",) * 2, ("instruction", "stage-2"), Prompt.of("Seed."))
    llm = saying("First.", "Second.")
    unit = await operator([CARRIER, other], llm, np.random.default_rng(0))
    assert ["Make it rhyme." in request.text for request in llm.requests] == [False, True]
    assert unit.part(MUTATION) == "Turn it upside down."


async def test_the_ranking_ascends_in_fitness_and_claims_to_descend() -> None:
    llm = saying("New.")
    await RankedEstimate()([BASE, CARRIER, *reversed(MEMBERS)], llm, np.random.default_rng(0))
    text = llm.requests[0].text
    assert "Prompt 1: Member b of the list.\nPrompt 2: Member c of the list." in text
    assert "descending order of score" in text
    assert "Prompt 3 is the best" in text
    assert "more like Prompt 2 than like Prompt 1" in text


async def test_the_plain_list_has_a_random_order_and_shows_no_fitness() -> None:
    orders = set()
    for seed in range(20):
        llm = saying("New.")
        await Estimate()([BASE, *MEMBERS], llm, np.random.default_rng(seed))
        orders.add(llm.requests[0].text.index("Member b") < llm.requests[0].text.index("Member c"))
        assert "0.9" not in llm.requests[0].text
        assert "score" not in llm.requests[0].text
    assert orders == {True, False}


async def test_a_lineage_is_shown_oldest_first_whatever_its_fitness() -> None:
    llm = saying("New.")
    await LineageEstimate()([BASE, *reversed(MEMBERS)], llm, np.random.default_rng(0))
    assert "Prompt 1: Member c of the list.\nPrompt 2: Member b of the list." in llm.requests[0].text


async def test_lamarckian_mutation_shows_whole_workings_of_the_model_and_no_answer_of_the_data() -> None:
    llm = saying("New.")
    rows = tuple(replace(row, target=f"gold {row.number}") for row in ROWS)
    operator = Lamarckian.of(RIGHT, rows, np.random.default_rng(0), shown=2)
    assert operator is not None
    assert operator.examples == tuple(row.number for row in operator.rows)
    await operator([RIGHT], llm, np.random.default_rng(0))
    text = llm.requests[0].text
    assert sum(reply in text for reply in (*REPLIES[:2], "own answer 2")) == 2
    assert "I am wrong" not in text
    assert "gold" not in text


async def test_lamarckian_mutation_needs_a_success() -> None:
    with pytest.raises(OperatorError, match="correct working of individual 1"):
        await Lamarckian(ROWS)([BASE], saying("New."), np.random.default_rng(0))


async def test_placeholders_are_asked_to_be_kept() -> None:
    held = replace(BASE, prompt=Prompt.of("Sort {input} now."))
    for operator, parents in (
        (ZeroOrder("D"), [held]),
        (FirstOrder(), [held, CARRIER]),
        (Estimate(), [held, held]),
        (FirstUnit("D", ("Style.",), ("instruction",), held.prompt), [CARRIER]),
    ):
        llm = saying("New {input}.")
        await operator(parents, llm, np.random.default_rng(0))
        assert "exactly as they are written: {input}" in llm.requests[0].text


async def test_without_a_carrier_a_mutation_prompt_of_the_house_is_drawn() -> None:
    found = set()
    for seed in range(30):
        llm = saying("New.")
        await FirstOrder()([BASE], llm, np.random.default_rng(seed))
        found |= {text for text in MUTATION_PROMPTS if llm.requests[0].text.startswith(text + "\n")}
    assert len(found) > 10


async def test_a_mutation_prompt_may_not_grow_without_end() -> None:
    with pytest.raises(OperatorError, match="at most 2000 characters"):
        await BetterMutation()([CARRIER], saying("word " * 500), np.random.default_rng(0))


async def test_texts_with_dollars_and_braces_are_shown_as_they_are() -> None:
    odd = replace(CARRIER, prompt=Prompt.of({MUTATION: "Use $base and {base}."}))
    llm = saying("New.")
    await FirstOrder()([BASE, odd], llm, np.random.default_rng(0))
    assert llm.requests[0].text.startswith("Use $base and {base}.\n")


async def test_a_given_mutation_prompt_is_what_was_given() -> None:
    llm = saying()
    assert await Given("Do it.")([], llm, np.random.default_rng(0)) == Prompt.of({MUTATION: "Do it."})
    assert not llm.requests


def test_there_are_enough_texts_and_none_twice() -> None:
    for texts, least in ((MUTATION_PROMPTS, 40), (THINKING_STYLES, 30)):
        assert len({text.casefold() for text in texts}) == len(texts) >= least
        assert all(text.strip() == text and text[-1] in ".?" for text in texts)


def test_arguments_are_checked() -> None:
    with pytest.raises(ConfigError, match="first-order expects temperature"):
        FirstOrder(temperature=3)


@pytest.mark.parametrize(
    ("operator", "carried"), [(Estimate(max_cosine=0.95), []), (RankedEstimate(max_cosine=0.95), [CARRIER])]
)
async def test_what_says_the_same_as_a_better_one_is_read_and_not_listed(operator: Any, carried: Any) -> None:
    vectors = {"Member b of the list.": (1.0, 0.0), "Member c of the list.": (0.6, 0.8), "Copy of b.": (0.96, 0.28)}
    llm = replace(saying("New."), embed=vectors.__getitem__)
    members = [*MEMBERS, individual(4, "Copy of b.", 0.1)]
    await operator([BASE, *carried, *members], llm, np.random.default_rng(0))
    *embedded, asked = llm.requests
    assert {request.text for request in embedded} == set(vectors)
    assert all(request.embedding for request in embedded)
    assert not asked.embedding
    assert [text in asked.text for text in vectors] == [True, True, False]


async def test_a_copy_of_one_that_was_read_and_not_listed_is_refused() -> None:
    llm = replace(saying("Member b of the list."), embed=lambda text: (1.0, 0.0))
    with pytest.raises(OperatorError, match="copy"):
        await Estimate(max_cosine=0.95)([BASE, *MEMBERS], llm, np.random.default_rng(0))
