"""The configuration as typed, validated settings (pydantic). Reading them from YAML is `evo.config`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from evo.model import EXAMPLES, INSTRUCTION, Budget, Prompt
from evo.model_settings import ModelSettings as ModelSettings
from evo.model_settings import NamedSettings as NamedSettings
from evo.model_settings import PriceSettings as PriceSettings
from evo.model_settings import Settings as Settings
from evo.prompt import PART, flaw_of


class DataSettings(Settings):
    """Where the rows are: one file or list that is split, or a file for each split."""

    train: Any = None
    dev: Any = None
    test: Any = None
    all: Any = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping) else {"all": value}

    @model_validator(mode="after")
    def _one_form(self) -> DataSettings:
        if self.all is None and self.dev is None:
            raise ValueError("expected a file of rows, or files for train, dev and test, of which dev is needed")
        return self


class SplitSettings(Settings):
    """Shares of train, dev and test where one file holds all rows; drawn by the run's seed, stratified by target."""

    train: float = Field(default=0.1, ge=0, lt=1)
    dev: float = Field(default=0.5, gt=0, le=1)
    test: float = Field(default=0.4, ge=0, lt=1)
    folds: int | None = Field(default=None, ge=2, le=50)
    """Instead of a test: its rows are dev rows too, and the final choice is cross-fitted (`evo.crossfit`)."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> SplitSettings:
        total = self.train + self.dev + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, dev and test shares must sum to 1, got {total:g}")
        return self


class TaskSettings(Settings):
    """What to solve: rows, how a row is shown to the model, and how its reply is scored."""

    data: DataSettings
    input: str = "input"
    """A column, or a template with ``{column}`` placeholders."""
    target: str = "target"
    """The column that holds the expected answer."""
    choices: tuple[str, ...] | str | None = None
    """Labels, or the column that holds a row's own; found in the targets when the scorer needs them."""
    scorer: NamedSettings = Field(default_factory=lambda: NamedSettings(name="choice"))
    description: str = ""
    repeats: int = Field(default=1, ge=1, le=100)
    """How often a row is asked where the model draws its words: the mean is its score. Likelihoods are asked once."""
    layout: str = "{prompt}\n\n{input}"
    """How prompt and input make one message. Unused where the prompt itself has placeholders."""
    split: SplitSettings = Field(default_factory=SplitSettings)


class MigrationSettings(Settings):
    """How often an island looks for migrants, in births, and how many it takes each time."""

    every: int = Field(default=8, ge=1)
    count: int = Field(default=1, ge=1)


class IslandSettings(Settings):
    """One island: what it does not name it takes from the run."""

    method: NamedSettings | None = None
    model: ModelSettings | None = None
    operator_model: ModelSettings | None = None
    embedding_model: ModelSettings | None = None


class BudgetSettings(Settings):
    """Caps; leave out what is not capped."""

    calls: int | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    usd: float | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0)
    births: int | None = Field(default=None, gt=0)

    @property
    def budget(self) -> Budget:
        """The same as plain data."""
        return Budget(**self.model_dump())


Topology = Literal["ring", "torus", "star", "complete", "random", "isolated"]


