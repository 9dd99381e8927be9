"""The doctor, in front of set-ups that are broken for real wherever a test may break them."""

import ast
import errno
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from places import ROOT

from moe_lessons import checkup, cli
from moe_lessons.checkup import files, jupyter, machine, python, speed
from moe_lessons.checkup.check import REINSTALL
from moe_lessons.resources import data_path
from moe_lessons.text.corpus import course_corpus
from moe_lessons.training.checkpoint import load_checkpoint, save_checkpoint

posix = pytest.mark.skipif(os.name != "posix", reason="a broken state of POSIX systems")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="here the GPU is used")


def doctor(*options: str, python: str = sys.executable, **environment: str) -> dict[str, dict]:
    """What the doctor says in a process of its own, by name of the check."""
    run = subprocess.run(
        [python, "-m", "moe_lessons", "doctor", "--quick", "--json", *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode in (0, 1) and "Traceback" not in run.stderr, run.stderr
    checks = {check["name"]: check for check in json.loads(run.stdout)}
    assert run.returncode == int(any(check["remedy"] for check in checks.values()))
    return checks


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_a_healthy_machine_passes(cache, capsys, monkeypatch):
    monkeypatch.setattr(machine, "nvidia_gpu", lambda: None)
    for check in checkup.CHECKS:
        if check is not machine.check_memory:  # another program may hold it
            assert check().remedy == "", check()
    assert cli.main(["doctor", "--quick"]) in (0, 1)
    said = capsys.readouterr().out
    assert all(f" {name} " in said for name in ("Python", "PyTorch", "device", "disk", "kernel", "course"))
    assert cache.is_dir() and list(cache.iterdir()) == []


def test_lesson_00_shows_the_checks_without_the_speed_test(monkeypatch):
    from moe_lessons.commands.doctor import examine, report

    problem = checkup.Check("b", "bad", "mend it")
    monkeypatch.setattr(checkup, "CHECKS", (lambda: checkup.Check("a", "good"), lambda: problem))
    assert report(examine()) == f"ok      a         good\nPROBLEM b         bad\n{'':18}-> mend it"


def test_a_check_that_fails_itself_does_not_hide_the_others(monkeypatch):
    def check_nothing():
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(checkup, "CHECKS", (check_nothing, python.check_python))
    first, second = checkup.examine(speed=False)
    assert first == ("nothing", "could not be examined (ZeroDivisionError: by zero)", REINSTALL, {})
    assert second.name == "Python"


# Python and packages


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 14, 0), (4, 0, 0)])
def test_another_python_is_named_with_those_that_fit(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(python.platform, "python_version", lambda: ".".join(map(str, version)))
    check = python.check_python()
    assert check.found.startswith(".".join(map(str, version)))
    assert "3.11, 3.12 or 3.13" in check.remedy and "PYTHON=" in check.remedy


def test_an_old_python_gets_one_sentence_too():
    """It reads the two files that come before the check, and stops there."""
    for name in ("__init__", "__main__"):
        ast.parse((ROOT / "moe_lessons" / f"{name}.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    code = "import sys, runpy; sys.version_info = (3, 9, 1); runpy.run_module('moe_lessons', run_name='__main__')"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "Python 3.9 is too old" in run.stderr and run.stderr.count("\n") == 1


def test_a_python_without_the_courses_packages_is_sent_to_the_right_one(tmp_path):
    """The checkout, with a Python in which nothing is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    folder = "Scripts" if os.name == "nt" else "bin"
    bare = str(tmp_path / "bare" / folder / "python")
    run = subprocess.run(
        [bare, "-m", "moe_lessons", "doctor", "--quick", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    checks = {check["name"]: check for check in json.loads(run.stdout)}
    assert "torch is not installed in" in checks["PyTorch"]["found"]
    if (ROOT / ".venv").exists():
        assert "start the course's own Python" in checks["PyTorch"]["remedy"]
    assert {name for name, check in checks.items() if not check["remedy"]} <= {"Python", "memory", "disk", "course"}


@pytest.mark.parametrize("error", ["OSError('libgomp.so.1: cannot open shared object file')", "ImportError('DLL')"])
def test_a_pytorch_that_cannot_be_loaded_is_told_from_damaged_files(tmp_path, error):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"raise {error}\n", encoding="utf-8")
    checks = doctor(PYTHONPATH=str(tmp_path), MOE_LESSONS_CACHE=str(tmp_path / "cache"))
    assert checks["PyTorch"]["found"].startswith("does not work:") and checks["PyTorch"]["remedy"]
    assert checks["device"]["remedy"]
    assert checks["course"]["remedy"] == checks["cache"]["remedy"] == checks["widgets"]["remedy"] == ""


def test_a_package_that_is_missing_or_too_old_is_named(monkeypatch):
    def version(name):
        if name == "einops":
            raise python.metadata.PackageNotFoundError(name)
        return {"numpy": "1.26.4"}.get(name) or original(name)

    original = python.metadata.version
    monkeypatch.setattr(python.metadata, "version", version)
    check = python.check_packages()
    assert "einops is missing" in check.found and "numpy is 1.26.4, but >=2.1 is needed" in check.found
    assert check.remedy == REINSTALL


def test_a_version_that_was_not_tested_is_mentioned_and_no_problem(monkeypatch):
    tested = python._pinned()
    assert tested["torch"] and tested["numpy"]
    monkeypatch.setattr(python, "_pinned", lambda: {**tested, "numpy": "2.1.0"})
    check = python.check_packages()
    assert "not as tested: numpy" in check.found and check.remedy == ""


# The GPU that is present


@posix
@without_gpu
@pytest.mark.skipif(torch.version.cuda is not None, reason="this PyTorch is built for CUDA")
def test_a_gpu_beside_a_pytorch_for_the_cpu_is_found(tmp_path):
    program(tmp_path / "bin", "nvidia-smi", "echo 'NVIDIA GeForce RTX 4060 Laptop GPU, 570.86.10'")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "MOE_LESSONS_CACHE": str(tmp_path / "cache")}
    device = doctor(CUDA_VISIBLE_DEVICES="0", **environment)["device"]
    assert "RTX 4060 Laptop GPU, driver 570.86.10" in device["found"] and "built for the CPU" in device["found"]
    assert "TORCH_INDEX=pypi" in device["remedy"]
    device = doctor(CUDA_VISIBLE_DEVICES="", **environment)["device"]
    assert "CUDA_VISIBLE_DEVICES hides the GPU" in device["found"] and device["remedy"] == ""


@pytest.fixture
def driver(tmp_path, monkeypatch) -> Path:
    """What NVIDIA's driver for Linux shows of one GPU."""
    folder = tmp_path / "gpus" / "0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text("Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 183\n", encoding="utf-8")
    monkeypatch.setattr(machine, "NVIDIA", folder.parent)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return folder


@posix
@without_gpu
def test_a_driver_that_does_not_answer_asks_for_a_restart(tmp_path, driver, monkeypatch):
    program(
        tmp_path / "bin", "nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18"
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    check = machine.check_device()
    assert "A100-SXM4-40GB" in check.found and "Driver/library version mismatch" in check.found
    assert "restart" in check.remedy
    shutil.rmtree(driver)  # the program alone is no GPU
    assert machine.nvidia_gpu() is None and "GPU" not in machine.check_device().found


@without_gpu
def test_cuda_that_cannot_be_used_gives_its_reason(driver, monkeypatch):
    def init():
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update")

    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", init)
    check = machine.check_device()
    assert "driver on your system is too old (found version 11040)." in check.found and "\n" not in check.found
    assert "renew NVIDIA's driver" in check.remedy and "CUDA 13.0" in check.remedy


@pytest.mark.gpu
def test_a_gpu_that_works_is_used(monkeypatch):
    check = machine.check_device()
    assert torch.cuda.get_device_name() in check.found and check.remedy == "" and check.numbers["gpu_memory_gib"] > 0


def test_a_container_that_limits_cores_and_memory_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(machine, "nvidia_gpu", lambda: None)
    (tmp_path / "cpu.max").write_text("max 100000\n", encoding="utf-8")
    everything = machine.usable_cores()
    (tmp_path / "cpu.max").write_text("50000 100000\n", encoding="utf-8")
    assert machine.usable_cores() == 0.5 < everything
    if not torch.cuda.is_available():
        monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
        assert "OMP_NUM_THREADS=1" in machine.check_device().remedy
    for name, content in {"max": 2**30, "current": 2**29, "stat": f"anon 5\ninactive_file {2**28}"}.items():
        (tmp_path / f"memory.{name}").write_text(f"{content}\n", encoding="utf-8")
    check = machine.check_memory()
    assert check.found == "0.8 of 1.0 GiB free" and "close other programs" in check.remedy


# Disks and the cache


def test_little_room_is_found_before_it_hurts(monkeypatch):
    usage = type(shutil.disk_usage("."))(2**40, 2**40 - 2**24, 2**24)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage)
    check = machine.check_disk()
    assert check.found.startswith("16 MiB free") and "0.5 GiB are needed" in check.remedy


@posix
def test_a_full_disk_is_told_from_a_folder_that_cannot_be_written(tmp_path):
    """A disk of 64 KiB, full, mounted where nobody else sees it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=64k none {disk} && mkdir {disk}/cache && "
        f"{{ dd if=/dev/zero of={disk}/all bs=4k 2>/dev/null; "
        f"exec {sys.executable} -m moe_lessons doctor --quick --json; }}"
    )
    environment = {**os.environ, "MOE_LESSONS_CACHE": str(disk / "cache")}
    run = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if not run.stdout:
        pytest.skip(f"no disk of one's own here: {run.stderr.strip()}")
    checks = {check["name"]: check for check in json.loads(run.stdout)}
    assert run.returncode == 1
    assert checks["disk"]["found"].startswith("0 MiB free for the cache")
    assert "No space left on device" in checks["cache"]["found"] and "free some space" in checks["cache"]["remedy"]


def test_a_cache_that_cannot_be_written_is_moved(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "file" / "cache"))
    check = files.check_cache()
    assert "Not a directory" in check.found or "exists" in check.found
    assert check.remedy == files.ELSEWHERE

    def refuse(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    assert files.check_cache().remedy.startswith("free some space")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_number(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "half of a corpus": ("corpus/*.safetensors", half, "built again"),
    "a corpus with one other bit": ("corpus/*.safetensors", other_number, "built again"),
    "half of a corpus's card": ("corpus/*.json", half, "built again"),
    "half of a ledger": ("ledger.json", half, "the ledger begins anew"),
    "a ledger without entries": ("ledger.json", lambda p: p.write_text("{}", encoding="utf-8"), "begins anew"),
    "a ledger of other entries": (
        "ledger.json",
        lambda p: p.write_text('{"entries": [{"claim_id": 3}]}', encoding="utf-8"),
        "the ledger begins anew",
    ),
    "a leaderboard of another shape": (
        "leaderboard.json",
        lambda p: p.write_text('{"rows": [{"name": "dice", "loss": "low"}]}', encoding="utf-8"),
        "the board begins anew",
    ),
    "an empty record of exercises": ("progress.json", lambda p: p.write_bytes(b""), "exercises begin anew"),
    "something else for exercises": ("progress.json", lambda p: p.write_text("{}", encoding="utf-8"), "begin anew"),
    "half of a model": ("runs/model.safetensors", half, "write it again"),
    "half of its notes": ("runs/model.json", half, "write it again"),
    "half of a tokenizer": ("runs/model.tokenizer.json", half, "write it again"),
    "bytes that are no text": ("ledger.json", lambda p: p.write_bytes(b"\xff\xfe\x00"), "the ledger begins anew"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A cache as lessons leave it: a corpus, a ledger, a leaderboard, passed exercises, a model with a tokenizer."""
    from moe_lessons import ledger
    from moe_lessons.capstone.leaderboard import Row, keep
    from moe_lessons.exercises.progress import remember

    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOE_LESSONS_CACHE", str(folder))
        course_corpus(size_mb=0.01, progress=False)
        claim = next(line.claim for line in ledger.claims())
        ledger.settle(claim.id, 1.0, claim.units[claim.lessons[0]], "so", claim.lessons[0])
        remember("01.merge")
        keep(Row(name="dice", ours=False, seed=0, settings={}, conditions={}, refused="it is blind"))
        checkpoint = load_checkpoint(data_path("checkpoints/course-dense.safetensors"))
        save_checkpoint(folder / "runs" / "model", checkpoint.model)
        shutil.copy(data_path("tokenizer.json"), folder / "runs" / "model.tokenizer.json")
    return folder


def test_what_lessons_keep_is_whole(kept, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(kept))
    assert sum(path.is_file() and not path.name.startswith(".") for path in kept.rglob("*")) == 8
    assert files.check_cache().remedy == ""


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_in_the_cache_is_named_with_what_removing_it_costs(kept, cache, damage):
    shutil.copytree(kept, cache)
    pattern, spoil, end = DAMAGE[damage]
    (path,) = cache.glob(pattern)
    spoil(path)
    check = files.check_cache()
    name = path.relative_to(cache).as_posix()
    # A corpus is an array with its card beside it: either's damage is the other's.
    named = name.replace(".json", ".safetensors") if pattern == "corpus/*.json" else name
    assert f"{named} is damaged (" in check.found, check
    assert f"remove {cache / name}" in check.remedy and end in check.remedy
    for line in check.remedy.split("; "):
        Path(line.removeprefix("remove ").partition(": ")[0]).unlink()
    assert files.check_cache().remedy == ""


def test_every_damaged_file_is_named_at_once(kept, cache):
    shutil.copytree(kept, cache)
    for name in ("ledger.json", "progress.json"):
        half(cache / name)
    shutil.copy(cache / "ledger.json", cache / "ledger.damaged.json")  # set aside by the ledger: no fault
    check = files.check_cache()
    assert "ledger.json" in check.found and "progress.json" in check.found and "damaged.json" not in check.found


# The course's own files


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A copy of the course's data and lessons that may be spoiled."""
    for folder in ("data", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("pictures"))
    monkeypatch.setattr(files, "data_path", lambda name="": tmp_path / "data" / name)
    monkeypatch.setattr(files, "notebooks_path", lambda: tmp_path / "notebooks")
    return tmp_path


def without_numbers(path: Path) -> None:
    model = load_checkpoint(path).model
    model.state_dict()["embedding.weight"][3, 5] = float("nan")
    save_checkpoint(path, model)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("data/tokenizer.json", half),
        ("data/checkpoints/course-moe.safetensors", half),
        ("data/checkpoints/course-dense.safetensors", without_numbers),
        ("data/models/deepseek-v3.toml", lambda path: path.write_text("name = \n", encoding="utf-8")),
        ("notebooks/00_start_here.ipynb", half),
    ],
)
def test_a_damaged_file_of_the_course_is_named(course, name, spoil):
    assert files.check_course().remedy == ""
    spoil(course / name)
    check = files.check_course()
    assert str(course / name) in check.found and check.remedy == REINSTALL
    (course / ".git").mkdir()
    assert f"git checkout -- {name}" in files.check_course().remedy


def test_a_missing_file_of_the_course_is_named(monkeypatch):
    def missing(name=""):
        raise FileNotFoundError(f"data/{name} is missing")

    monkeypatch.setattr(files, "data_path", missing)
    assert files.check_course() == ("course", "data/claims.toml is missing", REINSTALL, {})


# Jupyter and widgets


def test_kernels_that_mix_up_widgets_are_refused(monkeypatch):
    monkeypatch.setattr(jupyter.metadata, "version", lambda name: "7.4.0")
    assert "ipykernel<7" in jupyter.check_jupyter().remedy


def test_a_kernel_of_another_python_is_found_out(tmp_path, monkeypatch):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {"argv": ["/somewhere/else/python3", "-m", "ipykernel_launcher"], "display_name": "Python 3"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    check = jupyter.check_kernel()
    assert "/somewhere/else/python3, not this Python" in check.found and f"remove {folder}" in check.remedy
    spec["argv"][0] = str(Path(sys.executable).with_name("python3.99"))
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    assert jupyter.check_kernel().remedy == ""


@posix
def test_a_missing_front_end_is_found_by_an_environment_that_lacks_it(tmp_path):
    """All packages, but none of the files that pip puts below share/jupyter for the browser."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "half"], check=True)
    (site,) = (tmp_path / "half" / "lib").glob("python*/site-packages")
    (site / "all.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    checks = doctor(
        python=str(tmp_path / "half" / "bin" / "python"),
        JUPYTER_DATA_DIR=str(tmp_path / "data"),
        MOE_LESSONS_CACHE=str(tmp_path / "cache"),
    )
    assert checks["widgets"]["found"] == "JupyterLab does not see ipywidgets's extension"
    assert checks["widgets"]["remedy"] == REINSTALL and checks["PyTorch"]["remedy"] == ""


@pytest.fixture
def front_ends(tmp_path, monkeypatch) -> Path:
    """A copy of this environment's front ends that may be spoiled."""
    from jupyter_core.paths import jupyter_path

    for extension in jupyter.FRONT_ENDS.values():
        folder = next(p for p in (Path(path) / extension for path in jupyter_path("labextensions")) if p.is_dir())
        shutil.copytree(folder, tmp_path / "share" / "labextensions" / extension)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "etc"))
    return tmp_path / "share" / "labextensions"


