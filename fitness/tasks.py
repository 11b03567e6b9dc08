"""A task made of rows: which examples there are, how one is shown to the model, and who scores the reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evo.errors import ConfigError, OperatorError
from evo.model import EXAMPLES, INSTRUCTION, STAGES, Brief, Example, Prompt, Request, demos_of, digest
from evo.ports import Scorer
from evo.randomness import child_rng
from evo.settings import DataSettings, ModelSettings, TaskSettings
from fitness.datasets import Rows, read_rows
from fitness.examples import Draft, Plan, draft_rows, make_plan, with_labels
from fitness.flaws import are_replies
from fitness.json_schema import JsonSchema
from fitness.judge import Judge
from fitness.layout import INPUT, PROMPT, braced, near_misses, placeholders, unfilled
from fitness.rendering import Frame, messages, stages
from fitness.repeats import by_likelihood, useless
from fitness.scorers import make_scorer, takes_priors
from fitness.splits import DEV, SPLITS, TEST, TRAIN, Splits, separate, split_rows, stratified_order
from fitness.target_likelihood import Likelihood

MAX_PROMPT_CHARS = 8000
NO_TEST = "there are no test rows: the winner will only have its dev score, which is an optimistic one"
FOLDS = "there are no test rows: the choice of the winner is cross-fitted, what the search learnt from all rows is not"
Order = dict[str, tuple[int, ...]]
BLANK = "N/A"
"""Stands for the input where only the model's liking for each label is asked for."""


@dataclass(frozen=True, slots=True)
class RowTask:
    """Examples numbered from 0, their splits in the run's shared order, the layout and the scorer. Immutable.

    ``notes`` are sentences for the user on what was left out and why; ``fingerprint`` is equal for tasks that give
    equal prompts equal scores.
    """

    rows: tuple[Example, ...]
    order: Mapping[str, tuple[int, ...]]
    scorer: Scorer
    brief: Brief
    frame: Frame
    locked: Mapping[str, frozenset[str | None]]
    """Texts a part may have that no operator may touch: those of the seed prompts."""
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    repeats: int = 1
    """How often a row is asked, unless it is scored by likelihood."""
    likelihoods: bool = False
    """Whether all models under test give them: rows are then foreseen to be asked once where the scorer wants them."""

    def example(self, number: int) -> Example:
        """Return one example; its inputs hold every column but the target's. Raises ValueError for no such number."""
        if not 0 <= number < len(self.rows):
            raise ValueError(f"expected an example from 0 to {len(self.rows) - 1}, got {number}; see examples(split)")
        return self.rows[number]

    def examples(self, split: str) -> tuple[int, ...]:
        """Return the numbers of a split, shuffled so that every prefix has about the target shares of the whole."""
        if split not in self.order:
            raise ValueError(f"expected a split among {', '.join(SPLITS)}, got {split!r}; name one of them")
        return self.order[split]

    def request(
        self,
        prompt: Prompt,
        number: int,
        *,
        temperature: float,
        max_tokens: int,
        choose: bool,
        replies: Sequence[str] = (),
        repeat: int = 0,
    ) -> Request:
        """Return the call that shows one example under a prompt, after the ``replies`` to its stages so far.

        Each ``repeat`` is a call of its own.

        With ``choose`` it asks for the likelihood of each choice, of the target alone where there is no choice.
        """
        example = self.example(number)
        shown = messages(self.frame, prompt, example.inputs, replies, number)
        if choose:
            return Request(shown, choices=example.choices or (example.target,), max_tokens=1)
        return Request(shown, temperature=temperature, max_tokens=max_tokens, replicate=repeat)

    def blank_request(self, prompt: Prompt, choices: tuple[str, ...]) -> Request:
        """Return the call that asks how likely each choice is without any input."""
        inputs = dict.fromkeys(self.brief.placeholders or {INPUT}, BLANK)
        shown = messages(self.frame, prompt, inputs, [BLANK] * len(stages(prompt)))
        return Request(shown, choices=choices, max_tokens=1)

    def stages(self, prompt: Prompt) -> int:
        """Return how many calls one example takes under a prompt, a prior left out."""
        return 1 + len(stages(prompt))

    @property
    def judge_calls(self) -> int:
        """How many calls of the judge one example takes; 0 where no model judges."""
        return self.repeats * self.scorer.calls if isinstance(self.scorer, Judge) else 0

    def calls(self, prompt: Prompt, examples: Sequence[int]) -> tuple[int, ...]:
        """Return how many calls each example takes at most: stages, the judge's, a prior for each new set of choices.

        A judge whose verdict cannot be read is asked again; that is not foreseen.
        """
        stages, sets = self.stages(prompt), [self.rows[number].choices for number in examples]
        first = {choices: place for place, choices in reversed([*enumerate(sets)])} if takes_priors(self.scorer) else {}
        return tuple(
            stages * (1 if self.likelihoods and self.can_choose(number) else self.repeats)
            + self.judge_calls
            + (first.get(choices) == place)
            for place, (number, choices) in enumerate(zip(examples, sets, strict=True))
        )

    def can_choose(self, number: int) -> bool:
        """Return whether a row is scored by likelihood where the model gives it."""
        options = bool(self.rows[number].choices) or isinstance(self.scorer, Likelihood)
        return options and self.scorer.wants_choices

    def check(self, prompt: Prompt) -> None:
        """Raise OperatorError when the prompt is empty or too long, lost a placeholder, or changed a locked part."""
        if not dict(prompt.parts).get(INSTRUCTION, "").strip():
            raise OperatorError("expected a prompt with text, got an empty one; ask the operator again")
        if prompt.length > MAX_PROMPT_CHARS:
            raise OperatorError(
                f"expected at most {MAX_PROMPT_CHARS} characters, got {prompt.length}; shorten the prompt"
            )
        try:
            "".join(text for _, text in prompt.parts).encode()
        except UnicodeEncodeError:
            raise OperatorError("expected text, got half of a surrogate pair in it; leave it out") from None
        text = "\n".join(text for _, text in prompt.shown)
        lost = self.brief.placeholders - placeholders(text, self.brief.placeholders)
        if lost:
            raise OperatorError(f"expected the placeholders of the seed prompts, but {braced(lost)} is lost; keep it")
        self._check_locked(prompt)

    def _check_locked(self, prompt: Prompt) -> None:
        parts = dict(prompt.parts)
        for name, texts in self.locked.items():
            if parts.get(name) not in texts:
                raise OperatorError(f"expected part {name!r} as a seed prompt has it: it is locked; leave it as it is")


