"""Reading an answer in what a model wrote: a label, a number, whole words. Model output is untrusted text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

_NO_UNITS: Mapping[str, float] = {}
ASCII = str.maketrans({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2212: "-", 0x00A0: " "})
WRAPPERS = {"(": ")", "[": "]", "{": "}", "<": ">", "«": "»"} | {mark: mark for mark in "\"'`*_"}
SENTENCE_ENDS = ".,;:!?。"

NUMBER = re.compile(
    r"""(?<!\w)(?<!\d\.)(?<![A-Za-z]-)   # not inside a word, a version or a name such as GPT-4
    (?P<sign>[-+]?)[$€£¥]?(?P<minus>-?)
    (?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!,?\d) | \d+(?:\.\d+)? | (?<!\.)\.\d+)
    (?P<power>[eE][-+]?\d{1,3}(?!\w))?""",
    re.VERBOSE,
)
ANSWER_LINE = re.compile(
    r"^\W{0,20}(?:the\s|my\s)?(?:final\s)?answer\b\W{0,20}(?:is\b\W{0,20})?(.+)$", re.IGNORECASE | re.MULTILINE
)
NEGATION = re.compile(
    r"\b(?:no\b(?:[^\w.,;:!?\n]+\w+)?|(?:not|never|neither|nor|non|cannot|without|hardly|\w+n't)\b"
    r"(?:[^\w.,;:!?\n]+\w+){0,3})[^\w.,;:!?\n]*$",
    re.IGNORECASE,
)
"""A negation at most three words before the end, in the same clause."""


def plain(text: str) -> str:
    """Return text composed (NFC), with typographic quotes, minus signs and spaces as their ASCII kin."""
    return text if text.isascii() else unicodedata.normalize("NFC", text).translate(ASCII)


def tidy(text: str) -> str:
    """Return text on one line without the quotes, brackets or marks around all of it, or closing punctuation."""
    text = " ".join(plain(text).split())
    while text:
        shorter = text.rstrip(SENTENCE_ENDS).rstrip()
        if len(shorter) > 1 and WRAPPERS.get(shorter[0]) == shorter[-1]:
            shorter = shorter[1:-1].strip()
        if shorter in ("", text):
            return text
        text = shorter
    return text


def number_in(text: str, units: Mapping[str, float] = _NO_UNITS) -> float | None:
    """Return the first number after the last ``####``, else the last number in the text; None without a number.

    Thousands separators, signs, decimals, currency signs and exponents are understood, and ``units`` right after it,
    which multiply it.
    """
    text = plain(text)
    _, mark, tail = text.rpartition("####")
    found = NUMBER.search(tail) if mark else None
    if found is None:
        found = next(reversed(list(NUMBER.finditer(text))), None)
    if found is None:
        return None
    sign = -1.0 if "-" in (found["sign"], found["minus"]) else 1.0
    value = sign * float(found["digits"].replace(",", "") + (found["power"] or ""))
    return value * _factor(found.string[found.end() :], units) if units else value


def _factor(after: str, units: Mapping[str, float]) -> float:
    unit = re.match(r"\s*(" + "|".join(map(re.escape, _longest_first(list(units)))) + r")(?!\w)", after)
    return units[unit[1]] if unit else 1.0


def has_words(text: str, words: str, ignore_case: bool) -> bool:
    """Return whether ``words`` occur in the text as whole words, spacing aside; a number never inside another."""
    return _finder((words,), ignore_case).search(plain(text)) is not None


def label_in(text: str, labels: Sequence[str]) -> str | None:
    """Return the one label the text names, None when it names none, several, or one under a negation.

    The first line counts before a line that begins with ``Answer:``, that one before the whole text. Case is
    ignored unless two labels differ by case alone. A label in brackets, ``(A)``, is also known by its letter.
    """
    text = plain(text)
    ignore_case = len({label.casefold() for label in labels}) == len(labels)
    key = str.casefold if ignore_case else str
    whole = {key(tidy(label)): label for label in reversed(labels)}.get(key(tidy(text)))
    if whole is not None:
        return whole
    first = next((line for line in text.splitlines() if line.strip()), "")
    answers = ANSWER_LINE.findall(text)
    for zone in (first, answers[-1] if answers else "", text):
        named = _named(zone, labels, ignore_case) or _by_letter(zone, labels)
        if len(named) == 1:
            return next(iter(named))
        if named and not answers:
            return None
    return None


def _named(text: str, labels: Sequence[str], ignore_case: bool) -> set[str | None]:
    """Return the labels the text names; a negated one beside None, so that it never stands alone."""
    by_group = _longest_first(labels)
    named: set[str | None] = set()
    for found in _finder(tuple(labels), ignore_case).finditer(text):
        named.add(by_group[(found.lastindex or 1) - 1])
        if NEGATION.search(text[max(0, found.start() - 80) : found.start()]):
            named.add(None)
    return named


def _by_letter(text: str, labels: Sequence[str]) -> set[str | None]:
    """Return labels such as ``(A)`` that are named without brackets, where the letter cannot be the article."""
    bare = {tidy(label): label for label in labels if tidy(label) != label}
    if not bare:
        return set()
    return {bare[found["opening"] or found["told"]] for found in _letter_finder(tuple(bare)).finditer(text)}


@lru_cache(maxsize=4096)
def _letter_finder(names: tuple[str, ...]) -> re.Pattern[str]:
    letter = "|".join(map(re.escape, names))
    opening = rf"^\W{{0,5}}(?P<opening>{letter})(?=\W{{0,5}}$|[).:\]](?!\d))"
    told = rf"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice)(?:\s+is)?\W{{1,5}}(?P<told>{letter})(?!\w|[.,]\d)"
    return re.compile(f"{opening}|{told}")


def _longest_first(names: Sequence[str]) -> list[str]:
    return sorted(names, key=len, reverse=True)  # so that "very positive" is never read as "positive"


@lru_cache(maxsize=4096)
def _finder(names: tuple[str, ...], ignore_case: bool) -> re.Pattern[str]:
    alternatives = "|".join(f"({_bounded(name)})" for name in _longest_first(names))
    return re.compile(alternatives, re.IGNORECASE if ignore_case else 0)


def _bounded(name: str) -> str:
    body = r"\s+".join(map(re.escape, plain(name).split()))
    before = r"(?<![\w-])(?<!\d[.,])" if _needs_boundary(name[:1]) else ""
    after = r"(?![\w-])(?![.,]\d)" if _needs_boundary(name[-1:]) else ""
    return f"{before}{body}{after}"


def _needs_boundary(letter: str) -> bool:
    return letter < "\u2e80"  # from there on: scripts written without spaces between words
