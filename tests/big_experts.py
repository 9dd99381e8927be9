"""A model whose experts are large, written to a file without ever being in memory; what a process holds, by Linux."""

import json
from pathlib import Path

import numpy as np

from moe_lessons.config import AttentionConfig, ModelConfig, MoEConfig
from moe_lessons.model.transformer import Transformer

MB = 2**20


def big_config(n_experts: int = 32) -> ModelConfig:
    """Four layers of experts of 1.5 MB each: 192 MB with 32 of them in a layer, beside 3 MB of everything else."""
    moe = MoEConfig(n_routed_experts=n_experts, top_k=2, hidden_dim=512)
    attention = AttentionConfig(n_heads=4, n_kv_heads=2)
    return ModelConfig(
        vocab_size=64, dim=256, n_layers=4, hidden_dim=512, max_length=64, attention=attention, moe=moe,
        tie_embeddings=True,
    )  # fmt: skip


def write_big(path: Path, config: ModelConfig) -> Path:
    """Random weights in float32, a tensor at a time; at most one expert's numbers are in memory."""
    model = Transformer(config, device="meta")
    tensors = {name: tuple(each.shape) for name, each in model.state_dict().items() if name != "head.weight"}
    header: dict = {"__metadata__": {"format": "moe-lessons-1", "config": json.dumps(config.to_dict())}}
    at = 0
    for name, shape in tensors.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    written = json.dumps(header).encode()
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(len(written).to_bytes(8, "little") + written)
        for shape in tensors.values():
            for _ in range(shape[0] if len(shape) == 3 else 1):
                part = shape[1:] if len(shape) == 3 else shape
                spread = part[-1] ** -0.5 if len(part) == 2 else 0.0
                file.write((spread * rng.standard_normal(part) + (len(part) == 1)).astype("<f4").tobytes())
    return path


def held(name: str) -> int:
    """Bytes of this process by /proc: "VmHWM" is the peak, "RssAnon" its own pages, "RssFile" those of mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def forget_peak() -> None:
    """Let VmHWM begin again at what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
