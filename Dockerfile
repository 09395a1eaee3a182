# m2s in a container, for CPUs and NVIDIA GPUs: PyTorch brings CUDA with it, so that the machine needs its driver alone.
#   docker build -t m2s .                       --build-arg BASE=… for another image with Python 3.11 to 3.13 on Debian
#   docker run --rm -v "$PWD/results:/m2s/results" m2s reproduce            with a GPU: docker run --gpus all …
#   docker run --rm -p 8888:8888 m2s lab
# Apptainer: apptainer build m2s.sif docker-daemon://m2s:latest; apptainer run --nv m2s.sif reproduce
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends make git \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /m2s
# The environment first, so that a change of the code does not install it again.
COPY requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN .venv/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && touch .venv/.installed
ENV PATH=/m2s/.venv/bin:$PATH
# "lab" and "reproduce" are the two commands of the README; anything else is a command of m2s.
ENTRYPOINT ["/bin/sh", "/m2s/docs/cluster/start.sh"]
CMD ["reproduce"]
