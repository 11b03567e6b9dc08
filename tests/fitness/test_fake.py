import asyncio
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from evo.errors import ConfigError, LlmError
from evo.model import Prompt, Request
from evo.randomness import child_rng, draw_seed
from evo.settings import ModelSettings, TaskSettings
from fitness.evaluator import RowEvaluator
from fitness.fake import PHRASES, FakeLlm, quoted_prompts
from fitness.scorers import Choice
from fitness.tasks import load_task
from fitness.toy import LABELS, hidden_accuracy, hidden_quality, review_in, toy_rows, truth

POOR, GOOD = (
    "Sort.",
    "Read carefully, judge the overall tone and sentiment, and answer with exactly one word: the label.",
)
CROSS = "Cross these over, final prompt between <prompt> and </prompt>.\nPrompt 1: {}\nPrompt 2: {}\nStep 1."


def fake(**options) -> FakeLlm:
    return FakeLlm(ModelSettings(name="fake/toy", options=options))


def asked(llm: FakeLlm, text: str, **options):
    return asyncio.run(llm.complete(Request.user(text, **options)))


def toy_task(n=2000, **settings):
    settings = {"data": toy_rows(n), "scorer": "fitness.scorers:Choice", **settings}
    return load_task(TaskSettings.model_validate(settings), (), 0)


def accuracy(task, llm, instruction: str, examples=None) -> float:
    evaluator = RowEvaluator(task, llm)
    return asyncio.run(evaluator.evaluate(Prompt.of(instruction), examples or task.examples("dev"))).mean


# --- the toy task ----------------------------------------------------------------------------------------------------


def test_toy_rows_are_different_balanced_and_truthful():
    rows = toy_rows(500, seed=3)
    assert len({row["input"] for row in rows}) == 500
    assert sum(row["target"] == "positive" for row in rows) == 250
    assert all(truth(row["input"]) == row["target"] and review_in(row["input"]) == row["input"] for row in rows)


def test_toy_rows_follow_their_seed():
    assert toy_rows(20, seed=1) == toy_rows(30, seed=1)[:20]
    assert toy_rows(20, seed=1) != toy_rows(20, seed=2)
    with pytest.raises(ConfigError, match="ask for fewer"):
        toy_rows(50_001)


def test_quality_rises_with_useful_words_and_falls_with_length():
    assert hidden_quality(POOR) == 0
    assert hidden_quality("carefully") < hidden_quality("carefully, overall") < hidden_quality(GOOD) < 1
    assert hidden_quality(GOOD + " blah" * 60) < hidden_quality(GOOD)
    assert hidden_quality("carefully carefully") == hidden_quality("carefully")


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["likelihood", "text"])
@pytest.mark.parametrize("instruction", [POOR, GOOD])
def test_accuracy_is_what_the_hidden_rule_promises(by, instruction):
    task = replace(toy_task(), scorer=Choice(by=by))
    unparsed = 0.03 if by == "text" and instruction == POOR else 0
    assert accuracy(task, fake(), instruction) == pytest.approx(hidden_accuracy(instruction) - unparsed / 2, abs=0.04)


def test_some_written_answers_say_nothing():
    task = replace(toy_task(), scorer=Choice(by="text"))
    evaluation = asyncio.run(RowEvaluator(task, fake()).evaluate(Prompt.of(POOR), task.examples("dev")))
    assert 0.01 < evaluation.unparsed / evaluation.count < 0.1


@pytest.mark.parametrize("layout", ["Text: {input}\n\n{prompt}\nLabel:", "{prompt}\n\nInput: {input}\nOutput:"])
def test_any_layout_will_do(layout):
    task = toy_task(layout=layout)
    assert accuracy(task, fake(), GOOD) - accuracy(task, fake(), POOR) > 0.2


def test_some_reviews_are_hard_under_every_instruction():
    task = toy_task(1000)
    evaluations = [
        asyncio.run(RowEvaluator(task, fake()).evaluate(Prompt.of(text), task.examples("dev"))).scores
        for text in ("Sort this.", "Sort that.")
    ]
    first, second = (np.array([scores[number] for number in task.examples("dev")]) for scores in evaluations)
    assert 0.2 < np.corrcoef(first, second)[0, 1] < 0.8


def test_prior_normalisation_does_no_harm():
    task = replace(toy_task(600), scorer=Choice(normalise="prior"))
    assert accuracy(task, fake(), GOOD) == accuracy(replace(task, scorer=Choice()), fake(), GOOD)


def test_likelihoods_are_log_probabilities_of_the_choices():
    answer = asked(fake(), f"{GOOD}\n\n{toy_rows(1)[0]['input']}", choices=LABELS)
    assert sum(np.exp(answer.logprobs)) == pytest.approx(1)
    assert (answer.lengths, answer.cost_usd) == ((2, 2), 0.0)


