# The server, the commands and the shipped checkpoints, on CPU and on NVIDIA GPUs alike (torch's wheels bring CUDA).
#
#   docker build -t srcid .                                        from python:3.11-slim
#   docker build --build-arg BASE_IMAGE=my-python -t srcid .       from any image with Python 3.11 to 3.13, venv and pip
#   docker build --build-arg EXTRAS=cluster,parquet,align,hub,ray -t srcid .   with Ray, which only `srcid index --engine ray` needs
#   docker run --read-only --tmpfs /tmp -v srcid:/data -p 127.0.0.1:8000:8000 -e SRCID_ALLOW_ANONYMOUS=true srcid

ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
ARG EXTRAS=cluster,parquet,align,hub
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/srcid
WORKDIR /build
# The dependencies are a layer of their own: it is built anew only where they have changed.
COPY pyproject.toml requirements.lock README.md LICENSE ./
RUN mkdir app model training \
    && /opt/srcid/bin/pip install --constraint requirements.lock ".[${EXTRAS}]" \
    && /opt/srcid/bin/pip uninstall --yes srcid
COPY app app
COPY model model
COPY srcid srcid
COPY training training
RUN /opt/srcid/bin/pip install --no-deps .

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="SRCID" \
      org.opencontainers.image.description="Video, sound and text as one vocabulary of discrete codes, and search" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data srcid \
    && install --directory --owner=srcid --group=srcid /data /media
COPY --from=build /opt/srcid /opt/srcid
ENV PATH=/opt/srcid/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    SRCID_HOST=0.0.0.0 \
    SRCID_DATA_DIR=/data \
    HF_HOME=/data/huggingface
USER srcid
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('SRCID_PORT', 8000)}/readyz\", timeout=4)"]
ENTRYPOINT ["srcid"]
CMD ["serve"]
