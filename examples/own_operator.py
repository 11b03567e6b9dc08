"""An operator of your own: append one of a few closing lines. Run it with `python examples/own_operator.py`."""

from dataclasses import dataclass
from pathlib import Path

import evo


@dataclass(frozen=True, slots=True)
class Closing:
    """Return the parent with a closing line drawn at random."""

    name = "closing"

    async def __call__(self, parents, llm, rng):
        line = rng.choice(["Answer with exactly one word.", "Mind the tone.", "Read carefully before you answer."])
        return parents[0].prompt.with_text(f"{parents[0].prompt.text} {line}")


if __name__ == "__main__":
    run = evo.evolve(
        Path(__file__).with_name("toy.yaml"),
        method={"name": "steady-state", "operators": {"own_operator:Closing": 1.0, "edit": 0.5}},
        budget={"calls": 4000},
        executor="inline",
    )
    print(run)
