"""Every store in the room keeps the contract; a new file in `earshot/store/` is found by itself."""

import importlib

import pytest

from earshot.rooms import schemes
from earshot.store import open_store
from earshot.testing.families import FamiliesContract
from earshot.testing.store import StoreContract


@pytest.mark.parametrize("scheme", sorted(schemes("store")))
class TestEveryStore(StoreContract, FamiliesContract):
    @pytest.fixture
    def open_it(self, scheme, tmp_path):
        url = importlib.import_module(f"earshot.store.{scheme}").CONTRACT_URL.format(tmp=tmp_path)
        return lambda *, writable: open_store(url, writable=writable)
