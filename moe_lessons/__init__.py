"""A course from the dense transformer to the mixture of experts, and the small library behind it.

Importing the package is cheap: torch is loaded only when a name that needs it is first used.
"""

from typing import TYPE_CHECKING

from moe_lessons.lazy import lazy

if TYPE_CHECKING:
    from moe_lessons.config import (
        AttentionConfig,
        LatentAttentionConfig,
        ModelConfig,
        MoEConfig,
        RopeScaling,
        TrainConfig,
    )
    from moe_lessons.model.transformer import Transformer
    from moe_lessons.statements import measured

__version__ = "0.2.0.dev0"  # the one place; `python -m moe_lessons.authoring release` moves it

_HOMES = {
    "ModelConfig": "config",
    "AttentionConfig": "config",
    "LatentAttentionConfig": "config",
    "RopeScaling": "config",
    "MoEConfig": "config",
    "TrainConfig": "config",
    "Transformer": "model.transformer",
    "measured": "statements",
}
__all__ = [
    "AttentionConfig",
    "LatentAttentionConfig",
    "MoEConfig",
    "ModelConfig",
    "RopeScaling",
    "TrainConfig",
    "Transformer",
    "__version__",
    "measured",
]

__getattr__ = lazy(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
