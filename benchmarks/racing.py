"""Racing policies side by side on real scores: whom does each rank first after the same number of rows?

    python benchmarks/racing.py matrix.npz --collect DATA --prompts FILE --count 200 --rows 300
    python benchmarks/racing.py matrix.npz --budgets 500,1000,2000 --draws 200

The first makes, or goes on with, a matrix of scores, prompts x dev rows: seed prompts, one a line in FILE, and edits of
them drawn with a seed, all scored on the first rows of DATA (a folder with train.jsonl, dev.jsonl, task.json as in
`benchmarks/methods.py`) by the model in this process. The second replays: in each draw rows are shuffled, and the
prompts come as newborns in a random order to a population of 8 that keeps the best by mean score, until the rows are
spent. Printed is the true mean, on all rows of the matrix, of whom the run would report as its winner
(`evo.statistics.sure_fitness`), averaged over draws with its standard error; its difference to ``subset`` with 50 rows,
draw by draw; and how often that was a win, a tie or a loss. Nothing is bred: a newborn is no better for the policy's
earlier choices, and the parent that ``parent-gate`` compares it with is any member. Policies that try more newborns
with the same rows gain more where children descend from better parents than they can show here.
``--synthetic SD`` replays on drawn scores instead of a file's, true means SD apart: what to expect without a model.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evo.calls import Completion
from evo.errors import OperatorError
from evo.model import Evaluation, Individual, Outcome, Prompt, by_fitness
from evo.plugins import build, build_model
from evo.ports import Racing
from evo.randomness import child_rng
from evo.rivals import Rivals, Tally, with_raced
from evo.settings import ModelSettings, NamedSettings, TaskSettings
from evo.statistics import sure_fitness
from evo.verdict import ENOUGH
from fitness.evaluator import RowEvaluator
from fitness.tasks import load_task
from operators.edits import Edit, PhraseCrossover, Reframe

Matrix = npt.NDArray[np.float64]
LAYOUT = "{prompt}\n\nText: {input}\nLabel:"
POPULATION, SEEDS = 8, 3
REFERENCE = "subset n=50"
POLICIES = (
    "full",
    "subset n=20",
    REFERENCE,
    "subset n=100",
    "gate stages=[10,30,100]",
    "parent-gate n=100",
    "parent-gate minibatch=10 n=100",
    "halving",
    "paired-test most=300",
    "fresh n=20",
    "growing n=10 step=10",
    "lazy",
    "lazy drop=0",
    "lazy share=0",
    "lazy share=1",
    "lazy n0=40",
)


def main() -> None:
    """Collect or replay, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matrix", type=Path, help="an .npz file with scores (prompts x rows; NaN: no score)")
    parser.add_argument("--collect", type=Path, metavar="DATA", help="make the matrix from this folder's dev rows")
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--prompts", type=Path, help="seed prompts, one a line; default: DATA's initial_prompts.txt")
    parser.add_argument("--count", type=int, default=200, help="prompts of the matrix")
    parser.add_argument("--rows", type=int, default=300, help="rows of the matrix")
    parser.add_argument("--synthetic", type=float, metavar="SD", help="replay on drawn scores, no file")
    parser.add_argument("--budgets", default="500,1000,2000,4000", help="rows spent")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--policies", help=f"parted by ';', default: {'; '.join(POLICIES)}")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.collect:
        asyncio.run(collect(options))
        return
    scores = synthetic(options) if options.synthetic else np.load(options.matrix, allow_pickle=False)["scores"]
    policies = tuple(words.strip() for words in options.policies.split(";")) if options.policies else POLICIES
    for budget in map(int, options.budgets.split(",")):
        compare(scores, policies, budget, options.draws, options.seed)


def compare(scores: Matrix, policies: Sequence[str], budget: int, draws: int, seed: int) -> None:
    """Replay every policy on the same draws, and print a line for each."""
    truth = np.nanmean(scores, axis=1)
    print(
        f"\n{budget} rows; {scores.shape[0]} prompts x {scores.shape[1]} rows, true means {truth.min():.3f} to", end=" "
    )
    print(f"{truth.max():.3f} (sd {truth.std():.3f}), {draws} draws")
    print(f"{'policy':32} {'true mean':>16} {'optimism':>9} {'newborns':>8}  {'against ' + REFERENCE:>24}  w/t/l")
    found: dict[str, list[Result]] = {}
    for words in dict.fromkeys((REFERENCE, *policies)):
        started, policy = time.process_time(), policy_of(words)
        found[words] = [replay(policy, scores, truth, budget, child_rng(seed, "draw", draw)) for draw in range(draws)]
        print(
            _line(words, found[words], found[REFERENCE]) + f"  {time.process_time() - started:4.0f} s CPU", flush=True
        )


