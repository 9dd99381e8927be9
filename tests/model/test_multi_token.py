"""Multi-token prediction: who predicts what from what, the loss by hand, and Hugging Face's module."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import LATENT, small_config, some_tokens

from moe_lessons import AttentionConfig, ModelConfig, MoEConfig, TrainConfig, Transformer
from moe_lessons.model.multi_token import MultiTokenModule, multi_token_loss
from moe_lessons.model.transformer import next_token_loss
from moe_lessons.tracing import record_routing
from moe_lessons.tracing.record import find_routers, observe_routing
from moe_lessons.training.checkpoint import load_checkpoint, save_checkpoint
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers


def config(**changes) -> ModelConfig:
    return small_config(**({"vocab_size": 19, "max_length": 64, "mtp_depth": 2} | changes))


SPARSE = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, n_dense_layers=1, expert_bias=True)


def test_modules_change_nothing_about_the_model_itself():
    with_modules, without = Transformer(config(), seed=3), Transformer(config(mtp_depth=0), seed=3)
    x = some_tokens(with_modules.config)
    assert torch.equal(with_modules(x), without(x))
    assert not len(without.mtp)


@settings(max_examples=20)
@given(depth=st.integers(1, 4), latent=st.booleans(), time=st.integers(1, 9), seed=st.integers(0, 100))
def test_each_module_predicts_from_the_prefix_and_the_tokens_in_between(depth, latent, time, seed):
    """Entry d at position i is what the chain gives for a text that ends with the token at i + d + 1."""
    model = Transformer(config(mtp_depth=depth, attention=LATENT if latent else AttentionConfig(n_heads=2)), seed=seed)
    x = some_tokens(model.config, time=time + 1, seed=seed)
    ahead = model.look_ahead(model.read(x[:, :-1]), x[:, 1:])
    assert [logits.shape[1] for logits in ahead] == [max(0, time - d) for d in range(depth)]
    for d, logits in enumerate(ahead):
        for i in range(logits.shape[1]):
            end = i + d + 2  # tokens 0 to i + d + 1
            stream = model.read(x[:, :end])[:, : i + 1]
            for k in range(d + 1):
                embedded = model.embedding(x[:, k + 1 : k + i + 2])
                stream = model.mtp[k](stream, embedded, model.rotation(0, i + 1))
            assert (model.head(stream[:, -1]) - logits[:, i]).abs().max() < 1e-5


def test_a_module_joins_two_normalized_halves():
    module = MultiTokenModule(config(), depth=0)
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    hidden, embedded = torch.randn(2, 2, 5, 16, generator=generator)
    by = Transformer(config()).rotation(0, 5)

    def normed(x, norm):
        return x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight

    left, right = module.projection.weight.split(16, dim=1)
    joined = normed(hidden, module.hidden_norm) @ left.T + normed(embedded, module.embedding_norm) @ right.T
    expected = normed(module.block(joined, by), module.norm)
    assert torch.allclose(module(hidden, embedded, by), expected, atol=1e-5)


def test_the_loss_is_the_mean_over_modules_of_what_each_should_have_said():
    model = Transformer(config(mtp_depth=3))
    x = some_tokens(model.config, time=9)
    targets = x[:, 1:]
    ahead = model.look_ahead(model.read(x[:, :-1]), targets)
    by_hand = []
    for d, logits in enumerate(ahead):
        costs = [
            -logits[batch, i].log_softmax(0)[x[batch, i + d + 2]]
            for batch in range(2)
            for i in range(9)
            if i + d + 2 < 9
        ]
        by_hand.append(sum(costs) / len(costs))
    assert torch.allclose(multi_token_loss(ahead, targets), sum(by_hand) / 3, atol=1e-5)


def test_a_text_too_short_to_look_ahead_is_refused():
    model = Transformer(config(mtp_depth=3))
    x = some_tokens(model.config, time=4)
    with pytest.raises(ValueError, match="too short for looking 4 ahead"):
        multi_token_loss(model.look_ahead(model.read(x[:, :-1]), x[:, 1:]), x[:, 1:])


def test_embedding_and_head_are_the_models_own():
    model = Transformer(config(tie_embeddings=False))
    names = [name for name, _ in model.named_parameters() if name.startswith("mtp.")]
    assert not any("embedding.weight" in name or "head" in name for name in names)
    x = some_tokens(model.config)
    multi_token_loss(model.look_ahead(model.read(x[:, :-1]), x[:, 1:]), x[:, 1:]).backward()
    for name, parameter in model.named_parameters():
        if name != "norm.weight" or parameter.grad is not None:
            assert parameter.grad.abs().sum() > 0, name


def test_a_module_equals_hugging_faces():
    from transformers import LlamaConfig
    from transformers.modeling_layers import MtpLayer
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm, LlamaRotaryEmbedding

    their_config = LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_attention_heads=2,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_theta": 10_000.0, "rope_type": "default"},
        attn_implementation="eager",
    )
    theirs = MtpLayer(their_config, LlamaDecoderLayer, LlamaRMSNorm, 0).eval()
    ours, generator = MultiTokenModule(config(), depth=0), torch.Generator().manual_seed(1)
    for parameter in ours.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    names = {"self_attn.q_proj": "attention.query", "self_attn.k_proj": "attention.key"}
    names |= {"self_attn.v_proj": "attention.value", "self_attn.o_proj": "attention.output"}
    names |= {f"mlp.{part}_proj": f"feed_forward.{part}" for part in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "feed_forward_norm"}
    own = ours.state_dict()
    weights = {f"mtp_block.{name}.weight": own[f"block.{mine}.weight"] for name, mine in names.items()}
    weights |= {"hnorm.weight": own["hidden_norm.weight"], "enorm.weight": own["embedding_norm.weight"]}
    weights |= {"post_norm.weight": own["norm.weight"]}
    # Theirs has the embedding's half first, the report and we the hidden state's.
    weights |= {"eh_proj.weight": own["projection.weight"].roll(16, dims=1)}
    theirs.load_state_dict(weights)
    hidden, embedded = torch.randn(2, 2, 7, 16, generator=generator)
    by = LlamaRotaryEmbedding(their_config)(hidden, torch.arange(7)[None])
    future = torch.full((7, 7), float("-inf")).triu(1)[None, None]
    with torch.no_grad():
        expected = theirs(embedded, hidden, by, future, None, None)
        result = ours(hidden, embedded, Transformer(config()).rotation(0, 7))
    assert (result - expected).abs().max() < 1e-5


def test_training_moves_the_modules_and_balances_their_experts():
    model = Transformer(config(moe=SPARSE, attention=LATENT))
    train = TrainConfig(steps=1, bias_rate=0.01, balance_loss=0.01, sequence_balance_loss=0.01, z_loss=0.001)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = some_tokens(model.config)
    loss, routings = training_step(model, build_optimizers(model, train), x[:, :-1], x[:, 1:], train, 1.0)
    assert sorted(routings) == [1, 2, 3]  # layer 0 is dense, 2 and 3 are the modules'
    assert len(routings[3].experts) == 2 * (11 - 1)  # the second module lacks a token of each text
    for name, tensor in model.state_dict().items():
        if ".experts." not in name:
            assert not torch.equal(tensor, before[name]), name
    before_step = Transformer(config(moe=SPARSE, attention=LATENT))
    assert loss == pytest.approx(next_token_loss(before_step(x[:, :-1]), x[:, 1:]).item(), abs=1e-5)


def test_the_gradient_is_the_next_tokens_and_the_modules_share_by_its_weight():
    """By AdamW's first average of gradients, which after one step is a tenth of the gradient."""
    model, weight = Transformer(config(moe=SPARSE)), 0.2
    train = TrainConfig(steps=1, optimizer="adamw", mtp_weight=weight, gradient_clip=1e9, weight_decay=0.0)
    x = some_tokens(model.config)
    inputs, targets = x[:, :-1], x[:, 1:]
    hidden = model.read(inputs)
    following = next_token_loss(model.head(hidden), targets)
    ahead = multi_token_loss(model.look_ahead(hidden, targets), targets)
    parameters = dict(model.named_parameters())
    right = torch.autograd.grad(following + weight * ahead, list(parameters.values()), allow_unused=True)
    right = {name: grad for name, grad in zip(parameters, right, strict=True) if grad is not None}
    (adamw,) = build_optimizers(model, train)
    training_step(model, [adamw], inputs, targets, train, 1.0)
    assert len(right) == len(adamw.state) > 20
    for name, grad in right.items():
        moved = adamw.state[parameters[name]]["exp_avg"] * 10
        torch.testing.assert_close(moved, grad, rtol=1e-3, atol=1e-6, msg=name)


