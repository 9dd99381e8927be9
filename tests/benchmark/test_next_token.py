"""The timed ways to continue a text."""

import torch


def test_every_timed_way_to_continue_starts_where_it_started_before():
    from moe_lessons.benchmark.next_token import ways_to_continue

    ways = ways_to_continue(context=24, batch_size=2, n_layers=2)
    first = {name: way() for name, way in ways.items()}
    assert all(torch.equal(way(), first[name]) for name, way in ways.items())
    assert (first["absorbed"] - first["unpacked"]).abs().max() < 1e-5
    assert list(first) == ["absorbed", "unpacked", "kept"]
