"""Evaluation, against a slow and independent calculation."""

import math

import numpy as np
import pytest
import torch
from tiny_run import TOKENIZER, corpus, model

from moe_lessons.training import evaluate, mean_nats_per_byte


def test_each_document_costs_its_own_tokens_and_the_mark_that_ends_it():
    own, text = model(seed=5), corpus()
    result = evaluate(own, text, seq_len=32)
    # slow: one document after another, each token's cost from a pass of its own over the same windows
    ids = np.append(text.valid.ids, TOKENIZER.document_id).astype(np.int64)
    expected = dict.fromkeys(text.domains, 0.0)
    for document in range(len(text.valid.document_domains)):
        first, last = text.valid.starts[document], text.valid.starts[document + 1]
        name = text.domains[text.valid.document_domains[document]]
        for target in range(first + 1, last + 1):  # every token after the opening mark, then the next mark
            start = 0 if target <= 32 else (target - 32 - 1) // 16 * 16 + 16
            with torch.inference_mode():
                logits = own(torch.from_numpy(ids[start:target])[None])[0, -1]
            expected[name] -= float(logits.log_softmax(-1)[ids[target]])
    for index, name in enumerate(text.domains):
        mine = text.valid.document_domains == index
        assert result[name].nats == pytest.approx(expected[name], rel=1e-4)
        assert result[name].tokens == (text.valid.labels == index).sum()
        assert result[name].bytes == text.valid.document_bytes[mine].sum()
    assert result["german"].floor_nats == pytest.approx(3.0 * (text.valid.document_domains == 0).sum())
    assert math.isnan(result["sums"].floor_nats)
    total = sum(expected.values()) / text.valid.document_bytes.sum()
    assert mean_nats_per_byte(result) == pytest.approx(total, rel=1e-4)


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_vocabulary():
    own = model()
    own.norm.weight.data.zero_()  # all logits are 0
    for evaluation in evaluate(own, corpus()).values():
        assert evaluation.nats_per_token == pytest.approx(math.log(257), rel=1e-5)
        assert evaluation.bits_per_byte == pytest.approx(
            math.log2(257) * evaluation.tokens / evaluation.bytes, rel=1e-5
        )


def test_a_token_limit_takes_whole_documents_from_the_front():
    text = corpus()
    few = evaluate(model(), text, max_tokens=int(text.valid.starts[2]))
    assert sum(e.tokens for e in few.values()) == text.valid.starts[2]


def test_evaluation_depends_neither_on_the_batch_size_nor_on_the_mode_it_leaves_alone():
    own = model().train()
    one, many = (evaluate(own, corpus(), batch_size=size) for size in (1, 16))
    assert own.training
    for name in one:
        assert one[name].nats == pytest.approx(many[name].nats, rel=1e-5)
