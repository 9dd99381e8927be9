"""Frozen, keyword-only descriptions of a model and of a training run; each refuses nonsense in one sentence."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from moe_lessons.attention_config import AttentionConfig, Heads, LatentAttentionConfig, RopeScaling  # noqa: F401
from moe_lessons.cards import card_values
from moe_lessons.concerns import (
    RARE,
    Gate,
    HyperConnectionConfig,
    SlidingWindow,
    as_plain,
    built,
    require,
    require_above_zero,
    require_positive,
)
from moe_lessons.long_texts import CompressionConfig, IndexerConfig, SharedKVAttentionConfig
from moe_lessons.routing_rule import SETTINGS, GroupScore, RoutingRule, ScoreFunction


@dataclass(frozen=True, kw_only=True)
class MoEConfig:
    """A mixture of experts in place of the feed-forward layers (arXiv:2101.03961, arXiv:2401.06066).

    Seven fields are the settings of its `rule`, a RoutingRule, which says what they mean.
    """

    n_routed_experts: int
    top_k: int
    hidden_dim: int  # of one expert
    n_shared_experts: int = 0  # always at work, beside the routed ones
    n_dense_layers: int = 0  # the first layers keep a dense feed-forward of ModelConfig.hidden_dim
    score_function: ScoreFunction = RoutingRule.score_function
    normalize: bool = RoutingRule.normalize
    route_scale: float = RoutingRule.route_scale
    expert_bias: bool = False  # a bias per expert that takes part in the choice only (arXiv:2408.15664)
    n_groups: int = RoutingRule.n_groups
    top_groups: int = RoutingRule.top_groups
    group_score: GroupScore = RoutingRule.group_score
    noise: bool = False  # learned noise on the logits while training (arXiv:1701.06538, equation 4)
    # The first sparse layers look their experts up by token id (arXiv:2106.04426); only the weights are learned.
    n_hash_layers: int = field(default=0, metadata=RARE)
    bias: bool = field(default=False, metadata=RARE)  # learned, added to the router's logits and in routed experts

    def __post_init__(self) -> None:
        require_positive(self, "n_routed_experts", "hidden_dim")
        rule = self.rule
        require(
            rule.top_k <= self.n_routed_experts,
            f"top_k is {self.top_k}, but there are only n_routed_experts = {self.n_routed_experts} experts "
            "to choose from; lower top_k or add experts",
        )
        for name in ("n_shared_experts", "n_dense_layers", "n_hash_layers"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is {value}, but must be 0 or more")
        rule.check(self.n_routed_experts)
        require(
            not (self.bias and self.noise), "bias and noise are both true, but only a router without bias has noise"
        )

    @property
    def rule(self) -> RoutingRule:
        """What the router follows."""
        return RoutingRule(**{name: getattr(self, name) for name in SETTINGS})

    @property
    def group_size(self) -> int:
        """Experts in one group."""
        return self.n_routed_experts // self.n_groups


AnyAttention = AttentionConfig | LatentAttentionConfig | SharedKVAttentionConfig


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A LLaMA-style transformer, dense (`moe` is None) or sparse."""

    vocab_size: int
    dim: int
    n_layers: int
    hidden_dim: int  # of the dense feed-forward layers
    max_length: int  # longest sequence, in tokens
    attention: AnyAttention
    moe: MoEConfig | None = None
    norm_eps: float = 1e-5
    tie_embeddings: bool = True
    mtp_depth: int = 0  # modules that predict tokens beyond the next one (arXiv:2412.19437, section 2.2)
    gate: Gate | None = field(default=None, metadata=RARE)  # of all feed-forward layers and experts; None: SwiGLU's
    # Attention and feed-forward are normalized on their way out, too (Gemma 2, arXiv:2408.00118, section 2).
    output_norms: bool = field(default=False, metadata=RARE)
    embedding_scale: float | None = field(default=None, metadata=RARE)  # embeddings are multiplied by it
    logit_cap: float | None = field(default=None, metadata=RARE)  # logits become cap * tanh(logits / cap)
    # Several residual streams in place of one.
    hyper_connections: HyperConnectionConfig | None = field(default=None, metadata=RARE)

    def __post_init__(self) -> None:
        require_positive(self, "vocab_size", "dim", "n_layers", "hidden_dim", "max_length")
        require(self.mtp_depth >= 0, f"mtp_depth is {self.mtp_depth}, but must be 0 or more")
        require_above_zero(self, "embedding_scale", "logit_cap")
        require(
            self.mtp_depth == 0 or self.has_plain_blocks,
            f"mtp_depth is {self.mtp_depth}, but multi-token modules have neither a gate of their own nor output_norms "
            "nor experts with a bias; leave these out or set mtp_depth to 0",
        )
        if isinstance(self.attention, AttentionConfig) and self.attention.head_dim is None:
            heads = self.attention.n_heads
            require(
                self.dim % heads == 0,
                f"dim is {self.dim}, which attention.n_heads = {heads} does not divide; "
                f"choose a multiple of {heads} or set attention.head_dim",
            )
            object.__setattr__(self, "attention", replace(self.attention, head_dim=self.dim // heads))
        if self.moe is not None:
            require(
                self.moe.n_dense_layers < self.n_layers,
                f"moe.n_dense_layers is {self.moe.n_dense_layers}, but must be below n_layers = {self.n_layers}, "
                "or no layer is left for the experts",
            )
            require(
                self.moe.n_dense_layers + self.moe.n_hash_layers <= self.n_layers,
                f"moe.n_hash_layers is {self.moe.n_hash_layers}, but only {self.n_layers - self.moe.n_dense_layers} "
                "layers have experts; lower it",
            )
        if isinstance(self.attention, SharedKVAttentionConfig) and self.attention.compression is not None:
            kinds = len(self.attention.compression.layers)
            require(
                kinds == self.n_layers,
                f"attention.compression.layers names {kinds} layers, but the model has n_layers = {self.n_layers}",
            )
        own = {"output_norms": self.output_norms, "embedding_scale": self.embedding_scale}
        own["moe.bias"] = self.moe is not None and self.moe.bias
        for name, value in own.items():
            require(
                not (value and self.reads_tokens),
                f"{name} is {value}, but a model with hyper-connections, hash layers or one vector as key and value "
                "does without it; leave it out",
            )
        require(
            self.mtp_depth == 0 or not self.reads_tokens,
            f"mtp_depth is {self.mtp_depth}, but a model with hyper-connections, hash layers or one vector as key and "
            "value has no multi-token modules; set it to 0",
        )

    @property
    def reads_tokens(self) -> bool:
        """Whether layers know more than numbers: the tokens' ids, their places, or several streams."""
        hashed = self.moe is not None and self.moe.n_hash_layers > 0
        return hashed or self.hyper_connections is not None or isinstance(self.attention, SharedKVAttentionConfig)

    @property
    def shared_kv_attention(self) -> SharedKVAttentionConfig:
        """The attention of a model with one vector a token as key and value; ValueError where it has another."""
        if not isinstance(self.attention, SharedKVAttentionConfig):
            raise ValueError("the model's attention has keys and values apart, but one vector for both is asked for")
        return self.attention

    @property
    def grouped_attention(self) -> AttentionConfig:
        """The attention of a model that keeps heads of keys and values; ValueError where it keeps latents."""
        if not isinstance(self.attention, AttentionConfig):
            raise ValueError("the model's attention keeps latents, but heads of keys and values are asked for")
        return self.attention

    @property
    def latent_attention(self) -> LatentAttentionConfig:
        """The attention of a model that keeps latents; ValueError where it keeps heads of keys and values."""
        if not isinstance(self.attention, LatentAttentionConfig):
            raise ValueError("the model's attention keeps heads of keys and values, but latents are asked for")
        return self.attention

    @property
    def mixture(self) -> MoEConfig:
        """The mixture of experts of a sparse model; ValueError for a dense one."""
        if self.moe is None:
            raise ValueError("the model is dense, but its experts are asked for; give it moe=MoEConfig(...)")
        return self.moe

    @property
    def has_plain_blocks(self) -> bool:
        """Whether feed-forward layers and experts are SwiGLU without biases, and normalized before they work alone."""
        return not (self.gate or self.output_norms or (self.moe is not None and self.moe.bias))

    def moe_of(self, layer: int) -> MoEConfig | None:
        """The mixture of experts that is a layer's feed-forward; None for a dense layer."""
        return None if self.moe is None or layer < self.moe.n_dense_layers else self.moe

    def is_sparse(self, layer: int) -> bool:
        """Whether a layer's feed-forward is a mixture of experts."""
        return self.moe_of(layer) is not None

    def to_dict(self) -> dict[str, Any]:
        """Plain nested values, for JSON and TOML; concerns that a model does without are not among them."""
        return as_plain(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """The inverse of `to_dict`; an unknown or missing name is a ValueError that says which."""
        values = {"attention": {}} | values
        attention = values["attention"]
        kind = LatentAttentionConfig if "kv_lora_rank" in attention else AttentionConfig
        kind = SharedKVAttentionConfig if "output_groups" in attention else kind
        return built(cls, values, "", _PARTS | {"attention": kind})

    @classmethod
    def from_card(cls, name: str) -> "ModelConfig":
        """The sizes in `data/models/<name>.toml`; an unknown name is a ValueError that lists the known ones."""
        return cls.from_dict(card_values(name)["config"])


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run: how long, on how much at once, how fast, from which seed.

    Exactly one of `steps` and `seconds` ends the run; with `seconds`, the learning rate follows the clock.
    """

    steps: int | None = None
    seconds: float | None = None
    batch_size: int = 16  # sequences a step
    seq_len: int = 256  # tokens a sequence
    optimizer: Literal["muon", "adamw"] = "muon"  # muon: for matrices; the rest is AdamW's either way
    # Muon's products. "auto" is float32 on a CPU, so that a run is the same on every processor up to the order of its
    # sums, whether or not that one multiplies bfloat16; on CUDA, which all do, it is bfloat16.
    optimizer_products: Literal["auto", "float32", "bfloat16"] = "auto"
    matrix_lr: float = 0.02  # Muon's
    matrix_momentum: float = 0.95  # Muon's
    expert_every: int = 1  # steps from one of an expert's matrices to the next, with Muon; gradients add up meanwhile
    expert_rate: float = 1.0  # of an expert's matrices, times matrix_lr
    expert_momentum: float | None = None  # of an expert's matrices, from one of their steps to the next; None: the same
    lr: float = 3e-3  # AdamW's
    weight_decay: float = 0.01
    warmup: float = 0.05  # share of the run
    final_lr: float = 0.0  # share of the peak at the end
    gradient_clip: float = 1.0
    balance_loss: float = 0.0  # weight of Switch's auxiliary loss
    sequence_balance_loss: float = 0.0  # weight of DeepSeek-V3's, within each sequence
    z_loss: float = 0.0  # weight of ST-MoE's router z-loss
    bias_rate: float = 0.0  # step of the loss-free expert bias
    bias_decay: bool = False  # whether that step follows the learning rate, so that the bias comes to rest
    mtp_weight: float = 0.3  # of the multi-token modules' loss, where the model has them (DeepSeek-V3's at first)
    seed: int = 0
    evaluate_every: int = 0  # steps; 0: at the end only
    checkpoint_every: int = 0  # steps; 0: at the end only

    def __post_init__(self) -> None:
        require(
            (self.steps is None) != (self.seconds is None),
            f"steps is {self.steps} and seconds is {self.seconds}; give exactly one of them",
        )
        require(self.steps is None or self.steps >= 0, f"steps is {self.steps}, but must be 0 or more")
        require(self.seconds is None or self.seconds > 0, f"seconds is {self.seconds}, but must be above 0")
        require_positive(self, "batch_size", "seq_len", "expert_every")
        require(
            self.optimizer in ("muon", "adamw"),
            f"optimizer is {self.optimizer!r}, but must be 'muon' or 'adamw'",
        )
        require(
            self.optimizer_products in ("auto", "float32", "bfloat16"),
            f"optimizer_products is {self.optimizer_products!r}, but must be 'auto', 'float32' or 'bfloat16'",
        )
        for name in ("matrix_lr", "expert_rate", "lr", "gradient_clip"):
            value = getattr(self, name)
            require(value > 0, f"{name} is {value}, but must be above 0")
        for name in ("matrix_momentum", "expert_momentum"):
            value = getattr(self, name)
            require(
                value is None or 0 <= value < 1, f"{name} is {value}, but must be 0 (no memory) or more, and below 1"
            )
        for name in ("warmup", "final_lr"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} is {value}, but is a share and must lie between 0 and 1")
        shares = ("weight_decay", "balance_loss", "sequence_balance_loss", "z_loss", "bias_rate", "mtp_weight")
        for name in (*shares, "evaluate_every", "checkpoint_every", "seed"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is {value}, but must be 0 or more")

    @property
    def length(self) -> tuple[float, str]:
        """How long the run is, and in which unit: "steps" or "seconds"."""
        return (self.steps or 0, "steps") if self.seconds is None else (self.seconds, "seconds")


# The parts of a configuration by the names that they have in a dictionary.
_PARTS = {
    "rope_scaling": RopeScaling,
    "window": SlidingWindow,
    "indexer": IndexerConfig,
    "compression": CompressionConfig,
    "moe": MoEConfig,
    "gate": Gate,
    "hyper_connections": HyperConnectionConfig,
}
