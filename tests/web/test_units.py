"""The web app's own unit tests, run with the Node that the build uses."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _tool():
    spec = importlib.util.spec_from_file_location("build_web", ROOT / "tools" / "build_web.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def node():
    if not (ROOT / "web" / "node_modules" / "vitest").is_dir():
        pytest.skip("the web app's packages are not installed (make web)")
    return _tool().node()[0]


def test_the_web_apps_units_hold(node):
    vitest = ROOT / "web" / "node_modules" / "vitest" / "vitest.mjs"

    done = subprocess.run(
        [node, str(vitest), "run"], cwd=ROOT / "web", capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_what_is_built_is_what_the_sources_say():
    tool = _tool()
    if not tool.DIST.is_dir():
        pytest.skip("the web app is not built (make web)")
    assert tool.built()
