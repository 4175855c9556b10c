// The admin interface over HTTP. Its own requests are neither logged nor subject to any condition.

import type { FastifyInstance } from "fastify";
import { ApiError, invalid } from "../api-error.ts";
import type { Clock } from "../clock.ts";
import type { FolderRenames } from "../folder-renames.ts";
import type { Conditions } from "./conditions.ts";
import type { FaultRule } from "./faults.ts";
import type { Instructions } from "./retry-tests.ts";

const number = (minimum?: number) =>
  ({ type: "number", ...(minimum === undefined ? {} : { minimum }) }) as const;
const text = { type: "string" } as const;

const object = (properties: Record<string, unknown>, ...required: string[]) => ({
  schema: { body: { type: "object", properties, required, additionalProperties: false } },
});

const faultRules = {
  schema: {
    body: {
      type: "array",
      items: {
        type: "object",
        properties: {
          method: text,
          bucket: text,
          name: text,
          action: text,
          count: number(0),
          fraction: { type: "number", minimum: 0, maximum: 1 },
        },
        required: ["action"],
        additionalProperties: false,
      },
    },
  },
};

const retryTest = object(
  { instructions: { type: "object", additionalProperties: { type: "array", items: text } } },
  "instructions",
);

/** What of the store itself tests may change. */
interface Adjustable {
  readonly clock: Clock;
  readonly hierarchy: { readonly renames: Pick<FolderRenames, "takesMs" | "fails" | "newGenerations"> };
}

export function addAdminRoutes(app: FastifyInstance, conditions: Conditions, store: Adjustable): void {
  addRetryTests(app, conditions);
  addFaults(app, conditions);
  addRequestLog(app, conditions);
  app.put<{ Body: { ms: number; bytesPerSecond?: number } }>(
    "/admin/latency",
    object({ ms: number(0), bytesPerSecond: number(0) }, "ms"),
    (request) => {
      conditions.link.latencyMs = request.body.ms;
      conditions.link.bytesPerSecond = request.body.bytesPerSecond || undefined;
      return {};
    },
  );
  app.put<{ Body: { writesPerSecond: number } }>(
    "/admin/object-rate",
    object({ writesPerSecond: number(0) }, "writesPerSecond"),
    (request) => {
      conditions.objectRate.writesPerSecond = request.body.writesPerSecond || undefined;
      return {};
    },
  );
  app.put<{ Body: { aheadMs: number } }>(
    "/admin/clock",
    object({ aheadMs: number() }, "aheadMs"),
    (request) => {
      store.clock.aheadMs = request.body.aheadMs;
      return {};
    },
  );
  app.put<{ Body: { takesMs?: number; fails?: boolean; newGenerations?: boolean } }>(
    "/admin/folder-renames",
    object({ takesMs: number(0), fails: { type: "boolean" }, newGenerations: { type: "boolean" } }),
    ({ body: { takesMs = 0, fails = false, newGenerations = false } }) => {
      Object.assign(store.hierarchy.renames, { takesMs, fails, newGenerations });
      return {};
    },
  );
}

function addRetryTests(app: FastifyInstance, { retryTests }: Conditions): void {
  app.post<{ Body: { instructions: Instructions } }>("/retry_test", retryTest, (request) =>
    orInvalid(() => retryTests.create(request.body.instructions)),
  );
  app.get<{ Params: { id: string } }>("/retry_test/:id", (request) => {
    const test = retryTests.get(request.params.id);
    if (test === undefined) throw new ApiError(404, "notFound", "There is no such retry test.");
    return test;
  });
  app.delete<{ Params: { id: string } }>("/retry_test/:id", (request) => {
    if (retryTests.delete(request.params.id)) return {};
    throw new ApiError(404, "notFound", "There is no such retry test.");
  });
}

function addFaults(app: FastifyInstance, { faults }: Conditions): void {
  app.get("/admin/faults", () => faults.remaining);
  app.post<{ Body: FaultRule[] }>("/admin/faults", faultRules, (request) => {
    orInvalid(() => faults.add(request.body));
    return faults.remaining;
  });
  app.delete<{ Querystring: { bucket?: string } }>("/admin/faults", (request) => {
    faults.clear(request.query.bucket);
    return {};
  });
}

function addRequestLog(app: FastifyInstance, { requests }: Conditions): void {
  app.get<{ Querystring: { after?: string } }>("/admin/requests", (request, reply) => {
    const after = Number(request.query.after ?? 0);
    if (!Number.isSafeInteger(after)) throw invalid("Invalid value for after.");
    void reply
      .header("x-last-sequence", requests.last)
      .header("x-dropped-requests", requests.droppedAfter(after));
    return requests.after(after);
  });
  app.delete("/admin/requests", () => {
    requests.clear();
    return {};
  });
}

function orInvalid<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof RangeError ? invalid(error.message) : error;
  }
}