def policy_of(words: str) -> Racing:
    """Return a policy from its name and arguments, such as ``lazy n0=40``."""
    name, *pairs = words.split()
    arguments = {key: json.loads(value) for key, _, value in (pair.partition("=") for pair in pairs)}
    policy: Racing = build("evo.racing", NamedSettings(name=name, **arguments))
    return policy


@dataclass(frozen=True, slots=True)
class Result:
    """The winner's true mean, how much higher it had looked, and how many newborns were tried."""

    true: float
    optimism: float
    newborns: int


class Spent(Exception):
    """The rows are spent."""


@dataclass(slots=True)
class Replay:
    """A steady-state search without breeding: the newborns are there beforehand, and so are their scores."""

    policy: Racing
    scores: Matrix
    order: list[int]
    left: int
    rng: np.random.Generator
    living: tuple[Individual, ...] = ()
    raced: tuple[Individual, ...] = ()
    everyone: dict[int, Individual] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    tried: int = 0

    def run(self, stream: Sequence[int]) -> None:
        """Try newborns until the stream or the rows end."""
        try:
            for place, number in enumerate(stream):
                self._give_more()
                self._try(number, founder=place < SEEDS)
            self._give_more()
        except Spent:
            pass

    def _give_more(self) -> None:
        while request := self.policy.more(self.living, self.tally, self.order, self.rng):
            self.tally = replace(self.tally, added=self.tally.added + len(request.examples))
            self._put(self._scored(request.individual, request.examples))

    def _try(self, number: int, *, founder: bool) -> None:
        newborn = Individual(number, Prompt.of(str(number)), "seed" if founder else "drawn")
        parents: tuple[Individual, ...] = ()
        if not founder:
            parents = (self.living[int(self.rng.integers(len(self.living)))],)
            generation = 1 + parents[0].generation
            newborn = replace(newborn, parents=((parents[0].number, "base"),), generation=generation)
            self.tally = replace(self.tally, generation=max(self.tally.generation, generation))
        while rows := self.policy.next(newborn, Rivals(self.living, parents, self.raced), self.order, self.rng):
            newborn = self._scored(newborn, rows)
        self.tally = replace(self.tally, admitted=self.tally.admitted + len(newborn.evaluation.outcomes))
        self.raced, self.tried = with_raced(self.raced, newborn), self.tried + 1
        if rows is not None:
            self._put(newborn)

    def _scored(self, one: Individual, rows: Sequence[int]) -> Individual:
        if len(rows) > self.left:
            raise Spent
        self.left -= len(rows)
        own = self.scores[one.number]
        outcomes = [Outcome(row, None if np.isnan(own[row]) else float(own[row])) for row in rows]
        return one.with_evidence(Evaluation.of(outcomes), Evaluation())

    def _put(self, one: Individual) -> None:
        self.everyone[one.number] = one
        known = {other.number: other for other in self.living} | {one.number: one}
        self.living = tuple(sorted((other for other in known.values() if other.ok), key=by_fitness)[:POPULATION])

    def winner(self) -> Individual:
        """Return whom a run would report: of those with at least half of the most evidence the surest."""
        most = max(one.evaluation.count for one in self.everyone.values())
        ranked = [one for one in self.everyone.values() if one.ok and one.evaluation.count >= ENOUGH * most]
        return max(ranked, key=lambda one: (sure_fitness(one.fitness, one.evaluation.count), -one.number))


def replay(policy: Racing, scores: Matrix, truth: Matrix, budget: int, rng: np.random.Generator) -> Result:
    """Return what a policy's winner is worth in one draw."""
    stream, order = rng.permutation(scores.shape[0]).tolist(), rng.permutation(scores.shape[1]).tolist()
    search = Replay(policy, scores, order, budget, rng)
    search.run(stream)
    winner = search.winner()
    true = float(truth[winner.number])
    return Result(true, winner.fitness - true, search.tried)


