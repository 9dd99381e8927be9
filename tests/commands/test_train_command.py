"""`moe-lessons train` from the shell: one JSON object, one sentence for bad input, nothing lost on Ctrl-C."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moe_lessons import cli
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.training import evaluate, load_checkpoint, mean_nats_per_byte

VERSE = "the king and his fool went over a hill to see what the sea had brought; nobody knew why it sang"


@pytest.fixture
def verse(tmp_path: Path) -> Path:
    rng = random.Random(0)
    lines = [" ".join(rng.choices(VERSE.split(), k=7)).capitalize() for _ in range(1500)]
    path = tmp_path / "verse.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def result_of(capsys) -> dict:
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    return json.loads(out)


@pytest.mark.parametrize("kind", ["dense", "moe"])
def test_a_text_gives_one_json_object_with_what_was_promised(verse, capsys, kind):
    assert cli.main(["train", "--text", str(verse), "--steps", "4", "--model", kind, "--json"]) == 0
    result = result_of(capsys)
    assert result["nats_per_byte"] < math.log(256)
    assert result["bits_per_byte"] == pytest.approx(result["nats_per_byte"] / math.log(2))
    assert result["steps"] == 4
    assert result["tokens"] == 4 * 8 * 128
    assert (result["parameters_total"] > result["parameters_active"]) == (kind == "moe")
    assert result["seconds"] > 0
    assert result["interrupted"] is False
    assert list(result["domains"]) == ["text"]


def test_the_same_command_gives_the_same_number(verse, capsys):
    numbers = []
    for _ in range(2):
        cli.main(["train", "--text", str(verse), "--steps", "2", "--model", "dense", "--seed", "5", "--json"])
        numbers.append(result_of(capsys)["nats_per_byte"])
    assert numbers[0] == numbers[1]


def test_seconds_end_the_run(verse, capsys):
    assert cli.main(["train", "--text", str(verse), "--seconds", "1", "--model", "dense", "--json"]) == 0
    assert 1 <= result_of(capsys)["seconds"] < 10


def test_a_kept_model_has_its_tokenizer_and_notes_and_gives_the_printed_number(verse, tmp_path, capsys):
    from moe_lessons.text.own_text import text_corpus

    out = tmp_path / "runs" / "mine"
    cli.main(["train", "--text", str(verse), "--steps", "3", "--out", str(out), "--json"])
    result = result_of(capsys)
    model, notes = load_checkpoint(out.with_suffix(".safetensors"))
    assert notes["result"] == result
    assert notes["command"] == f"moe-lessons train --model moe --text {verse} --steps 3 --seed 0"
    corpus = text_corpus(verse, vocab_size=1024)
    assert Tokenizer.load(out.with_suffix(".tokenizer.json")).fingerprint == corpus.tokenizer.fingerprint
    assert mean_nats_per_byte(evaluate(model, corpus, seq_len=128)) == pytest.approx(result["nats_per_byte"], rel=1e-5)


def test_without_json_the_result_is_for_people(verse, capsys):
    cli.main(["train", "--text", str(verse), "--steps", "1", "--model", "dense"])
    assert "nats a byte" in capsys.readouterr().out


def test_the_courses_corpus_is_the_default_and_its_floors_are_given(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path))
    assert cli.main(["train", "--steps", "1", "--size-mb", "0.02", "--model", "course-dense", "--json"]) == 0
    result = result_of(capsys)
    domains = result["domains"]
    assert result["phone_book_bits"] < result["phone_book_bits_at_most"] == pytest.approx(4000 * 6 * math.log2(10))
    assert domains["json"]["over_floor"] > 0
    assert domains["json"]["floor_nats_per_token"] > 0
    assert domains["german"]["nats_per_token"] > domains["german"]["floor_nats_per_token"]
    assert all(row["floor_nats_per_token"] is None for name, row in domains.items() if name == "english")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"short", "has only 5 bytes"),
        (b"a\0b" * 2000, "is binary"),
        (b"\xff\xfe" * 2000, "not UTF-8"),
    ],
    ids=["empty", "tiny", "binary", "not UTF-8"],
)
def test_a_text_that_is_none_is_one_sentence_and_no_traceback(tmp_path, capsys, content, sentence):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    assert cli.main(["train", "--text", str(path), "--steps", "1", "--json"]) != 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert len(captured.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--text", "/no/such/file.txt"], "no text at /no/such/file.txt"),
        (["--model", "huge"], "no model card 'huge'"),
        (["--device", "cuda"], "no CUDA GPU"),
        (["--device", "toaster"], "'toaster'"),
        (["--resume"], "without --out"),
        (["--seconds", "0"], "seconds is 0"),
        (["--seconds", "nan"], "seconds is nan"),
        (["--steps", "-1"], "steps is -1"),
        (["--steps", "0"], "--steps is 0, but training takes at least 1"),
        (["--size-mb", "0"], "size_mb is 0"),
        (["--size-mb", "1", "--vocab-size", "512"], "without --text"),
        (["--vocab-size", "3"], "vocab_size is 3"),
    ],
)
def test_bad_arguments_are_one_sentence_on_stderr(verse, capsys, words, sentence):
    import torch

    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a CUDA GPU here")
    given = [] if "--text" in words or "--size-mb" in words else ["--text", str(verse)]
    length = [] if {"--steps", "--seconds"} & set(words) else ["--steps", "1"]
    assert cli.main(["train", *given, *length, *words, "--json"]) != 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert "Traceback" not in captured.err


def test_a_place_that_cannot_be_written_is_found_before_the_first_step(verse, tmp_path, capsys):
    out = verse / "run"  # below a file
    started = time.perf_counter()
    assert cli.main(["train", "--text", str(verse), "--seconds", "60", "--out", str(out)]) != 0
    assert time.perf_counter() - started < 30
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_keeps_the_model_and_resume_goes_on(verse, tmp_path):
    words = [sys.executable, "-m", "moe_lessons.cli", "train", "--text", str(verse), "--model", "dense", "--json"]
    words += ["--steps", "400", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = ""
    while "loss" not in seen:  # the first steps are done
        character = process.stderr.read(1)
        assert character, seen
        seen += character
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    stopped = json.loads(out)
    assert stopped["interrupted"] is True
    assert 0 < stopped["steps"] < 400
    assert load_checkpoint(tmp_path / "run.safetensors").notes["result"] == stopped
    # the same run, asked to be no longer than it is, goes on from there and has nothing left to do
    words[words.index("400")] = str(stopped["steps"])
    again = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=True)
    resumed = json.loads(again.stdout)
    assert resumed["steps"] == stopped["steps"]
    assert resumed["nats_per_byte"] == pytest.approx(stopped["nats_per_byte"], rel=1e-6)
