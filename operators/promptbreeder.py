"""Promptbreeder (Fernando et al., 2023; ICML 2024): prompts evolve, and so do the prompts that change them.

A unit is one or two task-prompts (`instruction`, and `stage-2`, asked after the first reply), the mutation-prompt it
is changed by, a temperature and, in the few-shot form, contexts. Two units drawn at random are scored on one fresh
random batch; the winner stays, and a mutated copy of it overwrites the loser. The copy inherits the mutation-prompt,
unless the operator drawn is a hypermutation: then a new one is born first, and applied at once.
What differs, or where the paper is silent. All copies of a generation are bred from the population as its tournaments
left it. Batches are of dev rows, what operators show of train rows; rows a unit was scored on before are not scored
again. The best of the population, for lineages, rankings and crossover, is so by all evidence, the winner of a
tournament by its batch. Contexts change when a unit is copied. The best seed prompts are units, as far as
``seed_units`` allows; a task-prompt that one lacks is written for its copies, when it is the one to be mutated. A birth
that failed leaves the loser where it is; a unit that meets an empty slot wins. Immigrants take empty slots, then those
of losers, the worst first, and bring their genes with them, but not their elites; what they lack is drawn. The paper's
aids for a search that is stuck, ``random_string`` and ``fitness_sharing``, are off, as in its main runs; sharing is by
trigrams, not by BERT. Its similarity by BERT's embeddings is there with ``embeddings: true``, by whatever
``embedding_model`` names; the default compares trigrams, which takes no call.

Calls, with S seeds of which s become units, N units of p task-prompts, T generations, batches of B: dev rows scored are
at most S B + N B + (2 T - 1) N B / 2, and practice rows, W for each winner that needs workings, at most T N W / 2 with
contexts, T N W / 16 on average without (for Lamarckian mutation, where operators are drawn uniformly). Each takes a
task call for each of its prompt's stages. Operator calls: (N - s) p + T (N / 2) (6 + 2 x 2) / 8, the last factor for
operators drawn uniformly, without crossover. With ``embeddings`` one more, of the embedding model, for each prompt text
that is listed for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from evo.errors import ConfigError
from evo.model import STAGES, Brief, Individual
from evo.plugins import unknown
from evo.ports import Evidence, Proposal
from operators.arguments import at_least, between, one_of
from operators.breeder_recipes import CROSSOVER, RECIPES, Fallback, Kit
from operators.breeder_stages import Breeding, Rules, bred, next_step, received
from operators.founding import Founder
from operators.mutation_prompt_bank import MUTATION_PROMPTS
from operators.mutation_prompts import MAX_TOKENS
from operators.similarity import EMBEDDING_THRESHOLD, THRESHOLD
from operators.thinking_styles import THINKING_STYLES
from operators.tournaments import Form, Timetable

NAME = "promptbreeder"
Scheme = Literal["uniform", "nine_uniform"]
FirstMutation = Literal["unit", "prompt"]


@dataclass(frozen=True, slots=True)
class Promptbreeder:
    """Self-referential search: units mutate by mutation-prompts, which mutate too (Promptbreeder).

    Args:
        population: Units N, at least 2.
        generations: How many rounds of N/2 tournaments; None goes on until the budget ends. A round in which immigrants
            take the places of all losers does not count.
        batch: Dev rows a tournament is decided on, drawn afresh for each.
        form: ``generational`` pairs everybody off at once; ``steady-state`` holds one tournament at a time.
        prompts_per_unit: 2 adds ``stage-2`` to the parts that evolve, 1 leaves the parts named in ``evolve``.
        operators: ``uniform`` draws the eight operators alike; ``nine_uniform`` crossover as ninth, and then only so;
            or the weight of each by name: zero-order, first-order, eda, eda-rank-index, lineage, zero-order-hyper,
            first-order-hyper, lamarckian, crossover.
        crossover: How often a copy also gets a task-prompt of another member, in place of one that was not mutated.
        fallback: What stands in for an operator with nothing to work on; ``direct`` is zero- or first-order, evenly.
        contexts: Most worked examples of a unit; 0 is the zero-shot form. Needs train rows.
        workings: Practice rows a winner is scored on when workings are needed: for contexts, or Lamarckian mutation.
        similarity: Cosine above which a prompt counts as a copy of another, and is not listed beside it; None: 0.9 of
            trigrams, 0.95 of embeddings.
        embeddings: Whether that cosine is of embeddings by the run's ``embedding_model``, as in the paper. The edges of
            such a birth name all that were read, those that were not listed too.
        random_string: Characters of a random string put in front of what each mutation asks the model (the paper, when
            stuck: about 50); 0: none. The first population is written without.
        fitness_sharing: Radius of niches, as 1 less the cosine of trigrams: in a tournament a unit's score is divided
            by how many units live within it, each counted by its nearness (Goldberg and Richardson 1987). 0: none, as
            in the paper unless stuck. Decides tournaments alone: scores, elites and the winner of the run stay true.
        temperature: From where to where a unit's first temperature is drawn; later ones go from 0 to the higher end.
        temperature_step: Most by which a copy's temperature differs.
        seed_units: Most seed prompts that become units; None: half the population. 0 is the paper's way.
        first_mutation: Whether a ``unit`` is written with one mutation-prompt, or each ``prompt`` of it with its own.
        mutation_prompts: The first mutation-prompts; None: those of `operators.mutation_prompt_bank`.
        thinking_styles: The thinking styles; None: those of `operators.thinking_styles`.
        max_tokens: Most tokens of one reply of the operator model.
    """

    when: ClassVar[str] = "the budget is large: it also learns how to change prompts, and keeps variety for long."
    cost: ClassVar[str] = "a generation: about 0.6 N operator calls, N x batch rows, a task call for each stage"
    racing: ClassVar[str] = "own"
    in_flight: ClassVar[int | None] = None

    population: int = 50
    generations: int | None = 20
    batch: int = 100
    form: Form = "generational"
    prompts_per_unit: int = 2
    operators: Scheme | Mapping[str, float] = "uniform"
    crossover: float = 0.1
    fallback: Fallback = "direct"
    contexts: int = 0
    workings: int = 8
    similarity: float | None = None
    embeddings: bool = False
    random_string: int = 0
    fitness_sharing: float = 0.0
    temperature: Sequence[float] = (1.0, 2.0)
    temperature_step: float = 0.2
    seed_units: int | None = None
    first_mutation: FirstMutation = "unit"
    mutation_prompts: Sequence[str] | None = None
    thinking_styles: Sequence[str] | None = None
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        at_least(NAME, "population", self.population, 2)
        if self.generations is not None:
            at_least(NAME, "generations", self.generations, 1)
        for name in ("batch", "prompts_per_unit", "workings", "max_tokens"):
            at_least(NAME, name, getattr(self, name), 1)
        between(NAME, "prompts_per_unit", self.prompts_per_unit, 1, 2)
        for name in ("contexts", "random_string"):
            at_least(NAME, name, getattr(self, name), 0)
        between(NAME, "fitness_sharing", self.fitness_sharing, 0, 1)
        one_of(NAME, "form", self.form, Form)
        one_of(NAME, "fallback", self.fallback, Fallback)
        one_of(NAME, "first_mutation", self.first_mutation, FirstMutation)
        between(NAME, "crossover", self.crossover, 0, 1)
        if self.similarity is not None:
            between(NAME, "similarity", self.similarity, 0, 1)
        between(NAME, "temperature_step", self.temperature_step, 0, 2)
        if self.seed_units is not None:
            at_least(NAME, "seed_units", self.seed_units, 0)
            between(NAME, "seed_units", self.seed_units, 0, self.population)
        _check_texts("mutation_prompts", self.mutation_prompts)
        _check_texts("thinking_styles", self.thinking_styles)
        _check_heat(self.temperature)
        _check_weights(self.operators)

    def size(self, dev: int) -> int:
        """Return the smaller of ``batch`` and ``dev``."""
        return min(self.batch, dev)

    def start(self, brief: Brief) -> Breeding:
        """Return the first state.

        Raises:
            ConfigError: There is no seed prompt, no train row for contexts, no model for embeddings, or a ``stage-2``
                that is locked.
        """
        if not brief.seeds:
            raise ConfigError(f"{NAME} expects at least 1 seed prompt, got none; add some to 'prompts'")
        if self.contexts and not brief.train:
            raise ConfigError(f"{NAME} expects train rows for contexts, got none; raise task.split.train")
        if self.embeddings and not brief.can_embed:
            raise ConfigError(
                f"{NAME} expects an embedding model for embeddings: true, got none; set embedding_model, such as "
                "openai/text-embedding-3-small, or leave embeddings out"
            )
        kit = self._kit(brief)
        chosen = self.population // 2 if self.seed_units is None else self.seed_units
        dev = tuple(row.number for row in brief.dev)
        timetable = Timetable(self.population, self.form, dev, self.batch)
        return Breeding(kit, self._founder(kit).begin(brief, self.population, chosen), timetable)

    def ask(
        self, state: Breeding, number: int, rng: np.random.Generator
    ) -> tuple[Proposal | Evidence | None, Breeding]:
        """Return the next birth or request for evidence, or None while a stage is being told.

        Raises:
            ConfigError: Births failed and nobody lives.
        """
        if not state.founding.closed:
            step, founding, timetable = self._founder(state.kit).ask(state.founding, state.timetable, number, rng)
            return step, replace(state, founding=founding, timetable=timetable)
        state = self._advanced(state, rng)
        if state.round is None:
            return None, state
        return next_step(state, state.round, number, rng)

    def tell(self, state: Breeding, individual: Individual) -> Breeding:
        """Return the state that knows this individual; the last copy of a round closes it."""
        return received(state, individual)

    def living(self, state: Breeding) -> Sequence[Individual]:
        """Return the units that are scored, by slot; before the first round those that would live."""
        members = state.members if state.founding.closed else state.founding.members
        return tuple(member for member in members if member.ok)

    def finished(self, state: Breeding) -> bool:
        """Whether all generations are over; never, when their number is None."""
        return self.generations is not None and state.rounds >= self.generations * self._rounds

    @property
    def weights(self) -> dict[str, float]:
        """Weight by operator name."""
        if not isinstance(self.operators, str):
            return dict(self.operators)
        return dict.fromkeys([*RECIPES, *([CROSSOVER] if self.operators == "nine_uniform" else [])], 1.0)

    @property
    def _rounds(self) -> int:
        """Rounds that make a generation."""
        return 1 if self.form == "generational" else self.population // 2

    def _advanced(self, state: Breeding, rng: np.random.Generator) -> Breeding:
        """Return the state after all that waits for nobody: rounds opened, decided, or given up as nobody is to breed.

        Such a round does not count. Thus the last one never ends here, but in ``tell``: where ``ask`` has nothing to
        ask for, its state is not kept.
        """
        rules = Rules(
            tuple(self.weights.items()), self._heat, self.temperature_step, self.workings, self.fitness_sharing
        )
        while not self.finished(state):
            current = state.round
            if current is None:
                state = rules.opened(state, rng)
            elif current.children is not None or not current.gathered(state.slots):
                return state
            elif current.plans is None:
                state = rules.decided(state, current, rng)
            elif not current.plans:  # immigrants took the places of all losers, or nobody met
                state = replace(state, round=None)
            else:
                state = bred(state, current)
        return state

    @property
    def _heat(self) -> tuple[float, float]:
        low, high = self.temperature
        return float(low), float(high)

    @property
    def _most_similar(self) -> float:
        default = EMBEDDING_THRESHOLD if self.embeddings else THRESHOLD
        return default if self.similarity is None else self.similarity

    def _founder(self, kit: Kit) -> Founder:
        return Founder(
            kit, tuple(self.mutation_prompts or MUTATION_PROMPTS), self.first_mutation == "prompt", self._heat
        )

    def _kit(self, brief: Brief) -> Kit:
        second = STAGES[0]
        parts = brief.evolve
        if self.prompts_per_unit == 2 and second not in parts:
            if any(second in dict(seed.parts) for seed in brief.seeds):
                raise ConfigError(
                    f"{NAME} expects to change {second!r}, but it is locked; add it to 'evolve', or set "
                    "prompts_per_unit: 1"
                )
            parts = (*parts, second)
        return Kit(
            brief.description or brief.seeds[0].text,
            parts,
            brief.practice,
            tuple(self.thinking_styles or THINKING_STYLES),
            self.max_tokens,
            self.contexts,
            0.0 if self.operators == "nine_uniform" else self.crossover,
            self._most_similar,
            self.embeddings,
            self.fallback,
            self.random_string,
        )


def _check_texts(name: str, texts: Sequence[str] | None) -> None:
    if texts is None:
        return
    if isinstance(texts, str) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ConfigError(f"{NAME} expects {name} to be a list of texts, got {texts!r}; give one text at least")


def _check_heat(temperature: Sequence[float]) -> None:
    if isinstance(temperature, (str, float, int)) or len(temperature) != 2:
        raise ConfigError(f"{NAME} expects temperature to be two numbers, low and high, got {temperature!r}; give both")
    low, high = temperature
    between(NAME, "the high end of temperature", high, 0, 2)
    between(NAME, "the low end of temperature", low, 0, high)


def _check_weights(operators: Scheme | Mapping[str, float]) -> None:
    if isinstance(operators, str):
        return one_of(NAME, "operators", operators, Scheme)
    known = {*RECIPES, CROSSOVER}
    for name, weight in operators.items():
        if name not in known:
            raise ConfigError(f"{NAME}: {unknown('operator', name, known)}")
        between(NAME, f"the weight of {name}", weight, 0, 1e6)
    if not any(operators.values()):
        raise ConfigError(f"{NAME} expects an operator with a weight above 0, got {dict(operators)}; raise one")
    return None
