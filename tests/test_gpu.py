"""What only a CUDA GPU can show; skipped where there is none."""

import pytest
import torch

from moe_lessons.config import LatentAttentionConfig, ModelConfig, MoEConfig, TrainConfig
from moe_lessons.device import choose_device
from moe_lessons.model.dispatch import STRATEGIES, fastest
from moe_lessons.model.generate import generate
from moe_lessons.model.speculative import speculate
from moe_lessons.model.transformer import Transformer
from moe_lessons.training import recipe
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]


def test_cuda_is_chosen_where_it_is():
    assert choose_device().type == "cuda"


@pytest.mark.parametrize("name", ["loop", "one_hot", "sorted", "grouped"])
def test_every_strategy_gives_the_cpus_numbers(name):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    choices = torch.rand(64, 5, generator=generator).argsort(dim=1)[:, :2]
    tensors = [draw(64, 32), choices, draw(64, 2).softmax(-1), draw(5, 32, 32) / 6, draw(5, 32, 16) / 4]
    right = STRATEGIES["sorted"](*tensors)
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=name == "grouped"):
        result = STRATEGIES[name](*(t.cuda() for t in tensors))
    assert torch.allclose(result.float().cpu(), right, atol=0.05 if name == "grouped" else 1e-4)


def test_bfloat16_takes_the_grouped_products():
    hidden, stack = torch.empty(3, 16, device="cuda"), torch.empty(2, 32, 16, device="cuda")
    experts = torch.zeros(3, 1, dtype=torch.long, device="cuda")
    assert fastest(hidden, experts, stack) == "sorted"
    assert fastest(hidden.bfloat16(), experts, stack.bfloat16()) == "grouped"
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert fastest(hidden, experts, stack) == "grouped"
    with torch.autocast("cuda", dtype=torch.float16):  # not a precision of the grouped product
        assert fastest(hidden, experts, stack) == "sorted"


@pytest.mark.parametrize("kind", ["dense", "moe"])
def test_the_larger_preset_learns_in_bfloat16(kind):
    chosen = recipe(kind, "cuda")
    assert chosen.card.endswith("-gpu")
    model = Transformer(chosen.model, device="cuda")
    config = TrainConfig(steps=8, batch_size=8, seq_len=128, bias_rate=0.01)
    optimizers = build_optimizers(model, config)
    tokens = torch.randint(0, 1024, (8, 129), generator=torch.Generator().manual_seed(0)).cuda()
    losses = [training_step(model, optimizers, tokens[:, :-1], tokens[:, 1:], config, 1.0)[0] for _ in range(8)]
    assert losses[-1] < losses[0] - 0.5


def test_latent_attention_and_drafts_give_the_cpus_text():
    attention = LatentAttentionConfig(
        n_heads=4, q_lora_rank=24, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16
    )
    moe = MoEConfig(n_routed_experts=8, top_k=2, hidden_dim=32, n_groups=4, top_groups=2, score_function="sigmoid")
    sizes = {"vocab_size": 64, "dim": 64, "n_layers": 2, "hidden_dim": 96, "max_length": 64}
    config = ModelConfig(**sizes, attention=attention, moe=moe, mtp_depth=2)
    model, x = Transformer(config), torch.arange(12)[None]
    logits, text = model(x), generate(model, x, 20, temperature=0.0)
    model = model.cuda()
    assert (model(x.cuda()).cpu() - logits).abs().max() < 1e-3
    assert torch.equal(generate(model, x.cuda(), 20, temperature=0.0).cpu(), text)
    assert torch.equal(speculate(model, x.cuda(), 20, temperature=0.0).tokens.cpu(), text)
