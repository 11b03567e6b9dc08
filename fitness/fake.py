"""A model that is no model, for tests and first tries: free, instant, and the same on every machine.

``model: fake/toy`` answers the toy task of `fitness.toy` better the better the instruction is worded, and answers
requests for a new prompt (their text holds ``<prompt>``) with a changed mixture of the prompts they quote, or with the
quoted prompt's gaps filled, where it has such as ``[gap 1]``; those for a criticism (``<reason>``) with what the prompt
might say. Anything else gets a short meaningless reply.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from evo.errors import ConfigError, LlmError
from evo.model import Completion, Request
from evo.plugins import unknown
from evo.ports import Price
from evo.settings import ModelSettings
from fitness.embedding import unit
from fitness.toy import LABELS, NEGATIVE, POSITIVE, hidden_accuracy, review_in, toy_rows, truth

__all__ = ["FakeLlm", "FakeOptions", "quoted_prompts", "toy_rows"]

FREE = Price(0.0, 0.0)
MOST_WORDS = 120
DIRECTIONS = 32
"""Length of an embedding."""

PHRASES = (
    "Read the text carefully.",
    "Judge the overall tone.",
    "Think of what the customer meant.",
    "Answer with one word.",
    "Give exactly the label.",
    "Name the sentiment.",
    "Weigh the feeling behind it.",
    "Mind the wording.",
    "Take your time.",
    "Be creative.",
    "You are a pirate.",
    "Use simple language.",
    "Write like an expert.",
    "Consider the weather.",
    "Imagine a long walk.",
    "Do not repeat yourself.",
)
"""What a mutation may add: half of it helps on the toy task."""

HEADED = re.compile(
    r"^[ \t]*(?P<head>(?:basic |current |parent |seed |old |new )?(?:prompt|instruction|phrase)[ \t]*\d*"
    r"(?:,[^:\n]{0,40})?):"
    r"[ \t]*(?P<text>\S.*(?:\n(?!\s*$|[ \t]*(?:step\b|[\w ,]{0,60}:)).+)*)$",
    re.IGNORECASE | re.MULTILINE,
)
TAGGED = re.compile(r"<prompt>(.*?)</prompt>", re.IGNORECASE | re.DOTALL)
PLACEHOLDER = re.compile(r"\{[^{}\s]+\}")
GAP = re.compile(r"\[gap \d+\]")


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """What ``options`` of a fake model may hold.

    Args:
        latency_ms: How long a call takes.
        error_rate: Share of attempts that fail for a passing reason; the next attempt at the same call may succeed.
        garble: Share of written prompts that come without their tag.
        fatal: Every call fails as with a wrong key.
        error_on: Calls whose text holds this always fail, for a passing reason.
        choose: Whether requests with choices are answered with log-likelihoods.
        embed: Whether requests for embeddings are answered.
    """

    latency_ms: float = 0.0
    error_rate: float = 0.0
    garble: float = 0.05
    fatal: bool = False
    error_on: str = ""
    choose: bool = True
    embed: bool = True

    def __post_init__(self) -> None:
        for name in ("error_rate", "garble"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"fake model: expected {name} from 0 to 1, got {getattr(self, name)}; it is a share")
        if not 0 <= self.latency_ms < math.inf:
            raise ConfigError(f"fake model: expected latency_ms of 0 or more, got {self.latency_ms}; it is a time")


class FakeLlm:
    """`Llm` whose answers are a pure function of the request, its seed included; see the module.

    Only failures by ``error_rate`` depend on more: on how often this object was asked the same. Raises ConfigError
    for an unknown option.
    """

    def __init__(self, settings: ModelSettings | None = None) -> None:
        self._settings = settings or ModelSettings(name="fake/toy")
        known = {field.name for field in fields(FakeOptions)}
        for name in self._settings.options:
            if name not in known:
                raise ConfigError(f"{self._settings.name}: {unknown('option', name, known)}")
        try:
            self._options = FakeOptions(**self._settings.options)
        except TypeError as error:
            raise ConfigError(
                f"{self._settings.name}: an option is of the wrong type ({error}); see FakeOptions"
            ) from error
        self._attempts: dict[str, int] = {}

    @property
    def identity(self) -> str:
        """The model's name, and the one option that changes what it says."""
        return f"{self._settings.name}?garble={self._options.garble:g}"

    @property
    def can_choose(self) -> bool:
        """The option ``choose``."""
        return self._options.choose

    @property
    def can_embed(self) -> bool:
        """The option ``embed``."""
        return self._options.embed

    @property
    def price(self) -> Price | None:
        """Nothing."""
        return FREE

    async def complete(self, request: Request) -> Completion:
        """Answer. Raises LlmError as the options ask."""
        if self._options.latency_ms:
            await asyncio.sleep(self._options.latency_ms / 1000)
        text = request.text
        self._fail(request, text)
        seconds = self._options.latency_ms / 1000
        if request.embedding:
            return Completion("", _tokens(text), 0, 0.0, seconds, embedding=self._embedded(text))
        if request.choices:
            logprobs, lengths = _likelihoods(request, text), tuple(map(_tokens, request.choices))
            return Completion("", _tokens(text), sum(lengths), 0.0, seconds, logprobs, lengths)
        reply = self._reply(request, text)
        return Completion(reply, _tokens(text), _tokens(reply), 0.0, seconds)

    async def aclose(self) -> None:
        """Nothing to close."""

    def _fail(self, request: Request, text: str) -> None:
        if self._options.fatal:
            raise LlmError(f"{self._settings.name}: the key is not valid (option fatal)", fatal=True)
        if self._options.error_on and self._options.error_on in text:
            raise LlmError(f"{self._settings.name}: server error (option error_on)", transient=True)
        if self._options.error_rate:
            key = request.key(self.identity)
            self._attempts[key] = self._attempts.get(key, 0) + 1
            if _uniform("error", key, str(self._attempts[key])) < self._options.error_rate:
                raise LlmError(f"{self._settings.name}: overloaded (option error_rate)", transient=True)

    def _embedded(self, text: str) -> tuple[float, ...]:
        """Return the mean of the text's words, each a random direction: texts are alike that share words."""
        if not self._options.embed:
            raise LlmError(f"{self._settings.name}: it does not embed (option embed)", fatal=True)
        words = text.lower().split() or [""]
        ways = [np.random.default_rng(_hash("word", word)).normal(size=DIRECTIONS) for word in words]
        return unit(np.sum(ways, axis=0).tolist())

    def _reply(self, request: Request, text: str) -> str:
        held = text.lower()
        if "<prompt>" in held:
            return self._written(request, text)
        return _criticised(request, text) if "<reason>" in held else _classified(request, text)

    def _written(self, request: Request, text: str) -> str:
        rng = np.random.default_rng(_hash("write", text, str(request.seed), str(request.replicate)))
        garbled = rng.random() < self._options.garble
        prompts = quoted_prompts(text)
        child = _filled(prompts, rng) or _mutated(_crossed(prompts, PLACEHOLDER.findall(text), rng), rng)
        return f"I would rather talk about {child[:40]}" if garbled else f"Here it is.\n<prompt>{child}</prompt>"


