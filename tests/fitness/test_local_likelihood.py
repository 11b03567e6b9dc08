from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from evo.errors import LlmError
from fitness.likelihood import ChoiceReader
from fitness.llamacpp import LlamaCpp

VOCABULARY = 3000


class ToyModel:
    """A model of single characters with made-up, deep-tailed probabilities, answering as llama.cpp does."""

    def __init__(self, spread: float = 4.0) -> None:
        self.spread = spread
        self.calls: list[dict[str, Any]] = []

    def tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(ord(letter) % VOCABULARY for letter in text)

    def logprobs(self, prompt: Sequence[str | int]) -> np.ndarray[Any, np.dtype[np.float64]]:
        tokens = [token for part in prompt for token in (self.tokenize(part) if isinstance(part, str) else (part,))]
        logits = np.random.default_rng(tokens).normal(size=VOCABULARY) * self.spread
        return cast("np.ndarray[Any, np.dtype[np.float64]]", logits - np.log(np.exp(logits).sum()))

    def complete(self, **body: Any) -> dict[str, Any]:
        self.calls.append(body)
        shares = self.logprobs(body["prompt"])
        biased = shares.copy()
        for token, bias in body["logit_bias"]:
            biased[token] += bias
        sampled = int(np.argmax(biased))
        if body.get("post_sampling_probs"):
            kept = np.argsort(-biased)[: body["top_k"]]
            odds = np.zeros(VOCABULARY, np.float32)
            odds[kept] = np.exp(biased[kept] - biased.max())
            odds /= odds.sum()
            top = [{"id": int(i), "prob": float(odds[i])} for i in kept[: body["n_probs"]]]
            first = {"id": sampled, "prob": float(odds[sampled]), "top_probs": top}
        else:
            top = [{"id": int(i), "logprob": float(shares[i])} for i in np.argsort(-shares)[: body["n_probs"]]]
            first = {"id": sampled, "logprob": float(shares[sampled]), "top_logprobs": top}
        count = sum(len(part) if isinstance(part, str) else 1 for part in body["prompt"])
        return {"choices": [{"logprobs": {"content": [first]}}], "usage": {"prompt_tokens": count}}


def reader(model: ToyModel) -> ChoiceReader:
    return ChoiceReader(cast("LlamaCpp", model))


def by_hand(model: ToyModel, context: str, continuation: str) -> float:
    tokens = model.tokenize(continuation)
    return sum(float(model.logprobs([context, *tokens[:i]])[token]) for i, token in enumerate(tokens))


@pytest.mark.parametrize("spread", [1.0, 4.0, 30.0])
def test_the_likelihood_is_that_of_every_token(spread: float) -> None:
    model = ToyModel(spread)
    choices = ("yes", "no", "yesterday", "perhaps", "yes")
    totals, lengths, context_tokens = reader(model).read("Label:", choices)
    assert totals == pytest.approx([by_hand(model, "Label:", f" {choice}") for choice in choices], abs=1e-4)
    assert lengths == [4, 3, 10, 8, 4]
    assert context_tokens == len("Label:")


def test_shared_beginnings_are_asked_once() -> None:
    model = ToyModel()
    reader(model).read("Label:", ("ab", "ac"))
    nodes = {tuple(call["prompt"]) for call in model.calls}
    assert nodes == {("Label:",), ("Label:", 32), ("Label:", 32, 97)}


def test_choices_among_the_likeliest_cost_one_call() -> None:
    model = ToyModel()
    by_rank = np.argsort(-model.logprobs(["x\n"]))
    totals, _, _ = reader(model).read("x\n", [chr(token) for token in by_rank[:90:10]])
    assert len(model.calls) == 1
    assert totals == pytest.approx(model.logprobs(["x\n"])[by_rank[:90:10]])


def test_all_the_others_cost_one_more_together() -> None:
    model = ToyModel(spread=1.0)
    by_rank = np.argsort(-model.logprobs(["x\n"]))
    tokens = by_rank[[200, 3, 1000, 2900, 50, 500]]
    totals, _, _ = reader(model).read("x\n", [chr(token) for token in tokens])
    assert len(model.calls) == 2
    assert [token for token, _ in model.calls[1]["logit_bias"]] == tokens[[0, 2, 3, 5]].tolist()
    assert totals == pytest.approx(model.logprobs(["x\n"])[tokens], abs=1e-4)


def test_odds_too_long_for_single_precision_are_measured_one_by_one() -> None:
    model = ToyModel(spread=60.0)
    totals, _, _ = reader(model).read("x\n", ("a", "b", "c", "d"))
    assert len(model.calls) > 2
    assert totals == pytest.approx([by_hand(model, "x\n", choice) for choice in "abcd"], abs=1e-4)


@pytest.mark.parametrize(
    ("context", "continuation"),
    [
        ("Label:", " yes"),
        ("Label: ", " yes"),
        ("Label:\n", "yes"),
        ("It said 'fine'", " yes"),
        ('{"label": "', "yes"),
        ("(", "yes"),
        ("Done.", " yes"),
    ],
)
def test_a_choice_follows_as_a_word(context: str, continuation: str) -> None:
    model = ToyModel()
    totals, lengths, _ = reader(model).read(context, ("yes",))
    assert totals == pytest.approx([by_hand(model, context.rstrip(" "), continuation)])
    assert lengths == [len(continuation)]


def test_a_choice_with_its_own_space_keeps_it() -> None:
    model = ToyModel()
    totals, _, _ = reader(model).read("Label:", ("\nyes",))
    assert totals == pytest.approx([by_hand(model, "Label:", "\nyes")])


@pytest.mark.parametrize(("context", "choices", "message"), [("  ", ("a",), "empty one"), ("x", ("a", ""), "choices")])
def test_empty_texts_are_refused(context: str, choices: tuple[str, ...], message: str) -> None:
    with pytest.raises(LlmError, match=message):
        reader(ToyModel()).read(context, choices)


def test_an_answer_about_another_token_is_never_taken() -> None:
    class Stubborn(ToyModel):
        def complete(self, **body: Any) -> dict[str, Any]:
            return super().complete(**{**body, "logit_bias": []})

    with pytest.raises(LlmError, match="expected the likelihood of token"):
        reader(Stubborn()).read("Label:", ("q", "w"))


def test_the_toys_shares_sum_to_one() -> None:
    assert math.fsum(np.exp(ToyModel().logprobs(["x"]))) == pytest.approx(1)
