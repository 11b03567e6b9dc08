from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from breeding import ScriptedLlm, at_once, individual
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.errors import ConfigError, OperatorError
from operators.edits import OPERATIONS, Edit, PhraseCrossover, Reframe
from operators.phrase_bank import ANSWER_CUES, FRAGMENTS, FRAMES, INPUT_CUES, OPENINGS, STEPS, frames, synonyms
from operators.phrases import free, join, split
from operators.templates import PLACEHOLDER

NO_MODEL = ScriptedLlm(lambda request: pytest.fail("an edit must not call the model"))
LONG = "Please read the review carefully, and decide whether it is good or bad. Reply with one word."
SLOTTED = "Read {context} first, then classify {input} as good or bad.\nKeep it short.\nAnswer:"
WORDS = st.sampled_from(
    [
        "Read",
        "the",
        "text,",
        "and",
        "{input}",
        "decide.",
        "{q}",
        "Keep",
        "Label:",
        "of",
        "\n",
        "in",
        "it",
        "(a",
        "b)",
        "{",
    ]
)
PROMPTS = st.lists(WORDS, min_size=1, max_size=14).map(" ".join)


def edit(operator: Any, texts: Any, seed: int = 0) -> str:
    parents = [individual(number, text) for number, text in enumerate(texts)]
    prompt = at_once(operator(parents, NO_MODEL, np.random.default_rng(seed)))
    return str(prompt.text)


def children(operator: Any, texts: Any, count: int = 40) -> set[str]:
    found = set()
    for seed in range(count):
        try:
            found.add(edit(operator, texts, seed))
        except OperatorError:
            found.add("")
    return found


def test_clauses_begin_at_punctuation_conjunctions_and_function_words() -> None:
    assert [phrase.text for phrase in split(LONG, "clause")] == [
        "Please read the review carefully,",
        "and decide",
        "whether it is good",
        "or bad.",
        "Reply",
        "with one word.",
    ]
    assert [phrase.text for phrase in split(LONG, "sentence")] == [LONG[: LONG.index(" Reply")], "Reply with one word."]
    assert len(split(LONG, "word")) == len(LONG.split())


@pytest.mark.parametrize("level", ["word", "clause", "sentence"])
@pytest.mark.parametrize("text", [LONG, SLOTTED, "One", "a  b\t c\n\n\nd", '{"a": {"b": 1}} {x}'])
def test_phrases_put_together_are_the_text(level: Any, text: Any) -> None:
    joined = join(split(text, level))
    assert joined.split() == text.split()
    assert re.findall("\n+", joined) == [line[:2] for line in re.findall("\n+", text)]


def test_braces_and_locked_texts_are_one_piece() -> None:
    phrases = split("Sort {the whole of it} by rule A, always; rule B.", "word", locked=("rule A, always",))
    assert [phrase.text for phrase in phrases if phrase.locked] == ["{the whole of it}", "rule A, always;"]
    assert [phrases[place].text for place in free(phrases)] == ["Sort", "by", "rule", "B."]


def test_delete_takes_one_phrase_away() -> None:
    clauses = [phrase.text for phrase in split(LONG, "clause")]
    for child in children(Edit(operations=("delete",)), [LONG]):
        lost = Counter(clauses) - Counter(phrase.text for phrase in split(child, "clause"))
        assert 1 <= sum(lost.values()) <= 2  # the phrase, and the one whose capital or full stop was mended
        assert child[0].isupper()
        assert child.endswith(".")


def test_a_word_locked_texts_and_line_breaks_are_left() -> None:
    delete = Edit(level="word", operations=("delete",))
    assert children(delete, ["- go"]) == {"go", ""}
    assert children(delete, ["Sort it {input},"]) == {"It {input},", "Sort {input},"}
    assert children(Edit(operations=("delete",)), ["Go up.\nNow, sort."]) == {
        "Now, sort.",
        "Go up.\nsort.",
        "Go up.\nNow.",
    }


def test_marks_suit_their_place() -> None:
    text = "Read it, please. Then decide."
    assert "Read it. Then decide." in children(Edit(operations=("delete",)), [text])
    assert "Read it, by all means. Then decide." in children(
        Edit(operations=("substitute",)), [text, "Go by all means,"]
    )
    assert "Read it, please by heart. Then decide." in children(Edit(operations=("add",)), [text, "Learn by heart!"])


