from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from records import born
from toys import Killed, ToyGenerational, ToySteady, ToyWorld, ground, score

from evo.errors import BudgetExhausted, ConfigError, EvoError, Interrupted, LlmError, OperatorError
from evo.history import history_of
from evo.journal import read_table
from evo.life import begin, relive, status_of
from evo.loop import live
from evo.model import FAILED, Evaluation, Outcome, Prompt, individual_number, sequence_of
from evo.replay import Found, read_individuals
from evo.step import TRIES

GENERATIONAL, STEADY = ground(ToyGenerational()), ground(ToySteady(), births=40)
BOTH = pytest.mark.parametrize("soil", [GENERATIONAL, STEADY], ids=["generational", "steady"])
PATIENCE_S = 20


async def lived(soil, world, life=None):
    try:
        return await asyncio.wait_for(live(soil, life or begin(soil), world), PATIENCE_S)
    finally:
        world.journal.close()


def everyone(path) -> dict[int, object]:
    return {one.number: one for one in read_individuals(path)}


def events(path, kind: str) -> list[int]:
    return [row["individual"] for row in read_table(path, "events").to_pylist() if row["kind"] == kind]


@BOTH
async def test_every_birth_asked_is_told_once_and_recorded(tmp_path, soil):
    world = ToyWorld(tmp_path, delays=np.random.default_rng(1))
    life = await lived(soil, world)
    asked, told = events(tmp_path, "asked"), events(tmp_path, "told")
    assert asked == list(range(len(asked)))
    assert sorted(told) == asked == sorted(everyone(tmp_path))
    assert len(asked) == (30 if soil is GENERATIONAL else 40) == life.told
    assert life.pending == {}
    assert status_of(soil, life) == world.statuses[-1]
    best = max(one.fitness for one in everyone(tmp_path).values() if one.ok)
    assert world.statuses[-1].best == best == life.best.fitness


@BOTH
async def test_the_log_tells_of_every_birth_before_the_next_is_bred_from_it(tmp_path, soil):
    await lived(soil, ToyWorld(tmp_path, delays=np.random.default_rng(2)))
    seen: set[int] = set()
    parents = {one.number: {number for number, _ in one.parents} for one in everyone(tmp_path).values()}
    for row in read_table(tmp_path, "events").to_pylist():
        if row["kind"] == "told":
            seen.add(row["individual"])
        elif row["kind"] == "asked":
            assert parents[row["individual"]] <= seen
    rows = Counter((row["individual"], row["example"]) for row in read_table(tmp_path, "evaluations").to_pylist())
    assert set(rows.values()) == {1}
    assert {number for number, _ in rows} == {n for n, one in everyone(tmp_path).items() if one.status != FAILED}


async def test_a_failed_birth_keeps_its_parents_and_its_reasons(tmp_path):
    await lived(STEADY, ToyWorld(tmp_path))
    failed = [one for one in everyone(tmp_path).values() if one.status == FAILED]
    assert failed, "no birth failed: nothing was tested"
    for one in failed:
        assert [role for _, role in one.parents] == ["base"]
        assert one.note.count("no prompt with luck") == TRIES
        assert one.prompt.parts == ()
        assert one.evaluation.count == 0
        assert one.generation > 0
    retried = [one for one in everyone(tmp_path).values() if one.ok and "no prompt with luck" in one.note]
    assert retried, "no birth came at a second try"


@dataclass(frozen=True)
class Stubborn:
    """Fails as told, in order, and remembers what it drew."""

    name = "stubborn"
    errors: tuple[Exception, ...] = ()
    text: str = "child"
    drawn: list[float] = field(default_factory=list)

    async def __call__(self, parents, llm, rng):
        self.drawn.append(float(rng.random()))
        if len(self.drawn) <= len(self.errors):
            raise self.errors[len(self.drawn) - 1]
        return self.text and Prompt.of(self.text)


async def one_birth(tmp_path, operator):
    soil = ground(ToySteady(in_flight=1, operator=operator), births=7)
    await lived(soil, ToyWorld(tmp_path))
    return everyone(tmp_path)[6]


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
async def test_an_operator_is_tried_three_times_with_its_own_luck_each_time(tmp_path, failures):
    errors = (OperatorError("no tag"), LlmError("busy", transient=True), OperatorError("empty"))
    operator = Stubborn(errors[:failures])
    child = await one_birth(tmp_path, operator)
    assert len(operator.drawn) == len(set(operator.drawn)) == min(failures + 1, TRIES)
    assert child.ok == (failures < TRIES)
    assert child.note == "; ".join(["no tag", "busy", "empty"][:failures])
    again = Stubborn(errors[:failures])
    await one_birth(tmp_path / "again", again)
    assert again.drawn == operator.drawn


