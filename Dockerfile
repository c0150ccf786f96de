# The service, the worker and the command line in one image: `docker run mainstay serve`, `… worker`, `… doctor`.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/mainstay
# Dependencies first: they change less often than the code, and their layer is kept.
COPY requirements-service.lock .
RUN /opt/mainstay/bin/pip install --require-hashes -r requirements-service.lock
COPY . .
# The build backend has come with the lock file, hash and all; what runs has no need of it.
RUN /opt/mainstay/bin/pip install --no-deps --no-build-isolation . \
 && /opt/mainstay/bin/pip uninstall --yes setuptools pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/mainstay --create-home mainstay
COPY --from=build /opt/mainstay /opt/mainstay
COPY examples /usr/share/mainstay/examples
ENV PATH=/opt/mainstay/bin:$PATH PYTHONUNBUFFERED=1 \
    MAINSTAY_DATABASE_URL=sqlite:////var/lib/mainstay/mainstay.db
USER mainstay
WORKDIR /var/lib/mainstay
VOLUME /var/lib/mainstay
EXPOSE 8080
# The slim image has no curl. urlopen raises, and so fails the check, for any status of 400 or more.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"MAINSTAY_PORT\", 8080)}/healthz', timeout=4)"]
# `mainstay serve` starts its own server processes. Without the MAINSTAY_AUTH_ settings it binds to loopback and refuses all else.
ENTRYPOINT ["mainstay"]
CMD ["serve"]
