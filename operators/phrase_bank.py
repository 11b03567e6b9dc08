"""Phrases and synonyms that serve model-free edits where GrIPS asks a paraphrasing model. All our own words.

Steps are sentences that may stand beside any instruction; openings are instructions by themselves; frames are
instructions made of the task's labels;
fragments replace a clause; cues end an instruction and lead over to the input or the answer, which counts for much
with small models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

STEPS = (
    "Read the text carefully.",
    "Read all of it before you answer.",
    "Answer with one word.",
    "Answer with the label only.",
    "Give only the answer.",
    "Choose the best label.",
    "Choose the answer that fits best.",
    "Do not explain.",
    "Leave out any comment.",
    "Do not repeat the question.",
    "Think about what the writer means.",
    "What does the writer want?",
    "What is the purpose of this text?",
    "How does the writer feel?",
    "Look at the main point of the text.",
    "Look for the words that decide.",
    "Weigh the whole text, not single words.",
    "Mind negations and contrasts.",
    "Watch for irony.",
    "If two answers fit, take the likelier one.",
    "If you are unsure, give your best guess.",
    "Only one answer is right.",
    "Use lower case.",
    "Keep the answer short.",
    "Be exact.",
    "Details matter.",
    "You are an expert at this task.",
    "You are a careful reader.",
    "You sort texts like this one every day.",
    "Use common sense.",
    "Let the overall meaning decide.",
    "First find the topic, then decide.",
    "Ignore spelling mistakes.",
    "Ignore what is beside the point.",
    "Check the answer before you give it.",
    "Work through it step by step.",
    "Compare the possible answers, then settle on one.",
)

FRAMES = (
    "Decide whether it is {options}.",
    "Choose one of {options}.",
    "Is it {options}?",
    "Label the text as {options}.",
    "Classify the text as {options}.",
    "The answer is {options}.",
    "Pick the one that fits best: {options}.",
    "Which one applies, {options}?",
    "Say {options}, nothing else.",
    "Tell which label is right, {options}.",
    "Your choices are {options}.",
    "Does the text belong to {options}?",
)

_VERBS = ("Classify", "Identify", "Judge", "Label", "Name", "State")
_ASPECTS = (
    "category",
    "content",
    "feeling",
    "intent",
    "kind",
    "main point",
    "meaning",
    "mood",
    "purpose",
    "subject",
    "tone",
    "type",
)
_OBJECTS = ("the text", "each text", "this text")

OPENINGS = (
    *(f"{verb} the {aspect} of {object_}." for verb in _VERBS for aspect in _ASPECTS for object_ in _OBJECTS),
    *(f"What is the {aspect} of this text?" for aspect in _ASPECTS),
)
"""Instructions that stand by themselves, from a small grammar: a verb, an aspect, the text."""

FRAGMENTS = (
    "with one word",
    "in a single word",
    "with the label only",
    "after careful reading",
    "as a careful reader would",
    "by its meaning",
    "from its main point",
    "based on the whole text",
    "without explanation",
    "as exactly as you can",
    "for the text below",
    "given the text",
    "in plain words",
    "according to its content",
)

ANSWER_CUES = ("Answer:", "Label:", "The answer is:", "Category:", "Result:", "Final answer:")
"""For prompts that hold their input: the answer comes next."""

INPUT_CUES = ("Text:", "Input:", "Here is the text:", "Now the text:")
"""For prompts the input is put after."""

_OF_LABELS = re.compile(r"\b(labels?|classify|category|sort|(with|in) (one|a single) word)\b", re.IGNORECASE)

_SYNONYMS = (
    "classify categorize label",
    "decide determine judge identify",
    "choose pick select",
    "assign give",
    "read study examine",
    "answer reply response",
    "say state tell",
    "return output write",
    "find detect recognize",
    "explain describe",
    "summarize condense",
    "simplify clarify",
    "solve work",
    "compare contrast",
    "text passage input",
    "sentence statement",
    "question query",
    "review opinion",
    "message note",
    "category class label type",
    "sentiment tone feeling attitude",
    "topic subject theme",
    "task job",
    "word term",
    "option choice alternative",
    "following given next",
    "below here",
    "correct right true",
    "best most fitting",
    "short brief concise",
    "clear plain simple",
    "whole entire complete",
    "main central chief",
    "only just exactly",
    "carefully closely thoroughly",
    "please kindly",
)


def suited(phrases: Sequence[str], labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the phrases; where the task has no labels, without those that speak of labels or of one-word answers."""
    return tuple(phrase for phrase in phrases if labels or not _OF_LABELS.search(phrase))


def synonyms(word: str) -> tuple[str, ...]:
    """Return words that may stand for ``word``, which is compared without case; none when it is not listed."""
    found = [other for ring in _SYNONYMS for other in ring.split() if word.casefold() in ring.split()]
    return tuple(dict.fromkeys(other for other in found if other != word.casefold()))


def frames(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return instructions that name the labels; none without labels, with many or long ones, or with braces in them."""
    options = " or ".join(part for part in (", ".join(labels[:-1]), *labels[-1:]) if part)
    if not 2 <= len(labels) <= 12 or len(options) > 200 or set("{}\n") & set(options):
        return ()
    return tuple(frame.replace("{options}", options) for frame in FRAMES)
