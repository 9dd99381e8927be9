"""Which machines a bundle is for, and which wheels fit them."""

import platform

import pytest
from packaging.markers import Marker

from moe_lessons import bundle
from moe_lessons.bundle import Target


def test_a_target_takes_the_wheels_that_fit_it():
    linux, windows, mac = Target("linux", "3.12"), Target("windows", "3.11"), Target("mac", "3.13")
    torch = "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl"
    assert linux.takes(torch) and not windows.takes(torch) and not Target("linux", "3.11").takes(torch)
    assert linux.takes("a-1-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert windows.takes("a-1-cp311-cp311-win_amd64.whl") and not windows.takes("a-1-cp311-cp311-win32.whl")
    assert mac.takes("a-1-cp313-cp313-macosx_11_0_arm64.whl")
    assert mac.takes("a-1-cp313-cp313-macosx_10_13_universal2.whl")
    assert not mac.takes("a-1-cp313-cp313-macosx_15_0_arm64.whl")
    assert all(target.takes("a-1-py3-none-any.whl") for target in (linux, windows, mac))
    assert not linux.takes("a-1.tar.gz") and not linux.takes("a-1-cp312-cp312-musllinux_1_2_x86_64.whl")


def test_conditions_are_read_for_the_target_and_not_for_this_machine():
    windows, linux = Target("windows", "3.11"), Target("linux", "3.13")
    assert windows.applies(Marker("os_name == 'nt'")) and not linux.applies(Marker("os_name == 'nt'"))
    assert linux.applies(Marker("platform_system == 'Linux' and platform_machine == 'x86_64'"))
    assert not windows.applies(Marker("python_version >= '3.12'")) and linux.applies(Marker("python_version >= '3.12'"))
    assert linux.applies(None) and not linux.applies(Marker("extra == 'fast'"))
    assert linux.applies(Marker("extra == 'fast'"), frozenset({"fast"}))


@pytest.mark.parametrize(("system", "python", "named"), [("amiga", "3.12", "amiga"), ("linux", "3.10", "3.10")])
def test_an_unknown_machine_is_refused_by_name(system, python, named):
    with pytest.raises(ValueError, match=f"{named}.*must be one of|{named}.*tested with"):
        Target(system, python)


def test_a_platform_without_pytorch_is_told_to_name_others(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ValueError, match="riscv64.*--for"):
        bundle.this_platform()
