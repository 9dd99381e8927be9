"""A course from the dense transformer to the mixture of experts, and the small library behind it.

Importing the package is cheap: torch is loaded only when a name that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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

__version__ = "0.1.0"

_HOMES = {
    "ModelConfig": "moe_lessons.config",
    "AttentionConfig": "moe_lessons.config",
    "LatentAttentionConfig": "moe_lessons.config",
    "RopeScaling": "moe_lessons.config",
    "MoEConfig": "moe_lessons.config",
    "TrainConfig": "moe_lessons.config",
    "Transformer": "moe_lessons.model.transformer",
    "measured": "moe_lessons.statements",
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


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'moe_lessons' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
