"""Every control room keeps the contract; a new file in `earshot/control/` is found by itself."""

import importlib

import pytest

from earshot.control import open_control
from earshot.rooms import schemes
from earshot.testing.control import ControlContract


@pytest.mark.parametrize("scheme", sorted(schemes("control")))
class TestEveryControl(ControlContract):
    @pytest.fixture
    def open_it(self, scheme, tmp_path):
        url = importlib.import_module(f"earshot.control.{scheme}").CONTRACT_URL.format(tmp=tmp_path)
        return lambda clock: open_control(url, clock=clock)
