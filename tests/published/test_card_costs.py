"""What published models cost at the lengths that their makers name, counted by hand beside the cards' formulas."""

import json
from dataclasses import replace

import pytest

from moe_lessons.accounting import cache_bytes, continuation_flops, count_parameters, forward_flops
from moe_lessons.accounting.parameters import layer_table, parameter_table
from moe_lessons.cards import card_names
from moe_lessons.cli import main
from moe_lessons.published.cards import cost, count_card, evaluate, in_words, kept_by, read_card, stored_bytes

LENGTHS = (4096, 131_072, 1_048_576)
PUBLISHED = [name for name in card_names(later=True) if read_card(name).is_published]


@pytest.mark.parametrize("name", [name for name in PUBLISHED if not read_card(name).extra])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_card_without_formulas_costs_what_its_configuration_does(name, length):
    config = read_card(name).config
    length = min(length, config.max_length)
    found = cost(read_card(name), length)
    assert found.context == length
    assert found.cache_bytes == cache_bytes(config, length)
    assert found.flops_per_token == forward_flops(config, 1, length) // length
    assert found.next_token_flops == continuation_flops(config, 1, 1, length - 1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_curve_over_lengths_is_the_cache_that_is_counted(name):
    card = read_card(name)
    for length in LENGTHS:
        length = min(length, card.config.max_length)
        assert 2 * kept_by(card).at(length) == cost(card, length).cache_bytes


def test_precision_is_told_from_the_fewest_bits_on():
    assert in_words({"rest": 16}) == "16 bits a number"
    bits = {"attention": 8, "experts": 4.25, "shared_experts": 8, "rest": 16}
    assert in_words(bits) == "4.25 bits: experts; 8 bits: attention, shared experts; 16 bits: rest"


@pytest.mark.parametrize("length", [4096, 131_072, 262_144])
def test_qwen3_next_keeps_twelve_layers_of_keys_and_thirty_six_states(length):
    """Sizes: https://huggingface.co/Qwen/Qwen3-Next-80B-A3B-Instruct (config.json)."""
    keys_and_values = 12 * 2 * 2 * 256
    states = 36 * (32 * 128 * 128 + (2 * 16 * 128 + 32 * 128) * (4 - 1))  # and what the convolution looks back on
    found = cost(read_card("qwen3-next-80b-a3b"), length)
    assert found.cache_bytes == 2 * (length * keys_and_values + states)
    assert found.cache_bytes_per_token == 2 * keys_and_values
    scores = 12 * 2 * 16 * 256  # of each token that is looked at, and its value's share
    shorter = cost(read_card("qwen3-next-80b-a3b"), length // 2)
    assert found.next_token_flops - shorter.next_token_flops == 2 * (length - length // 2) * scores


def test_qwen3_nexts_products_are_its_matrices_at_work():
    """All parameters at work multiply once, but for what is added, scaled or looked up; states come on top."""
    card = read_card("qwen3-next-80b-a3b")
    gains = 48 * 2 * 2048 + 2048 + 12 * 2 * 256 + 36 * (128 + 2 * 32)
    products = count_card(card).active_without_embedding - gains + 36 * 3 * 32 * 128 * 128
    assert cost(card, 1).next_token_flops == 2 * (products + 12 * 2 * 16 * 256)


@pytest.mark.parametrize("length", [512, 4096, 131_072, 262_144])
def test_gemma_4_keeps_windows_and_five_layers_of_wide_keys(length):
    """Sizes: https://huggingface.co/google/gemma-4-26B-A4B-it (config.json)."""
    windowed, full = min(length, 1024) * 2 * 8 * 256, length * 2 * 2 * 512
    found = cost(read_card("gemma-4-26b-a4b"), length)
    assert found.cache_bytes == 2 * (25 * windowed + 5 * full)
    scores = 25 * 2 * 16 * 256 * min(length, 1024) + 5 * 2 * 16 * 512 * length
    matrices = 25 * 2816 * (2 * 16 * 256 + 2 * 8 * 256) + 5 * 2816 * (2 * 16 * 512 + 2 * 512)
    matrices += 30 * (2816 * 128 + 3 * 2816 * (2112 + 8 * 704)) + 262_144 * 2816
    assert found.next_token_flops == 2 * (matrices + scores)


def test_scouts_chunks_cost_no_more_than_a_window_of_their_width():
    found = cost(read_card("llama-4-scout"), LENGTHS[2])
    assert found.cache_bytes == 2 * 2 * 8 * 128 * (36 * 8192 + 12 * LENGTHS[2])


def test_a_million_tokens_cost_deepseek_v4_pro_little_beside_deepseek_v3():
    """arXiv:2606.19348, abstract: 27% of DeepSeek-V3.2's FLOPs at a million tokens; ours reads 163,840 at most."""
    v32, pro = read_card("deepseek-v3.2"), read_card("deepseek-v4-pro")
    longer = v32._replace(config=replace(v32.config, max_length=LENGTHS[2]))
    share = cost(pro, LENGTHS[2]).next_token_flops / cost(longer, LENGTHS[2]).next_token_flops
    assert share == pytest.approx(0.27, abs=0.015)
    assert cost(v32, LENGTHS[2]).context == 163_840


# What lies in the publisher's files beside the model: https://huggingface.co, "total" of each model's safetensors.
IN_FILES = {"qwen3-next-80b-a3b": 81_324_862_720, "glm-4.5": 358_337_791_296, "deepseek-v3.2": 685_355_329_792}


@pytest.mark.parametrize("name", IN_FILES)
def test_every_number_in_the_files_is_accounted_for(name):
    """The model and its multi-token module; and, where that has them, its copies of embedding and head."""
    card = read_card(name)
    config, dim = card.config, card.config.dim
    if name == "qwen3-next-80b-a3b":  # a layer that attends, with its gates; both ends are the model's own
        gates, copies = dim * 16 * 256 + dim, 0
    else:
        gates, copies = (96 + 2 * 8) * 128 if name == "glm-4.5" else 0, 2 * config.vocab_size * dim
    layer = sum(part.total for part in layer_table(config, config.n_layers)) + gates
    module = layer + 3 * dim + 2 * dim * dim
    assert count_card(card).total + module + copies == IN_FILES[name]
    if name == "glm-4.5":  # arXiv:2508.06471, table 1: 355B with that module, without embedding and output matrix
        assert round((count_card(card).total + module - copies) / 1e9) == 355


def test_gpt_oss_takes_as_many_bytes_as_its_makers_say():
    """arXiv:2508.10925, table 1: checkpoints of 12.8 and 60.8 GiB."""
    for name, gib in (("gpt-oss-20b", 12.8), ("gpt-oss-120b", 60.8)):
        assert cost(read_card(name)).weight_bytes / 2**30 == pytest.approx(gib, abs=0.05)


def test_deepseek_v4_takes_four_bits_for_most_and_eight_for_the_rest():
    """https://huggingface.co/deepseek-ai/DeepSeek-V4-Flash (model card): FP4 for experts, FP8 for most others."""
    flash = read_card("deepseek-v4-flash")
    experts = 43 * 256 * 3 * 4096 * 2048
    other = count_card(flash).total - experts
    assert experts * 4.25 / 8 + other < stored_bytes(flash) < experts * 4.25 / 8 + 2 * other


@pytest.mark.parametrize("name", PUBLISHED)
def test_stored_bits_name_parts_of_the_model(name):
    card = read_card(name)
    if not card.stored_bits:
        assert stored_bytes(card) is None
        return
    parts = {part.name for part in parameter_table(card.config)}
    assert set(card.stored_bits) - {"rest"} <= parts
    assert all(bits in (4.25, 8, 16) for bits in card.stored_bits.values())
    assert stored_bytes(card._replace(stored_bits={"rest": 16})) == 2 * count_card(card).total
    assert stored_bytes(card) <= 2 * count_card(card).total


def test_a_formula_that_takes_away_leaves_the_other_layers_alone():
    card = read_card("qwen3-next-80b-a3b")
    assert count_card(card._replace(extra=())) == count_parameters(card.config)
    [away] = [extra for extra in card.extra if extra.total.startswith("0 -")]
    parts = {part.name: part.total for part in layer_table(card.config, 0)}
    assert evaluate(away.total, card.config) == -36 * (parts["attention"] + parts["norms"] - 2 * 2048)
    assert 2 * evaluate(away.cache, card.config, 1000) == -36 * cache_bytes(card.config, 1000) // 48


def test_one_card_is_shown_at_three_lengths_or_as_many_as_it_reads(capsys):
    for name, lengths in (("deepseek-v4-pro", LENGTHS), ("kimi-k2", LENGTHS[:2]), ("course-moe", (256,))):
        assert main(["count", name]) == 0
        lines = capsys.readouterr().out.splitlines()
        [shown] = [line.split()[3:] for line in lines if line.startswith("looking back on")]
        assert [int(cell.replace(",", "")) for cell in shown] == list(lengths)
        costs = [cost(read_card(name), length) for length in lengths]
        [cache] = [line.split()[2:] for line in lines if line.startswith("cache bytes   ")]
        assert [int(cell.replace(",", "")) for cell in cache] == [of.cache_bytes for of in costs]
        [written] = [line.split()[4:] for line in lines if line.startswith("FLOPs per token written")]
        assert [int(cell.replace(",", "")) for cell in written] == [of.next_token_flops for of in costs]


def test_one_length_can_be_asked_for(capsys):
    assert main(["count", "kimi-k2", "--context", "1000"]) == 0
    assert "looking back on                            1,000\n" in capsys.readouterr().out
    assert main(["count", "kimi-k2", "--context", "1000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cache_bytes"] == 1000 * 61 * 576 * 2


def test_the_precision_of_what_is_stored_is_said_in_words(capsys):
    for name, words in (
        ("gpt-oss-20b", "stored in 4.25 bits: experts; 16 bits: rest\n"),
        ("mixtral-8x7b", "stored in 16 bits a number\n"),
        ("course-moe", "not stated"),
    ):
        assert main(["count", name]) == 0
        assert words in capsys.readouterr().out
