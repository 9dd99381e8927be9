"""The lessons' widgets: what they compute, what they refuse, what they send, and that their two languages agree."""

import itertools
import json
import math
import re
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from in_node import javascript

from moe_lessons.accounting import count_parameters, forward_flops
from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig, MoEConfig
from moe_lessons.figures.budget import brief
from moe_lessons.figures.style import new_figure, printable
from moe_lessons.figures.training import smooth
from moe_lessons.model.generate import next_token_distribution
from moe_lessons.widgets import AttentionView, BudgetView, SamplingView, TokenView, TrainingBoard
from moe_lessons.widgets.budget_view import budget
from moe_lessons.widgets.sampling_view.picture import draw_counts, sample_distribution, uniforms
from moe_lessons.widgets.shared.view import png
from moe_lessons.widgets.token_view import MOST_CHARACTERS, piece_bytes
from moe_lessons.widgets.token_view.picture import wrap


def by_words(text: str) -> tuple[list[int], list[str]]:
    """A tokenizer that cuts before blanks."""
    pieces = re.findall(r"\s?\S+|\s", text)
    return [len(piece) for piece in pieces], pieces


def causal(layers: int = 2, heads: int = 3, time: int = 5) -> np.ndarray:
    """Attention weights of random scores."""
    scores = np.random.default_rng(0).normal(size=(layers, heads, time, time))
    weights = np.exp(scores) * np.tri(time)
    return weights / weights.sum(-1, keepdims=True)


def dense(**changes) -> ModelConfig:
    sizes = {"vocab_size": 100, "dim": 32, "n_layers": 2, "hidden_dim": 48, "max_length": 64}
    return ModelConfig(**{**sizes, "attention": AttentionConfig(n_heads=4, n_kv_heads=2), **changes})


def every_view() -> list:
    board = TrainingBoard(["json", "german"], {"json": 0.5}, "a run")
    board.start(20, "steps")
    for step in range(1, 21):
        board.point(step=step, seconds=step / 10, loss=3 / step, tokens=64 * step, lr=0.5)
    board.evaluation(20, {"json": 0.9, "german": 1.1})
    board.finish()
    return [
        TokenView(by_words, "a $5 text\nof two lines", {"json": '{"a": 1}', "german": "Der Hund schläft."}),
        AttentionView(["a", " b", "\n", "$", "é"], causal()),
        BudgetView({"dense": dense(), "sparse": dense(moe=MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=16))}),
        SamplingView({"The": np.arange(30.0) / 3, "A $ sign": np.zeros(30)}, [f" w{i}" for i in range(30)]),
        board,
    ]


# --- all of them


