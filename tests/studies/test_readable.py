"""The census of the installed transformers: every family that chooses experts is read right or refused by name."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from moe_lessons.resources import data_path
from moe_lessons.studies import readable
from moe_lessons.studies.readable import CLOSE, READ, REFUSED, STEERED, Wrong, experts_heard, judge, misfit, recorded
from moe_lessons.studies.tiny_mixtures import EXPERTS, TOP_K, Family, mixture_families, tiny_model, tiny_text
from moe_lessons.tracing.foreign_router import ForeignRouter

transformers = pytest.importorskip("transformers")
STUDY = json.loads(data_path("studies/readable.json").read_text(encoding="utf-8"))
ROWS = {row["family"]: row for row in STUDY["families"]}
SAME_VERSION = STUDY["transformers"] == transformers.__version__


@pytest.fixture(scope="module")
def families() -> dict[str, Family]:
    return {family.name: family for family in mixture_families()}


def test_the_census_has_every_family_whose_source_chooses_experts(families):
    if SAME_VERSION:
        assert list(families) == list(ROWS)
    assert {"mixtral", "dbrx", "deepseek_v3", "llama4", "gpt_oss", "jamba", "switch_transformers"} <= set(families)


def test_no_family_with_a_class_of_top_k_routers_is_missed(families):
    folder = Path(transformers.__file__).parent / "models"
    named = re.compile(r"^class \w*(Top_?[kK12]\w*(Router|Gating)|Experts)\(", re.MULTILINE)
    sources = {path.parent.name: path.read_text(encoding="utf-8") for path in folder.glob("*/modeling_*.py")}
    assert {name for name, source in sources.items() if named.search(source)} <= set(families)


@pytest.mark.parametrize("name", ROWS)
def test_a_family_is_read_right_by_hand_or_refused_as_the_file_says(name, families):
    if name not in families:
        pytest.skip(f"{name} is no family of transformers {transformers.__version__}")
    verdict = judge(families[name])  # raises Wrong where a record is not true
    if SAME_VERSION:
        assert verdict._asdict() | {"steerable": list(verdict.steerable)} == ROWS[name]


def test_at_least_fifty_families_are_read_right_and_the_refused_are_told_why():
    read = [row for row in ROWS.values() if row["verdict"] == READ]
    refused = [row for row in ROWS.values() if row["verdict"] == REFUSED]
    assert len(read) >= 50 and len(read) + len(refused) == len(ROWS)
    assert sum(set(STEERED[:2]) <= set(row["steerable"]) for row in read) >= 50
    assert all(row["why"] and not row["steerable"] for row in refused)
    assert all(row["why"] for row in read if set(row["steerable"]) != set(STEERED))


@pytest.fixture(scope="module")
def true_record():
    model = tiny_model(transformers.MixtralForCausalLM)
    recorded(model, tiny_text())
    with experts_heard(model) as heard:
        trace = recorded(model, tiny_text())
        called = list(heard)
    return trace, called


def test_a_record_with_one_wrong_number_does_not_give_back_the_layer(true_record):
    trace, called = true_record
    assert trace.top_k == TOP_K and misfit(trace, called) < CLOSE
    another, lighter, later = trace.experts.copy(), trace.weights.copy(), trace.experts.copy()
    another[2, 5, 1] = next(expert for expert in range(EXPERTS) if expert not in another[2, 5])
    lighter[3, 7, 0] *= 0.9
    later[1] = np.roll(later[1], 1, axis=0)
    for wrong in (
        {"experts": another},
        {"weights": lighter},
        {"experts": later},
        {"weights": trace.weights[..., ::-1].copy()},
    ):
        assert misfit(replace(trace, **wrong), called) > 30 * CLOSE
    with pytest.raises(Wrong, match="the trace has 1 layers, but experts were called 4 times"):
        misfit(trace.select(layers=[0]), called)


@pytest.mark.parametrize("part", ["weights", "experts"])
def test_a_lens_that_misreads_is_caught_by_the_census(part, families, monkeypatch):
    right = ForeignRouter._ordered

    def misread(self, said, experts, weights):
        routing = right(self, said, experts, weights)
        return routing._replace(**{part: getattr(routing, part).roll(1, dims=1)})

    monkeypatch.setattr(ForeignRouter, "_ordered", misread)
    with pytest.raises(Wrong, match="by hand the record gives another output"):
        judge(families["mixtral"])


def test_a_knock_out_that_knocks_nothing_out_is_caught_by_the_census(families, monkeypatch):
    monkeypatch.setattr(readable, "knock_out", lambda model, experts: lambda layer, routing: routing)
    with pytest.raises(Wrong, match="used an expert that was knocked out"):
        judge(families["mixtral"])


def test_a_tiny_model_has_biases_and_scales_that_matter_and_no_token_of_a_picture():
    model = tiny_model(transformers.DeepseekV3ForCausalLM)
    biases = [part for name, part in model.state_dict().items() if name.endswith("e_score_correction_bias")]
    assert biases and all(part.std() > 0.05 for part in biases)
    again = tiny_model(transformers.DeepseekV3ForCausalLM)
    assert all(torch.equal(*both) for both in zip(model.parameters(), again.parameters(), strict=True))
    assert sum(part.numel() for part in model.parameters()) < 200_000
