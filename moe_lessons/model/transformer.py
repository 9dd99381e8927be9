"""A LLaMA-style language model (Touvron et al., arXiv:2302.13971), dense or with mixtures of experts."""

from contextlib import nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.config import ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.cache import Cache
from moe_lessons.model.ends import embedding_of, head_of, last_norm_of
from moe_lessons.model.initialization import NoInitialization
from moe_lessons.model.multi_token import MultiTokenModule
from moe_lessons.model.reading import Reading
from moe_lessons.model.reading_block import layer_block
from moe_lessons.model.rope import Rotation
from moe_lessons.model.rope_scaling import position_rotation
from moe_lessons.seeds import run_seed


class Transformer(nn.Module):
    """Token ids in, logits for each next token out.

    On the `meta` device nothing is allocated, so a model of any size can be built and counted.
    """

    def __init__(self, config: ModelConfig, *, device: torch.device | str | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config, self.reads_tokens = config, config.reads_tokens
        device = torch.device(device or "cpu")
        with device, NoInitialization() if device.type == "meta" else nullcontext():
            self.embedding = embedding_of(config)
            self.blocks = nn.ModuleList(layer_block(config, layer) for layer in range(config.n_layers))
            self.norm = last_norm_of(config)
            self.head = head_of(config)
            self.mtp = nn.ModuleList(MultiTokenModule(config, depth) for depth in range(config.mtp_depth))
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight
        self.reset_parameters(seed)

    @torch.no_grad()
    def reset_parameters(self, seed: int = 0) -> None:
        """Draw all weights again, the same on every device: they are drawn on the CPU."""
        generator = torch.Generator().manual_seed(run_seed(seed))
        for name, parameter in self.named_parameters():
            if parameter.is_meta or parameter.ndim == 1 or name.endswith(("noise_weight", "bias")):
                continue  # gains of norms start at 1, biases, sinks and the router's noise at 0
            # Variance-preserving matrices; those that write into the residual stream start smaller, so that
            # its size does not grow with depth (GPT-2's rule).
            std = parameter.shape[-1] ** -0.5
            if name.endswith(("attention.output.weight", "attention.output.outer.weight", "down", "down.weight")):
                std *= (2 * self.config.n_layers) ** -0.5
            if name in ("embedding.weight", "head.weight"):
                std = 0.02 if self.config.tie_embeddings else std
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)

    def allocate(self, device: torch.device | str = "cpu") -> None:
        """Give a model on the `meta` device memory that is still to be filled; a tied head stays tied."""
        # nn.Module.to_empty would load torch's symbolic algebra: 35 MB, and half a second of a lesson's first cells
        self._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device=device))
        if self.config.tie_embeddings:
            self.head.weight = self.embedding.weight  # each has been given its own

    def forward(
        self, tokens: Int[Tensor, "batch time"], cache: Cache | None = None
    ) -> Float[Tensor, "batch time vocab"]:
        """Logits of the token after each position.

        With a cache, `tokens` continue what it holds. Raises ValueError past `max_length`.
        """
        return self.head(self.read(tokens, cache))

    def read(self, tokens: Int[Tensor, "batch time"], cache: Cache | None = None) -> Float[Tensor, "batch time dim"]:
        """What the head reads at each position; `forward` for those who want it as well as logits."""
        past = cache.length if cache is not None else 0
        end = past + tokens.shape[1]
        if end > self.config.max_length:
            raise ValueError(
                f"the text has {end} tokens, but the model reads at most max_length = {self.config.max_length}; "
                "shorten the text"
            )
        hidden = self.embedding(tokens)
        by = self.rotation(past, end) if cache is None else cache.rotation(tokens.shape[1])
        if self.reads_tokens:
            by = Reading(tokens, past, by, self._far_rotation(past, end))
        for block in self.blocks:
            hidden = block(hidden, by, cache)
        if cache is not None:
            cache.advance(tokens.shape[1])
        return self.norm(hidden)

    def look_ahead(
        self, hidden: Float[Tensor, "batch time dim"], following: Int[Tensor, "batch time"]
    ) -> list[Float[Tensor, "batch fewer vocab"]]:
        """Logits of the multi-token modules, from what `read` gave and the token after each position.

        Entry d predicts, at position i, the token at i + d + 2; it has d positions fewer, for want of tokens.
        """
        ahead = []
        for depth, module in enumerate(self.mtp):
            known = following[:, depth:]
            by = self.rotation(0, known.shape[1])
            hidden = module(hidden[:, : known.shape[1]], self.embedding(known), by)
            ahead.append(self.head(hidden))
        return ahead

    def rotation(self, start: int, end: int) -> Rotation:
        """How the positions from `start` to before `end` turn queries and keys."""
        positions = torch.arange(start, end, device=self.embedding.weight.device)
        return position_rotation(positions, self.config.attention)

    def _far_rotation(self, start: int, end: int) -> Rotation | None:
        attention = self.config.attention
        if not isinstance(attention, SharedKVAttentionConfig) or attention.compression is None:
            return None
        positions = torch.arange(start, end, device=self.embedding.weight.device)
        return position_rotation(positions, attention.with_entries)

    def extra_repr(self) -> str:
        return f"{sum(p.numel() for p in self.parameters()):,} parameters"


def next_token_loss(logits: Float[Tensor, "batch time vocab"], targets: Int[Tensor, "batch time"]) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats per token, in float32."""
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
