"""Every source in the room keeps the contract; a new file in `earshot/sources/` is found by itself.

A source's module says where its contract world is by `contract_url(folder)`, which may write into
the folder. A source that needs a server has a fixture `contract_<scheme>` here instead, which gives
the URL and the options to open it with.
"""

import importlib
import threading

import pytest
from tests.simulators.jetstream import JetstreamSimulator

from earshot.clock import SystemClock
from earshot.rooms import schemes
from earshot.sources import open_source
from earshot.sources.bluesky import Timing
from earshot.testing.sources import SourceContract


@pytest.mark.parametrize("scheme", sorted(schemes("sources")))
class TestEverySource(SourceContract):
    @pytest.fixture
    def make_source(self, scheme, tmp_path, request):
        module = importlib.import_module(f"earshot.sources.{scheme}")
        if hasattr(module, "contract_url"):
            url, options = module.contract_url(tmp_path), {}
        else:
            url, options = request.getfixturevalue(f"contract_{scheme}")
        return lambda: open_source(url, clock=SystemClock(), options=options)


@pytest.fixture
def contract_bluesky():
    """A Jetstream that publishes as long as the test runs."""
    done = threading.Event()

    def publish(sim):
        while not done.wait(0.01):
            sim.publish(10)

    with JetstreamSimulator() as sim:
        sim.publish(100)
        publisher = threading.Thread(target=publish, args=(sim,))
        publisher.start()
        yield "bluesky:", {"hosts": (sim.url,), "timing": Timing(chunk=7)}
        done.set()
        publisher.join()
