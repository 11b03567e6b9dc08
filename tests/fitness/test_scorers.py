import asyncio
import math
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.settings import NamedSettings
from fitness.flaws import row_flaw
from fitness.function_scorer import FunctionScorer
from fitness.reading import label_in, number_in, tidy
from fitness.scorers import Choice, Contains, Exact, Numeric, Regex, make_scorer
from fitness.timed_calls import MOST_LEFT


def score(scorer, reply: str, target: str, choices=(), **completion) -> Score:
    return asyncio.run(
        scorer(Completion(reply, 1, 1, **completion), Example(0, {"input": "i"}, target, tuple(choices)))
    )


# --- exact -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", ["Paris", " paris.\n", '"Paris"', "**PARIS**", "(Paris)!", "`Paris`.", "“Paris”"])
def test_exact_sees_through_case_and_punctuation(reply):
    assert score(Exact(), reply, "Paris").value == 1


@pytest.mark.parametrize(
    ("reply", "target"),
    [
        ("-5", "5"),
        ("C++", "C"),
        ("C#", "C"),
        ("5%", "5"),
        ("$5", "5"),
        (".5", "5"),
        ("Paris, France", "Paris"),
        (")", "]"),
    ],
)
def test_exact_keeps_signs_that_mean_something(reply, target):
    result = score(Exact(), reply, target)
    assert (result.value, result.answer) == (0, tidy(reply))


@pytest.mark.parametrize(
    ("reply", "value"), [("NYC", 1), ("new york.", 1), ("York", 0), ('["NYC"]', 1), ("1898", 1), ("", 0)]
)
def test_exact_accepts_any_of_several_targets(reply, value):
    assert score(Exact(any_of=True), reply, '["New York", "NYC", 1898]').value == value


def test_several_targets_are_a_json_list():
    assert score(Exact(), "NYC", '["New York", "NYC"]').value == 0
    assert not row_flaw(Exact(any_of=True), {}, '["NYC"]')
    for target in ("NYC", "[]", "[NYC", "[[1]]", "[" * 100_000):
        assert "is no JSON list" in row_flaw(Exact(any_of=True), {}, target)
        assert not row_flaw(Exact(), {}, target)


def test_exact_can_be_strict():
    assert score(Exact(ignore_case=False), "paris", "Paris").value == 0
    assert score(Exact(strip_punctuation=False), "Paris.", "Paris").value == 0
    assert score(Exact(strip_punctuation=False), "New   York", "new york").value == 1


@pytest.mark.parametrize("scorer", [Exact(), Contains(), Numeric(), Choice(by="text"), Regex("(a)")])
@pytest.mark.parametrize("reply", ["", " \n "])
def test_an_empty_reply_is_unparsed_everywhere(scorer, reply):
    result = score(scorer, reply, "1", choices=("1", "2"))
    assert (result.value, result.parsed) == (0, False)
    assert result.reason


@pytest.mark.parametrize(
    ("scorer", "reply", "reason"),
    [
        (Exact(), "Lyon.", "expected 'Paris', got 'Lyon'"),
        (Exact(), "", "expected 'Paris', got nothing in the reply ''"),
        (Choice(), "Lyon", "expected 'Paris', got 'Lyon'"),
        (Choice(), "no idea", "expected 'Paris', got no single label in the reply 'no idea'"),
        (Contains(), "Lyon", "expected a reply that contains 'Paris', but it does not"),
        (Regex(r"city: (\w+)"), "city: Lyon", "expected 'Paris', got 'Lyon'"),
        (Regex("^[0-9]+$"), "Lyon", "expected a reply that matches '^[0-9]+$', but it does not"),
    ],
)
def test_a_miss_says_what_was_expected_and_what_came(scorer, reply, reason):
    assert score(scorer, reply, "Paris", choices=("Paris", "Lyon")).reason == reason


def test_a_hit_needs_no_reason_and_a_long_target_is_cut():
    for scorer in (Exact(), Choice(), Contains(), Regex(r"(\w+)")):
        assert score(scorer, "Paris", "Paris", choices=("Paris", "Lyon")) == Score(1.0, "Paris")
    assert score(Numeric(), "8", "7").reason == "expected '7', got '8'"
    tie = score(Choice(), "", "a", ("a", "b"), logprobs=(-1.0, -1.0))
    assert tie.reason == "expected 'a', but no choice is likelier than the others"
    assert len(score(Exact(), "x" * 9_000, "y" * 9_000).reason) < 500


