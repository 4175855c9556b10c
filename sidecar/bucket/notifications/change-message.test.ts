import test from "ava";

import { decodeChange } from "./change-message.ts";

const attributes = {
  notificationConfig: "projects/_/buckets/b/notificationConfigs/1",
  eventType: "OBJECT_FINALIZE",
  payloadFormat: "NONE",
  bucketId: "b",
  objectId: "a/b ü.txt",
  objectGeneration: "1790000000000001",
  eventTime: "2026-01-02T03:04:05.678901Z",
};

test("a message tells which object changed, how, and to which generation", (t) => {
  t.deepEqual(decodeChange("b", attributes), {
    object: "a/b ü.txt",
    kind: "written",
    generation: 1790000000000001n,
    replacedBy: undefined,
    atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  });
  const replaced = { ...attributes, eventType: "OBJECT_DELETE", overwrittenByGeneration: "1790000000000009" };
  t.like(decodeChange("b", replaced), { kind: "removed", replacedBy: 1790000000000009n });
  t.like(decodeChange("b", { ...attributes, eventType: "OBJECT_ARCHIVE" }), { kind: "removed" });
  t.like(decodeChange("b", { ...attributes, eventType: "OBJECT_METADATA_UPDATE" }), { kind: "attributes" });
});

test("what says nothing of this bucket is no change", (t) => {
  for (const odd of [
    { bucketId: "other" },
    { eventType: "OBJECT_READ" },
    { eventType: "constructor" },
    { objectGeneration: "new" },
    { objectGeneration: 7 },
    { objectId: undefined },
    { objectId: "" },
  ])
    t.is(decodeChange("b", { ...attributes, ...odd }), undefined, JSON.stringify(odd));
  for (const none of [undefined, null, "text", 7, []]) t.is(decodeChange("b", none), undefined);
});

test("a change whose time cannot be read may be of just now", (t) => {
  t.is(decodeChange("b", { ...attributes, eventTime: "soon" })?.atMs, Number.POSITIVE_INFINITY);
});