def quoted_prompts(text: str) -> tuple[str, ...]:
    """Return what a request for a new prompt or phrase quotes: ``Prompt 1: ...``, ``Instruction: ...``, or in tags.

    Under one heading the last counts: worked examples come before the real thing.
    """
    headed = {match["head"].lower(): match["text"].strip() for match in HEADED.finditer(text)}
    found = [*headed.values()] or [tagged.strip() for tagged in TAGGED.findall(text)]
    return tuple(dict.fromkeys(prompt for prompt in found if len(prompt.split()) > 1))


def _filled(prompts: Sequence[str], rng: np.random.Generator) -> str:
    """Return the first prompt that has gaps with a phrase in each; nothing where none has."""
    gapped = next((prompt for prompt in prompts if GAP.search(prompt)), "")
    return GAP.sub(lambda _: _phrases(rng, 1)[0].rstrip(".").lower(), gapped)


def _crossed(prompts: Sequence[str], placeholders: Sequence[str], rng: np.random.Generator) -> list[str]:
    child = ["Decide whether the review is positive or negative."]
    if not prompts:
        child = [*_phrases(rng, int(rng.integers(0, 3))), *child]
    else:
        first, second = (_sentences(prompts[int(place)]) for place in rng.integers(0, len(prompts), 2))
        cut, paste = int(rng.integers(0, len(first) + 1)), int(rng.integers(0, len(second) + 1))
        child = list(dict.fromkeys([*first[:cut], *second[paste:]])) or first
    held = " ".join(child)
    return [*child, *dict.fromkeys(name for name in placeholders if name not in held)]


