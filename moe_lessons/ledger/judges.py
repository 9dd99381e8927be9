"""The verdicts on the claims, each a function of the numbers that stand beside it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from moe_lessons.accounting import count_parameters
from moe_lessons.cards import card_names
from moe_lessons.config import ModelConfig
from moe_lessons.ledger.runs import gained_by_settings
from moe_lessons.published.cards import read_card


class Judgment(NamedTuple):
    """What the numbers say to a claim."""

    word: str  # right, half right, wrong or, on the second page, not countable
    why: str


def _active(values: Mapping[str, float]) -> Judgment:
    value = values["09"]
    total = count_parameters(ModelConfig.from_card("deepseek-v3")).total
    word = "right" if abs(value / 37e9 - 1) < 0.02 else "wrong"
    return Judgment(
        word,
        f"{value / 1e9:.1f} of {total / 1e9:.0f} billion, {value / total:.1%}, counted by the code of this course.",
    )


def _by_prompt(values: Mapping[str, float]) -> Judgment:
    here, elsewhere = values["07"], values["13"]
    # Were it the prompt, the token alone would explain next to nothing; were it the token, next to all.
    word = "right" if max(here, elsewhere) < 0.2 else "wrong" if min(here, elsewhere) > 0.9 else "half right"
    return Judgment(
        word,
        f"Experts are chosen anew for every token and layer, and {here:.0%} of that follows from the token alone in "
        f"our model, {elsewhere:.0%} in the one of lesson 13. What came before has a say in the rest.",
    )


def _word(values: Mapping[str, float]) -> Judgment:
    value = values["01"]
    word = "right" if value < 1.2 else "half right" if value < 1.6 else "wrong"
    return Judgment(
        word,
        f"With our small vocabulary a word of English takes {value:.1f} tokens, and other texts take more; large "
        "vocabularies come nearer to one, for English.",
    )


def _cheap(values: Mapping[str, float]) -> Judgment:
    gain, dollars = values["07"], values["12"]
    cheap, explained = dollars < 10, gain > 0
    word = {(True, True): "half right", (True, False): "right", (False, True): "wrong", (False, False): "half right"}
    return Judgment(
        word[cheap, explained],
        f"{'Cheap' if cheap else 'Not cheap'}: {dollars:.2f} million dollars for the final run, at the assumed rent "
        f"and without all runs before it. {'Not unexplained' if explained else 'Unexplained'}: for the same arithmetic "
        f"experts gained {gain:.2f} nats a token in our own pair of models.",
    )


def _more_compute(values: Mapping[str, float]) -> Judgment:
    bought = values["12"]
    seconds, settings = gained_by_settings()
    word = {(True, True): "half right", (True, False): "right", (False, True): "wrong", (False, False): "wrong"}
    return Judgment(
        word[bought > 0, settings > 0.01],
        f"The last doubling bought {bought:.2f} nats a token. But it must be spent well: in the same {seconds:.0f} "
        f"seconds, and on one core in place of two, better settings brought our dense model {settings:.2f} nats "
        "(against one run with the usual ones).",
    )


def _inventive(values: Mapping[str, float]) -> Judgment:
    cache, ahead, fewer = (values[lesson] for lesson in ("10", "11", "15"))
    helped = any(value > 1 for value in (cache, ahead, fewer))
    # Savings can refute the inventions; no number can show what made their makers look for them.
    return Judgment(
        "half right" if helped else "wrong",
        f"A cache {cache:.0f} times smaller than multi-head attention's, {ahead:.1f} tokens a step, {fewer:.1f} times "
        "fewer bytes between machines: inventions that save. That scarcity was the reason their makers say "
        "(arXiv:2505.09343); it is plausible for the link between cards, which was cut, and no number here shows it.",
    )


def _field(values: Mapping[str, float]) -> Judgment:
    sparse = round(values["13"])
    names = [card.name for card in map(read_card, card_names()) if card.is_published]
    strangers = [name for name in names if not name.startswith(("gpt", "gemma", "llama"))]
    word = "right" if sparse == 0 else "half right" if sparse < 3 else "wrong"
    return Judgment(
        word,
        f"{sparse} sparse models stand in the table, and {len(strangers)} of the {len(names)} models that our code "
        "counts are no relatives of the three.",
    )


JUDGES: Mapping[str, Callable[[Mapping[str, float]], Judgment]] = {
    "active-parameters": _active,
    "experts-by-prompt": _by_prompt,
    "token-is-a-word": _word,
    "cheap-and-unexplained": _cheap,
    "more-compute-wins": _more_compute,
    "scarcity-made-inventive": _inventive,
    "the-field": _field,
}
