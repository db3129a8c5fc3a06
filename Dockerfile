# One image that runs every service: `docker run IMAGE edge`. Without a command it runs
# everything on the embedded log.
# Pinned by its digest: `make digests` writes the one that the tag has now.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Without pip: what the end image holds can run, but not install.
RUN python -m venv --without-pip /opt/stacks-feed
WORKDIR /source
COPY requirements.txt requirements-build.txt ./
# What the program needs, Parquet included, and what builds it, in a layer that outlives
# changes of the code. Every file is checked against its hash.
RUN pip --python /opt/stacks-feed/bin/python install \
        --only-binary :all: --require-hashes --requirement requirements.txt \
    && pip install --only-binary :all: --require-hashes --requirement requirements-build.txt
COPY . .
# What `stacks_feed_build_info` says: docker build --build-arg COMMIT=$(git rev-parse HEAD)
ARG COMMIT=
RUN if [ -n "$COMMIT" ]; then echo "$COMMIT" > app/COMMIT; fi
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/stacks-feed/bin/python install --no-deps --no-index /wheels/*.whl

FROM ${PYTHON_IMAGE}
RUN pip uninstall --yes --root-user-action ignore setuptools wheel pip \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/stacks-feed \
        --shell /usr/sbin/nologin stacks-feed
COPY --from=build /opt/stacks-feed /opt/stacks-feed
# In a container nobody could reach a service that listens on the loopback address.
ENV PATH=/opt/stacks-feed/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STACKS_FEED_HOST=0.0.0.0
USER stacks-feed
# The embedded log is in `data` below it, and so is what commands write; mount a volume
# here to keep both.
WORKDIR /var/lib/stacks-feed
EXPOSE 1999
STOPSIGNAL SIGTERM
ENTRYPOINT ["stacks-feed"]
CMD ["up"]
