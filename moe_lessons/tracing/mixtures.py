"""Where a model of Hugging Face's `transformers` keeps its mixtures of experts, from its modules alone.

No class is known by name. A mixture is a module of experts that is called with three things, the tokens and the
experts and weights of each; what stands around it in its layer may be its router.
"""

import inspect
import re
from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from moe_lessons.model.router import Router

_ROUTERS = re.compile(r"(Router|Gating|TopKGate)$")  # how the classes of routers are called
_PARTS = re.compile(r"router(_gate)?|(?!.*shared).*experts")  # and the attributes that hold routers and experts


class Mixture(NamedTuple):
    """The experts of one layer, and the modules one of which routes to them."""

    layer: int
    stack: str  # name of the list of layers
    experts: nn.Module
    around: tuple[nn.Module, ...]
    block: nn.Module  # whose child the experts are


def find_mixtures(model: nn.Module) -> list[Mixture]:
    """The mixtures of a model, in the order of its layers; none for a dense model.

    Raises ValueError for a router whose experts are not found, be it one among several, for two mixtures in one
    layer, and for a part of a model, in which layers have no number.
    """
    modules = dict(model.named_modules())
    names = [name for name, module in modules.items() if _takes_routes(name, module)]
    ours = any(isinstance(module, Router) for module in modules.values())
    if ours or _is_router(model) or not all(_place(modules, name) for name in names):
        raise ValueError(f"a {type(model).__name__} is a part of a model, without a layer's number; give the whole")
    mixtures = [_mixture(modules, name) for name in names]
    if unknown := list(_unread(modules, mixtures)):
        also = " in some layers, where half a trace would be wrong" if mixtures else ""
        raise ValueError(
            f"{type(model).__name__} routes with {_name(modules, unknown)}, which tracing does not know{also}: no "
            "experts beside it are called with tokens, experts and weights; use a model whose experts are called so"
        )
    found: dict[int, Mixture] = {}
    shared = _layers_of(model, mixtures)
    for mixture in mixtures:
        if len(layers := shared[id(mixture.experts)]) > 1:
            raise ValueError(
                f"{type(model).__name__} has one mixture for the layers {', '.join(map(str, sorted(layers)))}, which "
                "would be recorded once; use a model whose layers have their own"
            )
        if other := found.get(mixture.layer):
            where = "stacks" if other.stack != mixture.stack else "mixtures"
            raise ValueError(
                f"{type(model).__name__} has two {where} with a router in layer {mixture.layer}; "
                "give the part whose routing you mean"
            )
        found[mixture.layer] = mixture
    return [found[layer] for layer in sorted(found)]


def parts_with_mixtures(model: nn.Module) -> dict[str, nn.Module]:
    """The parts that own a list of layers with experts, by their names: what to record where the whole has several."""
    modules = dict(model.named_modules())
    places = [_place(modules, name) for name, module in modules.items() if _takes_routes(name, module)]
    above = dict.fromkeys(place[0].rpartition(".")[0] for place in places if place)
    return {name: modules[name] for name in above}


def _is_router(module: nn.Module) -> bool:
    return bool(_ROUTERS.search(type(module).__name__))


def _takes_routes(name: str, module: nn.Module) -> bool:
    """Whether it is called with tokens, experts and weights, going by its name and what its forward takes."""
    # An attribute says what its module is for; a class may have "shared" in the name of its family.
    attribute, kind = name.rpartition(".")[2].lower(), type(module).__name__.lower()
    called = attribute if "experts" in attribute else kind if kind.endswith("experts") else ""
    if not called or "shared" in called:
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = inspect.signature(type(module).forward).parameters.values()
    return sum(each.kind in kinds for each in taken) >= 4  # self, tokens, experts, weights


def _place(modules: dict[str, nn.Module], name: str) -> tuple[str, int] | None:
    """From `model.layers.3.mlp.experts`: `model.layers` and 3; None where no list of layers is around it."""
    parts = name.split(".")
    for at, part in enumerate(parts):
        stack = ".".join(parts[:at])
        if part.isdigit() and at > 0 and isinstance(modules[stack], nn.ModuleList):
            return stack, int(part)
    return None


def _layers_of(model: nn.Module, mixtures: list[Mixture]) -> dict[int, set[int]]:
    """By the id of each mixture's experts, the numbers of all layers that hold them."""
    layers: dict[int, set[int]] = {id(mixture.experts): set() for mixture in mixtures}
    modules = dict(model.named_modules(remove_duplicate=False))
    for name, module in modules.items():
        if id(module) in layers and (place := _place(modules, name)):
            layers[id(module)].add(place[1])
    return layers


def _mixture(modules: dict[str, nn.Module], name: str) -> Mixture:
    stack, layer = _place(modules, name) or ("", 0)
    parts, top = name.split("."), len(stack.split(".")) + 1
    around: list[nn.Module] = []
    for depth in range(len(parts) - 1, top - 1, -1):  # from the experts' block out to the layer
        above, within = modules[".".join(parts[:depth])], modules[".".join(parts[: depth + 1])]
        around += [child for child in above.children() if child is not within and not isinstance(child, nn.Linear)]
        around += [child for child in above.children() if child is not within and isinstance(child, nn.Linear)]
    return Mixture(layer, stack, modules[name], tuple(around), modules[".".join(parts[:-1])])


def _unread(modules: dict[str, nn.Module], mixtures: list[Mixture]) -> Iterator[str]:
    """Names of what looks like a router or experts, and belongs to no mixture that was found."""
    read = {id(part) for each in mixtures for part in (*each.around, *each.experts.modules())}
    # What a router keeps inside is its own affair.
    read |= {id(part) for each in mixtures for one in each.around if _is_router(one) for part in one.modules()}
    for name, module in modules.items():
        looks = _is_router(module) or _PARTS.fullmatch(name.rpartition(".")[2])
        if looks and id(module) not in read:
            yield name


def _name(modules: dict[str, nn.Module], unknown: list[str]) -> str:
    """The class that says most about what is unknown: a router's, or that of the block around a plain layer."""
    first = next((name for name in unknown if _is_router(modules[name])), unknown[0])
    module = modules[first]
    if type(module).__module__.startswith("torch.nn"):
        module = modules[first.rpartition(".")[0]]
    return type(module).__name__
