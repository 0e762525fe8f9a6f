# Build: needs the network for the crates; nothing else is downloaded.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY tests tests
COPY src src
RUN cargo build --locked --release --bin limpid

# Run: glibc and one binary.
FROM debian:bookworm-slim
COPY --from=build /src/target/release/limpid /usr/local/bin/limpid
COPY models /usr/share/limpid/models
# Group 0, so that platforms that choose the user themselves (any number, group 0) can write to /data.
RUN mkdir -p /data && chown 10001:0 /data && chmod 0770 /data
ENV LIMPID_SERVER__BIND=0.0.0.0:8080 \
    LIMPID_MODELS__DIR=/usr/share/limpid/models \
    LIMPID_MODELS__DATA_DIR=/data \
    LIMPID_LOG__FORMAT=json
USER 10001:0
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["limpid", "health"]
ENTRYPOINT ["limpid"]
# Beyond this machine Limpid wants keys (`limpid keys add`) or a plain `serve --allow-anonymous`.
CMD ["serve"]
