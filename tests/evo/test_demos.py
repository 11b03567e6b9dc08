from __future__ import annotations

from evo.demos import Demo, demos_of, with_demos
from evo.model import Prompt


def test_worked_examples_are_a_part_like_others() -> None:
    demos = (Demo("Was für ein Tag!", "praise", row=3), Demo('"{x}"', "question", "It asks.", None))
    prompt = with_demos(Prompt.of("Sort."), demos)
    assert demos_of(prompt) == demos
    assert prompt.text == "Sort."
    assert prompt.hash != Prompt.of("Sort.").hash
    assert demos_of(with_demos(prompt, demos[::-1])) == demos[::-1]
    assert with_demos(prompt, ()) == Prompt.of("Sort.")
    assert demos_of(Prompt.of("Sort.")) == ()
