"""F1, ROUGE, BLEU, chrF and SARI against values worked out by hand or published."""

import asyncio
import json
import pickle
import subprocess
import sys

import pytest

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.settings import NamedSettings
from fitness.flaws import row_flaw
from fitness.references import listed, references
from fitness.sari import Sari, sari_parts
from fitness.scorers import make_scorer

ALL = ["f1", "rouge", "bleu", "chrf", "sari"]
SPECIES = "About 95 species are currently accepted ."
SIMPLER = [
    "About 95 species are currently known .",
    "About 95 species are now accepted .",
    "95 species are now accepted .",
]


def score(name: str, reply: str, *targets: str, source: str = "the source", **arguments) -> Score:
    scorer = make_scorer(NamedSettings(name=name, **arguments))
    target = targets[0] if len(targets) == 1 else json.dumps(targets)
    return asyncio.run(scorer(Completion(reply, 1, 1), Example(0, {"input": source}, target)))


@pytest.mark.parametrize("name", ALL)
def test_a_perfect_reply_scores_1_without_a_reason_and_an_empty_one_0_unparsed(name):
    assert score(name, "a quick brown fox jumps high", "a quick brown fox jumps high") == Score(1.0)
    empty = score(name, " ", "a quick fox")
    assert (empty.value, empty.parsed) == (0, False)


@pytest.mark.parametrize("name", ALL)
def test_scorers_are_shipped_as_they_are_and_a_miss_gives_a_short_reason(name):
    scorer = make_scorer(NamedSettings(name=name))
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    result = score(name, "x " * 3_000, "y " * 3_000)
    assert result.value == pytest.approx(0, abs=0.01) or name == "sari"
    assert 0 < len(result.reason) < 400


# --- F1 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "target", "value"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1),
        ("It is the Eiffel Tower", "Eiffel Tower", 2 * 2 / (4 + 2)),
        ("Paris, France", "Paris", 2 / 3),
        ("to be or not to be", "to be", 2 * 2 / (6 + 2)),
        ("Lyon", "Paris", 0),
        ("the", "a", 1),
        ("the", "Paris", 0),
        ("1,000", "1000", 1),
    ],
)
def test_f1_of_words_as_squad_counts_them(reply, target, value):
    assert score("f1", reply, target).value == pytest.approx(value)


def test_the_nearest_of_several_answers_counts():
    result = score("f1", "in the city of Paris", "Lyon", "the city Paris", "Paris France")
    assert result.value == pytest.approx(2 * 2 / (4 + 2))
    assert result.reason == "F1 0.667; expected 'the city Paris'"


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ('["a", "b"]', ("a", "b")),
        ("[1, 2.5]", ("1", "2.5")),
        ("[a]", ("[a]",)),
        ("[]", ("[]",)),
        ('[["a"]]', ('[["a"]]',)),
        ("[true]", ("[true]",)),
        ("[" * 100_000, ("[" * 100_000,)),
        ("a", ("a",)),
    ],
)
def test_a_json_list_of_texts_is_several_references(target, known):
    assert references(target) == known
    assert listed(target) == (known if known != (target,) else ())


# --- ROUGE -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "value"),
    # reply: 4 words, all in the reference of 6; pairs "the cat" of 3 and 5; subsequence "the cat on mat"
    [("rouge1", 2 * 4 / (4 + 6)), ("rouge2", 2 * 1 / (3 + 5)), ("rougeL", 2 * 4 / (4 + 6)), ("rougeLsum", 0.8)],
)
def test_rouge_by_hand(variant, value):
    result = score("rouge", "the cat on mat", "The cat sat on the mat.", "dogs bark", variant=variant)
    assert result.value == pytest.approx(value)
    assert result.reason == f"{variant} {value:.3f}; expected 'The cat sat on the mat.'"


@pytest.mark.parametrize("target", ["東京", "-", '["привет", "мир"]'])
def test_rouge_refuses_rows_of_whose_target_it_sees_nothing(target):
    assert "has no English letter or digit" in row_flaw(make_scorer(NamedSettings(name="rouge")), {}, target)
    assert not row_flaw(make_scorer(NamedSettings(name="rouge")), {}, '["東京", "Tokyo"]')


def test_rouge_knows_stems_when_told():
    assert score("rouge", "cats jumping", "cat jumps").value == 0
    assert score("rouge", "cats jumping", "cat jumps", stem=True).value == 1


# --- BLEU and chrF ---------------------------------------------------------------------------------------------------


def test_bleu_by_hand():
    # all 1- to 3-grams match, there is no 4-gram: only the brevity penalty exp(1 - 4/3) remains
    assert score("bleu", "the cat sat", "the cat sat down").value == pytest.approx(0.716531, abs=1e-6)
    # 1-grams 4/4, 2-grams 2/3, 3-grams 1/2, 4-grams smoothed 1/2: (1 * 2/3 * 1/2 * 1/2) ** (1/4) * exp(1 - 5/4)
    by_hand = (1 / 6) ** 0.25 * 2.718281828**-0.25
    assert score("bleu", "a b c e", "a b c d e").value == pytest.approx(by_hand, abs=1e-6)


