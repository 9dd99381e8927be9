"""A GPU that is not there: tensors without numbers that know their device, so that one on the wrong device is found.

PyTorch's FakeTensorMode computes shapes, types and devices alone, and refuses an operation on tensors of two devices.
A build for CPUs asks for the guard of a CUDA device all the same: that of `meta`, which does nothing, is lent to it.
The backward pass needs CUDA's own streams: it runs on `meta`, and on the GPU gradients are put in its place.
"""

import ctypes
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig, MoEConfig, RopeScaling, TrainConfig
from moe_lessons.model.experts import Experts
from moe_lessons.model.generate import generate
from moe_lessons.model.initialization import NoInitialization
from moe_lessons.model.load_balance import balance_loss, sequence_balance_loss, z_loss
from moe_lessons.model.router import repeatable_noise
from moe_lessons.model.speculative import Drafter
from moe_lessons.model.transformer import Transformer
from moe_lessons.tracing import find_routers, knock_out, observe_routing, only_expert, steer_routing
from moe_lessons.training.loop import _work, training_step
from moe_lessons.training.optimizers import build_optimizers
from moe_lessons.training.team import losses

CUDA, META = 1, 14  # c10::DeviceType
TRAIN = TrainConfig(steps=9, bias_rate=0.01, balance_loss=0.01, sequence_balance_loss=0.01, z_loss=0.001)
GROUPED = AttentionConfig(n_heads=4, n_kv_heads=2, qk_norm=True, rope_scaling=RopeScaling(factor=4, original_length=8))
JOINT = AttentionConfig(n_heads=2, joint_qk_norm=True)
LATENT = LatentAttentionConfig(
    n_heads=2, q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8
)
ATTENTIONS = {"grouped": GROUPED, "joint": JOINT, "latent": LATENT}


@pytest.fixture
def fake_gpu(monkeypatch):
    """Inside the test, `device="cuda"` is a modern GPU without numbers."""
    if torch.cuda.is_available():
        pytest.skip("a real GPU is here; tests/test_gpu.py uses it")
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
        guards = (ctypes.c_void_p * 32).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    except (OSError, ValueError):
        pytest.skip("PyTorch's guards of devices cannot be reached on this system")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *given: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    # Weights that nobody reads need not be drawn.
    monkeypatch.setattr(Transformer, "reset_parameters", lambda self, seed=0: None)
    guards[CUDA] = guards[META]
    try:
        with FakeTensorMode():
            yield
    finally:
        guards[CUDA] = None


def build(attention: str = "grouped", device: str = "cuda", dtype: torch.dtype = torch.float32) -> Transformer:
    """Every part that has a device of its own: bias, groups, noise, shared experts, a module that looks ahead."""
    values = {"n_routed_experts": 8, "top_k": 2, "hidden_dim": 16, "n_shared_experts": 1, "n_dense_layers": 1}
    values |= {"score_function": "sigmoid", "expert_bias": True, "n_groups": 4, "top_groups": 2, "noise": True}
    sizes = {"vocab_size": 32, "dim": 16, "n_layers": 2, "hidden_dim": 24, "max_length": 32, "mtp_depth": 1}
    config = ModelConfig(**sizes, attention=ATTENTIONS[attention], moe=MoEConfig(**values))
    torch.set_default_dtype(dtype)
    try:
        with NoInitialization():
            return Transformer(config, device=device)
    finally:
        torch.set_default_dtype(torch.float32)


def text(device: str = "cuda", rows: int = 2) -> Tensor:
    return torch.zeros(rows, 10, dtype=torch.long, device=device)


def one_step(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A whole training step, with gradients put where the backward pass would, and what it says of the layers."""

    def backward(loss: Tensor) -> None:
        assert loss.device.type == "cuda" and loss.requires_grad
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(Tensor, "backward", backward)
    monkeypatch.setattr(Tensor, "item", lambda self: 1.0)  # fake tensors have none
    x = text()
    _, routings = training_step(model, build_optimizers(model, TRAIN), x[:, :-1], x[:, 1:], TRAIN, 1.0, step=3)
    return routings


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_training_step_stays_on_the_gpu(fake_gpu, monkeypatch, attention):
    model = build(attention)
    routings = one_step(model, monkeypatch)
    assert sorted(routings) == [1, 2]
    assert all(part.device.type == "cuda" for routing in routings.values() for part in routing)
    assert _work(routings).device.type == "cpu"
    assert all(tensor.device.type == "cuda" for tensor in model.state_dict().values())


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_backward_pass_reaches_every_parameter_where_it_lies(fake_gpu, monkeypatch, attention):
    monkeypatch.setattr(torch, "autocast", lambda *given, **named: nullcontext())  # meta has none
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)
    model, x = build(attention, "meta", torch.bfloat16), text("meta")
    for module in model.modules():
        if isinstance(module, Experts):
            module.strategy = "grouped"  # as on a GPU
    with observe_routing(model) as routings, repeatable_noise(model, 0, 0):
        following, ahead = losses(model, x[:, :-1], x[:, 1:], ahead=True)
        objective = following + 0.3 * ahead
        for routing in routings.values():
            objective = objective + balance_loss(routing.scores, routing.experts) + z_loss(routing.logits)
            objective = objective + sequence_balance_loss(routing.scores, 2, len(routing.scores) // 2)
        objective.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.device.type == "meta", name


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_generation_stays_on_the_gpu(fake_gpu, attention):
    model = build(attention, dtype=torch.bfloat16).eval()
    for use_cache in (True, False):
        assert generate(model, text(), 3, top_p=0.9, use_cache=use_cache).device.type == "cuda"
    drafter = Drafter(model, 1, 20)
    with torch.no_grad():
        x = text(rows=1)
        drafts, distributions = drafter.draft(x, model.read(x[:, :-1]), torch.Generator())
    assert drafts.device.type == distributions.device.type == "cpu"


def test_steering_and_watching_stay_on_the_gpu(fake_gpu):
    model = build(dtype=torch.bfloat16).eval()
    for change in (knock_out(model, [1, 2]), only_expert(model, 3), None):
        with steer_routing(model, change) if change else nullcontext(), observe_routing(model) as seen, torch.no_grad():
            assert model(text()).device.type == "cuda"
        assert all(part.device.type == "cuda" for routing in seen.values() for part in routing)


def wrong_bias(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    for router in find_routers(model, ahead=True).values():
        router.expert_bias = torch.zeros(8)


def wrong_noise(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    to = Tensor.to
    monkeypatch.setattr(
        Tensor, "to", lambda self, *given: self if isinstance(given[0], torch.device) else to(self, *given)
    )


def wrong_positions(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    rotation = Transformer.rotation
    monkeypatch.setattr(
        Transformer, "rotation", lambda self, *span: type(r := rotation(self, *span))(r.cos.cpu(), r.sin.cpu())
    )


def wrong_gain(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    model.norm.weight = torch.nn.Parameter(torch.ones(16))


def wrong_load(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    from moe_lessons.training import loop

    monkeypatch.setattr(loop, "expert_load", lambda experts, n: torch.zeros(n, dtype=torch.long))


@pytest.mark.parametrize("mistake", [wrong_bias, wrong_noise, wrong_positions, wrong_gain, wrong_load])
def test_a_tensor_on_the_wrong_device_is_found(fake_gpu, monkeypatch, mistake):
    model = build()
    mistake(model, monkeypatch)
    with pytest.raises(RuntimeError, match="device"):
        one_step(model, monkeypatch)
