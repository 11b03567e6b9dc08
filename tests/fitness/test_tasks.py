import json
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo.errors import ConfigError, OperatorError
from evo.model import Prompt
from evo.settings import TaskSettings
from fitness.layout import fill, placeholders
from fitness.scorers import Choice
from fitness.tasks import load_task
from fitness.toy import toy_rows

CHOICE, EXACT, NUMERIC = (f"fitness.scorers:{name}" for name in ("Choice", "Exact", "Numeric"))
ASK = {"temperature": 0.0, "max_tokens": 8, "choose": False}


def loaded(rows, prompts=(), seed=0, **settings):
    settings.setdefault("scorer", CHOICE)
    return load_task(TaskSettings.model_validate({"data": rows, **settings}), tuple(prompts), seed)


def table(*rows):
    return [{"text": text, "topic": topic, "label": label} for text, topic, label in rows]


TICKETS = table(
    ("My bill is wrong", "money", "billing"),
    ("It does not start", "device", "repair"),
    ("Charged twice", "money", "billing"),
    ("Screen is black", "device", "repair"),
)
OWN = {"target": "label", "split": {"train": 0, "dev": 1, "test": 0}}


def message(task, number=0, prompt="P", **options):
    return task.request(Prompt.of(prompt), number, **{**ASK, **options}).text


# --- splits and numbers ----------------------------------------------------------------------------------------------


def test_one_source_is_split_and_numbered_in_its_order():
    rows = toy_rows(100)
    task = loaded(rows)
    assert [row.inputs["input"] for row in task.rows] == [row["input"] for row in rows]
    assert [row.number for row in task.rows] == list(range(100))
    splits = [task.examples(split) for split in ("train", "dev", "test")]
    assert [len(split) for split in splits] == [10, 50, 40]
    assert sorted(number for split in splits for number in split) == list(range(100))


