"""Every live room keeps the contract; a new file in `earshot/live/` is found by itself."""

import pytest

from earshot.live import open_live
from earshot.rooms import schemes
from earshot.testing.live import LiveContract


@pytest.mark.parametrize("scheme", sorted(schemes("live")))
class TestEveryLive(LiveContract):
    @pytest.fixture
    def open_it(self, scheme):
        return lambda feed: open_live(f"{scheme}:", feed=feed)
