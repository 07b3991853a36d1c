# syntax=docker/dockerfile:1

# One static binary in an empty image: no shell, no libc, no root. Roots of trust are compiled in, so there is no
# certificate folder either. Build with `docker buildx bake`, which sets the labels.

# Kept equal to rust-toolchain.toml by `cargo xtask tidy`.
ARG RUST_VERSION=1.95.0

# Alpine's Rust builds for musl, which links statically.
FROM rust:${RUST_VERSION}-alpine AS build

# The cryptography under rustls is C and needs a compiler.
RUN apk add --no-cache build-base

WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY crates crates
COPY xtask xtask

ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=llmleaf-target-${TARGETARCH},sharing=locked \
    cargo build --release --locked --package llmleaf \
    && strip -o /llmleaf target/release/llmleaf

FROM scratch

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED
LABEL org.opencontainers.image.title="llmleaf" \
      org.opencontainers.image.description="One small proxy in front of every LLM provider" \
      org.opencontainers.image.source="https://github.com/llmleaf/llmleaf" \
      org.opencontainers.image.licenses="LGPL-3.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

COPY --from=build /llmleaf /llmleaf
COPY COPYING COPYING.LESSER /licenses/

# A number, because there is no passwd file to look a name up in; an orchestrator can check that it is not 0.
USER 65532:65532

# The config to mount. It must set `listen = "0.0.0.0:8080"`: the default is the loopback address, which nobody outside the
# container reaches.
ENV LLMLEAF_CONFIG=/etc/llmleaf.toml

EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/llmleaf"]