def test_given_splits_are_numbered_one_after_the_other(tmp_path):
    rows = toy_rows(12)
    for name, part in (("train", rows[:4]), ("dev", rows[4:9]), ("test", rows[9:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    data = {"train": "train.jsonl", "dev": "dev.jsonl", "test": "test.jsonl"}
    task = load_task(TaskSettings.model_validate({"data": data, "scorer": CHOICE}), (), 0, tmp_path)
    assert [sorted(task.examples(split)) for split in ("train", "dev", "test")] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7, 8],
        [9, 10, 11],
    ]


def test_the_shared_order_is_shuffled_stratified_and_seeded():
    rows = toy_rows(400)
    task = loaded(rows)
    order = task.examples("dev")
    assert list(order) != sorted(order)
    for count in (10, 30, 100):
        seen = Counter(task.example(number).target for number in order[:count])
        assert abs(seen["positive"] - count / 2) <= 2
    assert loaded(rows).examples("dev") == order
    assert loaded(rows, seed=1).examples("dev") != order


def test_train_rows_are_shown_to_methods_with_what_the_message_shows_only():
    rows = [{**row, "secret": "s", "target": row["target"]} for row in toy_rows(40)]
    task = loaded(rows)
    assert len(task.brief.train) == 4
    assert {tuple(example.inputs) for example in task.brief.train} == {("input",)}
    assert [example.number for example in task.brief.train] == list(task.examples("train"))


def test_scorers_see_every_column_but_the_target():
    assert set(loaded(TICKETS, input="text", **OWN).example(0).inputs) == {"text", "topic", "input"}


def test_unknown_splits_and_numbers_are_refused():
    task = loaded(toy_rows(20))
    with pytest.raises(ValueError, match="train, dev, test"):
        task.examples("validation")
    for number in (-1, 20):
        with pytest.raises(ValueError, match="from 0 to 19"):
            task.example(number)


def test_a_missing_test_split_is_empty_and_said():
    task = loaded(TICKETS, input="text", **OWN)
    assert task.examples("test") == ()
    assert "no test rows" in task.notes[-1]


def test_too_few_dev_rows_name_the_reason_and_the_mend():
    rows = [*toy_rows(2), {"input": " ", "target": "positive"}]
    with pytest.raises(ConfigError, match=r"at least 2 dev rows, got 1 of 2 rows; pass more rows"):
        loaded(rows)
    data = {"dev": toy_rows(4), "test": toy_rows(4)}
    with pytest.raises(ConfigError, match=r"got 0 of 8 rows \(left out 4 dev rows whose input is in test too\)"):
        loaded(data)


def test_one_source_and_given_splits_together_are_refused():
    with pytest.raises(ConfigError, match="`all` and test; keep one"):
        loaded({"all": toy_rows(20), "test": toy_rows(4, 1)})


# --- what is left out is said ----------------------------------------------------------------------------------------


def test_unusable_rows_are_counted_and_named():
    rows = [
        *toy_rows(20),
        {"input": "a"},
        {"input": "b", "target": None},
        {"target": "positive"},
        "text",
        {"input": "c"},
    ]
    task = loaded(rows)
    assert len(task.rows) == 20
    (note,) = task.notes
    assert note == (
        "rows in memory: left out 5 of 25 rows: row 24: expected a mapping of columns, got str; "
        "row 21: nothing in 'target'; row 22: nothing in 'target'; and 2 more"
    )


def test_repeats_and_contradictions_are_noted():
    rows = [*toy_rows(20), toy_rows(1)[0], {"input": "x", "target": "positive"}, {"input": "X", "target": "negative"}]
    task = loaded(rows)
    assert len(task.rows) == 20
    assert [note.split(" rows")[0] for note in task.notes] == ["left out 1", "left out 2"]


def test_no_usable_row_at_all_is_refused():
    with pytest.raises(
        ConfigError, match=r"expected at least one usable row, but rows in memory: left out 2 of 2 .*'label'"
    ):
        loaded([{"text": "a", "label": ""}, {"text": "b", "label": None}], input="text", target="label")


def test_targets_the_scorer_cannot_use_are_left_out():
    rows = [{"input": f"q{n}", "target": str(n)} for n in range(10)] + [{"input": "q", "target": "many"}]
    task = loaded(rows, scorer=NUMERIC)
    assert len(task.rows) == 10
    assert "target 'many' holds no number" in task.notes[0]


def test_frames_with_gaps_lose_only_the_gaps():
    frame = pd.DataFrame({"input": ["a", "b", None, "d", "e"], "target": [1, 2, 3, np.nan, 1]})
    task = loaded(frame, scorer=NUMERIC, split={"train": 0, "dev": 1, "test": 0})
    assert [row.inputs["input"] for row in task.rows] == ["a", "b", "e"]


# --- columns and layout ----------------------------------------------------------------------------------------------


def test_the_layout_joins_prompt_and_input():
    assert message(loaded(TICKETS, input="text", **OWN)) == "P\n\nMy bill is wrong"
    task = loaded(TICKETS, input="text", layout="{prompt}\nMessage: {input}\nLabel:", **OWN)
    assert message(task, 1) == "P\nMessage: It does not start\nLabel:"


def test_what_a_layout_does_not_know_is_noted():
    task = loaded(TICKETS, input="text", layout='{prompt} {nope} {{twice}} {"json": 1}\n{input}', **OWN)
    assert message(task) == 'P {nope} {{twice}} {"json": 1}\nMy bill is wrong'
    assert [note for note in task.notes if "task.layout" in note] == [
        "{nope} in task.layout stays as it is; a layout knows {examples}, {input}, {instruction}, {prompt}"
    ]


def test_the_input_may_be_a_template():
    task = loaded(TICKETS, input='[{topic}] {text} {{text}} {"json": 1}', **OWN)
    assert message(task) == 'P\n\n[money] My bill is wrong {{text}} {"json": 1}'


def test_a_row_without_one_of_the_templates_columns_keeps_the_rest():
    task = loaded([*TICKETS, {"text": "Dead", "label": "repair"}], input="{topic}: {text}", **OWN)
    assert message(task, 4) == "P\n\n: Dead"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"input": "txet", "target": "label"},
            r"task.input: unknown column 'txet'; did you mean 'text'\? known: label, te",
        ),
        ({"input": "{text} {topik}", "target": "label"}, "unknown column 'topik'; did you mean 'topic'"),
        ({"input": "text", "target": "lable"}, r"task.target: unknown column 'lable'; did you mean 'label'"),
        ({"input": "text", "target": "label", "choices": "labels"}, "task.choices .*unknown column 'labels'"),
        ({"input": "label", "target": "label"}, "task.input shows the target column 'label'"),
        ({"input": "{text} {label}", "target": "label"}, "task.input shows the target column 'label'"),
        ({"input": "text", "target": "label", "layout": "{prompt}"}, "expected both {prompt} and {input}"),
        ({"input": "text", "target": "label", "layout": "{input}"}, "expected both {prompt} and {input}"),
        (
            {"input": "text", "target": "label", "layout": "{topic} {prompt} {input}"},
            "task.layout: expected .*got the column {topic}; columns go into task.input",
        ),
        ({"input": "text", "target": "label", "choices": ["billing"]}, "at least 2 distinct labels"),
        ({"input": "text", "target": "label", "choices": ["a", "a"]}, "at least 2 distinct labels"),
    ],
)
def test_mistakes_in_the_settings_are_explained(settings, message):
    with pytest.raises(ConfigError, match=message):
        loaded(TICKETS, **settings)


