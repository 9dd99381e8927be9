"""One token behind a million others, part by part, beside the whole and beside sums written out."""

from dataclasses import replace

import pytest
from small_shared_kv import MODEL

from moe_lessons import ModelConfig
from moe_lessons.accounting import continuation_flops
from moe_lessons.accounting.long_context import equivalent_flops, kept_bytes, written_products

MILLION = 2**20
V32 = ModelConfig.from_card("deepseek-v3.2")
V32 = replace(V32, max_length=MILLION)
PRO, FLASH = (ModelConfig.from_card(f"deepseek-v4-{name}") for name in ("pro", "flash"))


@pytest.mark.parametrize("config", [V32, PRO, FLASH, MODEL, ModelConfig.from_card("deepseek-v3")])
@pytest.mark.parametrize("length", [100, 5_000, 100_000])
def test_the_parts_add_up_to_the_flops_of_a_written_token(config, length):
    config = replace(config, max_length=MILLION)
    products = written_products(config, length)
    assert min(products.values()) >= 0
    assert 2 * sum(products.values()) == continuation_flops(config, 1, 1, length - 1)
    assert equivalent_flops(products, {}) == 2 * sum(products.values())


def test_the_parts_of_deepseek_v4_pro_are_those_of_a_count_by_hand():
    products = written_products(PRO, MILLION)
    assert products["indexer"] == 30 * 64 * (128 + 1) * MILLION // 4
    seen = 30 * (128 + 1024) + 31 * (128 + MILLION // 128)
    assert products["attention"] == 2 * 128 * 512 * seen
    assert products["output, first step"] == 61 * 16 * (8 * 512) * 1024
    assert products["pooling"] == 30 * 7168 * 2 * 2 * (512 + 128) + 31 * 7168 * 2 * 512
    assert products["routers"] == 61 * 7168 * 384


def test_the_parts_of_deepseek_v32_are_those_of_a_count_by_hand():
    products = written_products(V32, MILLION)
    assert products["indexer"] == 61 * 64 * (128 + 1) * MILLION
    assert products["attention"] == 61 * 128 * (2 * 512 + 64) * 2048
    assert products["routers"] == 58 * 7168 * 256
    assert products["unpacking"] == 61 * 128 * 512 * 256


def test_the_figure_of_the_report_comes_out_of_the_formats_of_serving():
    """arXiv:2606.19348, figure 1: 9.5 times smaller, and 13.7 times for Flash."""
    before = kept_bytes(V32, MILLION)
    assert before == 61 * MILLION * (512 + 16 + 128 + 128 + 4)
    assert round(before / kept_bytes(PRO, MILLION), 1) == 9.5
    assert round(before / kept_bytes(FLASH, MILLION), 1) == 13.7
    by_hand = 61 * 128 * 584 + 30 * MILLION // 4 * (584 + 64 + 4) + 31 * MILLION // 128 * 584
    assert kept_bytes(PRO, MILLION) == by_hand


def test_the_arithmetic_of_the_report_comes_out_within_a_point_where_bits_count():
    """arXiv:2606.19348, section 1: 27% and, for Flash, 10%, in equivalent FP8 FLOPs."""
    before = equivalent_flops(written_products(V32, MILLION), {"attention": 16})
    for config, stated in ((PRO, 0.27), (FLASH, 0.10)):
        found = equivalent_flops(written_products(config, MILLION), {"attention": 16, "indexer": 4})
        assert found / before == pytest.approx(stated, abs=0.01)


def test_other_attention_has_no_such_format():
    with pytest.raises(ValueError, match="keeps keys and values of heads"):
        kept_bytes(ModelConfig.from_card("course-moe"), 100)