def test_without_weight_the_modules_are_left_alone():
    model = Transformer(config(moe=SPARSE))
    train = TrainConfig(steps=1, bias_rate=0.01, mtp_weight=0.0)
    before = {name: tensor.clone() for name, tensor in model.mtp.state_dict().items()}
    x = some_tokens(model.config)
    _, routings = training_step(model, build_optimizers(model, train), x[:, :-1], x[:, 1:], train, 1.0)
    assert sorted(routings) == [1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.mtp.state_dict().items())


def test_modules_learn_to_look_ahead():
    """In a text that counts on from a random start, everything to come is known."""
    model = Transformer(config())
    train = TrainConfig(steps=1)
    optimizers = build_optimizers(model, train)
    for step in range(60):
        start = torch.randint(0, 19, (8, 1), generator=torch.Generator().manual_seed(step))
        x = (start + torch.arange(13)) % 19
        training_step(model, optimizers, x[:, :-1], x[:, 1:], train, 1.0)
    with torch.no_grad():
        assert (
            multi_token_loss(model.look_ahead(model.read(x[:, :-1]), x[:, 1:]), x[:, 1:]) < 1.5
        )  # blind guesses cost ln 19 = 2.9


def test_matrices_of_the_modules_take_muons_steps():
    model = Transformer(config(moe=SPARSE))
    _, muon = build_optimizers(model, TrainConfig(steps=1))
    matrices = {id(p) for group in muon.param_groups for p in group["params"]}
    module = model.mtp[0]
    assert {id(module.projection.weight), id(module.block.feed_forward.experts.down)} <= matrices
    assert id(module.block.feed_forward.router.weight) not in matrices


