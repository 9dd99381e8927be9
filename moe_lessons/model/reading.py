"""What a layer may know of the tokens it reads besides the numbers that stand for them."""

from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor

from moe_lessons.model.rope import Rotation


class Reading(NamedTuple):
    """The tokens given now, and where in the text they stand."""

    tokens: Int[Tensor, "batch time"]
    start: int  # position of the first
    near: Rotation  # how positions turn attention's queries and keys
    far: Rotation | None  # the same in layers whose entries stand for many tokens; None: there are none
