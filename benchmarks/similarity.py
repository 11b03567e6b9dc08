"""How many near-copies, paraphrases and different prompts the filter of near-duplicates drops, by its threshold.

    python benchmarks/similarity.py
    python benchmarks/similarity.py --embedding-model local/smollm2-135m

A near-copy says the same with a word or a comma changed, a paraphrase says it in other words, and different prompts
ask for something else. The filter should drop the first and keep the rest, as a cosine above 0.95 of mean-pooled
sentence embeddings (all-MiniLM-L6-v2, of BERT's family) does on the same pairs:

    near-copies 83 %, one word replaced 32 %, two words replaced 7 %, paraphrases 0 %, different prompts 0 %

The mean-pooled last layer of SmolLM2-135M, made to write and not to compare, drops more at 0.95, but no paraphrase:

    near-copies 100 %, one word replaced 97 %, two words replaced 82 %, paraphrases 0 %, different prompts 0.4 %
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from itertools import combinations

import numpy as np

from evo.plugins import build_model
from evo.settings import ModelSettings
from operators.mutation_prompt_bank import MUTATION_PROMPTS
from operators.similarity import EMBEDDING_THRESHOLD, THRESHOLD, embeddings, similarity

TRIPLES = (
    (
        "Decide whether the review is positive or negative.",
        "Decide whether this review is positive or negative.",
        "Say if the person who wrote the text liked the thing or not.",
    ),
    (
        "Read the review carefully and answer with one word: positive or negative.",
        "Read the review with care and answer with one word: positive or negative.",
        "Study the customer's text closely, then reply good or bad in a single word.",
    ),
    (
        "What is the overall mood of the following text? Give exactly one label.",
        "What is the overall tone of the following text? Give exactly one label.",
        "Choose the one tag that best describes how the passage below feels as a whole.",
    ),
    (
        "You are a film critic. Judge the sentence by its strongest words and say positive or negative.",
        "You are a film critic. Judge this sentence by its strongest words, and say positive or negative.",
        "Imagine you review films for a living: let the most forceful words decide if the verdict is good or bad.",
    ),
    (
        "Weigh the praise against the complaints, then name the sentiment.",
        "Weigh the praises against the complaints, then name the sentiment.",
        "Set what is liked beside what is disliked and state which of them wins.",
    ),
    (
        "If the text is sarcastic, reverse its literal meaning before you label it.",
        "If the text is sarcastic, reverse its literal meaning before labelling it.",
        "Irony turns words round: take the opposite of what is said, and only then choose the class.",
    ),
    (
        "Solve the word problem step by step and give the answer as a number.",
        "Solve the math word problem step by step and give the answer as a number.",
        "Work through the story sum in small stages; finish with a numeral.",
    ),
    (
        "List the quantities in the problem, write an equation, solve it and state the result.",
        "List all quantities in the problem, write an equation, solve it, and state the result.",
        "Note every amount that is mentioned, turn them into a formula, and report what comes out.",
    ),
    (
        "Let us think about this carefully and check each calculation twice.",
        "Let us think about this carefully and check every calculation twice.",
        "Take your time here, and go over all the arithmetic a second time.",
    ),
    (
        "Estimate the answer first, compute it exactly, and compare the two.",
        "Estimate the answer first, then compute it exactly, and compare the two.",
        "Begin with a rough guess; afterwards work out the true value and see if they agree.",
    ),
    (
        "Work backwards from what is asked to what is given.",
        "Work backwards from what is asked for to what is given.",
        "Start at the goal and trace the way to the known facts.",
    ),
    (
        "Ignore numbers that do not matter, and use only those needed for the question.",
        "Ignore the numbers that do not matter, and use only those needed for the question.",
        "Some figures are there to distract; leave them aside and keep the relevant ones.",
    ),
    (
        "Name the topic of the news article: world, sports, business or science.",
        "Name the topic of this news article: world, sports, business, or science.",
        "Which desk of a newspaper would print this piece? Choose one of the four sections.",
    ),
    (
        "Classify the question by the kind of answer it wants: person, place, number or other.",
        "Classify the question by the type of answer it wants: person, place, number or other.",
        "Would a name, a location, a figure or something else satisfy whoever asks? Tell which.",
    ),
    (
        "Look for names of companies and money before you choose a section.",
        "Look for names of companies and for money before you choose a section.",
        "Firms, prices and profits in the text are the clues to decide by.",
    ),
    (
        "Answer yes or no, and nothing else.",
        "Answer with yes or no, and nothing else.",
        "Your whole reply must be a plain agreement or denial.",
    ),
    (
        "Pick the option that is most plausible given common sense.",
        "Pick the option which is most plausible given common sense.",
        "Of the choices, take the one that everyday experience makes likeliest.",
    ),
    (
        "First eliminate the options that cannot be right, then decide among the rest.",
        "First eliminate the options which cannot be right, then decide among the rest.",
        "Cross out whatever is impossible; whichever remains most convincing is your answer.",
    ),
    (
        "Translate the sentence into plain English that a child understands.",
        "Translate the sentence into plain English that a child can understand.",
        "Put the text in words simple enough for a young reader.",
    ),
    (
        "Summarise the paragraph in one sentence without losing a fact.",
        "Summarize the paragraph in one sentence without losing any fact.",
        "Boil the passage down to a single line, but keep every piece of information.",
    ),
    (
        "Explain your reasoning briefly and end with the label in capitals.",
        "Explain your reasoning in brief and end with the label in capitals.",
        "Give a short justification; the class, upper case, comes at the close.",
    ),
    (
        "Treat the message as a support agent would and route it to the right team.",
        "Treat the message as a support agent would, and route it to the right team.",
        "Imagine working at a help desk: which department should get this note?",
    ),
    (
        "Is the statement supported by the passage? Say true, false or unknown.",
        "Is the statement supported by the text? Say true, false or unknown.",
        "Judge from the given paragraph alone if the claim holds, fails or stays open.",
    ),
    (
        "Count the objects one by one, and write down the total.",
        "Count the objects one by one and write down the total.",
        "Tally every item in turn; report how many there are altogether.",
    ),
)
"""A prompt, a near-copy of it, and a paraphrase of it."""

THRESHOLDS = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def pairs() -> dict[str, list[tuple[str, str]]]:
    """Return the pairs of each kind."""
    prompts = [prompt for prompt, _, _ in TRIPLES]
    return {
        "near-copies": [(prompt, copy) for prompt, copy, _ in TRIPLES],
        "1 word replaced": replaced([*prompts, *MUTATION_PROMPTS], 1),
        "2 words replaced": replaced([*prompts, *MUTATION_PROMPTS], 2),
        "paraphrases": [(prompt, paraphrase) for prompt, _, paraphrase in TRIPLES],
        "different prompts": list(combinations(prompts, 2)),
        "mutation-prompts": list(combinations(MUTATION_PROMPTS, 2)),
    }


def replaced(prompts: list[str], count: int) -> list[tuple[str, str]]:
    """Return each prompt with a variant in which ``count`` words are replaced by any words of the others."""
    rng = np.random.default_rng(0)
    words = [word for prompt in prompts for word in prompt.split()]
    found = []
    for prompt in prompts:
        changed = prompt.split()
        for place in rng.choice(len(changed), size=count, replace=False):
            changed[place] = words[int(rng.integers(len(words)))]
        found.append((prompt, " ".join(changed)))
    return found


async def embedded(name: str) -> Callable[[str, str], float]:
    """Return a similarity: the cosine of embeddings by a model. Asks it for one embedding of each text."""
    llm = build_model(ModelSettings(name=name))
    texts = sorted({text for two in pairs().values() for pair in two for text in pair})
    try:
        vectors = dict(zip(texts, await embeddings(texts, llm), strict=True))
    finally:
        await llm.aclose()
    return lambda first, second: float(vectors[first] @ vectors[second])


def main() -> None:
    """Print the share of pairs that each threshold drops."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--embedding-model", help="compare by its embeddings instead of trigrams")
    name = parser.parse_args().embedding_model
    alike = asyncio.run(embedded(name)) if name else similarity
    print(f"{'dropped above':18}" + "".join(f"{threshold:7.2f}" for threshold in THRESHOLDS))
    for kind, two in pairs().items():
        scores = [alike(*pair) for pair in two]
        shares = [sum(score > threshold for score in scores) / len(scores) for threshold in THRESHOLDS]
        print(f"{kind:18}" + "".join(f"{share:7.1%}" for share in shares) + f"   of {len(scores)}")
    print(f"the filter's threshold is {EMBEDDING_THRESHOLD if name else THRESHOLD}")


if __name__ == "__main__":
    main()