def test_tokens_and_price_are_known():
    answer = asked(fake(), "one two three four five six seven eight nine ten")
    assert (answer.prompt_tokens, answer.output_tokens, answer.cost_usd) == (13, 3, 0.0)
    assert fake().price.cost(5, 5) == 0


# --- prompts ---------------------------------------------------------------------------------------------------------


def child_of(llm, text, seed=0) -> str:
    found = re.search("<prompt>(.*)</prompt>", asked(llm, text, seed=seed).text, re.DOTALL)
    return found[1] if found else ""


def test_a_new_prompt_mixes_the_quoted_ones_and_the_phrases():
    request = CROSS.format("Alpha one. Alpha two.", "Beta one. Beta two.")
    children = {child_of(fake(garble=0), request, seed) for seed in range(60)}
    assert len(children) > 30
    sentences = {sentence for child in children for sentence in re.split(r"(?<=\.) ", child)}
    assert sentences <= {"Alpha one.", "Alpha two.", "Beta one.", "Beta two.", *PHRASES}
    assert any("Alpha" in child and "Beta" in child for child in children)


def test_a_new_prompt_keeps_the_placeholders():
    request = CROSS.format("Read: {input}\nand {topic}. Say.", "See {topic}.\nText: {input}")
    for seed in range(40):
        assert {"{input}", "{topic}"} <= set(re.findall(r"\{\w+\}", child_of(fake(garble=0), request, seed)))


def test_a_request_that_quotes_nothing_gets_prompts_too():
    request = "Write an instruction between <prompt> and </prompt>."
    children = {child_of(fake(garble=0), request, seed) for seed in range(60)}
    assert len(children) > 30
    assert sum("Decide whether the review is positive or negative." in child for child in children) > 40


def test_gaps_are_filled_and_nothing_else_is_changed():
    request = (
        "Fill the gaps, all between <prompt> and </prompt>.\nPrompt 1: Read [gap 1] the text, [gap 2]\n\nWhole prompt:"
    )
    children = {child_of(fake(garble=0), request, seed) for seed in range(20)}
    assert len(children) > 10
    assert all(re.fullmatch(r"Read \w[^\[]* the text, \w[^\[]*", child) for child in children)


def test_a_choice_alone_is_as_likely_as_among_the_labels():
    text = f"{GOOD}\n\n{toy_rows(1)[0]['input']}"
    both = asked(fake(), text, choices=LABELS).logprobs
    assert tuple(asked(fake(), text, choices=(label,)).logprobs[0] for label in LABELS) == pytest.approx(both)
    assert asked(fake(), text, choices=("nonsense",)).logprobs[0] < math.log(0.5)


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("Prompt 1: An example.\nDone.\n\nPrompt 1: The real.\nPrompt 2: Another one.", ("The real.", "Another one.")),
        ("Basic prompt: So it is\non two lines\nStep 1. x", ("So it is\non two lines",)),
        ("Prompt 3, the best so far: Very good", ("Very good",)),
        ("Improve <prompt>Sort the text</prompt>, answer in <prompt>", ("Sort the text",)),
        ("Phrase: or bad, then,\n\nNew phrase:", ("or bad, then,",)),
        ("between <prompt> and </prompt>", ()),
    ],
)
def test_prompts_are_found_where_they_are_quoted(text, prompts):
    assert quoted_prompts(text) == prompts


def test_a_criticism_names_a_phrase_and_follows_the_seed():
    text = "Instruction: Sort.\n\nText: Review: The lamp was really broken and the film came in a blue box.\n<reason>"
    said = [asked(fake(), text, seed=seed).text for seed in range(20)]
    assert all(re.fullmatch(r"<reason>It does not say: .*</reason>", reason) for reason in said)
    assert {reason.removeprefix("<reason>It does not say: ").removesuffix("</reason>") for reason in said} <= {*PHRASES}
    assert len(set(said)) > 5
    assert said[0] == asked(fake(), text, seed=0).text


def test_some_replies_come_without_tags():
    request = CROSS.format("Alpha one.", "Beta two.")
    untagged = [not child_of(fake(garble=0.3), request, seed) for seed in range(300)]
    assert 0.2 < np.mean(untagged) < 0.4
    assert all(child_of(fake(garble=0), request, seed) for seed in range(50))


