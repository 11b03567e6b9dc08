from __future__ import annotations

import asyncio
import functools
import importlib.util
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from evo.errors import ConfigError, LlmError
from evo.model import Request
from evo.settings import ModelSettings
from fitness.gguf import fast_copy, locate
from fitness.llamacpp import LlamaCpp, LocalOptions
from fitness.local import LocalLlm

NAME = "local/smollm2-135m"
PROMPT = "Classify the message.\n\nMessage: The ferry was late again and nobody told us why.\nLabel:"
CHOICES = ("complaint", "praise", "question")
LONG = ("not at all funny", "not at all", "a very long and winding road", "nothing")


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaCpp]:
    loaded = LlamaCpp(fast_copy(locate(NAME)), LocalOptions())
    yield loaded
    loaded.close()


@pytest.fixture
async def llm() -> AsyncIterator[LocalLlm]:
    local = LocalLlm(ModelSettings(name=NAME))
    yield local
    await local.aclose()


@functools.cache
def whole_vocabulary(model: LlamaCpp, *prompt: str | int) -> dict[int, float]:
    reply = model.complete(prompt=list(prompt), n_predict=1, n_probs=10**6, temperature=0.0)
    return {e["id"]: e["logprob"] for e in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}


def step_by_step(model: LlamaCpp, context: str, continuation: str) -> float:
    """Return the log-likelihood from full distributions over the tokens of the whole text at once."""
    before, whole = model.tokenize(context), model.tokenize(context + continuation)
    assert whole[: len(before)] == before
    return sum(whole_vocabulary(model, *whole[:i])[whole[i]] for i in range(len(before), len(whole)))


@pytest.mark.real
async def test_likelihoods_are_those_of_the_whole_vocabulary(llm: LocalLlm, model: LlamaCpp) -> None:
    choices = (*CHOICES, LONG[0], "No")
    reply = await llm.complete(Request.user(PROMPT, choices=choices))
    expected = [step_by_step(model, PROMPT, f" {choice}") for choice in choices]
    assert reply.logprobs == pytest.approx(expected, abs=1e-3)
    assert reply.lengths == (1, 1, 1, 4, 1)
    assert reply.text == "No"
    assert (reply.prompt_tokens, reply.output_tokens) == (len(model.tokenize(PROMPT)), 1)
    assert reply.cost_usd == 0.0
    assert reply.latency_s > 0


@pytest.mark.real
def test_a_distribution_sums_to_one(model: LlamaCpp) -> None:
    shares = whole_vocabulary(model, PROMPT)
    assert len(shares) > 40_000
    assert math.fsum(map(math.exp, shares.values())) == pytest.approx(1, abs=1e-3)


@pytest.mark.real
async def test_a_chain_of_tokens_is_the_product_of_its_steps(llm: LocalLlm) -> None:
    first = await llm.complete(Request.user("I think it is", choices=("not",)))
    then = await llm.complete(Request.user("I think it is not", choices=("at all",)))
    whole = await llm.complete(Request.user("I think it is", choices=("not at all",)))
    assert whole.logprobs[0] == pytest.approx(first.logprobs[0] + then.logprobs[0], abs=1e-6)


@pytest.mark.real
async def test_an_answer_is_the_same_whatever_was_asked_before(llm: LocalLlm) -> None:
    rows = [Request.user(f"{'Read this with care. ' * n}{PROMPT}", choices=CHOICES + LONG) for n in (0, 1, 5, 30)]
    twice = [(await llm.complete(row)).logprobs for row in rows * 2]
    warm = (twice[:4], twice[4:])
    shuffled = [(await llm.complete(row)).logprobs for row in reversed(rows)][::-1]
    assert warm[0] == warm[1] == shuffled
    for row, known in zip(rows, warm[0], strict=True):
        cold = LocalLlm(ModelSettings(name=NAME, options={"cache_mib": 0, "threads": 2}))
        assert (await cold.complete(row)).logprobs == known
        await cold.aclose()


