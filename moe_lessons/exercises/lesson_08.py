"""Lesson 08: keeping the experts evenly busy."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moe_lessons.config import MoEConfig
from moe_lessons.exercises.draws import normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model import load_balance
from moe_lessons.model.router import Router, choose


def evenness(load: Int[Tensor, " experts"]) -> float:
    """Entropy of the load over the entropy of a uniform one: 1 is balance, 0 is one expert doing everything."""
    return load_balance.load_entropy(load)


def auxiliary_loss(logits: Float[Tensor, "tokens experts"], experts: Int[Tensor, "tokens top_k"]) -> Float[Tensor, ""]:
    """experts * sum over experts of (share of all choices) * (mean probability)."""
    return load_balance.balance_loss(logits.softmax(dim=-1), experts)


def model_balance_loss(
    logits: Float[Tensor, "layers tokens experts"],
    experts: Int[Tensor, "layers tokens top_k"],
    real: Bool[Tensor, " tokens"],
) -> Float[Tensor, ""]:
    """The mean over layers of each layer's balance loss, for the tokens that are not padding."""
    each = [auxiliary_loss(one[real], chosen[real]) for one, chosen in zip(logits, experts, strict=True)]
    return torch.stack(each).mean()


def updated_bias(bias: Float[Tensor, " experts"], loads: Int[Tensor, "micro experts"], rate: float) -> Tensor:
    """The bias after one optimizer step, whose load is the sum over its micro-batches."""
    router = Router(1, MoEConfig(n_routed_experts=len(bias), top_k=1, hidden_dim=1, expert_bias=True))
    router.expert_bias = bias.clone()
    load_balance.update_bias(router, loads.sum(dim=0), rate)
    return router.expert_bias


def experts_take(scores: Float[Tensor, "tokens experts"], slots: int) -> Float[Tensor, "tokens experts"]:
    """Each expert's score with the `slots` tokens that score highest with it, 0 elsewhere."""
    return load_balance.expert_choice(scores, slots)


def _loads(rng: np.random.Generator) -> Iterator[tuple]:
    yield (torch.tensor([6, 2, 0, 0]),)
    yield (torch.tensor([5, 5, 5]),)
    yield (torch.tensor([0, 9, 0, 0, 0]),)
    for n_experts in (8, 16):
        yield (torch.from_numpy(rng.multinomial(100, rng.dirichlet(np.ones(n_experts)))),)


def _logits_and_choices(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[2.0, 1.0, 0.0], [1.0, -1.0, 0.5]]), torch.tensor([[0], [0]])
    for tokens, n_experts, top_k in ((6, 4, 2), (10, 8, 3)):
        logits = 2 * normal(rng, tokens, n_experts)
        yield logits, choose(logits, top_k)


def _layers(rng: np.random.Generator) -> Iterator[tuple]:
    # Each layer has a favorite of its own, and the last token is padding.
    logits = torch.tensor([[[3.0, 0, 0], [2, 0, 0], [0, 0, 4]], [[0, 3, 0], [0, 1, 0], [0, 0, 4]]])
    yield logits, logits.argmax(dim=-1, keepdim=True), torch.tensor([True, True, False])
    for layers, tokens, n_experts, top_k in ((3, 8, 4, 2), (2, 12, 6, 2)):
        logits = 2 * normal(rng, layers, tokens, n_experts)
        chosen = torch.stack([choose(layer, top_k) for layer in logits])
        # Padding lies between texts as well as behind the last.
        yield logits, chosen, (torch.arange(tokens) % 4 != 1) & (torch.arange(tokens) < tokens - 1)