@pytest.mark.parametrize("placed", ["", "\n\n{input}"])
def test_evolution_makes_real_progress(placed):
    """A plain search over the fake model: cross two of the best, keep the best, on the rows' own scores."""
    task = load_task(
        TaskSettings.model_validate({"data": toy_rows(120), "scorer": "fitness.scorers:Choice"}),
        (f"Classify the text.{placed}", f"Positive or negative?{placed}"),
        0,
    )
    llm, rng = fake(), child_rng(0, "search")
    living = {prompt.text: accuracy(task, llm, prompt.text) for prompt in task.brief.seeds}
    start = max(living.values())
    for _ in range(60):
        best = sorted(living, key=living.__getitem__)[-6:]
        first, second = (best[int(place)] for place in rng.integers(0, len(best), 2))
        child = child_of(llm, CROSS.format(first, second), draw_seed(rng))
        if child:
            living[child] = accuracy(task, llm, child)
    winner = max(living, key=living.__getitem__)
    assert accuracy(task, llm, winner, task.examples("test")) > start + 0.15
    assert hidden_quality(winner) > 0.5


# --- the same everywhere ---------------------------------------------------------------------------------------------

SCRIPT = """
import asyncio
from evo.model import Request
from fitness.fake import FakeLlm
async def main():
    llm = FakeLlm()
    for text in ("Sort.\\n\\nReview: The lamp was really awful and the film came in a blue box.",
                 "In <prompt>, </prompt>:\\nPrompt 1: Sort it. Now.\\nPrompt 2: Say what it is.", "something else"):
        for request in (Request.user(text, seed=5), Request.user(text, choices=("negative", "positive"))):
            print(await llm.complete(request))
asyncio.run(main())
"""


def test_answers_are_the_same_in_every_process():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert outputs.pop().count(b"Completion(") == 6


def test_seed_and_replicate_matter_where_text_is_written():
    request = CROSS.format("Alpha one. Alpha two.", "Beta one. Beta two.")
    llm = fake(garble=0)
    assert (
        len({asked(llm, request, seed=seed, replicate=replicate).text for seed in range(9) for replicate in (0, 1)}) > 9
    )
    assert asked(llm, request, seed=1) == asked(llm, request, seed=1)


# --- trouble on demand -----------------------------------------------------------------------------------------------


def test_fatal_means_every_call():
    with pytest.raises(LlmError) as caught:
        asked(fake(fatal=True), "a")
    assert (caught.value.fatal, caught.value.transient) == (True, False)


def test_passing_errors_pass_and_change_no_answer():
    llm, kinds = fake(error_rate=0.5), set()

    async def until_answered(text):
        for attempt in range(60):
            try:
                return attempt, await llm.complete(Request.user(text))
            except LlmError as error:
                kinds.add((error.transient, error.fatal))
        raise AssertionError("never answered")

    results = [asyncio.run(until_answered(f"text {n}")) for n in range(200)]
    assert 0.35 < np.mean([attempts > 0 for attempts, _ in results]) < 0.65
    assert kinds == {(True, False)}
    assert [answer for _, answer in results] == [asked(fake(), f"text {n}") for n in range(200)]


def test_one_text_may_always_fail():
    llm = fake(error_on="poison")
    asked(llm, "fine")
    for _ in range(3):
        with pytest.raises(LlmError) as caught:
            asked(llm, "some poison here")
        assert caught.value.transient


def test_latency_is_taken_and_reported():
    started = time.perf_counter()
    assert asked(fake(latency_ms=30), "a").latency_s == 0.03
    assert time.perf_counter() - started >= 0.03


def test_a_fake_without_likelihoods():
    assert fake().can_choose
    assert not fake(choose=False).can_choose


def test_texts_that_share_words_have_embeddings_that_are_close():
    text, near, far = (
        np.array(asked(fake(), text, embedding=True).embedding)
        for text in ("Judge the overall tone.", "judge the whole tone.", "Sort numbers by size")
    )
    assert text @ text == pytest.approx(1, abs=1e-5)
    assert text @ near > 0.5 > text @ far
    assert asked(fake(), "Judge the overall tone.", embedding=True).output_tokens == 0


def test_a_fake_without_embeddings():
    assert fake().can_embed
    assert not fake(embed=False).can_embed
    with pytest.raises(LlmError, match="does not embed"):
        asked(fake(embed=False), "a", embedding=True)


def test_identity_follows_what_changes_answers():
    assert fake(latency_ms=5).identity == fake().identity == "fake/toy?garble=0.05"
    assert fake(garble=0.5).identity != fake().identity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency": 5}, "did you mean 'latency_ms'"),
        ({"garble": 2}, "garble from 0 to 1"),
        ({"error_rate": -1}, "error_rate from 0 to 1"),
        ({"latency_ms": -1}, "latency_ms of 0 or more"),
        ({"latency_ms": "fast"}, "an option is of the wrong type"),
    ],
)
def test_unusable_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        fake(**options)
