"""Hugging Face's mixtures of experts, recorded and steered like ours: the experts that the models' own outputs name."""

import copy
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from small import SPARSE, small_model

from moe_lessons.tracing import (
    RoutingTrace,
    find_routers,
    knock_out,
    observe_routing,
    only_expert,
    record_routing,
    sent_to,
    steer_routing,
    tracer,
)
from moe_lessons.tracing.rule import Knobs, route_with
from moe_lessons.tracing.specialization import share_explained
from moe_lessons.widgets import RouterView

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


def hooks_of(model: torch.nn.Module) -> list[tuple[int, int]]:
    return [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()]


def record(model, *batches: torch.Tensor, **options) -> RoutingTrace:
    with record_routing(model) as trace, torch.no_grad():
        for batch in batches:
            model(batch, **options)
    return trace


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
def test_recording_and_steering_leave_the_model_bit_identical(family):
    model, ids = build(family), text()
    with torch.no_grad():
        before, state, hooks = model(ids).logits, copy.deepcopy(model.state_dict()), hooks_of(model)
        with record_routing(model):
            assert torch.equal(model(ids).logits, before)
        with steer_routing(model, lambda layer, routing: routing):
            assert torch.equal(model(ids).logits, before)
        with pytest.raises(RuntimeError, match="on purpose"), record_routing(model):
            raise RuntimeError("on purpose")
        with (
            pytest.raises(RuntimeError, match="on purpose"),
            steer_routing(model, knock_out(model, [0])),
            observe_routing(model),
        ):
            raise RuntimeError("on purpose")
        assert torch.equal(model(ids).logits, before)
    assert hooks_of(model) == hooks
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@families
@pytest.mark.parametrize("implementation", ["grouped_mm", "batched_mm"])
def test_every_implementation_of_the_experts_can_be_recorded_and_steered(family, implementation):
    model, ids = build(family), text(time=8)
    model.set_experts_implementation("eager")
    plain = record(model, ids)
    with steer_routing(model, only_expert(model, 3)), torch.no_grad():
        forced = model(ids).logits
    model.set_experts_implementation(implementation)
    trace = record(model, ids)
    np.testing.assert_array_equal(trace.experts[0], plain.experts[0])
    np.testing.assert_allclose(trace.logits, plain.logits, rtol=1e-3, atol=1e-4)
    with steer_routing(model, only_expert(model, 3)), record_routing(model) as steered, torch.no_grad():
        torch.testing.assert_close(model(ids).logits, forced, rtol=1e-3, atol=1e-4)
    assert (steered.experts == 3).all() and steered.top_k == 1


@families
def test_knocking_an_expert_out_sends_its_tokens_to_the_next_best_of_the_rule(family):
    model, ids = build(family), text()
    first = FAMILIES[family][2][0]
    plain = record(model, ids)
    most = int(plain.load_per_expert()[0].argmax())
    with steer_routing(model, knock_out(model, [most], [first])), record_routing(model) as trace, torch.no_grad():
        model(ids)
    assert not (trace.experts[0] == most).any()
    knobs = Knobs(**{**vars(plain.knobs), "off": (most,)})
    by_rule = route_with(plain.logits[0], plain.bias[0], knobs)
    np.testing.assert_array_equal(trace.experts[0], by_rule.experts)
    np.testing.assert_allclose(trace.weights[0], by_rule.weights, rtol=1e-5)
    np.testing.assert_array_equal(trace.logits[0], plain.logits[0])


def test_a_knocked_out_expert_has_no_say_in_the_loss():
    model, ids = build("mixtral"), text()
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for layer in changed.model.layers:
            layer.mlp.experts.down_proj[5].normal_()
        with steer_routing(model, knock_out(model, [5])), steer_routing(changed, knock_out(changed, [5])):
            assert torch.equal(model(ids).logits, changed(ids).logits)
        assert not torch.equal(model(ids).logits, changed(ids).logits)


def test_a_route_can_be_forced_with_weights_as_the_router_weighs():
    model, ids = build("qwen3_moe"), text()
    routers = find_routers(model)
    wanted = torch.tensor([6, 1, 4])

    def force(layer, routing):
        return sent_to(routers[layer], routing, wanted.expand(len(routing.experts), 3))

    with steer_routing(model, force), record_routing(model) as trace, torch.no_grad():
        model(ids)
    assert (trace.experts == wanted.numpy()).all()
    np.testing.assert_allclose(trace.weights.sum(axis=-1), 1, rtol=1e-6)


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


