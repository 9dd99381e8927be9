"""A model on disk is the model that was saved."""

import subprocess
import sys

import pytest
import torch

from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.training import load_checkpoint, save_checkpoint


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_loaded_model_gives_the_saved_models_logits_and_shares_what_it_shared(tmp_path, tied):
    config = ModelConfig(
        vocab_size=40,
        dim=16,
        n_layers=2,
        hidden_dim=24,
        max_length=8,
        tie_embeddings=tied,
        attention=AttentionConfig(n_heads=2),
    )
    model = Transformer(config, seed=3)
    loaded = load_checkpoint(save_checkpoint(tmp_path / "model", model)).model
    tokens = torch.arange(8)[None]
    assert torch.equal(loaded(tokens), model(tokens))
    assert (loaded.head.weight is loaded.embedding.weight) is tied
    assert len(list(loaded.parameters())) == len(list(model.parameters()))


def test_loading_the_shipped_model_does_not_wait_for_torchs_compiler():
    code = (
        "import sys\n"
        "from moe_lessons.resources import data_path\n"
        "from moe_lessons.training import load_checkpoint\n"
        "load_checkpoint(data_path('checkpoints/course-moe.safetensors'))\n"
        "print('torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
