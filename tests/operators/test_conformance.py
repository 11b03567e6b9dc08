"""What every method must do. A method is tested the moment it is listed among the entry points."""

from __future__ import annotations

import copy
import pickle
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from breeding import GOOD_WORDS, SEEDS, Driven, brief, drive, extended, failed, gathered, individual

from evo.errors import ConfigError
from evo.model import by_fitness
from evo.ports import Evidence
from evo.randomness import child_rng
from operators.seeds import Seed

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
BIRTHS = 120


def listed() -> Iterator[tuple[str, str]]:
    """Yield name and place of each method of our own."""
    methods = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]["evo.methods"]
    yield from ((name, place) for name, place in methods.items() if place.startswith("operators."))


METHODS = dict(listed())
SIZE: dict[str, str] = {
    "ape": "finalists",
    "gps": "top_k",
    "grips": "beam",
    "opro": "most_shown",
    "protegi": "beam_size",
    "select": "finalists",
}
"""The argument that bounds how many live at once, where a paper gives it another name than population."""
SEEDLESS = {"ape"}
"""Methods that induce prompts from rows: seeds are welcome, but not needed."""
CHOOSING = {"select"}
"""Methods that breed nothing, and find the best of the seed prompts."""
LONGER: dict[str, int] = {"protegi": 260}
"""Births until progress shows, where more births are needed: a round of ProTeGi's has 72, most of them unscored."""
SEARCHING: dict[str, dict[str, Any]] = {
    "grips": {"substitute": "model", "patience": 50, "iterations": None, "num_candidates": 4}
}
"""Arguments with which progress shows: GrIPS stops early, and by itself has no words but the prompt's and its bank's.
Its iterations of 4 end with the last birth."""


def made(name: str) -> Any:
    module, attribute = METHODS[name].split(":")
    return getattr(import_module(module), attribute)()


def name_of(method: Any) -> str:
    return next(name for name in METHODS if type(made(name)) is type(method))


