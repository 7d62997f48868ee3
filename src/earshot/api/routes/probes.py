"""For those who run it: alive, ready, figures. Outside /api/v1."""

from fastapi import Request, Response

import earshot
from earshot.api import health, metrics
from earshot.api.deps import May, RoomsDep, SettingsDep
from earshot.api.routes import router
from earshot.api.schemas.collection import Health, Readiness

api = router("probes")


@api.get("/healthz", operation_id="health_get")
def healthz() -> Health:
    """The process answers."""
    return Health(ok=True, build=earshot.__version__)


@api.get(
    "/readyz",
    operation_id="health_ready",
    responses={503: {"model": Readiness, "description": "Some check does not hold."}},
)
def readyz(rooms: RoomsDep, settings: SettingsDep, response: Response) -> Readiness:
    """Each thing that must hold, by name; 503 when one does not."""
    found = health.readiness(rooms, settings)
    response.status_code = 200 if found.ready else 503
    return found


@api.get(
    "/metrics",
    operation_id="metrics_get",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def figures(request: Request, rooms: RoomsDep) -> Response:
    """Figures for Prometheus; from this machine without a right, from elsewhere with a token."""
    if not metrics.is_local(request):
        May("metrics:read")(request)
    return Response(metrics.text(rooms), media_type=metrics.MEDIA_TYPE)
