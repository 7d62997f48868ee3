"""Every log in the room keeps the contract; a new file in `earshot/log/` is found by itself."""

import importlib

import pytest

from earshot.log import open_log
from earshot.rooms import schemes
from earshot.testing.log import LogContract


@pytest.mark.parametrize("scheme", sorted(schemes("log")))
class TestEveryLog(LogContract):
    @pytest.fixture
    def open_it(self, scheme, tmp_path):
        url = importlib.import_module(f"earshot.log.{scheme}").CONTRACT_URL.format(tmp=tmp_path)
        return lambda **options: open_log(url, **options)
