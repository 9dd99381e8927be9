"""The site's JavaScript, run by Node: its own tests."""

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "js"


@pytest.mark.parametrize("path", sorted(HERE.glob("site_*.test.js")), ids=lambda path: path.name)
def test_the_sites_own_tests_pass_in_node(node, path):
    result = subprocess.run([node, "--test", path], capture_output=True, encoding="utf-8", cwd=HERE, timeout=120)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
