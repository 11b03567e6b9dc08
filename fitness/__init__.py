"""What a prompt is worth: rows, tasks, scorers, evaluation, racing, and models behind one protocol.

The models are `fitness.llm` (LiteLLM), `fitness.local` (llama.cpp in this process) and `fitness.fake` (none at
all, for tests). They are not imported here, so that nothing heavy is loaded before it is used.
"""

from fitness.datasets import Rows, read_rows
from fitness.evaluator import RowEvaluator
from fitness.fake import FakeLlm, toy_rows
from fitness.function_scorer import FunctionScorer
from fitness.racing import Full, Subset
from fitness.scorers import Choice, Contains, Exact, Numeric, Regex, make_scorer
from fitness.splits import Splits, split_rows
from fitness.target_likelihood import Likelihood
from fitness.tasks import RowTask, load_task

__all__ = [
    "Choice",
    "Contains",
    "Exact",
    "FakeLlm",
    "Full",
    "FunctionScorer",
    "Likelihood",
    "Numeric",
    "Regex",
    "RowEvaluator",
    "RowTask",
    "Rows",
    "Splits",
    "Subset",
    "load_task",
    "make_scorer",
    "read_rows",
    "split_rows",
    "toy_rows",
]
