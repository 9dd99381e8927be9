"""`moe-lessons bench` in its tiniest form: what is compared computes the same, and no timing is asserted."""

import inspect
import json
import sys

import pytest
import torch

from moe_lessons import cli
from moe_lessons.benchmark import next_token, start_up, tables
from moe_lessons.benchmark.machine import peak_flops
from moe_lessons.benchmark.mixtral import mixtral_blocks
from moe_lessons.benchmark.sparse_layer import DENSE, PEER, SHAPES, Contest, Shape, _layer, compare, ways_through
from moe_lessons.benchmark.timing import Timing
from moe_lessons.commands import bench
from moe_lessons.model.cache import make_cache
from moe_lessons.model.dispatch import STRATEGIES

TINY = Shape(16, 8, 4, 2, 24)
CPU = torch.device("cpu")


@pytest.fixture
def without_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)


def test_all_sections_are_in_one_json_object(capsys):
    assert cli.main(["bench", "--quick", "--rounds", "1", "--json"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    result = json.loads(out)
    assert list(result) == ["machine", "rounds", "quick", *bench.SECTIONS]
    assert result["machine"]["torch"] == torch.__version__
    [contest] = result["layer"]
    assert contest["ways"]["dense"]["ratio"] == 1
    assert set(STRATEGIES) < set(contest["ways"])
    assert contest["default"] in STRATEGIES
    assert list(result["training"])[:3] == ["dense", "moe", "moe, experts at every 8th step"]
    for name, training in result["training"].items():
        assert training["tokens_per_second"] > 0
        assert name.startswith("Hugging Face") or training["optimizer"]["median"] > 0
    assert {"dense", "moe"} <= set(result["generation"]["timings"])
    assert set(result["latent"]["ways"]) == {"absorbed", "unpacked", "kept"}
    assert result["latent"]["ways"]["absorbed"]["times_absorbed"] == 1
    assert all(timing["median"] > 0 for timing in result["start"].values())


def test_the_tables_columns_are_aligned_and_no_line_ends_in_blanks(capsys):
    assert cli.main(["bench", "--quick", "--rounds", "1", "--only", "layer", "training"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert any(line.split()[:1] == ["fused"] for line in lines)
    assert any("sparse step takes" in line for line in lines)
    assert any("course-moe, experts at every 8th step" in line for line in lines)
    assert not any("Generation" in line for line in lines)
    assert tables.aligned([["", "a", "bb"], ["long", "1", "2"]]) == ["        a  bb", "  long  1   2"]


def test_the_shapes_are_those_that_were_agreed_on():
    assert [tuple(shape) for shape in SHAPES] == [
        (128, 128, 8, 2, 4096),
        (128, 64, 32, 4, 4096),
        (256, 128, 32, 4, 4096),
        (512, 256, 64, 6, 2048),
    ]
    assert Shape(2, 3, 9, 4, 5).flops == 3 * 2 * 3 * 5 * 2 * (4 * 3)  # passes, a multiply-add, matrices, their size


def test_every_way_gives_what_the_others_give_gradients_included():
    torch.manual_seed(0)
    hidden = torch.randn(1, TINY.tokens, TINY.dim, requires_grad=True)
    ways, _ = ways_through(_layer(TINY), TINY, hidden)
    slope = torch.randn_like(hidden)
    results, dense = {}, {}
    for name, way in ways.items():
        way.both(hidden, slope)
        if name in DENSE:
            dense[name] = [hidden.grad, way.forward(hidden).detach(), way.parameters[-1].grad]
        else:
            experts = [p.grad for p in way.parameters if p.ndim == 3]
            results[name] = [way.forward(hidden).detach(), *experts]
    assert len(results) > len(STRATEGIES)
    for name, tensors in results.items():
        for mine, right in zip(tensors, results["loop"], strict=True):
            assert torch.allclose(mine, right, atol=1e-5), name
    for mine, right in zip(*dense.values(), strict=True):
        assert torch.allclose(mine, right, atol=1e-5)
    ways["MoE"].both(hidden, slope)
    whole = hidden.grad
    for name in ways:
        if name.startswith(PEER):
            ways[name].both(hidden, slope)
            assert torch.allclose(hidden.grad, whole, atol=1e-5), name


def test_hugging_faces_ways_are_all_that_transformers_registers():
    moe = pytest.importorskip("transformers.integrations.moe")
    assert {name for name, _ in mixtral_blocks(_layer(TINY))} == {"eager", *moe.ALL_EXPERTS_FUNCTIONS.valid_keys()}


@pytest.mark.usefixtures("without_transformers")
def test_without_transformers_one_line_says_so(capsys):
    contest = compare(TINY, 1, CPU, torch.float32)
    assert contest.best_peer() is None
    assert contest.left_out == {"Hugging Face": "transformers is not installed"}
    assert cli.main(["bench", "--quick", "--rounds", "1", "--only", "layer", "generation"]) == 0
    assert capsys.readouterr().out.count("left out: Hugging Face: transformers is not installed") == 2


def test_what_would_fill_the_memory_is_left_out_with_its_size():
    shape = Shape(16, 8, 400, 20, 2000)
    _, left_out = ways_through(_layer(shape), shape, torch.randn(1, shape.tokens, shape.dim))
    assert left_out["one_hot"].endswith("GiB for its zeros")


def test_the_next_tokens_ways_are_timed_behind_2048_others_with_the_bytes_their_caches_hold():
    found = next_token.compare(1, CPU, quick=True)
    latent, ordinary = next_token._configs(found.context, n_layers=1)
    for name, config in (("absorbed", latent), ("unpacked", latent), ("kept", ordinary)):
        assert found.cache_bytes[name] == make_cache(config, 1, found.context).bytes
    assert inspect.signature(next_token.ways_to_continue).parameters["context"].default == 2048
    timings = {name: Timing(seconds, seconds, seconds) for name, seconds in zip(found.timings, (2, 6, 3), strict=True)}
    lines = tables.latent_lines(found._replace(context=2048, timings=timings))
    assert "behind 2,048 others" in lines[0]
    assert lines[-1].startswith("unpacking the latents takes 3.00 times as long as absorbing, ordinary attention 1.50")


def test_a_gpus_peak_is_the_data_sheets_or_unknown():
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("Some GPU of 2031") is None


def test_the_sparse_layer_races_the_faster_dense_one_and_the_plain_one_is_named_beside():
    ms = {"dense": 2, "dense, fused": 1, "fused": 3, "MoE": 4}
    timings = {name: Timing(*[each / 1000] * 3) for name, each in ms.items()}
    contest = Contest(Shape(2, 2, 2, 1, 1), "fused", timings, {})
    assert contest.rival == "dense, fused" and contest.ratio("MoE") == 4 and contest.ratio("MoE", to="dense") == 2
    lines = {
        line.strip().rpartition("  ")[0].strip(): line.split()[-1] for line in tables.layer_lines([contest], "", 1)
    }
    assert (lines["*, plain"], lines["MoE, plain"]) == ("1.50", "2.00")
    assert any(line.split()[:2] == ["MoE", "4.00"] for line in tables.layer_lines([contest], "", 1))


def test_the_share_of_a_known_peak_is_shown():
    shape = Shape(2, 2, 2, 1, 1)
    timings = {"dense": Timing(1e-9, 1e-9, 1e-9), "loop": Timing(2e-9, 2e-9, 2e-9)}
    lines = tables.layer_lines([Contest(shape, "loop", timings, {})], "bfloat16", peak=144e9)
    assert lines[-1] == "2 x 2 x 2: dense 72 GFLOP/s (50% of the peak); loop 36 GFLOP/s (25% of the peak)"


def test_start_up_runs_python_anew_and_reports_what_fails():
    assert start_up.compare(1, {"nothing": "pass"})["nothing"].median > 0
    assert all(compile(statement, name, "exec") for name, statement in start_up.STATEMENTS.items())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--only", "lunch"], "--only names 'lunch', but the sections are: layer, training"),
        (["--rounds", "0"], "--rounds is 0"),
        (["--device", "abacus"], "device is 'abacus'"),
    ],
)
def test_bad_input_gives_one_sentence(capsys, arguments, named):
    assert cli.main(["bench", *arguments]) == 1
    error = capsys.readouterr().err
    assert named in error
    assert len(error.splitlines()) == 1
