"""Steps of training of Hugging Face's Llama and Mixtral, as large as the course's models: what ours is to beat."""

from dataclasses import replace
from functools import partial
from textwrap import shorten

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from moe_lessons.accounting.flops import training_flops_per_token
from moe_lessons.benchmark.training_speed import ARMS, Step, sizes_of, tokens_for
from moe_lessons.config import ModelConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.published import to_hugging_face

NAMES = {"dense": "Hugging Face's Llama", "moe": "Hugging Face's Mixtral"}


def plain_steps(device: torch.device, *, quick: bool = False) -> tuple[dict[str, Step], dict[str, str]]:
    """A step of each by name, on the same tokens as ours, and why one is left out.

    All parameters by AdamW, gradients clipped as ours are, on a GPU products in bfloat16 as ours; experts computed in
    the way that transformers takes by default.
    """
    steps, left_out = {}, {}
    for kind, family in NAMES.items():
        _, sizes, config = sizes_of(ARMS[kind], device, quick=quick)
        name = f"{family}, AdamW alone"
        try:
            model = to_hugging_face(Transformer(_without_extras(sizes))).to(device).train()
            tokens = tokens_for(sizes, config, device)
            optimizer = AdamW(model.parameters(), lr=1e-4)
            call = partial(plain_step, model, optimizer, tokens[:, :-1], tokens[:, 1:], config.gradient_clip)
            call()
        except ImportError:
            return {}, {"Hugging Face": "transformers is not installed"}
        except Exception as error:  # whatever is missing here: a package, a kind of GPU, memory
            left_out[name] = f"does not run here: {shorten(str(error) or type(error).__name__, 90)}"
        else:
            flops = training_flops_per_token(_without_extras(sizes), config.seq_len)
            steps[name] = Step(call, family, tokens[:, 1:].numel(), flops)
    return steps, left_out


def plain_step(model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor, clip: float) -> float:
    """One step as a tutorial writes it; the loss."""
    device = inputs.device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        logits = model(input_ids=inputs, use_cache=False).logits
    loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _without_extras(sizes: ModelConfig) -> ModelConfig:
    """What Llama and Mixtral do not have: normalized queries and keys, a bias that balances without a loss."""
    moe = sizes.moe and replace(sizes.moe, expert_bias=False)
    return replace(sizes, attention=replace(sizes.attention, qk_norm=False), moe=moe)
