"""What is common to the studies: a file that is whole at any time, and goes on where it stopped."""

import json

import pytest

from moe_lessons.studies import clock, expert_steps, first_layers, score_functions, tuned, upcycled
from moe_lessons.studies.keep import keep, keep_by_seed


def test_a_stopped_study_goes_on_with_the_seeds_that_are_missing(tmp_path):
    path, made = tmp_path / "new" / "study.json", []

    def make(seed):
        made.append(seed)
        if made == [0, 1, 2]:
            raise KeyboardInterrupt
        return {"seed": seed}

    with pytest.raises(KeyboardInterrupt):
        keep_by_seed(path, "python -m study", "races", 4, make)
    assert json.loads(path.read_text(encoding="utf-8"))["races"] == [{"seed": 0}, {"seed": 1}]
    keep_by_seed(path, "python -m study", "races", 4, make)
    study = json.loads(path.read_text(encoding="utf-8"))
    assert made == [0, 1, 2, 2, 3]
    assert study["races"] == [{"seed": seed} for seed in range(4)]
    assert list(study) == ["command", "threads", "races"]


@pytest.mark.parametrize(
    ("study", "kept", "given", "sentence"),
    [
        (clock, {"arms": {}, "races": []}, ["--seconds", "5"], "kept.json was begun with other settings than today's"),
        (expert_steps, {"runs": [{"steps": 500}]}, ["--steps", "7"], "steps is 7, but kept.json was begun with 500"),
        (first_layers, {"runs": [{"steps": 400}]}, ["--steps", "7"], "steps is 7, but kept.json was begun with 400"),
        (score_functions, {"runs": [{"steps": 300}]}, ["--steps", "7"], "steps is 7, but kept.json was begun with 300"),
        (tuned, {"runs": [{"steps": 50}]}, ["--steps", "7"], "steps is 7, but kept.json was begun with 50"),
        (
            upcycled,
            {"runs": [{"seconds": 60.0}]},
            ["--seconds", "5"],
            "seconds is 5.0, but kept.json was begun with 60",
        ),
    ],
)
def test_what_was_begun_with_other_settings_is_not_gone_on_with(study, kept, given, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "course_corpus", lambda **_: pytest.fail("it went on"))
    path = tmp_path / "kept.json"
    path.write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{sentence}"):
        study.main([*given, "--out", str(path)])
    assert json.loads(path.read_text(encoding="utf-8")) == kept


def test_a_study_is_one_json_with_a_line_end(tmp_path):
    keep(tmp_path / "study.json", {"command": "python -m study", "losses": [1, 2]})
    text = (tmp_path / "study.json").read_text(encoding="utf-8")
    assert text.endswith("}\n") and json.loads(text) == {"command": "python -m study", "losses": [1, 2]}
