"""The doctor's look at JupyterLab, the kernel and both halves of the widgets."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from broken import doctor, half, posix
from places import ROOT

from moe_lessons.checkup import jupyter
from moe_lessons.checkup.check import REINSTALL


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
