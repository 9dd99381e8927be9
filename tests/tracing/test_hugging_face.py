"""Hugging Face's mixtures of experts, recorded like ours: the experts that the models' own outputs name."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from small import SPARSE, small_model
from tiny_families import COMMON, FAMILIES, Overheard, build, families, record, text

from moe_lessons.tracing import find_routers, observe_routing, record_routing
from moe_lessons.tracing.rule import route_with

transformers = pytest.importorskip("transformers")


@families
def test_a_trace_names_the_experts_that_the_routers_answered_with(family):
    model, ids = build(family), text()
    overheard = Overheard(model)
    trace = record(model, ids)
    assert trace.layers == FAMILIES[family][2]
    assert len(overheard.answers) == len(trace.layers)
    for row, logits, weights, experts in overheard.answers:
        for token in range(ids.numel()):
            theirs = dict(zip(experts[token].tolist(), weights[token].tolist(), strict=True))
            ours = dict(zip(trace.experts[row, token].tolist(), trace.weights[row, token].tolist(), strict=True))
            assert ours == theirs
        np.testing.assert_array_equal(trace.logits[row], logits.numpy())
    assert trace.token_ids.tolist() == ids.flatten().tolist()
    assert trace.position.tolist() == [*range(11), *range(11)]
    assert trace.sequence.tolist() == [0] * 11 + [1] * 11


@families
def test_the_models_own_router_logits_are_those_of_the_trace(family):
    model, ids = build(family), text()
    with torch.no_grad():
        theirs = model.base_model(ids, output_router_logits=True).router_logits
    trace = record(model, ids)
    assert len(theirs) == len(trace.layers)
    for row, logits in enumerate(theirs):
        np.testing.assert_array_equal(trace.logits[row], logits.flatten(0, -2).numpy())


@families
def test_the_rule_of_the_trace_gives_back_experts_and_weights_best_first(family):
    trace = record(build(family), text())
    rule = route_with(trace.logits, trace.bias[:, None], trace.knobs)
    np.testing.assert_array_equal(rule.experts, trace.experts)
    np.testing.assert_allclose(rule.weights, trace.weights, rtol=1e-5)


def test_a_bias_chooses_and_does_not_weigh():
    model = build("deepseek_v3")
    assert record(model, text()).bias.any()
    trace = record(model, text())
    scores = 1 / (1 + np.exp(-trace.logits.astype(np.float64)))
    chosen = np.take_along_axis(scores, trace.experts, axis=-1)
    np.testing.assert_allclose(chosen / chosen.sum(-1, keepdims=True) * 2.5, trace.weights, rtol=1e-5)


@families
def test_padding_is_left_out_and_changes_no_other_route(family):
    model, short, long = build(family), text(time=7, batch=1), text(time=11, batch=2)[1:]
    alone = record(model, short)
    ids = torch.cat([torch.nn.functional.pad(short, (4, 0)), long])  # the padding comes first, as for generation
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    both = record(model, ids, attention_mask=mask, position_ids=places)
    assert both.n_tokens == 7 + 11
    assert both.token_ids.tolist() == [*short[0].tolist(), *long[0].tolist()]
    assert both.position.tolist() == [*range(7), *range(11)]
    first = both.select(tokens=both.sequence == 0)
    np.testing.assert_array_equal(first.experts[0], alone.experts[0])
    np.testing.assert_allclose(first.logits, alone.logits, rtol=1e-3, atol=1e-4)


@families
def test_generation_with_a_cache_is_one_text_in_several_passes(family):
    model, prompt = build(family), text(time=5)
    with record_routing(model) as trace:
        written = model.generate(prompt, max_new_tokens=4, do_sample=False)
    # The last token was written, and not read.
    assert written.shape == (2, 9) and trace.n_tokens == 2 * 8
    for row in range(2):
        mine = trace.select(tokens=trace.sequence == row)
        assert mine.token_ids.tolist() == written[row, :8].tolist()
        assert mine.position.tolist() == list(range(8))
    at_once = record(model, written[:, :8])
    order = np.lexsort((trace.position, trace.sequence))
    np.testing.assert_allclose(trace.logits[:, order], at_once.logits, rtol=1e-3, atol=1e-4)


def test_two_generations_are_two_texts():
    model = build("mixtral")
    with record_routing(model) as trace:
        for _ in range(2):
            model.generate(text(time=3, batch=1), max_new_tokens=2, do_sample=False)
    assert trace.sequence.tolist() == [0] * 4 + [1] * 4
    assert trace.position.tolist() == [0, 1, 2, 3] * 2


def test_vectors_in_place_of_tokens_are_recorded_without_names():
    model, ids = build("mixtral"), text()
    by_ids = record(model, ids)
    with record_routing(model) as trace, torch.no_grad():
        model(inputs_embeds=model.get_input_embeddings()(ids).clone())
    assert (trace.token_ids == -1).all()
    np.testing.assert_array_equal(trace.experts, by_ids.experts)


@families
def test_training_can_be_recorded_and_observed_with_gradients(family):
    model, ids = build(family).train(), text()
    with observe_routing(model) as seen, record_routing(model) as trace:
        model(ids, labels=ids).loss.backward()
    assert set(seen) == set(trace.layers)
    for row, layer in enumerate(trace.layers):
        np.testing.assert_array_equal(seen[layer].experts.numpy(), trace.experts[row])
        assert seen[layer].scores.requires_grad


def test_layers_that_run_again_in_the_backward_pass_are_not_counted_again():
    model, ids = build("qwen3_moe").train(), text()
    once = record(model, ids)
    layer = model.model.layers[1]
    forward, runs = layer.self_attn.forward, []
    layer.self_attn.forward = lambda *inputs, **named: runs.append(1) or forward(*inputs, **named)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its name changes with transformers 6
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    with record_routing(model) as trace:
        model(ids, labels=ids, use_cache=False).loss.backward()
    assert len(runs) == 2
    np.testing.assert_array_equal(trace.experts, once.experts)


def test_half_precision_is_recorded_in_float32():
    model = build("mixtral", dtype=torch.bfloat16)
    overheard = Overheard(model)
    trace = record(model, text())
    for row, _, _, experts in overheard.answers:
        assert np.array_equal(np.sort(trace.experts[row], axis=1), experts.sort(dim=1).values.numpy())
    assert trace.logits.dtype == np.float32


def test_a_base_model_without_a_head_is_recorded_too():
    model, ids = build("deepseek_v3"), text()
    np.testing.assert_array_equal(record(model.base_model, ids).experts, record(model, ids).experts)


def test_a_model_whose_router_is_not_known_is_refused_in_one_sentence():
    class SomebodysRouter(torch.nn.Module):
        pass

    class Somebodys(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([SomebodysRouter()])

    with pytest.raises(ValueError, match=r"^Somebodys routes with SomebodysRouter, which tracing does not know: no"):
        with record_routing(Somebodys()):
            pass


def test_a_model_with_one_router_that_is_known_and_one_that_is_not_is_not_half_recorded():
    class SomebodysGating(torch.nn.Module):
        """Says other logits than it chooses by, which is no way to read it."""

        def __init__(self, gate: torch.nn.Module) -> None:
            super().__init__()
            self.gate = gate

        def forward(self, hidden):
            logits, weights, experts = self.gate(hidden)
            return logits, weights * 1.5, experts.flip(1)

    class DenseRouter(torch.nn.Module):
        pass

    model = build("mixtral")
    assert sorted(find_routers(model)) == [0, 1, 2]
    gate = model.model.layers[1].mlp.gate
    model.model.layers[1].mlp.gate = SomebodysGating(gate)
    trace = record(model, text())  # what its experts were given is read right; its rule is none
    assert not trace.rule_known
    model.model.layers[1].mlp.gate = gate
    model.model.layers[1].mlp.router = DenseRouter()
    assert record(model, text()).rule_known  # idle beside the experts, it is a candidate that answers nothing
    model.model.layers[1].mlp = torch.nn.Sequential(DenseRouter())
    with pytest.raises(ValueError, match="routes with DenseRouter, which tracing does not know in some layers"):
        find_routers(model)


def test_a_layer_alone_is_refused_with_the_advice_to_give_the_whole_model():
    theirs = build("mixtral").model.layers[0]
    ours = small_model(moe=SPARSE).blocks
    for part in (theirs, theirs.mlp, theirs.mlp.gate, theirs.mlp.experts, ours, ours[0], ours[0].feed_forward.router):
        with pytest.raises(ValueError, match=f"^a {type(part).__name__} is a part of a model, .* give the whole$"):
            find_routers(part)


def test_a_dense_model_of_theirs_is_refused_in_one_sentence():
    config = transformers.LlamaConfig(**{**COMMON, "num_experts_per_tok": None})
    model = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(ValueError, match="no router to record"):
        find_routers(model)


def test_an_answer_of_another_kind_is_refused_in_one_sentence():
    model = build("mixtral")
    router = find_routers(model)[0]
    with pytest.raises(ValueError, match="does not return logits, weights and experts in this answer; record"):
        router.understand((torch.zeros(3, 8),))


def test_experts_that_are_given_other_things_than_before_are_refused():
    model = build("mixtral")
    record(model, text())
    experts = model.model.layers[0].mlp.experts
    model.model.layers[0].mlp.experts.forward = lambda hidden, chosen, weights: hidden
    model.model.layers[0].mlp.gate.forward = lambda hidden: (torch.zeros(22, 8), torch.ones(22, 3), [[0]] * 22)
    with pytest.raises(ValueError, match="layer 0 cannot be read: MixtralExperts is given no table"):
        record(model, text())
    del experts.forward


def test_no_pass_in_the_block_is_an_error():
    with pytest.raises(ValueError, match="no forward pass"), record_routing(build("mixtral")):
        pass


def test_recording_does_not_import_transformers():
    code = "from moe_lessons.tracing import record_routing, tracer, steer_routing\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"transformers", "huggingface_hub"} & {name.split(".")[0] for name in run.stdout.split()}
