"""Numbers in eight bits with a scale for each tile (DeepSeek-V3, arXiv:2412.19437, section 3.3)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

LARGEST = torch.finfo(torch.float8_e4m3fn).max  # 448: four bits of exponent, three of fraction
ACTIVATION_TILE = (1, 128)  # one token, 128 channels
WEIGHT_TILE = (128, 128)


class Scaled(NamedTuple):
    """numbers = values * scales, each scale over its tile."""

    values: Float[Tensor, "rows columns"]  # float8_e4m3fn
    scales: Float[Tensor, "tile_rows tile_columns"]  # float32
    tile: tuple[int, int]

    @property
    def bytes(self) -> int:
        """Of values and scales."""
        return self.values.nbytes + self.scales.nbytes


def to_float8(numbers: Float[Tensor, "rows columns"], tile: tuple[int, int] | None = None) -> Scaled:
    """Round to 8-bit floating point, so that each tile's largest number becomes the largest there is.

    Without a tile the whole matrix shares one scale. Tiles at the edge are as small as what is left.
    Raises ValueError for a tile without rows or columns.
    """
    rows, columns = numbers.shape
    tile = tile or (max(rows, 1), max(columns, 1))
    if min(tile) < 1:
        raise ValueError(f"tile is {tile}, but needs at least one row and one column; (1, 128) is usual for tokens")
    largest = F.pad(numbers.abs().float(), (0, -columns % tile[1], 0, -rows % tile[0]))
    largest = largest.unflatten(0, (-1, tile[0])).unflatten(-1, (-1, tile[1])).amax(dim=(1, 3))
    scales = torch.where(largest > 0, largest / LARGEST, 1.0)  # a tile of zeros has no scale of its own
    divided = numbers.float() / spread(scales, tile, numbers.shape)
    return Scaled(divided.clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn), scales, tile)


def from_float8(scaled: Scaled) -> Float[Tensor, "rows columns"]:
    """The numbers that the eight bits stand for, in float32."""
    return scaled.values.float() * spread(scaled.scales, scaled.tile, scaled.values.shape)


def spread(
    scales: Float[Tensor, "tile_rows tile_columns"], tile: tuple[int, int], shape: tuple[int, ...]
) -> Float[Tensor, "rows columns"]:
    """Each number's own scale."""
    return scales.repeat_interleave(tile[0], 0).repeat_interleave(tile[1], 1)[: shape[0], : shape[1]]


def product_in_float8(
    hidden: Float[Tensor, "tokens dim"],
    weight: Float[Tensor, "rows dim"],
    tiles: tuple[tuple[int, int] | None, tuple[int, int] | None] = (ACTIVATION_TILE, WEIGHT_TILE),
) -> Float[Tensor, "tokens rows"]:
    """hidden @ weight^T with both rounded to eight bits and all sums kept in float32."""
    return from_float8(to_float8(hidden, tiles[0])) @ from_float8(to_float8(weight, tiles[1])).T


def relative_error(rounded: Tensor, exact: Tensor) -> float:
    """Root of the mean square of what rounding changed, over that of the numbers themselves."""
    return ((rounded - exact).square().mean() / exact.square().mean()).sqrt().item()
