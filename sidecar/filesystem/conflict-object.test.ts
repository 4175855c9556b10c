import test from "ava";
import type { Bucket } from "../bucket/bucket.ts";
import { BucketError } from "../bucket/errors.ts";
import { insertBeside } from "./conflict-object.ts";

test("RULES 9: a conflict's object gets another name where another mount of the same host was first", async (t) => {
  const tried: string[] = [];
  const bucket = {
    insert: (name: string) => {
      tried.push(name);
      if (tried.length < 3) return Promise.reject(new BucketError("precondition-failed", "it is there"));
      return Promise.resolve({ value: { name }, dateMs: 0 });
    },
  } as unknown as Bucket;
  let operations = 0;
  const context = { bucket, hostName: "here", nextOperationId: () => `mount:${(operations += 1)}` };
  const source = { kind: "bytes", bytes: Buffer.alloc(0), crc32c: 0 } as const;
  const { name } = await insertBeside(context, "doc", source, {});
  t.regex(name, /^doc\.conflict-here-\d{4}-\d\d-\d\dT/);
  t.is(new Set(tried).size, 3, "never the same name twice");
  t.is(tried[2], name);
});
