// A small server that speaks Google Cloud Storage's JSON API and keeps its objects in a directory.
//
// What it has acknowledged survives the end of the process at any moment. It is meant for one machine: no
// authentication, plain HTTP, and it listens on 127.0.0.1 unless told otherwise.

import fastify, { type FastifyInstance } from "fastify";
import { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import { addAdminRoutes } from "./admin/routes.ts";
import { Conditions } from "./admin/conditions.ts";
import { createBucket, hierarchicalSettings } from "./api/buckets.ts";
import { ApiError } from "./api-error.ts";
import { HttpInterface } from "./http.ts";
import { isHierarchical } from "./resources.ts";
import { Store } from "./store.ts";

export interface LocalGcsOptions {
  /** Where objects are kept; made if it does not exist. One server at a time may use it. */
  readonly directory: string;
  /** 0: any free port. */
  readonly port: number;
  readonly host: string;
  /** Buckets to make if they do not exist yet. */
  readonly buckets: string[];
  /** Whether buckets made here have folders of their own; those that exist stay what they are. */
  readonly hierarchical?: boolean;
  /** Whether tests may impose faults and read the request log. */
  readonly admin: boolean;
  readonly log: Log;
}

export interface LocalGcs {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Starts the server; it accepts requests when this resolves. Throws DirectoryInUse for a directory in use. */
export async function startLocalGcs(options: LocalGcsOptions): Promise<LocalGcs> {
  const { log } = options;
  const store = await Store.open(options.directory, log);
  const requests = new Background((name, err) => log.error({ err }, `${name} failed`));
  const app = createApp(store, requests, options.admin);
  try {
    await makeBuckets(store, options);
    await app.listen({ port: options.port, host: options.host });
  } catch (error) {
    await store.close();
    throw error;
  }
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  const url = `http://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`;
  log.info({ url, directory: options.directory, admin: options.admin }, "local-gcs is listening");
  const stop = async (): Promise<void> => {
    await app.close();
    await requests.idle();
    await store.close();
  };
  let stopped: Promise<void> | undefined;
  return { url, port, close: () => (stopped ??= stop()) };
}

async function makeBuckets(
  store: Store,
  { buckets, hierarchical = false, log }: LocalGcsOptions,
): Promise<void> {
  for (const name of buckets) {
    const known = store.buckets.find(name);
    if (known === undefined) await createBucket(store, name, hierarchical ? hierarchicalSettings : {});
    else if (hierarchical && !isHierarchical(known))
      log.warn({ bucket: name }, "the bucket exists and is flat; it cannot be made hierarchical");
  }
}

function createApp(store: Store, requests: Background, admin: boolean): FastifyInstance {
  const conditions = new Conditions();
  const http = new HttpInterface(store, conditions);
  const isAdmin = (url: string): boolean => admin && /^\/(?:admin|retry_test)(?:[/?]|$)/.test(url);
  const app = fastify({
    forceCloseConnections: true,
    // Routing decodes paths, and an object's name must stay one segment: all but admin goes to one route.
    rewriteUrl: ({ url = "/" }) => (isAdmin(url) ? url : "/"),
  });
  app.all("/", {
    onRequest: (request, reply) => {
      reply.hijack();
      requests.start("answering a request", () => http.handle(request.raw, reply.raw, request.originalUrl));
    },
    handler: () => undefined,
  });
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const known =
      error instanceof ApiError ? error : new ApiError(error.statusCode ?? 500, "invalid", error.message);
    return reply.code(known.status).send(known.toJson());
  });
  if (admin) addAdminRoutes(app, conditions, store);
  return app;
}
