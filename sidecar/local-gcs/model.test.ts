import test from "ava";
import fc from "fast-check";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createLog } from "../telemetry/log.ts";
import { startLocalGcs } from "./server.ts";
import { Client, objectPath, temporaryDirectory } from "./testing.ts";

type Action =
  | { readonly kind: "put"; readonly name: string; readonly text: string }
  | { readonly kind: "delete"; readonly name: string }
  | { readonly kind: "copyTo" | "moveTo"; readonly name: string; readonly to: string }
  | {
      readonly kind: "compose";
      readonly sources: readonly string[];
      readonly to: string;
      readonly remove: boolean;
    };

const name = fc.constantFrom("a", "b", "c/d", "ü");
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof<fc.Arbitrary<Action>[]>(
    fc.record({ kind: fc.constant("put" as const), name, text: fc.string() }),
    fc.record({ kind: fc.constant("delete" as const), name }),
    fc.record({ kind: fc.constantFrom("copyTo" as const, "moveTo" as const), name, to: name }),
    fc.record({
      kind: fc.constant("compose" as const),
      sources: fc.array(name, { minLength: 1, maxLength: 3 }),
      to: name,
      remove: fc.boolean(),
    }),
  ),
  { minLength: 20, maxLength: 20 },
);

/** What an action does to a bucket that is nothing but a map; the status it is answered with. */
function expectedStatus(bucket: Map<string, string>, action: Action): number {
  if (action.kind === "put") return (bucket.set(action.name, action.text), 200);
  if (action.kind === "delete") return bucket.delete(action.name) ? 204 : 404;
  if (action.kind === "compose") {
    const texts = action.sources.map((source) => bucket.get(source));
    if (texts.includes(undefined)) return 404;
    if (action.remove) for (const source of action.sources) bucket.delete(source);
    bucket.set(action.to, texts.join(""));
    return 200;
  }
  if (action.kind === "moveTo" && action.name === action.to) return 400;
  const text = bucket.get(action.name);
  if (text === undefined) return 404;
  if (action.kind === "moveTo") bucket.delete(action.name);
  bucket.set(action.to, text);
  return 200;
}

async function actualStatus(gcs: Client, action: Action): Promise<number> {
  if (action.kind === "put") return (await gcs.put(action.name, action.text)).status;
  if (action.kind === "delete") return (await gcs.send("DELETE", objectPath(action.name))).status;
  if (action.kind === "compose") {
    const sourceObjects = action.sources.map((source) => ({ name: source }));
    const body = { sourceObjects, deleteSourceObjects: action.remove };
    return (await gcs.send("POST", `${objectPath(action.to)}/compose`, { body })).status;
  }
  const bucket = action.kind === "copyTo" ? "b/bkt/" : "";
  const path = `${objectPath(action.name)}/${action.kind}/${bucket}o/${encodeURIComponent(action.to)}`;
  return (await gcs.send("POST", path)).status;
}

async function contents(gcs: Client): Promise<Map<string, string>> {
  const { json } = await gcs.get("/storage/v1/b/bkt/o?fields=items/name");
  const names = ((json["items"] ?? []) as { name: string }[]).map((item) => item.name);
  return new Map(await Promise.all(names.map(async (each) => [each, (await gcs.media(each)).text] as const)));
}

test("whatever is written, copied, moved, composed and deleted, the bucket holds what a map would hold", async (t) => {
  t.timeout(60_000);
  const directory = await temporaryDirectory(t);
  const options = {
    directory,
    port: 0,
    host: "127.0.0.1",
    buckets: ["bkt"],
    admin: false,
    log: createLog("silent"),
  };
  const bucket = new Map<string, string>();
  const property = fc.asyncProperty(actions, async (list) => {
    // Closing in between also shows that nothing is kept in memory only, and lets all removals of files end.
    const server = await startLocalGcs(options);
    const gcs = new Client(server.url);
    for (const action of list)
      t.is(await actualStatus(gcs, action), expectedStatus(bucket, action), JSON.stringify(action));
    t.deepEqual(
      await contents(gcs),
      new Map([...bucket].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))),
    );
    await server.close();
    const files = await readdir(join(directory, "data"));
    t.true(files.length <= bucket.size, `${files.length} files for ${bucket.size} objects`);
  });
  await fc.assert(property, { numRuns: 15, endOnFailure: true });
});
