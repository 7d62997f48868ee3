"""What every test may use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real payloads of the networks, which stay outside the repository; skips where absent."""
    root = Path(os.environ.get("EARSHOT_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not root.is_dir():
        pytest.skip("no real payloads on this machine (set EARSHOT_SHARED)")
    return root
