"""What every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The first example may compile a kernel, so time says nothing about an example.
settings.register_profile("earshot", deadline=None)
settings.load_profile("earshot")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real payloads of the networks, which stay outside the repository; skips where absent."""
    root = Path(os.environ.get("EARSHOT_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not root.is_dir():
        pytest.skip("no real payloads on this machine (set EARSHOT_SHARED)")
    return root
