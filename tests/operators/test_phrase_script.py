from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import ScriptedLlm, at_once, brief, individual
from hypothesis import given, settings
from hypothesis import strategies as st
from test_edits import LONG, NO_MODEL, PROMPTS, SLOTTED, WORDS

from evo.errors import OperatorError
from evo.model import Evaluation, Prompt, Request
from evo.schema import describe
from operators.climb import MOST_DELETED, Candidate, Deleted, Line, Step, drawn_part, drawn_steps
from operators.phrase_bank import OPENINGS
from operators.phrase_script import PhraseScript
from operators.phrases import split
from operators.templates import PLACEHOLDER


def run(script: PhraseScript, text: str, seed: int = 0, llm: ScriptedLlm = NO_MODEL) -> str:
    return at_once(script([individual(0, text)], llm, np.random.default_rng(seed))).text


def results(script: PhraseScript, text: str, count: int = 40) -> set[str]:
    return {run(script, text, seed) for seed in range(count)}


def script(*edits: tuple[str, str], **more: Any) -> PhraseScript:
    return PhraseScript(edits, **more)


def test_a_phrase_at_the_very_beginning_is_deleted_and_leaves_no_double_space() -> None:
    child = run(script(("delete", "Please read the review carefully,")), LONG)
    assert child == "And decide whether it is good or bad. Reply with one word."
    child = run(script(("delete", "or bad.")), LONG)
    assert child == "Please read the review carefully, and decide whether it is good. Reply with one word."


def test_a_delete_never_reaches_into_a_word_nor_takes_every_occurrence() -> None:
    text = "the other theme, the end"
    found = results(script(("delete", "the"), level="word"), text)
    assert found == {"other theme, the end", "the other theme, end"}


def test_a_phrase_that_an_earlier_edit_changed_in_marks_or_case_is_still_found() -> None:
    edits = script(("delete", "Please read the review carefully,"), ("delete", "and decide"))
    assert run(edits, LONG) == "Whether it is good or bad. Reply with one word."


def test_what_was_deleted_comes_back_as_it_was() -> None:
    gone = run(script(("delete", "with one word.")), LONG)
    back = results(script(("add", "with one word.")), gone)
    assert LONG in back
    assert all(Counter(_words(child)) == Counter(_words(LONG)) for child in back)
    assert any(child.startswith("With one word Please") for child in back)
    assert len(back) > 3


def test_a_copy_of_any_parent_is_refused() -> None:
    parents = [individual(1, "Read it."), individual(0, "Read it. Decide now.")]
    operator = script(("add", "Decide now."), level="sentence")
    found = set()
    for seed in range(20):
        try:
            found.add(at_once(operator(parents, NO_MODEL, np.random.default_rng(seed))).text)
        except OperatorError:
            found.add("")
    assert found == {"Decide now. Read it.", ""}  # the other place gives the parent it was deleted from


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (("delete", "Gone."), "Read it. Now."),
        (("delete", "Now."), "Now."),
        (("swap", ""), "One"),
        (("delete", "{x}"), "{x} a"),
    ],
)
def test_an_edit_that_does_not_apply_is_an_error(edit: Any, text: str) -> None:
    with pytest.raises(OperatorError, match=f"phrases to {edit[0]}"):
        run(script(edit), text)


def test_a_child_does_not_grow_without_end() -> None:
    with pytest.raises(OperatorError, match="at most 30 characters"):
        run(script(("add", "and then some more of it"), max_chars=30), "Read the text.")


def test_the_bank_s_substitutes_spare_labels() -> None:
    operator = script(("substitute", ""), level="word", labels=("question", "text"))
    assert results(operator, "Classify the text as question.") == {
        "Categorize the text as question.",
        "Label the text as question.",
    }
    assert results(script(("substitute", ""), level="sentence"), "What now?") <= set(OPENINGS)


