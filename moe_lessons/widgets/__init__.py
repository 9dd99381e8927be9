"""The course's widgets; each is loaded when it is first asked for."""

from moe_lessons.lazy import lazy

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

__getattr__ = lazy(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
