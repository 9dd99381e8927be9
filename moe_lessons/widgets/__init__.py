"""The course's widgets; each is loaded when it is first asked for."""

from typing import TYPE_CHECKING

from moe_lessons.lazy import lazy

if TYPE_CHECKING:
    from moe_lessons.widgets.attention_view import AttentionView
    from moe_lessons.widgets.budget_view import BudgetView
    from moe_lessons.widgets.context_view import ContextView
    from moe_lessons.widgets.cost_view import CostView
    from moe_lessons.widgets.draft_view import DraftView
    from moe_lessons.widgets.drop_view import DropView
    from moe_lessons.widgets.expert_plane import ExpertPlane
    from moe_lessons.widgets.keys_view import KeysView
    from moe_lessons.widgets.load_board import LoadBoard
    from moe_lessons.widgets.placement_view import PlacementView
    from moe_lessons.widgets.prediction_view import PredictionView
    from moe_lessons.widgets.quiz import Quiz
    from moe_lessons.widgets.router_view import RouterView
    from moe_lessons.widgets.sampling_view import SamplingView
    from moe_lessons.widgets.shared.view import View
    from moe_lessons.widgets.slots_view import SlotsView
    from moe_lessons.widgets.streams_view import StreamsView
    from moe_lessons.widgets.token_view import TokenView
    from moe_lessons.widgets.training_board import TrainingBoard

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
    "PlacementView": "placement_view",
    "SlotsView": "slots_view",
    "PredictionView": "prediction_view",
    "KeysView": "keys_view",
    "StreamsView": "streams_view",
    "Quiz": "quiz",
    "View": "shared.view",
}
__all__ = [
    "AttentionView",
    "BudgetView",
    "ContextView",
    "CostView",
    "DraftView",
    "DropView",
    "ExpertPlane",
    "KeysView",
    "LoadBoard",
    "PlacementView",
    "PredictionView",
    "Quiz",
    "RouterView",
    "SamplingView",
    "SlotsView",
    "StreamsView",
    "TokenView",
    "TrainingBoard",
    "View",
]

__getattr__ = lazy(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
