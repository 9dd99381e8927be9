"""ContextView: what it counts, in both of its languages, what it draws and what it refuses."""

import itertools
import re

import pytest
from in_node import javascript

from moe_lessons.accounting import Kept, cache_bytes, cache_bytes_per_token, count_parameters, weight_bytes
from moe_lessons.cards import card_names
from moe_lessons.concerns import SlidingWindow
from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig
from moe_lessons.model.cache import make_cache
from moe_lessons.widgets import ContextView
from moe_lessons.widgets.context_view import BITS, MEMORIES, groups, might_keep
from moe_lessons.widgets.context_view.picture import CacheCurve, brief_bytes, draw_context, in_k

CARDS = ("llama-2-7b", "deepseek-v4-pro", "gpt-oss-120b", "llama-3.1-405b", "deepseek-v3")
STATE = ("models", "shown", "rebuilt", "context", "conversations", "bits", "weight_bits", "kv_heads", "latent_heads")


def view(**options) -> ContextView:
    return ContextView({name: ModelConfig.from_card(name) for name in CARDS}, **options)


def state(of: ContextView) -> dict:
    return {name: getattr(of, name) for name in STATE}


def test_a_models_curve_is_what_its_cache_really_holds():
    latent = LatentAttentionConfig(n_heads=4, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8)
    grouped = AttentionConfig(n_heads=4, n_kv_heads=2)
    sizes = {"vocab_size": 50, "dim": 32, "n_layers": 3, "hidden_dim": 48, "max_length": 64}
    windowed = AttentionConfig(n_heads=4, window=SlidingWindow(size=8, pattern=("windowed", "full")))
    kinds = {"a": latent, "b": grouped, "c": windowed}
    configs = {name: ModelConfig(**sizes, attention=attention) for name, attention in kinds.items()}
    seen = ContextView(configs, context=64)
    seen.bits = seen.weight_bits = 32
    for curve, config in zip(seen.curves(), configs.values(), strict=True):
        assert curve.kept.at(64) == make_cache(config).bytes
        assert curve.weights == weight_bytes(config, 4)
        assert not curve.what_if


def test_what_a_model_would_keep_is_what_such_a_model_keeps():
    seen = view(rebuilt="deepseek-v3")
    numbers = {"as published": 576, "multi-head": 32768, "grouped, 8": 2048, "multi-query": 256, "latent, 512": 576}
    assert might_keep(seen.models[-1], 8, 4) == {name: Kept(61 * each) for name, each in numbers.items()}
    for curve, heads in zip(seen.curves()[1:4], (128, 8, 1), strict=True):
        attention = AttentionConfig(n_heads=128, n_kv_heads=heads, head_dim=128)
        config = ModelConfig(vocab_size=1, dim=7168, n_layers=61, hidden_dim=1, max_length=163_840, attention=attention)
        assert curve.kept == Kept(cache_bytes_per_token(config))
        assert curve.what_if
    assert seen.curves()[0].kept.at(1) == cache_bytes_per_token(ModelConfig.from_card("deepseek-v3")) == 70_272


@pytest.mark.parametrize("name", card_names(later=True))
def test_a_curve_of_a_card_is_the_bytes_that_are_counted(name):
    """At lengths that are whole numbers of entries; between them, an entry that is not whole counts in shares."""
    config = ModelConfig.from_card(name)
    [curve] = ContextView({name: config}).curves()
    for length in (128, 4096, 131_072, 2**20):
        assert curve.kept.at(length) == cache_bytes(config, length)


def test_the_browser_counts_as_python_does(node):
    views, states = [], []
    for rebuilt, bits, kv_heads, latent_heads in itertools.product(("", *CARDS), BITS, (1, 3, 8, 200), (1, 4, 16)):
        seen = view(rebuilt=rebuilt, context=30_000)
        seen.bits, seen.kv_heads, seen.latent_heads = bits, kv_heads, latent_heads
        views.append(seen)
        states.append(state(seen))
    found = javascript(node, "context_view/rule", "value.map(m.curves)", states)
    for seen, curves in zip(views, found, strict=True):
        mine = [(c.name, list(c.kept), c.weights, c.longest, c.what_if) for c in seen.curves()]
        assert mine == [(c["name"], c["kept"], c["weights"], c["longest"], c["whatIf"]) for c in curves]


def test_the_browser_reads_a_curve_as_python_does(node):
    kepts = [Kept(3.5), Kept(2, 7, 64), Kept(0, 5, 128, 1000), Kept(0.25, 3, 1, 9)]
    cases = [[list(kept), length] for kept in kepts for length in (1, 64, 100, 5000)]
    found = javascript(node, "context_view/rule", "value.map((given) => m.at(...given))", cases)
    assert found == [Kept(*kept).at(length) for kept, length in cases]


def test_groups_divide_the_heads_in_both_languages(node):
    asked = [(heads, number) for heads in (1, 12, 28, 128) for number in (1, 2, 5, 8, 30, 200)]
    assert javascript(node, "context_view/rule", "value.map(([n, a]) => m.groups(n, a))", asked) == [
        groups(*pair) for pair in asked
    ]
    assert all(heads % groups(heads, number) == 0 for heads, number in asked)


