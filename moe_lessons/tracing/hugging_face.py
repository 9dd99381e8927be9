"""Models of Hugging Face's `transformers`, heard and steered as ours are; that library is never imported here.

Their routers return logits, weights and experts as a plain tuple, in no promised order, and keep the rest of their
rule in attributes of their own. What each class means stands in one table, `ROUTERS`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from moe_lessons.model.router import Router, Routing
from moe_lessons.routing_rule import FollowsRule, RoutingRule


def _deepseek_v2(router: nn.Module) -> dict[str, Any]:
    rule = {"normalize": False, "route_scale": router.routed_scaling_factor}
    if router.topk_method == "greedy":
        return rule
    return rule | {"n_groups": router.num_group, "top_groups": router.topk_group, "group_score": "max"}


def _deepseek_v3(router: nn.Module) -> dict[str, Any]:
    return {
        "score_function": "sigmoid",
        "normalize": router.norm_topk_prob,
        "route_scale": router.routed_scaling_factor,
        "n_groups": router.num_group,
        "top_groups": router.topk_group,
    }


# Class of the router -> where its rule differs from a softmax whose k best scores are divided by their sum. gpt-oss and
# Granite take the softmax over the chosen logits only, which is the same number.
ROUTERS: dict[str, Callable[[nn.Module], dict[str, Any]]] = {
    "MixtralTopKRouter": lambda router: {},
    "GptOssTopKRouter": lambda router: {},
    "GraniteMoeTopKRouter": lambda router: {},
    "OlmoeTopKRouter": lambda router: {"normalize": router.norm_topk_prob},
    "Qwen3MoeTopKRouter": lambda router: {"normalize": router.norm_topk_prob},
    "DeepseekV2TopkRouter": _deepseek_v2,
    "DeepseekV3TopkRouter": _deepseek_v3,
}


class _Said(tuple):
    """A router's answer as somebody changed it, with the Routing that it came from: its order of experts is meant."""

    routing: Routing


