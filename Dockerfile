# syntax=docker/dockerfile:1
# The service as one image: a small Java runtime, the KCL's jars, the Python packages and the code; the service is PID 1.
FROM debian:bookworm-slim AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates openjdk-17-jdk-headless binutils \
 && rm -rf /var/lib/apt/lists/*
# Only the modules that the daemon loads: a quarter of the whole runtime's size.
RUN jlink --add-modules java.base,java.compiler,java.desktop,java.logging,java.management,java.naming,java.net.http,java.security.jgss,java.sql,java.xml,jdk.crypto.ec,jdk.unsupported \
      --strip-debug --no-header-files --no-man-pages --compress=2 --output /opt/java
WORKDIR /opt/sensorstream
COPY requirements/bootstrap.txt requirements/product.txt requirements/
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/bootstrap.txt \
 && /opt/venv/bin/uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes requirements/bootstrap.txt requirements/product.txt \
 && test "$(find /opt/venv -name '*.jar' | wc -l)" -ge 70
COPY config config
COPY consumer consumer
COPY producer producer
RUN /opt/venv/bin/python -m compileall -q /opt/venv/lib consumer producer

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sensorstream
COPY --from=build /opt/java /opt/java
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/sensorstream /opt/sensorstream
WORKDIR /opt/sensorstream
ENV JAVA=/opt/java/bin/java \
    PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HTTP_HOST=0.0.0.0 \
    LOG_FORMAT=json
USER 10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('HTTP_PORT', '8080')}/healthz\", timeout=4)"]
CMD ["python", "-m", "consumer"]