class Letters:
    """A tokenizer in miniature."""

    document_id = 0

    def encode(self, text: str) -> list[int]:
        return [1 + ord(letter) % (VOCAB - 1) for letter in text]

    def pieces(self, ids: list[int]) -> list[str]:
        return [chr(97 + token % 26) for token in ids]


@families
def test_the_view_the_load_and_the_shares_take_such_a_trace_as_any_other(family):
    model = build(family)
    ask = tracer(model, Letters(), name=family)
    trace = ask("to whom it may concern")
    view = RouterView(trace, ask=ask)
    view.show("other words")
    assert view.message == "" and view.trace.n_tokens == len("other words")
    busiest = int(view.trace.load_per_expert()[-1].argmax())
    view.knobs = Knobs(**{**vars(trace.knobs), "off": (busiest,)})
    view.apply()
    assert view.message == ""
    assert trace.load_per_expert().sum() == trace.experts.size
    share = share_explained(trace.experts[0, :, 0], trace.token_ids)
    assert 0 <= share.raw <= 1 + 1e-9


@families
def test_knobs_applied_to_the_model_do_what_the_rule_says(family):
    model = build(family)
    ask = tracer(model, Letters())
    trace = ask("to whom it may concern")
    first = trace.layers[0]
    knobs = Knobs(**{**vars(trace.knobs), "off": (int(trace.load_per_expert()[0].argmax()),)})
    applied = ask.apply("to whom it may concern", knobs, [first])
    with steer_routing(model, knock_out(model, knobs.off, [first])), torch.no_grad():
        ids = torch.tensor([[0, *Letters().encode("to whom it may concern")]])
        logs = model(ids).logits[0].log_softmax(dim=-1)
    nats = -logs[:-1].gather(1, ids[0, 1:, None])[:, 0]
    np.testing.assert_allclose(applied.after.nats, nats.numpy(), rtol=1e-3, atol=1e-4)


def test_a_model_whose_router_is_not_known_is_refused_in_one_sentence():
    class SomebodysRouter(torch.nn.Module):
        pass

    class Somebodys(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([SomebodysRouter()])

    with pytest.raises(ValueError, match=r"^Somebodys routes with SomebodysRouter, which tracing does not know; it"):
        with record_routing(Somebodys()):
            pass


def test_a_model_with_one_router_that_is_known_and_one_that_is_not_is_not_half_recorded():
    class SomebodysGating(torch.nn.Module):
        pass

    model = build("mixtral")
    assert sorted(find_routers(model)) == [0, 1, 2]
    model.model.layers[1].mlp.gate = SomebodysGating()
    with pytest.raises(ValueError, match="routes with SomebodysGating, which tracing does not know in some layers"):
        find_routers(model)


def test_a_layer_alone_is_refused_with_the_advice_to_give_the_whole_model():
    theirs = build("mixtral").model.layers[0]
    ours = small_model(moe=SPARSE).blocks
    for part in (theirs, theirs.mlp, theirs.mlp.gate, ours, ours[0], ours[0].feed_forward.router):
        with pytest.raises(ValueError, match=f"^a {type(part).__name__} is a part of a model, .* give the whole$"):
            find_routers(part)


def test_a_dense_model_of_theirs_is_refused_in_one_sentence():
    config = transformers.LlamaConfig(**{**COMMON, "num_experts_per_tok": None})
    model = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(ValueError, match="no router to record"):
        find_routers(model)


def test_an_answer_of_another_kind_is_refused_in_one_sentence():
    model = build("mixtral")
    model.model.layers[0].mlp.gate.forward = lambda hidden: hidden
    with pytest.raises(ValueError, match="did not return logits, weights and experts"), record_routing(model):
        model(text())


def test_no_pass_in_the_block_is_an_error():
    with pytest.raises(ValueError, match="no forward pass"), record_routing(build("mixtral")):
        pass


def test_recording_does_not_import_transformers():
    code = "from moe_lessons.tracing import record_routing, tracer, steer_routing\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"transformers", "huggingface_hub"} & {name.split(".")[0] for name in run.stdout.split()}