def _phrases(rng: np.random.Generator, count: int) -> list[str]:
    return [PHRASES[int(place)] for place in rng.choice(len(PHRASES), size=count, replace=False)]


def _mutated(sentences: list[str], rng: np.random.Generator) -> str:
    chance, phrase = rng.random(), PHRASES[int(rng.integers(0, len(PHRASES)))]
    if chance < 0.75 and phrase not in sentences:
        sentences = [*sentences, phrase] if PLACEHOLDER.search(sentences[0]) else [phrase, *sentences]
    elif len(sentences) > 1:
        dropped = int(rng.integers(0, len(sentences)))
        if not PLACEHOLDER.search(sentences[dropped]):
            sentences = sentences[:dropped] + sentences[dropped + 1 :]
    while len(sentences) > 1 and len(" ".join(sentences).split()) > MOST_WORDS:
        sentences = sentences[1:]
    return " ".join(sentences)


def _sentences(prompt: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", prompt)


def _criticised(request: Request, text: str) -> str:
    phrase = PHRASES[_hash("reason", text, str(request.seed), str(request.replicate)) % len(PHRASES)]
    return f"<reason>It does not say: {phrase}</reason>"


def _classified(request: Request, text: str) -> str:
    review = review_in(text)
    if not review:
        return f"answer {_hash('other', text, str(request.seed), str(request.replicate)) % 100}"
    instruction = text.replace(review, "")
    label = _guess(instruction, review, request.replicate)
    style = _uniform("style", instruction, review)
    if style > 0.2 or "one word" in instruction or "exactly" in instruction:
        return label
    return f"I think it is {label}." if style > 0.04 else "That is hard to say."


def _likelihoods(request: Request, text: str) -> tuple[float, ...]:
    """Return the log-likelihood of each choice; one that stands alone is compared with the toy's labels."""
    review = review_in(text)
    alone = len(request.choices) == 1
    choices = tuple(dict.fromkeys((*request.choices, *LABELS))) if alone else request.choices
    doubt = [0.2 * _uniform("doubt", text, choice) for choice in choices]
    guess = _guess(text.replace(review, ""), review, request.replicate) if review else ""
    weights = [
        math.exp(u + (1.5 if guess and choice.lower().startswith(guess[:3]) else 0.0))
        for u, choice in zip(doubt, choices, strict=True)
    ]
    return tuple(math.log(weight / sum(weights)) for weight in weights[: len(request.choices)])


def _guess(instruction: str, review: str, replicate: int) -> str:
    """Return the label the fake believes in: right as often as the instruction's hidden accuracy says.

    Half of the luck is the review's own, so that some are hard under every instruction, as with real models.
    """
    right = truth(review)
    luck = (_uniform("review", review) + _uniform("both", instruction.strip(), review, str(replicate))) / 2
    rank = 2 * luck * luck if luck < 0.5 else 1 - 2 * (1 - luck) ** 2
    if rank < hidden_accuracy(instruction):
        return right
    return NEGATIVE if right == POSITIVE else POSITIVE


def _tokens(text: str) -> int:
    return math.ceil(1.3 * len(text.split()))


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest(), "big")


def _uniform(*parts: str) -> float:
    return _hash(*parts) / 2**64