def test_swap_keeps_all_words() -> None:
    for child in children(Edit(level="word", operations=("swap",)), ["one two three two"]):
        assert Counter(child.split()) == Counter(["one", "two", "two", "three"])
        assert child != "one two three two"


def test_substitute_draws_a_phrase_from_a_donor() -> None:
    donor = "Judge the mood, in short."
    for child in children(Edit(operations=("substitute",)), [LONG, donor]):
        assert ("judge the mood" in child.casefold()) != ("in short" in child.casefold())
        assert len(split(child, "clause")) <= len(split(LONG, "clause"))


def test_substitute_alone_uses_synonyms_and_spares_labels() -> None:
    operator = Edit(level="word", operations=("substitute",), labels=("question", "text"))
    found = children(operator, ["Classify the text as question."])
    assert found == {"Categorize the text as question.", "Label the text as question."}


def test_the_only_sentence_gives_way_to_an_instruction() -> None:
    operator = Edit(level="sentence", operations=("substitute",), labels=("good", "bad"))
    found = children(operator, ["What now?"])
    assert found <= {*frames(("good", "bad")), *OPENINGS}
    assert found & set(frames(("good", "bad")))
    assert found & set(OPENINGS)
    assert children(Edit(level="sentence", operations=("substitute",)), ["What now?"]) <= set(OPENINGS)


@pytest.mark.parametrize("level", ["clause", "sentence"])
@pytest.mark.parametrize("operation", ["substitute", "add"])
def test_the_bank_speaks_of_labels_only_where_there_are_labels(level: Any, operation: Any) -> None:
    texts = ["Work out, with care, what is asked. Be quick.", "Work it out, {input}, with care. Be quick."]
    speak = re.compile("label|category|classify|(one|a single) word", re.IGNORECASE)
    for labels in ((), ("x1", "x2")):
        operator = Edit(level=level, operations=(operation,), labels=labels)
        found = {child for text in texts for child in children(operator, [text], 150)}
        assert len(found) > 20
        assert any(speak.search(child) for child in found) is bool(labels)


def test_reframe_exchanges_a_sentence_or_adds_one() -> None:
    found = children(Reframe(labels=("good", "bad")), ["Sort it. Be quick."])
    kept = [child for child in found if "Sort it." in child and "Be quick." in child]
    assert kept
    assert len(kept) < len(found)
    assert all("Sort it." in child or "Be quick." in child for child in found)


def test_add_puts_back_what_an_ancestor_had_and_the_child_has_not() -> None:
    ancestor = "Read the text, slowly, and decide."
    found = children(Edit(operations=("add",)), ["Read the text, and decide.", ancestor])
    assert "" in found  # the ancestor itself was not bred again
    found -= {"", ancestor}
    assert len(found) == 2
    assert all("slowly" in child.casefold() for child in found)
    assert not any(child.count("decide") > 1 for child in found)


def test_add_without_donor_draws_on_the_bank() -> None:
    found = children(Edit(operations=("add",), labels=("x1", "x2")), ["Sort the text"], 80)
    assert any(child.startswith("Sort the text. ") for child in found)
    assert any(child.endswith(" Sort the text") for child in found)
    assert any("x1 or x2" in child for child in found)
    assert any(child.endswith(tuple("\n" + cue for cue in INPUT_CUES)) for child in found)
    assert all("Sort the text" in child for child in found)


def test_a_closing_cue_is_replaced_and_not_doubled() -> None:
    found = children(Edit(operations=("add",)), [SLOTTED], 80)
    cued = {child for child in found if not child.endswith("\nAnswer:")}
    assert cued
    assert all(child.endswith(tuple("\n" + cue for cue in ANSWER_CUES)) for child in cued)
    assert all(child.count("Answer:") <= 1 for child in found)


def test_composed_edits_are_applied_in_sequence() -> None:
    for child in children(Edit(level="word", operations=("delete",), compose=3), ["a b c d e f"]):
        assert len(child.split()) == 3


