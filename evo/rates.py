"""What calls to a model take, measured by one dev row and one operator call, or guessed from bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from evo.accounting import bound_of
from evo.bounds import with_bound
from evo.errors import EvoError, LlmError, OperatorError
from evo.failures import SCORER
from evo.model import EXAMPLES, STAGES, Completion, Individual, Prompt, Request, demos_of
from evo.plugins import build, build_model, resolve
from evo.ports import EvaluatorFactory, Llm, Price, Task
from evo.randomness import child_rng
from evo.settings import ModelSettings, NamedSettings
from evo.verdict import SEED

TOKENS_PER_BYTE = 0.25
"""The guess where no model is asked: right for English within a third, too low for most other languages."""
VERDICT_TOKENS = 60
"""The guess of what a judge writes: two sentences and a line."""
STAND_IN = ModelSettings(name="fake/toy", options={"garble": 0.0})
"""Whose replies operators can read: it writes in a rehearsal what the operator model will."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What calls to one model take. ``price`` is None where it is unknown, ``latency_s`` where no model was asked.

    Args:
        prompt: Tokens of a byte of what is sent.
        frame: Bytes of a row's first call beside the prompt's own parts: input and layout.
        reply: Bytes of a reply to a row, which the next stage is shown.
        answer: Tokens of a reply to a row.
        written: Tokens of a byte of what the stand-in writes for an operator.
    """

    prompt: float
    frame: float
    reply: float
    answer: float
    written: float
    price: Price | None
    latency_s: float | None
    notes: tuple[str, ...] = ()

    def row_tokens(self, prompt: Prompt) -> tuple[float, float]:
        """Return prompt and output tokens of one row, all stages together."""
        later = [_bytes(text) for name, text in prompt.shown if name in STAGES]
        sent = self.frame + _own_bytes(prompt)
        total = sent
        for stage in later:
            sent += self.reply + stage
            total += sent
        return self.prompt * total, self.answer * (1 + len(later))

    def operator_tokens(self, request: Request, reply: str) -> tuple[float, float]:
        """Return prompt and output tokens of an operator's call, which the stand-in has answered."""
        return self.prompt * _bytes(request.text), min(request.max_tokens, self.written * _bytes(reply))


@dataclass(frozen=True, slots=True)
class JudgeRates:
    """What a call of the judge takes on average: tokens, and as `Rates` the price and seconds."""

    prompt: float
    output: float
    price: Price | None
    latency_s: float | None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Overheard:
    """`Llm` around another that keeps what was said, and what it failed with.

    What is kept counts tokens as a run does: where a reply does not say them, as the most they can be.
    """

    inner: Llm
    name: str = ""
    said: list[tuple[Request, Completion]] = field(default_factory=list)
    failure: LlmError | None = None
    uncounted: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it."""
        note = f"{self.name}: its replies do not say what they took: every call counts as the most that it can take"
        return (note,) if self.uncounted else ()

    @property
    def identity(self) -> str:
        """The inner model's."""
        return self.inner.identity

    @property
    def can_choose(self) -> bool:
        """The inner model's."""
        return self.inner.can_choose

    @property
    def can_embed(self) -> bool:
        """The inner model's."""
        return self.inner.can_embed

    @property
    def price(self) -> Price | None:
        """The inner model's."""
        return self.inner.price

    async def complete(self, request: Request) -> Completion:
        """Answer as the inner model does."""
        try:
            answer = await self.inner.complete(request)
        except LlmError as error:
            self.failure = error
            raise
        counted = with_bound(answer, *bound_of(request))
        self.uncounted |= counted is not answer
        self.said.append((request, counted))
        return answer

    async def aclose(self) -> None:
        """Close the inner model."""
        await self.inner.aclose()


async def measured(
    task: Task,
    model: ModelSettings,
    *,
    tests: bool,
    writes: bool,
    embeds: bool = False,
    judge: Overheard | None = None,
) -> Rates:
    """Return a model's rates, by a scored dev row where it ``tests``, a paraphrase where it ``writes``, an embedding.

    A call is sent once, never again. Raises EvoError when it fails.
    """
    llm = Overheard(build_model(model), model.name)
    try:
        notes = await _try_row(task, llm, model, judge) if tests else []
        asked, llm.said = llm.said, []
        notes += await _try_operator(task, llm) if writes else []
        await _try_embedding(task, llm) if embeds else None
    finally:
        await llm.aclose()
    seconds = [reply.latency_s for _, reply in (*asked, *llm.said)]
    latency_s = sum(seconds) / max(1, len(seconds))
    notes = [*(f"{model.name}: {note}" for note in notes), *llm.notes]
    return await _rates(task, asked, llm.said, llm.price, latency_s, notes)


async def guessed(task: Task, model: ModelSettings, judge: Overheard | None = None) -> Rates:
    """Return a model's rates without asking it: from the bytes of one row, and replies of the stand-in's length."""
    options = {"garble": 0.0, "choose": model.is_in_process}
    llm = Overheard(build_model(STAND_IN.model_copy(update={"options": options})))
    await _try_row(task, llm, model, judge)
    guesses = [(request, _guess(request, reply)) for request, reply in llm.said]
    return await _rates(task, guesses, [], None, None, [])


