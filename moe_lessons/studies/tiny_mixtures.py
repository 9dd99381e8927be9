"""Every family of the installed `transformers` that routes tokens to experts, and a tiny random model of each.

Families are found by reading their sources and sized by the names of their settings: no list of classes is kept here,
so that a new version of the library brings its new families by itself. Nothing is fetched.
"""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

VOCAB, EXPERTS, TOP_K, DIM, LAYERS = 67, 8, 3, 32, 4
# What makes a source one of a mixture: it takes the best of something, and keeps experts or a router.
_CHOOSES = re.compile(r"\b(topk|argmax)\(")
_KEEPS = re.compile(r"self\.(experts|router|router_gate)\s*=")
# Names of models that speak, the plainest first: its text model alone, then the whole with its eyes and ears.
_KINDS = ("ForCausalLM", "ForConditionalGeneration", "ForTokenClassification", "ForBlockDiffusion")

# A setting's name -> what a tiny model has there; the first pattern that fits the whole name counts.
_SIZES: tuple[tuple[str, Any], ...] = (
    (r"(unpadded_)?vocab_size|mel_vocab_size|codebook_size|vocab_size_per_layer_input", VOCAB),
    (r"(n_routed|num|num_local|moe_num)_experts", EXPERTS),
    (r"num_experts_per_tok(en)?|moe_k|moe_topk|moe_top_k|top_k_experts", TOP_K),
    (r"num_hidden_layers|num_layers|n_layers|(num_)?(en|de)coder_layers|depth", LAYERS),
    (r"num_sparse_(en|de)coder_layers", 1),
    (r"first_k_dense_replace|num_dense_layers", 1),
    (r"(en|de)coder_sparse_step|n_shared_experts|(moe_)?num_shared_experts|moe_layer_(start_index|interval)", 1),
    (r"moe_layer_end_index", LAYERS - 1),
    (r"num_nextn_predict_layers|num_mtp_layers|num_kv_shared_layers|hidden_size_per_layer_input", 0),
    (r"n_group|num_expert_group", 4),
    (r"topk_group", 2),
    (r"(kv_n|num_key_value|swa_num_key_value|num_global_key_value|linear_num_key)_heads", 2),
    (r"kv_heads|num_code_groups|num_quantizers", 2),
    (r"mamba_n_heads", 8),
    (r".*(num_attention|attention|n|num|linear_num|linear_num_value|index_n|mamba_num|mamba_n)_heads", 4),
    (r"(swa_|linear_|global_|index_|v_|linear_key_|linear_value_|qk_nope_|qk_rope_|mamba_)?head_dim", 8),
    (r"qk_head_dim", 16),
    (r"d_kv|kv_channels|rotary_dim|mamba_d_head", 8),
    (r"mamba_d_state|ssm_state_size|mamba_dt_rank|router_hidden_size|d_rel", 8),
    (r"(q|o|kv)_lora_rank", 16),
    (r"o_groups|n_groups|mamba_n_groups", 2),
    (r"(mamba_)?chunk_size|block_size|keep_window_size|index_topk|index_block_size|sliding_window(_size)?", 64),
    (r"intermediate_size_mlp|.*intermediate_size|.*ffn_(hidden_size|dim)|d_ff|mlp_dim|dense_intermediate_size", 24),
    (r"moe_hidden_size|d_model|hidden_size|emb_dim|text_hidden_size|out_hidden_size|thinker_hidden_size", DIM),
    (r"projection_(hidden_dim|intermediate_size)|projector_(hidden_size|input_dim|output_dim)|decoder_dim", DIM),
    (r"vision_output_dim|output_proj_dims|output_dim|adapter_out_dim|output_channels|moe_latent_size", DIM),
    (r"max_position_embeddings|max_seq_len|model_max_length|rel_extent|floor_scale|position_embedding_size", 64),
    (r"image_size", 32),
    (r"zero_expert_num", 2),
    (r".*(dropout|dropout_rate|layerdrop|_pdrop|jitter_noise|moe_token_dropout)", 0.0),
    (r"attn_layer_period|layer_group_size", 2),
    (r"attn_layer_offset", 1),
)
# What some classes leave for the user to say.
_UNSAID = re.compile(r"((n_routed|num|num_local|n_shared)_)experts|num_experts_per_tok|top_k_experts|moe_topk|head_dim")
# Type of a configuration -> what its sizes must be for its parts to fit together.
_ODD: dict[str, dict[str, Any]] = {
    "doge": {"is_moe": True},
    "zaya": {"num_experts_per_tok": 1},
    "mistral4": {"head_dim": 16},
    "glm4v_moe_text": {"head_dim": 128},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense"] + ["sparse"] * (LAYERS - 1)},
    "step3p5": {"sliding_window": 64},
    "dots3_note_text": {"layer_types": ["indexed_attention"] * LAYERS},
    "muse_spark_audio": {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * (LAYERS // 2)},
    "dbrx": {"attn_config": {"rope_theta": 10_000.0, "clip_qkv": 8.0}},
    "gemma4_text": {"moe_intermediate_size": 24, "enable_moe_block": True},
    "diffusion_gemma_text": {"moe_intermediate_size": 24},
    "ernie4_5_vl_moe_text": {"moe_intermediate_size": [24, 24], "head_dim": 128},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * (LAYERS // 2)},
    "qwen4_exp_text": {"layer_types": ["linear_attention", "indexed_attention"] * (LAYERS // 2)}
    | {"indexer_budget": 64, "indexer_compress_ratio": 1, "indexer_head_dim": 8}
    | {"indexer_kv_heads": 1, "indexer_n_heads": 4, "hc_lowrank": 8},
    "kimi_linear": {"layer_types": ["linear_attention", "full_attention"] * (LAYERS // 2)},
}


class Family(NamedTuple):
    """One folder of `transformers.models` with a mixture of experts in it."""

    name: str
    models: tuple[Any, ...]  # their classes that can be built, the plainest first


def mixture_families() -> list[Family]:
    """The families of the installed `transformers` whose sources choose experts, in the order of their names."""
    import transformers

    found = []
    for path in sorted(Path(transformers.__file__).parent.glob("models/*/modeling_*.py")):
        source = path.read_text(encoding="utf-8")
        if _CHOOSES.search(source) and _KEEPS.search(source):
            module = importlib.import_module(f"transformers.models.{path.parent.name}.{path.stem}")
            if models := tuple(_speaking(module)):
                found.append(Family(path.parent.name, models))
    return found


def _speaking(module: Any) -> Iterator[Any]:
    for kind in _KINDS:
        names = [name for name in module.__all__ if name.endswith(kind) and "PreTrained" not in name]
        yield from (getattr(module, name) for name in names)


def tiny_config(kind: Any, **changes: Any) -> Any:
    """The configuration of a class with every size made small, and those of its parts likewise.

    Only what is changed is said, so that the class works out the rest, as which layers are sparse, from that.
    """
    plain = kind()
    values = _small(plain.to_dict())
    for name in getattr(kind, "sub_configs", {}):
        inner = getattr(plain, name, None)
        said = values.pop(name, None)
        if inner is not None:
            values[name] = tiny_config(type(inner), **(said if isinstance(said, dict) else {}))
    return kind(**(values | changes))


def _small(values: dict[str, Any]) -> dict[str, Any]:
    result = {}
    for name, value in values.items():
        if isinstance(value, dict):
            continue
        if name.endswith(("_token_id", "_token_index")):
            result |= _token(name, value)
        elif _UNSAID.fullmatch(name) or (isinstance(value, (int, float)) and not isinstance(value, bool) and value):
            fitting = (small for pattern, small in _SIZES if re.fullmatch(pattern, name))
            small = next(fitting, value)
            result |= {} if small == value else {name: small}
    if "kv_lora_rank" in values or "linear_num_heads" in values:  # all heads share what is latent
        result["num_key_value_heads"] = result["num_attention_heads"]
    return result | _ODD.get(values.get("model_type", ""), {})


def _token(name: str, value: Any) -> dict[str, Any]:
    # Marks of pictures and sounds are the last tokens, which no text of ours has.
    if not isinstance(value, int) or value < VOCAB - 6:
        return {}
    return {name: VOCAB - 1 - sum(map(ord, name)) % 5}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def tiny_model(kind: Any, seed: int = 0, **changes: Any) -> nn.Module:
    """A random model of a class, tiny, in float32, its routers sure of themselves and its biases of some weight.

    Whatever one number per expert there is, bias or scale, is drawn anew, since a fresh model has zeros and ones
    there, which hide a wrong reading.
    """
    config = tiny_config(kind.config_class, **changes)
    with _seeded(seed):
        model = kind(config).eval()
        for name, tensor in model.state_dict().items():
            if tensor.shape == (VOCAB, TOP_K):  # experts by token: a table with no expert twice
                tensor.copy_(torch.rand(VOCAB, EXPERTS).argsort(dim=1)[:, :TOP_K])
            if not tensor.is_floating_point():
                continue
            if not tensor.isfinite().all():
                tensor.normal_(std=0.1)
            if "rout" in name or ".gate." in name:
                tensor.normal_(std=0.5)
            if tensor.numel() == EXPERTS:
                tensor.uniform_(0.5, 1.5) if (tensor == 1).all() else tensor.normal_(std=0.3)
            elif tensor.ndim >= 3 and "expert" in name:
                tensor.normal_(std=0.2)
    return model


def tiny_text(time: int = 11, batch: int = 2) -> Tensor:
    """Tokens [batch, time] that mean no picture and no sound."""
    return torch.randint(1, VOCAB - 6, (batch, time), generator=torch.Generator().manual_seed(1))