def _line(words: str, results: Sequence[Result], reference: Sequence[Result]) -> str:
    true = np.array([one.true for one in results])
    gain = true - np.array([one.true for one in reference])
    optimism, tried = np.mean([one.optimism for one in results]), np.mean([one.newborns for one in results])
    against = f"{100 * gain.mean():+.2f} +- {100 * _error(gain):.2f} pp"
    record = f"{(gain > 0).sum()}/{(gain == 0).sum()}/{(gain < 0).sum()}"
    mean = f"{true.mean():.4f} +- {_error(true):.4f}"
    return f"{words:32} {mean:>16} {100 * optimism:+6.1f} pp {tried:8.1f}  {against:>24}  {record:11}"


def _error(values: Matrix) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def synthetic(options: argparse.Namespace) -> Matrix:
    """Return drawn scores of 0 and 1: rows differ in how hard they are, prompts in how good."""
    rng = child_rng(options.seed, "synthetic")
    ability = rng.normal(0, options.synthetic * 4, size=(options.count, 1))  # a logit's slope is 1/4 in the middle
    hardness = rng.normal(0, 1.5, size=(1, options.rows))
    chance = 1 / (1 + np.exp(-(0.5 + ability - hardness + rng.normal(0, 1, size=(options.count, options.rows)))))
    return (rng.random(chance.shape) < chance).astype(float)


class NoModel:
    """Stands where operators expect a model; edits call none."""

    identity, can_choose, price = "none", False, None

    async def complete(self, request: Any) -> Completion:
        """Raise OperatorError."""
        raise OperatorError(f"expected an operator that needs no model, got one that asks for {request}")

    async def aclose(self) -> None:
        """Nothing to close."""


async def drawn_prompts(seeds: Sequence[str], labels: tuple[str, ...], count: int, seed: int) -> list[Prompt]:
    """Return the seed prompts and edits of edits of them, all different."""
    operators = (Edit(labels=labels), Reframe(labels=labels), PhraseCrossover())
    found = {Prompt.of(text): Individual(number, Prompt.of(text), "seed") for number, text in enumerate(seeds[:count])}
    for attempt in itertools.count():
        if len(found) >= count or attempt > 50 * count:
            break
        rng = child_rng(seed, "edit", attempt)
        parents = [list(found.values())[int(place)] for place in rng.integers(len(found), size=2)]
        operator = operators[int(rng.integers(len(operators)))]
        try:
            child = await operator(parents[: 1 + (operator.name == PhraseCrossover.name)], NoModel(), rng)
        except OperatorError:
            continue
        found.setdefault(child, Individual(len(found), child, operator.name))
    return list(found)


async def collect(options: argparse.Namespace) -> None:
    """Score prompts on rows and write the matrix."""
    lines = (options.prompts or options.collect / "initial_prompts.txt").read_text(encoding="utf-8").splitlines()
    seeds = [line.strip() for line in lines if line.strip()]
    about = json.loads((options.collect / "task.json").read_text(encoding="utf-8"))
    data = {split: str((options.collect / f"{split}.jsonl").resolve()) for split in ("train", "dev", "test")}
    settings = TaskSettings.model_validate(
        {"data": data, "scorer": "choice", "layout": LAYOUT, "description": about["description"]}
    )
    task = load_task(settings, seeds, options.seed)
    rows = list(task.examples("dev"))[: options.rows]
    prompts = await drawn_prompts(seeds, task.brief.labels, options.count, options.seed)
    llm = build_model(ModelSettings(name=options.model))
    evaluator = RowEvaluator(task, llm)
    scores = (
        np.load(options.matrix, allow_pickle=False)["scores"] if options.matrix.exists() else np.empty((0, len(rows)))
    )
    for prompt in prompts[len(scores) :]:
        known = (await evaluator.evaluate(prompt, rows)).scores
        scores = np.vstack([scores, [known.get(row, np.nan) for row in rows]])
        np.savez_compressed(options.matrix, scores=scores, prompts=np.array([p.text for p in prompts[: len(scores)]]))
        print(f"{len(scores)}/{len(prompts)}  {np.nanmean(scores[-1]):.3f}  {prompt.text[:90]!r}", flush=True)
    await llm.aclose()


if __name__ == "__main__":
    main()
