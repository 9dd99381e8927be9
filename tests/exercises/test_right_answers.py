"""Right answers pass, however they are written."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.checking import examine
from moe_lessons.model.rope import rotate

pytestmark = pytest.mark.usefixtures("cache")


def test_other_right_ways_pass():
    def attention_weights(queries, keys):
        weights = torch.zeros(*queries.shape[:2], queries.shape[1])
        for head in range(queries.shape[0]):
            for i in range(queries.shape[1]):
                scores = torch.stack([queries[head, i] @ keys[head, j] for j in range(i + 1)])
                weights[head, i, : i + 1] = F.softmax(scores / math.sqrt(queries.shape[2]), dim=0)
        return weights

    def window_weights(queries, keys, window):
        weights = torch.zeros(*queries.shape[:2], queries.shape[1])
        for i in range(queries.shape[1]):
            seen = slice(max(0, i - window + 1), i + 1)
            scores = torch.einsum("hd,htd->ht", queries[:, i], keys[:, seen]) / math.sqrt(queries.shape[2])
            weights[:, i, seen] = scores.softmax(dim=-1)
        return weights

    def cache_bytes(n_layers, n_heads, n_kv_heads, head_dim, tokens, bytes_per_number):
        one = n_kv_heads * head_dim * bytes_per_number
        return sum(one + one for _ in range(n_layers)) * tokens

    def rotate_neighbors(vectors, angles):
        turned = torch.view_as_complex(vectors.unflatten(1, (-1, 2))) * torch.exp(1j * angles)
        return torch.view_as_real(turned).flatten(1)

    def rms_norm(hidden, weight, eps):
        return hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + eps) * weight

    def swiglu(hidden, gate, up, down):
        opened = hidden @ gate.T
        return (opened * torch.sigmoid(opened) * (hidden @ up.T)) @ down.T

    def block(hidden, n_heads, query, key, value, output, gate, up, down):
        def unit(vector):
            return vector / torch.sqrt((vector * vector).mean() + 1e-5)

        after, width = [], hidden.shape[1] // n_heads
        for t in range(len(hidden)):
            past, heads = [unit(vector) for vector in hidden[: t + 1]], []
            for h in range(n_heads):
                rows = slice(h * width, (h + 1) * width)
                q = query[rows] @ past[-1]
                scores = torch.stack([q @ (key[rows] @ vector) / math.sqrt(width) for vector in past])
                shares = torch.exp(scores) / torch.exp(scores).sum()
                heads.append(sum(share * (value[rows] @ vector) for share, vector in zip(shares, past, strict=True)))
            vector = hidden[t] + output @ torch.cat(heads)
            opened = gate @ unit(vector)
            after.append(vector + down @ (opened / (1 + torch.exp(-opened)) * (up @ unit(vector))))
        return torch.stack(after)

    def route(logits, top_k):
        best = logits.topk(top_k)
        return best.values.softmax(dim=-1), best.indices

    def biased_route(scores, bias, top_k):
        experts = torch.topk(scores + bias, top_k).indices
        weights = torch.stack([row[chosen] for row, chosen in zip(scores, experts, strict=True)])
        return [weights / weights.sum(1, keepdim=True), experts]

    def max_over_mean(experts, n_experts):
        load = [int((experts == e).sum()) for e in range(n_experts)]
        return max(load) * n_experts / sum(load)

    def evenness(load):
        shares = [tokens / sum(load.tolist()) for tokens in load.tolist() if tokens]
        return sum(share * math.log(1 / share) for share in shares) / math.log(len(load))

    def model_balance_loss(logits, experts, real):
        losses = [auxiliary_loss(logits[i][real], experts[i][real]) for i in range(len(logits))]
        return sum(losses) / len(losses)

    def updated_bias(bias, loads, rate):
        total = loads.sum(0).tolist()
        mean = sum(total) / len(total)
        return torch.tensor([b + rate * ((t < mean) - (t > mean)) for b, t in zip(bias.tolist(), total, strict=True)])

    def experts_take(scores, slots):
        taken = torch.zeros_like(scores, dtype=torch.bool)
        for e in range(scores.shape[1]):
            best = sorted(range(len(scores)), key=lambda token: (-scores[token, e].item(), token))
            taken[best[:slots], e] = True
        return torch.where(taken, scores, 0)

    def auxiliary_loss(logits, experts):
        n_experts = logits.shape[1]
        share = F.one_hot(experts, n_experts).float().mean(dim=(0, 1))
        return n_experts * share @ torch.exp(logits - logits.logsumexp(1, keepdim=True)).mean(0)

    def top_p(probabilities, p):
        kept = torch.zeros_like(probabilities)
        for token in probabilities.argsort(descending=True):
            if kept.sum() >= p:
                break
            kept[token] = probabilities[token]
        return kept / kept.sum()

    def merge(ids, pair, new_id):
        out = []
        for token in ids:
            out.append(token)
            if tuple(out[-2:]) == pair:
                out[-2:] = [new_id]
        return out

    def expert_pairs(experts):
        return len(np.unique(np.sort(experts, axis=1), axis=0))

    def expert_load(experts, n_experts):
        return np.array([(experts == e).sum() for e in range(n_experts)])

    attempts = {
        "02": [attention_weights, window_weights, cache_bytes, rotate_neighbors],
        "03": [rms_norm, swiglu, block],
        "04": [top_p],
        "07": [route, biased_route, max_over_mean],
        "08": [evenness, auxiliary_loss, model_balance_loss, updated_bias, experts_take],
        "01": [merge],
        "00": [expert_pairs, expert_load],
    }
    for lesson, functions in attempts.items():
        for function in functions:
            verdict = examine(f"{lesson}.{function.__name__}", function)
            assert verdict.state == "correct", verdict.line


@pytest.mark.parametrize("draw", [torch.randn_like, torch.rand_like, torch.zeros_like])
def test_whatever_takes_the_place_of_the_later_tokens_shows_who_looks_ahead(draw):
    def looks_ahead(route, hidden, n):
        told = zip(route(hidden), route(torch.cat([hidden[:n], draw(hidden[n:])])), strict=True)
        return not all(torch.allclose(a[:n].float(), b[:n].float()) for a, b in told)

    for seed in range(20):
        torch.manual_seed(seed)
        verdict = examine("14.looks_ahead", looks_ahead)
        assert verdict.state == "correct", (seed, verdict.line)


def test_a_whole_model_counted_by_hand_equals_the_reference():
    def parameters(config):
        width, kv = config.dim, config.attention.n_kv_heads * config.attention.head_dim
        queries = config.attention.n_heads * config.attention.head_dim
        block = 2 * width * queries + 2 * width * kv + 3 * width * config.hidden_dim + 2 * width
        return (2 - config.tie_embeddings) * config.vocab_size * width + config.n_layers * block + width

    assert examine("03.parameters", parameters).state == "correct"


RIGHT = [
    ("00.expert_load", lambda experts, n_experts: np.bincount(experts.ravel(), minlength=n_experts).astype(float)),
    ("00.active_share", lambda common, each, n, k: Fraction(common + k * each, common + n * each)),
    ("00.active_share", lambda common, each, n, k: Decimal(common + k * each) / Decimal(common + n * each)),
    ("03.rms_norm", lambda hidden, weight, eps: F.rms_norm(hidden.double(), weight.shape, weight.double(), eps)),
    ("07.route", lambda logits, top_k: list(find("07.route").reference(logits, top_k))),
    ("09.gate", lambda logits, bias, top_k, scale: list(find("09.gate").reference(logits, bias, top_k, scale))),
    ("10.split_query", lambda query, rope_dim, by: [query[..., :-rope_dim], rotate(query[..., -rope_dim:], by)]),
    ("10.keep", lambda latent, key, gain, by: list(find("10.keep").reference(latent, key, gain, by))),
    ("11.acceptance", lambda p, q: sum(min(pair) for pair in zip(p.tolist(), q.tolist(), strict=True))),
    ("11.acceptance", lambda p, q: np.minimum(p.numpy(), q.numpy()).sum()),
    ("13.route_without", lambda scores, bias, off, top_k: (lambda chosen: (
        scores.gather(1, chosen) / scores.gather(1, chosen).sum(1, keepdim=True), chosen))(
            (scores + bias).index_fill(1, torch.tensor([off]), -1e9).topk(top_k).indices)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "attempt"), RIGHT)
def test_right_answers_in_another_dress_pass(name, attempt):
    assert examine(name, attempt).state == "correct", examine(name, attempt).line