@given(st.text())
def test_tidying_twice_changes_nothing(text):
    assert tidy(tidy(text)) == tidy(text)


# --- choice by text --------------------------------------------------------------------------------------------------

MOODS = ("positive", "negative", "very positive")


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("positive", "positive"),
        (" Positive.\n", "positive"),
        ("**Negative**", "negative"),
        ("very   positive", "very positive"),
        ("I'd say Very Positive!", "very positive"),
        ("Sentiment: negative\nBecause the film is not positive at all.", "negative"),
        ("Let me think: positive or negative?\nAnswer: negative", "negative"),
        ("It could be positive.\nOr negative.\nThe final answer is: **positive**", "positive"),
        ("Here it is:\n\nnegative", "negative"),
        ("No doubt about it: positive", "positive"),
        ("No doubt it is positive", "positive"),
    ],
)
def test_the_label_a_reply_names(reply, label):
    assert label_in(reply, MOODS) == label


@pytest.mark.parametrize(
    "reply",
    [
        "not positive",
        "It isn't really positive.",
        "It isn\u2019t positive",
        "I can't say it is positive",
        "non-positive",
        "positive and negative",
        "not positive, but negative",
        "neither positive nor negative",
        "positively stunning",
        "hard to say",
        "Answer: positive or negative",
    ],
)
def test_replies_that_name_no_single_label(reply):
    result = score(Choice(), reply, "positive", MOODS)
    assert (result.value, result.parsed, result.answer) == (0, False, "")
    assert "no single label" in result.reason


@pytest.mark.parametrize(
    ("reply", "labels", "label"),
    [
        ("not entailment", ("entailment", "not entailment"), "not entailment"),
        ("No, that is so", ("Yes", "No"), "No"),
        ("(B)", ("(A)", "(B)"), "(B)"),
        ("B", ("(A)", "(B)"), "(B)"),
        ("B) the second", ("(A)", "(B)"), "(B)"),
        ("The answer is B.", ("(A)", "(B)"), "(B)"),
        ("A dog. (B)", ("(A)", "(B)"), "(B)"),
        ("A dog barks", ("(A)", "(B)"), None),
        ("a", ("A", "a"), "a"),
        ("the a one", ("A", "a"), "a"),
        ("10", ("1", "10"), "10"),
        ("rated 1.5", ("1", "2"), None),
        ("C++", ("C", "C++"), "C++"),
        ("答案是正面的", ("正面", "负面"), "正面"),
        ("pos\u0131tive", ("positive", "negative"), "positive"),
        ("Sci/Tech", ("Sci/Tech", "World"), "Sci/Tech"),
    ],
)
def test_labels_of_all_kinds(reply, labels, label):
    assert label_in(reply, labels) == label


@given(
    st.sampled_from(MOODS), st.sampled_from(["{}", "Answer: {}.", "It is {}", "{}\n\nBecause of the words.", "\n{}!"])
)
def test_every_label_reads_back(label, frame):
    assert label_in(frame.format(label.upper()), MOODS) == label


@given(st.text(max_size=300), st.lists(st.text(min_size=1, max_size=8).filter(str.strip), min_size=1, unique=True))
def test_reading_untrusted_text_never_fails(text, labels):
    assert label_in(text, labels) in {None, *labels}
    number_in(text)


def test_hostile_replies_take_no_long_time():
    started = time.perf_counter()
    for hostile in ("answer " + "\n" * 30_000, "1,111,1," * 8_000, "not " * 20_000 + "positive", "(" * 30_000):
        label_in(hostile, ("positive", "(A)"))
        number_in(hostile)
    assert time.perf_counter() - started < 10  # seconds where it is linear, minutes where it is not


# --- choice by likelihood --------------------------------------------------------------------------------------------


def test_the_likeliest_choice_wins_whatever_the_text_says():
    result = score(Choice(), "negative", "positive", ("negative", "positive"), logprobs=(-2.0, -1.0))
    assert result == Score(1.0, "positive")


