"""What an executor is asked to run, made from settings: the task, each island's ground, and the list of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evo.errors import ConfigError
from evo.life import Ground
from evo.plugins import build, resolve
from evo.ports import NamesRows, Task
from evo.settings import ModelSettings, NamedSettings, RunSettings
from evo.status import Snapshot

Watch = Callable[[Snapshot], None]


@dataclass(frozen=True, slots=True)
class Models:
    """Places of an island's models in the run's list; ``embedding`` is None where the island has none."""

    task: int
    operator: int
    embedding: int | None = None


@dataclass(frozen=True, slots=True)
class Commission:
    """A run ready to be executed. Picklable: parts of it are shipped to other processes.

    Args:
        path: The run's folder.
        settings: Its settings.
        base: The folder that relative paths and user modules are found from.
        task: The task, loaded.
        models: Every model the run uses, once.
    """

    path: Path
    settings: RunSettings
    base: Path
    task: Task
    models: tuple[ModelSettings, ...]

    def ground(self, island: int) -> Ground[Any]:
        """Return an island's ground. Raises ConfigError when its method or racing policy cannot be made."""
        return make_ground(self.settings, self.task, island)

    def models_of(self, island: int) -> Models:
        """Return the places of an island's models in ``models``."""
        settings = self.settings.island(island)
        assert settings.model is not None
        assert settings.operator_model is not None
        embedder = settings.embedding_model
        return Models(
            self.models.index(settings.model),
            self.models.index(settings.operator_model),
            None if embedder is None else self.models.index(embedder),
        )

    @property
    def judge(self) -> int | None:
        """Place of the model that judges in ``models``; None where the scorer asks none."""
        judge = self.settings.judge_model
        return self.models.index(judge) if judge is not None and self.task.judge_calls else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of these settings: the task's notes, and whom a racing policy has no say over."""
        racing = self.settings.racing
        if racing is None:
            return self.task.notes
        own = [
            island.method.name
            for number, island in enumerate(self.settings.archipelago)
            if island.method is not None and isinstance(self.ground(number).method, NamesRows)
        ]
        notes = (f"{name} names the rows of its births itself: racing {racing.name} has no say in them" for name in own)
        return (*self.task.notes, *dict.fromkeys(notes))

    def kin_of(self, island: int) -> tuple[int, ...]:
        """Return the islands whose prompts are scored by this island's task model, itself among them."""
        everyone = self.settings.archipelago
        return tuple(number for number, other in enumerate(everyone) if other.model == everyone[island].model)


def load_task(settings: RunSettings, base: Path) -> Task:
    """Return the settings' task. Raises ConfigError when its data cannot be used."""
    load = resolve("evo.tasks", "rows")
    models = [model for model in settings.models if any(model == island.model for island in settings.archipelago)]
    task: Task = load(settings.task, settings.prompts, settings.seed, base, settings.evolve, models)
    return task


def commission(path: Path, settings: RunSettings, base: Path, task: Task) -> Commission:
    """Return what an executor needs. Raises ConfigError."""
    return Commission(path, settings, base, task, settings.models)


def check(settings: RunSettings, task: Task) -> None:
    """Try everything that can be tried before a call is made. Raises ConfigError."""
    resolve("evo.executors", settings.executor)
    if task.judge_calls and settings.judge_model is None:
        raise ConfigError(
            f"scorer {settings.task.scorer.name}: expected a model that judges, got none; set judge_model, better not "
            "to the model whose replies it judges"
        )
    for island in range(settings.size):
        ground = make_ground(settings, task, island)
        ground.method.start(ground.brief)


def make_ground(settings: RunSettings, task: Task, island: int) -> Ground[Any]:
    """Return an island's ground. Raises ConfigError when its method or racing policy cannot be made."""
    own = settings.island(island)
    assert own.method is not None
    method = build("evo.methods", own.method)
    racing = build("evo.racing", settings.racing or NamedSettings(name=method.racing))
    births = settings.budget.births
    count = settings.size
    share = None if births is None else births // count + (island < births % count)
    meets = settings.migration.every if settings.lockstep else None
    return Ground(island, settings.seed, method, racing, task, share, own.embedding_model is not None, meets)


@dataclass(frozen=True, slots=True)
class FinalCalls:
    """Calls of a run's end: the test takes ``winner`` at least, ``baseline`` at most; the race ``race`` at most."""

    winner: int
    baseline: int = 0
    race: int = 0


def final_calls(order: Commission) -> FinalCalls:
    """Return how many calls the final race and the final test take, judged by the seed prompts."""
    test, dev = order.task.examples("test"), order.task.examples("dev")
    baseline = _dearest(order.task, test)
    grounds = [order.ground(island) for island in range(order.settings.size)]
    sizes = (ground.method if isinstance(ground.method, NamesRows) else ground.racing for ground in grounds)
    known = min(one.size(len(dev)) for one in sizes)
    folds = order.settings.task.split.folds is not None  # the best seed prompt races too
    contenders = order.settings.final_race + folds if order.settings.final_race > 1 else 0
    lacking = dev[known:]
    return FinalCalls(max(baseline, len(test)), baseline, contenders * max(_dearest(order.task, lacking), len(lacking)))


def _dearest(task: Task, rows: Sequence[int]) -> int:
    """Return the calls that rows take with the seed prompt that takes most; 0 without seed prompts."""
    return max((sum(task.calls(seed, rows)) for seed in task.brief.seeds), default=0)
