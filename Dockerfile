# syntax=docker/dockerfile:1
# error-notifier in an image without a shell, for a user without privileges.
#
#   docker build -t error-notifier .
#   docker run --rm -v alerts:/data error-notifier token create admin --scope admin --offline
#   docker run --read-only -p 127.0.0.1:8080:8080 -v alerts:/data error-notifier
#
# The first of them prints the API token without which a server on 0.0.0.0 does not start.

FROM rust:1.95-slim-bookworm AS build
# librdkafka is built from its source, and uses OpenSSL.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ make pkg-config libssl-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package error-notifier \
 && install -D target/release/error-notifier /image/usr/bin/error-notifier \
 && install -d /image/data

# It has glibc, libgcc and OpenSSL, and the roots that TLS trusts.
FROM gcr.io/distroless/cc-debian12:nonroot
# The folder is the user's, so that a volume mounted there is.
COPY --from=build --chown=nonroot:nonroot /image /
ENV ERROR_NOTIFIER_DATA_DIR=/data
USER nonroot
EXPOSE 8080
# What a container does not keep when it is replaced: embedded, the alerts.
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["/usr/bin/error-notifier", "health", "--timeout", "4s"]
ENTRYPOINT ["/usr/bin/error-notifier"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