def load_task(
    settings: TaskSettings,
    prompts: Sequence[str | Mapping[str, str]],
    seed: int,
    folder: Path = Path(),
    evolve: tuple[str, ...] = (INSTRUCTION,),
    models: Sequence[ModelSettings] = (),
) -> RowTask:
    """Return the task of these settings; paths and the scorer's module are looked for in ``folder``.

    ``models`` are those under test: they tell whether a row is asked again, where it is to be asked several times.
    Raises ConfigError when data, columns, labels, scorer or seed prompts do not fit together, or fewer than 2 dev
    rows remain.
    """
    scorer = make_scorer(settings.scorer, folder)
    tables = _tables(settings.data, folder)
    columns = tuple(dict.fromkeys(column for table in tables.values() for column in table.columns))
    seeds = tuple(map(Prompt.of, prompts))
    texts = ["\n".join(text for _, text in seed.shown) for seed in seeds]
    plan = make_plan(settings, texts, columns)
    drafts, given, notes = _drafts(tables, plan, scorer)
    drafts, labels, respelled = with_labels(drafts, plan, scorer)
    splits = _splits(drafts, given, settings, seed)
    rows, order = _numbered(drafts, splits, seed)
    train, dev = (tuple(_shown(rows[number], plan) for number in order[split]) for split in (TRAIN, DEV))
    brief = Brief(settings.description, seeds, train, dev, labels, plan.placeholders, evolve, settings.layout)
    brief = replace(brief, targets_are_replies=are_replies(scorer, (row.target for row in brief.practice)))
    notes += [*filter(None, [respelled]), *splits.notes, *near_misses(texts, {*plan.columns, INPUT})]
    parts = {name for seed in seeds for name, _ in seed.shown} | {PROMPT, INPUT, INSTRUCTION, EXAMPLES}
    notes += [
        *unfilled(settings.layout, parts, columns),
        *([] if splits.test else [FOLDS if settings.split.folds else NO_TEST]),
    ]
    once = by_likelihood(scorer, models) if settings.repeats > 1 else ()
    notes += [useless(once)] if once else []
    frame = Frame(settings.layout, plan.placeholders)
    mark = _fingerprint(rows, order, plan, settings, scorer)
    chosen = bool(once) and len(once) == len(models)
    often = settings.repeats
    task = RowTask(rows, order, scorer, brief, frame, _locked(seeds, evolve), tuple(notes), mark, often, chosen)
    _check_seeds(task)
    return task


def _tables(data: DataSettings, folder: Path) -> dict[str, Rows]:
    given = {split: source for split in SPLITS if (source := getattr(data, split)) is not None}
    if data.all is None:
        return {split: read_rows(source, folder) for split, source in given.items()}
    if given:
        raise ConfigError(
            f"task.data: expected one source to split or one for each split, got `all` and {', '.join(given)}; keep one"
        )
    return {"all": read_rows(data.all, folder)}