def test_each_view_has_a_still_picture_and_a_repr_without_an_address():
    for view, again in zip(every_view(), every_view(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data, _ = view._repr_mimebundle_()
        assert data["image/png"].startswith("iVBOR")
        assert data["text/plain"] == repr(view) == repr(again)
        assert not re.search(r"0x[0-9a-f]{6}", repr(view))
        assert view.figure().get_figwidth() <= 7


def test_drawing_views_never_loads_pyplot():
    code = """
import sys, numpy as np
from moe_lessons.widgets import SamplingView, TrainingBoard
board = TrainingBoard(["a"], {"a": 1.0}); board.start(2); board.point(step=1, seconds=1, loss=2, tokens=8, lr=1)
board.finish(); board._repr_mimebundle_(); SamplingView(np.zeros(3), list("abc"))._repr_mimebundle_()
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=120)
    assert done.stdout == "False\n", done.stderr


def test_a_figure_wider_than_the_page_is_refused():
    with pytest.raises(ValueError, match=r"^width is 9 inches, .*; make it narrower$"):
        new_figure(9)


def test_signs_that_the_font_lacks_become_escapes():
    assert printable("a b\n") == "a·b↵"
    assert printable("😀日é") == "\\U0001f600\\u65e5é"


# --- TokenView


def test_tokens_come_with_ids_bytes_and_counts():
    view = TokenView(by_words, "wie schön")
    assert view.answer["ids"] == [3, 6]
    assert view.answer["bytes"] == ["77 69 65", "20 73 63 68 c3 b6 6e"]
    assert (view.answer["n_bytes"], view.answer["n_words"]) == (10, 2)
    view.text = "a b c"
    assert view.answer["text"] == "a b c"
    assert len(view.answer["ids"]) == 3


def test_bad_text_gives_one_sentence_and_the_next_text_works():
    view = TokenView(by_words, "")
    assert view.message == "the text is empty; type something to see its tokens"
    for text, words in (("\ud83d", "lone surrogate"), ("x" * (MOST_CHARACTERS + 1), "20,000 are shown")):
        view.text = text
        assert words in view.message
        assert "ids" not in view.answer
        view.figure()
    view.text = "good"
    assert view.message == ""
    assert view.answer["pieces"] == ["good"]


def test_an_error_of_the_tokenizer_is_shown_not_lost():
    def broken(text):
        raise RuntimeError("the tokenizer is broken")

    assert TokenView(broken, "a").message == "the tokenizer is broken"


def test_bytes_per_token_by_domain_are_those_of_the_whole_sample():
    view = TokenView(by_words, "a", {"long": "ab " * MOST_CHARACTERS})
    assert view.domains[0]["bytes_per_token"] == pytest.approx(3 * MOST_CHARACTERS / (MOST_CHARACTERS + 1))
    assert len(view.domains[0]["text"]) == MOST_CHARACTERS
    with pytest.raises(ValueError, match="domain 'none' has no tokens"):
        TokenView(by_words, "a", {"none": ""})


def test_another_tokenizer_cuts_the_same_text_and_samples_anew():
    view = TokenView(by_words, "ab cd", {"short": "ab cd ef"})
    view.use(lambda text: (list(range(len(text))), list(text)))
    assert len(view.answer["ids"]) == 5
    assert view.domains == [{"name": "short", "text": "ab cd ef", "bytes_per_token": 1.0}]
    view.text = "xyz"
    assert len(view.answer["ids"]) == 3


@given(st.text(), st.lists(st.integers(0, 40)))
def test_piece_bytes_join_to_the_text_however_it_was_cut(text, cuts):
    encoded = text.encode("utf-8")
    edges = [0, *sorted(cut for cut in cuts if cut < len(encoded)), len(encoded)]
    parts = [encoded[a:b] for a, b in itertools.pairwise(edges)]
    found = piece_bytes([part.decode("utf-8", "backslashreplace") for part in parts], encoded)
    assert b"".join(found) == encoded


@given(st.lists(st.text("ab ↵", min_size=1, max_size=30), max_size=80))
def test_wrapped_chips_stay_on_the_page_in_order(pieces):
    lines = wrap(pieces, columns=20, most=5)
    shown = [chip for line in lines for chip in line]
    assert [index for index, _, _ in shown if index >= 0] == list(range(sum(index >= 0 for index, _, _ in shown)))
    assert all(column + len(text) <= 20 or text == "…" for _, column, text in shown)
    assert len(lines) <= 5


# --- AttentionView


def test_the_browser_gets_each_weight_to_five_digits():
    weights = causal()
    view = AttentionView(list("abcde"), weights)
    sent = np.frombuffer(view.weights, "<u2").reshape(weights.shape) / 65535
    assert np.abs(sent - weights).max() < 1e-5


def test_attention_of_the_wrong_shape_or_kind_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"must be \(layers, heads, 4, 4\) for 4 pieces"):
        AttentionView(list("abcd"), causal())
    with pytest.raises(ValueError, match="give the weights after the softmax"):
        AttentionView(list("abcde"), causal() - 0.5)
    view = AttentionView(list("abcde"), causal())
    with pytest.raises(ValueError, match="layer is 2, but must be at least 0 and below 2"):
        view.layer = 2


def test_a_single_token_and_a_single_head_can_be_drawn():
    png(AttentionView(["a"], np.ones((1, 1, 1, 1))).figure())


# --- BudgetView


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
        noise=st.booleans(),
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
    )
    latent = st.builds(
        LatentAttentionConfig,
        n_heads=st.just(heads),
        q_lora_rank=st.none() | st.integers(1, 9),
        kv_lora_rank=st.integers(1, 9),
        qk_nope_head_dim=st.integers(1, 9),
        qk_rope_head_dim=st.sampled_from([2, 4]),
        v_head_dim=st.integers(1, 9),
    )
    return ModelConfig(
        vocab_size=draw(st.integers(1, 300)),
        dim=24 * draw(st.integers(1, 8)),
        n_layers=n_layers,
        hidden_dim=draw(st.integers(1, 99)),
        max_length=16,
        attention=draw(st.just(grouped) | latent),
        moe=draw(st.none() | moe),
        tie_embeddings=draw(st.booleans()),
        mtp_depth=draw(st.integers(0, 2)),
    )


@given(configs(), st.integers(1, 500))
def test_the_slices_of_a_budget_add_up_to_the_accounting(config, context):
    slices = budget(config, context)
    assert sum(part.parameters for part in slices) == count_parameters(config).total
    assert sum(part.active for part in slices) == count_parameters(config).active
    assert sum(part.flops for part in slices) * context == forward_flops(config, 1, context)


def test_the_browser_counts_parameters_and_flops_as_the_package_does(node):
    seen: list[tuple[ModelConfig, int]] = []
    given(configs(), st.integers(1, 500))(lambda config, context: seen.append((config, context)))()
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


def test_the_browser_refuses_groups_that_the_configuration_refuses(node):
    configs = []
    for n_routed_experts, n_groups, top_groups, top_k in itertools.product((2, 4, 6), (1, 2, 3), (1, 2), (1, 3)):
        moe = {"n_routed_experts": n_routed_experts, "n_groups": n_groups, "top_groups": top_groups, "top_k": top_k}
        if top_groups <= n_groups:  # no knob turns these two
            whole = dense(moe=MoEConfig(n_routed_experts=2, top_k=1, hidden_dim=8)).to_dict()
            configs.append(whole | {"moe": whole["moe"] | moe})
    sentences = javascript(node, "budget_view/rule", "value.map(m.problem)", configs)
    for config, sentence in zip(configs, sentences, strict=True):
        try:
            refused = not ModelConfig.from_dict(config)
        except ValueError:
            refused = True
        assert bool(sentence) == refused, (config["moe"], sentence)


def test_a_budget_of_a_published_latent_model_is_shown():
    view = BudgetView({"DeepSeek-V3": ModelConfig.from_card("deepseek-v3")}, context=4096)
    assert "671,026,419,200 parameters" in repr(view)
    assert view.figure().axes


def test_presets_may_be_one_configuration_and_may_not_be_none():
    assert "parameters" in repr(BudgetView(dense()))
    with pytest.raises(ValueError, match="presets is empty"):
        BudgetView({})


def test_large_counts_are_written_alike_in_both_languages(node):
    counts = [0, 7, 999, 1000, 9994, 9996, 99_960, 999_499, 999_501, 1_234_567, 8_030_261_248, 7e15]
    assert javascript(node, "shared/common", "value.map((n) => m.brief(n))", counts) == [brief(n) for n in counts]
    assert [brief(count) for count in counts[-3:]] == ["1.23 M", "8.03 B", "7000 T"]


# --- SamplingView


def settings_and_logits() -> list[dict]:
    rng = np.random.default_rng(1)
    cases = [{"logits": [1, 1, 0, 1], "temperature": 1, "topK": 2, "topP": 1}]  # ties
    for _ in range(60):
        logits = np.round(rng.normal(size=rng.integers(1, 40)) * 3, 1)
        knobs = {"topK": int(rng.integers(0, 12)), "topP": float(rng.choice([1, rng.uniform(0.05, 1)]))}
        cases.append({"logits": logits.tolist(), "temperature": float(rng.choice([0, 0.3, 1, 2])), **knobs})
    return cases


def test_the_browser_shapes_the_distribution_as_python_does(node):
    cases = settings_and_logits()
    expression = "value.map((c) => Array.from(m.sampleDistribution(c.logits, c)))"
    found = javascript(node, "sampling_view/view", expression, cases)
    for case, probabilities in zip(cases, found, strict=True):
        expected = sample_distribution(case["logits"], case["temperature"], case["topK"], case["topP"])
        np.testing.assert_allclose(probabilities, expected, atol=1e-12)
        assert sum(probabilities) == pytest.approx(1)


@given(
    arrays.arrays(np.float64, st.integers(1, 30), elements=st.integers(-8, 8)),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    st.sampled_from([1.0, 0.9, 0.51, 0.123]),
)
def test_without_top_k_the_distribution_is_the_one_that_generation_uses(logits, temperature, top_p):
    expected = next_token_distribution(torch.tensor(logits), temperature, top_p)
    np.testing.assert_allclose(sample_distribution(logits, temperature, 0, top_p), expected, atol=1e-9)


def test_top_k_keeps_the_k_likeliest_in_proportion():
    probabilities = sample_distribution(np.log([0.1, 0.5, 0.1, 0.3]), top_k=3)
    np.testing.assert_allclose(probabilities, [1 / 9, 5 / 9, 0, 3 / 9])


def test_a_seed_draws_the_same_tokens_in_the_browser_and_in_python(node):
    probabilities = sample_distribution(np.linspace(0, 4, 12), top_k=9)
    value = {"p": probabilities.tolist(), "seeds": [0, 1, 2**31, 2**32 - 1]}
    expression = "value.seeds.map((seed) => [m.uniforms(5, seed), m.drawCounts(value.p, 300, seed)])"
    found = javascript(node, "sampling_view/view", expression, value)
    for seed, (numbers, counts) in zip(value["seeds"], found, strict=True):
        assert numbers == uniforms(5, seed)
        assert counts == draw_counts(probabilities, 300, seed).tolist()
        assert sum(counts) == 300


def test_draws_follow_the_distribution_and_never_take_what_was_cut_off():
    probabilities = sample_distribution(np.linspace(0, 4, 12), top_k=4)
    counts = draw_counts(probabilities, 10_000, seed=3)
    assert np.abs(counts / 10_000 - probabilities).max() < 0.02
    assert not counts[probabilities == 0].any()
    assert draw_counts(probabilities, 0, 0).tolist() == [0] * 12


def test_bad_logits_and_settings_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"have shape \(2,\), but must be \(3,\)"):
        SamplingView(np.zeros(2), list("abc"))
    with pytest.raises(ValueError, match="not finite"):
        SamplingView({"a": np.array([0, np.nan])}, ["x", "y"])
    with pytest.raises(ValueError, match="top_p is 0.0, but must be above 0 and at most 1"):
        SamplingView(np.zeros(2), ["x", "y"], top_p=0)
    with pytest.raises(ValueError, match="temperature is -1.0, but must be at least 0"):
        SamplingView(np.zeros(2), ["x", "y"], temperature=-1)


# --- TrainingBoard


def sent_by(board: TrainingBoard) -> list[dict]:
    """Every message that leaves the board from now on."""
    messages: list[dict] = []
    board.observe(lambda change: messages.append({change["name"]: change["new"]}), ["news", "history"])
    return messages


def assembled(node: str, messages: list[dict]) -> list[dict]:
    """The runs as the browser has them after these messages."""
    expression = """value.reduce((runs, message) => {
      if (message.history) return structuredClone(message.history);
      m.merge(runs, message.news);
      return runs;
    }, [])"""
    return javascript(node, "training_board/view", expression, messages)


def run_steps(run, first: int, last: int) -> None:
    for step in range(first, last + 1):
        run.point(step=step, seconds=step / 8, loss=5 / step, tokens=step * 10, lr=1.0)


def test_the_browser_ends_up_with_every_point_though_only_new_ones_are_sent(node, monkeypatch):
    monkeypatch.setattr("moe_lessons.widgets.shared.board._PAUSE", 0.0)
    board = TrainingBoard()
    messages = sent_by(board)
    for name in ("dense", "moe"):
        run = board.run(name)
        run.start(300)
        for step in range(0, 300, 50):
            run_steps(run, step + 1, step + 50)
            run.evaluation(step + 50, {"json": 1 / (step + 1)})
        run.finish()
    assert assembled(node, messages) == [board.run(name).state() for name in ("dense", "moe")]
    sent = [run for message in messages for run in message.get("history", [message.get("news")])]
    assert sum(len(run["points"]) for run in sent) < 6 * 600, "whole histories are sent too often"


def test_a_page_that_missed_messages_has_everything_after_the_run(node, monkeypatch):
    monkeypatch.setattr("moe_lessons.widgets.shared.board._PAUSE", 0.0)
    board = TrainingBoard()
    messages = sent_by(board)
    board.start(500)
    run_steps(board, 1, 500)
    board.finish()
    assert assembled(node, messages[5:40] + messages[60:]) == [board.run("").state()]


def test_a_reloaded_page_gets_the_whole_history_also_in_the_middle_of_a_run():
    board = TrainingBoard()
    board.start(500)
    run_steps(board, 1, 123)
    assert len(board.get_state()["history"][0]["points"]) == 123
    assert len(board.history[0]["points"]) < 123


def test_a_thousand_steps_a_second_make_a_handful_of_messages():
    board = TrainingBoard()
    messages = sent_by(board)
    board.start(1000)
    run_steps(board, 1, 1000)
    board.finish()
    assert len(messages) <= 12


def test_a_very_long_run_is_thinned_and_keeps_its_mean_and_its_end():
    board = TrainingBoard()
    board.start(10_001)
    for step in range(1, 10_002):
        board.point(step=step, seconds=step, loss=float(step % 7), tokens=step, lr=1.0)
    board.finish()
    points = board.run("").points
    assert 1000 <= len(points) <= 2001
    assert points[-1][0] == 10_001
    assert [p[0] for p in points] == sorted({p[0] for p in points})
    assert np.mean([p[2] for p in points]) == pytest.approx(3, abs=0.05)


def test_a_loss_that_is_no_number_travels_as_json_and_is_said():
    board = TrainingBoard(floors={"python": math.nan, "json": 1.0, "english": None})
    board.start(3)
    for step, loss in enumerate([2.0, math.nan, math.inf], start=1):
        board.point(step=step, seconds=step, loss=loss, tokens=step, lr=1.0)
    board.evaluation(3, {"json": math.nan})
    board.finish()
    json.dumps([board.history, board.floors], allow_nan=False)
    assert board.message == "the loss of step 3 is inf; lower the learning rate and start again"
    assert board.floors == {"json": 1.0}
    png(board.figure())


def test_starting_again_forgets_the_run_of_that_name_only():
    board = TrainingBoard()
    for name in ("dense", "moe", "dense"):
        board.run(name).start(5)
        run_steps(board.run(name), 1, 5)
        board.run(name).finish()
    assert [(run["name"], len(run["points"])) for run in board.history] == [("dense", 5), ("moe", 5)]


def test_a_run_that_never_started_or_never_stepped_can_be_drawn():
    board = TrainingBoard(["json"], {"json": 0.5})
    png(board.figure())
    board.run("dense").finish()
    png(board.figure())
    with pytest.raises(ValueError, match="unit is 'hours', but must be 'steps' or 'seconds'"):
        board.start(3, "hours")


def test_smoothing_is_the_same_in_both_languages_and_stays_between_the_losses(node):
    losses = (5 / np.arange(1, 200) + np.random.default_rng(0).normal(size=199)).tolist()
    found = javascript(node, "shared/chart", "m.smooth(value)", losses)
    np.testing.assert_allclose(found, smooth(np.array(losses)), atol=1e-12)
    assert min(losses) <= min(found) <= max(found) <= max(losses)


def test_a_board_costs_a_training_step_less_than_a_millisecond():
    board = TrainingBoard()
    board.start(20_000)
    begin = time.perf_counter()
    run_steps(board, 1, 20_000)
    assert (time.perf_counter() - begin) / 20_000 < 1e-3
