import warnings
from pathlib import Path

import numpy as np
import pytest

from moe_lessons.text import corpus as corpus_module
from moe_lessons.text.corpus import DOMAINS, course_corpus
from moe_lessons.text.grammars import GRAMMARS
from moe_lessons.text.own_text import text_corpus
from moe_lessons.text.tokenizer import Tokenizer

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def small():
    return course_corpus(size_mb=0.05, progress=False, cache=False)


def documents(corpus, split):
    for d in range(split.n_documents):
        ids = split.ids[split.starts[d] : split.starts[d + 1]]
        yield d, ids, corpus.tokenizer.decode(ids[1:])


def equal(a, b):
    return all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f") and x.dtype == y.dtype for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("side", ["train", "valid"])
def test_every_document_begins_with_the_document_token_and_has_it_nowhere_else(small, side):
    split = getattr(small, side)
    assert (split.ids[split.starts[:-1]] == small.tokenizer.document_id).all()
    assert (split.ids == small.tokenizer.document_id).sum() == split.n_documents
    assert split.starts[0] == 0 and split.starts[-1] == len(split.ids) == len(split.labels)


@pytest.mark.parametrize("side", ["train", "valid"])
def test_bytes_labels_and_floors_belong_to_their_documents(small, side):
    split = getattr(small, side)
    for d, ids, text in documents(small, split):
        domain = small.domains[split.document_domains[d]]
        assert split.document_bytes[d] == len(text.encode())
        assert (split.labels[split.starts[d] : split.starts[d + 1]] == split.document_domains[d]).all()
        if domain in GRAMMARS:
            assert GRAMMARS[domain].log_prob(text) == pytest.approx(split.document_log_prob[d], abs=1e-6)
        else:
            assert np.isnan(split.document_log_prob[d])
        assert list(ids[1:]) == small.tokenizer.encode(text)


def test_the_domains_have_the_same_number_of_tokens(small):
    assert small.domains == DOMAINS
    counts = np.bincount(small.train.labels)
    assert counts.min() > 0.9 * counts.max()


def test_documents_of_the_domains_are_mixed(small):
    first = small.train.document_domains[:40]
    assert len(set(first.tolist())) >= 4


def test_a_document_for_validation_is_not_in_training(small):
    train = {text for _, _, text in documents(small, small.train)}
    both = [text for _, _, text in documents(small, small.valid) if text in train]
    assert both == []


def test_building_twice_gives_the_same_bytes_and_another_seed_others(small, cache):
    again = course_corpus(size_mb=0.05, progress=False)
    first_files = {p.name: p.read_bytes() for p in cache.rglob("*") if p.is_file()}
    assert equal(small.train, again.train) and equal(small.valid, again.valid)
    for path in list(cache.rglob("*.*")):
        path.unlink()
    course_corpus(size_mb=0.05, progress=False)
    assert {p.name: p.read_bytes() for p in cache.rglob("*") if p.is_file()} == first_files
    other = course_corpus(size_mb=0.05, seed=1, progress=False, cache=False)
    assert other.fingerprint != small.fingerprint and not equal(other.train, small.train)


def test_a_kept_corpus_is_read_and_not_built(small, monkeypatch):
    monkeypatch.setattr(corpus_module, "_build", lambda *arguments: small)
    course_corpus(size_mb=0.05, progress=False)
    monkeypatch.setattr(corpus_module, "_build", None)
    kept = course_corpus(size_mb=0.05, progress=False)
    assert equal(kept.train, small.train) and equal(kept.valid, small.valid)
    assert kept.domains == small.domains and kept.fingerprint == small.fingerprint


@pytest.fixture
def quick(small, monkeypatch):
    """Building is not what these tests are about."""
    monkeypatch.setattr(corpus_module, "_build", lambda *arguments: small)
    return small


@pytest.mark.parametrize("damage", ["truncate", "flip", "card", "no card"])
def test_a_damaged_cache_is_named_and_built_again(quick, cache, damage):
    course_corpus(size_mb=0.05, progress=False)
    [path] = cache.rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[-5] ^= 1
        path.write_bytes(content)
    elif damage == "card":
        path.with_suffix(".json").write_text("{", encoding="utf-8")
    else:
        path.with_suffix(".json").unlink()
    with pytest.warns(UserWarning, match=r"the kept corpus .* is damaged"):
        again = course_corpus(size_mb=0.05, progress=False)
    assert equal(again.train, quick.train)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        course_corpus(size_mb=0.05, progress=False)


def test_a_cache_that_cannot_be_written_costs_a_warning_and_nothing_else(quick, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "file" / "below"))
    with pytest.warns(UserWarning, match=r"could not be kept in .* set MOE_LESSONS_CACHE"):
        assert equal(course_corpus(size_mb=0.05, progress=False).train, quick.train)


