from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from evo.model import Request
from fitness.gguf import fast_copy, locate
from fitness.likelihood import ChoiceReader
from fitness.llamacpp import LlamaCpp, LocalOptions, messages
from fitness.local import _sampling

NAME = "local/smollm2-135m"
CHOICES = ("complaint", "praise", "question")
MESSAGES = ("The ferry was late again.", "Do you ship to Peru?", "My wife was over the moon.", "It broke in a week.")
TEXT = Request.user("Write a short story about a boat.", max_tokens=2)


class Counting(LlamaCpp):
    """Counts the tokens it computes: those that it does not find in the prefix cache."""

    computed = 0

    def complete(self, **body: Any) -> dict[str, Any]:
        reply = super().complete(**body)
        self.computed += reply["timings"]["prompt_n"]
        return reply


def rows(instruction: str) -> list[str]:
    return [f"{instruction}\n\nMessage: {message}\nLabel:" for message in MESSAGES]


def text(model: LlamaCpp) -> dict[str, Any]:
    return model.chat(messages=messages(TEXT), **_sampling(TEXT, LocalOptions()))


@pytest.fixture
def model() -> Iterator[Counting]:
    loaded = Counting(fast_copy(locate(NAME)), LocalOptions())
    yield loaded
    loaded.close()


@pytest.mark.real
def test_a_row_costs_the_tokens_it_does_not_share_and_one_more(model: Counting) -> None:
    reader = ChoiceReader(model)
    first, *others = rows("Tell what kind of message this is.")
    reader.read(first, CHOICES)
    shared = len(model.tokenize("Tell what kind of message this is.\n\nMessage:"))
    for row in others:
        before = model.computed
        reader.read(row, CHOICES)
        assert model.computed - before == len(model.tokenize(row)) - shared + 1


@pytest.mark.real
def test_likely_labels_cost_no_token_more(model: Counting) -> None:
    row = rows("Answer with yes or no.")[0]
    ChoiceReader(model).read(row, ("yes", "no", "Yes", "No"))
    assert model.computed == len(model.tokenize(row))


@pytest.mark.real
def test_prompts_asked_in_turns_keep_their_beginnings(model: Counting) -> None:
    one, other = rows("Complaint, praise or question?"), rows("You read what customers write. Say what they want.")
    reader = ChoiceReader(model)
    for row in (*one, *other):
        reader.read(row, CHOICES)
    in_order = model.computed
    in_turns = Counting(fast_copy(locate(NAME)), LocalOptions())
    reader = ChoiceReader(in_turns)
    for pair in zip(one, other, strict=True):
        for row in pair:
            reader.read(row, CHOICES)
        text(in_turns)
    assert in_turns.computed == in_order
    in_turns.close()


@pytest.mark.real
def test_a_text_uses_nothing_computed_before(model: Counting) -> None:
    replies = [text(model), text(model)]
    assert [reply["timings"]["prompt_n"] for reply in replies] == [replies[0]["usage"]["prompt_tokens"]] * 2


@pytest.mark.real
def test_without_a_prefix_cache_the_likelihoods_are_the_same_and_all_is_computed(model: Counting) -> None:
    without = Counting(fast_copy(locate(NAME)), LocalOptions(prefix_cache=False))
    (row, *_), length = rows("Complaint or praise?"), len(model.tokenize(rows("Complaint or praise?")[0]))
    found = [[ChoiceReader(each).read(row, ("praise",)) for _ in range(2)] for each in (model, without)]
    assert found[0] == found[1]
    assert (model.computed, without.computed) == (length + 1, 2 * length)
    without.close()