def judge_rates(judge: Overheard, *, offline: bool) -> JudgeRates:
    """Return what the judge's calls took; with ``offline`` a stand-in was overheard, of whom only the bytes count.

    Raises EvoError where it was never asked: nothing is known of it then, and unknown is not free.
    """
    if not judge.said:
        raise EvoError(
            f"{judge.name} was not asked to judge, as the reply to a dev row was empty; give the task's model another "
            "prompt or more max_tokens, or estimate with --offline"
        )
    said = [(request, _guess(request, reply) if offline else reply) for request, reply in judge.said]
    return JudgeRates(
        _mean([reply.prompt_tokens for _, reply in said]),
        VERDICT_TOKENS if offline else _mean([reply.output_tokens for _, reply in said]),
        None if offline else judge.price,
        None if offline else _mean([reply.latency_s for _, reply in said]),
        judge.notes,
    )


def _guess(request: Request, reply: Completion) -> Completion:
    said = reply.text or "".join(request.choices)
    return Completion(reply.text, round(TOKENS_PER_BYTE * _bytes(request.text)), 1 + round(_bytes(said) / 4))


async def _rates(
    task: Task,
    asked: Sequence[tuple[Request, Completion]],
    written: Sequence[tuple[Request, Completion]],
    price: Price | None,
    latency_s: float | None,
    notes: Sequence[str],
) -> Rates:
    both = [*asked, *written]
    sent = sum(_bytes(request.text) for request, _ in both)
    first = probe_prompt(task)
    rows = asked[-1 - len(dict(first.shown).keys() & {*STAGES}) :]  # a prior is asked before
    stand_in = build_model(STAND_IN)
    made_up = [_bytes((await stand_in.complete(request)).text) for request, _ in written]
    return Rates(
        prompt=sum(reply.prompt_tokens for _, reply in both) / sent if sent else TOKENS_PER_BYTE,
        frame=max(0, _bytes(rows[0][0].text) - _own_bytes(first)) if rows else 0,
        reply=_mean([_bytes(reply.text) for _, reply in rows]),
        answer=_mean([reply.output_tokens for _, reply in rows]),
        written=sum(r.output_tokens for _, r in written) / sum(made_up) if sum(made_up) else TOKENS_PER_BYTE,
        price=price,
        latency_s=latency_s,
        notes=tuple(notes),
    )


def probe_prompt(task: Task) -> Prompt:
    """Return the prompt that models are tried with: the first seed, or the description where there is none."""
    return next(iter(task.brief.seeds), Prompt.of(task.brief.description or "Answer."))


async def _try_row(task: Task, llm: Llm, model: ModelSettings, judge: Overheard | None) -> list[str]:
    """Score the dev row of the most usual length; return what is wrong short of an error."""
    build_evaluator: EvaluatorFactory = resolve("evo.evaluators", "rows")
    evaluator = build_evaluator(task, llm, temperature=model.temperature, max_tokens=model.max_tokens, judge=judge)
    dev = task.brief.dev
    sizes = [sum(map(_bytes, example.inputs.values())) for example in dev]
    usual = min(range(len(dev)), key=lambda place: (abs(sizes[place] - _mean(sizes)), place))
    try:
        (outcome,) = (await evaluator.evaluate(probe_prompt(task), [dev[usual].number])).outcomes
    except LlmError as error:
        _refuse_dead(judge)
        raise _dead(model, error) from error
    _refuse_dead(judge)
    if outcome.error.startswith(SCORER):
        return [f"the scorer failed on a dev row: {outcome.error.removeprefix(SCORER)}"]
    if outcome.score is None:
        raise _dead(model, outcome.error)
    if outcome.parsed:
        return []
    return [f"no answer could be read in its reply to a dev row: {outcome.reply!r} ({outcome.reason})"]


async def _try_operator(task: Task, llm: Llm) -> list[str]:
    operator = build("evo.operators", NamedSettings(name="paraphrase"))
    parent = Individual(0, probe_prompt(task), SEED)
    try:
        await operator([parent], llm, child_rng(0, "probe"))
    except OperatorError as error:
        return [f"its reply to an operator's call could not be used: {error}"]
    except LlmError as error:
        raise EvoError(f"{llm.identity} did not answer one operator's call: {error}; nothing more was sent") from error
    return []


async def _try_embedding(task: Task, llm: Llm) -> None:
    try:
        await llm.complete(Request.user(probe_prompt(task).text, embedding=True))
    except LlmError as error:
        raise EvoError(
            f"{llm.identity} did not answer one call for an embedding: {error}; nothing more was sent"
        ) from error


def _refuse_dead(judge: Overheard | None) -> None:
    if judge is not None and judge.failure is not None:
        raise EvoError(
            f"{judge.name} did not judge one reply: {str(judge.failure).rstrip('.')}; nothing more was sent: see that "
            "judge_model is up and its key is right, or estimate with --offline"
        ) from judge.failure


def _dead(model: ModelSettings, error: object) -> EvoError:
    return EvoError(
        f"{model.name} did not answer one dev row: {str(error).rstrip('.')}; nothing more was sent: see that the model "
        "is up and the key is right, or estimate with --offline"
    )


def _own_bytes(prompt: Prompt) -> int:
    """Return the bytes a prompt itself has in a row's first call."""
    texts = [text for name, text in prompt.shown if name not in (*STAGES, EXAMPLES)]
    demos = [f"{demo.input}\n{demo.working}\n{demo.answer}\n\n" for demo in demos_of(prompt)]
    return sum(map(_bytes, [*texts, *demos]))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
