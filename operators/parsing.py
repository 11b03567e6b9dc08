"""Read the prompt in a model's reply. It fails closed: a reply without a whole tag gives no prompt at all.

Falling back to the whole reply, as common reference code does, makes individuals of refusals and of the
model's working steps.
"""

from __future__ import annotations

import re

from evo.errors import OperatorError

LONGEST = 8_000
"""Most characters of a prompt a model may write."""

_FENCE = re.compile(r"```[\w+-]*[ \t]*\n?(.*?)```", re.DOTALL)
_QUOTES = (('"', '"'), ("'", "'"), ("`", "`"), ("\u201c", "\u201d"), ("\u2018", "\u2019"), ("\u00ab", "\u00bb"))


def between_tags(text: str, tag: str = "prompt", longest: int = LONGEST) -> str:
    """Return what stands between the last opening ``tag`` and the closing tag that follows it.

    Case and spaces in tags are forgiven; a code fence or a pair of quotes around the whole is removed.

    Raises:
        OperatorError: The tag is absent or not closed, or what it holds has no word or over ``longest`` characters.
    """
    name = re.escape(tag)
    openings = list(re.finditer(rf"<\s{{0,8}}{name}\s{{0,8}}>", text, re.IGNORECASE))
    if not openings:
        raise OperatorError(f"expected <{tag}>...</{tag}> in the reply, got no <{tag}>; the call may be tried again")
    start = openings[-1].end()
    closing = re.compile(rf"<\s{{0,8}}/\s{{0,8}}{name}\s{{0,8}}>", re.IGNORECASE).search(text, start)
    if closing is None:
        raise OperatorError(f"expected </{tag}> after <{tag}>, got none; allow more output tokens or try again")
    return _checked(unwrapped(text[start : closing.start()]), tag, longest)


def unwrapped(text: str) -> str:
    """Return ``text`` without white space, one code fence and one pair of quotes around the whole of it."""
    text = text.strip()
    fenced = _FENCE.fullmatch(text)
    if fenced and "```" not in fenced.group(1):
        text = fenced.group(1).strip()
    for left, right in _QUOTES:
        inner = text[1:-1]
        if len(text) > 2 and text[0] == left and text[-1] == right and left not in inner and right not in inner:
            return inner.strip()
    return text


def _checked(text: str, tag: str, longest: int) -> str:
    if not re.search(r"\w", text):
        raise OperatorError(f"expected a prompt between <{tag}> and </{tag}>, got no word; the call may be tried again")
    if len(text) > longest:
        raise OperatorError(f"expected a prompt of at most {longest} characters, got {len(text)}; try again")
    return text


def normalised(text: str) -> str:
    """Return ``text`` as compared with another: case, white space and punctuation at the ends do not count."""
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'`")
