from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.offers import Offers
from evo.model import Evaluation, Individual, Outcome, Prompt


def migrant(number: int) -> Individual:
    return Individual(number, Prompt.of(f"p{number}"), "seed", evaluation=Evaluation((Outcome(0, 1.0),)))


def taken(offers: Offers, island: int, sources: range, count: int) -> list[int]:
    return [one.number for one in offers.take(island, sources, count)]


def test_an_island_with_many_neighbours_takes_no_more_than_its_count_and_hears_all_in_turn():
    offers = Offers()
    for island in range(1, 256):
        offers.put_up(island, [migrant(island)])
    heard = [taken(offers, 0, range(1, 256), 1) for _ in range(255)]
    assert heard == [[island] for island in range(1, 256)]
    assert taken(offers, 0, range(1, 256), 1) == []


def test_a_loud_neighbour_does_not_drown_the_others():
    offers, heard = Offers(), Counter()
    offers.put_up(2, [migrant(2)])
    for number in range(10, 20):
        offers.put_up(1, [migrant(number)])
        heard.update(taken(offers, 0, range(1, 3), 1))
    assert heard[2] == 1
    assert len(heard) == 10


def test_what_did_not_fit_comes_the_next_time():
    offers = Offers()
    offers.put_up(1, [migrant(1), migrant(2), migrant(3)])
    offers.put_up(2, [migrant(4)])
    assert taken(offers, 0, range(1, 3), 2) == [1, 2]
    assert taken(offers, 0, range(1, 3), 2) == [4, 3]
    assert taken(offers, 0, range(1, 3), 2) == []


def test_where_all_are_neighbours_each_is_heard_first_by_another():
    offers = Offers()
    for island in range(10):
        offers.put_up(island, [migrant(island)])
    sources = {island: [other for other in range(10) if other != island] for island in range(10)}
    assert {offers.take(island, sources[island], 1)[0].number for island in range(10)} == set(range(10))


ACTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 3)), max_size=60)


@settings(max_examples=40)
@given(acts=ACTS)
def test_no_offer_is_given_twice_to_one_island_and_none_is_older_than_the_latest(acts):
    offers, number, latest = Offers(), 0, {}
    given_to: Counter[tuple[int, int]] = Counter()
    for island, offered, count in acts:
        if offered:
            latest[island] = [number + place for place in range(offered)]
            offers.put_up(island, [migrant(one) for one in latest[island]])
            number += offered
        sources = [other for other in range(5) if other != island]
        found = [one.number for one in offers.take(island, sources, count)]
        assert len(found) <= count
        assert set(found) <= {one for source in sources for one in latest.get(source, ())}
        given_to.update((island, one) for one in found)
    assert max(given_to.values(), default=1) == 1
