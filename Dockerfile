# syntax=docker/dockerfile:1
# The image of all processes of the gateway (target runtime, what a build without a target makes) and of its tests
# (target tests).
# glibc is needed: several locked wheels have no musl build.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
RUN python3 -m venv /opt/app
COPY requirements.lock ./
RUN /opt/app/bin/pip --no-cache-dir install --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY demail_gateway ./demail_gateway
RUN /opt/app/bin/pip --no-cache-dir install --disable-pip-version-check --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE} AS tests
WORKDIR /src
# what the tests compare with; Debian's current versions are wanted, as on any other machine
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl openssl procps xmlsec1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin demail \
    && chown 10001:10001 /src
USER 10001:10001
RUN python3 -m venv .venv
COPY --chown=10001:10001 requirements-dev.lock ./
RUN .venv/bin/pip --no-cache-dir install --disable-pip-version-check --require-hashes -r requirements-dev.lock
COPY --chown=10001:10001 . .
RUN .venv/bin/pip --no-cache-dir install --disable-pip-version-check --no-deps --no-build-isolation -e .
CMD [".venv/bin/python", "-m", "pytest", "-n", "2", "--dist", "loadfile"]

FROM ${PYTHON_IMAGE} AS runtime
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin demail \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/sandbox
COPY --from=build /opt/app /opt/app
WORKDIR /srv/demail
COPY LICENSE alembic.ini ./
COPY migrations ./migrations
ENV PATH=/opt/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080 8465
CMD ["demail-gateway", "api"]