def test_routers_of_the_modules_are_observed_in_training_and_not_recorded_in_reading():
    model = Transformer(config(moe=SPARSE))
    assert sorted(find_routers(model)) == [1]
    assert sorted(find_routers(model, ahead=True)) == [1, 2, 3]
    x = some_tokens(model.config)
    with observe_routing(model) as seen:
        model(x)
    assert sorted(seen) == [1]
    with record_routing(model) as trace:
        hidden = model.read(x[:, :-1])
        model.look_ahead(hidden, x[:, 1:])
    assert trace.layers == (1,)
    assert trace.token_ids.tolist() == x[:, :-1].flatten().tolist()


def test_a_model_with_modules_survives_its_checkpoint(tmp_path):
    model = Transformer(config(moe=SPARSE, attention=LATENT), seed=5)
    save_checkpoint(tmp_path / "model", model)
    loaded = load_checkpoint(tmp_path / "model.safetensors").model
    x = some_tokens(model.config)
    for ours, theirs in zip(
        model.look_ahead(model.read(x[:, :-1]), x[:, 1:]),
        loaded.look_ahead(loaded.read(x[:, :-1]), x[:, 1:]),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_a_negative_depth_is_refused():
    with pytest.raises(ValueError, match="mtp_depth is -1"):
        config(mtp_depth=-1)
