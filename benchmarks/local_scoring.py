"""How fast the in-process model scores labels, beside a bare loop over xllamacpp.

Run in the repository, with the extra [local] installed:

    python benchmarks/local_scoring.py [--rows 40] [--model local/smollm2-135m] [--threads 1]

Both sides score the same rows (one instruction, messages of about 15 words, three labels) on a freshly loaded model.
The bare loop makes one call a row and reads the labels among the 100 likeliest tokens, so it has no answer where a
label is not among them; `LocalLlm` gives the likelihood of every whole label. Rows per second depend on the machine
and on what else it does: compare the CPU seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from evo.model import Request
from evo.settings import ModelSettings
from fitness.gguf import locate
from fitness.llamacpp import WIDTH, LocalOptions, load
from fitness.local import LocalLlm

LABELS = ("complaint", "praise", "question")
INSTRUCTION = "Read the customer's message and say whether it is a complaint, praise or a question."
_WHO = ("my order", "the new lamp", "your driver", "the second parcel", "the course", "our room")
_WHAT = (
    "arrived two days late and nobody at the desk could tell me why",
    "was a joy from the first minute and made the whole family smile",
    "needs a different plug abroad, or does the one in the box fit everywhere",
    "looked nothing like the picture and smelled of smoke when I opened it",
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Rows and what they took."""

    name: str
    rows: int
    wall_s: float
    cpu_s: float
    unanswered: int

    def __str__(self) -> str:
        return (
            f"{self.name:10} {self.rows / self.wall_s:6.2f} rows/s   {self.cpu_s / self.rows:.3f} CPU-s/row   "
            f"{self.unanswered}/{self.rows} rows without every label"
        )


def prompts(count: int) -> list[str]:
    """Return ``count`` prompts that share the instruction and differ in the message."""
    rng = np.random.default_rng(0)
    return [
        f"{INSTRUCTION}\n\nMessage: No. {number}: {rng.choice(_WHO)} {rng.choice(_WHAT)}\nLabel:"
        for number in range(count)
    ]


def timed(name: str, rows: int, run: Callable[[], int]) -> Timing:
    """Return what ``run``, which returns the number of unanswered rows, took."""
    wall, cpu = time.perf_counter(), time.process_time()
    unanswered = run()
    return Timing(name, rows, time.perf_counter() - wall, time.process_time() - cpu, unanswered)


def bare(settings: ModelSettings, texts: list[str]) -> Timing:
    """Time a loop of one call a row."""
    server = load(locate(settings.name), LocalOptions(**settings.options), "bare")
    tokens = [server_token(server, label) for label in LABELS]

    def run() -> int:
        replies = [ask(server, text) for text in texts]
        return sum(any(token not in reply for token in tokens) for reply in replies)

    ask(server, texts[0])
    return timed("bare loop", len(texts), run)


def ask(server: Any, text: str) -> dict[str, float]:
    """Return the likeliest next tokens, as text, with their log-probabilities."""
    reply = server.handle_completions({"prompt": text, "n_predict": 1, "n_probs": WIDTH, "temperature": 0.0})
    return {entry["token"]: entry["logprob"] for entry in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}


def server_token(server: Any, label: str) -> str:
    """Return the text of a label's first token, written by the model itself under force."""
    return f" {label}"


async def ours(settings: ModelSettings, texts: list[str]) -> Timing:
    """Time `LocalLlm` on the same rows, all asked at once as an evaluator does."""
    llm = LocalLlm(settings)
    await llm.complete(Request.user(texts[0], choices=LABELS))
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(llm.complete(Request.user(text, choices=LABELS)) for text in texts))
    timing = Timing("LocalLlm", len(texts), time.perf_counter() - wall, time.process_time() - cpu, 0)
    await llm.aclose()
    return timing
