from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from breeding import ask_all, brief, drive, failed, individual, tell_all
from hypothesis import given, settings
from hypothesis import strategies as st

from evo.errors import ConfigError
from evo.model import Evaluation, Outcome
from operators.edits import Edit
from operators.reflection import Reflect
from operators.rewrites import CrossoverMutation, Paraphrase
from operators.seeds import Seed
from operators.steady_state import WEIGHTS, Credit, SteadyState

SEEDS = 5


def begun(method: SteadyState, scores: tuple[float, ...] = (0.1, 0.5, 0.3, 0.4, 0.2)) -> Any:
    state = method.start(brief(len(scores)))
    for number in range(len(scores)):
        proposal, state = method.ask(state, number, np.random.default_rng(0))
        assert proposal is not None
        assert isinstance(proposal.operator, Seed)
    born = [individual(n, text.text, score) for (n, score), text in zip(enumerate(scores), brief().seeds, strict=False)]
    return tell_all(method, state, born)


def asked(method: SteadyState, state: Any, count: int = 300) -> Any:
    """Return ``count`` births drawn from one state, each by its own generator."""
    proposals = [method.ask(state, 99, np.random.default_rng(seed))[0] for seed in range(count)]
    return [proposal for proposal in proposals if proposal is not None]


def test_it_waits_only_while_no_seed_is_told() -> None:
    method = SteadyState()
    state = method.start(brief(2))
    proposals, state = ask_all(method, state, 0)
    assert len(proposals) == 2
    state = method.tell(state, failed(0))
    assert method.ask(state, 2, np.random.default_rng(0))[0] is None
    alive = method.tell(state, individual(1, "Sort it.", 0.0))
    assert method.ask(alive, 2, np.random.default_rng(0))[0] is not None
    dead = method.tell(state, failed(1))
    with pytest.raises(ConfigError, match="at least 1 living"):
        method.ask(dead, 2, np.random.default_rng(0))


def test_children_are_bred_while_seeds_are_still_under_way() -> None:
    method = SteadyState()
    _, state = ask_all(method, method.start(brief(3)), 0)
    proposal, _ = method.ask(method.tell(state, individual(1, "Sort it.", 0.2)), 3, np.random.default_rng(0))
    assert proposal is not None
    assert {parent.number for parent in proposal.parents} == {1}


def test_operators_are_drawn_by_weight() -> None:
    found = Counter(proposal.operator.name for proposal in asked(SteadyState(), begun(SteadyState()), 2000))
    for name, share in WEIGHTS:
        assert found[name] / 2000 == pytest.approx(share, abs=0.045)


def test_an_operator_that_keeps_failing_is_drawn_less() -> None:
    method = SteadyState(operators={"edit": 1, "paraphrase": 1})
    state = begun(method)
    told = 0
    for seed in range(400):
        proposal, after = method.ask(state, 100 + seed, np.random.default_rng(seed))
        assert proposal is not None
        if isinstance(proposal.operator, Paraphrase):
            state, told = method.tell(after, failed(100 + seed)), told + 1
        else:
            state = method.tell(after, individual(100 + seed, f"edited {seed}", 0.0))
    credit = {credit.operator: credit for credit in state.credits}
    assert credit["paraphrase"] == Credit("paraphrase", told, told)
    assert told < 40
    assert credit["edit"].failed == 0
    assert credit["edit"].tried == 400 - told


def test_a_copy_of_a_member_counts_as_failed() -> None:
    method = SteadyState(operators={"edit": 1})
    _, state = method.ask(begun(method), 9, np.random.default_rng(0))
    state = method.tell(state, individual(9, brief().seeds[2].text, 0.3))
    assert state.credits == (Credit("edit", 1, 1),)
    assert len(method.living(state)) == SEEDS


def test_a_child_lives_when_it_is_new_and_better_than_the_worst() -> None:
    method = SteadyState(population=5)
    state = begun(method)
    assert [one.number for one in method.living(state)] == [1, 3, 2, 4, 0]
    state = method.tell(state, individual(20, "A new and better one.", 0.45))
    assert [one.number for one in method.living(state)] == [1, 20, 3, 2, 4]
    worse = method.tell(state, individual(21, "A new and worse one.", 0.15))
    assert method.living(worse) == method.living(state)


def test_parents_are_tournament_winners() -> None:
    method = SteadyState(population=5, operators={"paraphrase": 1})
    drawn = Counter(proposal.parents[0].number for proposal in asked(method, begun(method), 1000))
    for rank, number in enumerate((0, 4, 2, 3, 1)):
        assert drawn[number] / 1000 == pytest.approx((2 * rank + 1) / 25, abs=0.06)


def test_two_parents_are_two_members() -> None:
    for name in ("phrase-crossover", "crossover-mutation"):
        method = SteadyState(operators={name: 1})
        for proposal in asked(method, begun(method)):
            assert proposal.roles == ("base", "mate")
            assert proposal.parents[0] != proposal.parents[1]
    method = SteadyState(operators={"differential": 1})
    for proposal in asked(method, begun(method)):
        assert proposal.roles == ("donor1", "donor2", "best", "base")
        assert len({proposal.parents[place].number for place in (0, 1, 3)}) == 3
        assert proposal.parents[2].number == 1


