"""Every lake in the room keeps the contract; a new file in `earshot/lake/` is found by itself."""

import importlib

import pytest

from earshot.lake import open_lake
from earshot.rooms import schemes
from earshot.testing.lake import LakeContract


@pytest.mark.parametrize("scheme", sorted(schemes("lake")))
class TestEveryLake(LakeContract):
    @pytest.fixture
    def open_it(self, scheme, tmp_path):
        url = importlib.import_module(f"earshot.lake.{scheme}").CONTRACT_URL.format(tmp=tmp_path)
        return lambda: open_lake(url)