@pytest.fixture(params=sorted(METHODS))
def method(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def test_the_table_was_read() -> None:
    assert {"evoprompt-ga", "evoprompt-de", "steady-state"} <= set(METHODS)


def told(driven: Driven) -> list[int]:
    return [number for kind, number in driven.steps if kind == "told"]


def test_every_birth_asked_for_is_told_and_nothing_waits_forever(method: Any) -> None:
    driven = drive(method, brief(), BIRTHS)
    assert len(driven.individuals) >= BIRTHS or method.finished(driven.state)
    assert len(set(told(driven))) == len(told(driven))
    if method.finished(driven.state):
        assert method.ask(driven.state, 10_000, child_rng(0, "ask", 0)) == (None, driven.state)


@pytest.mark.parametrize("period", [1, 2, 3])
def test_failed_births_stop_nothing(method: Any, period: int) -> None:
    driven = drive(method, brief(), BIRTHS, fails=lambda number: number >= len(SEEDS) and number % period == 0)
    assert len(driven.individuals) >= BIRTHS or method.finished(driven.state)
    assert method.living(driven.state)


def test_when_every_seed_fails_the_user_is_told(method: Any) -> None:
    with pytest.raises(ConfigError, match="living prompts"):
        drive(method, brief(), BIRTHS, fails=lambda number: True)


def test_seeds_come_first_as_they_are(method: Any) -> None:
    state = method.start(brief())
    for number, prompt in enumerate(brief().seeds):
        proposal, state = method.ask(state, number, child_rng(0, "ask", number))
        assert proposal.operator == Seed(prompt)
        assert proposal.parents == ()
        assert proposal.generation == 0


def test_the_population_is_of_living_individuals_within_its_size(method: Any) -> None:
    size = getattr(method, SIZE.get(name_of(method), "population"))
    state = method.start(brief())
    assert list(method.living(state)) == []
    driven = drive(method, brief(), BIRTHS, shuffle=3, fails=lambda number: number % 7 == 6)
    texts = {one.number: one.prompt for one in driven.individuals}
    for kind, number in driven.steps:
        if kind == "asked":
            _, state = method.ask(state, number, child_rng(1, "ask", number))
        else:
            state = method.tell(state, driven.told_of(number))
        population = method.living(state)
        assert len(population) <= size
        assert len({member.number for member in population}) == len(population)
        assert all(member.ok and texts[member.number] == member.prompt for member in population)


def test_a_recorded_run_is_replayed_to_the_same_state(method: Any) -> None:
    driven = drive(method, brief(), BIRTHS, shuffle=5)
    known = {one.number: one for one in driven.individuals}
    state = method.start(brief())
    for kind, number in driven.steps:
        if kind == "asked":
            step, state = method.ask(state, number, child_rng(1, "ask", number))
            assert number not in known or not known[number].ok or step.edges == known[number].parents
        else:
            state = method.tell(state, driven.told_of(number))
    assert state == driven.state


@pytest.mark.parametrize("births", [6, 30, 61])
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_evidence_it_did_not_ask_for_is_believed(method: Any, births: int, score: float) -> None:
    driven = drive(method, brief(), births)
    assert method.living(driven.state)
    for member in method.living(driven.state):
        told = extended(member, score, rows=40)
        state = method.tell(driven.state, told)
        known = {one.number: one.evaluation for one in method.living(state)}
        assert known.get(member.number) == told.evaluation or (score == 0.0 and member.number not in known)
        assert method.tell(state, told) == state
        assert method.tell(state, member) == state, "what is known is not forgotten"


@pytest.mark.parametrize("shuffle", [None, 4])
def test_evidence_it_did_not_ask_for_loses_no_birth(method: Any, shuffle: int | None) -> None:
    driven = drive(method, brief(), BIRTHS, shuffle=shuffle, intensify=True)
    assert len(driven.individuals) >= BIRTHS or method.finished(driven.state)
    asked = {number for kind, number in driven.steps if kind == "asked"}
    assert asked == {number for number in told(driven) if number >= 0} | set(driven.pending)
    assert sum(number < 0 for number in told(driven)) > 20
    state = method.start(brief())
    for kind, number in driven.steps:
        if kind == "asked":
            _, state = method.ask(state, number, child_rng(1, "ask", number))
        else:
            state = method.tell(state, driven.told_of(number))
    assert state == driven.state


def test_asking_and_telling_leave_their_arguments_alone(method: Any) -> None:
    state = drive(method, brief(), 30).state
    kept = copy.deepcopy(state)
    one, two = (method.ask(state, 500, child_rng(0, "ask", 500)) for _ in range(2))
    assert one == two
    method.tell(state, individual(501, "An immigrant.", 0.9))
    assert state == kept


def test_telling_twice_changes_nothing(method: Any) -> None:
    driven = drive(method, brief(), 40, fails=lambda number: number % 5 == 4)
    newcomer = individual(501, "An immigrant.", 0.01)
    state = method.tell(driven.state, newcomer)
    for one in (*driven.individuals, newcomer):
        assert method.tell(state, one) == state


def test_a_good_immigrant_comes_to_live_here(method: Any) -> None:
    driven = drive(method, brief(), 20)
    newcomer = individual(5_000, " ".join(GOOD_WORDS), 1.0)
    state = method.tell(method.tell(driven.state, newcomer), failed(5_001))
    pending = dict(driven.pending)  # no birth succeeds any more, but evidence is gathered
    for number in range(6_000, 6_200):
        step, state = method.ask(state, number, child_rng(0, "ask", number))
        if step is not None:
            pending[number] = step
        elif pending:
            earlier, ended = pending.popitem()
            state = method.tell(state, gathered(ended) if isinstance(ended, Evidence) else failed(earlier))
        if newcomer.number in {member.number for member in method.living(state)}:
            break
    assert min(method.living(state), key=by_fitness).number == newcomer.number


def test_a_state_survives_a_journey(method: Any) -> None:
    state = drive(method, brief(), 30).state
    assert pickle.loads(pickle.dumps(state)) == state
    assert pickle.loads(pickle.dumps(method)) == method


def test_without_seeds_it_begins_or_the_user_is_told(method: Any) -> None:
    if isinstance(method, tuple(type(made(name)) for name in SEEDLESS)):
        assert method.ask(method.start(brief(0)), 0, child_rng(0, "ask", 0))[0] is not None
        return
    with pytest.raises(ConfigError, match="add some to 'prompts'"):
        method.start(brief(0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_search_finds_better_prompts(method: Any, seed: int) -> None:
    method = replace(method, **SEARCHING.get(name_of(method), {}))
    driven = drive(method, brief(), LONGER.get(name_of(method), BIRTHS), seed=seed)
    best_seed = driven.best_by_birth[len(SEEDS) - 1]
    assert driven.best_by_birth[-1] >= best_seed + (0 if name_of(method) in CHOOSING else 0.25)
    assert max(one.fitness for one in method.living(driven.state)) == driven.best_by_birth[-1]


def test_the_class_says_what_it_is_in_one_line(method: Any) -> None:
    line = (type(method).__doc__ or "").splitlines()[0]
    assert 20 < len(line) < 120
    assert line.endswith(".")
    assert 20 < len(method.when) < 120
    assert 20 < len(method.cost) < 120
    assert isinstance(method.racing, str)
    assert method.in_flight is None or method.in_flight >= 1
