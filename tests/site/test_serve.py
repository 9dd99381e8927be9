"""The site's server: this machine alone, files as they are, and a sentence for what is none of its."""

import gzip
import threading
import urllib.error
import urllib.request

import pytest

from moe_lessons import cli
from moe_lessons.site import __main__ as site_command
from moe_lessons.site import build, pages
from moe_lessons.site.math import copy_mathjax
from moe_lessons.site.serve import server


def fetch(serving, path: str) -> tuple[str, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{serving.server_port}/{path}", timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_files_are_served_to_this_machine_alone_and_javascript_by_its_name(tmp_path):
    (tmp_path / "index.html").write_text("home", encoding="utf-8")
    (tmp_path / "a.js").write_text("export {};", encoding="utf-8")
    with server(tmp_path) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        assert serving.server_address[0] == "127.0.0.1"
        assert fetch(serving, "") == ("text/html", b"home")
        assert fetch(serving, "a.js") == ("text/javascript", b"export {};")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(serving, "../secret")
        serving.shutdown()


def test_a_text_is_packed_for_a_browser_that_takes_it_so_and_a_checkpoint_never(tmp_path):
    for name in ("index.html", "model.safetensors"):
        (tmp_path / name).write_bytes(b"the same words " * 100)
    with server(tmp_path) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        for name, packed in (("", "gzip"), ("model.safetensors", None)):
            address = f"http://127.0.0.1:{serving.server_port}/{name}"
            request = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                body = answer.read()
                assert answer.headers["Content-Encoding"] == packed
                assert (gzip.decompress(body) if packed else body) == b"the same words " * 100
        serving.shutdown()


def test_a_folder_without_a_site_and_an_odd_port_are_refused_in_one_sentence(tmp_path, capsys):
    assert cli.main(["site", str(tmp_path)]) == 1
    assert "holds no site; build it with make site" in capsys.readouterr().err
    (tmp_path / "index.html").touch()
    assert cli.main(["site", str(tmp_path), "--port", "99999"]) == 1
    assert "port is 99999, but must be 0 to 65535" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path, capsys):
    (tmp_path / "index.html").touch()
    with server(tmp_path) as serving:
        assert cli.main(["site", str(tmp_path), "--port", str(serving.server_port)]) == 1
    assert "cannot be used" in capsys.readouterr().err


def test_what_is_missing_is_said_with_what_brings_it(tmp_path, monkeypatch, capsys):
    with pytest.raises(FileNotFoundError, match="tex-chtml.js of MathJax is missing; run npm ci"):
        copy_mathjax(tmp_path, tmp_path / "nothing")
    monkeypatch.setattr(build, "_ESBUILD", tmp_path / "esbuild")
    assert site_command.main([str(tmp_path / "site")]) == 1
    assert capsys.readouterr().err == "site: esbuild is not installed; run npm ci, then make site\n"


def test_a_lesson_that_does_not_exist_is_refused(tmp_path):
    pytest.importorskip("sphinx", reason="Sphinx, for the lessons' pages, is not installed")
    with pytest.raises(ValueError, match="there is no lesson 99; name lessons by their numbers"):
        pages.build_pages(tmp_path / "site", tmp_path / "scratch", {"99"})
