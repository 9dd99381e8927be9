"""Eight-bit rounding against slow code, and what tiles promise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moe_lessons.model.low_precision import (
    LARGEST,
    from_float8,
    product_in_float8,
    relative_error,
    to_float8,
)

E4M3 = sorted({(1 + m / 8) * 2.0**e for e in range(-6, 9) for m in range(8)} | {m / 8 * 2.0**-6 for m in range(8)})
E4M3 = torch.tensor([value for value in E4M3 if value <= LARGEST])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(1, 9), st.integers(1, 4), st.integers(1, 5), st.integers(0, 5))
def test_each_tile_is_rounded_as_if_it_were_alone(rows, columns, tall, wide, seed):
    numbers = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 10.0 ** (seed - 3)
    scaled = to_float8(numbers, (tall, wide))
    back = from_float8(scaled)
    for top in range(0, rows, tall):
        for left in range(0, columns, wide):
            tile = numbers[top : top + tall, left : left + wide]
            scale = tile.abs().max() / LARGEST
            distance = (tile[..., None].abs() / scale - E4M3).abs()
            nearest = distance.min(dim=-1).values * scale
            found = (back[top : top + tall, left : left + wide] - tile).abs()
            torch.testing.assert_close(found, nearest, rtol=1e-3, atol=float(1e-5 * tile.abs().max()))


def test_the_largest_number_of_a_tile_is_kept_and_zeros_stay_zeros():
    numbers = torch.tensor([[0.0, 0.0, 3.7, -1e-9], [0.0, 0.0, 1e6, 1.0]])
    back = from_float8(to_float8(numbers, (1, 2)))
    torch.testing.assert_close(back[0, 2], numbers[0, 2])
    torch.testing.assert_close(back[1, 2], numbers[1, 2])
    assert back[:, :2].eq(0).all()
    assert from_float8(to_float8(torch.zeros(0, 4), (1, 2))).shape == (0, 4)


def test_an_outlier_hurts_its_own_tile_only():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(64, 256, generator=generator)
    hidden[5, 7] = 1e6
    others = torch.ones_like(hidden, dtype=torch.bool)
    others[5, :128] = False
    for tile, low, high in (((1, 128), 0.0, 0.04), (None, 0.9, 1.1)):
        back = from_float8(to_float8(hidden, tile))
        assert low <= relative_error(back[others], hidden[others]) <= high


def test_products_differ_by_the_rounding_alone():
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(40, 300, generator=generator), torch.randn(70, 300, generator=generator)
    error = relative_error(product_in_float8(hidden, weight), hidden @ weight.T)
    assert 0.01 < error < 0.06
    exact = to_float8(hidden, (1, 128)), to_float8(weight, (128, 128))
    torch.testing.assert_close(product_in_float8(hidden, weight), from_float8(exact[0]) @ from_float8(exact[1]).T)


def test_scales_cost_three_per_cent_for_tokens_and_nothing_to_speak_of_for_weights():
    assert to_float8(torch.ones(16, 1024), (1, 128)).bytes == 16 * 1024 + 4 * 16 * 8
    assert to_float8(torch.ones(256, 1024), (128, 128)).bytes == 256 * 1024 + 4 * 2 * 8


def test_a_tile_without_rows_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"tile is \(0, 128\), but needs at least one row and one column; \(1, 128\)"):
        to_float8(torch.ones(2, 2), (0, 128))
