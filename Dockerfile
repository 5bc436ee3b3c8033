# One binary on a bare Debian. Build: docker build -t symdepot .   Run: docker run -p 8000:8000 -v symdepot:/data -e SYMDEPOT_PUBLIC_URL=http://HOST:8000 symdepot

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Without debug information, which is five times as large as the rest.
RUN cargo build --profile dist --locked --bin symdepot && strip target/dist/symdepot

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --user-group --no-create-home symdepot \
    && install -d -o symdepot -g symdepot /data
COPY --from=build /src/target/dist/symdepot /usr/local/bin/symdepot
# Whom to trust, for S3, PostgreSQL, Redis and upstreams behind TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/LICENSE-MIT /src/LICENSE-APACHE /usr/share/doc/symdepot/
USER symdepot
ENV SYMDEPOT_LISTEN=0.0.0.0:8000 \
    SYMDEPOT_DATA_DIR=/data
VOLUME /data
EXPOSE 8000
# Interrupt, not kill: the server ends requests and gives back its leases first.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["symdepot", "health"]
ENTRYPOINT ["symdepot"]
CMD ["serve"]
