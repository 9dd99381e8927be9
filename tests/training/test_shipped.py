import pytest

from moe_lessons.training import open_shipped


def test_a_shipped_model_opens_ready_to_read_with_its_tokenizer_and_its_routes():
    shipped = open_shipped("course-moe")
    trace = shipped.ask("The router")
    assert not shipped.model.training
    assert list(trace.token_ids) == shipped.tokenizer.encode("The router")
    assert trace.n_layers == len([block for block in shipped.model.blocks if hasattr(block.feed_forward, "router")])


def test_a_dense_model_has_no_routes_to_ask_for():
    with pytest.raises(ValueError, match="rout"):
        open_shipped("course-dense").ask  # noqa: B018


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"ships no model 'gpt'; choose from course-dense, course-moe"):
        open_shipped("gpt")
