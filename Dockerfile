# nightreel in a container:
#
#   docker build -t nightreel .
#   docker run --rm --stop-timeout 20 --user "$(id -u):$(id -g)" -v "$PWD:/night" --env-file nightreel.env \
#       -e TZ=Europe/Berlin nightreel run wedding.csv --gateway kling
#
# The ledger lies in the volume. Without `-v` it is gone with the container, and the next run would pay again.

# The Rust version is Cargo.toml's `rust-version`; the C compiler that SQLite and ring are built with comes along.
FROM rust:1.95-slim-trixie AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo ./.cargo
COPY src ./src
# Cargo looks whether they are there.
COPY benches ./benches
# The caches speed up the next build and are no part of any image.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin nightreel \
    && install -m 755 target/release/nightreel /usr/local/bin/nightreel

# The same Debian as above, for its C library; the slim one, because there must be a shell: `[notify] command` is run by it,
# and `docker exec` wants one. An image without any would save some tens of MB and lose that.
FROM debian:trixie-slim
# Certificates: TLS trusts what the system trusts. Time zones: `--until 06:00` is local time, and TZ names the place.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 nightreel \
    && useradd --uid 10001 --gid nightreel --no-create-home --home-dir /night --shell /usr/sbin/nologin nightreel \
    && install -d -o nightreel -g nightreel -m 755 /night /night/state /night/videos
COPY --from=build /usr/local/bin/nightreel /usr/local/bin/nightreel

# By number, so that who forbids root can see that it is none. `--user` names whoever owns a folder that is mounted.
USER 10001:10001
# All defaults are relative to it: nightreel.toml, state/nightreel.db, videos/.
WORKDIR /night
# One volume for ledger and videos. With one for each, a folder mounted at /night would find two anonymous volumes laid over
# its state/ and videos/, and `--rm` would throw away the ledger and what was paid for.
VOLUME /night
# `run --dashboard 0.0.0.0:8787` and `serve 0.0.0.0:8787`, with NIGHTREEL_DASHBOARD_TOKEN.
EXPOSE 8787
# SIGTERM (as `docker stop` sends it) ends a run in order, within ten seconds.
STOPSIGNAL SIGTERM
# No HEALTHCHECK: a run ends with a code that says how it went, and `[notify]` tells of it.
ENTRYPOINT ["nightreel"]
CMD ["--help"]
