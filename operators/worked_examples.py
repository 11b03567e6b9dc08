"""Worked examples shown to the model before its own pair of prompts (as EvoPrompt does; Guo et al., ICLR 2024).

Each is from another task family than the task at hand, so that its content is of no use there and is not copied:
a classification task sees the simplification of sentences, every other task sees sentiment. Texts are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Family = Literal["simplification", "sentiment"]
"""What a worked example is about."""

CROSSOVER: Mapping[Family, Mapping[str, str]] = {
    "simplification": {
        "first": "Rewrite the sentence so that a ten-year-old understands it.",
        "second": "Shorten the sentence and replace rare words, but keep every fact.",
        "crossed": "Shorten the sentence so that a ten-year-old understands it, and keep every fact.",
        "mutated": "Break the sentence into short, plain statements a ten-year-old can follow, without losing a fact.",
    },
    "sentiment": {
        "first": "Read the film review and say how the writer feels about the film.",
        "second": "Rate the opinion in the text as terrible, bad, okay, good or great.",
        "crossed": "Read the film review and rate the writer's opinion as terrible, bad, okay, good or great.",
        "mutated": "Weigh praise against complaint in the review, then rate it as terrible, bad, okay, good or great.",
    },
}
"""Two prompts, their crossover, and the crossover mutated."""

DIFFERENCE: Mapping[Family, Mapping[str, str]] = {
    "simplification": {
        "first": "Rewrite the sentence in everyday words.",
        "second": "Split the sentence into short ones that are easy to read.",
        "best": "You teach young readers. Make the text simple and keep its meaning.",
        "base": "Simplify the sentence.",
        "differences": '"in everyday words" against "into short ones that are easy to read"; "Rewrite" against "Split"',
        "mutated": '"in words used at home" and "into pieces read in one breath"; "Retell" and "Divide"',
        "whole": '"Retell the sentence in words used at home." and "Divide it into pieces read in one breath."',
        "combined": "You teach young readers. Retell the text in words used at home and keep its meaning.",
        "crossed": "You teach young readers. Simplify the sentence: retell it in words used at home, meaning kept.",
        "crossed_without_best": "Simplify the sentence into pieces read in one breath, in words used at home.",
    },
    "sentiment": {
        "first": "Decide from the tone of the review whether it is good or bad.",
        "second": "Look at the adjectives of the review and call it good or bad.",
        "best": "You are a film critic. Judge whether the review below is good or bad, in one word.",
        "base": "Is this review good or bad?",
        "differences": '"from the tone" against "at the adjectives"; "Decide whether it is" against "call it"',
        "mutated": '"from its overall mood" and "at the strongest words"; "Conclude whether it is" and "label it"',
        "whole": '"Conclude from its overall mood whether the review is good or bad." and '
        '"Look at the strongest words of the review and label it good or bad."',
        "combined": "You are a film critic. Look at the strongest words of the review below and label it good or bad, "
        "in one word.",
        "crossed": "You are a film critic. Look at the strongest words: is this review good or bad? Use one word.",
        "crossed_without_best": "Look at the strongest words of this review: is its overall mood good or bad?",
    },
}
"""Two donors, the current best and the base prompt, with what each step makes of them."""


def family_for(labels: tuple[str, ...]) -> Family:
    """Return the family of worked examples that is far from a task: with labels it is a classification."""
    return "simplification" if labels else "sentiment"