def test_nothing_to_edit_is_an_operator_error() -> None:
    for operations, text in ((("delete",), "Sort."), (("swap",), "Sort Sort"), (("delete", "swap"), "{a} {b}")):
        with pytest.raises(OperatorError, match="lengthen it"):
            edit(Edit(operations=operations, level="word"), [text])


def test_a_child_stays_within_its_length() -> None:
    with pytest.raises(OperatorError):
        edit(Edit(operations=("add",), max_chars=15), ["Sort the text."])
    assert len(edit(Edit(operations=("delete",), max_chars=5), [LONG])) < len(LONG)


def test_arguments_are_checked() -> None:
    for arguments in ({"operations": ("erase",)}, {"operations": ()}, {"level": "letter"}, {"compose": 0}):
        with pytest.raises(ConfigError):
            Edit(**arguments)


@settings(max_examples=150, deadline=None)
@given(
    text=PROMPTS,
    donor=PROMPTS,
    level=st.sampled_from(["word", "clause", "sentence", "any"]),
    operations=st.sampled_from([OPERATIONS, *((name,) for name in OPERATIONS)]),
    compose=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_edits_keep_slots_and_words(
    text: Any, donor: Any, level: Any, operations: Any, compose: Any, seed: Any
) -> None:
    operator = Edit(level=level, operations=operations, compose=compose, labels=("good", "bad"), locked=("(a b)",))
    for texts in ([text], [text, donor]):
        check_child(operator, texts, seed)


@settings(max_examples=150, deadline=None)
@given(text=PROMPTS, mate=PROMPTS, seed=st.integers(0, 2**32))
def test_crossover_keeps_slots_and_words(text: Any, mate: Any, seed: Any) -> None:
    check_child(PhraseCrossover(locked=("(a b)",)), [text, mate], seed)


def check_child(operator: Any, texts: Any, seed: Any) -> None:
    parent = texts[0]
    try:
        child = edit(operator, texts, seed)
    except OperatorError:
        return
    assert edit(operator, texts, seed) == child
    assert Counter(PLACEHOLDER.findall(child)) == Counter(PLACEHOLDER.findall(parent))
    assert child.count("(a b)") >= parent.count("(a b)")
    assert re.search(r"\w", PLACEHOLDER.sub("", child))
    assert child == child.strip()
    assert "  " not in child
    assert "\n\n\n" not in child
    if parent[0].isupper() and child[0].isalpha():
        assert child[0].isupper()
    assert len(child) <= 2000


def test_crossover_mixes_the_clauses_of_both() -> None:
    base, mate = "Read the text, and decide. Be brief.", "Look closely, or guess. Use one word."
    found = children(PhraseCrossover(), [base, mate], 60) - {""}
    pieces = {phrase.text.casefold().strip(",.") for text in (base, mate) for phrase in split(text, "clause")}
    both = 0
    for child in found:
        own = [phrase.text.casefold().strip(",.") for phrase in split(child, "clause")]
        assert set(own) <= pieces
        assert len(own) == len(set(own))
        both += any(piece in base.casefold() for piece in own) and any(piece in mate.casefold() for piece in own)
    assert both > len(found) / 2
    assert len(found) > 10


def test_crossover_of_equal_parents_is_refused() -> None:
    with pytest.raises(OperatorError):
        edit(PhraseCrossover(), ["Sort it.", "Sort it."])


def test_the_bank_is_varied_and_free_of_slots() -> None:
    bank = (*STEPS, *FRAMES, *FRAGMENTS, *ANSWER_CUES, *INPUT_CUES)
    assert len(set(bank)) == len(bank) >= 60
    assert not any("{" in phrase for phrase in (*STEPS, *FRAGMENTS, *ANSWER_CUES, *INPUT_CUES))
    assert "Decide whether it is a, b or c." in frames(("a", "b", "c"))
    for labels in ((), ("a",), ("{a}", "b"), tuple(str(n) for n in range(13)), ("x" * 200, "y")):
        assert frames(labels) == ()


def test_synonyms_never_offer_the_word_itself() -> None:
    assert set(synonyms("Classify")) == {"categorize", "label"}
    assert "label" not in synonyms("label")
    assert synonyms("zebra") == ()
