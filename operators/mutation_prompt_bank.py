"""Instructions to change an instruction: the mutation-prompts a population begins with (Promptbreeder's).

Fernando et al. (2023) draw one for each unit; from then on they evolve themselves. The texts are ours. Each is put
in front of the instruction it is to change.
"""

from __future__ import annotations

MUTATION_PROMPTS: tuple[str, ...] = (
    "Rewrite the following instruction so that it is clearer.",
    "Rewrite the following instruction for someone who has never seen such a task.",
    "Change the instruction below so that it leads to fewer careless mistakes.",
    "Make the instruction more precise: say what counts and what does not.",
    "Shorten the instruction to what is needed, without losing anything that matters.",
    "Lengthen the instruction by the one explanation that is missing most.",
    "Add a step of checking the answer to the instruction.",
    "Add a step of planning before the answer to the instruction.",
    "Turn the instruction into a short list of numbered steps.",
    "Turn the steps of the instruction into one flowing sentence.",
    "Say the same thing as this instruction in entirely different words.",
    "Keep the aim of the instruction, but choose another way to reach it.",
    "What does this instruction forget to say? Write it again with that included.",
    "What in this instruction could be misunderstood? Write it again so that it cannot be.",
    "Rewrite the instruction as a very experienced teacher would give it.",
    "Rewrite the instruction as a strict examiner would give it.",
    "Rewrite the instruction as a kind and patient friend would give it.",
    "Rewrite the instruction as a question that makes one think.",
    "Rewrite the instruction as a rule that always holds.",
    "Begin the instruction with the role of someone who is best at such tasks.",
    "Give the instruction a reason: why does a right answer matter?",
    "Add a warning against the most common mistake to the instruction.",
    "Add a rule of thumb that helps in hard cases to the instruction.",
    "Say in the instruction what the answer must look like.",
    "Put the most important part of the instruction first.",
    "Put the most important part of the instruction last, where it is remembered best.",
    "Make the instruction bolder: ask for a definite answer without hedging.",
    "Make the instruction more cautious: ask to look at every detail before deciding.",
    "Replace general words in the instruction by concrete ones.",
    "Replace concrete details in the instruction by the general principle behind them.",
    "Imagine the instruction failed. Write the one that would have worked.",
    "Write the instruction that the author of this one would write after a year of practice.",
    "Combine the instruction with a hint about how to think.",
    "Take away everything in the instruction that does not help, then add one thing that does.",
    "Change the instruction in a way that nobody would expect but that may help.",
    "Make the instruction sound as if a lot depended on the answer.",
    "Split the instruction into what to look for and what to do with it.",
    "Rewrite the instruction so that it first asks to restate the problem.",
    "Rewrite the instruction so that it asks to compare the possible answers with each other.",
    "Rewrite the instruction so that it asks for the evidence before the answer.",
    "Make a variant of the instruction that trusts the first impression.",
    "Make a variant of the instruction that distrusts the first impression.",
    "Criticise the instruction in your mind, and then write a better one.",
    "Write an instruction that gets the same done with half the effort.",
)
