"""BudgetView: its slices against the accounting, and that its two languages agree."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_node import javascript
from small_shared_kv import MODEL, indexers
from small_shared_kv import configs as of_long_texts
from view_samples import dense

from moe_lessons.accounting import count_parameters, forward_flops
from moe_lessons.concerns import SlidingWindow
from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig, MoEConfig
from moe_lessons.figures.budget import brief
from moe_lessons.widgets import BudgetView
from moe_lessons.widgets.budget_view import budget

patterns = st.lists(st.sampled_from(["windowed", "full"]), min_size=1, max_size=3).filter(lambda p: "windowed" in p)


@st.composite
def configs(draw) -> ModelConfig:
    heads = draw(st.sampled_from([1, 2, 4, 6]))
    n_layers = draw(st.integers(1, 5))
    experts, groups = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    best = draw(st.integers(1, groups))
    moe = st.builds(
        MoEConfig,
        n_routed_experts=st.just(experts * groups),
        top_k=st.integers(1, best * experts),
        n_groups=st.just(groups),
        top_groups=st.just(best),
        group_score=st.just("max"),
        **draw(st.sampled_from([{}, {"noise": st.just(True)}, {"bias": st.just(True)}])),
        hidden_dim=st.integers(1, 40),
        n_shared_experts=st.integers(0, 2),
        n_dense_layers=st.integers(0, n_layers - 1),
        expert_bias=st.booleans(),
    )
    norm = draw(st.sampled_from(["no", "qk_norm", "joint_qk_norm"]))
    grouped = AttentionConfig(
        n_heads=heads,
        n_kv_heads=draw(st.sampled_from([n for n in range(1, heads + 1) if heads % n == 0])),
        head_dim=draw(st.sampled_from([None, 2, 10])),
        **{norm: True} if norm != "no" else {},
        bias=draw(st.booleans()),
        sinks=draw(st.booleans()),
        window=draw(st.none() | st.builds(SlidingWindow, size=st.integers(1, 300), pattern=patterns)),
    )
    rank, indexer = draw(st.sampled_from([(None, st.none()), (5, st.none()), (5, indexers)]))
    latent = st.builds(
        LatentAttentionConfig,
        n_heads=st.just(heads),
        q_lora_rank=st.just(rank),
        indexer=indexer,
        kv_lora_rank=st.integers(1, 9),
        qk_nope_head_dim=st.integers(1, 9),
        qk_rope_head_dim=st.sampled_from([2, 4]),
        v_head_dim=st.integers(1, 9),
    )
    sparse = draw(st.none() | moe)
    more = [{"mtp_depth": 0}, {"output_norms": True}]
    more += [] if sparse is not None and sparse.bias else [{"mtp_depth": 2}]
    return ModelConfig(
        vocab_size=draw(st.integers(1, 300)),
        dim=24 * draw(st.integers(1, 8)),
        n_layers=n_layers,
        hidden_dim=draw(st.integers(1, 99)),
        max_length=16,
        attention=draw(st.just(grouped) | latent),
        moe=sparse,
        tie_embeddings=draw(st.booleans()),
        **draw(st.sampled_from(more)),
    )


anything = configs() | of_long_texts


@given(anything, st.integers(1, 500))
def test_the_slices_of_a_budget_add_up_to_the_accounting(config, context):
    slices = budget(config, context)
    assert sum(part.parameters for part in slices) == count_parameters(config).total
    assert sum(part.active for part in slices) == count_parameters(config).active
    assert sum(part.flops for part in slices) * context == forward_flops(config, 1, context)


def test_the_browser_counts_parameters_and_flops_as_the_package_does(node):
    seen: list[tuple[ModelConfig, int]] = []
    given(anything, st.integers(1, 500))(lambda config, context: seen.append((config, context)))()
    expression = """value.map(([config, context]) => {
      const { total, active } = m.countParameters(config);
      return [total, active, m.flopsPerToken(config, context).total];
    })"""
    found = javascript(node, "budget_view/rule", expression, [[config.to_dict(), context] for config, context in seen])
    for (config, context), counts in zip(seen, found, strict=True):
        flops = forward_flops(config, 1, context) // context
        assert counts == [count_parameters(config).total, count_parameters(config).active, flops]
    assert len(seen) >= 50


def test_the_browser_refuses_the_sizes_that_the_configuration_refuses(node):
    sizes = [(dim, heads, kv) for dim in (24, 30, 32) for heads in (1, 2, 3, 4, 5) for kv in (1, 2, 3, 4)]
    configs = []
    for dim, heads, kv in sizes:
        attention = {"n_heads": heads, "n_kv_heads": kv, "head_dim": None}
        configs.append({**dense().to_dict(), "dim": dim, "attention": attention})
    sentences = javascript(node, "budget_view/rule", "value.map(m.problem)", configs)
    for config, sentence in zip(configs, sentences, strict=True):
        try:
            head_dim = ModelConfig.from_dict(config).attention.head_dim
        except ValueError:
            head_dim = 1
        assert bool(sentence) == (head_dim % 2 == 1), (config, sentence)


def is_refused(config: dict) -> bool:
    try:
        ModelConfig.from_dict(config)
    except ValueError:
        return True
    return False


def test_the_browser_refuses_layers_that_the_configuration_refuses(node):
    configs, latent = [MODEL.to_dict() | {"n_layers": n} for n in (2, 3, 4)], ModelConfig.from_card("deepseek-v3")
    configs += [latent.to_dict() | {"n_layers": n} for n in (2, 3, 4)]
    hashed = replace(MODEL, attention=latent.attention, moe=replace(MODEL.mixture, n_dense_layers=1))
    configs += [hashed.to_dict() | {"n_layers": n} for n in (1, 2, 3)]
    shared = MODEL.to_dict()
    configs += [shared | {"attention": shared["attention"] | {"n_heads": n}} for n in (3, 4)]
    sentences = javascript(node, "budget_view/rule", "value.map(m.problem)", configs)
    for config, sentence in zip(configs, sentences, strict=True):
        assert bool(sentence) == is_refused(config), (config["n_layers"], sentence)
    assert {bool(sentence) for sentence in sentences} == {True, False}


def test_the_browser_refuses_groups_that_the_configuration_refuses(node):
    configs = []
    for n_routed_experts, n_groups, top_groups, top_k in itertools.product((2, 4, 6), (1, 2, 3), (1, 2), (1, 3)):
        moe = {"n_routed_experts": n_routed_experts, "n_groups": n_groups, "top_groups": top_groups, "top_k": top_k}
        if top_groups <= n_groups:  # no knob turns these two
            whole = dense(moe=MoEConfig(n_routed_experts=2, top_k=1, hidden_dim=8)).to_dict()
            configs.append(whole | {"moe": whole["moe"] | moe})
    sentences = javascript(node, "budget_view/rule", "value.map(m.problem)", configs)
    for config, sentence in zip(configs, sentences, strict=True):
        assert bool(sentence) == is_refused(config), (config["moe"], sentence)


def test_a_budget_of_a_published_latent_model_is_shown():
    view = BudgetView({"DeepSeek-V3": ModelConfig.from_card("deepseek-v3")}, context=4096)
    assert "671,026,419,200 parameters" in repr(view)
    assert view.figure().axes


@pytest.mark.parametrize("name", ["deepseek-v3.2", "deepseek-v4-pro"])
def test_a_budget_of_a_model_that_picks_what_it_reads_is_shown(name):
    view = BudgetView(ModelConfig.from_card(name), context=131_072)
    assert f"{forward_flops(ModelConfig.from_card(name), 1, 131_072) // 131_072:,} FLOPs per token" in repr(view)
    assert view.figure().axes


def test_presets_may_be_one_configuration_and_may_not_be_none():
    assert "parameters" in repr(BudgetView(dense()))
    with pytest.raises(ValueError, match="presets is empty"):
        BudgetView({})


def test_large_counts_are_written_alike_in_both_languages(node):
    counts = [0, 7, 999, 1000, 9994, 9996, 99_960, 999_499, 999_501, 1_234_567, 8_030_261_248, 7e15]
    assert javascript(node, "shared/common", "value.map((n) => m.brief(n))", counts) == [brief(n) for n in counts]
    assert [brief(count) for count in counts[-3:]] == ["1.23 M", "8.03 B", "7000 T"]
