"""Frozen, keyword-only descriptions of a model and of a training run; each refuses nonsense in one sentence."""

from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple

from moe_lessons.cards import card_values
from moe_lessons.concerns import (
    RARE,
    Gate,
    HyperConnectionConfig,
    SlidingWindow,
    as_plain,
    require,
    require_above_zero,
    require_positive,
)
from moe_lessons.long_texts import CompressionConfig, IndexerConfig, SharedKVAttentionConfig
from moe_lessons.routing_rule import SETTINGS, GroupScore, RoutingRule, ScoreFunction


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """Rotary positions for texts longer than those of the training: slow angles grow `factor` times slower.

    The defaults are YaRN's (arXiv:2309.00071); ramp="turns", fast=4 and mscale=0 make Llama 3.1's (arXiv:2407.21783).
    """

    factor: float
    original_length: int  # longest sequence before the scaling
    fast: float = 32.0  # pairs that turn at least so often within original_length keep their angles
    slow: float = 1.0  # pairs that turn at most so often have theirs divided by factor
    ramp: Literal["index", "turns"] = "index"  # what the way between the two is linear in: the pair's index, its turns
    mscale: float = 1.0  # makes turned vectors longer: m(mscale) / m(mscale_all_dim), m(s) = 0.1 s ln(factor) + 1
    mscale_all_dim: float = 0.0  # makes latent attention's logits larger: m(mscale_all_dim) squared
    whole: bool = field(default=True, metadata=RARE)  # whether a ramp over the index begins and ends at whole ones

    def __post_init__(self) -> None:
        require(self.factor >= 1, f"factor is {self.factor}, but must be 1 or more: it makes texts longer")
        require_positive(self, "original_length")
        require(
            0 < self.slow <= self.fast and (self.slow < self.fast or self.ramp == "index"),
            f"slow is {self.slow} and fast is {self.fast}, but slow must be above 0 and below fast "
            "(or equal to it, where the ramp is over the pair's index)",
        )
        require(self.ramp in ("index", "turns"), f"ramp is {self.ramp!r}, but must be 'index' or 'turns'")
        for name in ("mscale", "mscale_all_dim"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is {value}, but must be 0 or more; 0 leaves lengths alone")


class Heads(NamedTuple):
    """The sizes of grouped-query attention, each of them a number."""

    n_heads: int
    n_kv_heads: int
    head_dim: int


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """Grouped-query attention with rotary positions (arXiv:2305.13245, arXiv:2104.09864)."""

    n_heads: int
    n_kv_heads: int | None = None  # None: one key-value head for each query head
    head_dim: int | None = None  # None: dim / n_heads, which ModelConfig fills in
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    qk_norm: bool = False  # RMSNorm over head_dim on queries and keys, before the rotation
    joint_qk_norm: bool = False  # the same over all heads together (OLMoE, arXiv:2409.02060)
    window: SlidingWindow | None = field(default=None, metadata=RARE)  # layers that see only the last positions
    # One more learned score a head, in each softmax, whose share of the attention goes nowhere (arXiv:2309.17453).
    sinks: bool = field(default=False, metadata=RARE)
    bias: bool = field(default=False, metadata=RARE)  # learned, added to queries, keys, values and the output
    query_scalar: float | None = field(default=None, metadata=RARE)  # scores are q . k / sqrt of it; None: head_dim
    # Scores s become cap * tanh(s / cap), which never leaves (-cap, cap) (Gemma 2, arXiv:2408.00118, section 2).
    score_cap: float | None = field(default=None, metadata=RARE)

    def __post_init__(self) -> None:
        require_positive(self, "n_heads")
        if self.n_kv_heads is None:
            object.__setattr__(self, "n_kv_heads", self.n_heads)
        else:
            require_positive(self, "n_kv_heads")
            require(
                self.n_heads % self.n_kv_heads == 0,
                f"n_heads is {self.n_heads} and n_kv_heads is {self.n_kv_heads}; "
                "n_heads must be a multiple of n_kv_heads, so choose a divisor",
            )
        if self.head_dim is not None:
            require_positive(self, "head_dim")
            require(
                self.head_dim % 2 == 0,
                f"head_dim is {self.head_dim}, but rotary positions turn pairs, so choose an even number",
            )
        require(self.rope_theta > 0, f"rope_theta is {self.rope_theta}, but must be above 0; 10000 is usual")
        require(
            not (self.qk_norm and self.joint_qk_norm),
            "qk_norm and joint_qk_norm are both true, but queries and keys are normalized once; choose one",
        )
        require_above_zero(self, "query_scalar", "score_cap")

    @property
    def sizes(self) -> Heads:
        """The three sizes as numbers; ValueError where head_dim is left to a ModelConfig that is not there yet."""
        if self.n_kv_heads is None or self.head_dim is None:
            raise ValueError("head_dim is None, but must be a number here; give it, or ask a ModelConfig's attention")
        return Heads(self.n_heads, self.n_kv_heads, self.head_dim)

    @property
    def rope_dim(self) -> int:
        """Numbers of a head that its position turns: all of them."""
        return self.sizes.head_dim

    @property
    def is_plain(self) -> bool:
        """Whether scores are q . k / sqrt(head_dim) over the whole past and nothing else takes part."""
        return not (self.window or self.sinks or self.bias or self.query_scalar or self.score_cap)

    def window_of(self, layer: int) -> int | None:
        """How many positions a layer's tokens see, themselves included; None: all before them."""
        return None if self.window is None else self.window.of(layer)


@dataclass(frozen=True, kw_only=True)
class LatentAttentionConfig:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1), with the paper's own names."""

    n_heads: int
    q_lora_rank: int | None = None  # numbers of the query's latent; None: queries come straight from the token
    kv_lora_rank: int  # numbers of the latent from which all heads' keys and values are made, and which is cached
    qk_nope_head_dim: int  # numbers of a query or key that know no position
    qk_rope_head_dim: int  # numbers that its position turns; in keys they are the same for all heads
    v_head_dim: int
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    norm_eps: float = 1e-6  # of the norms on both latents; the published code keeps it apart from ModelConfig's
    # Picks the tokens that each attends to; None: all before it.
    indexer: IndexerConfig | None = field(default=None, metadata=RARE)

    def __post_init__(self) -> None:
        require_positive(self, "n_heads", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
        if self.q_lora_rank is not None:
            require_positive(self, "q_lora_rank")
        require(
            self.qk_rope_head_dim % 2 == 0,
            f"qk_rope_head_dim is {self.qk_rope_head_dim}, but rotary positions turn pairs, so choose an even number",
        )
        require(self.rope_theta > 0, f"rope_theta is {self.rope_theta}, but must be above 0; 10000 is usual")
        require(self.norm_eps >= 0, f"norm_eps is {self.norm_eps}, but must be 0 or more")
        if self.indexer is not None:
            require(
                self.q_lora_rank is not None,
                "q_lora_rank is None, but the indexer's queries are made from that latent; give its size",
            )
            size = self.indexer.head_dim
            require(
                size >= self.qk_rope_head_dim,
                f"indexer.head_dim is {size}, but must be at least qk_rope_head_dim = {self.qk_rope_head_dim}, "
                "the numbers of it that positions turn",
            )

    @property
    def rope_dim(self) -> int:
        """Numbers of a head that its position turns."""
        return self.qk_rope_head_dim

    @property
    def qk_head_dim(self) -> int:
        """Numbers of one head's query or key."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim


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
        values = dict(values)
        values["attention"] = _build_nested(_attention_kind(values), values.get("attention", {}), "attention.")
        if values.get("hyper_connections") is not None:
            values["hyper_connections"] = _build(
                HyperConnectionConfig, values["hyper_connections"], "hyper_connections."
            )
        if values.get("moe") is not None:
            values["moe"] = _build(MoEConfig, values["moe"], "moe.")
        if values.get("gate") is not None:
            values["gate"] = _build(Gate, values["gate"], "gate.")
        return _build(cls, values, "")

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
        for name in (*shares, "evaluate_every", "checkpoint_every"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is {value}, but must be 0 or more")

    @property
    def length(self) -> tuple[float, str]:
        """How long the run is, and in which unit: "steps" or "seconds"."""
        return (self.steps or 0, "steps") if self.seconds is None else (self.seconds, "seconds")


_PARTS = {
    "rope_scaling": RopeScaling,
    "window": SlidingWindow,
    "indexer": IndexerConfig,
    "compression": CompressionConfig,
}


def _attention_kind(values: dict[str, Any]) -> type:
    attention = values.get("attention", {})
    if "output_groups" in attention:
        return SharedKVAttentionConfig
    return LatentAttentionConfig if "kv_lora_rank" in attention else AttentionConfig


def _build_nested(cls: type, values: dict[str, Any], prefix: str) -> Any:
    """The same, its parts built before it."""
    built = dict(values)
    for name, value in values.items():
        if name in _PARTS and isinstance(value, dict):
            built[name] = _build_nested(_PARTS[name], value, f"{prefix}{name}.")
    return _build(cls, built, prefix)


def _build(cls: type, values: dict[str, Any], prefix: str) -> Any:
    known = {f.name: f for f in fields(cls)}
    for name in values:
        require(name in known, f"{cls.__name__} has no field {prefix}{name}; it has: {', '.join(known)}")
    for name, f in known.items():
        require(f.default is not MISSING or name in values, f"{cls.__name__} needs {prefix}{name}, which is not given")
    return cls(**values)
