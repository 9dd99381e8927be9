"""Hugging Face's mixtures of experts, tiny and random, family by family; skips where transformers is missing."""

import pytest
import torch

from moe_lessons.tracing import RoutingTrace, record_routing

transformers = pytest.importorskip("transformers")

VOCAB, EXPERTS = 61, 8
COMMON = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_experts_per_tok": 3,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 0,
}
LATENT = COMMON | {
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": EXPERTS,
    "n_shared_experts": 1,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "routed_scaling_factor": 2.5,
}
GROUPS = {"n_group": 4, "topk_group": 2}
NO_GROUPS = {"n_group": 1, "topk_group": 1}
# name -> configuration, its values, numbers of the sparse layers
FAMILIES = {
    "mixtral": ("MixtralConfig", COMMON | {"num_local_experts": EXPERTS}, (0, 1, 2)),
    "olmoe": ("OlmoeConfig", COMMON | {"num_experts": EXPERTS, "norm_topk_prob": False}, (0, 1, 2)),
    "qwen3_moe": (
        "Qwen3MoeConfig",
        COMMON
        | {"num_experts": EXPERTS, "moe_intermediate_size": 16, "head_dim": 8, "norm_topk_prob": True}
        | {"mlp_only_layers": [1]},
        (0, 2),
    ),
    "deepseek_v2, greedy": ("DeepseekV2Config", LATENT | NO_GROUPS | {"topk_method": "greedy"}, (1, 2)),
    "deepseek_v2, groups": ("DeepseekV2Config", LATENT | GROUPS | {"topk_method": "group_limited_greedy"}, (1, 2)),
    "deepseek_v3": ("DeepseekV3Config", LATENT | GROUPS | {"norm_topk_prob": True}, (1, 2)),
    "gpt_oss": (
        "GptOssConfig",
        COMMON
        | {"num_local_experts": EXPERTS, "head_dim": 8}
        | {"layer_types": ["full_attention", "sliding_attention", "full_attention"], "sliding_window": 8}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        (0, 1, 2),
    ),
    "granite_moe": ("GraniteMoeConfig", COMMON | {"num_local_experts": EXPERTS}, (0, 1, 2)),
}
families = pytest.mark.parametrize("family", FAMILIES)


@torch.no_grad()
def build(family: str, **options) -> torch.nn.Module:
    """A tiny random model, with routers that are sure of themselves and biases that matter."""
    kind, values, _ = FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**values)
    model = transformers.AutoModelForCausalLM.from_config(config, **options).eval()
    for name, tensor in model.state_dict().items():
        if name.endswith(("gate.weight", "router.weight")):
            tensor.normal_(std=0.5)
        elif name.endswith(("e_score_correction_bias", "router.bias")):
            tensor.normal_(std=0.3)
    return model


def text(time: int = 11, batch: int = 2) -> torch.Tensor:
    return torch.randint(1, VOCAB, (batch, time), generator=torch.Generator().manual_seed(1))


def routers_by_name(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Found by where they stand, not by their class as the package finds them."""
    return [module for name, module in model.named_modules() if name.endswith((".mlp.gate", ".router"))]


class Overheard:
    """What the routers answer, caught by wrapping their forward: no hook, and nothing of the package."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.answers = []
        for number, module in enumerate(routers_by_name(model)):
            module.forward = self._heard(number, module.forward)

    def _heard(self, number, forward):
        def wrapped(hidden):
            answer = forward(hidden)
            self.answers.append((number, *(part.detach().clone() for part in answer)))
            return answer

        return wrapped


def record(model, *batches: torch.Tensor, **options) -> RoutingTrace:
    with record_routing(model) as trace, torch.no_grad():
        for batch in batches:
            model(batch, **options)
    return trace
