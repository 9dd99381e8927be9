"""Model cards against what their publishers say and publish: each number names its source."""

import json
import re
from dataclasses import replace

import pytest
import torch
from config_json import CONFIG_JSON

from moe_lessons import ModelConfig, Transformer
from moe_lessons.accounting import cache_bytes, cache_bytes_per_token, count_parameters
from moe_lessons.cards import card_names
from moe_lessons.cli import main
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.cache import make_cache
from moe_lessons.published.cards import cost, count_card, evaluate, read_card
from moe_lessons.published.configurations import config_from_hugging_face, config_to_hugging_face

PUBLISHED = [name for name in card_names(later=True) if read_card(name).is_published]


def units(words: str) -> tuple[float, float]:
    """A publisher's number, such as "46.7B", and one unit of its last digit."""
    number, size = re.fullmatch(r"([\d.]+)([BT])", words).groups()
    scale = {"B": 1e9, "T": 1e12}[size]
    return float(number) * scale, scale / 10 ** len(number.partition(".")[2])


def test_every_published_card_is_compared_with_its_publisher():
    assert set(CONFIG_JSON) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_count_is_what_the_publisher_published(name):
    """`published_parameters`: what the publisher's safetensors add up to; `stated`: what a paper or model card says."""
    card, count = read_card(name), count_card(read_card(name))
    assert card.source.startswith("https://huggingface.co/")
    assert card.published_parameters or card.stated
    assert card.published_parameters in (None, count.total)
    for key, words in card.stated.items():
        if key != "source":
            # Publishers round up or down, so that a count may be off by less than one unit of the last digit.
            number, unit = units(words)
            assert abs(getattr(count, key) - number) < unit, (key, words, card.stated["source"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_hugging_face_builds_as_many_numbers_from_the_publishers_configuration(name):
    transformers = pytest.importorskip("transformers")
    kind, values = CONFIG_JSON[name]
    with torch.device("meta"):
        seeing = "ImageTextToText" if "vision_config" in values else "CausalLM"
        model = getattr(transformers, f"AutoModelFor{seeing}")
        theirs = model.from_config(getattr(transformers, kind)(**values))
    biases = sum(buffer.numel() for key, buffer in theirs.named_buffers() if key.endswith("correction_bias"))
    assert theirs.num_parameters() + biases == count_card(read_card(name)).total


@pytest.mark.parametrize("name", [name for name in PUBLISHED if not read_card(name).not_expressed])
def test_a_card_is_the_publishers_configuration_in_our_words(name):
    """Every entry that transformers reads, not only those that parameters depend on."""
    transformers = pytest.importorskip("transformers")
    kind, values = CONFIG_JSON[name]
    theirs = config_to_hugging_face(ModelConfig.from_card(name))
    assert type(theirs) is getattr(transformers, kind)
    assert {key: getattr(theirs, key) for key in values} == values
    assert config_from_hugging_face(theirs) == ModelConfig.from_card(name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_our_modules_hold_what_the_formula_counts(name):
    config = ModelConfig.from_card(name)
    assert count_parameters(Transformer(config, device="meta")) == count_parameters(config)


def test_deepseek_v3_is_the_model_of_the_news():
    count = count_parameters(ModelConfig.from_card("deepseek-v3"))
    assert count == (671_026_419_200, 37_552_297_472, 36_625_618_432)
    biases = 58 * 256
    assert count.total - biases == 671_026_404_352  # the parameters of transformers' model, where biases are buffers


def scales(rows: int, columns: int) -> int:
    """Numbers that scale the 128 x 128 blocks of a matrix in 8 bits (arXiv:2412.19437, section 3.3)."""
    return -(-rows // 128) * -(-columns // 128)


def block_scales(config: ModelConfig) -> int:
    """Scales of all 8-bit matrices: everything in a layer but its router and norms, as Hugging Face cuts them."""
    heads, moe, dim = config.attention, config.moe, config.dim
    attention = scales(heads.q_lora_rank, dim) + scales(heads.n_heads * heads.qk_head_dim, heads.q_lora_rank)
    attention += scales(heads.kv_lora_rank + heads.qk_rope_head_dim, dim)
    attention += scales(heads.n_heads * (heads.qk_nope_head_dim + heads.v_head_dim), heads.kv_lora_rank)
    attention += scales(dim, heads.n_heads * heads.v_head_dim)
    sparse = config.n_layers + config.mtp_depth - moe.n_dense_layers
    experts = (moe.n_routed_experts + moe.n_shared_experts) * 3 * scales(moe.hidden_dim, dim)
    dense = 3 * scales(config.hidden_dim, dim)
    return (sparse + moe.n_dense_layers) * attention + sparse * experts + moe.n_dense_layers * dense


def test_every_number_in_deepseek_v3s_files_is_accounted_for():
    """https://huggingface.co/deepseek-ai/DeepSeek-V3 (safetensors): 684,531,386,000 numbers.

    They are the model, its multi-token module, that module's copies of embedding and head, and the blocks' scales.
    """
    config = replace(ModelConfig.from_card("deepseek-v3"), mtp_depth=1)
    copies = 2 * config.vocab_size * config.dim
    assert count_parameters(config).total + copies + block_scales(config) == 684_531_386_000


def test_multi_token_prediction_adds_eleven_and_a_half_billion():
    """https://github.com/deepseek-ai/DeepSeek-V3 (README_WEIGHTS.md): "11.5B unique parameters", the layer alone."""
    config = ModelConfig.from_card("deepseek-v3")
    plain, with_module = count_parameters(config), count_parameters(replace(config, mtp_depth=1))
    added = with_module.total - plain.total
    joining = 2 * 7168 * 7168 + 3 * 7168  # the projection and its norms
    assert added == 11_610_068_224
    assert added - joining == 11_507_286_272
    assert with_module.active == plain.active


@pytest.mark.parametrize("name", card_names(later=True))
def test_the_cache_grows_by_the_bytes_that_are_counted(name):
    config = ModelConfig.from_card(name)
    cache = make_cache(config, 1, 8, device="meta", dtype=torch.bfloat16)
    # Where entries stand for many tokens, there is room for those that wait for one, which does not grow.
    per_token = not isinstance(config.attention, SharedKVAttentionConfig)
    assert cache.bytes == (8 * cache_bytes_per_token(config) if per_token else cache_bytes(config, 8))


def test_a_latent_is_kept_instead_of_keys_and_values():
    """Numbers kept of a token, by hand (arXiv:2405.04434, table 1): 2 n_kv_heads head_dim, or 512 + 64, a layer."""
    for name, numbers in (("llama-2-7b", 32 * 2 * 32 * 128), ("qwen3-30b-a3b", 48 * 2 * 4 * 128)):
        assert cache_bytes_per_token(ModelConfig.from_card(name), bytes_per_number=1) == numbers
    for name, layers in (("deepseek-v2-lite", 27), ("deepseek-v3", 61), ("kimi-k2", 61)):
        assert cache_bytes_per_token(ModelConfig.from_card(name), bytes_per_number=1) == layers * (512 + 64)


def test_a_formula_of_a_card_knows_sizes_and_what_is_made_of_them_alone():
    config = ModelConfig.from_card("course-moe")
    assert evaluate("n_layers * (2 + moe.top_k) * dim + 1", config) == 4 * 4 * 128 + 1
    assert evaluate("(n_layers - 1) * context", config, 7) == 21
    for formula in (
        "n_layers / 2",
        "context",
        "-1",
        "__import__('os')",
        "config.name",
        "moe.experts",
        "dim ** 2",
        "1.5",
    ):
        with pytest.raises(ValueError, match="is no size of the model"):
            evaluate(formula, config)


def test_one_card_is_counted_as_json(capsys):
    assert main(["count", "gpt-oss-20b", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    card = read_card("gpt-oss-20b")
    assert result["total"] == 20_914_757_184
    assert result["active_without_embedding"] == count_card(card).active_without_embedding
    assert result["cache_bytes_per_token"] == 24 * 2 * 8 * 64 * 2
    assert result["context"] == 4096
    assert result["not_expressed"] == list(card.not_expressed)


def test_all_cards_are_counted_in_one_table(capsys):
    assert main(["count", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = {line.split()[0].rstrip("*"): line for line in lines[1:] if line and line[0].islower()}
    assert set(named) == set(card_names(later=True))
    for name, line in named.items():
        of = cost(read_card(name))
        shown = [*of[:3], of.cache_bytes, of.next_token_flops]
        assert [int(cell.replace(",", "")) for cell in line.split()[1:]] == shown
        assert len(line) <= 110
        assert ("*" in line) == bool(read_card(name).not_expressed)
    assert main(["count", "--all", "--json", "--context", "1000"]) == 0
    assert json.loads(capsys.readouterr().out)["course-moe"]["context"] == 256  # as many as it reads


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gpt-5"], ["no model card 'gpt-5'", "deepseek-v3"]),
        (["../claims"], ["no model card '../claims'", "deepseek-v3"]),
        ([], ["one card or --all", "kimi-k2"]),
        (["kimi-k2", "--all"], ["one card or --all"]),
        (["kimi-k2", "--context", "0"], ["context is 0", "at least 1"]),
    ],
)
def test_bad_input_is_answered_in_one_sentence(arguments, words, capsys):
    assert main(["count", *arguments]) == 1
    said = capsys.readouterr().err
    assert all(word in said for word in words), said
    assert said.count("\n") == 1
