"""Every route of the API, found by itself, with the right it asks for."""

from earshot.api.deps import May
from earshot.api.openapi import ROUTERS

PUBLIC = {
    ("POST", "/api/v1/sessions"),
    ("POST", "/api/v1/setup"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),  # from this machine only; else it asks for `metrics:read` itself
}
"""Routes that nobody needs a right for."""
EXAMPLES = {
    "{source}": "mastodon",
    "{id:path}": "1",
    "{id}": "1",
    "{rule}": "1",
    "{session}": "999",
    "{token}": "999",
}


def api_routes():
    return [(prefix + r.path, r) for router, prefix in ROUTERS for r in router.routes]


def right_of(route):
    """The action a route asks for; None: it asks for none."""
    found = [d.call.action for d in _dependants(route.dependant) if isinstance(d.call, May)]
    assert len(found) <= 1, f"{route.path} asks for several rights: {found}"
    return found[0] if found else None


def _dependants(dependant):
    for inner in dependant.dependencies:
        yield inner
        yield from _dependants(inner)


def address(path):
    for name, example in EXAMPLES.items():
        path = path.replace(name, example)
    return path


def calls():
    """(method, address, right) of every route; the endless stream is not among them."""
    return [
        (method, address(path), right_of(route))
        for path, route in api_routes()
        for method in sorted(route.methods - {"HEAD"})
        if not path.endswith("/stream")
    ]