# --- prompts with placeholders ---------------------------------------------------------------------------------------


def test_a_prompt_with_placeholders_is_the_whole_message():
    task = loaded(TICKETS, ["On {topic}: {text}. {{text}} {other}", "{text} about {topic}"], **OWN)
    assert task.brief.placeholders == {"text", "topic"}
    assert message(task, prompt="{topic}! {text} {{text}} {label} {input}") == (
        "money! My bill is wrong {{text}} {label} {input}"
    )


def test_a_prompt_may_name_the_input():
    task = loaded(TICKETS, ["Text: {input}\nLabel:"], input="{topic}/{text}", **OWN)
    assert task.brief.placeholders == {"input"}
    assert message(task, prompt="Text: {input}\nLabel:") == "Text: money/My bill is wrong\nLabel:"
    assert {tuple(example.inputs) for example in task.brief.train} <= {("input",)}


def test_data_is_never_a_template():
    rows = table(("{topic} {prompt} {input}", "{text}", "a"), ("other", "thing", "b"))
    assert message(loaded(rows, input="text", **OWN), prompt="{input} {text}") == (
        "{input} {text}\n\n{topic} {prompt} {input}"
    )
    assert message(loaded(rows, input="{text}{topic}", **OWN)) == "P\n\n{topic} {prompt} {input}{text}"
    task = loaded(rows, ["{text} {topic}"], **OWN)
    assert message(task, prompt="{text}-{topic}") == "{topic} {prompt} {input}-{text}"


names = st.sampled_from(["a", "b", "input"])
pieces = st.one_of(names.map("{{{}}}".format), names.map("{{{{{}}}}}".format), st.text("ab{} ", max_size=5))
templates = st.lists(pieces, max_size=8).map("".join)


@given(templates, st.dictionaries(names, templates, min_size=1))
def test_filling_goes_over_the_template_once(template, values):
    marks = {name: chr(0xE000 + place) for place, name in enumerate(values)}
    marked = fill(template, marks)
    expected = "".join({mark: values[name] for name, mark in marks.items()}.get(letter, letter) for letter in marked)
    assert fill(template, values) == expected
    assert placeholders(template, set(values)) == {name for name, mark in marks.items() if mark in marked}


