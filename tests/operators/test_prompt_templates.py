from __future__ import annotations

from typing import Any

import pytest

from operators.templates import crossover_mutation, keep_line, paraphrase, recombination
from operators.worked_examples import CROSSOVER, DIFFERENCE, family_for

NASTY = "Use $first, ${base}, {input}, {0}, $$ and $keep. 100% <prompt>"


def test_prompts_are_put_in_as_they_are() -> None:
    assert NASTY in paraphrase(NASTY)
    text = crossover_mutation(NASTY, "other prompt", "simplification")
    assert text.count(NASTY) == 1
    assert text.count("other prompt") == 1
    text = recombination((NASTY, "$second"), "$best", "$base", "sentiment", "v1")
    assert text.count(NASTY) == 1
    assert "Prompt 2: $second\nPrompt 3, the best so far: $best\nBasic prompt: $base\n" in text


def test_placeholders_of_the_prompts_must_be_kept() -> None:
    assert "exactly as they are written: {input}, {question}\n" in crossover_mutation(
        "Read {input}.", "Answer {question} on {input}.", "simplification"
    )
    assert keep_line(["no slot { here }"]) == ""
    assert "placeholders" not in paraphrase("Be brief.")


def test_a_request_ends_where_the_model_goes_on_with_step_one() -> None:
    assert crossover_mutation("a", "b", "sentiment").endswith("Step 1. Crossed over:")
    assert recombination(("a", "b"), "c", "d", "sentiment", "v1").endswith("\nStep 1.")


@pytest.mark.parametrize(("variant", "steps", "best"), [("v1", 4, True), ("v2", 3, False), ("v3", 3, True)])
@pytest.mark.parametrize("family", ["simplification", "sentiment"])
def test_variants_have_their_steps_each_worked_out_once(variant: Any, steps: Any, best: Any, family: Any) -> None:
    text = recombination(("a", "b"), "c" if best else None, "d", family, variant)
    instructions, work, own = (
        text.split("An example of the work")[0],
        text.split("An example")[1],
        text.split("Now do")[1],
    )
    for step in range(1, steps + 1):
        assert f"\nStep {step}. " in instructions
        assert f"\nStep {step}. " in work
    assert f"Step {steps + 1}." not in text
    assert ("Prompt 3, the best so far:" in own) is best
    assert ("List what differs" in text) is (variant != "v3")
    assert work.count("<prompt>") == 1
    final = DIFFERENCE[family]["crossed" if best else "crossed_without_best"]
    assert f"Step {steps}. <prompt>{final}</prompt>\n" in work
    assert "$" not in text


def test_worked_examples_are_of_another_family_than_the_task() -> None:
    assert family_for(("good", "bad")) == "simplification"
    assert family_for(()) == "sentiment"
    for examples in (CROSSOVER, DIFFERENCE):
        for texts in examples.values():
            assert len(set(texts.values())) == len(texts)
    assert "classif" not in str(DIFFERENCE["simplification"]).casefold()
