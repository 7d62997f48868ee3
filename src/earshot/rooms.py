"""Open a room by URL: the scheme names the module, its `connect` makes the thing."""

import importlib
import pkgutil
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from earshot.errors import MissingExtraError, UnknownSchemeError


def schemes(room: str) -> frozenset[str]:
    """Schemes a room knows: its own modules and the installed plug-ins."""
    package = importlib.import_module(f"earshot.{room}")
    own = {m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")}
    return frozenset(own | {e.name for e in entry_points(group=f"earshot.{room}")})


def open_room(room: str, url: str, **options: Any) -> Any:  # noqa: ANN401 - each room wraps this with its own type
    """Build what stands behind `url`, importing only the module that is asked for."""
    scheme = url.partition(":")[0]
    if scheme not in schemes(room):
        raise UnknownSchemeError(room, scheme, schemes(room))
    plugin = next(iter(entry_points(group=f"earshot.{room}", name=scheme)), None)
    target = plugin.module if plugin else f"earshot.{room}.{scheme}"
    try:
        return importlib.import_module(target).connect(url, **options)
    except ModuleNotFoundError as e:
        if e.name is None or find_spec(e.name.partition(".")[0]) is not None:
            raise
        raise MissingExtraError(room, scheme, e.name) from e