@given(st.text("ab{}", max_size=30))
def test_without_known_names_every_brace_is_literal(template):
    assert fill(template, {}) == template
    assert fill(template, {"zz": "!"}) == template


def test_seed_prompts_must_agree():
    with pytest.raises(ConfigError, match=r"most have \{text\}, but number 2 \('Sort \{topic\}'\) has \{topic\}"):
        loaded(TICKETS, ["Sort {text}", "Sort {topic}", "Route {text}"], **OWN)


def test_a_seed_prompt_that_gives_the_answer_away_is_refused():
    with pytest.raises(ConfigError, match="a seed prompt shows the target column 'label'"):
        loaded(TICKETS, ["Say {label}"], input="text", **OWN)


def test_seed_prompts_too_long_are_refused_by_number():
    with pytest.raises(ConfigError, match="seed prompt 2: expected at most 8000 characters, got 8001"):
        loaded(TICKETS, ["ok", "x" * 8001], input="text", **OWN)


def test_things_that_look_like_placeholders_are_pointed_out():
    task = loaded(TICKETS, ["Sort {{text}} { topic } {Text} {json}"], input="text", **OWN)
    assert [note.split(" in a")[0] for note in task.notes[:-1]] == ["{{text}}", "{ topic }", "{Text}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty"), (" \n", "empty"), ("Sort it", r"\{text\} is lost"), ("{text}" + "x" * 8000, "at most 8000")],
)
def test_unusable_candidates_are_refused(text, message):
    task = loaded(TICKETS, ["Sort {text}"], **OWN)
    task.check(Prompt.of("Please sort {text} and {more}"))
    with pytest.raises(OperatorError, match=message):
        task.check(Prompt.of(text))


def test_a_prompt_without_instruction_is_refused():
    with pytest.raises(OperatorError, match="empty"):
        loaded(TICKETS, input="text", **OWN).check(Prompt((("examples", "a"),)))


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_found_in_the_targets_when_the_scorer_needs_them():
    for by in ("auto", "text"):
        task = loaded(TICKETS, input="text", scorer={"name": CHOICE, "by": by}, **OWN)
        assert task.brief.labels == ("billing", "repair")
        assert task.example(0).choices == ("billing", "repair")
    task = loaded(TICKETS, input="text", scorer=EXACT, **OWN)
    assert (task.brief.labels, task.example(0).choices) == ((), ())


def test_spellings_of_one_label_are_merged_and_said():
    rows = [*TICKETS, *table(("Fee?", "money", "Billing "), ("Refund", "money", "BILLING"))]
    task = loaded(rows, input="text", **OWN)
    assert task.brief.labels == ("billing", "repair")
    assert task.example(5).target == "billing"
    assert "read the targets 'BILLING', 'Billing' as other spellings of a label" in task.notes


@pytest.mark.parametrize("count", [1, 21])
def test_too_few_or_many_distinct_targets_are_no_labels(count):
    rows = [{"input": f"q{n}", "target": f"t{n % count}"} for n in range(42)]
    with pytest.raises(ConfigError, match=rf"2 to 20 distinct targets to use as labels, got {count}, such as 't0'"):
        loaded(rows)


def test_given_labels_keep_their_order_and_reject_strange_targets():
    rows = [*TICKETS, *table(("Hello", "talk", "other"))]
    task = loaded(rows, input="text", choices=["Repair", "Billing"], **OWN)
    assert task.brief.labels == ("Repair", "Billing")
    assert task.example(0).target == "Billing"
    assert "row 5: target 'other' is none of its choices" in task.notes[0]


