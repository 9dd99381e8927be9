"""The doctor's look at the machine: a GPU that lies idle, containers that limit, disks that are full."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from broken import doctor, posix, without_gpu
from places import ROOT

from moe_lessons.checkup import machine


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


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
