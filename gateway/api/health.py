"""What watches the gateway asks without a key: alive, ready, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.api import models
from gateway.api.context import Ctx

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> models.Health:
    """The process answers."""
    return models.Health(status="ok")


@router.get("/readyz", responses={503: {"model": models.Readiness}})
async def readyz(context: Ctx) -> models.Readiness:
    """Whether reports are taken in and events read; if not, why not."""
    reasons = [*context.ready(), *filter(None, [context.stream.outage])]
    readiness = models.Readiness(ready=not reasons, reasons=reasons)
    if reasons:
        return JSONResponse(readiness.model_dump(), 503)  # type: ignore[return-value]
    return readiness


@router.get("/metrics", response_class=Response)
async def metrics(context: Ctx) -> Response:
    """Prometheus' text format."""
    return Response(context.metrics.render(), media_type=CONTENT_TYPE_LATEST)
