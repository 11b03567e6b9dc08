from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo.model import Prompt
from evo.words import ADDED, LONG, REMOVED, SAME, changes, diff, taken
from evo.words import spaced_words as words

TEXTS = st.one_of(
    st.text(max_size=60), st.lists(st.sampled_from(["the", "mood", "Judge", "? ", "\n\n", " ", "感情"])).map(" ".join)
)


def marked(before: str, after: str) -> str:
    signs = {SAME: "{}", REMOVED: "[-{}-]", ADDED: "{{+{}+}}"}
    return "".join(signs[change.kind].format(change.text) for change in changes(before, after))


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("Sort the text.", "Sort the text.", "Sort the text."),
        ("Sort the text.", "Sort the whole text.", "Sort the{+ whole+} text."),
        ("Judge the old mood here.", "Judge a new mood here.", "Judge [-the old-]{+a new+} mood here."),
        ("", "Sort.", "{+Sort.+}"),
        ("Sort.", "", "[-Sort.-]"),
        ("a b", "a\nb", "a[- -]{+\n+}b"),
        ("情绪是什么", "情感是什么", "情[-绪-]{+感+}是什么"),
        ("", "", ""),
    ],
)
def test_a_diff_shows_whole_words(before, after, shown):
    assert marked(before, after) == shown


@given(before=TEXTS, after=TEXTS)
def test_a_diff_holds_both_texts(before, after):
    found = changes(before, after)
    assert "".join(change.text for change in found if change.kind != ADDED) == before
    assert "".join(change.text for change in found if change.kind != REMOVED) == after
    assert all(change.text for change in found)


def test_parts_are_compared_each_with_its_namesake_and_genes_come_last():
    before = Prompt((("_mutation", "Be bold."), ("instruction", "Sort."), ("stage-2", "Check.")))
    after = Prompt((("_mutation", "Be brief."), ("system", "You sort."), ("instruction", "Sort.")))
    found = diff(before, after)
    assert [(one.part, one.gene, one.changed) for one in found] == [
        ("system", False, True),
        ("instruction", False, False),
        ("stage-2", False, True),
        ("_mutation", True, True),
    ]
    assert [(change.kind, change.text) for change in found[2].changes] == [(REMOVED, "Check.")]


@given(text=TEXTS)
def test_words_with_their_space_are_the_text(text):
    assert "".join(words(text)) == text


def test_a_phrase_is_known_again_where_it_has_moved():
    child = words("positive or negative today? Judge the overall tone.")
    parent = words("Judge the overall tone. Is it positive or negative today?")
    match = taken(child, parent)
    assert all(child[a].strip() == parent[b].strip() for a, b in match.items())
    assert set(match) >= set(range(4)) | set(range(5, 9)), "both phrases, though they changed places"


def test_signs_alone_a_lone_word_and_two_words_out_of_order_say_nothing():
    assert taken(words("Sort. Now!"), words("Judge. Here!")) == {}
    child, parent = words("the text is long, so sort"), words("so sort what you read")
    assert 0 not in taken(child, parent)
    assert taken(words("Think of what the customer meant."), words("Read the review.")) == {}
    assert taken(words("Read what the text says."), words("Read the text.")) == {0: 0, 2: 1, 3: 2}, "one word between"
    assert taken(words("Read what the customer wrote."), words("Read the text.")) == {}, "less than half of a sentence"


def test_in_long_texts_frequent_words_begin_no_match_and_still_belong_to_one():
    text = " ".join(f"the text {number} of the day" for number in range(LONG))
    assert len(taken(words(f"first {text}"), words(f"{text} last"))) >= 6 * LONG - 2


def test_of_long_texts_the_ends_are_aligned_and_what_is_between_them_in_bounded_time():
    filler = [f"word{number % 977}" for number in range(20_000)]
    before, after = " ".join(["a", *filler, "z"]), " ".join(["a", *reversed(filler), "z"])
    found = changes(before, after)
    assert [change.kind for change in found] == [SAME, REMOVED, ADDED, SAME]
    assert (found[0].text, found[-1].text) == ("a ", " z")
    near = " ".join(["a", *filler[:9000], "new", *filler[9001:], "z"])
    assert [(one.kind, one.text) for one in changes(before, near)][1:3] == [(REMOVED, filler[9000]), (ADDED, "new")]
    own, other = words(near), words(before)
    assert set(range(len(own))) - set(taken(own, other)) == {9001}
    assert taken(own, other)[19_000] == 19_000
    assert set(taken(words(after), other)) == {0, 20_001}
