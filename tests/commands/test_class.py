"""`moe-lessons class`: what is wrong is one sentence, before anything begins."""

import socket

import pytest

from moe_lessons import cli

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize("port", ["0", "70000"])
def test_a_port_that_there_is_not_is_refused(port, capsys, cache):
    assert cli.main(["class", "--port", port]) == 1
    assert capsys.readouterr().err == f"moe-lessons: port is {port}, but must be 1 to 65535\n" and not cache.exists()


def test_a_port_that_is_taken_is_refused_and_a_new_class_begun_only_after_that(capsys, cache):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert cli.main(["class", "--new", "--port", str(other.getsockname()[1])]) == 1
    assert "is a class open already?" in capsys.readouterr().err and not cache.exists()


def test_a_folder_that_there_is_not_is_refused(capsys, cache, tmp_path):
    assert cli.main(["class", "--folder", str(tmp_path / "none")]) == 1
    assert "which is no folder" in capsys.readouterr().err and not cache.exists()