def test_a_model_rewords_one_phrase_for_each_substitution() -> None:
    replies = iter(("in  other\nwords", "as  you see fit,"))
    llm = ScriptedLlm(lambda request: f"Well: <prompt>{next(replies)}</prompt>")
    operator = script(
        ("substitute", ""), ("swap", ""), ("substitute", ""), by_model=True, temperature=0.9, max_tokens=70
    )
    child = run(operator, "Read {input}, then decide. Reply.", 2, llm)
    assert len(llm.requests) == 2
    assert {(request.temperature, request.max_tokens) for request in llm.requests} == {(0.9, 70)}
    assert len({request.seed for request in llm.requests}) == 2
    assert "{input}," in child
    assert "as you see fit" in child
    asked = _phrase(llm.requests[0])
    assert asked in {"Read", "then decide.", "Reply."}
    assert asked.strip(".").lower() not in child.lower()


@pytest.mark.parametrize(
    ("reply", "message"), [("<prompt>READ!</prompt>", "other words for 'Read'"), ("no", "<prompt>")]
)
def test_a_reply_that_cannot_be_used_changes_nothing(reply: str, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        run(script(("substitute", ""), by_model=True), "Read", 0, ScriptedLlm(lambda request: reply))


def test_a_phrase_is_put_into_the_request_as_it_is() -> None:
    llm = ScriptedLlm(lambda request: "<prompt>other</prompt>")
    for seed in range(8):
        run(script(("substitute", ""), by_model=True), "Pay $phrase ${x} now", seed, llm)
    assert {_phrase(request) for request in llm.requests} == {"Pay $phrase", "now"}


def test_the_lineage_says_level_and_phrases() -> None:
    recorded = json.loads(describe(script(("delete", "and decide"), ("swap", ""), level="word")))
    assert recorded["edits"] == [["delete", "and decide"], ["swap", ""]]
    assert recorded["level"] == "word"


def operations(line: Line, count: int, part: str = "instruction", seeds: int = 400) -> list[tuple[Step, ...]]:
    return [drawn_steps(line, part, "clause", count, np.random.default_rng(seed)) for seed in range(seeds)]


def test_operations_are_drawn_uniformly_and_add_only_while_something_was_deleted() -> None:
    base, source = individual(7, LONG), individual(3, f"{LONG} Be quick.")
    drawn = Counter(step.operation for (step,) in operations(Line(base), 1))
    assert set(drawn) == {"delete", "swap", "substitute"}
    assert min(drawn.values()) > 400 / 3 * 0.75
    lost = Deleted("Be quick.", "instruction", source)
    steps = [step for (step,) in operations(Line(base, (lost,)), 1)]
    drawn = Counter(step.operation for step in steps)
    assert set(drawn) == {"delete", "swap", "substitute", "add"}
    assert min(drawn.values()) > 400 / 4 * 0.75
    assert {step.lost for step in steps if step.operation == "add"} == {lost}
    gone = {step.lost for step in steps if step.operation == "delete"}
    bare = replace(base, evaluation=Evaluation())
    assert gone == {Deleted(phrase.text, "instruction", bare) for phrase in split(LONG, "clause")}
    assert all(step.lost is None for step in steps if step.operation in ("swap", "substitute"))


def test_what_does_not_apply_is_not_drawn() -> None:
    assert {step.operation for (step,) in operations(Line(individual(0, "Decide")), 1)} == {"substitute"}
    assert {step.operation for (step,) in operations(Line(individual(0, "{input}")), 1)} == {"substitute"}
    assert {step.operation for (step,) in operations(Line(individual(0, "go, go,")), 1)} == {"delete", "substitute"}
    other = Line(individual(0, "Decide"), (Deleted("Be quick.", "system", individual(1, "x")),))
    assert {step.operation for (step,) in operations(other, 1)} == {"substitute"}
    assert "add" in {step.operation for (step,) in operations(other, 1, "system")}


def test_several_edits_delete_and_put_back_different_phrases_and_leave_one() -> None:
    lost = tuple(Deleted(f"phrase {n}", "instruction", individual(n, f"phrase {n}")) for n in range(2))
    for steps in operations(Line(individual(9, "Read it, then decide."), lost), 6):
        kinds = Counter(step.operation for step in steps)
        assert len(steps) == 6
        assert kinds["delete"] <= 1
        assert kinds["add"] <= 2
        back = [step.lost for step in steps if step.operation == "add"]
        assert len(set(back)) == len(back)


def test_a_line_remembers_what_it_deleted_until_that_comes_back() -> None:
    old, base, child = individual(0, "a"), individual(1, "b"), individual(2, "c")
    first, second, new = (Deleted(name, "instruction", one) for name, one in (("x", old), ("y", old), ("z", base)))
    steps = (Step("add", first), Step("swap"), Step("delete", new))
    assert Candidate(2, Line(base, (first, second)), steps).descendant(child) == Line(child, (second, new))
    full = Line(base, tuple(Deleted(str(n), "instruction", old) for n in range(MOST_DELETED)))
    kept = Candidate(2, full, (Step("delete", new),)).descendant(child).deleted
    assert len(kept) == MOST_DELETED
    assert kept[-1] == new
    twice = Line(base, (first, first))
    assert Candidate(2, twice, (Step("add", first),)).descendant(child).deleted == (first,)


def test_a_part_that_evolves_is_drawn_and_of_a_stranger_s_prompt_one_it_has() -> None:
    task = brief(evolve=("system", "stage-2"))
    whole, other = Prompt.of({"system": "a", "instruction": "b", "stage-2": "c"}), Prompt.of({"stage-2": "c"})
    rngs = [np.random.default_rng(seed) for seed in range(20)]
    assert {drawn_part(task, whole, rng) for rng in rngs} == {"system", "stage-2"}
    assert {drawn_part(task, other, rng) for rng in rngs} == {"stage-2"}
    assert {drawn_part(task, Prompt.of("d"), rng) for rng in rngs} == {"system", "stage-2"}


@settings(max_examples=150, deadline=None)
@given(PROMPTS, st.lists(WORDS, min_size=1, max_size=3).map(" ".join), st.integers(1, 4), st.integers(0, 99))
def test_any_candidate_keeps_the_slots_and_makes_no_words_up(text: str, phrase: str, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = individual(0, text)
    steps = drawn_steps(Line(base, (Deleted(phrase, "instruction", base),)), "instruction", "clause", count, rng)
    steps = tuple(step for step in steps if step.operation != "substitute")
    edits = tuple((step.operation, step.lost.phrase if step.lost else "") for step in steps)
    try:
        child = at_once(PhraseScript(edits)([base], NO_MODEL, rng)).text
    except OperatorError:
        return
    assert child != text
    assert "  " not in child
    added = [phrase for operation, phrase in edits if operation == "add"]
    assert Counter(_words(child)) <= Counter(_words(" ".join([text, *added])))
    lost = Counter(PLACEHOLDER.findall(text)) - Counter(PLACEHOLDER.findall(child))
    assert not lost


def test_slots_of_the_task_are_neither_moved_nor_deleted() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        steps = drawn_steps(Line(individual(0, SLOTTED)), "instruction", "word", 3, rng)
        assert not [step for step in steps if step.lost and "{" in step.lost.phrase]
        edits = tuple((step.operation, step.lost.phrase if step.lost else "") for step in steps)
        try:
            child = at_once(PhraseScript(edits, "word")([individual(0, SLOTTED)], NO_MODEL, rng)).text
        except OperatorError:  # the word to delete was substituted before
            assert {"substitute", "delete"} <= {step.operation for step in steps}
        else:
            assert PLACEHOLDER.findall(child) == ["{context}", "{input}"]


def _words(text: str) -> list[str]:
    return [word.strip(".,;:!?").casefold() for word in text.split() if word.strip(".,;:!?")]


def _phrase(request: Request) -> str:
    return request.text.split("Phrase: ")[1].split("\n")[0]