def test_bleu_takes_all_references_and_minds_case_unless_told():
    assert score("bleu", "the cat sat down", "the cat", "cat sat down", "the cat sat down").value == 1
    assert score("bleu", "The Cat Sat Down", "the cat sat down").value < 0.5
    assert score("bleu", "The Cat Sat Down", "the cat sat down", ignore_case=True).value == 1
    assert score("bleu", "\u6211\u559c\u6b22\u732b\u732b", "\u6211\u559c\u6b22\u732b\u732b", tokenize="zh").value == 1


def test_chrf_by_hand():
    # characters only: "ab" against "abc": 1-grams P 1 R 2/3, 2-grams P 1 R 1/2, over two orders; F with beta 2
    precision, recall = 1.0, (2 / 3 + 1 / 2) / 2
    by_hand = 5 * precision * recall / (4 * precision + recall)
    assert score("chrf", "ab", "abc", characters=2).value == pytest.approx(by_hand)
    # "a b": 1-grams P 1 R 2/3; words P 1 R 2/3
    assert score("chrf", "a b", "a b c", characters=1, words=1).value == pytest.approx(5 * (2 / 3) / (4 + 2 / 3))


# --- SARI ------------------------------------------------------------------------------------------------------------


def test_sari_of_published_examples():
    reply = "About 95 you now get in ."
    # https://huggingface.co/spaces/evaluate-metric/sari and .../wiki_split
    assert sum(sari_parts(SPECIES, reply, SIMPLER)) / 3 == pytest.approx(0.2695360195360195, abs=1e-12)
    assert sari_parts(SPECIES, reply, SIMPLER) == pytest.approx((0.22527472527472525, 0.08333333333333333, 0.5))
    assert sum(sari_parts(SPECIES, reply, SIMPLER[:1])) / 3 == pytest.approx(0.21805555555555557, abs=1e-12)
    glued = [text.replace(" .", ".") for text in SIMPLER]
    result = score("sari", "About 95 you now get in.", *glued, source=SPECIES.replace(" .", "."))
    assert result.value == pytest.approx(0.2695360195360195)
    assert result.reason.startswith("SARI 0.270 (kept 0.23, added 0.08, deleted 0.50); expected 'About 95 species")


def test_sari_of_one_word_by_hand():
    # 1-grams: nothing kept of "a", asked for "b": keep 1, add F1 0 ("c" for "b"), delete 1; no longer ones
    assert sari_parts("a", "c", ["b"]) == ((1 + 1 + 1 + 1) / 4, (0 + 1 + 1 + 1) / 4, 1)


def test_copying_the_source_is_no_simplification():
    copy, simpler = (score("sari", reply, *SIMPLER, source=SPECIES).value for reply in (SPECIES, SIMPLER[1]))
    assert copy < simpler


def test_sari_needs_its_source_column():
    assert row_flaw(Sari("text"), {"input": "a"}, "b") == "nothing in the scorer's source column 'text'"
    assert not row_flaw(Sari("text"), {"text": "a"}, "b")
    with pytest.raises(ValueError, match="source column 'text'"):
        asyncio.run(Sari("text")(Completion("a", 1, 1), Example(0, {"input": "a"}, "b")))


# --- arguments and packages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("rouge", {"variant": "rouge-l"}, "scorer rouge: unknown variant 'rouge-l'; did you mean 'rougeL'"),
        ("bleu", {"tokenize": "13b"}, "scorer bleu: expected a tokenizer of sacrebleu's, got '13b'"),
        ("chrf", {"characters": 0}, "scorer chrf: expected characters of 1 or more"),
        ("sari", {"source": ""}, "scorer sari: expected the name of a column"),
        ("f1", {"stem": True}, "f1: unknown argument 'stem'"),
    ],
)
def test_unusable_arguments_are_refused(name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_scorer(NamedSettings(name=name, **arguments))


@pytest.mark.parametrize(("name", "package"), [("rouge", "rouge_score"), ("bleu", "sacrebleu"), ("chrf", "sacrebleu")])
def test_a_missing_package_is_named_with_its_extra(name, package, monkeypatch):
    monkeypatch.setattr("fitness.references.find_spec", lambda wanted: None if wanted == package else object())
    with pytest.raises(ConfigError, match=rf"scorer {name}: .*{package}.*prompt-archipelago\[text\]"):
        make_scorer(NamedSettings(name=name))


def test_the_packages_are_not_loaded_before_they_are_used():
    script = "import fitness, fitness.flaws, sys; from fitness import rouge, translation; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()
    assert "fitness.rouge" in loaded
    assert not {"rouge_score", "sacrebleu", "nltk"} & set(loaded)