@pytest.mark.real
async def test_a_text_is_the_same_whatever_was_asked_before(llm: LocalLlm) -> None:
    story = Request.user("Write a short story about a boat.", temperature=1.0, seed=3, max_tokens=24)
    text = (await llm.complete(story)).text
    await llm.complete(Request.user("Write a short story about a bird.", temperature=1.0, seed=3, max_tokens=4))
    assert (await llm.complete(story)).text == text
    await llm.complete(Request.user(PROMPT, choices=CHOICES))
    assert (await llm.complete(story)).text == text
    other = LocalLlm(ModelSettings(name=NAME, options={"cache_mib": 0}))
    assert (await other.complete(story)).text == text
    await other.aclose()


@pytest.mark.real
def test_models_are_loaded_when_asked_and_freed_when_closed() -> None:
    script = (
        "import asyncio, subprocess, os; from evo.settings import ModelSettings; from evo.model import Request\n"
        "from fitness.local import LocalLlm; import xllamacpp\n"
        "def mib(): return int(subprocess.check_output(['ps', '-o', 'rss=', '-p', str(os.getpid())])) // 1024\n"
        "async def main():\n"
        f"    models = [LocalLlm(ModelSettings(name={NAME!r}, options={{'fast': fast}})) for fast in (True, False)]\n"
        "    print(mib())\n"
        "    for llm in models: await llm.complete(Request.user('Hi', max_tokens=1)); print(mib())\n"
        "    for llm in models: await llm.aclose(); print(mib())\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    before, one, both, one_closed, closed = map(int, done.stdout.split())
    assert one - before > 100
    assert both - one > 80
    assert both - one_closed > 100
    assert closed - before < 60


@pytest.mark.real
async def test_many_tasks_get_their_own_answers(llm: LocalLlm) -> None:
    requests = [Request.user(f"{PROMPT[:-6]} No. {n}\nLabel:", choices=CHOICES) for n in range(6)]
    requests += [Request.user(f"Count to {n}.", max_tokens=5) for n in range(3, 6)]
    together = await asyncio.gather(*(llm.complete(request) for request in requests))
    alone = [await llm.complete(request) for request in requests]
    assert [(r.text, r.logprobs) for r in together] == [(r.text, r.logprobs) for r in alone]
    assert len({r.logprobs for r in together[:6]}) == 6


@pytest.mark.real
async def test_text_keeps_to_seed_temperature_stop_and_length(llm: LocalLlm) -> None:
    async def write(**options: Any) -> str:
        return (await llm.complete(Request.user("Write a sentence about boats.", **{"max_tokens": 24, **options}))).text

    greedy = await write()
    assert greedy == await write(seed=7)
    warm = [await write(temperature=1.0, seed=seed) for seed in (1, 2, 1)]
    assert warm[0] == warm[2] != warm[1]
    unseeded = [await write(temperature=1.0, replicate=replicate) for replicate in (0, 1, 0)]
    assert unseeded[0] == unseeded[2] != unseeded[1]
    assert await write(temperature=1.0, seed=1, top_p=0.001) == greedy
    word = greedy.split()[3]
    assert await write(stop=(word,)) == greedy[: greedy.index(word)].rstrip() or word not in await write(stop=(word,))
    assert (await llm.complete(Request.user("Write a sentence about boats.", max_tokens=5))).output_tokens == 5


@pytest.mark.real
async def test_the_chat_template_is_for_text_unless_told() -> None:
    request, choose = Request.user("Say hello.", max_tokens=8), Request.user("Say hello:", choices=("hello", "no"))
    seen: dict[object, tuple[int, int]] = {}
    for chat in (None, True, False):
        local = LocalLlm(ModelSettings(name=NAME, options={} if chat is None else {"chat": chat}))
        text, choice = await local.complete(request), await local.complete(choose)
        seen[chat] = (text.prompt_tokens, choice.prompt_tokens)
        await local.aclose()
    assert seen[None] == (seen[True][0], seen[False][1])
    assert seen[False][0] < seen[True][0]
    assert seen[False][1] < seen[True][1]


@pytest.mark.real
async def test_a_long_prompt_is_told_in_tokens() -> None:
    local = LocalLlm(ModelSettings(name=NAME, options={"context": 256}))
    for request in (Request.user("word " * 300, choices=CHOICES), Request.user("word " * 300)):
        with pytest.raises(LlmError, match=r"has 3\d\d tokens, but the model's context holds 256") as caught:
            await local.complete(request)
        assert not caught.value.transient
        assert not caught.value.fatal
    assert (await local.complete(Request.user("word " * 50, choices=CHOICES))).text
    await local.aclose()


@pytest.mark.real
async def test_what_cannot_be_answered_is_an_llm_error(llm: LocalLlm) -> None:
    with pytest.raises(LlmError, match="give the prompt some text"):
        await llm.complete(Request.user("", choices=CHOICES))
    with pytest.raises(LlmError, match="the in-process model"):
        await llm.complete(Request.user("broken \ud800 text", max_tokens=3))
    assert (await llm.complete(Request.user(PROMPT, choices=CHOICES))).text


@pytest.mark.real
async def test_a_closed_model_says_so() -> None:
    local = LocalLlm(ModelSettings(name=NAME))
    await local.complete(Request.user("Hi", max_tokens=1))
    await local.aclose()
    await local.aclose()
    with pytest.raises(LlmError, match="was closed"):
        await local.complete(Request.user("Hi", max_tokens=1))


@pytest.mark.real
async def test_a_damaged_file_is_fatal(tmp_path: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    local = LocalLlm(ModelSettings(name=f"local/{path}"))
    with pytest.raises(LlmError, match=r"cannot load damaged\.gguf") as caught:
        await local.complete(Request.user("Hi"))
    assert caught.value.fatal
    await local.aclose()


@pytest.mark.real
def test_nothing_is_printed_even_without_closing() -> None:
    script = (
        "import asyncio; from evo.settings import ModelSettings; from evo.model import Request\n"
        "from fitness.local import LocalLlm\n"
        f"llm = LocalLlm(ModelSettings(name={NAME!r}))\n"
        "request = Request.user('The sky is', choices=('blue', 'green'))\n"
        "assert asyncio.run(llm.complete(request)).text == 'blue'\n"
        "assert asyncio.run(llm.complete(request)).text == 'blue'\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.real
async def test_the_port_is_closed_to_others(llm: LocalLlm, model: LlamaCpp) -> None:
    model._key, key = "guess", model._key
    with pytest.raises(LlmError, match="Invalid API Key"):
        model.tokenize("hello")
    model._key = key
    assert model.tokenize("hello")


@pytest.mark.real
def test_identity_names_what_changes_answers(tmp_path: Path) -> None:
    def identity(name: str = NAME, **options: Any) -> str:
        return LocalLlm(ModelSettings(name=name, options=options)).identity

    assert identity() == NAME == identity(threads=2, cache_mib=0, context=512, batch=16)
    others = [identity(chat=True), identity(chat=False), identity(top_k=1), identity(batch=512), identity(fast=False)]
    assert len({NAME, *others}) == 6
    copies = [tmp_path / name for name in ("a.gguf", "b.gguf", "c.gguf")]
    for path, content in zip(copies, (b"GGUFx", b"GGUFx", b"GGUFy"), strict=True):
        path.write_bytes(content)
    first, same, other = (identity(f"local/{path}") for path in copies)
    assert first == same != other
    assert str(tmp_path) not in first


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    return f"local/{tmp_path}/model.gguf"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thread": 2}, "no option 'thread'; did you mean threads"),
        ({"colour": 2}, r"no option 'colour'; there is threads, context, batch"),
        ({"threads": 0}, r"option threads of .*greater than or equal to 1, got 0"),
        ({"context": "much"}, r"option context of .*integer.*got 'much'"),
    ],
)
def test_a_wrong_option_is_named(own_file: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LocalLlm(ModelSettings(name=own_file, options=options))


def test_an_endpoint_makes_no_sense_for_a_local_model(own_file: str) -> None:
    with pytest.raises(ConfigError, match="remove its api_base"):
        LocalLlm(ModelSettings(name=own_file, api_base="http://localhost:1"))


def test_a_local_model_is_free_and_tells_likelihoods(own_file: str) -> None:
    local = LocalLlm(ModelSettings(name=own_file))
    assert local.can_choose
    assert local.can_embed
    assert local.price.cost(1000, 1000) == 0.0


def test_without_xllamacpp_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'prompt-archipelago\[local\]'"):
        LocalLlm(ModelSettings(name=NAME))
