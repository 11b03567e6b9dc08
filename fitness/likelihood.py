"""The likelihood of whole choices as the continuation of a prompt, read from an in-process model.

The choices' tokens make a tree; every inner node is one call, or two where several of its branches are unlikely, with
what came before found in the prefix cache. Every number is a share of the whole vocabulary, never of the listed tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from evo.errors import LlmError
from fitness.llamacpp import LlamaCpp

_LIKELIEST = 100
"""Tokens whose likelihoods every reply tells: as many as cost less than a 20th of another call."""
_FORCE = 1000.0
_LIFT = 100.0
_LEAST = 1e-30
_GLUES = re.compile(r"""[\n\t(\[{<]$|(^|[\s(\[{<:=])["'`]$""")
"""Ends of a prompt after which a choice begins without a space: a new line, a bracket, an opening quote."""

Path = tuple[int, ...]


class ChoiceReader:
    """Tells the log-likelihoods of choices. Remembers their tokens; not safe for threads, as its model."""

    def __init__(self, model: LlamaCpp) -> None:
        self._model = model
        self._paths: dict[tuple[str, str], Path] = {}

    def read(self, context: str, choices: Sequence[str]) -> tuple[list[float], list[int], int]:
        """Return the natural log-likelihood of each whole choice, its number of tokens, and that of the context.

        A choice follows as a word of its own: after a space, unless the context ends with a new line, a bracket or
        an opening quote. Spaces that end the context are left out, as they would be part of the next word's token.
        Raises LlmError.
        """
        context = context.rstrip(" ")
        if not context:
            raise LlmError("expected a prompt before the choices, got an empty one; give the prompt some text")
        paths = [self._path(context, choice) for choice in choices]
        steps: dict[Path, dict[int, float]] = {}
        context_tokens = 0
        for prefix, branches in sorted(_tree(paths).items()):
            steps[prefix], count = self._branches([context, *prefix], branches)
            context_tokens = context_tokens or count
        totals = [math.fsum(steps[path[:i]][token] for i, token in enumerate(path)) for path in paths]
        return totals, [len(path) for path in paths], context_tokens

    def _path(self, context: str, choice: str) -> Path:
        """Return a choice's tokens after the context, whose last character decides how they join."""
        text = choice if choice[:1].isspace() or _GLUES.search(context) else f" {choice}"
        key = (context[-1], text)
        if key not in self._paths:
            before, both = self._model.tokenize(context[-1]), self._model.tokenize(context[-1] + text)
            joins = len(both) > len(before) and both[: len(before)] == before
            self._paths[key] = both[len(before) :] if joins else self._model.tokenize(text)
        if not choice or not self._paths[key]:
            raise LlmError("expected choices with text, got an empty one; remove it from the task's choices")
        return self._paths[key]

    def _branches(self, prompt: list[str | int], tokens: Sequence[int]) -> tuple[dict[int, float], int]:
        """Return the log-likelihood of each token as the next one, and the prompt's number of tokens.

        The first call tells the first token's and those of all that are among the likeliest of the vocabulary. Where
        several are not, one more call compares them with the first.
        """
        anchor, *others = tokens
        found, count = self._likelihoods(prompt, anchor, _LIKELIEST if others else 1)
        missing = [token for token in others if token not in found]
        if len(missing) > 1:
            found |= {token: found[anchor] + odds for token, odds in self._odds(prompt, anchor, missing).items()}
        for token in missing:
            if token not in found:
                found |= self._likelihoods(prompt, token, 1)[0]
        return found, count

    def _likelihoods(self, prompt: list[str | int], token: int, likeliest: int) -> tuple[dict[int, float], int]:
        """Return the log-likelihood of a token and of the likeliest ones, and the prompt's number of tokens.

        A reply tells the sampled token's share of the vocabulary, however small; a bias that makes it the sampled one
        changes no share.
        """
        reply = self._model.complete(
            prompt=prompt, n_predict=1, n_probs=likeliest, temperature=0.0, logit_bias=[[token, _FORCE]]
        )
        sampled = _first_token(reply)
        if sampled["id"] != token:
            raise LlmError(f"expected the likelihood of token {token}, but the model answered {sampled['id']}")
        found = {int(entry["id"]): float(entry["logprob"]) for entry in (*sampled["top_logprobs"], sampled)}
        return found, int(reply["usage"]["prompt_tokens"])

    def _odds(self, prompt: list[str | int], anchor: int, tokens: Sequence[int]) -> dict[int, float]:
        """Return the log-odds of tokens against the anchor, read with all of them lifted above the vocabulary.

        Tokens whose odds are too long for the model's single precision are left out.
        """
        lifted = (anchor, *tokens)
        reply = self._model.complete(
            prompt=prompt,
            n_predict=1,
            n_probs=len(lifted),
            post_sampling_probs=True,
            samplers=["top_k", "temperature"],
            top_k=len(lifted),
            temperature=1.0,
            seed=0,
            logit_bias=[[token, _LIFT] for token in lifted],
        )
        shares = {int(entry["id"]): float(entry["prob"]) for entry in _first_token(reply)["top_probs"]}
        base = shares.get(anchor, 0.0)
        if base < _LEAST:
            return {}
        return {token: math.log(shares[token] / base) for token in tokens if shares.get(token, 0.0) > _LEAST}


def _tree(paths: Sequence[Path]) -> dict[Path, list[int]]:
    """Return, for every beginning of the paths, the tokens that follow it in some of them."""
    branches: dict[Path, dict[int, None]] = {}
    for path in paths:
        for i, token in enumerate(path):
            branches.setdefault(path[:i], {})[token] = None
    return {prefix: list(tokens) for prefix, tokens in branches.items()}


def _first_token(reply: Mapping[str, Any]) -> dict[str, Any]:
    content = (reply["choices"][0].get("logprobs") or {}).get("content") or []
    if not content:
        raise LlmError("expected the likelihood of a next token, but the in-process model gave none")
    first: dict[str, Any] = content[0]
    return first
