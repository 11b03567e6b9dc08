from __future__ import annotations

import json
import math

import pytest

from evo.encoding import from_json, to_json


@pytest.mark.parametrize(
    "value",
    [
        {"text": "näh\x00 \u2028\r\n😀", "list": [0.1, -2, 1e300], "none": None, "deep": [{"a": []}]},
        {"text": "a list with [null,null"},
        {"likelihoods": [-math.inf, math.inf, -1.0]},
        {"one": [math.inf]},
        [],
        2**63 - 1,
    ],
    ids=str,
)
def test_what_is_written_is_read_back_and_is_one_line(value):
    line = to_json(value)
    assert b"\n" not in line
    assert from_json(line) == from_json(line.decode()) == value


def test_nan_in_a_list_stays_a_number_that_is_none():
    (value,) = from_json(to_json([math.nan]))
    assert math.isnan(value)


def test_unpaired_surrogates_become_question_marks():
    assert from_json(to_json({"\udc00": "\ud800 alone 😀"})) == {"?": "? alone 😀"}


def test_what_json_wrote_before_is_read():
    assert from_json(json.dumps({"a": [math.inf, "\ud83d\ude00"]})) == {"a": [math.inf, "😀"]}


def test_what_is_no_plain_data_is_refused_and_what_is_no_json_too():
    with pytest.raises(TypeError):
        to_json({"a": object()})
    with pytest.raises(ValueError, match="Expecting"):
        from_json(b'{"a": ')
