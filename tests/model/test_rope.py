"""Rotary positions: a phase for each pair, and products that depend on distance alone."""

import math

import torch

from moe_lessons.model.rope import rotate, rotation


def test_rotation_is_a_complex_phase():
    x = torch.randn(1, 1, 7, 8, dtype=torch.float64)
    turned = rotate(x, rotation(torch.arange(7), 8, 100.0))
    for position in range(7):
        for i in range(4):
            phase = position * 100.0 ** (-2 * i / 8)
            z = complex(x[0, 0, position, i], x[0, 0, position, i + 4]) * complex(math.cos(phase), math.sin(phase))
            assert abs(complex(turned[0, 0, position, i], turned[0, 0, position, i + 4]) - z) < 1e-5


def test_rotated_products_depend_on_distance_alone():
    q, k = torch.randn(1, 1, 1, 16).expand(-1, -1, 30, -1), torch.randn(1, 1, 1, 16).expand(-1, -1, 30, -1)
    by = rotation(torch.arange(30), 16, 10_000.0)
    products = rotate(q, by)[0, 0] @ rotate(k, by)[0, 0].T
    for distance in range(-20, 21, 5):
        assert products.diagonal(distance).std() < 1e-4