def _drafts(tables: Mapping[str, Rows], plan: Plan, scorer: Scorer) -> tuple[list[Draft], dict[str, range], list[str]]:
    drafts: list[Draft] = []
    given: dict[str, range] = {}
    notes: list[str] = []
    for split, table in tables.items():
        usable, note = draft_rows(table, plan, scorer)
        if not usable:
            raise ConfigError(
                f"expected at least one usable row, but {note}; mend the data or task.target and task.input"
            )
        given[split] = range(len(drafts), len(drafts) + len(usable))
        drafts += usable
        notes += [note] if note else []
    return drafts, given, notes


def _splits(drafts: Sequence[Draft], given: Mapping[str, range], settings: TaskSettings, seed: int) -> Splits:
    inputs = [draft.shown for draft in drafts]
    if settings.split.folds and TEST in given:
        raise ConfigError(
            "task.split.folds: expected no test rows, as folds stand in for a test, got task.data.test; leave out one"
        )
    if "all" in given:
        splits = split_rows(inputs, [draft.target for draft in drafts], settings.split, seed)
    else:
        splits = separate(inputs, {split: given.get(split, ()) for split in SPLITS})
    if len(splits.dev) < 2:
        why = f" ({'; '.join(splits.notes)})" if splits.notes else ""
        raise ConfigError(
            f"expected at least 2 dev rows, got {len(splits.dev)} of {len(drafts)} rows{why}; "
            "pass more rows or a larger task.split.dev"
        )
    return splits


def _numbered(
    drafts: Sequence[Draft], splits: Splits, seed: int
) -> tuple[tuple[Example, ...], dict[str, tuple[int, ...]]]:
    members = {TRAIN: splits.train, DEV: splits.dev, TEST: splits.test}
    kept = sorted(place for places in members.values() for place in places)
    numbers = {place: number for number, place in enumerate(kept)}
    rows = tuple(Example(numbers[p], drafts[p].inputs, drafts[p].target, drafts[p].choices) for p in kept)
    order = {
        split: tuple(
            numbers[places[turn]]
            for turn in stratified_order([drafts[place].target for place in places], child_rng(seed, f"order-{split}"))
        )
        for split, places in members.items()
    }
    return rows, order


def _fingerprint(rows: Sequence[Example], order: Order, plan: Plan, settings: TaskSettings, scorer: Scorer) -> str:
    content = [[row.number, dict(row.inputs), row.target, row.choices] for row in rows]
    shape = [settings.layout, plan.template, sorted(plan.placeholders)]
    schema = [scorer.schema] if isinstance(scorer, JsonSchema) else []  # its file may change under the same name
    often = [settings.repeats] * (settings.repeats > 1)
    return digest(
        [content, order, shape, settings.scorer.name, repr(sorted(settings.scorer.arguments.items())), *schema, *often]
    )


def _shown(example: Example, plan: Plan) -> Example:
    """Return the example as a method may see it: with what the message shows and nothing else."""
    return replace(example, inputs={name: example.inputs[name] for name in sorted(plan.placeholders or {INPUT})})


def _locked(seeds: Sequence[Prompt], evolve: tuple[str, ...]) -> dict[str, frozenset[str | None]]:
    """Return the texts of each part that is neither evolved nor made by the search itself."""
    names = sorted({name for seed in seeds for name, _ in seed.shown} - {*evolve, EXAMPLES})
    return {name: frozenset(dict(seed.parts).get(name) for seed in seeds) for name in names}


def _check_seeds(task: RowTask) -> None:
    """Raise ConfigError for a seed prompt that could not be a child, or whose parts are not where they should be."""
    for number, prompt in enumerate(task.brief.seeds, 1):
        names = dict(prompt.parts)
        try:
            task.check(prompt)
            demos_of(prompt)
        except OperatorError as error:
            raise ConfigError(f"seed prompt {number}: {error}") from error
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"seed prompt {number}: expected part `examples` as a JSON list of {{input, answer}}, but {error}"
            ) from error
        if lacking := [name for name in task.brief.evolve if name not in names]:
            raise ConfigError(f"seed prompt {number}: expected the parts {task.brief.evolve}, got no {lacking[0]!r}")
        if unplaced := task.frame.unplaced(list(names)):
            raise ConfigError(
                f"seed prompt {number}: nothing would show its part {unplaced[0]!r}; "
                f"put {{{unplaced[0]}}} into task.layout"
            )
        if len(stages(prompt)) != sum(name in names for name in STAGES[: len(stages(prompt))]):
            raise ConfigError(f"seed prompt {number}: expected stages in a row from stage-2, got {stages(prompt)}")
