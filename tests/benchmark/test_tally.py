"""Work is counted, not timed: sums that can be done by hand come out exactly."""

import pytest
import torch
from loaded import loaded_after
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from moe_lessons.benchmark.tally import Tally, tally
from moe_lessons.model.dispatch import STRATEGIES
from moe_lessons.model.feed_forward import SwiGLU

TOKENS, DIM, WIDTH, EXPERTS, TOP_K = 24, 16, 8, 4, 2


def test_a_product_reads_two_matrices_and_writes_one():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert tally(lambda: a @ b) == Tally(flops=2 * 3 * 5 * 7, moved=4 * (15 + 35 + 21), made=4 * 21, operations=1)


def test_a_view_moves_nothing_and_neither_does_memory_that_is_only_asked_for():
    a = torch.ones(3, 5)
    assert tally(lambda: a.view(15)[2:4]) == Tally(0, 0, 0, 0)
    assert tally(lambda: torch.empty(10)) == Tally(0, 0, 40, 0)


def test_what_is_written_into_given_memory_is_not_read_from_it_and_makes_none():
    a, room = torch.ones(3, 3), torch.empty(3, 3)
    assert tally(lambda: torch.mm(a, a, out=room)) == Tally(flops=54, moved=3 * 36, made=0, operations=1)
    assert tally(lambda: room.addmm_(a, a)).flops == 54
    assert tally(lambda: room.expand(2, 3, 3).clone().baddbmm_(a.expand(2, 3, 3), a.expand(2, 3, 3))).flops == 108
    assert tally(lambda: room.mul_(a)) == Tally(flops=0, moved=3 * 36, made=0, operations=1)


def layer() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    experts = torch.rand(TOKENS, EXPERTS, generator=generator).argsort(dim=1)[:, :TOP_K]
    weights = torch.rand(TOKENS, TOP_K, generator=generator)
    shapes = (TOKENS, DIM), (EXPERTS, 2 * WIDTH, DIM), (EXPERTS, DIM, WIDTH)
    hidden, gate_up, down = (torch.randn(shape, generator=generator) for shape in shapes)
    return [t.requires_grad_(t.is_floating_point()) for t in (hidden, experts, weights, gate_up, down)]


def both_ways(function) -> None:
    function().sum().backward()


@pytest.mark.parametrize("name", ["loop", "sorted", "grouped", "fused"])
def test_sparse_dispatch_does_the_arithmetic_of_a_dense_layer_of_its_active_size(name):
    dense, hidden = SwiGLU(DIM, TOP_K * WIDTH), torch.randn(TOKENS, DIM, requires_grad=True)
    by_hand = 3 * 2 * 3 * TOKENS * DIM * TOP_K * WIDTH  # forward, both gradients; gate, up, down
    assert tally(lambda: both_ways(lambda: dense(hidden))).flops == by_hand
    assert tally(lambda: both_ways(lambda: STRATEGIES[name](*layer()))).flops == by_hand


def test_flops_are_those_that_torch_counts():
    for name in ("loop", "one_hot", "sorted"):
        with FlopCounterMode(display=False) as counter:
            both_ways(lambda name=name: STRATEGIES[name](*layer()))
        assert tally(lambda name=name: both_ways(lambda: STRATEGIES[name](*layer()))).flops == counter.get_total_flops()


def test_indexing_a_stack_makes_it_anew_for_each_of_its_entries():
    stack, x = torch.randn(6, 4, 4, requires_grad=True), torch.randn(3, 4)
    indexed = tally(lambda: sum(F.linear(x, stack[i]).sum() for i in range(6)).backward())
    stack.grad = None
    unbound = tally(lambda: sum(F.linear(x, w).sum() for w in stack.unbind()).backward())
    # One stack of zeros for each entry, and a sum after each but the first; unbound, one stack from all of them.
    assert indexed.made - unbound.made == (6 + 5 - 1) * stack.nbytes


def test_the_number_of_threads_is_as_it_was_even_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        tally(lambda: 1 / 0)
    assert torch.get_num_threads() == before


def test_counting_does_not_load_torchs_compiler():
    program = """
import torch
from moe_lessons.benchmark.tally import tally
a = torch.ones(2, 2, requires_grad=True)
assert tally(lambda: (a @ a).sum().backward()).flops == 3 * 16
"""
    assert not loaded_after(program) & {"torch._dynamo", "sympy"}
