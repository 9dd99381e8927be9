"""Our modules against Hugging Face's, family by family: the same weights give the same logits, by the same experts.

The sizes are drawn, small and odd; the code is that of transformers, written by others.
"""

import json
import warnings
from dataclasses import replace

import pytest
import torch
from drawn_families import FAMILIES, HEADS, VOCAB, build, families, text
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT
from small_latent import USUAL, model_config

from moe_lessons import ModelConfig, MoEConfig, Transformer
from moe_lessons.model.cache import make_cache
from moe_lessons.model.generate import generate
from moe_lessons.model.router import Router
from moe_lessons.published import from_hugging_face, to_hugging_face
from moe_lessons.resources import data_path

transformers = pytest.importorskip("transformers")


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
        if name.endswith(("mlp.gate", "mlp.router")):
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


@pytest.mark.parametrize(
    "family", ["mixtral", "olmoe", "qwen3_moe", "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4", "gpt_oss"]
)
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


WINDOWED = HEADS | {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "head_dim": 8,
    "initializer_range": 0.2,
    "max_position_embeddings": 64,
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "pad_token_id": None,
}
WITH_WINDOWS = {
    "GptOssConfig": WINDOWED | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "Gemma2Config": WINDOWED | {"query_pre_attn_scalar": 12, "attn_logit_softcapping": 2.0},
    "Gemma3TextConfig": WINDOWED,
}


@pytest.mark.parametrize("kind", WITH_WINDOWS)
@torch.no_grad()
def test_texts_far_longer_than_a_window_are_written_alike(kind):
    """To the token, over nine windows: theirs, ours with a cache that keeps a window, and ours without a cache."""
    theirs = build(kind, WITH_WINDOWS[kind])
    ours, prompt = from_hugging_face(theirs), text(4, batch=1)
    written = theirs.generate(prompt, max_new_tokens=54, do_sample=False)
    assert len(set(written[0].tolist())) > 5
    for use_cache in (True, False):
        assert torch.equal(generate(ours, prompt, 54, temperature=0.0, use_cache=use_cache), written)


@pytest.mark.parametrize("kind", WITH_WINDOWS)
@torch.no_grad()
def test_a_padded_batch_has_no_form_here_and_its_texts_are_read_one_by_one(kind):
    theirs, tokens = build(kind, WITH_WINDOWS[kind]), text(20)
    ours = from_hugging_face(theirs)
    mask = torch.ones_like(tokens)
    mask[0, :7] = 0  # the first text is seven tokens shorter
    with pytest.raises(TypeError, match="attention_mask"):
        ours(tokens, attention_mask=mask)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    padded = theirs(tokens, attention_mask=mask, position_ids=positions).logits
    assert (ours(tokens[:1, 7:]) - padded[:1, 7:]).abs().max() < 1e-5
    assert (ours(tokens[1:]) - padded[1:]).abs().max() < 1e-5


OURS = {
    "dense": ModelConfig.from_card("course-dense"),
    "deepseek": model_config(
        USUAL,
        vocab_size=VOCAB,
        n_layers=3,
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
