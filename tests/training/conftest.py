import pytest


@pytest.fixture
def products_unasked(monkeypatch):
    """What the optimizers multiply where nobody asks for it, also in a run of all tests that asks for bfloat16."""
    monkeypatch.delenv("MOE_LESSONS_PRODUCTS", raising=False)
