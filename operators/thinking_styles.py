"""Ways of going at a problem, which give a population of prompts its first variety (Promptbreeder's thinking styles).

Fernando et al. (2023) draw one for each prompt of the first population. The texts are ours.
"""

from __future__ import annotations

THINKING_STYLES: tuple[str, ...] = (
    "What exactly is being asked, in the plainest words?",
    "Which parts of the problem matter for the answer, and which can be ignored?",
    "Let us cut the problem into smaller ones and solve these in order.",
    "What would an expert look at first?",
    "What would a careful beginner overlook here?",
    "Suppose the obvious answer is wrong. What would be the reason?",
    "Work backwards: what must hold for each possible answer to be right?",
    "Which assumption is hidden in the question, and does it hold?",
    "Write down what is known and what is not, before anything else.",
    "Think of a similar problem that is easy, solve it, and carry the solution over.",
    "Look at the extreme cases: what happens at the smallest and at the largest?",
    "Which single piece of evidence would settle the matter?",
    "Weigh what speaks for an answer against what speaks against it.",
    "Draw a picture or a table of the situation in your mind.",
    "Who is speaking, to whom, and what do they want?",
    "Read between the lines: what is meant but not said?",
    "Say the problem in your own words before you solve it.",
    "Make a first guess quickly, then try to prove it wrong.",
    "Check the units, the names and the numbers one by one.",
    "How would two people who disagree argue about this?",
    "Rule out what cannot be, and see what is left.",
    "What rule or definition decides such cases?",
    "Is this a matter of fact, of judgement or of calculation?",
    "Keep it short: what is the fewest steps that lead to the answer?",
    "Take it slowly: do one small step at a time and look back after each.",
    "How would you explain the answer to a child?",
    "What pattern do all problems of this kind share?",
    "Consider the whole before the parts.",
    "Consider the parts before the whole.",
    "What happens in which order, and what follows from what?",
    "Which mistake is most often made here, and how is it avoided?",
    "Imagine that much depends on the answer. What would you check twice?",
    "Treat it like a detective: collect clues, then name the one explanation that fits them all.",
    "Treat it like a scientist: form a hypothesis and test it on every detail.",
    "Treat it like a judge: decide by the rules, and give your reason.",
    "What must the answer look like, and in which form is it wanted?",
)
