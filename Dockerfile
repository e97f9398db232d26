# The API with its web client. Built with `docker build --tag parley .`; docs/deploy.md says how it is run, and how to pin
# the two base images by digest. `make image-steps` carries these steps out without an engine.

# Parley's tests run on this Python, and the web client is built by this Node.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
ARG NODE_IMAGE=docker.io/library/node:24.19.0-bookworm-slim

FROM ${NODE_IMAGE} AS web
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# no package's own scripts: they may download what the lock does not list
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY web ./web
RUN NODE_ENV=production node node_modules/vite/bin/vite.js build web --config web/vite.config.ts --logLevel warn

FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements-bootstrap.lock requirements.lock ./
# wheels alone, each with the hash of the lock: nothing is compiled, so no compiler is needed
RUN python -m venv /build/bootstrap \
    && /build/bootstrap/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --only-binary=:all: \
        --requirement requirements-bootstrap.lock \
    && python -m venv --without-pip /opt/parley \
    && /build/bootstrap/bin/uv pip sync --no-cache --no-config --require-hashes --no-build --compile-bytecode \
        --python /opt/parley/bin/python requirements.lock
COPY app /build/parley/app
COPY scripts/smoke.py /build/parley/scripts/smoke.py
COPY supabase/migrations /build/parley/supabase/migrations
COPY --from=web /build/web/dist /build/parley/web/dist
RUN python -m compileall -q /build/parley/app

FROM ${PYTHON_IMAGE} AS parley
COPY --from=packages /opt/parley /opt/parley
COPY --from=packages /build/parley /parley
WORKDIR /parley
ENV PATH=/opt/parley/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    PARLEY_HOST=0.0.0.0
EXPOSE 8000
# a number, so that `runAsNonRoot` can be checked; it owns nothing in the image
USER 10001:10001
# whether the process answers; whether it is ready for requests, a load balancer asks at /health/ready. Not urllib, which
# would take the proxy of HTTP_PROXY
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
connection = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PARLEY_PORT') or 8000), timeout=4); \
connection.request('GET', '/health/live'); \
sys.exit(connection.getresponse().status != 200)"]
# `docker run parley` serves, `docker run parley check` proves the settings
ENTRYPOINT ["python", "-m", "app"]
