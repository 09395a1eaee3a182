# m2s in a container. PyTorch as the lock has it brings CUDA along, so that one image serves CPUs and NVIDIA GPUs: the machine
# needs its driver alone. For CPUs alone, TORCH=cpu takes PyTorch's build without CUDA, and the image is far smaller.
#   docker build -t m2s .                                   arguments: --build-arg TORCH=cpu
#       --build-arg BASE=… for another image with Python 3.11 to 3.13 on Debian
#   docker run --rm -v "$PWD/results:/results" m2s reproduce               with a GPU: docker run --gpus all --ipc host …
#   docker run --rm -p 8888:8888 m2s lab
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}
ARG TORCH=cuda
RUN apt-get update && apt-get install -y --no-install-recommends make git \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /m2s
# The environment first, so that a change of the code does not install it again. The build without CUDA has the versions
# of the lock, but comes from PyTorch's own index, with hashes that are not in the lock.
COPY requirements.lock pyproject.toml ./
RUN python -m venv .venv \
    && if [ "$TORCH" = cpu ]; then \
        .venv/bin/python -m pip install --no-cache-dir uv \
        && .venv/bin/python -m uv pip install --python .venv --no-cache --torch-backend cpu --no-verify-hashes \
            --constraint requirements.lock --requirement pyproject.toml --extra test setuptools; \
    else \
        .venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements.lock; \
    fi
COPY . .
RUN .venv/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && touch .venv/.installed
ENV PATH=/m2s/.venv/bin:$PATH M2S_RESULTS=/results
# "lab" and "reproduce" are the two commands of the README; anything else is a command of m2s.
ENTRYPOINT ["/bin/sh", "/m2s/docs/cluster/start.sh"]
CMD ["reproduce"]
