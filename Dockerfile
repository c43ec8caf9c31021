# Two images. `service` (the default): a small Java runtime, the KCL's jars, the service's Python packages and its code;
# the service is PID 1. `tools`: the commands besides, with the simulator's MQTT client.
# Made by infra/image/build.sh, which says more.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Slim images have no folder for the links to manuals that java's package makes.
# hadolint ignore=DL3008
RUN apt-get update \
 && mkdir -p /usr/share/man/man1 \
 && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates openjdk-17-jdk-headless binutils \
 && rm -rf /var/lib/apt/lists/*
# Only the modules that the daemon loads: a quarter of the whole runtime's size. Its options keep java out of /tmp,
# which cannot be written to.
RUN jlink --add-modules java.base,java.compiler,java.desktop,java.logging,java.management,java.naming,java.net.http,java.security.jgss,java.sql,java.xml,jdk.crypto.ec,jdk.unsupported \
      --strip-debug --no-header-files --no-man-pages --compress=2 \
      --add-options="-XX:-UsePerfData -Djava.io.tmpdir=/run/sensorstream" --output /opt/java
COPY requirements/bootstrap.txt requirements/build.txt requirements/tools.txt requirements/service.txt requirements/jars.sha256 /tmp/requirements/
# The tool that installs stays out of the environment. The KCL's setup fetches its jars from Maven and checks none; the
# list of their hashes is made again in .venv's folder amazon_kclpy/jars: sha256sum *.jar
RUN --mount=type=secret,id=indexes --mount=type=secret,id=authorities \
    if [ -f /run/secrets/indexes ]; then source /run/secrets/indexes; fi \
 && python3 -m venv /tmp/tools \
 && /tmp/tools/bin/pip install --no-cache-dir --require-hashes -r /tmp/requirements/bootstrap.txt \
 && python3 -m venv --without-pip /opt/venv \
 && /tmp/tools/bin/uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes \
      --build-constraints /tmp/requirements/build.txt /tmp/requirements/tools.txt \
 && jars=$(echo /opt/venv/lib/python3*/site-packages/amazon_kclpy/jars) \
 && sed "s|  |  $jars/|" /tmp/requirements/jars.sha256 | sha256sum --quiet --check \
 && test "$(wc -l </tmp/requirements/jars.sha256)" = "$(find "$jars" -name '*.jar' | wc -l)"
# 35 MB less: symbols for debuggers, and what botocore knows of services that nothing here asks.
RUN find /opt/venv -name '*.so*' -type f -exec strip --strip-unneeded {} + \
 && find /opt/venv/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d -regextype posix-egrep \
      ! -regex '.*/(cloudformation|cloudwatch|dynamodb|ecs|iot|iot-data|kinesis|lambda|logs|s3|service-quotas|sns|sqs|ssm|sso|sso-oidc|sts)' -exec rm -r {} + \
 && rm -f /opt/venv/.lock
# The package as its wheel has it, so that the version is the metadata's. What is read by people only stays out.
WORKDIR /tmp/source
COPY LICENSE pyproject.toml ./
COPY config/kcl.properties config/logback.xml config/
COPY consumer consumer
COPY producer producer
RUN --mount=type=secret,id=indexes --mount=type=secret,id=authorities \
    if [ -f /run/secrets/indexes ]; then source /run/secrets/indexes; fi \
 && touch README.md \
 && /tmp/tools/bin/uv build -q --no-cache --wheel --require-hashes --build-constraints /tmp/requirements/build.txt --out-dir /tmp/wheel \
 && /tmp/tools/bin/uv pip install -q --no-cache --no-deps --target /opt/sensorstream /tmp/wheel/*.whl \
 && rm -rf /opt/sensorstream/bin /opt/sensorstream/.lock \
# Compiled code that is valid whatever becomes of the files' times.
 && python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/venv/lib /opt/sensorstream

FROM build AS build-service
RUN /tmp/tools/bin/uv pip sync -q --offline --python /opt/venv/bin/python --require-hashes /tmp/requirements/service.txt \
 && rm -rf /opt/sensorstream/producer /opt/venv/.lock

FROM ${BASE} AS runtime
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# What was fixed since the base was made comes along. Nothing of a build's day or machine stays: logs, caches, lists.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get upgrade -y \
 && apt-get install -y --no-install-recommends python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/* /var/cache/debconf/*-old /var/lib/dpkg/*-old \
      /var/log/* \
 && python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3* \
 && echo 'sensorstream:x:10001:10001::/run/sensorstream:/usr/sbin/nologin' >>/etc/passwd \
 && echo 'sensorstream:x:10001:' >>/etc/group \
 && install -d -o 10001 -g 10001 -m 700 /run/sensorstream \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
WORKDIR /opt/sensorstream
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/run/sensorstream \
    TMPDIR=/run/sensorstream \
    LOG_FORMAT=json
ARG BASE
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sensorstream" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.revision="${REVISION}"
# The only place that is written to; an empty volume here gets the folder's owner.
VOLUME /run/sensorstream
USER 10001:10001
STOPSIGNAL SIGTERM

FROM runtime AS tools
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/sensorstream /opt/sensorstream
ENV DEVICES_DIR=/run/sensorstream/devices
CMD ["python", "-m", "producer", "--help"]

FROM runtime AS service
COPY --from=build /opt/java /opt/java
COPY --from=build-service /opt/venv /opt/venv
COPY --from=build-service /opt/sensorstream /opt/sensorstream
ENV JAVA=/opt/java/bin/java \
    RUN_DIR=/run/sensorstream/consumer \
    HTTP_HOST=0.0.0.0
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('HTTP_PORT', '8080')}/healthz\", timeout=4)"]
CMD ["python", "-m", "consumer"]
