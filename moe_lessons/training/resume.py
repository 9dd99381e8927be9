"""An unfinished run on disk: weights, optimizer, history and what they belong to, in one safetensors file."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from moe_lessons.config import TrainConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.text.corpus import Corpus
from moe_lessons.training.checkpoint import read_tensors, restore, write_atomically
from moe_lessons.training.history import History


def write_resume(
    path: Path,
    model: Transformer,
    optimizers: list[Optimizer],
    config: TrainConfig,
    corpus: Corpus,
    history: History,
    *,
    write: bool = True,
) -> None:
    """Write the run to `path`; where several processes share it, all call this and one of them writes."""
    tensors = {f"model.{name}": tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    for i, optimizer in enumerate(optimizers):
        for j, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{i}.{j}.{key}"] = torch.as_tensor(value).detach().cpu().clone()
    record = {name: value for name, value in vars(history).items() if name != "load_rows"}
    if history.load_rows:
        tensors["history.loads"] = torch.from_numpy(history.loads)
    header = {
        "format": "moe-lessons-resume-1",
        "train": json.dumps(asdict(config)),
        "corpus": corpus.fingerprint,
        "history": json.dumps(record),
    }
    if write:
        write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=header))


def read_resume(
    path: Path, model: Transformer, optimizers: list[Optimizer], config: TrainConfig, corpus: Corpus
) -> History:
    """Put a kept run's weights and optimizer state in place; returns its history.

    Raises ValueError for a damaged file, or one of another run, and before it changes anything.
    """
    tensors, header = read_tensors(path)
    # Own memory: what was read lies in the file, which is written again later, and which Windows would not replace.
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    if header.get("format") != "moe-lessons-resume-1":
        raise ValueError(f"{path.name} does not hold an unfinished run; start again without resume")
    if header.get("corpus") != corpus.fingerprint:
        raise ValueError(f"{path.name} was trained on another text; resume with that text or start again")
    try:
        before, record = json.loads(header["train"]), json.loads(header["history"])
        loads = tensors["history.loads"].numpy() if "history.loads" in tensors else ()
        history = History(**{**record, "interrupted": False, "load_rows": list(loads)})
        before = {f.name: before.get(f.name, f.default) for f in fields(TrainConfig)}  # it may be older than a field
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} has a damaged header ({error}); start again without resume") from None
    now = asdict(config)
    # A run may be made longer, and looked at more often; anything else would be another run.
    free = {"steps", "seconds", "evaluate_every", "checkpoint_every"}
    changed = [name for name in now if name not in free and before[name] != now[name]]
    if changed:
        name = changed[0]
        raise ValueError(f"{path.name} was trained with {name} = {before[name]!r}, not {now[name]!r}; use that value")
    unit = "steps" if config.steps is not None else "seconds"
    done, wanted = getattr(history, unit), getattr(config, unit)
    if done > wanted != before[unit]:  # a run by the clock ends a little late
        raise ValueError(
            f"{path.name} has done {round(done, 1):.10g} {unit} already, more than the {wanted:g} asked for; ask for "
            "more, or start again without resume"
        )
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    if model.config.tie_embeddings:
        weights.pop("head.weight", None)
    restore(model, weights, path.name)
    for i, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimizer.{i}."):
                _, _, j, key = name.split(".", 3)
                state.setdefault(int(j), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return history
