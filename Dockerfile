# The gateway with an embedded Postgres; JTGATE_DATABASE_URL makes it use another one.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /opt/jtgate \
 && /opt/jtgate/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY gateway gateway
COPY protocol protocol
COPY storage storage
COPY alarms alarms
COPY simulator simulator
COPY benchmarks benchmarks
RUN /opt/jtgate/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --create-home --home-dir /var/lib/jtgate jtgate
COPY --from=build /opt/jtgate /opt/jtgate
ENV PATH=/opt/jtgate/bin:$PATH \
    JTGATE_HOST=0.0.0.0 \
    JTGATE_DATA_DIR=/var/lib/jtgate/data \
    JTGATE_LOG_FORMAT=json
USER jtgate
VOLUME /var/lib/jtgate/data
EXPOSE 7808/tcp 7808/udp 8080/tcp
HEALTHCHECK CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('JTGATE_HTTP_PORT', 8080)}/healthz\", timeout=3)"]
# With --init (or `init: true` in compose), so that the children of a database that was killed are reaped.
ENTRYPOINT ["jtgate"]
CMD ["serve"]