def test_a_lone_member_is_edited_whatever_the_weights() -> None:
    method = SteadyState(operators={"crossover-mutation": 1, "edit": 0})
    state = begun(method, (0.3,))
    assert {type(proposal.operator) for proposal in asked(method, state, 20)} == {Edit}
    state = method.tell(state, individual(9, "Another.", 0.1))
    assert {type(proposal.operator) for proposal in asked(method, state, 20)} == {CrossoverMutation}


def test_edits_name_the_parents_they_draw_phrases_from() -> None:
    method = SteadyState(operators={"edit": 1})
    roles: dict[str, set[tuple[str, ...]]] = {}
    for proposal in asked(method, begun(method)):
        assert isinstance(proposal.operator, Edit)
        (operation,) = proposal.operator.operations
        assert proposal.operator.labels == ("good", "bad")
        roles.setdefault(operation, set()).add(proposal.roles)
    assert roles["delete"] == roles["swap"] == {("base",)}
    assert roles["add"] == roles["substitute"] == {("base",), ("base", "donor1")}


def test_what_an_edit_lost_can_be_put_back() -> None:
    method = SteadyState(population=3, operators={"edit": 1})
    state = begun(method)
    proposal, state = method.ask(state, 9, np.random.default_rng(0))
    assert proposal is not None
    origin = proposal.parents[0]
    state = method.tell(state, individual(9, "An edit that is very good.", 0.99, operator="edit"))
    state = tell_all(method, state, [individual(30 + n, f"newer {n}", 0.9) for n in range(2)])
    assert origin not in method.living(state)
    put_back = [proposal for proposal in asked(method, state) if "deleted-from" in proposal.roles]
    assert put_back
    assert {(p.parents[0].number, p.parents[1]) for p in put_back} == {(9, origin)}
    gone = tell_all(method, state, [individual(40 + n, f"newest {n}", 1.0) for n in range(3)])
    assert gone.origins == ()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), scores=st.lists(st.sampled_from([None, 0.0, 0.5, 1.0]), min_size=12, max_size=12))
def test_who_lives_does_not_depend_on_the_order_of_telling(data: Any, scores: Any) -> None:
    method = SteadyState(population=4)
    _, state = ask_all(method, method.start(brief(6)), 0)
    born = [failed(n) if s is None else individual(n, f"prompt {n % 5}", s) for n, s in enumerate(scores)]
    straight = tell_all(method, state, born)
    mixed = tell_all(method, state, data.draw(st.permutations(born)))
    assert method.living(mixed) == method.living(straight)
    assert len(method.living(straight)) <= 4
    assert replace(mixed, origins=()) == replace(straight, origins=())


def test_it_ends_with_the_budget_only() -> None:
    method = SteadyState()
    driven = drive(method, brief(), 60)
    assert len(driven.individuals) == 60
    assert not method.finished(driven.state)
    assert len(driven.state.pending) <= method.in_flight


@pytest.mark.parametrize(
    "arguments",
    [
        {"population": 0},
        {"tournament": 0},
        {"in_flight": 0},
        {"operators": {"magic": 1}},
        {"operators": {"edit": -1}},
        {"operators": {"edit": 0}},
        {"operators": {}},
        {"temperature": 9},
    ],
)
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ConfigError, match=r"steady-state expects|unknown operator .magic.; known: .*edit"):
        SteadyState(**arguments)


class Shout:
    """An operator of somebody else's."""

    name = "shout"

    async def __call__(self, parents: Any, llm: Any, rng: Any) -> Any:
        (parent,) = parents
        return parent.prompt.with_text(parent.prompt.text.upper())


def test_a_plugin_s_operator_gets_one_parent() -> None:
    method = SteadyState(operators={f"{__name__}:Shout": 1})
    proposal, state = method.ask(begun(method), 9, np.random.default_rng(0))
    assert proposal is not None
    assert proposal.operator.name == "shout"
    assert proposal.roles == ("base",)
    state = method.tell(state, failed(9))
    assert state.credits == (Credit(f"{__name__}:Shout", 1, 1),)


def test_no_seed_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at least 1 seed prompt, got none"):
        SteadyState().start(brief(0))


def test_reflection_shows_dev_rows_the_parent_got_wrong_and_one_it_got_right() -> None:
    method = SteadyState(operators={"reflect": 1}, temperature=0.2)
    scores = [0.0] * 4 + [1.0] * 3
    wise = replace(individual(0, "Sort it."), evaluation=Evaluation.of(Outcome(n, s) for n, s in enumerate(scores)))
    state = method.tell(begun(method, (0.1,)), replace(wise, number=9))
    proposals = [p for p in asked(method, state, 60) if p.parents[0].number == 9]
    assert proposals
    for proposal in proposals:
        assert isinstance(proposal.operator, Reflect)
        assert proposal.operator.temperature == 0.2
        assert sorted(scores[row] for row in proposal.operator.examples) == [0.0, 0.0, 0.0, 1.0]
        assert proposal.roles == ("base",)
    assert "reflect" not in dict(WEIGHTS)
