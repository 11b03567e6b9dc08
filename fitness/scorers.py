"""Scorers: read a model's reply and compare it with the target. Small factories, recorded by name and arguments.

A reply in which no answer can be read scores 0 with ``parsed=False``: an outcome of its own, never a class. The reason
of a miss says what was expected and what came: operators that learn from mistakes show it to their model.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.plugins import build, resolve, unknown
from evo.ports import Scorer
from evo.settings import NamedSettings
from fitness.function_scorer import FunctionScorer, imported
from fitness.reading import has_words, label_in, number_in, tidy
from fitness.reasons import compared, quoted, unparsed
from fitness.references import listed
from fitness.target_likelihood import highest

By = Literal["auto", "likelihood", "text"]
Normalise = Literal["none", "length", "prior"]

REPLY_CHARS = 10_000
"""A regular expression of the user's sees at most this much of a reply: some take quadratic time."""


@dataclass(frozen=True, slots=True)
class Exact:
    """The whole reply must equal the target, spacing aside.

    ``strip_punctuation`` also ignores closing punctuation and quotes, brackets or emphasis around the whole. With
    ``any_of`` the target is a JSON list, as a column of lists gives, and the reply must equal one of it.
    """

    ignore_case: bool = True
    strip_punctuation: bool = True
    any_of: bool = False
    wants_choices: ClassVar[bool] = False

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return 1 or 0; an empty reply is unparsed."""
        answer = self._read(completion.text)
        if not answer:
            return unparsed("nothing", completion.text, example)
        known = listed(example.target) if self.any_of else (example.target,)
        return compared(self._key(answer) in [self._key(self._read(text)) for text in known], answer, example)

    def flaw(self, target: str) -> str:
        """Return why no reply can equal a target; empty where one can."""
        return f"target {target[:40]!r} is no JSON list" if self.any_of and not listed(target) else ""

    def _key(self, text: str) -> str:
        return text.casefold() if self.ignore_case else text

    def _read(self, text: str) -> str:
        return tidy(text) if self.strip_punctuation else " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the example's choices: the likeliest continuation where the model tells, else the label it writes.

    Args:
        by: ``likelihood`` needs a model that gives log-likelihoods, ``text`` never asks for them, ``auto`` asks
            where it can.
        normalise: ``length`` divides a choice's log-likelihood by its tokens; ``prior`` subtracts what the choice
            gets without an input, which takes out the model's liking for some labels (contextual calibration,
            Zhao et al. 2021). The evaluator does that subtraction.
    """

    by: By = "auto"
    normalise: Normalise = "none"

    def __post_init__(self) -> None:
        for name, value, allowed in (("by", self.by, By), ("normalise", self.normalise, Normalise)):
            if value not in get_args(allowed):
                raise ConfigError(f"scorer choice: {unknown(name, str(value), set(get_args(allowed)))}")

    @property
    def wants_choices(self) -> bool:
        """Whether log-likelihoods are asked for where the model can give them."""
        return self.by != "text"

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return 1 or 0. Raises ValueError without choices, or when likelihoods do not match them or are no numbers."""
        if not example.choices:
            raise ValueError(f"example {example.number} has no choices; set task.choices")
        if completion.logprobs:
            answer = _likeliest(self._values(completion, example), example.choices)
            doubt = "no choice is likelier than the others"
        else:
            answer = label_in(completion.text, example.choices)
            doubt = ""
        if answer is None:
            missed = Score(0.0, reason=f"expected {quoted(example.target)}, but {doubt}", parsed=False)
            return missed if doubt else unparsed("no single label", completion.text, example)
        return compared(answer == example.target, answer, example)

    def _values(self, completion: Completion, example: Example) -> tuple[float, ...]:
        per_token = self.normalise == "length"
        counts = {len(example.choices), len(completion.logprobs), *([len(completion.lengths)] if per_token else [])}
        if len(counts) > 1:
            raise ValueError(
                f"expected a likelihood (and a length) for each of {len(example.choices)} choices, "
                f"got {len(completion.logprobs)} and {len(completion.lengths)}; the model's adapter is at fault"
            )
        if not per_token:
            return completion.logprobs
        return tuple(value / max(1, n) for value, n in zip(completion.logprobs, completion.lengths, strict=True))


def takes_priors(scorer: Scorer) -> bool:
    """Return whether the evaluator asks what each set of choices gets without an input, where it asks for choices."""
    return isinstance(scorer, Choice) and scorer.normalise == "prior" and scorer.wants_choices


@dataclass(frozen=True, slots=True)
class Numeric:
    """The last number in the reply, or the one after ``####``, must equal the target's.

    Args:
        tolerance: Absolute up to 1 and relative to the target beyond.
        units: What a unit right after a number multiplies it by, in replies and targets, such as ``{km: 1000, m: 1}``
            or ``{"%": 0.01}``; a number without one of them, and every number where there are none, stands for itself.
    """

    tolerance: float = 1e-6
    units: Mapping[str, float] = field(default_factory=dict)
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < math.inf:
            raise ConfigError(f"scorer numeric: expected a tolerance of 0 or more, got {self.tolerance}; try 1e-6")
        if not isinstance(self.units, Mapping) or not all(map(_is_factor, self.units.values())):
            raise ConfigError(
                f"scorer numeric: expected units with a number each, such as {{km: 1000, m: 1}}, got {self.units!r}"
            )

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return 1 or 0. Raises ValueError when the target holds no number."""
        expected, found = (number_in(text, self.units) for text in (example.target, completion.text))
        if expected is None:
            raise ValueError(f"the target {example.target[:40]!r} holds no number; use another scorer")
        if found is None:
            return unparsed("no number", completion.text, example)
        near = abs(found - expected) <= self.tolerance * max(1.0, abs(expected))
        return compared(near, f"{found:.12g}", example)

    def flaw(self, target: str) -> str:
        """Return why no reply can equal a target; empty where one can."""
        value = number_in(target, self.units)
        return f"target {target[:40]!r} holds no number" if value is None or math.isinf(value) else ""


