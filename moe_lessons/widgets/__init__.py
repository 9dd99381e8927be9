"""The course's widgets; each is loaded when it is first asked for."""

from importlib import import_module

_HOMES = {
    "RouterView": "router_view",
    "TokenView": "token_view",
    "AttentionView": "attention_view",
    "BudgetView": "budget_view",
    "CostView": "cost_view",
    "SamplingView": "sampling_view",
    "TrainingBoard": "training_board",
    "LoadBoard": "load_board",
    "DropView": "drop_view",
    "ContextView": "context_view",
    "ExpertPlane": "expert_plane",
    "DraftView": "draft_view",
    "Quiz": "quiz",
    "View": "shared.view",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"moe_lessons.widgets.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'moe_lessons.widgets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
