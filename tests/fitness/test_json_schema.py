import asyncio
import json
import pickle
import re
from pathlib import Path

import pytest

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.settings import NamedSettings, TaskSettings
from fitness.flaws import row_flaw
from fitness.json_schema import JsonSchema, same
from fitness.scorers import make_scorer
from fitness.tasks import load_task

TICKET = {
    "type": "object",
    "properties": {"team": {"enum": ["billing", "shipping"]}, "urgency": {"type": "integer", "minimum": 1}},
    "required": ["team", "urgency"],
    "additionalProperties": False,
}
GOOD = '{"team": "billing", "urgency": 2}'


def score(reply: str, target: str = "{}", folder: Path = Path(), **arguments) -> Score:
    scorer = make_scorer(NamedSettings(name="json-schema", **arguments), folder)
    return asyncio.run(scorer(Completion(reply, 1, 1), Example(0, {"input": "i"}, target)))


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f" {GOOD}\n",
        f"Here it is:\n```json\n{GOOD}\n```\nAnything else?",
        f"```\n{GOOD}\n```",
        f"I [think] it is {GOOD}.",
        f"{GOOD} or {{}}",
    ],
)
def test_valid_json_is_found_wherever_it_stands(reply):
    result = score(reply, schema=TICKET)
    assert (result.value, result.reason) == (1, "")
    assert json.loads(result.answer) == json.loads(GOOD)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ('{"team": "sales", "urgency": 2}', "at $.team: 'sales' is not one of ['billing', 'shipping']"),
        ('{"team": "billing", "urgency": 0}', "at $.urgency: 0 is less than the minimum of 1"),
        ('{"urgency": "high"}', "at $: 'team' is a required property; at $.urgency: 'high' is not of type 'integer'"),
        ("[]", "at $: [] is not of type 'object'"),
        ("3", "at $: 3 is not of type 'object'"),
    ],
)
def test_the_first_violations_are_named(reply, reason):
    result = score(reply, schema=TICKET)
    assert (result.value, result.parsed) == (0, True)
    assert result.reason == f"expected JSON valid by the schema, but {reason}"


def test_a_reason_stays_short():
    result = score(json.dumps(["x" * 5_000] * 90), schema={"items": {"type": "integer"}})
    assert result.reason.endswith("; 87 more")
    assert len(result.reason) < 700


@pytest.mark.parametrize(
    "reply", ["", "no", "{team: billing}", "[NaN", '{"a": NaN}', "[" * 100_000, "[" * 300 + "]" * 300]
)
def test_a_reply_without_json_is_unparsed(reply):
    result = score(reply, schema=TICKET)
    assert (result.value, result.parsed) == (0, False)
    assert "no JSON" in result.reason


def test_a_reply_without_json_is_told_of_its_target_only_where_fields_are_compared():
    assert score("no", "other", schema=TICKET).reason == "expected 'JSON', got no JSON in the reply 'no'"
    assert "expected '{\"a\": 1}'" in score("no", '{"a": 1}', fields=["a"]).reason


@pytest.mark.parametrize(
    ("schema", "reference"),
    [
        ({"$ref": "#/$defs/nope"}, "#/$defs/nope"),
        ({"properties": {"a": {"items": {"$ref": "http://example.com/x.json"}}}}, "http://example.com/x.json"),
        ({"$ref": "#/a", "a": {"$ref": "#gone"}}, "#gone"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_at_once(schema, reference):
    with pytest.raises(ConfigError, match=re.escape(f"but {reference!r} leads nowhere")):
        score(GOOD, schema=schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"$id": "http://x/y", "$defs": {"a": {"$anchor": "k"}}, "anyOf": [{"$ref": "#k"}, {"$ref": "y#/$defs/a"}]},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/n",
            "definitions": {"n": {"properties": {"n": {"$ref": "#/definitions/n"}}}},
        },
        {"properties": {"$ref": {"type": "string"}}},
    ],
)
def test_references_within_a_schema_and_to_the_drafts_are_followed(schema):
    assert score('{"n": {}}', schema=schema).value == 1


def test_named_fields_must_be_the_targets():
    fields = ["team", "urgency", "tags"]
    target = '{"team": "billing", "urgency": 2, "tags": ["a"], "note": "unseen"}'
    full = score('{"team": "billing", "urgency": 2.0, "tags": ["a"], "note": "other"}', target, fields=fields)
    assert (full.value, full.reason) == (1, "")
    part = score('{"team": "billing", "urgency": true}', target, fields=fields)
    assert part.value == pytest.approx(1 / 3)
    assert part.reason == "urgency: expected '2', got 'true'; tags: expected '[\"a\"]', got no such field"
    assert score("[1]", target, fields=fields).value == 0
    assert score(GOOD, target, fields=fields, schema={"maxProperties": 1}).value == 0


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, None, True),
        ({"a": [1, {"b": 0}]}, {"a": [1.0, {"b": 0}]}, True),
        ({"a": [1, {"b": 0}]}, {"a": [1, {"b": False}]}, False),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
        ("1", 1, False),
    ],
)
def test_equality_is_jsons(one, other, equal):
    assert same(one, other) is same(other, one) is equal


def test_a_target_without_the_fields_is_left_out_of_the_data():
    scorer = JsonSchema(fields=("team",))
    assert row_flaw(scorer, {}, "billing") == "target 'billing' is no JSON object"
    assert row_flaw(scorer, {}, "{}") == "target '{}' has no field 'team'"
    assert not row_flaw(scorer, {}, GOOD)
    assert not row_flaw(JsonSchema(), {}, "billing")
    with pytest.raises(ValueError, match="is no JSON object"):
        score(GOOD, "billing", fields=["team"])


def test_a_schema_file_lies_beside_the_configuration_and_is_shipped_by_content(tmp_path):
    (tmp_path / "ticket.json").write_text(json.dumps(TICKET))
    scorer = make_scorer(NamedSettings(name="json-schema", schema="ticket.json"), tmp_path)
    (tmp_path / "ticket.json").unlink()
    assert pickle.loads(pickle.dumps(scorer)) == scorer == JsonSchema(TICKET)


def test_another_schema_under_the_same_name_is_another_task(tmp_path):
    rows = [{"input": str(n), "target": "{}"} for n in range(9)]
    settings = TaskSettings.model_validate({"data": rows, "scorer": {"name": "json-schema", "schema": "ticket.json"}})
    marks = []
    for schema in ({}, TICKET, TICKET):
        (tmp_path / "ticket.json").write_text(json.dumps(schema))
        marks.append(load_task(settings, ["Do."], 0, tmp_path).fingerprint)
    assert marks[0] != marks[1] == marks[2]


def test_references_are_resolved_within_the_schema_and_never_fetched():
    local = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}
    assert [score(reply, schema=local).value for reply in ("1", '"1"')] == [1, 0]
    with pytest.raises(Exception, match=r"example\.org"):
        score("1", schema={"$ref": "https://example.org/schema.json"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schema": {"type": "objekt"}}, r"expected a JSON Schema, but at \$.type"),
        ({"schema": ["object"]}, "expected an object or a file as schema, got list"),
        ({"schema": "none.json"}, "expected a JSON file at .*none.json"),
        ({"fields": "team"}, "expected fields as a list of names, got 'team'"),
        ({"fields": [1]}, "expected fields as a list of names"),
        ({"shema": {}}, "did you mean 'schema'"),
    ],
)
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        score("1", **arguments)
