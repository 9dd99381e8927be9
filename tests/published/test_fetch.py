"""Fetching a model: the pinned revision only, no code of others, safetensors only; a folder stands in for the hub."""

import re

import pytest
import torch

from moe_lessons.published.fetch import GRANITE, Source, fetch
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing import find_routers, tracer

transformers = pytest.importorskip("transformers")

REVISION, OTHER = "1" * 40, "2" * 40


def small_model(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.GraniteMoeConfig(
        vocab_size=1024, num_local_experts=8, num_experts_per_tok=2, bos_token_id=0, eos_token_id=0, **sizes
    )
    return transformers.AutoModelForCausalLM.from_config(config)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache as the hub leaves it behind, with two revisions, and no way to any network."""
    import huggingface_hub.constants
    from tokenizers import Tokenizer as Backend

    import moe_lessons.resources as resources

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for seed, revision in enumerate((REVISION, OTHER)):
        folder = tmp_path / "models--somebody--small" / "snapshots" / revision
        small_model(seed).save_pretrained(folder)
        backend = Backend.from_file(str(resources.data_path("tokenizer.json")))
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=backend, bos_token="<|doc|>", eos_token="<|doc|>"
        ).save_pretrained(folder)
    return tmp_path


def test_the_revision_that_is_named_is_the_one_that_comes(hub):
    fetched = fetch(Source("somebody/small", OTHER, "none", 0.1), hub)
    wanted = small_model(seed=1).to(torch.bfloat16).state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in fetched.model.state_dict().items())
    assert not fetched.model.training


def test_the_lens_reads_what_was_fetched_with_its_own_tokenizer(hub):
    model, words = fetch(Source("somebody/small", REVISION, "none", 0.1), hub)
    ours = Tokenizer.load()
    assert words.encode("if x == 1:") == ours.encode("if x == 1:")
    assert words.document_id == ours.document_id
    trace = tracer(model, words)("if x == 1:")
    assert "".join(trace.pieces) == "if x == 1:"
    assert trace.layers == tuple(find_routers(model)) == (0, 1)


def test_a_model_that_cannot_be_had_is_one_sentence(hub):
    with pytest.raises(ConnectionError, match=r"somebody/large could not be fetched .* leave the fetching off$"):
        fetch(Source("somebody/large", REVISION, "none", 0.1), hub)
    with pytest.raises(ConnectionError, match="could not be fetched"):
        fetch(Source("somebody/small", "3" * 40, "none", 0.1), hub)


def test_weights_that_would_run_code_are_refused(hub):
    folder = hub / "models--somebody--small" / "snapshots" / REVISION
    weights = folder / "model.safetensors"
    torch.save(small_model().state_dict(), folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ConnectionError, match="could not be fetched"):
        fetch(Source("somebody/small", REVISION, "none", 0.1), hub)


def test_code_that_comes_along_is_not_run(hub):
    folder = hub / "models--somebody--small" / "snapshots" / REVISION
    config = (folder / "config.json").read_text()
    trap = '"auto_map": {"AutoConfig": "trap.Config", "AutoModelForCausalLM": "trap.Model"},\n  "model_type": "strange"'
    (folder / "config.json").write_text(config.replace('"model_type": "granitemoe"', trap))
    (folder / "trap.py").write_text("raise SystemExit('the trap ran')\n")
    with pytest.raises((ValueError, ConnectionError)):
        fetch(Source("somebody/small", REVISION, "none", 0.1), hub)


def test_the_courses_choice_is_pinned_to_a_commit():
    assert re.fullmatch(r"[0-9a-f]{40}", GRANITE.revision)