async def test_a_child_the_task_refuses_counts_as_a_failed_try(tmp_path):
    child = await one_birth(tmp_path, Stubborn(text="a {brace}"))
    assert child.status == FAILED
    assert child.note == f"a brace is not allowed ({TRIES}x)"


@pytest.mark.parametrize("crashes", [1, TRIES])
async def test_a_bug_in_an_operator_is_a_failed_try_that_names_operator_and_error(tmp_path, crashes):
    child = await one_birth(tmp_path, Stubborn((KeyError("score"),) * crashes))
    times = f" ({crashes}x)" if crashes > 1 else ""
    assert child.note == f"operator stubborn crashed: KeyError: 'score'{times}"
    assert child.ok == (crashes < TRIES)


async def test_an_operator_that_gives_no_prompt_at_all_is_a_failed_birth(tmp_path):
    child = await one_birth(tmp_path, Stubborn(text=None))
    assert child.status == FAILED
    assert child.note.startswith("operator stubborn crashed: ")


async def test_an_error_that_concerns_the_run_ends_the_island_and_leaves_no_task_behind(tmp_path):
    with pytest.raises(ConfigError):
        await one_birth(tmp_path, Stubborn((ConfigError("no such model"),)))
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_a_birth_nothing_of_which_could_be_scored_failed_and_says_why(tmp_path):
    class Deaf(ToyWorld):
        async def evaluate(self, individual, prompt, examples):
            return Evaluation.of(Outcome(example, None, error="server error") for example in examples)

    life = await lived(ground(ToySteady(), births=6), Deaf(tmp_path))
    for one in everyone(tmp_path).values():
        assert (one.status, one.evaluation.count, len(one.evaluation.missing)) == (FAILED, 0, 4)
        assert one.note == "no example could be scored: server error"
    assert life.failed == 6


@pytest.mark.parametrize("in_flight", [1, 3, 64, None])
@pytest.mark.parametrize("seed", [None, 1, 2])
async def test_a_generational_run_is_the_same_with_any_number_of_slots_and_any_delays(tmp_path, in_flight, seed):
    await lived(GENERATIONAL, ToyWorld(tmp_path / "plain"))
    delays = None if seed is None else np.random.default_rng(seed)
    world = ToyWorld(tmp_path / "other", delays=delays)
    await lived(ground(ToyGenerational(in_flight=in_flight)), world)
    assert everyone(tmp_path / "plain") == everyone(tmp_path / "other")
    assert world.most_at_once <= min(in_flight or 6, 6)
    assert in_flight == 1 or world.most_at_once > 1


async def test_births_are_bound_also_across_attempts(tmp_path):
    soil = ground(ToySteady(), births=9)
    await lived(soil, ToyWorld(tmp_path))
    assert len(everyone(tmp_path)) == 9
    life = relive(soil, history_of(tmp_path, 0))
    await lived(soil, ToyWorld(tmp_path), life)
    assert len(everyone(tmp_path)) == 9
    more = ground(ToySteady(), births=12)
    await lived(more, ToyWorld(tmp_path), relive(more, history_of(tmp_path, 0)))
    assert sorted(everyone(tmp_path)) == list(range(12))


@pytest.mark.parametrize("error", [BudgetExhausted("all used"), Interrupted("stopped")], ids=["budget", "stop"])
@BOTH
async def test_when_nothing_more_may_be_spent_what_is_paid_is_kept(tmp_path, soil, error):
    refused: set[int] = set()

    def trouble(individual: int, call: int) -> None:
        if call > 12 and individual % 3 == 1:
            refused.add(individual)
            raise error

    world = ToyWorld(tmp_path, delays=np.random.default_rng(3), trouble=trouble)
    life = await lived(soil, world)
    asked, told = set(events(tmp_path, "asked")), set(events(tmp_path, "told"))
    assert refused
    assert asked - told == refused == set(life.pending)
    assert told == set(everyone(tmp_path))
    scored = {number for number, _ in world.evaluated} - refused
    assert scored <= told