def test_length_normalisation_counts_by_token():
    choices, options = ("short", "a much longer one"), {"logprobs": (-3.0, -4.0), "lengths": (1, 4)}
    assert score(Choice(), "", "short", choices, **options).value == 1
    assert score(Choice(normalise="length"), "", "short", choices, **options).value == 0


def test_no_likeliest_choice_is_unparsed():
    assert score(Choice(), "", "a", ("a", "b"), logprobs=(-1.0, -1.0)).parsed is False


@pytest.mark.parametrize("logprobs", [(math.nan, -1.0), (-1.0, math.inf), (-math.inf, -math.inf)])
def test_likelihoods_that_are_no_numbers_are_a_failure_and_no_miss(logprobs):
    with pytest.raises(ValueError, match="is at fault"):
        score(Choice(), "", "a", ("a", "b"), logprobs=logprobs)
    assert score(Choice(), "", "a", ("a", "b"), logprobs=(-math.inf, -1.0)).parsed


@pytest.mark.parametrize("options", [{"logprobs": (-1.0,)}, {"logprobs": (-1.0, -2.0), "lengths": ()}])
def test_likelihoods_that_do_not_match_the_choices_are_an_error(options):
    with pytest.raises(ValueError, match="for each of 2 choices"):
        score(Choice(normalise="length"), "", "a", ("a", "b"), **options)


def test_a_choice_needs_choices():
    with pytest.raises(ValueError, match=r"set task\.choices"):
        score(Choice(), "a", "a")


def test_wanting_choices_follows_by():
    assert [Choice(by=by).wants_choices for by in ("auto", "likelihood", "text")] == [True, True, False]
    assert not any(
        scorer.wants_choices for scorer in (Exact(), Numeric(), Contains(), Regex("a"), FunctionScorer("a:b"))
    )


# --- numeric ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("The answer is 42.", 42),
        ("first 1, then 1,234,567.5", 1234567.5),
        ("1 + 41\n#### 42\nI checked 3 times", 42),
        ("#### -1,000", -1000),
        ("####\nso 7", 7),
        ("-5", -5),
        ("\u22125", -5),
        ("12-5", 5),
        ("12 - 5 = 7", 7),
        ("it costs $1,200", 1200),
        ("-$3.50", -3.5),
        ("$-3", -3),
        ("5e3", 5000),
        ("=.5", 0.5),
        ("it is...5", 5),
        ("version 1.2.3", 1.2),
        ("GPT-4 says 9 of H2O", 9),
        ("42kg", 42),
        ("\\boxed{17}", 17),
        ("1, 2", 2),
        ("50%", 50),
        ("none", None),
        ("abc123", None),
    ],
)
def test_the_number_in_a_reply(reply, number):
    assert number_in(reply) == number


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from(["{}", "So it is {}.", "#### {}", "We get **{}**", "5 and {} euros"]),
)
def test_whole_numbers_read_back_with_and_without_separators(number, frame):
    assert number_in(frame.format(number)) == number
    assert number_in(frame.format(f"{number:,}")) == number


@given(st.decimals(-(10**6), 10**6, allow_nan=False, places=3))
def test_decimals_read_back(number):
    assert number_in(f"x = {number:f}") == pytest.approx(float(number))


def test_seven_is_not_seventy():
    assert score(Numeric(), "70", "7").value == 0
    assert score(Numeric(), "7.0", "7").value == 1


def test_tolerance_is_absolute_below_one_and_relative_above():
    assert score(Numeric(tolerance=0.01), "1009", "1000").value == 1
    assert score(Numeric(tolerance=0.01), "0.02", "0.005").value == 0
    assert score(Numeric(tolerance=0), "0.1", "0.1").value == 1


def test_a_target_without_number_is_no_zero():
    with pytest.raises(ValueError, match="holds no number"):
        score(Numeric(), "7", "seven")
    assert row_flaw(Numeric(), {}, "seven")
    assert row_flaw(Numeric(), {}, "9" * 400)
    assert not row_flaw(Numeric(), {}, "about 7")
    assert not row_flaw(Exact(), {}, "seven")


