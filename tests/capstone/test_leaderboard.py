"""The board and its file: like is compared with like, and damage costs a warning."""

import json
import math

import pytest

from moe_lessons.capstone import forget
from moe_lessons.capstone import leaderboard as boards
from moe_lessons.capstone.leaderboard import Row, board, keep

pytestmark = pytest.mark.usefixtures("cache")


def row(name, loss=2.0, peak=1.0, pace=1.0, seed=0, **rest):
    rest = {"conditions": {"arena": "a"}, "settings": {}, "ours": False} | rest
    return Row(name=name, loss=loss, peak=peak, pace=pace, live=2.0, seconds=1.0, seed=seed, **rest)


def test_the_lowest_loss_is_first_and_unbeaten_means_by_nobody_in_everything():
    for one in (row("slow", 1.0, pace=2.0), row("quick", 1.5, pace=0.5), row("beaten", 1.6, pace=0.45, peak=1.1)):
        keep(one)
    places = board({"arena": "a"})
    assert [(place.rank, place.name, place.unbeaten) for place in places] == [
        (1, "slow", True),
        (2, "quick", True),
        (3, "beaten", False),
    ]
    with pytest.raises(KeyError, match="slow, quick, beaten"):
        places["nobody"]


def test_only_like_is_compared():
    keep(row("here"))
    keep(row("elsewhere", conditions={"arena": "a", "torch": "1.0"}))
    places = board({"arena": "a"})
    assert [place.name for place in places] == ["here"]
    assert "1 run under other conditions not shown" in repr(places) and "other conditions" in places._repr_html_()
    forget("here")
    assert "nobody has entered yet" in repr(board({"arena": "a"}))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"rows": 3}', b'{"rows": [{"name": "x"}]}', b"\xff\xfe\x00", b'{"rows": [[1]]}', b"null"],
)
def test_a_damaged_board_is_set_aside_with_a_warning(cache, content):
    cache.mkdir()
    (cache / "leaderboard.json").write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert not board({"arena": "a"})
    assert (cache / "leaderboard.damaged.json").read_bytes() == content
    keep(row("new"))
    assert [place.name for place in board({"arena": "a"})] == ["new"]


def test_a_row_of_wrong_kinds_is_damage(cache):
    keep(row("x"))
    written = json.loads((cache / "leaderboard.json").read_text(encoding="utf-8"))
    written["rows"][0]["loss"] = "low"
    (cache / "leaderboard.json").write_text(json.dumps(written), encoding="utf-8")
    with pytest.warns(UserWarning, match="damaged"):
        assert not board({"arena": "a"})


def test_a_refused_row_survives_the_file_and_no_nan_is_written(cache):
    keep(row("bad", math.nan, math.nan, math.nan, refused="it looks ahead"))
    assert "NaN" not in (cache / "leaderboard.json").read_text(encoding="utf-8")
    (place,) = board({"arena": "a"})
    assert place.reason == "it looks ahead" and math.isnan(place.loss)


def test_a_board_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not saved"):
        keep(row("x"))
    assert not board({"arena": "a"})


def test_the_table_is_marked_up_for_those_who_hear_it_and_names_are_escaped():
    keep(row("<b>mine</b>", settings={"balance_loss": 0.01}))
    keep(row("bad", math.nan, math.nan, math.nan, refused="a < b"))
    shown = board({"arena": "a"})._repr_html_()
    assert "<caption>" in shown and shown.count("scope='col'") == 8 and shown.count("scope='row'") == 2
    assert "&lt;b&gt;mine" in shown and "a &lt; b" in shown and "balance_loss 0.01" in shown
    assert boards.FILE.read()[0].version
