# The images for docker-compose.yml: the targets `server`, `worker`, `temporal` and `database-roles`. The target `archive`
# is the release archive: docker build --target archive --output DIRECTORY .

FROM rust:1.95-bookworm AS build
# npm provides wasm-opt, because Debian's binaryen is too old.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends nodejs npm \
    && rm -rf /var/lib/apt/lists/*
RUN rustup target add wasm32-unknown-unknown
WORKDIR /src
COPY . .
# Tools, crates and build output stay in the builder's caches rather than in an image. The toolchain is the one in the
# image, because rust-toolchain.toml would make rustup download one with components that only the tests need.
ARG SOURCE_DATE_EPOCH
RUN --mount=type=cache,target=/tools,sharing=locked \
    --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    export BATCHLINE_CACHE=/tools RUSTUP_TOOLCHAIN="$(rustup default | cut -d" " -f1)" \
    && script/package /out \
    && mv /out/batchline-*/ /release

FROM scratch AS archive
COPY --from=build /out/ /

# An unpacked archive. The release workflow replaces this stage by the one that it publishes, and compiles nothing again.
FROM scratch AS release
COPY --from=build /release/ /

FROM debian:bookworm-slim AS runtime
# The certificates are needed for s3://, gs:// and az:// storage and for Temporal over TLS.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 batchline \
    && install --directory --owner=batchline --mode=700 /data/uploads /data/scratch \
    && install --directory /empty
# As in xtask/src/services.rs: otherwise glibc keeps an arena of freed memory for each of many threads.
ENV STORAGE_URL=file:///data/uploads TMPDIR=/data/scratch MALLOC_ARENA_MAX=2
WORKDIR /app
USER batchline

FROM runtime AS server
COPY --from=release /bin/server /usr/local/bin/server
COPY --from=release /site /app/site
ENV SITE_ROOT=/app/site WEB_ADDR=0.0.0.0:3000 API_ADDR=0.0.0.0:8000 SERVER_METRICS_ADDR=0.0.0.0:9465
EXPOSE 3000 8000 9465
HEALTHCHECK --interval=5s --timeout=15s --start-period=60s --retries=6 CMD ["server", "healthcheck"]
CMD ["server"]

FROM runtime AS worker
COPY --from=release /bin/worker /usr/local/bin/worker
ENV METRICS_ADDR=0.0.0.0:9464
EXPOSE 9464
HEALTHCHECK --interval=5s --timeout=15s --start-period=60s --retries=6 CMD ["worker", "healthcheck"]
CMD ["worker"]

FROM temporalio/temporal:1.9.1 AS temporal
# A new volume gets the owner of its mount point. Otherwise the image's user couldn't write to it.
COPY --from=runtime --chown=1000:1000 /empty /data

FROM postgres:18 AS database-roles
COPY --chmod=644 script/lib/database_roles.sql /
USER postgres
ENTRYPOINT ["psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file=/database_roles.sql"]
