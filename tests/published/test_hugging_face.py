"""Our modules against Hugging Face's, family by family: the same weights give the same logits, by the same experts.

The sizes are drawn, small and odd; the code is that of transformers, written by others.
"""

import json
import warnings
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT
from small import small_config

from moe_lessons import AttentionConfig, LatentAttentionConfig, ModelConfig, MoEConfig, Transformer
from moe_lessons.model.cache import make_cache
from moe_lessons.model.generate import generate
from moe_lessons.model.router import Router
from moe_lessons.published import from_hugging_face, to_hugging_face
from moe_lessons.resources import data_path

transformers = pytest.importorskip("transformers")
VOCAB = 61


@st.composite
def rotations(draw, kinds=("default", "yarn", "llama3")) -> dict:
    """Rotary positions, plain or scaled for longer texts."""
    kind = draw(st.sampled_from(kinds))
    values = {"rope_type": kind, "rope_theta": draw(st.sampled_from([100.0, 10_000.0, 500_000.0]))}
    if kind == "default":
        return values
    values |= {"factor": draw(st.sampled_from([2.0, 40.0])), "original_max_position_embeddings": 16}
    if kind == "llama3":
        return values | {"low_freq_factor": 1.0, "high_freq_factor": draw(st.sampled_from([2.0, 4.0]))}
    values |= {"beta_fast": draw(st.sampled_from([1.0, 32.0])), "beta_slow": 1.0}
    if draw(st.booleans()):
        values |= {"mscale": 0.707, "mscale_all_dim": draw(st.sampled_from([0.707, 1.0]))}
    return values


@st.composite
def common(draw) -> dict:
    """Sizes that every family has."""
    return {
        "vocab_size": VOCAB,
        "intermediate_size": draw(st.integers(1, 6)) * 8,
        "num_hidden_layers": draw(st.integers(1, 3)),
        "max_position_embeddings": 64,
        "rms_norm_eps": draw(st.sampled_from([1e-6, 1e-5])),
        "tie_word_embeddings": draw(st.booleans()),
        "initializer_range": 0.1,
        "pad_token_id": None,  # whose embedding would be zero, and all its scores tied
        "rope_parameters": draw(rotations()),
    }


@st.composite
def grouped(draw) -> dict:
    """Query heads that share key-value heads."""
    shared, kv_heads = draw(st.sampled_from([1, 2, 3])), draw(st.integers(1, 2))
    return draw(common()) | {
        "hidden_size": shared * kv_heads * 8,
        "num_attention_heads": shared * kv_heads,
        "num_key_value_heads": kv_heads,
    }


@st.composite
def experts(draw, count: str) -> dict:
    """Some of several experts."""
    n = draw(st.integers(1, 9))
    return {count: n, "num_experts_per_tok": draw(st.integers(1, n))}


@st.composite
def llama(draw):
    return "LlamaConfig", draw(grouped()) | {"head_dim": draw(st.sampled_from([4, 8, 12]))}


@st.composite
def qwen3(draw):
    return "Qwen3Config", draw(grouped()) | {"head_dim": draw(st.sampled_from([4, 8, 12]))}


@st.composite
def mixtral(draw):
    values = draw(grouped()) | draw(experts("num_local_experts"))
    plain = values["rope_parameters"]["rope_type"] == "default"  # transformers 5.23 scales none without a head_dim
    return "MixtralConfig", values | {"head_dim": draw(st.sampled_from([None, 4, 12] if plain else [4, 12]))}


@st.composite
def olmoe(draw):
    values = draw(grouped()) | draw(experts("num_experts"))
    return "OlmoeConfig", values | {"norm_topk_prob": draw(st.booleans())}


@st.composite
def qwen3_moe(draw):
    values = draw(grouped()) | draw(experts("num_experts"))
    own = {"norm_topk_prob": draw(st.booleans()), "moe_intermediate_size": draw(st.integers(1, 5)) * 4}
    dense = {"mlp_only_layers": list(range(draw(st.sampled_from([0, 0, 1, 3]))))[: values["num_hidden_layers"]]}
    return "Qwen3MoeConfig", values | own | dense | {"head_dim": draw(st.sampled_from([4, 8, 12]))}


