"""Operators that write prompts, selection, and the search methods built of them. This page is the table of contents."""

from operators.differential import EvoPromptDe
from operators.edits import Edit, PhraseCrossover, Reframe
from operators.generational import EvoPromptGa
from operators.mutation_prompts import FirstOrder
from operators.parsing import between_tags
from operators.promptbreeder import Promptbreeder
from operators.protegi import ProTeGi
from operators.rewrites import CrossoverMutation, DifferentialRecombination, Paraphrase
from operators.seeds import Seed
from operators.selection import best, duel, random_parents, roulette, tournament
from operators.steady_state import SteadyState
from operators.textual_gradients import GradientEdit, TextualGradient

__all__ = [
    "CrossoverMutation",
    "DifferentialRecombination",
    "Edit",
    "EvoPromptDe",
    "EvoPromptGa",
    "FirstOrder",
    "GradientEdit",
    "Paraphrase",
    "PhraseCrossover",
    "ProTeGi",
    "Promptbreeder",
    "Reframe",
    "Seed",
    "SteadyState",
    "TextualGradient",
    "best",
    "between_tags",
    "duel",
    "random_parents",
    "roulette",
    "tournament",
]