@dataclass(frozen=True, slots=True)
class Contains:
    """The target must occur in the reply as whole words; a number never inside another number."""

    ignore_case: bool = True
    wants_choices: ClassVar[bool] = False

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return 1 or 0; an empty reply is unparsed."""
        if not completion.text.strip():
            return unparsed("nothing", completion.text, example)
        if has_words(completion.text, example.target, self.ignore_case):
            return Score(1.0, example.target)
        return Score(0.0, reason=f"expected a reply that contains {quoted(example.target)}, but it does not")


@dataclass(frozen=True, slots=True)
class Regex:
    """A pattern searched in the first 10,000 characters of the reply.

    With a group in the pattern, the first group of the first match must equal the target, spacing at its ends
    aside; no match is unparsed. Without a group, a match anywhere scores 1 and none scores 0, whatever the target.
    The pattern is the user's own: nested repeats such as ``(a+)+`` can take very long on some replies.
    """

    pattern: str
    ignore_case: bool = True
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        try:
            self._compiled()
        except re.error as error:
            raise ConfigError(f"scorer regex: {self.pattern!r} is no regular expression: {error}") from error

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return 1 or 0."""
        compiled = self._compiled()
        match = compiled.search(completion.text[:REPLY_CHARS])
        if not compiled.groups:
            missed = Score(0.0, reason=f"expected a reply that matches {quoted(self.pattern)}, but it does not")
            return Score(1.0, match[0]) if match else missed
        answer = (match[1] or "").strip() if match else ""
        if not answer:
            return unparsed(f"no match of {quoted(self.pattern)}", completion.text, example)
        expected = example.target.strip()
        same = answer.casefold() == expected.casefold() if self.ignore_case else answer == expected
        return compared(same, answer, example)

    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE if self.ignore_case else 0)


def make_scorer(settings: NamedSettings, folder: Path = Path()) -> Scorer:
    """Return the scorer of a name with its arguments, or of ``module:function`` (its module may lie in ``folder``).

    A scorer with an argument ``folder`` is told this one. Raises ConfigError for an unknown name or an argument that
    does not fit.
    """
    place = str(folder.absolute())
    target = imported(settings.name, place) if ":" in settings.name else resolve("evo.scorers", settings.name)
    name = settings.name
    arguments = settings.arguments
    if ":" in name and not isinstance(target, type):
        name, target, arguments = (
            f"{FunctionScorer.__module__}:{FunctionScorer.__name__}",
            FunctionScorer,
            {"function": name, **arguments},
        )
    if callable(target) and "folder" in inspect.signature(target).parameters:
        arguments = {"folder": place, **arguments}
    scorer: Scorer = build("evo.scorers", NamedSettings.model_validate({"name": name, **arguments}))
    return scorer


def _is_factor(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value != 0


def _likeliest(values: tuple[float, ...], choices: tuple[str, ...]) -> str | None:
    """Return the choice with the highest value; None where a tie leaves it open. Raises ValueError for no numbers."""
    best = highest(values)
    return None if values.count(best) > 1 else choices[values.index(best)]