def test_a_full_disk_costs_a_warning_and_leaves_no_half_file(quick, cache, monkeypatch):
    def fill_the_disk(path, content):
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert equal(course_corpus(size_mb=0.05, progress=False).train, quick.train)
    assert [p for p in cache.rglob("*") if p.is_file()] == []


def test_a_corpus_whose_writer_was_stopped_between_its_files_is_not_called_damaged(quick, cache, monkeypatch):
    replace, targets = Path.replace, []

    def stop_at_the_second(scratch, target):
        targets.append(target.suffix)
        if len(targets) == 2:
            raise KeyboardInterrupt
        return replace(scratch, target)

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(Path, "replace", stop_at_the_second)
        course_corpus(size_mb=0.05, progress=False)
    assert targets == [".json", ".safetensors"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert equal(course_corpus(size_mb=0.05, progress=False).train, quick.train)


def test_a_missing_source_leaves_the_other_domains(monkeypatch):
    from moe_lessons.text import sources

    monkeypatch.setitem(sources._READERS, "cpp", (list, *sources._READERS["cpp"][1:]))
    with pytest.warns(UserWarning, match="goes on without the domain 'cpp'"):
        corpus = course_corpus(size_mb=0.02, progress=False, cache=False)
    assert corpus.domains == DOMAINS[:-1]
    assert set(corpus.train.labels.tolist()) == set(range(6))


@pytest.mark.parametrize("size_mb", [0, -1, 1000, float("nan")])
def test_a_size_without_sense_is_refused(size_mb):
    with pytest.raises(ValueError, match="size_mb is .* choose a size"):
        course_corpus(size_mb=size_mb)


WORDS = "Über den Fluß führt 1 Brücke, dahinter 🙂 liegt ein Dorf.\n"


def test_a_text_is_cut_at_nine_tenths_and_nothing_is_lost(tmp_path):
    content = (WORDS * 200).encode()
    for extra in range(4):  # the cut falls on every byte of some character
        path = tmp_path / f"{extra}.txt"
        path.write_bytes(content + b"x" * extra)
        corpus = text_corpus(path, vocab_size=300)
        [train] = [text for _, _, text in documents(corpus, corpus.train)]
        [valid] = [text for _, _, text in documents(corpus, corpus.valid)]
        assert (train + valid).encode() == path.read_bytes()
        assert 0 <= path.stat().st_size * 9 // 10 - len(train.encode()) < 4
        assert corpus.domains == ("text",) and np.isnan(corpus.valid.document_log_prob).all()


def test_the_tokenizer_of_a_text_learns_from_its_first_nine_tenths_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abc def " * 900 + "zyxw " * 150, encoding="utf-8")
    assert len("zyxw " * 150) < 0.1 * path.stat().st_size
    corpus = text_corpus(path, vocab_size=400)
    expected = Tokenizer.train([path.read_bytes()[: path.stat().st_size * 9 // 10].decode()], 400)
    assert corpus.tokenizer.fingerprint == expected.fingerprint
    assert not any(b"zy" in corpus.tokenizer.piece_bytes(i) for i in range(corpus.tokenizer.vocab_size))


def test_a_folder_is_its_text_files_in_order(tmp_path):
    for name, char in (("b", "b"), ("a", "a"), ("c", "c")):
        (tmp_path / f"{name}.txt").write_text(f"{char}{char} " * 500, encoding="utf-8")
    (tmp_path / "notes.md").write_text("not this", encoding="utf-8")
    corpus = text_corpus(tmp_path, vocab_size=300)
    train = [text for _, _, text in documents(corpus, corpus.train)]
    valid = [text for _, _, text in documents(corpus, corpus.valid)]
    assert [text[0] for text in train] == ["a", "b", "c"]
    assert "".join(train + valid) == "aa " * 500 + "bb " * 500 + "cc " * 500
    assert sum(map(len, train)) == 4050


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty, but a model needs at least 2,000 bytes"),
        (b"short", "has only 5 bytes, but a model needs at least 2,000 bytes"),
        (b"a" * 5000 + b"\x00" + b"b" * 100, "is binary, not text: byte 5000 is zero"),
        ("ü".encode("latin-1").join([b"a" * 3000, b"b" * 3000]), "is not UTF-8: byte 3000 is 0xfc"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        text_corpus(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_text_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no text at"):
        text_corpus(tmp_path / "none.txt")
    with pytest.raises(FileNotFoundError, match=r"has no \*\.txt files"):
        text_corpus(tmp_path)