@st.composite
def latent(draw, step: int = 1) -> dict:
    """Latent attention of sizes in steps, groups of experts, shared experts, dense layers at first."""
    heads, groups, members = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(2, 4))
    best = draw(st.integers(1, groups))
    return draw(common()) | {
        "hidden_size": heads * 8,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "q_lora_rank": draw(st.none() | st.integers(3, 9)),
        "kv_lora_rank": draw(st.integers(2, 5)) * step,
        "qk_nope_head_dim": draw(st.integers(1, 5)) * step,
        "qk_rope_head_dim": draw(st.sampled_from([4, 6, 8])),
        "v_head_dim": draw(st.integers(1, 9)),
        "n_routed_experts": groups * members,
        "n_shared_experts": draw(st.integers(0, 2)),
        "num_experts_per_tok": draw(st.integers(1, best * members)),
        "moe_intermediate_size": draw(st.integers(1, 5)) * 4,
        "first_k_dense_replace": draw(st.sampled_from([0, 0, 1, 3])),
        "routed_scaling_factor": draw(st.sampled_from([1.0, 2.5])),
        "n_group": groups,
        "topk_group": best,
        "rope_parameters": draw(rotations(("default", "yarn"))),
    }


@st.composite
def deepseek_v2(draw):
    method = draw(st.sampled_from(["greedy", "group_limited_greedy"]))
    # transformers 5.23 reads pairs in place as complex numbers, which must begin at even places.
    return "DeepseekV2Config", draw(latent(step=2)) | {"topk_method": method}


@st.composite
def deepseek_v3(draw):
    return "DeepseekV3Config", draw(latent()) | {"norm_topk_prob": draw(st.booleans())}


FAMILIES = {
    "llama": llama,
    "qwen3": qwen3,
    "mixtral": mixtral,
    "olmoe": olmoe,
    "qwen3_moe": qwen3_moe,
    "deepseek_v2": deepseek_v2,
    "deepseek_v3": deepseek_v3,
}
families = pytest.mark.parametrize("family", FAMILIES)


@torch.no_grad()
def build(kind: str, values: dict, seed: int = 0) -> torch.nn.Module:
    """Their model, with gains and biases that are not the ones and zeros of a fresh one."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**values)).eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("norm.weight"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("e_score_correction_bias"):
            tensor.normal_(std=0.3)
    return model


def text(time: int, batch: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, time), generator=torch.Generator().manual_seed(seed))


def chosen_by_ours(model: Transformer, tokens: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each router's experts, in ascending order, and their weights."""
    seen: list = []
    for module in model.modules():
        if isinstance(module, Router):
            module.register_forward_hook(
                lambda module, inputs, routing: seen.append((routing.experts, routing.weights))
            )
    model(tokens)
    return [ascending(*choice) for choice in seen]


