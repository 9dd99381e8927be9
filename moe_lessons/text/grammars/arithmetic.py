"""Sums, differences and products, right every time: the operands are free, the answer is not.

The floor of this domain is the entropy of the operands. Whatever a model loses on the answers, it loses because it
cannot calculate.
"""

import math
import random
import re
from dataclasses import dataclass

from moe_lessons.text.grammars.base import Choices, Document

_LINE = re.compile(r"(0|[1-9]\d*)((?: [-+*] (?:0|[1-9]\d*))+) = (-?\d+)")
_STEP = re.compile(r" ([-+*]) (\d+)")


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """Documents of `lines` lines such as `47 + 386 = 433`, `52 * 7 = 364` and `12 + 640 - 75 = 577`.

    Each line is, with equal probability, a sum, a difference, a product or a chain of two signs. An operand's
    number of digits is uniform from 1 to `digits` (to `factor_digits` in a product), then its value is uniform
    among the numbers with so many digits.
    """

    digits: int = 3
    factor_digits: int = 2
    lines: tuple[int, int] = (12, 20)
    name: str = "arithmetic"

    def sample(self, rng: random.Random) -> Document:
        choices = Choices(rng)
        lines = [self._line(choices) for _ in range(choices.integer(*self.lines))]
        return Document("".join(lines), self.name, choices.log_prob)

    def _line(self, choices: Choices) -> str:
        kind = choices.pick(("+", "-", "*", "chain"))
        signs = [choices.pick("+-"), choices.pick("+-")] if kind == "chain" else [kind]
        digits = self.factor_digits if kind == "*" else self.digits
        answer = self._operand(choices, digits)
        line = str(answer)
        for sign in signs:
            operand = self._operand(choices, digits)
            answer = {"+": answer + operand, "-": answer - operand, "*": answer * operand}[sign]
            line += f" {sign} {operand}"
        return f"{line} = {answer}\n"

    def _operand(self, choices: Choices, digits: int) -> int:
        length = choices.integer(1, digits)
        # zero counts among the one-digit numbers
        return choices.integer(10 ** (length - 1) if length > 1 else 0, 10**length - 1)

    def log_prob(self, text: str) -> float:
        """Nats; -inf for a text with a wrong answer or of another form."""
        if not text.endswith("\n"):
            return -math.inf
        lines = text[:-1].split("\n")
        low, high = self.lines
        if not low <= len(lines) <= high:
            return -math.inf
        return sum(map(self._line_log_prob, lines), -math.log(high - low + 1))

    def _line_log_prob(self, line: str) -> float:
        match = _LINE.fullmatch(line)
        if match is None or not line.isascii():
            return -math.inf
        steps = _STEP.findall(match[2])
        signs = "".join(sign for sign, _ in steps)
        if signs not in {"+", "-", "*", "++", "+-", "-+", "--"}:
            return -math.inf
        limit = self.factor_digits if signs == "*" else self.digits
        operands = [match[1], *(operand for _, operand in steps)]
        total = int(operands[0])
        for sign, operand in steps:
            total = total * int(operand) if sign == "*" else total + int(sign + operand)
        if str(total) != match[3] or max(map(len, operands)) > limit:
            return -math.inf
        result = -math.log(4) - math.log(2) * (len(signs) if len(signs) == 2 else 0)
        for operand in operands:
            same_length = 10 if len(operand) == 1 else 9 * 10 ** (len(operand) - 1)
            result -= math.log(limit) + math.log(same_length)
        return result