class ForeignRouter(FollowsRule):
    """One of transformers' routers with the attributes of our Router; its hooks hear and say a Routing."""

    preference = Router.preference

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.rule = RoutingRule(top_k=cast(int, module.top_k), **ROUTERS[type(module).__name__](module))

    @property
    def weight(self) -> Float[Tensor, "experts dim"]:
        return cast(Tensor, self.module.weight)

    @property
    def expert_bias(self) -> Float[Tensor, " experts"] | None:
        return getattr(self.module, "e_score_correction_bias", None)

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False) -> RemovableHandle:
        """As nn.Module's, with a Routing in place of the tuple; what `hook` leaves as it is stays bit-identical."""

        def translated(module: nn.Module, inputs: tuple, output: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            routing = self.understand(output)
            changed = hook(self, inputs, routing)
            if changed is None or changed is routing:
                return None
            logits, weights, experts = output
            said = _Said((logits, changed.weights.to(weights.dtype), changed.experts.to(experts.dtype)))
            said.routing = changed
            return said

        return self.module.register_forward_hook(translated, prepend=prepend)

    def understand(self, output: tuple[Tensor, ...]) -> Routing:
        """What the router returned, as a Routing in float32, best expert first.

        Raises ValueError for another kind of answer, as other versions of transformers give.
        """
        if isinstance(output, _Said):
            return output.routing
        if not (isinstance(output, tuple) and len(output) == 3 and all(isinstance(part, Tensor) for part in output)):
            raise ValueError(
                f"{type(self.module).__name__} did not return logits, weights and experts; "
                "install a version of transformers that tracing knows, such as 5.23"
            )
        logits = output[0].float()
        scores = self.rule.scores(logits)
        wanted = scores.detach() if self.expert_bias is None else scores.detach() + self.expert_bias
        order = wanted.gather(1, output[2]).sort(dim=-1, descending=True, stable=True).indices
        return Routing(output[1].float().gather(1, order), output[2].gather(1, order), scores, logits)

    def __repr__(self) -> str:
        extras = [
            "normalized" if self.normalize else "not normalized",
            f"times {self.route_scale:g}" if self.route_scale != 1 else "",
            f"within {self.top_groups} of {self.n_groups} groups" if self.n_groups > 1 else "",
            "with a bias for the choice" if self.expert_bias is not None else "",
        ]
        rule = ", ".join(filter(None, extras))
        return f"<{type(self.module).__name__}: top {self.top_k} of {len(self.weight)}, {self.score_function}, {rule}>"


def foreign_routers(model: nn.Module) -> dict[int, ForeignRouter]:
    """The routers of one of transformers' models by the number of their layer; none for a dense model.

    Raises ValueError for a model with a router of a class that is not in `ROUTERS`, be it one among several, and for a
    part of a model, in which layers have no number.
    """
    found: dict[int, ForeignRouter] = {}
    unknown = {type(module).__name__ for module in model.modules() if _looks_unknown(module)}
    for name, module in model.named_modules():
        known = type(module).__name__ in ROUTERS
        if isinstance(module, Router) or (known and not any(part.isdigit() for part in name.split("."))):
            raise ValueError(f"a {type(model).__name__} is a part of a model, without a layer's number; give the whole")
        if known:
            layer = int(_stack_and_layer(name)[1])
            if layer in found:
                raise ValueError(f"{type(model).__name__} has two routers in layer {layer}; give one of its parts")
            found[layer] = ForeignRouter(module)
    if unknown:
        also = " in some layers, where half a trace would be wrong" if found else ""
        raise ValueError(
            f"{type(model).__name__} routes with {min(unknown)}, which tracing does not know{also}; "
            f"it knows {', '.join(ROUTERS)}"
        )
    return found


def _looks_unknown(module: nn.Module) -> bool:
    name = type(module).__name__
    return name.endswith(("Router", "Gate", "Gating")) and name not in ROUTERS and not isinstance(module, Router)


class Batch(NamedTuple):
    """The tokens of one forward pass, in the order in which the routers see them."""

    ids: Int[Tensor, " tokens"]  # -1 where the model was given vectors in place of tokens
    position: Int[Tensor, " tokens"]
    sequence: Int[Tensor, " tokens"]
    kept: Bool[Tensor, " tokens"]  # False for padding, which nobody reads


@contextmanager
def foreign_passes(model: nn.Module, begin: Callable[[Batch], None]) -> Iterator[None]:
    """Inside the block, call `begin` for each forward pass as it reaches the first layer.

    Positions are the model's own, also behind a cache, whose later passes continue the sequences of the earlier ones.
    Layers that run again because activations are recomputed begin nothing.
    """
    stack = next(_stack_and_layer(name)[0] for name, each in model.named_modules() if type(each).__name__ in ROUTERS)
    state: dict[str, Any] = {"cache": None, "rows": 0, "first": 0, "waiting": False}

    def enter(module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        mask = named.get("attention_mask", inputs[1] if len(inputs) > 1 else None)
        state.update(mask=mask, ids=None, waiting=True)

    def look_up(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        state["ids"] = inputs[0].detach().cpu()

    def reach(module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        if not state["waiting"]:
            return
        hidden = inputs[0] if inputs else named["hidden_states"]
        rows, time = hidden.shape[:2]
        places = named.get("position_ids")
        places = torch.arange(time)[None] if places is None else places.detach().cpu()
        cache = named.get("past_key_values")
        goes_on = cache is not None and cache is state["cache"] and not (places == 0).any()
        first = state["first"] if goes_on else state["first"] + state["rows"]
        mask, ids = state["mask"], state["ids"]
        has_mask = isinstance(mask, Tensor) and mask.ndim == 2
        batch = Batch(
            ids=torch.full((rows * time,), -1) if ids is None else ids.flatten(),
            position=places.expand(rows, time).flatten(),
            sequence=torch.arange(first, first + rows).repeat_interleave(time),
            kept=mask[:, -time:].bool().cpu().flatten() if has_mask else torch.ones(rows * time, dtype=torch.bool),
        )
        state.update(cache=cache, rows=rows, first=first, waiting=False)
        begin(batch)

    layers = cast(nn.ModuleList, model.get_submodule(stack))
    handles = [
        model.get_submodule(stack.rpartition(".")[0]).register_forward_pre_hook(enter, with_kwargs=True),
        cast(Any, model).get_input_embeddings().register_forward_pre_hook(look_up),
        layers[0].register_forward_pre_hook(reach, with_kwargs=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def logits_of(model: nn.Module, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"]:
    """What a model, ours or theirs, says about each next token."""
    answer = model(ids)
    return answer if isinstance(answer, Tensor) else answer.logits


def longest_text(model: nn.Module) -> int:
    """How many tokens a model, ours or theirs, can read at once."""
    sizes = sizes_of(model)
    return sizes.max_length if hasattr(model, "blocks") else sizes.max_position_embeddings


def sizes_of(model: nn.Module) -> Any:
    """The configuration of a model, ours or theirs; `vocab_size` has the same name in both."""
    return model.config


def _stack_and_layer(name: str) -> tuple[str, str]:
    """From `model.layers.3.mlp.gate`: `model.layers` and `3`."""
    parts = name.split(".")
    at = max(index for index, part in enumerate(parts) if part.isdigit())
    return ".".join(parts[:at]), parts[at]
