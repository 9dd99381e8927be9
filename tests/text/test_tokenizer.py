import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.text.prompts import prompts
from moe_lessons.text.tokenizer import DOCUMENT, Tokenizer

COURSE = Tokenizer.load()
# any string that UTF-8 can write, with much of what tokenizers trip over
TRICKY = [DOCUMENT, "<|", "doc", "|>", " ", "\n", "\r\n", "\t", "12", "½", "é", "e\u0301", "🙂", "ß", "م", "\x00"]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(TRICKY)).map("".join))


@given(TEXTS)
def test_every_text_comes_back_exactly(text):
    assert COURSE.decode(COURSE.encode(text)) == text


@given(TEXTS)
def test_the_pieces_of_a_text_are_its_bytes(text):
    assert b"".join(COURSE.piece_bytes(i) for i in COURSE.encode(text)) == text.encode()


@given(TEXTS, TEXTS)
def test_no_text_can_spell_the_document_token(before, after):
    assert COURSE.document_id not in COURSE.encode(before + DOCUMENT + after)


@given(st.text(alphabet="0123456789 +-x", min_size=1))
def test_a_token_holds_at_most_one_digit(text):
    assert all(sum(char.isdigit() for char in piece) <= 1 for piece in COURSE.pieces(COURSE.encode(text)))


def test_no_token_of_the_vocabulary_joins_digits_to_anything_but_nothing():
    for i in range(COURSE.vocab_size):
        piece = COURSE.piece_bytes(i)
        assert len(piece) == 1 or not any(chr(byte).isdigit() for byte in piece if byte < 128), piece


def test_every_byte_is_in_the_vocabulary():
    assert {bytes([byte]) for byte in range(256)} <= {COURSE.piece_bytes(i) for i in range(COURSE.vocab_size)}


def test_no_two_tokens_stand_for_the_same_bytes():
    pieces = [COURSE.piece_bytes(i) for i in range(COURSE.vocab_size)]
    assert len(set(pieces)) == len(pieces) == COURSE.vocab_size


def test_a_piece_of_a_character_is_shown_by_its_bytes():
    [ids] = [[COURSE.encode("🙂")[0]]]
    assert COURSE.pieces(ids)[0].startswith("\\xf0")
    assert COURSE.pieces([COURSE.document_id]) == [DOCUMENT]


@pytest.mark.parametrize("vocab_size", [257, 300, 512])
def test_training_stops_at_the_asked_size(vocab_size):
    text = " ".join(f"{a}{b}{c}" for a in "abcdefgh" for b in "klmnop" for c in "uvwxyz")
    tokenizer = Tokenizer.train([text], vocab_size)
    assert 257 <= tokenizer.vocab_size <= vocab_size
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("vocab_size", [0, 256, 65_537])
def test_a_vocabulary_without_room_for_bytes_or_beyond_16_bits_is_refused(vocab_size):
    with pytest.raises(ValueError, match=r"vocab_size is .* choose from 257 to 65536"):
        Tokenizer.train(["a"], vocab_size)


def test_a_saved_tokenizer_is_the_same_when_loaded(tmp_path):
    COURSE.save(tmp_path / "t.json")
    again = Tokenizer.load(tmp_path / "t.json")
    assert again.fingerprint == COURSE.fingerprint
    assert again.encode(f"für 12 {DOCUMENT}") == COURSE.encode(f"für 12 {DOCUMENT}")


def test_training_gives_the_same_tokenizer_in_another_process():
    code = (
        "import random; from moe_lessons.text.grammars import GRAMMARS;"
        "from moe_lessons.text.tokenizer import Tokenizer;"
        "texts = [g.sample(random.Random(i)).text for g in GRAMMARS.values() for i in range(30)];"
        "print(Tokenizer.train(texts, 600).fingerprint)"
    )
    command = [sys.executable, "-c", code]
    runs = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1


def test_bad_files_and_bad_strings_get_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="no tokenizer at"):
        Tokenizer.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"model": 3', encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.json is not a tokenizer file"):
        Tokenizer.load(tmp_path / "bad.json")
    with pytest.raises(ValueError, match="character 1 is the lone surrogate"):
        COURSE.encode("a\ud800b")
    with pytest.raises(ValueError, match="token id 5000 is not in the vocabulary"):
        COURSE.pieces([5000])


def test_every_prompt_of_the_course_can_be_read():
    for texts in prompts().values():
        assert len(texts) >= 2
        for text in texts:
            assert COURSE.decode(COURSE.encode(text)) == text
            assert 1 <= len(COURSE.encode(text)) <= 64