@pytest.mark.parametrize("records", [0, 1, 2, 5, 11, 17])
async def test_a_generational_run_killed_anywhere_ends_as_if_it_had_not_been(tmp_path, records):
    await lived(GENERATIONAL, ToyWorld(tmp_path / "whole"))
    broken = tmp_path / "broken"
    with pytest.raises(Killed):
        await lived(GENERATIONAL, ToyWorld(broken, delays=np.random.default_rng(records), records_before_death=records))
    finished = set(events(broken, "told"))
    world = ToyWorld(broken, delays=np.random.default_rng(99))
    await lived(GENERATIONAL, world, relive(GENERATIONAL, history_of(broken, 0)))
    assert everyone(broken) == everyone(tmp_path / "whole")
    assert not finished & {number for number, _ in world.evaluated}, "a finished birth was scored again"
    assert len(events(broken, "told")) == len(set(events(broken, "told")))


@BOTH
async def test_a_history_leads_to_the_same_life_and_the_same_births_are_under_way(tmp_path, soil):
    def trouble(individual: int, call: int) -> None:
        if call > 25 and individual % 2:
            raise Interrupted("stopped")

    life = await lived(soil, ToyWorld(tmp_path, delays=np.random.default_rng(4), trouble=trouble))
    again = relive(soil, history_of(tmp_path, 0))
    assert life.pending
    assert again.state == life.state
    assert again.pending == life.pending
    assert (again.sequence, again.asked, again.told, again.failed) == (
        life.sequence,
        life.asked,
        life.told,
        life.failed,
    )
    assert again.best == life.best
    assert status_of(soil, again) == status_of(soil, life)


async def test_births_redone_after_a_crash_draw_what_they_drew(tmp_path):
    def stop(individual: int, call: int) -> None:
        if individual >= 10:
            raise Interrupted("stopped")

    first = ToyWorld(tmp_path, trouble=stop)
    await lived(STEADY, first)
    under_way = set(first.texts) - set(everyone(tmp_path))
    assert under_way
    again = ToyWorld(tmp_path)
    await lived(STEADY, again, relive(STEADY, history_of(tmp_path, 0)))
    assert {number: first.texts[number] for number in under_way} == {n: again.texts[n] for n in under_way}
    assert sorted(everyone(tmp_path)) == list(range(40))


def stranger(sequence: int, text: str):
    return born(individual_number(3, sequence), text, [1.0] * 8)


@BOTH
async def test_migrants_become_individuals_of_this_island_and_known_texts_are_refused(tmp_path, soil):
    offers = {7: [stranger(0, "from afar")], 9: [stranger(0, "from afar"), stranger(4, "another")]}
    life = await lived(soil, ToyWorld(tmp_path, offers=offers))
    rows = read_table(tmp_path, "migrations").to_pylist()
    assert [(row["from_island"], row["to_island"], sequence_of(row["individual"])) for row in rows] == [
        (3, 0, 0),
        (3, 0, 0),
        (3, 0, 4),
    ]
    copies = [row["copy"] for row in rows if row["accepted"]]
    assert len(copies) >= 2
    born_here = everyone(tmp_path)
    for row in rows:
        assert row["accepted"] == (row["copy"] is not None) == (row["reason"] == "")
        if row["accepted"]:
            copy = born_here[row["copy"]]
            assert copy.island == 0
            assert copy.parents == ((row["individual"], "migrant_of"),)
            assert copy.operator == "migration"
            assert copy.evaluation.count == 8
    if soil is STEADY:
        assert [row["accepted"] for row in rows] == [True, False, True]
        assert rows[1]["reason"] == "the same prompt lives here"
    told = events(tmp_path, "told")
    assert len(told) == len(set(told)) == len(born_here)
    assert not set(copies) & set(events(tmp_path, "asked"))
    assert life.told == len(events(tmp_path, "asked"))


async def test_migrants_leave_genes_nobody_here_has_and_a_gene_makes_no_other_prompt(tmp_path):
    def with_gene(sequence: int, gene: str):
        one = stranger(sequence, "from afar")
        return replace(one, prompt=one.prompt.with_part("_mutation-prompt", gene))

    offers = {7: [with_gene(0, "Change it.")], 9: [with_gene(1, "Turn it round.")]}
    life = await lived(STEADY, ToyWorld(tmp_path, offers=offers))
    rows = read_table(tmp_path, "migrations").to_pylist()
    assert [row["accepted"] for row in rows] == [True, False]
    assert everyone(tmp_path)[rows[0]["copy"]].prompt.parts == (("instruction", "from afar"),)
    assert relive(STEADY, history_of(tmp_path, 0)).state == life.state


def unscored(sequence: int, text: str):
    return born(individual_number(3, sequence), text, [])


