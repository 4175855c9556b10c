// The server as a process of its own, for tests that have to kill it. Prints one JSON line when it listens.

import { parseArgs } from "node:util";
import { createLog } from "../telemetry/log.ts";
import { startLocalGcs } from "./server.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: "string", default: "0" },
    host: { type: "string", default: "127.0.0.1" },
    bucket: { type: "string", multiple: true, default: [] },
    "hierarchical-namespace": { type: "boolean", default: false },
    admin: { type: "boolean", default: false },
  },
});
const [directory] = positionals;
if (directory === undefined)
  throw new Error(
    "usage: serve.ts DIR [--port N] [--host H] [--bucket NAME] [--hierarchical-namespace] [--admin]",
  );

const server = await startLocalGcs({
  directory,
  port: Number(values.port),
  host: values.host,
  buckets: values.bucket,
  hierarchical: values["hierarchical-namespace"],
  admin: values.admin,
  log: createLog("silent"),
});
process.stdout.write(`${JSON.stringify({ url: server.url, port: server.port })}\n`);
process.once("SIGTERM", () => void server.close());
