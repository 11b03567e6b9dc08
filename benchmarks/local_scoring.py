"""What the in-process model's labels cost in CPU time, beside bare loops over xllamacpp.

Run in the repository's root, with the extra [local] installed (half a minute on an idle machine):

    PYTHONPATH=. python benchmarks/local_scoring.py [--rounds 5] [--rows 6] [--model local/smollm2-135m] [--original]

All sides score the same rows (one instruction, messages of about 15 words, three labels), each on its own copy of the
model with the same settings and the instruction warm in its prefix cache. They take turns, round by round, on rows
that none has seen. Printed are medians over the rounds.

- ``every label``: the cheapest bare loop that tells every label's likelihood, in two calls a row at most.
- ``one call``: the first of these calls alone. It lacks labels that are not among the 100 likeliest tokens.
- ``LocalLlm``: ours, all rows of a round asked at once, as an evaluator does.

Rows per second depend on the machine and on what else it does; CPU seconds do so less.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from evo.model import Request
from evo.settings import ModelSettings
from fitness.gguf import fast_copy, known_model, locate
from fitness.llamacpp import LlamaCpp, LocalOptions, load
from fitness.local import LocalLlm

LABELS = ("complaint", "praise", "question")
INSTRUCTIONS = {
    "labels named": "Classify the customer's message as complaint, praise or question.\n\n",
    "labels not named": "Read what the customer wrote and say what kind of message it is.\n\n",
}
WHO = ("my order", "the new lamp", "your driver", "the second parcel", "the course", "our room")
WHAT = (
    "arrived two days late and nobody at the desk could tell me why",
    "was a joy from the first minute and made the whole family smile",
    "needs a different plug abroad, or does the one in the box fit everywhere",
    "looked nothing like the picture and smelled of smoke when I opened it",
)

Found = dict[int, float]
Side = Callable[[Sequence[str]], Awaitable[list[list[float]]]]
"""From prompts to the log-likelihoods of the labels; one that was not told is -inf."""


def prompts(instruction: str, count: int) -> list[str]:
    """Return prompts that share the instruction and differ in the message."""
    rng = np.random.default_rng(0)
    messages = [f"No. {number}: {rng.choice(WHO)} {rng.choice(WHAT)}" for number in range(count)]
    return [f"{instruction}Message: {message}\nLabel:" for message in messages]


class Bare:
    """A loop over xllamacpp, without any of ours but the loading. The labels are single tokens."""

    def __init__(self, settings: ModelSettings, every_label: bool) -> None:
        options, path = LocalOptions(**settings.options), locate(settings.name)
        path = fast_copy(path) if options.fast and known_model(settings.name) else path
        tokenizer = LlamaCpp(path, options)
        self._labels = [token for label in LABELS for token in tokenizer.tokenize(f" {label}")]
        tokenizer.close()
        self._server, self._every_label = load(path, options, "bare"), every_label
        self.computed = 0

    async def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """Score the rows one by one."""
        return [self._row(text) for text in texts]

    def _row(self, text: str) -> list[float]:
        first, *others = self._labels
        token = self._next(prompt=text, n_probs=100, temperature=0.0, logit_bias=[[first, 1000.0]])
        found: Found = {entry["id"]: entry["logprob"] for entry in (*token["top_logprobs"], token)}
        if self._every_label and any(label not in found for label in others):
            biases = [[label, 100.0] for label in self._labels]
            token = self._next(
                prompt=text,
                n_probs=len(biases),
                post_sampling_probs=True,
                samplers=["top_k", "temperature"],
                top_k=len(biases),
                temperature=1.0,
                logit_bias=biases,
            )
            shares = {entry["id"]: entry["prob"] for entry in token["top_probs"]}
            found |= {label: found[first] + math.log(shares[label] / shares[first]) for label in others}
        return [found.get(label, -math.inf) for label in self._labels]

    def _next(self, **body: Any) -> dict[str, Any]:
        reply = self._server.handle_completions({**body, "n_predict": 1, "cache_prompt": True})
        self.computed += reply["timings"]["prompt_n"]
        token: dict[str, Any] = reply["choices"][0]["logprobs"]["content"][0]
        return token


def ours(llm: LocalLlm) -> Side:
    """Return `LocalLlm` as a side."""

    async def score(texts: Sequence[str]) -> list[list[float]]:
        rows = await asyncio.gather(*(llm.complete(Request.user(text, choices=LABELS)) for text in texts))
        return [list(row.logprobs) for row in rows]

    return score


async def compare(name: str, sides: dict[str, Side], rounds: int, rows: int) -> None:
    """Let the sides take turns and print what each took."""
    warm, *texts = prompts(INSTRUCTIONS[name], rounds * rows + 1)
    cpu: dict[str, list[float]] = {side: [] for side in sides}
    wall = dict.fromkeys(sides, 0.0)
    found: dict[str, list[list[float]]] = {side: [] for side in sides}
    for score in sides.values():
        await score([warm])
    for number in range(rounds):
        for side in list(sides)[:: 1 if number % 2 else -1]:
            started, used = time.perf_counter(), time.process_time()
            found[side] += await sides[side](texts[number * rows : (number + 1) * rows])
            cpu[side].append((time.process_time() - used) / rows)
            wall[side] += time.perf_counter() - started
    for side, took in cpu.items():
        ratio = statistics.median(one / other for one, other in zip(took, cpu["every label"], strict=True))
        lacking = sum(-math.inf in row for row in found[side])
        print(
            f"{name:17} {side:12} {statistics.median(took):.4f} CPU-s/row  {ratio:.2f} x every label  "
            f"{rounds * rows / wall[side]:5.2f} rows/s  {lacking} of {len(texts)} rows lack a label"
        )
    difference = np.max(np.abs(np.array(found["LocalLlm"]) - np.array(found["every label"])))
    print(f"{name:17} largest difference between LocalLlm and every label: {difference:.1e} nats")


async def run(settings: ModelSettings, rounds: int, rows: int) -> None:
    """Compare the sides on every instruction."""
    llm, every, one = LocalLlm(settings), Bare(settings, every_label=True), Bare(settings, every_label=False)
    for name in INSTRUCTIONS:
        every.computed = one.computed = 0
        await compare(name, {"every label": every, "one call": one, "LocalLlm": ours(llm)}, rounds, rows)
        asked = rounds * rows + 1
        print(f"{name:17} tokens computed a row: {every.computed / asked:.1f} and {one.computed / asked:.1f}")
    await llm.aclose()


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--original", action="store_true", help="use the 4-bit weights as they are in the file")
    arguments = parser.parse_args()
    options = {"threads": arguments.threads, "fast": not arguments.original}
    asyncio.run(run(ModelSettings(name=arguments.model, options=options), arguments.rounds, arguments.rows))
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