def _biases(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.zeros(4), torch.tensor([[5, 1, 1, 1], [1, 1, 1, 5]]), 0.1
    yield torch.tensor([0.2, -0.1, 0.0]), torch.tensor([[3, 3, 3]]), 0.1
    for micro, n_experts in ((1, 6), (4, 8)):
        loads = rng.multinomial(64, rng.dirichlet(np.ones(n_experts)), size=micro)
        yield 0.1 * normal(rng, n_experts), torch.from_numpy(loads), 0.01
    yield torch.zeros(4), torch.tensor([[3, 1, 1, 1], [1, 1, 1, 1]]), 0.1  # the mean, 2.5, is no whole number


def _scores_and_slots(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.625, 0.375]]), 2
    yield torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.25, 0.75]]), 2  # ties
    for tokens, n_experts, slots in ((8, 4, 2), (12, 3, 5)):
        yield normal(rng, tokens, n_experts).softmax(dim=-1), slots


def _entropy(load: Tensor, base: float) -> float:
    share = load.double() / load.sum()
    return float(-torch.special.xlogy(share, share).sum() / np.log(base))


def _share(logits: Tensor, experts: Tensor) -> Tensor:
    return load_balance.expert_load(experts, logits.shape[1]) / experts.numel()


def _over_chosen_only(logits: Tensor, experts: Tensor) -> Tensor:
    scores = logits.softmax(dim=-1)
    kept = torch.zeros_like(scores).scatter(1, experts, scores.gather(1, experts))
    return load_balance.balance_loss(kept, experts)


def _moved(bias: Tensor, load: Tensor, rate: float) -> Tensor:
    return bias + rate * torch.sign(load.float().mean() - load)


def _in_turn(bias: Tensor, loads: Tensor, rate: float) -> Tensor:
    for load in loads:
        bias = _moved(bias, load, rate)
    return bias


def _by_token(scores: Tensor, slots: int) -> Tensor:
    chosen = choose(scores, min(slots, scores.shape[1]))
    return torch.zeros_like(scores).scatter(1, chosen, scores.gather(1, chosen))


