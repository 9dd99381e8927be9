"""A model on disk is the model that was saved."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from loaded import loaded_after
from safetensors.torch import load_file, save_file
from small import small_model

from moe_lessons.accounting import training_flops_per_token
from moe_lessons.config import ModelConfig, MoEConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.resources import data_path
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.training import load_checkpoint, phone_book_bits, save_checkpoint
from moe_lessons.training.checkpoint import read_tensors, require_writable, restore, write_atomically


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_loaded_model_gives_the_saved_models_logits_and_shares_what_it_shared(tmp_path, tied):
    model = small_model(3, max_length=8, tie_embeddings=tied)
    loaded = load_checkpoint(save_checkpoint(tmp_path / "model", model)).model
    tokens = torch.arange(8)[None]
    assert torch.equal(loaded(tokens), model(tokens))
    assert (loaded.head.weight is loaded.embedding.weight) is tied
    assert len(list(loaded.parameters())) == len(list(model.parameters()))


def test_loading_the_shipped_model_does_not_wait_for_torchs_compiler_nor_for_its_algebra():
    program = """
from moe_lessons.resources import data_path
from moe_lessons.training import load_checkpoint
load_checkpoint(data_path("checkpoints/course-moe.safetensors"))
"""
    assert not loaded_after(program) & {"torch._dynamo", "sympy"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_table_of_routes_is_what_it_was_in_whatever_precision_weights_are_kept(tmp_path, dtype):
    moe = MoEConfig(n_routed_experts=3000, top_k=2, hidden_dim=1, n_hash_layers=1)  # bfloat16 counts up to 256
    model = small_model(1, vocab_size=3000, max_length=8, moe=moe)
    loaded = load_checkpoint(save_checkpoint(tmp_path / "model", model, dtype=dtype)).model
    routes = [each.blocks[0].feed_forward.router.routes for each in (model, loaded)]
    assert torch.equal(*routes) and routes[1].dtype == torch.long


def sparse(**changes) -> Transformer:
    moe = MoEConfig(n_routed_experts=3, top_k=2, hidden_dim=8, expert_bias=True)
    return small_model(1, **({"vocab_size": 40, "max_length": 8, "moe": moe} | changes))


def test_a_sparse_model_comes_back_with_its_bias_configuration_and_notes(tmp_path):
    model = sparse()
    model.blocks[1].feed_forward.router.expert_bias += torch.tensor([1.0, -2.0, 3.0])
    path = save_checkpoint(tmp_path / "model", model, {"command": "moe-lessons train", "ü": [1, 2]})
    loaded = load_checkpoint(path)
    assert loaded.model.config == model.config
    assert loaded.notes == {"command": "moe-lessons train", "ü": [1, 2]}
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name


def test_half_precision_halves_the_file_and_is_read_back_as_float32(tmp_path):
    model = sparse(dim=64)
    whole, half = (save_checkpoint(tmp_path / str(d), model, dtype=d) for d in (torch.float32, torch.float16))
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    loaded = load_checkpoint(half).model
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, model.state_dict()[name].half().float()), name


def test_the_json_beside_a_checkpoint_says_the_same_as_its_header(tmp_path):
    path = save_checkpoint(tmp_path / "model", sparse(), {"seed": 4})
    readable = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert ModelConfig.from_dict(readable.pop("config")) == load_checkpoint(path).model.config
    assert readable == {"seed": 4}


def test_a_missing_checkpoint_is_one_sentence_with_its_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nowhere.safetensors; train one"):
        load_checkpoint(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_a_truncated_checkpoint_is_one_sentence_with_its_name(tmp_path, keep):
    path = save_checkpoint(tmp_path / "cut", sparse())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"cut.safetensors is damaged or not a safetensors file"):
        load_checkpoint(path)


def test_a_foreign_file_is_one_sentence_with_its_name(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="foreign.safetensors is not a checkpoint of moe-lessons"):
        load_checkpoint(tmp_path / "foreign.safetensors")


def rewrite(path: Path, change) -> None:
    """Save a checkpoint again with other tensors or another header."""
    tensors, header = read_tensors(path)
    change(tensors, header)
    save_file(tensors, path, metadata=header)


@pytest.mark.parametrize("config", ["{", "{}", "[]", '{"dim": 3}'])
def test_a_damaged_header_is_one_sentence(tmp_path, config):
    path = save_checkpoint(tmp_path / "model", sparse())
    rewrite(path, lambda tensors, header: header.update(config=config))
    with pytest.raises(ValueError, match="damaged header"):
        load_checkpoint(path)


def test_a_tensor_missing_left_over_or_of_another_size_is_named(tmp_path):
    path = save_checkpoint(tmp_path / "model", sparse())
    rewrite(path, lambda tensors, header: tensors.pop("norm.weight"))
    with pytest.raises(ValueError, match=r"lacks the tensor norm.weight"):
        load_checkpoint(path)
    path = save_checkpoint(tmp_path / "model", sparse())
    rewrite(path, lambda tensors, header: tensors.update(extra=torch.zeros(1)))
    with pytest.raises(ValueError, match=r"has a tensor extra that this model does not have"):
        load_checkpoint(path)
    path = save_checkpoint(tmp_path / "model", sparse())
    rewrite(path, lambda tensors, header: tensors.update({"norm.weight": torch.zeros(5)}))
    with pytest.raises(ValueError, match=r"norm.weight of size \[5\], but the model's is \[16\]"):
        load_checkpoint(path)


def test_restoring_the_wrong_sizes_leaves_the_model_as_it_was():
    model, other = sparse(), sparse(dim=32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = {n: t for n, t in other.state_dict().items() if n != "head.weight"}
    with pytest.raises(ValueError, match="build the model with the checkpoint's own configuration"):
        restore(model, tensors, "other")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_failed_write_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path):
    path = save_checkpoint(tmp_path / "model", sparse())
    old = path.read_bytes()

    def fill_the_disk(temporary: Path) -> None:
        temporary.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"model.safetensors could not be written \(No space left on device\); free"):
        write_atomically(path, fill_the_disk)
    assert path.read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_no_right_to_write_is_found_beforehand_and_nothing_is_left(tmp_path):
    require_writable(tmp_path / "new" / "run.safetensors")
    assert list((tmp_path / "new").iterdir()) == []
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="could not be written"):
        require_writable(tmp_path / "run.safetensors")


def test_a_checkpoint_holds_no_pickle_and_no_tensor_twice(tmp_path):
    path = save_checkpoint(tmp_path / "model", sparse())
    names = load_file(path)
    assert "head.weight" not in names
    assert "embedding.weight" in names


@pytest.mark.parametrize("kind", ["dense", "moe"])
def test_the_shipped_models_stay_above_each_floor_and_come_near_two_of_them(kind):
    notes = load_checkpoint(data_path(f"checkpoints/course-{kind}.safetensors")).notes
    assert notes["command"].startswith(f"moe-lessons train --model {kind} ")
    domains = notes["result"]["domains"]
    generated = {name: row for name, row in domains.items() if row["floor_nats_per_token"] is not None}
    assert set(generated) == {"arithmetic", "json", "german", "phone_book"}
    assert all(row["over_floor"] > 0 for row in generated.values())
    assert generated["json"]["over_floor"] < 0.15
    assert generated["german"]["over_floor"] < 0.15
    assert len(notes["curve"]) > 100


def record(name: str) -> dict:
    """The notes of a shipped run."""
    return json.loads(data_path(f"checkpoints/{name}.json").read_text(encoding="utf-8"))


def mean_loss(notes: dict) -> float:
    """Nats per token, each domain counting the same."""
    rows = notes["result"]["domains"].values()
    return sum(row["nats_per_token"] for row in rows) / len(rows)


def training_flops(notes: dict) -> float:
    return notes["tokens"] * training_flops_per_token(ModelConfig.from_dict(notes["config"]), notes["train"]["seq_len"])


def test_the_shipped_models_had_the_same_work_the_same_tokens_and_the_sparse_one_is_better():
    dense, moe = (load_checkpoint(data_path(f"checkpoints/course-{kind}.safetensors")) for kind in ("dense", "moe"))
    results = [c.notes["result"] for c in (dense, moe)]
    assert results[0]["tokens"] == results[1]["tokens"]
    assert results[1]["parameters_active"] == pytest.approx(results[0]["parameters_active"], rel=0.02)
    assert results[1]["nats_per_byte"] < results[0]["nats_per_byte"]
    same = replace(moe.model.config, moe=None)
    assert same == dense.model.config


@pytest.mark.parametrize("domain", ["phone_book", "python", "english", "cpp"])
def test_the_sparse_model_is_lower_where_knowledge_helps(domain):
    dense, moe = (record(f"course-{kind}")["result"]["domains"][domain] for kind in ("dense", "moe"))
    assert moe["tokens"] == dense["tokens"]
    assert moe["nats_per_token"] < dense["nats_per_token"]


def test_the_sparse_model_has_stored_at_least_1_6_times_as_many_bits_of_the_phone_book():
    tokenizer = Tokenizer.load()
    models = [load_checkpoint(data_path(f"checkpoints/course-{kind}.safetensors")).model for kind in ("dense", "moe")]
    dense, moe = (phone_book_bits(model, tokenizer, people=600) for model in models)
    assert moe.stored > 0.15 * moe.maximum  # a ratio of two nothings would prove nothing
    assert moe.stored >= 1.6 * dense.stored


def test_the_half_run_had_at_most_half_of_the_dense_models_arithmetic_and_a_schedule_of_its_own():
    dense, half = record("course-dense"), record("course-moe-half")
    assert half["config"]["moe"]["n_routed_experts"] == record("course-moe")["config"]["moe"]["n_routed_experts"]
    assert 0.49 < training_flops(half) / training_flops(dense) <= 0.5
    assert half["steps"] == half["train"]["steps"]


@pytest.mark.xfail(reason="half is not enough: lesson 07 says so, with the numbers")
def test_the_sparse_model_reaches_the_dense_models_loss_with_half_of_its_arithmetic():
    assert mean_loss(record("course-moe-half")) <= mean_loss(record("course-dense"))


def test_the_race_by_the_clock_was_one_of_equal_seconds_on_equal_threads():
    dense, moe = record("clock-dense"), record("clock-moe")
    assert dense["train"]["seconds"] == moe["train"]["seconds"]
    assert dense["seconds"] == pytest.approx(moe["seconds"], rel=0.02)
    assert dense["result"]["threads"] == moe["result"]["threads"]
    assert [notes["result"]["model"] for notes in (dense, moe)] == ["course-dense", "course-moe"]


@pytest.mark.parametrize("name", ["run", "run.safetensors", "run-0.5", "run-0.5.safetensors"])
def test_a_dot_in_a_name_is_part_of_the_name(tmp_path, name):
    path = save_checkpoint(tmp_path / name, sparse())
    stem = name.removesuffix(".safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{stem}.json", f"{stem}.safetensors"]
    assert path.name == f"{stem}.safetensors"