# --- contains and regex ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "target", "value"),
    [
        ("The capital is New\nYork City", "new york", 1),
        ("category", "cat", 0),
        ("it is 70", "7", 0),
        ("it is 7.5", "7", 0),
        ("it is 1,7", "7", 0),
        ("it is -7", "7", 0),
        ("it is 7.", "7", 1),
        ("so (B) it is", "(B)", 1),
        ("it's done", "it\u2019s", 1),
    ],
)
def test_contains_sees_whole_words_only(reply, target, value):
    assert score(Contains(), reply, target).value == value


def test_contains_can_mind_case():
    assert score(Contains(ignore_case=False), "paris", "Paris").value == 0


def test_regex_with_a_group_compares_the_group():
    scorer = Regex(r"answer:\s*(\w+)")
    assert score(scorer, "Answer: Blue. answer: red", "blue") == Score(1.0, "Blue")
    assert score(Regex(r"answer:\s*(\w+)", ignore_case=False), "answer: Blue", "blue").value == 0
    assert score(scorer, "no idea", "blue").parsed is False


def test_regex_without_a_group_only_matches():
    assert score(Regex(r"^\{.*\}$"), '{"a": 1}', "anything").value == 1
    result = score(Regex(r"^\{.*\}$"), "no", "anything")
    assert (result.value, result.parsed) == (0, True)


def test_regex_sees_no_more_than_its_share():
    assert score(Regex("end"), "x" * 20_000 + "end", "t").value == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Regex("(a"),
        lambda: Choice(by="txt"),
        lambda: Choice(normalise="piror"),
        lambda: Numeric(tolerance=-1),
        lambda: Numeric(tolerance=float("nan")),
    ],
)
def test_unusable_arguments_are_refused(make):
    with pytest.raises(ConfigError, match=r"scorer (regex|choice|numeric)"):
        make()


# --- functions -------------------------------------------------------------------------------------------------------

