from __future__ import annotations

from evo.contamination import Overlap, quoted_rows
from evo.model import Example

LONG = "The delivery came two weeks late, and nobody at the office answered my calls."
ROWS = (
    Example(4, {"text": LONG}, "complaint"),
    Example(9, {"text": "Thank you, Ann!"}, "praise"),
    Example(11, {"text": "Why?"}, "question"),
)


def test_a_quoted_row_is_found_whatever_its_case_and_punctuation() -> None:
    prompt = "Sort. For instance: THE DELIVERY came two weeks late and nobody at the shop - a complaint."
    assert quoted_rows(prompt, ROWS) == (Overlap(4, "the delivery came two weeks late and nobody"),)


def test_a_short_row_counts_whole_and_single_words_never() -> None:
    assert [one.example for one in quoted_rows("Why? Say thank you Ann or not.", ROWS)] == [9]
    assert quoted_rows("Why is thank you said?", ROWS) == ()


def test_seven_shared_words_are_no_quotation() -> None:
    assert quoted_rows("the delivery came two weeks late and then", ROWS) == ()