@pytest.mark.parametrize("written", [["a", "b"], '["a", "b"]', "a| b", np.array(["a", "b"])])
def test_a_column_may_hold_each_rows_choices(written):
    rows = [{"input": f"q{n}", "target": "a", "options": written} for n in range(4)]
    rows += [{"input": "x", "target": "c", "options": "c|d"}, {"input": "y", "target": "a", "options": "a"}]
    task = loaded(rows, choices="options", split={"train": 0, "dev": 1, "test": 0})
    assert [row.choices for row in task.rows] == [("a", "b")] * 4 + [("c", "d")]
    assert task.brief.labels == ("a", "b", "c", "d")
    assert "row 6: fewer than 2 choices in 'options'" in task.notes[0]


# --- requests --------------------------------------------------------------------------------------------------------


def test_requests_are_complete_and_repeatable():
    task = loaded(TICKETS, input="text", **OWN)
    written = task.request(Prompt.of("P"), 0, temperature=0.5, max_tokens=9, choose=False)
    assert (written.temperature, written.max_tokens, written.choices) == (0.5, 9, ())
    chosen = task.request(Prompt.of("P"), 0, temperature=0.5, max_tokens=9, choose=True)
    assert (chosen.temperature, chosen.choices) == (0.0, ("billing", "repair"))
    assert chosen == task.request(Prompt.of("P"), 0, temperature=0.9, max_tokens=1, choose=True)


def test_the_blank_request_differs_only_in_the_input():
    plain = loaded(TICKETS, input="text", **OWN).blank_request(Prompt.of("P {text}"), ("a", "b"))
    assert (plain.text, plain.choices) == ("P {text}\n\nN/A", ("a", "b"))
    own = loaded(TICKETS, ["{topic}: {text}"], **OWN).blank_request(Prompt.of("{topic}: {text}"), ("a", "b"))
    assert own.text == "N/A: N/A"


# --- identity --------------------------------------------------------------------------------------------------------


def test_a_task_survives_pickling():
    task = loaded(toy_rows(20), ["Read {input}"])
    assert pickle.loads(pickle.dumps(task)) == task
    assert task.scorer == Choice()


def test_the_fingerprint_follows_rows_layout_and_scorer():
    first = loaded(TICKETS, input="text", **OWN).fingerprint
    assert loaded([dict(row) for row in TICKETS], ["Sort."], input="text", description="d", **OWN).fingerprint == first
    others = {
        loaded(TICKETS[:3], input="text", **OWN).fingerprint,
        loaded(TICKETS, input="topic", **OWN).fingerprint,
        loaded(TICKETS, input="text", layout="{prompt} {input}", **OWN).fingerprint,
        loaded(TICKETS, input="text", scorer=EXACT, **OWN).fingerprint,
        loaded(TICKETS, input="text", scorer={"name": EXACT, "ignore_case": False}, **OWN).fingerprint,
        loaded(TICKETS, ["{text}"], input="text", **OWN).fingerprint,
        loaded(TICKETS, input="text", seed=1, **OWN).fingerprint,
    }
    assert len(others | {first}) == 8


def test_seed_prompts_are_optional():
    assert loaded(toy_rows(20)).brief.seeds == ()
    assert loaded(toy_rows(20), ["A", "B"]).brief.seeds == (Prompt.of("A"), Prompt.of("B"))


@pytest.mark.parametrize(
    ("scorer", "targets", "replies"),
    [
        ("exact", ["yes", "no"], True),
        ({"name": "exact", "any_of": True}, ['["yes", "yeah"]', '["no"]'], False),
        ({"name": "regex", "pattern": "y"}, ["yes", "no"], False),
        ("numeric", ["1", "2"], True),
    ],
)
def test_targets_are_worked_examples_only_where_they_are_replies_that_score(
    scorer: Any, targets: list[str], replies: bool
) -> None:
    rows = [{"input": f"text {place}", "target": target} for place, target in enumerate(targets * 3)]
    task = load_task(TaskSettings.model_validate({"data": {"dev": rows}, "scorer": scorer}), ["Sort."], 0)
    assert task.brief.targets_are_replies == replies
