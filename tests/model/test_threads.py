"""Jobs side by side: each is done once, on PyTorch's threads, and what goes wrong comes out."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from moe_lessons.device import keep_freed_memory
from moe_lessons.model import threads
from moe_lessons.model.threads import on_threads, side_by_side


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def seen_by_each_thread(jobs: list[int], pause: float = 0.0) -> dict[int, list[int]]:
    seen = {}

    def work(own):
        for job in own:
            seen.setdefault(threading.get_ident(), []).append(job)
            time.sleep(pause)

    side_by_side(work, jobs)
    return seen


def test_every_job_is_done_once_and_in_order_on_its_thread():
    seen = seen_by_each_thread(list(range(500)))
    assert sorted(job for own in seen.values() for job in own) == list(range(500))
    assert all(own == sorted(own) for own in seen.values())


@pytest.mark.skipif(threads._openmp() is None, reason="PyTorch's threads cannot be reached on this system")
def test_two_threads_share_the_jobs():
    assert len(seen_by_each_thread(list(range(20)), pause=0.002)) == 2


def test_no_jobs_are_no_work():
    side_by_side(lambda own: pytest.fail("called for nothing"), [])


def test_with_one_thread_or_none_to_be_reached_everything_happens_here(monkeypatch):
    here = threading.get_ident()
    torch.set_num_threads(1)
    assert seen_by_each_thread([1, 2, 3]) == {here: [1, 2, 3]}
    torch.set_num_threads(2)
    monkeypatch.setattr(threads, "_openmp", lambda: None)
    assert seen_by_each_thread([1, 2, 3]) == {here: [1, 2, 3]}


def test_a_counter_of_operations_misses_none():
    def work(own):
        for job in own:
            torch.mm(torch.ones(job, 8), torch.ones(8, 8))

    with FlopCounterMode(display=False) as counter:
        side_by_side(work, [1] * 50)
    assert counter.get_total_flops() == 50 * 2 * 8 * 8


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_is_raised_here_and_ends_the_work(error):
    done = []

    def work(own):
        for job in own:
            if job == 3:
                raise error("broken")
            done.append(job)
            time.sleep(0.001)

    with pytest.raises(error, match="broken"):
        side_by_side(work, list(range(1000)))
    assert len(done) < 900


def test_operations_inside_keep_to_one_thread_and_record_nothing():
    weight = torch.ones(2, 2, requires_grad=True)
    out = torch.zeros(10, 2, 2)

    def work(own):
        for job in own:
            torch.mm(weight, weight, out=out[job])  # refused where gradients are recorded

    side_by_side(work, list(range(10)))
    assert (out == 2).all()


def test_other_threads_may_do_the_same_at_the_same_time():
    results = []

    def run():
        for _ in range(20):
            results.append(sum(len(own) for own in seen_by_each_thread(list(range(50))).values()))

    callers = [threading.Thread(target=run) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == [50] * 60


def test_keeping_freed_memory_may_be_asked_for_again():
    keep_freed_memory()
    keep_freed_memory()
    assert torch.ones(1 << 24).sum() == 1 << 24


GIVES_BACK = """
import torch
from pathlib import Path
from moe_lessons.device import give_back_freed_memory, keep_freed_memory
held = lambda: next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmRSS"))
keep_freed_memory()
many = [torch.ones(1 << 18) for _ in range(300)]
on_top = torch.ones(1 << 10)
del many
kept = held()
give_back_freed_memory()
print(kept - held())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell what a process holds")
def test_freed_memory_that_was_kept_goes_back_to_the_system_when_asked():
    done = subprocess.run([sys.executable, "-c", GIVES_BACK], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 200 * 1024  # of 300 MB, in KB


def test_one_thread_is_for_the_block_alone_errors_included():
    with on_threads(1):
        assert torch.get_num_threads() == 1
        with on_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with on_threads(None):
        assert torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError), on_threads(1):
        print(1 / 0)
    assert torch.get_num_threads() == 2
