"""gateway/api/health.py"""

from prometheus_client.parser import text_string_to_metric_families


async def test_health_and_readiness(api):
    client = api.client(None)
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"ready": True, "reasons": []})
    api.reasons.append("the writer has stalled")
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "reasons": ["the writer has stalled"]}


async def test_metrics_are_prometheus_text(api):
    api.context.metrics.counters.reports_stored += 3
    response = await api.client(None).get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    families = {f.name: f for f in text_string_to_metric_families(response.text)}
    assert families["jtgate_reports_stored"].samples[0].value == 3
