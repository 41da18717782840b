# The operator's image: one static program, the certificate authorities, and a user. What is in it is laid out by
# tools/rootfs, here and for `make image-rootfs`, so that the tests run what is shipped. docs/image.md tells about it.
#
# `make image` builds it. For several platforms nothing is emulated: the build stage runs on the machine's own and compiles
# for the other.

# The version of rust-toolchain.toml; a test compares them.
ARG RUST_VERSION=1.95.0
# A bill of materials by BuildKit (`--sbom=true`) names what Cargo.lock names, not only the files of the image.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true

FROM --platform=$BUILDPLATFORM docker.io/library/rust:${RUST_VERSION}-slim-bookworm AS build
ARG RUST_VERSION
ARG TARGETARCH
# Nothing but the toolchain that the image has: rust-toolchain.toml asks for clippy and rustfmt, too.
ENV RUSTUP_TOOLCHAIN=${RUST_VERSION}
WORKDIR /src
# What compiles for the other architecture.
RUN set -eu; \
    architecture=${TARGETARCH:-$(dpkg --print-architecture)}; \
    if [ "$architecture" != "$(dpkg --print-architecture)" ]; then \
        case $architecture in \
            amd64) compiler=gcc-x86-64-linux-gnu triple=x86_64-unknown-linux-gnu ;; \
            arm64) compiler=gcc-aarch64-linux-gnu triple=aarch64-unknown-linux-gnu ;; \
            *) echo "no image is made for $architecture" >&2; exit 1 ;; \
        esac; \
        apt-get update; \
        apt-get install --yes --no-install-recommends "$compiler" "libc6-dev-$architecture-cross"; \
        rm -rf /var/lib/apt/lists/*; \
        rustup target add "$triple"; \
    fi
COPY . .
# Told by the metric `scrobble_operator_build_info`.
ARG REVISION=unknown
# Crates and what was compiled of them stay in the builder's cache, so that a change of the source compiles the source alone.
RUN --mount=type=cache,id=scrobble-operator-crates,target=/usr/local/cargo/registry \
    --mount=type=cache,id=scrobble-operator-target-${TARGETARCH},target=/src/target,sharing=locked \
    SCROBBLE_OPERATOR_REVISION="$REVISION" tools/rootfs ${TARGETARCH:+--architecture "$TARGETARCH"} --output /rootfs

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/scrobble-operator"]
CMD ["run"]
# Last, because they differ from build to build.
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=
LABEL org.opencontainers.image.title="scrobble-operator" \
      org.opencontainers.image.description="A Kubernetes operator that carries Spotify plays to scrobble services" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE:+${SOURCE}/blob/${REVISION}/docs/image.md}" \
      org.opencontainers.image.licenses="Apache-2.0"
