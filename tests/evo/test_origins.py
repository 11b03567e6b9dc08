"""Who brought which words: hand-made lineages, one of every kind of birth, then any lineage and a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo import Prompt, Run, evolve
from evo.model import individual_number
from evo.origins import Kin, PartOrigin, trace
from evo.words import is_word, spaced_words, taken
from fitness.toy import toy_rows

Family = Mapping[int, tuple[str | Mapping[str, str], str, tuple[int, ...]]]
"""Prompt, operator and parents, base first, by number; the older the smaller."""


def kin_of(family: Family) -> Kin:
    return Kin(
        lambda n: Prompt.of(family[n][0]),
        lambda n: family[n][1],
        lambda n: family[n][2],
        lambda n: list(family).index(n),
    )


def origins(family: Family) -> list[tuple[str, int, str]]:
    (part,) = trace(list(family)[-1], kin_of(family))
    return [(span.text, span.individual, span.operator) for span in part.spans]


SEED = ("Judge the mood of the text.", "seed", ())


def test_a_seed_is_all_its_own():
    assert origins({0: SEED}) == [("Judge the mood of the text.", 0, "seed")]


def test_an_edit_keeps_the_words_around_it_with_those_who_had_them():
    family = {
        0: SEED,
        1: ("Judge the overall mood of the text.", "edit", (0,)),
        2: ("Judge the overall mood of the whole text.", "edit", (1,)),
    }
    assert origins(family) == [
        ("Judge the ", 0, "seed"),
        ("overall ", 1, "edit"),
        ("mood of the ", 0, "seed"),
        ("whole ", 2, "edit"),
        ("text.", 0, "seed"),
    ]


def test_a_crossover_has_words_of_both_each_from_where_the_longest_phrase_is():
    family = {
        0: SEED,
        1: ("Judge the mood. Answer with one word.", "seed", ()),
        2: ("Judge the mood of the text. Answer with one word.", "crossover", (0, 1)),
        3: ("Judge the mood of the text. Answer with one word.", "crossover", (1, 0)),
    }
    assert origins({n: family[n] for n in (0, 1, 2)}) == [
        ("Judge the mood of the text. ", 0, "seed"),
        ("Answer with one word.", 1, "seed"),
    ]
    assert origins({n: family[n] for n in (0, 1, 3)}) == origins({n: family[n] for n in (0, 1, 2)})


def test_of_parents_that_have_a_phrase_alike_the_base_gave_it():
    family = {0: SEED, 1: (SEED[0], "seed", ()), 2: (SEED[0], "crossover", (1, 0))}
    assert origins(family) == [(SEED[0], 1, "seed")]


def test_a_sentence_of_another_parent_is_not_broken_up_by_words_the_base_has_too():
    family = {
        0: ("Sort the text.", "seed", ()),
        1: ("Read the text carefully. Name the mood.", "seed", ()),
        2: ("Sort the text. Name the mood.", "crossover", (1, 0)),
    }
    assert origins(family) == [("Sort the text. ", 0, "seed"), ("Name the mood.", 1, "seed")]


def test_a_new_sentence_is_whose_brought_it_though_an_article_is_old():
    family = {
        0: ("Mind the wording. Sort the text.", "seed", ()),
        1: ("Name a feeling of the author. Sort the text.", "x", (0,)),
    }
    assert origins(family) == [("Name a feeling of the author. ", 1, "x"), ("Sort the text.", 0, "seed")]


def test_a_paraphrase_brings_its_own_words_and_no_more():
    family = {0: SEED, 1: ("Say which feeling the writer of the text has!", "paraphrase", (0,))}
    assert origins(family) == [
        ("Say which feeling the writer ", 1, "paraphrase"),
        ("of the text ", 0, "seed"),
        ("has!", 1, "paraphrase"),
    ]


def test_a_phrase_that_moved_is_still_whose_it_was():
    family = {
        0: ("First judge the tone, then name the mood of it.", "seed", ()),
        1: ("Then name the mood of it, but first judge the tone.", "swap", (0,)),
    }
    assert ("name the mood of it", 0, "seed") in [(text.strip(), *who) for text, *who in origins(family)]
    assert ("judge the tone", 0, "seed") in [(text.strip(), *who) for text, *who in origins(family)]


def test_words_come_back_only_through_those_who_kept_them():
    family = {
        0: ("Judge mood.", "seed", ()),
        1: ("Sort text.", "paraphrase", (0,)),
        2: ("Judge mood.", "paraphrase", (1,)),
    }
    assert origins(family) == [("Judge mood.", 2, "paraphrase")]


def test_a_migrant_brings_nothing_and_its_island_is_that_of_the_words():
    here, there = individual_number(0, 0), individual_number(3, 0)
    kin = kin_of({here: SEED, there: (SEED[0], "migration", (here,))})
    (part,) = trace(there, kin)
    assert [(span.individual, span.island) for span in part.spans] == [(here, 0)]


def test_parts_are_traced_each_for_itself_and_genes_come_last():
    family = {
        0: ({"_mutation": "Be bold.", "instruction": "Sort it.", "system": "You read."}, "seed", ()),
        1: ({"_mutation": "Be bold.", "instruction": "Sort it.", "system": "Sort it."}, "edit", (0,)),
    }
    found = trace(1, kin_of(family))
    assert [(part.part, part.gene) for part in found] == [
        ("instruction", False),
        ("system", False),
        ("_mutation", True),
    ]
    whose = [[span.individual for span in part.spans] for part in found]
    assert whose == [[0], [1], [0]], "words that stood in another part count as new"


def test_a_part_the_parent_lacks_and_an_empty_one_are_no_trouble():
    family = {0: ("Sort.", "seed", ()), 1: ({"instruction": "", "stage-2": "Check it."}, "edit", (0,))}
    assert [(part.part, len(part.spans)) for part in trace(1, kin_of(family))] == [("instruction", 0), ("stage-2", 1)]


def bare(text: str) -> list[str]:
    return [word.strip() for word in spaced_words(text)]


def check(origin: PartOrigin, text: str, kin: Kin) -> None:
    """Hold what a span promises against the individuals themselves."""
    assert "".join(span.text for span in origin.spans) == text
    for span in origin.spans:
        words = spaced_words(dict(kin.prompt(span.individual).parts)[origin.part])
        own, phrase = [word.strip() for word in words], bare(span.text)
        assert span.operator == kin.operator(span.individual)
        starts = [at for at in range(len(own)) if own[at : at + len(phrase)] == phrase]
        inherited: set[int] = set()
        for parent in kin.parents(span.individual):
            inherited |= set(taken(words, bare(dict(kin.prompt(parent).parts).get(origin.part, ""))))
        inherited = {place for place in inherited if is_word(own[place])}
        assert any(inherited.isdisjoint(range(at, at + len(phrase))) for at in starts)


@st.composite
def families(draw) -> Family:
    """Return lineages whose births copy, cut, mix and rewrite few words, so that many meet."""
    texts = st.lists(st.sampled_from(["judge", "the", "mood", "of", "it", ".", "now ", "\n"]), max_size=8).map(" ".join)
    family: dict[int, tuple[str, str, tuple[int, ...]]] = {}
    for number in range(draw(st.integers(1, 9))):
        parents = tuple(draw(st.lists(st.sampled_from(range(number)), max_size=3, unique=True))) if number else ()
        pieces = [family[parent][0] for parent in parents]
        if pieces:
            cut = [piece[draw(st.integers(0, len(piece))) :] for piece in pieces]
            pieces = draw(st.permutations([*cut, draw(texts)]))
        family[number] = (" ".join(pieces) if pieces else draw(texts), f"op-{number}", parents)
    return family


@settings(max_examples=150)
@given(family=families())
def test_spans_are_the_text_and_their_words_began_where_they_say(family):
    kin, last = kin_of(family), max(family)
    (part,) = trace(last, kin)
    check(part, family[last][0], kin)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    storage: Path = tmp_path_factory.mktemp("runs")
    return evolve(
        {"data": toy_rows(60, 0), "description": "Tell the mood."},
        prompts=["What is the mood?", "Sort the text.", "Positive or negative?"],
        model="fake/toy",
        method="evoprompt-ga",
        islands=2,
        executor="inline",
        budget={"calls": 2500},
        storage=str(storage),
        seed=1,
    )


def test_every_prompt_of_a_whole_run_is_traced(run):
    individuals = {one.number: one for one in map(run.individual, run.individuals()["id"].to_pylist())}
    kin = Kin(
        lambda n: individuals[n].prompt,
        lambda n: individuals[n].operator,
        lambda n: [parent for parent, _ in individuals[n].parents],
        lambda n: individuals[n].generation,
    )
    for number, one in individuals.items():
        for part in run.lineage(number).origin():
            check(part, one.prompt.part(part.part), kin)
    brought = {span.operator for part in run.lineage().origin() for span in part.spans}
    assert "migration" not in brought
    assert brought - {"seed"}, "the winner is no mere seed"