METRIC = """
import asyncio, threading, time
LET_GO = threading.Event()
from evo.model import Score
THREADS = []
def good(output, example): return output == example.target
def pair(output, example): return 0.25, "a quarter"
def whole(output, example): return Score(0.5, answer=output)
async def later(output, example): return 1
def strange(output, example): return "very good"
def outside(output, example): return 7
def here(output, example):
    time.sleep(0.02)
    THREADS.append(threading.get_ident())
    return 1
def stuck(output, example): LET_GO.wait(); return 1
def sometimes(output, example): return stuck(output, example) if output == "stuck" else 1
async def asleep(output, example): await asyncio.sleep(60)
def leaves(output, example): raise SystemExit(3)
class Own:
    wants_choices = False
    def __init__(self, bonus=0.0): self.bonus = bonus
    async def __call__(self, completion, example): return Score(self.bonus)
number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    module = "metric_" + "".join(letter for letter in tmp_path.name if letter.isalnum())
    (tmp_path / f"{module}.py").write_text(METRIC)
    return tmp_path, module


def made(folder, name, **arguments):
    path, module = folder
    return make_scorer(NamedSettings(name=f"{module}:{name}", **arguments), path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("good", Score(1.0)),
        ("pair", Score(0.25, reason="a quarter")),
        ("whole", Score(0.5, answer="t")),
        ("later", Score(1.0)),
    ],
)
def test_functions_may_return_many_things(folder, name, expected):
    assert score(made(folder, name), "t", "t") == expected


@pytest.mark.parametrize(("name", "error"), [("strange", ValueError), ("outside", ValueError)])
def test_an_unusable_verdict_is_an_error(folder, name, error):
    with pytest.raises(error):
        score(made(folder, name), "t", "t")


@pytest.mark.parametrize(("threaded", "at_once"), [(False, 1), (True, 3)])
def test_a_plain_function_runs_in_a_thread_one_call_at_a_time_unless_told(folder, threaded, at_once):
    scorer = made(folder, "here", threaded=threaded)

    async def all_rows():
        row = Example(0, {}, "t")
        await asyncio.gather(*(scorer(Completion("t", 1, 1), row) for _ in range(3)))

    asyncio.run(all_rows())
    threads = sys.modules[folder[1]].THREADS
    assert len(threads) == 3
    assert threading.get_ident() not in threads
    assert len({*threads}) == at_once


@pytest.mark.parametrize(("name", "threaded"), [("stuck", False), ("stuck", True), ("asleep", False)])
def test_a_function_that_does_not_return_leaves_its_row_without_a_score(folder, name, threaded):
    scorer = made(folder, name, threaded=threaded, timeout_s=0.05)
    with pytest.raises(TimeoutError, match=r"return within 0.05 s, but it did not; mend it, or raise .* timeout_s"):
        score(scorer, "t", "t")
    release(folder)


def release(folder):
    sys.modules[folder[1]].LET_GO.set()


def test_those_that_wait_behind_one_that_never_returns_still_get_their_turn(folder):
    scorer = made(folder, "sometimes", timeout_s=0.1)

    async def all_rows():
        calls = [scorer(Completion(text, 1, 1), Example(0, {}, "t")) for text in ("stuck", "t", "stuck", "t")]
        return await asyncio.gather(*calls, return_exceptions=True)

    stuck, first, again, second = asyncio.run(all_rows())
    assert (first, second) == (Score(1.0), Score(1.0))
    assert {type(stuck), type(again)} == {TimeoutError}
    release(folder)


def test_a_function_that_never_returns_ends_the_run_after_some_calls(folder):
    scorer = made(folder, "stuck", threaded=True, timeout_s=0.05)

    async def all_rows():
        calls = [scorer(Completion("t", 1, 1), Example(0, {}, "t")) for _ in range(MOST_LEFT)]
        return await asyncio.gather(*calls, return_exceptions=True)

    assert {type(one) for one in asyncio.run(all_rows())} <= {TimeoutError, ConfigError}
    with pytest.raises(ConfigError, match="8 calls of it never did; mend it"):
        score(scorer, "t", "t")
    release(folder)


def test_a_function_that_ends_its_process_ends_its_thread_alone(folder):
    with pytest.raises(RuntimeError, match=r"the function ended with SystemExit\(3\)"):
        score(made(folder, "leaves"), "t", "t")
    assert score(made(folder, "good"), "t", "t").value == 1


@pytest.mark.parametrize("limit", [0, -1, True, "soon", math.nan])
def test_a_time_limit_is_a_number_of_seconds(folder, limit):
    with pytest.raises(ConfigError, match="expected timeout_s in seconds"):
        made(folder, "good", timeout_s=limit)


def test_a_class_of_the_users_is_a_scorer_with_arguments(folder):
    assert score(made(folder, "Own", bonus=0.75), "t", "t").value == 0.75


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("goood", {}, "good"),
        ("number", {}, "expected a function or class"),
        ("good", {"thraeded": True}, "did you mean 'threaded'"),
        ("Own", {"bonsu": 1}, "did you mean 'bonus'"),
    ],
)
def test_mistakes_in_naming_a_function_are_explained(folder, name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        made(folder, name, **arguments)


@pytest.mark.parametrize(
    ("reply", "target", "value"),
    [
        ("5 km", "5000", 1),
        ("about 5,000m.", "5 km", 1),
        ("5 kmh", "5", 1),
        ("5 km", "5", 0),
        ("#### 50% of it", "0.5", 1),
        ("5e3 m", "5 km", 1),
    ],
)
def test_units_multiply_the_number_before_them(reply, target, value):
    assert score(Numeric(units={"m": 1, "km": 1000, "%": 0.01}), reply, target).value == value


@pytest.mark.parametrize("units", [{"km": "1000"}, {"km": 0}, {"km": math.nan}, {"km": True}, ["km"]])
def test_units_need_a_factor(units):
    with pytest.raises(ConfigError, match="expected units with a number each"):
        make_scorer(NamedSettings(name="numeric", units=units))


def test_a_missing_module_is_explained(tmp_path):
    with pytest.raises(ConfigError, match="cannot import 'no_such_module'"):
        make_scorer(NamedSettings(name="no_such_module:f"), tmp_path)


def test_own_scorers_are_made_by_path_with_arguments():
    assert make_scorer(NamedSettings(name="fitness.scorers:Numeric", tolerance=0.5)) == Numeric(tolerance=0.5)
    with pytest.raises(ConfigError, match="did you mean 'tolerance'"):
        make_scorer(NamedSettings(name="fitness.scorers:Numeric", tolerence=0.5))


def test_every_scorer_is_an_entry_point():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for name in ("Exact", "Choice", "Numeric", "Contains", "Regex"):
        assert f'{name.lower()} = "fitness.scorers:{name}"' in text
