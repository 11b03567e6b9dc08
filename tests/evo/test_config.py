from __future__ import annotations

import pytest
from pydantic import ValidationError

from evo.config import load, parse
from evo.errors import ConfigError
from evo.settings import ModelSettings, NamedSettings, RunSettings

TASK = "task:\n  data: x.jsonl\n"


@pytest.fixture
def read(tmp_path):
    def read_it(text: str, *changes: str) -> RunSettings:
        file = tmp_path / "run.yaml"
        file.write_text(text, encoding="utf-8")
        return load(file, changes)

    return read_it


def mistakes(read, tmp_path, text: str, *changes: str) -> list[str]:
    """Return the messages, each without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(text, *changes)
    return str(caught.value).replace(str(tmp_path), "").splitlines()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("modle: x", 3, ["unknown key 'modle'", "did you mean 'model'?"]),
        ("frobnicate: x", 3, ["unknown key 'frobnicate'", "expected one of task, prompts, evolve, model"]),
        ("int: 5", 3, ["unknown key 'int'"]),
        ("'foo[0]': 5", 3, ["unknown key 'foo[0]'"]),
        ("budget:\n  tokens: 9\n  call: 5", 5, ["unknown key 'budget.call'", "did you mean 'calls'?"]),
        ("model: {name: x, price: {prompt_usd: 1, output_usd_per_million: 1}}", 3, ["prompt_usd_per_million"]),
        ("budget:\n  calls: 0", 4, ["budget.calls", "greater than 0", "got 0"]),
        ("budget:\n  calls: many", 4, ["budget.calls", "valid integer", "got 'many'"]),
        ("budget: 5", 3, ["budget:", "expected a mapping with calls, tokens", "got 5"]),
        ("model: {temperature: 1}", 3, ["'model.name' is missing"]),
        ("model: {name: x, temperature: 3}", 3, ["model.temperature", "less than or equal to 2", "got 3"]),
        ("topology: rings", 3, ["topology", "'ring', 'torus'", "got 'rings'"]),
        ("islands: 0", 3, ["islands", "at least one", "got 0"]),
        ("islands: two", 3, ["islands", "a number of islands, or a list", "got 'two'"]),
        ("islands:\n  - method: x\n  - modl: y", 5, ["unknown key 'islands.1.modl'", "did you mean 'model'?"]),
        ("islands:\n  - model: {name: x, timeout: 1}", 4, ["islands.0.model.timeout", "did you mean 'timeout_s'?"]),
        ("prompts: hello", 3, ["prompts", "expected a list", "got 'hello'"]),
        ("prompts: [a, '  ']", 3, ["seed prompt 2: it or one of its parts is empty; remove it or give it text"]),
        ("prompts: [a, 3]", 3, ["expected a text or named parts with texts, got 3 as seed prompt 2"]),
        ("prompts: [{instruction: a, Stage: b}]", 3, ["seed prompt 1: expected parts named like", "got 'Stage'"]),
        ("prompts: [{system: a}]", 3, ["seed prompt 1: expected a part `instruction`, got ['system']"]),
        ("evolve: []", 3, ["expected names of parts with text, such as [instruction], got []"]),
        ('prompts: ["\\ud800"]', 3, ["surrogate"]),
        ("seed: -1", 3, ["seed", "greater than or equal to 0", "got -1"]),
        ("racing: {population: 3}", 3, ["'racing.name' is missing"]),
    ],
)
def test_a_mistake_is_one_line_with_file_line_key_expected_and_got(read, tmp_path, text, line, words):
    first, *others = mistakes(read, tmp_path, TASK + text)
    assert first.startswith(f"/run.yaml:{line}: ")
    assert all(word in first for word in words)
    assert others == [] or "prompt_usd" in text  # there a key is missing, too


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a mapping with at least `task:`, got nothing"),
        ("- a\n", "expected a mapping with at least `task:`, got list"),
        ("task: {\n", "not valid YAML: "),
        ("task:\n  data: x\n  - y\n", ":3: not valid YAML: expected <block end>, but found '-'; mend the indentation"),
        ("task: !!python/object/apply:os.system [ls]", "not valid YAML: "),
        ("task: {}", ":1: 'task.data' is missing; it is required"),
        ("task: 5", "expected a mapping with data, input, target"),
        ("task:\n  data: {train: a}", "files for train, dev and test, of which dev is needed"),
        (
            TASK + "  split: {train: 0.5, dev: 0.6, test: 0.1}",
            ":3: task.split: train, dev and test shares must sum to 1",
        ),
    ],
)
def test_a_file_that_is_no_configuration_is_one_message(read, tmp_path, text, words):
    (message,) = mistakes(read, tmp_path, text)
    assert message.startswith("/run.yaml")
    assert words in message


def test_several_mistakes_are_all_named_at_once(read, tmp_path):
    found = mistakes(read, tmp_path, TASK + "seed: -1\nconcurrency: 0\nmodel: {}\nfoo: 1\ntopology: x\n")
    assert sorted(line.split(": ")[0] for line in found) == [f"/run.yaml:{n}" for n in (3, 4, 5, 6, 7)]


@pytest.mark.parametrize("key", ["sk-live-1234", "sk live"])
def test_a_key_written_by_mistake_is_not_repeated(read, tmp_path, key):
    for text in (f"model: {{name: x, api_key_env: {key}}}", f"model: {{name: x, api_key: {key}}}"):
        (message,) = mistakes(read, tmp_path, TASK + text)
        assert key not in message
        assert "api_key_env" in message


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ("options: {api_key: KEPT}", "model.options"),
        ("options: {extra_headers: {Authorization: KEPT}}", "model.options"),
        ("options: {extra_headers: {X-Api-Key: KEPT}}", "model.options"),
        ("options: {extra_headers: {x-own: Bearer KEPT}}", "model.options"),
        ("options: {extra_body: [{auth_token: KEPT}]}", "model.options"),
        ("options: {aws_secret_access_key: KEPT}", "model.options"),
        ("options: {azure_ad_token: KEPT}", "model.options"),
        ("options: {hop: 'http://me:KEPT@host/v1'}", "model.options"),
        ("api_base: 'http://me:KEPT@host/v1'", "model.api_base"),
        ("api_base: 'http://host/v1?api-key=KEPT'", "model.api_base"),
        ("api_base: 'http://host/v1?key=KEPT'", "model.api_base"),
        ("api_base: ['KEPT']", "model.api_base"),
    ],
)
def test_a_secret_among_what_is_recorded_is_refused_and_not_repeated(read, tmp_path, more, place):
    (message,) = mistakes(read, tmp_path, TASK + f"model: {{name: x, {more}}}")
    assert message.startswith(f"/run.yaml:3: {place}: ")
    assert "KEPT" not in message


def test_a_secret_given_to_the_settings_themselves_is_not_repeated():
    with pytest.raises(ValidationError) as caught:
        ModelSettings(name="x", api_base="http://me:KEPT@host", options={"api_key": "KEPT"})
    assert "api_key_env" in str(caught.value)
    assert "KEPT" not in str(caught.value)


def test_options_that_only_sound_like_secrets_are_taken():
    options = {
        "max_completion_tokens": 64,
        "thinking": {"budget_tokens": 100},
        "response_format": {"properties": {"password": {"type": "string"}}},
        "prompt_cache_key": "runs",
        "tokenizer": "auto",
        "top_logprobs": 5,
        "api_version": "2024",
    }
    assert ModelSettings(name="x", api_base="http://127.0.0.1:8080/v1?api-version=1", options=options)


def test_a_missing_file_names_the_nearest_one(tmp_path):
    (tmp_path / "ticket.yaml").write_text(TASK)
    with pytest.raises(ConfigError, match=r"no file .*tickets.yaml'; did you mean .*ticket.yaml"):
        load(tmp_path / "tickets.yaml")
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary.yaml"):
        load(tmp_path / "binary.yaml")


def test_a_change_reaches_what_it_names(read):
    text = TASK + "method: evoprompt-ga\nislands:\n  - {}\n  - {method: x}\n"
    settings = read(
        text,
        "budget.calls=5",
        "method.size=6",
        "prompts=[one, two]",
        "task.description=a b",
        "islands.1.method=y",
        "model={name: m, temperature: 1}",
        "task.scorer=exact",
        "task.scorer.ignore_case=true",
        "cache=false",
    )
    assert settings.budget.calls == 5
    assert (settings.method.name, settings.method.arguments) == ("evoprompt-ga", {"size": 6})
    assert settings.prompts == ("one", "two")
    assert [island.method and island.method.name for island in settings.islands] == [None, "y"]
    assert (settings.model.name, settings.model.temperature) == ("m", 1)
    assert settings.task.scorer.arguments == {"ignore_case": True}
    assert settings.cache is False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("calls", "--set expects key=value, such as budget.calls=500, got 'calls'"),
        ("=5", "--set expects key=value"),
        ("prompts=[a", "--set prompts: the value is not valid YAML"),
        ("task.input={a} {b}", "put it in quotes of its own, as in --set 'task.input=\"...\"'"),
        ("budget.calls=0", "--set: budget.calls: Input should be greater than 0, got 0"),
        ("metod=x", "--set: unknown key 'metod'; did you mean 'method'?"),
        ("scorer=exact", "--set: unknown key 'scorer'; did you mean 'task.scorer'?"),
        ("budget.cals=5", "unknown key 'budget.cals'; did you mean 'calls'?"),
        ("budget.calls=x", "budget.calls"),
        ("budget.calls.x=5", "budget.calls"),
        ("islands.0.method=x", "a number of islands, or a list"),
    ],
)
def test_a_change_that_cannot_be_made_is_one_message(read, tmp_path, change, words):
    (message,) = mistakes(read, tmp_path, TASK, change)
    assert words in message


def test_a_change_of_task_description_that_looks_like_a_mapping_stays_in_bounds(read, tmp_path):
    (message,) = mistakes(read, tmp_path, TASK, "task.description={a: b}")
    assert "task.description" in message


def test_overrides_replace_whole_keys_and_changes_come_after(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(TASK + "budget: {tokens: 7}\n")
    settings = load(file, ["budget.usd=2"], overrides={"budget": {"calls": 5}})
    assert settings.budget.model_dump(exclude_none=True) == {"calls": 5, "usd": 2}


def test_names_and_mappings_mean_the_same(read):
    short, long = read(TASK + "method: ape\nmodel: m\n"), read(TASK + "method: {name: ape}\nmodel: {name: m}\n")
    assert short == long
    assert RunSettings.model_validate(short.model_dump()) == short


def test_islands_take_from_the_run_what_they_do_not_name():
    settings = parse(
        {
            "task": {"data": "x"},
            "model": "m",
            "method": "a",
            "operator_model": "big",
            "embedding_model": "e",
            "islands": [{}, {"method": "b", "model": "n", "operator_model": "o", "embedding_model": "f"}],
        }
    )
    assert [island.embedding_model.name for island in settings.archipelago] == ["e", "f"]
    assert [model.name for model in settings.models] == ["m", "big", "e", "n", "o", "f"]
    assert [(i.method.name, i.model.name, i.operator_model.name) for i in settings.archipelago] == [
        ("a", "m", "big"),
        ("b", "n", "o"),
    ]
    assert [i.operator_model.name for i in parse({"task": {"data": "x"}, "model": "m", "islands": 2}).archipelago] == [
        "m",
        "m",
    ]


def test_a_key_that_stands_twice_is_named_with_both_lines(read, tmp_path):
    text = TASK + "seed: 1\nbudget:\n  calls: 5\n  usd: 1\n  calls: 6\nseed: 2\nmodel: {name: x, name: y}\n"
    assert sorted(mistakes(read, tmp_path, text)) == [
        "/run.yaml:7: key 'calls' stands here and in line 5; keep one of them",
        "/run.yaml:8: key 'seed' stands here and in line 3; keep one of them",
        "/run.yaml:9: key 'name' stands here and in line 9; keep one of them",
    ]


def test_the_same_key_in_two_mappings_aliases_and_merges_are_no_repetition(read):
    text = (
        "islands:\n  - &a {model: {name: x}}\n  - *a\n  - {<<: *a, operator_model: {name: z}}\n"
        "operator_model: {name: y}\n"
    )
    assert [island.model.name for island in read(TASK + text).archipelago] == ["x", "x", "x"]


def test_a_change_without_a_name_goes_to_what_stands_there_by_default(read):
    settings = read(TASK, "method.population=6", "model.temperature=0.5", "task.scorer.by=text")
    assert settings.method == NamedSettings(name="tide", population=6)
    assert (settings.model.name, settings.model.temperature) == ("local/smollm2-135m", 0.5)
    assert settings.task.scorer == NamedSettings(name="choice", by="text")
    with pytest.raises(ConfigError, match=r"racing.name' is missing"):
        read(TASK, "racing.n=5")  # each method has its own


def test_model_files_are_named_by_absolute_paths_from_the_folder_of_the_file(read, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", "/home/me")
    text = (
        "model: local/models/a.gguf\noperator_model: local/~/b.gguf\nembedding_model: local/e.gguf\nislands:\n"
        "  - {model: local//c.gguf}\n  - {operator_model: local/smollm2-135m}\n  - {model: 'local/hf:r/f.gguf'}\n"
    )
    settings = read(TASK + text)
    here = f"local/{tmp_path}/models/a.gguf"
    assert [(i.model.name, i.operator_model.name) for i in settings.archipelago] == [
        ("local//c.gguf", "local//home/me/b.gguf"),
        (here, "local/smollm2-135m"),
        ("local/hf:r/f.gguf", "local//home/me/b.gguf"),
    ]
    assert {island.embedding_model.name for island in settings.archipelago} == {f"local/{tmp_path}/e.gguf"}
    assert parse(settings.model_dump()) == settings, "what a run has recorded stays as it is"