def test_a_front_end_that_lost_a_file_is_found_out(front_ends):
    assert jupyter.check_widgets().remedy == ""
    for script in (front_ends / "anywidget" / "static").glob("remoteEntry*.js"):
        script.unlink()
    check = jupyter.check_widgets()
    assert "anywidget's extension is damaged" in check.found and "--force-reinstall" in check.remedy
    half(front_ends / "@jupyter-widgets" / "jupyterlab-manager" / "package.json")
    assert "makes no sense" in jupyter.check_widgets().found


@pytest.mark.parametrize("written", [{"anywidget": True}, ["anywidget"]])
def test_a_front_end_that_is_switched_off_is_found_out(front_ends, tmp_path, written):
    file = tmp_path / "etc" / "labconfig" / "page_config.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"disabledExtensions": written}), encoding="utf-8")
    check = jupyter.check_widgets()
    assert check.found == "anywidget's extension is switched off" and "labextension enable anywidget" in check.remedy
    file.write_text(json.dumps({"disabledExtensions": {"anywidget": False}}), encoding="utf-8")
    assert jupyter.check_widgets().remedy == ""


@pytest.mark.parametrize("name", ["static/router_view.js", "static/quiz.css", "load_board/__init__.py"])
def test_a_front_end_of_the_courses_own_that_is_missing_is_found_out(tmp_path, name):
    """In a copy of the package, from which the file is really deleted."""
    shutil.copytree(ROOT / "moe_lessons", tmp_path / "moe_lessons", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("data", "notebooks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "moe_lessons" / "widgets" / name).unlink()
    code = "from moe_lessons.checkup.jupyter import check_widgets as c; import json; print(json.dumps(c()[:3]))"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    _, found, remedy = json.loads(run.stdout)
    assert name.removesuffix("/__init__.py") in found and remedy == REINSTALL


# Speed


def test_the_speed_test_keeps_its_budget_by_the_first_round(monkeypatch):
    from moe_lessons.benchmark import training_speed
    from moe_lessons.benchmark.timing import Timing

    asked = []

    def compare(rounds, device):
        asked.append(rounds)
        step = Timing(0.2, 0.2, 0.2)
        return {kind: training_speed.Training(kind, step, 1000, 1.0) for kind in ("dense", "moe")}

    monkeypatch.setattr(training_speed, "compare", compare)
    assert speed.tokens_per_second() == {"dense": pytest.approx(5000), "moe": pytest.approx(5000)}
    assert asked[0] == 1 and 20 <= asked[1] <= 25
    asked.clear()
    speed.tokens_per_second(budget=0.1)
    assert asked == [1]


def times(**seconds: float) -> speed.LessonTimes:
    return speed.LessonTimes({}, {"dense": 20_000.0, "moe": 10_000.0}, seconds, {})


@without_gpu
def test_lesson_times_are_expected_from_the_speed(monkeypatch):
    monkeypatch.setattr(speed, "read_times", lambda: times(**{"00_a": 10.0, "07_b": 60.0}))
    monkeypatch.setattr(speed, "tokens_per_second", lambda: {"dense": 10_000.0, "moe": 5_000.0})
    check = speed.check_speed()
    assert "10,000 tokens a second dense, 5,000 sparse" in check.found
    assert "2.0 times the seconds" in check.found and "at most 120 s (lesson 07)" in check.found
    assert check.remedy == "" and check.numbers["longest_lesson_seconds"] == 120
    monkeypatch.setattr(speed, "tokens_per_second", lambda: {"dense": 1_000.0, "moe": 500.0})
    assert "plug the machine in" in speed.check_speed().remedy


def test_without_lesson_times_the_speed_stands_alone(monkeypatch):
    def missing():
        raise FileNotFoundError("data/times.toml")

    monkeypatch.setattr(speed, "read_times", missing)
    monkeypatch.setattr(speed, "tokens_per_second", lambda: {"dense": 10_000.0, "moe": 5_000.0})
    assert speed.check_speed().found.endswith("sparse") or torch.cuda.is_available()
    monkeypatch.setattr(speed, "tokens_per_second", lambda: (_ for _ in ()).throw(RuntimeError("no\nkernel")))
    assert speed.check_speed() == ("speed", "not measured: no", REINSTALL, {})


def test_quick_leaves_the_speed_test_out(monkeypatch, capsys):
    monkeypatch.setattr(checkup, "CHECKS", (python.check_python,))
    monkeypatch.setattr(checkup, "check_speed", lambda: checkup.Check("speed", "fast", "", {"x": 1.0}))
    assert cli.main(["doctor", "--quick"]) == 0
    assert "speed" not in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1] == {
        "name": "speed",
        "found": "fast",
        "remedy": "",
        "numbers": {"x": 1.0},
    }