def test_conversations_fit_beside_the_weights_or_the_weights_do_not(node):
    curve = {"kept": [10, 0, 1, 0], "weights": 1000}
    cases = [[curve, 10, 999], [curve, 10, 1000], [curve, 10, 1199], [curve, 10, 1200]]
    assert javascript(node, "context_view/rule", "value.map((given) => m.fits(...given))", cases) == [-1, 0, 1, 2]
    words = javascript(node, "context_view/view", "value.map(m.inWords)", [-1, 0, 1234, 10**7])
    assert words == ["not even the weights", "0", "1,234", "over a million"]


def test_lengths_and_bytes_are_written_alike_in_both_languages(node):
    lengths = javascript(node, "context_view/rule", "m.lengths()", None)
    assert lengths == sorted(set(lengths)) and lengths[0] == 2**10 and lengths[-1] == 2**20 and 131_072 in lengths
    assert javascript(node, "context_view/rule", "value.map(m.inK)", lengths) == [in_k(tokens) for tokens in lengths]
    assert [in_k(1024), in_k(131_072), in_k(2**20)] == ["1k", "128k", "1M"]
    assert [brief_bytes(n) for n in (7, 70_272, 9.2109e9, 67.6e9, 811e9, 1.08e12)] == [
        "7 B", "70.3 kB", "9.21 GB", "67.6 GB", "811 GB", "1.08 TB",
    ]  # fmt: skip


def test_the_browser_says_in_one_sentence_what_it_cannot_draw(node):
    good = state(view())
    bad = [good | {"rebuilt": "gpt-9"}, good | {"shown": []}, good | {"context": 0}]
    assert javascript(node, "context_view/rule", "value.map(m.problem)", [good, *bad]) == [
        "",
        "There is no model gpt-9 here; choose another one.",
        "No model is chosen; press the name of one.",
        "The context is 0 tokens, but must be at least 1.",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"context": 0}, "context is 0, but must be at least 1 and at most 1,048,576"),
        ({"conversations": 5000}, "conversations is 5000, but must be at least 1 and at most 4,096"),
        ({"kv_heads": -1}, "kv_heads is -1, but must be at least 1"),
        ({"rebuilt": "gpt-9"}, "rebuilt names 'gpt-9', but the names are: llama-2-7b"),
        ({"shown": ["deepseek-v3", "x"]}, "shown names 'x'"),
        ({"memory": "none"}, "memory names 'none', but the names are: 24 GB"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_picture_stays(change, sentence):
    seen = view()
    before = repr(seen)
    [(name, value)] = change.items()
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        setattr(seen, name, value)
    assert repr(seen) == before


def test_no_model_and_no_memory_are_refused():
    with pytest.raises(ValueError, match=r"^models is empty"):
        ContextView({})
    with pytest.raises(ValueError, match=r"^memories is .*above 0$"):
        view(memories={"none": 0})
    assert view(memories={"one": 1e9}).memory == "one"


def test_parameters_that_our_modules_lack_may_be_given():
    config = ModelConfig.from_card("llama-2-7b")
    assert ContextView({"a": config}).curves()[0].weights == 2 * count_parameters(config).total
    [given] = ContextView({"a": config}, parameters={"a": 5}, kept={"a": Kept(3)}, notes={"a": "odd"}).curves()
    assert (given.weights, given.kept) == (10, Kept(6))


def test_the_still_picture_holds_every_curve_and_every_memory():
    seen = view(shown=["deepseek-v3", "llama-3.1-405b"])
    axis = seen.figure().axes[0]
    at_once = {line.get_xdata()[0]: line.get_ydata()[0] for line in axis.lines if line.get_marker() == "o"}
    assert list(at_once) == [131_072]
    heights = {line.get_ydata()[0] for line in axis.lines if len(set(line.get_ydata())) == 1}
    assert set(MEMORIES.values()) <= heights
    assert repr(seen) == "<ContextView: 1 x 128k tokens: llama-3.1-405b 67.6 GB, deepseek-v3 9.21 GB>"
    written = " ".join(text.get_text() for text in axis.texts)
    assert "llama-3.1-405b  67.6 GB" in written and "deepseek-v3  9.21 GB" in written
    for rebuilt in CARDS:
        assert len(view(rebuilt=rebuilt).figure().axes[0].texts) >= 5
    assert view(shown=[]).figure().axes and repr(view(shown=[])).endswith("no model>")


def test_a_line_is_dashed_where_the_model_was_not_made_for_it():
    figure = draw_context([CacheCurve("a", Kept(10), 100, 2**12)], {"x": 1e6}, context=2**11)
    made, beyond = [line for line in figure.axes[0].lines if line.get_marker() == "None"][:2]
    assert (made.get_linestyle(), beyond.get_linestyle()) == ("-", "--")
    assert list(made.get_ydata()[[0, -1]]) == pytest.approx([10 * 2**10, 10 * 2**12])
    assert figure.get_figwidth() <= 7


def test_a_view_opens_where_the_weights_of_all_its_models_fit():
    models = dict.fromkeys(("small", "large"), ModelConfig.from_card("llama-2-7b"))
    for large, memory, bits in (
        (30, "one", 16),  # 60 bytes
        (60, "two", 16),  # 120
        (200, "two", 8),  # 400 do not fit, 200 do
        (10**6, "two", 16),  # nowhere
    ):
        sizes = {"small": 10, "large": large}
        opened = ContextView(models, parameters=sizes, memories={"two": 300.0, "one": 100.0})
        assert (opened.memory, opened.weight_bits) == (memory, bits)
    alone = ContextView(models, ["small"], parameters=sizes, memories={"two": 300.0, "one": 100.0})
    assert alone.memory == "one", "what is not shown needs no room"