def chosen_by_theirs(model: torch.nn.Module, tokens: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    seen: list = []
    for name, module in model.named_modules():
        if name.endswith("mlp.gate"):
            module.register_forward_hook(lambda module, inputs, output: seen.append((output[2], output[1])))
    model(tokens)
    return [ascending(*choice) for choice in seen]


def ascending(experts: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    experts, order = experts.sort(dim=-1)
    return experts, weights.gather(1, order)


@families
@torch.no_grad()
def test_logits_equal_hugging_faces(family):
    """Within 1e-5 in float32: read at once, and continued from a cache by either side."""

    @settings(max_examples=30, deadline=None)
    @given(FAMILIES[family](), st.integers(2, 40), st.integers(0, 99))
    def check(sizes, time, seed):
        theirs = build(*sizes, seed)
        ours, tokens = from_hugging_face(theirs), text(time)
        expected = theirs(tokens).logits
        assert expected.std() > 0.05
        assert (ours(tokens) - expected).abs().max() < 1e-5
        cut = time // 2
        cache = make_cache(ours.config, len(tokens))
        pieces = [ours(tokens[:, a:b], cache) for a, b in ((0, cut), (cut, time - 1), (time - 1, time)) if a < b]
        assert (torch.cat(pieces, dim=1) - expected).abs().max() < 1e-5
        past = theirs(tokens[:, :cut], use_cache=True).past_key_values
        assert (theirs(tokens[:, cut:], past_key_values=past).logits - pieces[-1][:, -1:])[:, -1].abs().max() < 1e-5

    check()


@pytest.mark.parametrize("family", ["mixtral", "olmoe", "qwen3_moe", "deepseek_v2", "deepseek_v3"])
@torch.no_grad()
def test_every_token_goes_to_the_same_experts(family):
    @settings(max_examples=20, deadline=None)
    @given(FAMILIES[family](), st.integers(0, 99))
    def check(sizes, seed):
        theirs = build(*sizes, seed)
        ours = from_hugging_face(theirs)
        choices = list(zip(chosen_by_ours(ours, text(30)), chosen_by_theirs(theirs, text(30)), strict=True))
        assert len(choices) == sum(ours.config.is_sparse(layer) for layer in range(ours.config.n_layers))
        for (experts, weights), (their_experts, their_weights) in choices:
            assert torch.equal(experts, their_experts)
            assert torch.allclose(weights, their_weights, atol=1e-5)

    check()


@families
@torch.no_grad()
def test_a_model_survives_the_way_there_and_back(family):
    @settings(max_examples=12, deadline=None)
    @given(FAMILIES[family]())
    def check(sizes):
        theirs = build(*sizes)
        ours = from_hugging_face(theirs)
        again = to_hugging_face(ours)
        assert (again(text(20)).logits - theirs(text(20)).logits).abs().max() < 1e-5
        back = from_hugging_face(again)
        assert back.config.attention == ours.config.attention
        assert all(torch.equal(back.state_dict()[name], tensor) for name, tensor in ours.state_dict().items())

    check()


OURS = {
    "dense": ModelConfig.from_card("course-dense"),
    "deepseek": ModelConfig(
        vocab_size=VOCAB,
        dim=24,
        n_layers=3,
        hidden_dim=40,
        max_length=64,
        attention=LatentAttentionConfig(
            n_heads=3, kv_lora_rank=10, q_lora_rank=12, qk_nope_head_dim=6, qk_rope_head_dim=4, v_head_dim=5
        ),
        moe=MoEConfig(
            n_routed_experts=8,
            top_k=3,
            hidden_dim=8,
            n_shared_experts=1,
            n_dense_layers=1,
            score_function="sigmoid",
            route_scale=2.5,
            expert_bias=True,
            n_groups=4,
            top_groups=2,
        ),
        mtp_depth=1,
    ),
}


@pytest.mark.parametrize("kind", OURS)
@torch.no_grad()
def test_a_trained_model_is_loaded_by_auto_model_from_a_folder(kind, tmp_path):
    """Weights in safetensors, sizes in config.json, and no code of ours."""
    ours = Transformer(OURS[kind], seed=3).eval()
    if ours.config.moe:
        for block in list(ours.blocks)[1:]:
            block.feed_forward.router.expert_bias.normal_(std=0.1)
    to_hugging_face(ours, tmp_path / "model")
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert files <= {"config.json", "generation_config.json", "model.safetensors"}
    assert "auto_map" not in json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model", trust_remote_code=False).eval()
    assert (theirs(text(33)).logits - ours(text(33))).abs().max() < 1e-5
    prompt = text(5, batch=1)
    written = theirs.generate(prompt, max_new_tokens=12, do_sample=False)
    assert torch.equal(written, generate(ours, prompt, 12, temperature=0.0))


@torch.no_grad()
def test_the_shipped_dense_model_is_a_qwen3():
    from moe_lessons.training.checkpoint import load_checkpoint

    ours = load_checkpoint(data_path("checkpoints") / "course-dense.safetensors").model.eval()
    theirs = to_hugging_face(ours)
    assert theirs.config.model_type == "qwen3"
    # Trained logits are up to 20 in size, so that float32 rounds them by more.
    assert (theirs(text(50)).logits - ours(text(50))).abs().max() < 1e-4


@torch.no_grad()
def test_the_copy_is_independent_of_the_original():
    theirs = build("LlamaConfig", {"vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 8} | HEADS)
    ours = from_hugging_face(theirs)
    before = ours(text(9))
    for parameter in theirs.parameters():
        parameter.zero_()
    assert torch.equal(ours(text(9)), before)


@torch.no_grad()
def test_half_precision_is_kept_and_the_correction_bias_stays_in_float32():
    kind, values = "DeepseekV3Config", {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
    sizes = {"n_routed_experts": 8, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2, "num_hidden_layers": 2}
    theirs = build(kind, values | sizes | {"vocab_size": VOCAB, "moe_intermediate_size": 8, "first_k_dense_replace": 1})
    theirs = theirs.to(torch.bfloat16)
    ours = from_hugging_face(theirs)
    assert {p.dtype for p in ours.parameters()} == {torch.bfloat16}
    assert ours(text(9)).dtype == torch.bfloat16
    again = to_hugging_face(ours)
    assert {p.dtype for p in again.parameters()} == {torch.bfloat16}


HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1}
TINY = {"vocab_size": 9, "hidden_size": 8, "intermediate_size": 8} | HEADS
PLAIN = {"rope_theta": 100.0}
QWEN = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 2.0, "original_max_position_embeddings": 8}


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("LlamaConfig", {"attention_bias": True}, ["attention_bias = True", "False"]),
        ("LlamaConfig", {"hidden_act": "gelu"}, ["hidden_act = 'gelu'", "'silu'"]),
        ("MixtralConfig", {"sliding_window": 4}, ["sliding_window = 4"]),
        ("OlmoeConfig", {"clip_qkv": 8.0}, ["clip_qkv = 8.0"]),
        ("Qwen3Config", {"use_sliding_window": True}, ["use_sliding_window = True"]),
        ("LlamaConfig", {"rope_parameters": {**YARN, "rope_type": "linear"}}, ["'linear'", "'yarn'"]),
        ("LlamaConfig", {"rope_parameters": {**PLAIN, "rope_type": "linear", "factor": 2.0}}, ["'linear'", "'yarn'"]),
        ("LlamaConfig", {"rope_parameters": {**PLAIN, "rope_type": "dynamic", "factor": 2.0}}, ["'dynamic'"]),
        ("Qwen3MoeConfig", QWEN | {"num_hidden_layers": 3, "mlp_only_layers": [1]}, ["mlp_only_layers = [1]", "first"]),
        ("LlamaConfig", {"rope_parameters": {**YARN, "attention_factor": 3.0}}, ["attention_factor = 3.0"]),
        ("GptOssConfig", {"num_local_experts": 2, "num_experts_per_tok": 1}, ["'gpt_oss'", "sinks", "deepseek_v3"]),
        ("Gemma2Config", {"head_dim": 4}, ["'gemma2'", "GELU"]),
        ("GPT2Config", {}, ["'gpt2'", "llama"]),
    ],
)
def test_what_our_modules_do_not_express_is_refused_in_one_sentence(kind, values, words):
    with torch.device("meta"):
        theirs = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**TINY | values))
    with pytest.raises(ValueError) as error:
        from_hugging_face(theirs)
    sentence = str(error.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence


def test_the_first_layers_that_qwen3_names_as_dense_are_our_dense_layers():
    values = TINY | QWEN | {"num_hidden_layers": 3, "head_dim": 4, "mlp_only_layers": [0], "vocab_size": VOCAB}
    theirs = build("Qwen3MoeConfig", values)
    ours = from_hugging_face(theirs)
    assert [ours.config.is_sparse(layer) for layer in range(3)] == [False, True, True]
    assert torch.allclose(ours(text(9)), theirs(text(9)).logits, atol=1e-5)
    assert to_hugging_face(ours).config.mlp_only_layers == [0]


def test_a_model_without_a_head_is_refused():
    with pytest.raises(ValueError, match="has no lm_head"):
        from_hugging_face(transformers.LlamaModel(transformers.LlamaConfig(**TINY)))


def test_a_model_that_no_family_has_is_refused_with_what_is_missing():
    config = ModelConfig.from_card("course-moe")  # a bias beside softmax scores and grouped attention
    with pytest.raises(ValueError, match="closest, 'qwen3_moe', lacks moe.expert_bias = True$"):
        to_hugging_face(Transformer(config, device="meta"))
    config = small_config(attention=AttentionConfig(n_heads=2, joint_qk_norm=True))
    with pytest.raises(ValueError, match="lacks"):
        to_hugging_face(Transformer(config, device="meta"))


def test_sizes_that_transformers_refuses_are_refused_in_a_sentence():
    config = small_config(dim=10, attention=AttentionConfig(n_heads=4, head_dim=4))
    with pytest.raises(ValueError, match=r"'llama', lacks sizes like these \(.*hidden size \(10\) is not a multiple"):
        to_hugging_face(Transformer(config, device="meta"))


@torch.no_grad()
def test_what_logits_do_not_depend_on_is_left_behind():
    """Noise on the router, multi-token modules, the unused width of dense layers; and no shared expert is needed."""
    moe = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=4, score_function="sigmoid", expert_bias=True, noise=True)
    config = replace(OURS["deepseek"], moe=moe, hidden_dim=99)
    ours = Transformer(config).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of matrices without rows
        theirs = to_hugging_face(ours)
    assert (theirs(text(20)).logits - ours(text(20))).abs().max() < 1e-5


def test_the_package_is_imported_without_transformers():
    import subprocess
    import sys

    code = "import moe_lessons.published, sys; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
