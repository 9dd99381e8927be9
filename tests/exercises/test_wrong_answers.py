"""Wrong answers that were once accepted, and known mistakes that another slip once hid."""

import math

import numpy as np
import pytest
import torch

from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.checking import examine
from moe_lessons.model.rope import rotate

pytestmark = pytest.mark.usefixtures("cache")


# Each was once accepted; the last case of its exercise, or one near it, tells it from the right answer.
ONCE_ACCEPTED = [
    ("01.merge", "digits, not ids", lambda ids, pair, new_id: [
        int(i) for i in " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id)).split()]),
    ("03.parameters", "dim // n_heads", lambda config: (
        (2 - config.tie_embeddings) * config.vocab_size * config.dim + config.dim + config.n_layers * (
            2 * config.dim * config.dim + 2 * config.dim * config.attention.n_kv_heads
            * (config.dim // config.attention.n_heads) + 3 * config.dim * config.hidden_dim + 2 * config.dim))),
    ("04.top_p", "<= at exactly p", lambda probabilities, p: (lambda values, order: (lambda kept: kept / kept.sum())(
        torch.zeros_like(probabilities).scatter(0, order, values * (values.cumsum(0) - values <= p))))(
            *probabilities.sort(descending=True))),
    ("06.after_dropping", "weights of 0", lambda weights, kept: (weights * kept, int((weights * kept == 0).sum()))),
    ("07.chosen_weights", "the best experts", lambda scores, experts, normalize, route_scale: (lambda best: (
        best / best.sum(-1, keepdim=True) if normalize else best) * route_scale)(scores.topk(experts.shape[1]).values)),
    ("08.model_balance_loss", "padding last", lambda logits, experts, real: find("08.model_balance_loss").reference(
        logits, experts, torch.arange(len(real)) < real.sum())),
    ("08.updated_bias", "//", lambda bias, loads, rate: (lambda total: bias + rate * (
        total.sum() // len(total) - total).sign())(loads.sum(0))),
    ("09.machines", "median", lambda experts, size: float(
        np.median([len(set(row)) for row in (experts // size).tolist()]))),
    ("10.conversation_bytes", "dim // n_heads", lambda config, tokens, size: config.n_layers * tokens * size * (
        config.attention.kv_lora_rank + config.attention.qk_rope_head_dim if hasattr(config.attention, "kv_lora_rank")
        else 2 * config.attention.n_kv_heads * (config.dim // config.attention.n_heads))),
    ("10.keep", "no epsilon", lambda compressed, rope_key, gain, by: (
        compressed / compressed.square().mean(-1, keepdim=True).sqrt() * gain, rotate(rope_key[:, None], by)[:, 0])),
    ("10.absorbing_is_cheaper", "<=", lambda new, time, latent, nope, value, rope: (
        new * latent * (nope + value) + new * time * (2 * latent + rope)
        <= time * latent * (nope + value) + new * time * (nope + rope + value))),
    ("11.acceptance", "0 / 0", lambda p, q: ((p / q).clamp(max=1) * q).sum()),
    ("12.training_price", "int", lambda active, tokens, peak, used, price: (
        (hours := int(6 * active * tokens / peak / used / 3600)), hours * price)),
    ("12.training_price", "int of the price's hours", lambda active, tokens, peak, used, price: (
        (hours := 6 * active * tokens / peak / used / 3600), int(hours) * price)),
    ("12.tiled", "0 / 0", lambda numbers, width: (lambda tiles: (lambda scales: (
        (tiles / scales).to(torch.float8_e4m3fn).float() * scales).flatten(1))(
            tiles.abs().amax(-1, keepdim=True) / 448))(numbers.unflatten(1, (-1, width)))),
    ("12.frontier", "ties", lambda compute, loss: [
        i for i in sorted(range(len(loss)), key=lambda i: compute[i])
        if all(loss[i] < loss[j] for j in range(len(loss)) if compute[j] < compute[i])]),
    ("12.lru_loads", "a hit does not refresh a full shelf", lambda requests, slots: (lambda there: sum(
        expert not in there and (there.append(expert), slots < len(there) and there.pop(0)) is not None
        for expert in requests))([])),
    ("15.come_home", "only tokens with business", lambda returned, business: torch.stack([
        returned[torch.where(business.T)[1] == token].sum(0) for token in torch.where(business.T)[1].unique()])),
    ("13.understand", "renormalized", lambda weights, experts, wanted: (lambda best, chosen: (
        best / best.sum(-1, keepdim=True), chosen))(*find("13.understand").reference(weights, experts, wanted))),
    ("13.beyond", "labels as text", lambda experts, domains, tokens: find("13.beyond").reference(
        experts, np.zeros_like(domains), np.array([int(f"{t}{d}") for t, d in zip(tokens, domains, strict=True)]))),
    ("13.route_without", "0 for -inf", lambda scores, bias, off, top_k: (lambda chosen: (
        scores.gather(1, chosen) / scores.gather(1, chosen).sum(1, keepdim=True), chosen))(
            (scores + bias).index_fill(1, torch.tensor([off]), 0.0).topk(top_k).indices)),
    ("13.route_without", "-1 for -inf", lambda scores, bias, off, top_k: (lambda chosen: (
        scores.gather(1, chosen) / scores.gather(1, chosen).sum(1, keepdim=True), chosen))(
            (scores + bias).index_fill(1, torch.tensor([off]), -1.0).topk(top_k).indices)),
    ("14.looks_ahead", "weights only", lambda route, hidden, n: not torch.allclose(
        route(hidden)[0][:n], route(torch.cat([hidden[:n], -3 * hidden[n:].flip(0) + 1]))[0][:n])),
    ("14.looks_ahead", "sums of weights", lambda route, hidden, n: not torch.allclose(
        route(hidden)[0][:n].sum(1), route(torch.cat([hidden[:n], -3 * hidden[n:].flip(0) + 1]))[0][:n].sum(1))),
    ("14.looks_ahead", "suffix cut off", lambda route, hidden, n: not all(
        torch.allclose(a[:n].float(), b.float()) for a, b in zip(route(hidden), route(hidden[:n]), strict=True))),
    ("14.looks_ahead", "suffix doubled", lambda route, hidden, n: not all(
        torch.allclose(a[:n].float(), b[:n].float())
        for a, b in zip(route(hidden), route(torch.cat([hidden, hidden[n:]])), strict=True))),
    ("14.looks_ahead", "suffix scaled", lambda route, hidden, n: not all(
        torch.allclose(a[:n].float(), b[:n].float())
        for a, b in zip(route(hidden), route(torch.cat([hidden[:n], 2 * hidden[n:]])), strict=True))),
    ("14.fewest_experts", "normalized", lambda scores, p: find("14.fewest_experts").reference(
        scores / scores.sum(1, keepdim=True), p)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "slip", "attempt"), ONCE_ACCEPTED, ids=[f"{n}-{slip}" for n, slip, _ in ONCE_ACCEPTED]
)
def test_a_wrong_function_that_was_once_accepted_is_refused(name, slip, attempt):
    assert examine(name, attempt).state == "not yet"


def test_a_second_slip_in_one_case_does_not_hide_a_known_mistake():
    def evenness(load):
        share = load / load.sum()
        share = share[share > 0]
        return -(share * share.log()).sum() / math.log(len(share)) if len(share) > 1 else float("nan")

    assert "The largest entropy is that of all experts" in examine("08.evenness", evenness).line


def test_a_lost_gradient_does_not_hide_a_known_mistake():
    hint, mistake = next(iter(find("05.mixture").mistakes.items()))
    assert hint in examine("05.mixture", lambda logits, answers, top_k: mistake(logits, answers, top_k).detach()).line


def test_a_wrong_dtype_does_not_hide_a_known_mistake():
    for name in ("03.rms_norm", "05.mixture", "08.evenness"):
        for hint, mistake in find(name).mistakes.items():
            as_doubles = examine(name, lambda *case, mistake=mistake: as_double(mistake(*case)))
            gradient_alone = "detach" in hint or "cut off" in hint
            assert hint in as_doubles.line or gradient_alone, as_doubles.line


def as_double(value):
    return np.float64(value) if isinstance(value, float) else value.double()