@BOTH
async def test_a_migrant_without_evidence_is_scored_here_before_it_is_told(tmp_path, soil):
    world = ToyWorld(tmp_path, offers={7: [unscored(0, "from afar")]})
    life = await lived(soil, world)
    (row,) = read_table(tmp_path, "migrations").to_pylist()
    copy = everyone(tmp_path)[row["copy"]]
    assert next(rows for number, rows in world.evaluated if number == copy.number) == (0, 1, 2, 3)
    assert copy.evaluation.scores == {o.example: score(copy.prompt, o.example) for o in copy.evaluation.outcomes}
    assert relive(soil, history_of(tmp_path, 0)).state == life.state


@pytest.mark.parametrize("failure", [BudgetExhausted("all used"), None], ids=["budget", "unscorable"])
async def test_a_migrant_that_cannot_be_scored_here_is_turned_away_and_its_number_with_it(tmp_path, failure):
    class Deaf(ToyWorld):
        async def evaluate(self, individual, prompt, examples):
            if prompt.text != "from afar":
                return await super().evaluate(individual, prompt, examples)
            self.evaluated.append((individual, tuple(examples)))
            if failure is not None:
                raise failure
            return Evaluation.of(Outcome(example, None, error="server error") for example in examples)

    world = Deaf(tmp_path, offers={7: [unscored(0, "from afar")]})
    await lived(STEADY, world)
    (row,) = read_table(tmp_path, "migrations").to_pylist()
    assert (row["accepted"], row["copy"]) == (False, None)
    assert row["reason"].endswith("server error" if failure is None else "all used")
    ((number, _),) = [one for one in world.evaluated if one[0] not in everyone(tmp_path)]
    assert number < max(everyone(tmp_path)), "its number was given to another"


async def test_an_island_with_migrants_relives_to_the_same_state_and_gives_no_number_twice(tmp_path):
    offers = {7: [stranger(0, "from afar")], 9: [stranger(4, "another")]}
    soil = ground(ToySteady(), births=20)
    life = await lived(soil, ToyWorld(tmp_path, offers=offers))
    # the copies' texts are in the prompts table of the island they came from
    again = relive(soil, history_of(tmp_path, 0))
    assert again.state == life.state
    more = ground(ToySteady(), births=30)
    await lived(more, ToyWorld(tmp_path), relive(more, history_of(tmp_path, 0)))
    numbers = [one.number for one in read_individuals(tmp_path)]
    assert len(numbers) == len(set(numbers)) == 32


async def test_who_is_offered_is_in_the_log_already(tmp_path):
    missing: list[int] = []

    class Looking(ToyWorld):
        async def exchange(self, population, told):
            known = set(read_table(tmp_path, "individuals")["id"].to_pylist())
            missing.extend(one.number for one in population if one.number not in known)
            return ()

    await lived(STEADY, Looking(tmp_path, delays=np.random.default_rng(6)))
    assert missing == []


async def test_a_method_that_waits_with_nothing_under_way_ends_the_island(tmp_path):
    @dataclass(frozen=True)
    class Shy(ToySteady):
        def ask(self, state, number, rng):
            return None, state

    life = await lived(ground(Shy()), ToyWorld(tmp_path))
    assert life.asked == 0
    assert everyone(tmp_path) == {}


@dataclass(frozen=True)
class Tired(ToySteady):
    """Stops asking after a few steps."""

    def ask(self, state, number, rng):
        return super().ask(state, number, rng) if state.asked < 10 else (None, state)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (ground(Tired()), "the method asks for nothing"),
        (ground(ToySteady(operator=Stubborn())), r"the method asks for \('stubborn', .*, the log has \('tweak', "),
        (ground(ToySteady(), seed=6), r"the method asks for \('tweak', .*, the log has \('tweak', "),
    ],
    ids=["no step", "another operator", "other parents"],
)
async def test_a_log_that_the_method_would_not_repeat_is_not_gone_on_with(tmp_path, changed, words):
    await lived(STEADY, ToyWorld(tmp_path))
    with pytest.raises(EvoError, match=rf"step \d+ of island 0 cannot be repeated: {words}"):
        relive(changed, history_of(tmp_path, 0))


@pytest.mark.parametrize(
    "led_to", [born(0, "a", [1.0] * 8), Found(Evaluation(), Evaluation())], ids=["a birth", "evidence"]
)
def test_what_nobody_has_asked_for_is_not_told(led_to):
    with pytest.raises(EvoError, match="step 0 of island 0 cannot be repeated: the method has not asked"):
        relive(STEADY, [("told", 0, led_to)])