EXERCISES = (
    Exercise(
        name="evenness",
        task="Return the entropy of the load, a share of the work for each expert, divided by the entropy of perfect "
        "balance. A share of 0 adds nothing.",
        reference=evenness,
        inputs=_loads,
        mistakes={
            "That is the entropy in nats; divide by the largest one possible, the log of the number of experts.": (
                lambda load: _entropy(load, np.e)
            ),
            "That is the entropy in bits; divide by the largest possible one, in the same unit.": (
                lambda load: _entropy(load, 2)
            ),
            "0 times the logarithm of 0 is nan for a computer; leave idle experts out of the sum.": (
                lambda load: float(-(load / load.sum() * (load / load.sum()).log()).sum() / np.log(len(load)))
            ),
            "The largest entropy is that of all experts, idle ones too: the logarithm of len(load).": lambda load: (
                _entropy(load, float((load > 0).sum())) if (load > 0).sum() > 1 else 0.0
            ),
            "The sign is wrong: logarithms of shares are negative.": lambda load: -_entropy(load, len(load)),
            "You divide by the number of experts; divide by its logarithm.": lambda load: (
                _entropy(load, np.e) / len(load)
            ),
        },
        success="Max over mean looks at the busiest expert alone; this number hears all of them.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.load_balance.load_entropy",),
    ),
    Exercise(
        name="auxiliary_loss",
        task="Return n_experts times the sum over experts of f * p: f is the expert's share of all choices, p its mean "
        "probability over all tokens. A token's probabilities are the softmax of its logits over the experts.",
        reference=auxiliary_loss,
        inputs=_logits_and_choices,
        mistakes={
            "The factor n_experts is missing; with it, perfect balance gives 1 for any number of experts.": (
                lambda logits, experts: auxiliary_loss(logits, experts) / logits.shape[1]
            ),
            "You take the softmax twice; the second one makes all experts look nearly alike.": (
                lambda logits, experts: auxiliary_loss(logits.softmax(dim=-1), experts)
            ),
            "You use raw logits as p; take their softmax over the experts first.": (
                lambda logits, experts: logits.shape[1] * (_share(logits, experts) * logits.mean(dim=0)).sum()
            ),
            "The softmax runs over the tokens; it runs over the experts (dim=-1).": (
                lambda logits, experts: (
                    logits.shape[1] * (_share(logits, experts) * logits.softmax(dim=0).mean(dim=0)).sum()
                )
            ),
            "You average the logits before the softmax; take each token's softmax, then the mean over tokens.": (
                lambda logits, experts: (
                    logits.shape[1] * (_share(logits, experts) * logits.mean(dim=0).softmax(dim=-1)).sum()
                )
            ),
            "p is taken over the chosen experts only, but the idle ones need its gradient most; use all of them.": (
                _over_chosen_only
            ),
            "f is the share of tokens, so it sums to top_k; divide by all choices, tokens times top_k.": (
                lambda logits, experts: auxiliary_loss(logits, experts) * experts.shape[1]
            ),
            "You use the mean probability twice; f counts choices.": (
                lambda logits, experts: logits.shape[1] * logits.softmax(dim=-1).mean(dim=0).square().sum()
            ),
            "You use the counts twice, which no gradient can pass; p is the mean probability.": (
                lambda logits, experts: logits.shape[1] * _share(logits, experts).square().sum()
            ),
            "f counts first choices only; count all top_k of them.": (
                lambda logits, experts: auxiliary_loss(logits, experts[:, :1])
            ),
            "p is summed over the tokens; take the mean, or the loss grows with the batch.": (
                lambda logits, experts: auxiliary_loss(logits, experts) * len(logits)
            ),
        },
        success="f cannot be differentiated and p can: the gradient pushes down the probabilities of busy experts.",
        difficulty=3,
        minutes=12,
        differentiable=True,
        sources=("moe_lessons.model.load_balance.balance_loss",),
    ),
    Exercise(
        name="model_balance_loss",
        task="Find the two bugs: return the mean over layers of each layer's own balance loss (n_experts times the sum "
        "of f * p, as before). Only tokens where `real` is True count; the rest is padding.",
        reference=model_balance_loss,
        inputs=_layers,
        mistakes={
            "Layers are laid together, so that their favorites cancel out, and padding is counted; neither must be.": (
                lambda logits, experts, real: auxiliary_loss(logits.flatten(0, 1), experts.flatten(0, 1))
            ),
            "Padding is counted: all of it looks alike, goes to the same experts and looks like collapse.": (
                lambda logits, experts, real: model_balance_loss(logits, experts, torch.ones_like(real))
            ),
            "Layers are laid together, so that their favorites cancel out; take each layer's loss, then the mean.": (
                lambda logits, experts, real: auxiliary_loss(
                    logits[:, real].flatten(0, 1), experts[:, real].flatten(0, 1)
                )
            ),
            "You add the layers up; take their mean, or the loss grows with the depth.": (
                lambda logits, experts, real: model_balance_loss(logits, experts, real) * len(logits)
            ),
            "f leaves the padding out and p does not; both are about real tokens.": lambda logits, experts, real: (
                torch.stack(
                    [
                        one.shape[1] * (_share(one, chosen[real]) * one.softmax(dim=-1).mean(dim=0)).sum()
                        for one, chosen in zip(logits, experts, strict=True)
                    ]
                ).mean()
            ),
            "p leaves the padding out and f does not; both are about real tokens.": lambda logits, experts, real: (
                torch.stack(
                    [
                        one.shape[1] * (_share(one, chosen) * one[real].softmax(dim=-1).mean(dim=0)).sum()
                        for one, chosen in zip(logits, experts, strict=True)
                    ]
                ).mean()
            ),
            "f is divided by all choices, padding included; divide by those of real tokens.": (
                lambda logits, experts, real: model_balance_loss(logits, experts, real) * real.float().mean()
            ),
            "You take as many tokens from the start as are real, but padding need not come last; index with `real`.": (
                lambda logits, experts, real: model_balance_loss(
                    logits, experts, torch.arange(len(real)) < int(real.sum())
                )
            ),
            "You keep the padding and drop the text: `real` is True for text.": lambda logits, experts, real: (
                model_balance_loss(logits, experts, ~real)
            ),
        },
        success="Two collapsed layers with different favorites looked balanced to that library, and padding looked "
        "collapsed.",
        difficulty=2,
        minutes=8,
        differentiable=True,
        sources=("moe_lessons.model.load_balance.balance_loss",),
    ),
    Exercise(
        name="updated_bias",
        task="Find the two bugs: return the experts' bias after one optimizer step, moved once by `rate`: up for those "
        "with less than the mean load of the whole step, down for those with more, and not at all at the mean.",
        reference=updated_bias,
        inputs=_biases,
        mistakes={
            "The bias moves the wrong way, and once for each micro-batch; it moves once, up for the idle.": (
                lambda bias, loads, rate: _in_turn(bias, loads, -rate)
            ),
            "The bias moves once for each micro-batch; add up the loads of the step first and move it once.": _in_turn,
            "The bias moves the wrong way: an expert with more than the mean must go down.": (
                lambda bias, loads, rate: _moved(bias, loads.sum(dim=0), -rate)
            ),
            "You move by how far the load is off; only the side counts, so take the sign.": (
                lambda bias, loads, rate: bias + rate * (loads.sum(dim=0).float().mean() - loads.sum(dim=0))
            ),
            "You compare the load of the step with the mean of a micro-batch; add up the loads first, for both.": (
                lambda bias, loads, rate: bias + rate * torch.sign(loads.float().mean() - loads.sum(dim=0))
            ),
            "You look at the last micro-batch only; the load of a step is the sum of all.": (
                lambda bias, loads, rate: _moved(bias, loads[-1], rate)
            ),
            "The mean need not be a whole number: with // an expert just below it counts as one at the mean; use /.": (
                lambda bias, loads, rate: bias + rate * torch.sign(loads.sum() // loads.shape[1] - loads.sum(dim=0))
            ),
            "That is the move alone; add it to the bias.": lambda bias, loads, rate: _moved(
                torch.zeros_like(bias), loads.sum(dim=0), rate
            ),
            "You compare with the median; the rule is the mean.": lambda bias, loads, rate: (
                bias + rate * torch.sign(loads.sum(dim=0).float().median() - loads.sum(dim=0))
            ),
            "An expert at the mean stays where it is: its sign is 0.": lambda bias, loads, rate: (
                bias + rate * torch.where(loads.sum(dim=0) < loads.sum(dim=0).float().mean(), 1.0, -1.0)
            ),
        },
        success="With the wrong sign the rich get richer by rule; with a move per micro-batch the rate is not yours.",
        difficulty=2,
        minutes=6,
        sources=("moe_lessons.model.load_balance.update_bias",),
    ),
    Exercise(
        name="experts_take",
        task="Each expert takes the `slots` tokens that score highest with it, a tie going to the earlier token. "
        "Return a matrix like `scores` with the scores of what was taken, and 0 elsewhere.",
        reference=experts_take,
        inputs=_scores_and_slots,
        mistakes={
            "Here each token takes experts; each expert must take tokens: go down the columns (dim=0).": _by_token,
            "You return ones; a token taken counts with its score, through which the router learns.": (
                lambda scores, slots: (experts_take(scores, slots) > 0).float()
            ),
            "Each expert takes its worst tokens; sort in descending order.": lambda scores, slots: (
                (experts_take(1 - scores, slots) > 0) * scores
            ),
            "A tie went to the later token, or to more tokens than there are slots; sort with stable=True.": (
                lambda scores, slots: experts_take(scores.flip(0), slots).flip(0)
            ),
            "Comparing with the score of the last slot takes all that tie with it; take exactly `slots` tokens.": (
                lambda scores, slots: scores * (scores >= scores.sort(dim=0, descending=True).values[slots - 1])
            ),
            "You divide a token's weights by their sum; expert choice takes the scores as they are.": (
                lambda scores, slots: (
                    experts_take(scores, slots) / experts_take(scores, slots).sum(dim=1, keepdim=True).clamp(min=1e-9)
                )
            ),
        },
        success="Perfect balance, and a router that looks at the whole batch, later tokens included.",
        difficulty=2,
        minutes=8,
        differentiable=True,
        sources=("moe_lessons.model.load_balance.expert_choice", "moe_lessons.model.router.choose"),
    ),
)
