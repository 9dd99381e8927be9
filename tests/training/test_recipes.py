"""Recipes: each makes a model and a run, with the same work per token."""

import pytest

from moe_lessons.model.transformer import Transformer
from moe_lessons.training import recipe


@pytest.mark.parametrize("kind", ["dense", "moe"])
@pytest.mark.parametrize("own_text", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_recipe_builds_a_model_and_a_run(kind, own_text, device):
    chosen = recipe(kind, device, own_text=own_text)
    run = chosen.train_config(seconds=10, seed=4)
    assert (run.seconds, run.seed) == (10, 4)
    assert run.seq_len <= chosen.model.max_length
    assert (chosen.model.moe is not None) == (kind == "moe")
    Transformer(chosen.model_config(300), device="meta")


@pytest.mark.parametrize(("own_text", "device"), [(False, "cpu"), (True, "cpu"), (False, "cuda")])
def test_dense_and_sparse_recipes_have_the_same_work_per_token(own_text, device):
    from moe_lessons.accounting import count_parameters

    dense, moe = (count_parameters(recipe(kind, device, own_text=own_text).model).active for kind in ("dense", "moe"))
    assert moe == pytest.approx(dense, rel=0.02)


def test_an_unknown_recipe_lists_the_cards():
    with pytest.raises(ValueError, match=r"'huge'.*course-dense"):
        recipe("huge")
