"""A model in miniature whose mixtures are called in every odd way: what the lens must tell apart, or refuse."""

from types import SimpleNamespace

import torch
from torch import nn

from moe_lessons.tracing import RoutingTrace, record_routing

DIM, EXPERTS, VOCAB = 6, 5, 40


class Experts(nn.Module):
    """Matrices, one for each expert, called with tokens, experts and weights in the order that `order` names."""

    def __init__(self, order: str, spoiled: str) -> None:
        super().__init__()
        self.matrices, self.order, self.spoiled = nn.Parameter(torch.randn(EXPERTS, DIM, DIM) / 2), order, spoiled

    def forward(self, first, second, third, more=None):
        given = dict(zip(self.order.split(), (first, second, third), strict=True))
        tokens, chosen, weights = given["tokens"], given["chosen"], given["weights"]
        if self.spoiled == "mask":
            weights, chosen = weights, chosen[:, 0]
        if self.spoiled == "squared":
            weights = weights**2
        made = torch.zeros_like(tokens)
        for rank in range(weights.shape[1]):
            one = torch.einsum("ti,toi->to", tokens, self.matrices[chosen[:, rank]])
            made = made + one * weights[:, rank, None]
        return made


class Gate(nn.Module):
    def __init__(self, says: str, spoiled: str, odd_weights: bool) -> None:
        super().__init__()
        self.top_k, self.says, self.spoiled, self.odd_weights = 2, says, spoiled, odd_weights
        self.weight = nn.Parameter(torch.randn(EXPERTS + (spoiled == "more choices"), DIM) * 2)

    def choose(self, tokens):
        logits = tokens @ self.weight.T
        scores = logits.softmax(dim=-1)
        chosen = scores[:, :EXPERTS].topk(self.top_k).indices
        if self.spoiled == "twice":
            chosen = chosen[:, :1].expand(-1, self.top_k)
        weights = scores.gather(1, chosen)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        if self.odd_weights:
            weights = weights * (1 + chosen)
        return {"logits": logits, "probabilities": scores, "weights": weights, "chosen": chosen}

    def forward(self, tokens):
        answer = self.choose(tokens)
        parts = tuple(answer[part] for part in self.says.split())
        return None if self.spoiled == "silent" else parts if len(parts) > 1 else parts[0]


class Block(nn.Module):
    def __init__(self, order: str, named: bool, says: str, spoiled: str, odd_weights: bool) -> None:
        super().__init__()
        self.experts, self.gate = Experts(order, spoiled), Gate(says, spoiled, odd_weights)
        self.named, self.spoiled = named, spoiled

    def forward(self, hidden):
        tokens = hidden.flatten(0, -2)
        spans = halves(len(tokens)) if self.spoiled == "in parts" else (slice(None),)
        answer = torch.cat([self.routed(tokens[span]) for span in spans])
        self.heard, self.logits = (tokens.detach(), answer.detach()), self.gate.choose(tokens)["logits"].detach()
        return hidden + answer.view_as(hidden)

    def routed(self, tokens):
        routed, said = {"tokens": tokens} | self.gate.choose(tokens), self.gate(tokens)
        if isinstance(said, tuple):  # the very tensors that the router said
            routed |= dict(zip(self.gate.says.split(), said, strict=True))
        if self.spoiled == "mask":
            routed["chosen"] = nn.functional.one_hot(routed["chosen"], EXPERTS)
        return self.ask(routed)

    def ask(self, routed):
        given = [routed[name] for name in self.experts.order.split()]
        more = {"more": routed["weights"] * 2} if self.spoiled == "two weights" else {}
        if self.named:
            return self.experts(**dict(zip(("first", "second", "third"), given, strict=True)), **more)
        return self.experts(*given, **more)


def halves(size: int) -> tuple[slice, slice]:
    return slice(0, size // 2), slice(size // 2, size)


class Model(nn.Module):
    """Two layers of nothing but a mixture."""

    def __init__(
        self,
        order: str = "tokens chosen weights",
        named: bool = False,
        says: str = "logits weights chosen",
        spoiled: str = "",
        odd_weights: bool = False,
        needs: str = "",
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.config = SimpleNamespace(vocab_size=VOCAB, is_encoder_decoder=False, pad_token_id=0)
        self.embedding, self.needs = nn.Embedding(VOCAB, DIM), needs
        self.layers = nn.ModuleList(Block(order, named, says, spoiled, odd_weights) for _ in range(2))

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids, attention_mask=None, pixels=None):
        if self.needs and pixels is None:
            raise TypeError("pixels are missing")
        hidden = self.embedding(input_ids)
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


def recorded(model: nn.Module) -> RoutingTrace:
    """Two sequences of eleven tokens."""
    ids = torch.randint(1, VOCAB, (2, 11), generator=torch.Generator().manual_seed(1))
    with record_routing(model) as trace, torch.no_grad():
        model(ids)
    return trace
