"""Reading single experts: the same numbers as safetensors', and one sentence for every file that is not what it was."""

import os
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from small import SPARSE, small_model

from moe_lessons.offload import ExpertFile
from moe_lessons.training.checkpoint import save_checkpoint

STACK = "blocks.1.feed_forward.experts.down"


@pytest.fixture
def path(tmp_path):
    return save_checkpoint(tmp_path / "small", small_model(moe=SPARSE), dtype=torch.bfloat16)


def test_each_tensor_and_each_row_is_what_safetensors_reads(path):
    file, whole = ExpertFile(path), load_file(path)
    assert set(file.places) == set(whole)
    for name, tensor in whole.items():
        assert torch.equal(file.read(name), tensor)
    for expert, row in enumerate(whole[STACK]):
        before = file.bytes_read
        assert torch.equal(file.read(STACK, expert), row)
        assert file.bytes_read - before == row.nbytes


@pytest.mark.parametrize("row", [-1, SPARSE.n_routed_experts])
def test_a_row_that_is_not_there_is_refused_and_not_read_from_the_neighbor(path, row):
    with pytest.raises(ValueError, match=f"row is {row}, but {STACK} has {SPARSE.n_routed_experts} rows"):
        ExpertFile(path).read(STACK, row)


def test_it_knows_the_models_sizes(path):
    assert ExpertFile(path).config() == small_model(moe=SPARSE).config


def test_a_file_that_loses_its_end_while_in_use_says_so_and_can_be_put_back(path):
    file, content = ExpertFile(path), path.read_bytes()
    wanted = file.read(STACK, 3)
    os.truncate(path, len(content) // 2)
    with pytest.raises(OSError, match=r"expert 3 could not be read from .*small\.safetensors \(the file has changed"):
        file.read(STACK, 3, "expert 3")
    with pytest.raises(ValueError, match="but its header promises"):
        file.reopen()
    path.write_bytes(content)
    with pytest.raises(OSError, match=re.escape("put the file back and call reopen()")):
        file.read(STACK, 3)  # nobody has said that it is the same one
    file.reopen()
    assert torch.equal(file.read(STACK, 3), wanted)


def test_a_file_that_ends_early_with_its_old_date_says_where(path):
    file, before = ExpertFile(path), path.stat()
    file._state = (before.st_size - 5, before.st_mtime_ns)
    os.truncate(path, before.st_size - 5)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    last = max(file.places, key=lambda name: file.places[name].start)
    with pytest.raises(OSError, match="the file ends after"):
        file.read(last)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps an open file from being deleted or replaced")
def test_a_file_that_vanishes_or_is_replaced_by_another_is_read_on(path):
    file = ExpertFile(path)
    wanted = file.read(STACK, 0)
    save_checkpoint(path, small_model(seed=1, moe=SPARSE), dtype=torch.bfloat16)  # written whole, then renamed
    assert torch.equal(file.read(STACK, 0), wanted)
    path.unlink()
    assert torch.equal(file.read(STACK, 0), wanted)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at"):
        file.reopen()
    assert torch.equal(file.read(STACK, 0), wanted)


def test_a_file_that_is_written_over_is_not_read_as_if_it_were_the_same(path):
    file = ExpertFile(path)
    content = bytearray(path.read_bytes())
    content[-4:] = b"\1\2\3\4"
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))  # also where the clock is too coarse to tell
    with pytest.raises(OSError, match="has changed since it was opened"):
        file.read(STACK, 0)


def test_reopening_refuses_another_models_file(path):
    file = ExpertFile(path)
    save_checkpoint(path, small_model(moe=SPARSE, n_layers=3), dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="holds other tensors than before"):
        file.reopen()


def test_a_closed_file_says_so(path):
    file = ExpertFile(path)
    file.close()
    with pytest.raises(OSError, match="could not be read"):
        file.read(STACK, 0)
    file.reopen()
    file.read(STACK, 0)


def test_what_is_missing_damaged_or_foreign_is_refused_in_one_sentence(tmp_path, path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at"):
        ExpertFile(tmp_path / "none.safetensors")
    headers = (b"{" * 40, b"[]", b'{"__metadata__": 1}')
    for content in (b"", b"nothing at all here", *(len(each).to_bytes(8, "little") + each for each in headers)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is damaged or not a safetensors file"):
            ExpertFile(path)
    for entry in ('{"dtype": "I32", "shape": [4], "data_offsets": [0, 16]}', '{"dtype": "F32"}', "[1]",
                  '{"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]}'):  # fmt: skip
        header = f'{{"a": {entry}}}'.encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
        with pytest.raises(ValueError, match="has a header that cannot be followed"):
            ExpertFile(path)
    for config in ({}, {"config": "{"}):
        save_file({"a": torch.zeros(2)}, path, {"format": "moe-lessons-1", **config})
        with pytest.raises(ValueError, match="does not say what model it holds"):
            ExpertFile(path).config()
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of moe-lessons"):
        ExpertFile(path).config()