class RunSettings(Settings):
    """A whole run: the YAML file."""

    task: TaskSettings
    prompts: tuple[str | dict[str, str], ...] = ()
    """Seed prompts: a text, or named parts such as ``{system: ..., instruction: ...}``."""
    evolve: tuple[str, ...] = (INSTRUCTION,)
    """Parts of the prompts that operators may change, one a birth; all others are locked."""
    model: ModelSettings = Field(default_factory=lambda: ModelSettings(name="local/smollm2-135m"))
    operator_model: ModelSettings | None = None
    embedding_model: ModelSettings | None = None
    """Turns texts into vectors, for methods that compare prompts by them."""
    judge_model: ModelSettings | None = None
    """Judges replies, the same for all islands, where the scorer has them judged."""
    method: NamedSettings = Field(default_factory=lambda: NamedSettings(name="tide"))
    racing: NamedSettings | None = None
    final_race: int = Field(default=4, ge=1)
    """How many of the best race on the dev rows they lack, before the winner is tested; 1: none."""
    islands: int | tuple[IslandSettings, ...] = 1
    topology: Topology = "ring"
    migration: MigrationSettings = Field(default_factory=MigrationSettings)
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    concurrency: int = Field(default=32, ge=1, le=4096)
    workers: int | None = Field(default=None, ge=1)
    """Fitness workers; one a core where left out."""
    executor: str = "ray"
    seed: int = Field(default=0, ge=0)
    lockstep: bool = False
    """Whether births are told in the order they were asked for, and islands wait for each other to migrate."""
    storage: str = "runs"
    """A folder, or an object store's URI (`evo.remote`): the run is then written in ``runs/`` and copied there."""
    profile: bool = False
    """Whether the run's processes say what they took, for `evo.profile`."""
    cache: bool = True
    """Whether answers of earlier runs in the same storage are used again."""

    @field_validator("islands", mode="before")
    @classmethod
    def _islands_form(cls, value: Any) -> Any:
        if not isinstance(value, int | list | tuple):
            raise ValueError("expected a number of islands, or a list with a method or a model for each")
        if (value if isinstance(value, int) else len(value)) < 1:
            raise ValueError("expected at least one island")
        return value

    @field_validator("prompts", mode="before")
    @classmethod
    def _prompts_form(cls, value: Any) -> Any:
        for number, prompt in enumerate(value if isinstance(value, list | tuple) else (), 1):
            texts = list(prompt.values()) if isinstance(prompt, Mapping) else [prompt]
            if not all(isinstance(text, str) for text in texts):
                raise ValueError(f"expected a text or named parts with texts, got {prompt!r} as seed prompt {number}")
        return value

    @field_validator("prompts")
    @classmethod
    def _prompts_have_text(cls, value: tuple[str | dict[str, str], ...]) -> tuple[str | dict[str, str], ...]:
        for number, prompt in enumerate(map(Prompt.of, value), 1):
            if flaw := flaw_of(prompt):
                raise ValueError(f"seed prompt {number}: {flaw}")
        return tuple({Prompt.of(prompt).parts: prompt for prompt in value}.values())

    @field_validator("evolve")
    @classmethod
    def _something_evolves(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(name == EXAMPLES or not re.fullmatch(PART, name) for name in value):
            raise ValueError(f"expected names of parts with text, such as [instruction], got {list(value)}")
        return tuple(dict.fromkeys(value))

    @property
    def archipelago(self) -> tuple[IslandSettings, ...]:
        """Every island with all it needs filled in."""
        return tuple(map(self.island, range(self.size)))

    @property
    def size(self) -> int:
        """How many islands there are."""
        return self.islands if isinstance(self.islands, int) else len(self.islands)

    def island(self, number: int) -> IslandSettings:
        """Return one island with all it needs filled in."""
        own = IslandSettings() if isinstance(self.islands, int) else self.islands[number]
        return IslandSettings(
            method=own.method or self.method,
            model=own.model or self.model,
            operator_model=own.operator_model or self.operator_model or own.model or self.model,
            embedding_model=own.embedding_model or self.embedding_model,
        )

    @property
    def models(self) -> tuple[ModelSettings, ...]:
        """Every model the run uses, once."""
        found: list[ModelSettings] = []
        for island in self.archipelago:
            for model in (island.model, island.operator_model, island.embedding_model, self.judge_model):
                if model is not None and model not in found:
                    found.append(model)
        return tuple(found)

    def with_model_files(self, base: Path) -> RunSettings:
        """Return these settings with every model file by its absolute path; relative ones start from ``base``."""
        islands = self.islands if isinstance(self.islands, int) else tuple(_placed(one, base) for one in self.islands)
        return _placed(self, base).model_copy(update={"islands": islands})


Owner = TypeVar("Owner", RunSettings, IslandSettings)


def _placed(owner: Owner, base: Path) -> Owner:
    names = ("model", "operator_model", "embedding_model", *(["judge_model"] * isinstance(owner, RunSettings)))
    return owner.model_copy(update={name: (model := getattr(owner, name)) and model.placed(base) for name in names})
