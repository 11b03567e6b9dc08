"""A run against a real OpenAI-compatible server on loopback, through either client: task and operator calls alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import EXAMPLES, evo, only_run

import evo as library
from fitness.gguf import locate
from fitness.llamacpp import LocalOptions, load

pytestmark = pytest.mark.real


@pytest.mark.parametrize("client", ["direct", "litellm"])
def test_evoprompt_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    server = load(locate("local/smollm2-135m"), LocalOptions(), "a-key-of-this-test")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-this-test")
    config = tmp_path / "http.yaml"
    config.write_text(f"""
task: {{data: {EXAMPLES / "messages.jsonl"}, input: message, target: label, scorer: choice}}
prompts: ["Classify the message as complaint, praise or question.", "What is this message?"]
model: {{name: openai/smollm2, api_base: "{server.listening_address}/v1", max_tokens: 6, client: {client}}}
method: {{name: evoprompt-ga, population: 2, generations: 2, max_tokens: 60}}
racing: {{name: subset, n: 8}}
budget: {{calls: 60}}
concurrency: 4
executor: inline
""")
    evo("run", config, "--plain", cwd=tmp_path)
    run = library.open_run(only_run(tmp_path / "runs"))
    calls = run.calls().to_pylist()
    assert run.spent.calls <= 60
    assert {"task", "operator"} <= {call["purpose"] for call in calls}
    assert all(call["prompt_tokens"] > 0 for call in calls if not call["error"])
    assert run.spent.usd is None, "a price nobody knows is unknown, not nothing"
    assert run.best.individual.evaluation.count == 15, "the final race fills in every dev row"
    files = [file for file in run.path.rglob("*") if file.is_file()]
    assert not [file for file in files if b"a-key-of-this-test" in file.read_bytes()], "a key was written down"


def test_promptbreeder_compares_prompts_by_embeddings_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = load(locate("local/smollm2-135m"), LocalOptions(), "a-key", embeds=True)
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    config = tmp_path / "http.yaml"
    config.write_text(f"""
task: {{data: {EXAMPLES / "messages.jsonl"}, input: message, target: label, scorer: choice}}
prompts: ["Classify the message as complaint, praise or question.", "What is this message?", "Name its kind."]
model: fake/toy
embedding_model: {{name: openai/smollm2, api_base: "{server.listening_address}/v1"}}
method:
  name: promptbreeder
  population: 4
  generations: 2
  batch: 4
  seed_units: 3
  prompts_per_unit: 1
  embeddings: true
  operators: {{eda: 1}}
budget: {{calls: 120}}
concurrency: 4
executor: inline
""")
    evo("run", config, "--plain", cwd=tmp_path)
    run = library.open_run(only_run(tmp_path / "runs"))
    embedded = [call for call in run.calls().to_pylist() if call["embedding"]]
    assert len(embedded) >= 3
    assert len({call["key"] for call in embedded}) == len(embedded)
    assert {len(call["embedding"]) for call in embedded} == {576}
    assert all((call["attempts"], call["output_tokens"]) == (1, 0) for call in embedded)
    assert all(call["prompt_tokens"] > 0 and call["cost_usd"] is None for call in embedded)
    bred = {row["id"] for row in run.individuals().to_pylist() if row["operator"] == "eda" and row["status"] == "ok"}
    assert bred, "no list was continued: nothing was tested"
