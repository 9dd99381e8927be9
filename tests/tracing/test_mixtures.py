"""Where mixtures are found, and what is refused: modules of nobody, made for the case."""

import pytest
import torch
from torch import nn

from moe_lessons.tracing.mixtures import find_mixtures, parts_with_mixtures


class Experts(nn.Module):
    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.matrices = nn.Parameter(torch.randn(size, 6, 6))

    def forward(self, tokens, chosen, weights):
        made = torch.einsum("ti,toi->to", tokens, self.matrices[chosen[:, 0]]) * weights[:, :1]
        for rank in range(1, chosen.shape[1]):
            made = made + torch.einsum("ti,toi->to", tokens, self.matrices[chosen[:, rank]]) * weights[:, rank, None]
        return made


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts, self.chooser = Experts(), nn.Linear(6, 4)


class Layer(nn.Module):
    def __init__(self, block: nn.Module | None = None) -> None:
        super().__init__()
        self.attention, self.mlp = nn.Linear(6, 6), block or Block()


class Stack(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)


class Whole(nn.Module):
    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def test_mixtures_are_found_by_what_they_are_called_with_and_numbered_by_their_list():
    model = Whole(text=Stack(Layer(), Layer(nn.Linear(6, 6)), Layer()))
    found = find_mixtures(model)
    assert [(each.layer, each.stack) for each in found] == [(0, "text.layers"), (2, "text.layers")]
    assert found[1].experts is model.text.layers[2].mlp.experts
    # From the block out to the layer, so a router in another part of the layer is a candidate, too.
    assert found[1].around == (model.text.layers[2].mlp.chooser, model.text.layers[2].attention)


def test_a_dense_model_has_none():
    assert find_mixtures(Stack(Layer(nn.Linear(6, 6)))) == []


def test_experts_that_every_token_shares_are_no_mixture():
    model = Stack(Layer())
    model.layers[0].mlp.shared_experts = Experts()
    assert len(find_mixtures(model)) == 1


def test_experts_beside_no_known_way_are_refused_by_name_alone_or_among_others():
    class TokenRouter(nn.Module):
        pass

    dense = Layer(nn.Linear(6, 6))
    dense.mlp = Whole(router=TokenRouter())
    with pytest.raises(ValueError, match="^Stack routes with TokenRouter, which tracing does not know: no experts"):
        find_mixtures(Stack(dense))
    with pytest.raises(ValueError, match="TokenRouter, which tracing does not know in some layers, where half a trace"):
        find_mixtures(Stack(Layer(), dense))


def test_a_plain_layer_in_a_routers_place_gives_the_name_of_the_block_around_it():
    class MemoryBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router_gate = nn.Linear(6, 4)

    with pytest.raises(ValueError, match="routes with MemoryBlock"):
        find_mixtures(Stack(Layer(MemoryBlock())))


def test_a_list_of_experts_that_nobody_calls_is_refused():
    with pytest.raises(ValueError, match="routes with Whole"):
        find_mixtures(Stack(Layer(Whole(experts=nn.ModuleList([nn.Linear(6, 6)]), gate=nn.Linear(6, 4)))))


def test_two_stacks_or_two_mixtures_in_a_layer_are_refused_and_the_parts_are_known():
    both = Whole(encoder=Stack(Layer()), decoder=Stack(Layer()))
    with pytest.raises(ValueError, match="two stacks with a router in layer 0; give the part whose routing you mean"):
        find_mixtures(both)
    assert parts_with_mixtures(both) == {"encoder": both.encoder, "decoder": both.decoder}
    with pytest.raises(ValueError, match="two mixtures with a router in layer 0"):
        find_mixtures(Stack(Layer(Whole(text=Block(), image=Block()))))


def test_layers_that_share_their_experts_are_refused():
    tied = Layer()
    with pytest.raises(ValueError, match="one mixture for the layers 0, 1, which would be recorded once"):
        find_mixtures(Stack(tied, tied))


def test_a_part_without_a_list_of_layers_is_refused_with_the_advice_to_give_the_whole():
    for part in (Layer(), Block(), Layer().mlp.experts):
        with pytest.raises(ValueError, match=f"^a {type(part).__name__} is a part of a model, .* give the whole$"):
            find_mixtures(part)
