import { open, rm, writeFile } from "node:fs/promises";
import { randomBytes, randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";

import test, { type ExecutionContext } from "ava";

import type { UploadSource } from "./bucket.ts";
import { crc32cOf } from "./crc32c.ts";
import { isBucketError } from "./errors.ts";
import { sharedLocalGcs } from "./local-gcs.fixture.ts";
import {
  bodyOf,
  bucketAt,
  bytesSource,
  collect,
  refuse,
  resource,
  sendJson,
  serve,
} from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);

async function fileSource(
  t: ExecutionContext,
  bytes: Buffer,
): Promise<UploadSource & { kind: "file"; path: string }> {
  const path = join(tmpdir(), `sidemount-source-${randomUUID()}`);
  await writeFile(path, bytes);
  const file = await open(path, "r");
  t.teardown(async () => {
    await file.close();
    await rm(path);
  });
  return { kind: "file", descriptor: file.fd, size: bytes.length, crc32c: crc32cOf(bytes), path };
}

test("what was inserted is what is read, from memory and from a file, from 0 bytes to beyond a single request", async (t) => {
  const { bucket, requests } = await gcs().session(t);
  for (const size of [0, 1, 300_000, 8 * 1024 * 1024, 8 * 1024 * 1024 + 1]) {
    const bytes = randomBytes(size);
    for (const source of [bytesSource(bytes), await fileSource(t, bytes)]) {
      const name = `${source.kind}-${size}`;
      await requests();
      const { value } = await bucket.insert(name, source, "absent", {}, { operationId: name });
      t.is((await requests()).length, size > 8 * 1024 * 1024 ? 2 : 1);
      t.is(value.size, size);
      t.true((await collect(bucket.read(value))).equals(bytes));
    }
  }
});

test("names with hostile characters come back as they were given", async (t) => {
  const { bucket } = await gcs().session(t);
  const names = [
    "a b/c#d?e%f+g&h=i;j,k",
    "100%/%2F/%",
    `quotes '"\``,
    "(brackets)[more]{even}<more>|\\^~!*$@:",
    "ünïcödé/日本語/🦊/\u{1F9D1}\u200D\u{1F680}",
    "e\u0301 and \u00e9",
    "a//b/../c/./d",
    "/leading",
    "trailing/",
    "tab\there\u0001\u007f",
    "..a",
  ];
  for (const name of names) {
    const bytes = Buffer.from(name);
    const { value } = await bucket.insert(name, bytesSource(bytes), "absent", {}, { operationId: "m:1" });
    t.is(value.name, name);
    t.is((await bucket.stat(name)).value?.generation, value.generation, name);
    t.is(String(await collect(bucket.read(value))), name);
    const moved = await bucket.move(value, `moved/${name}`, "absent");
    t.is(moved.value.name, `moved/${name}`);
    const copied = await bucket.copy(moved.value, name, "absent");
    t.is((await bucket.list({ prefix: name })).objects[0]?.name, name);
    t.true(await bucket.remove(name, copied.value.generation));
    t.is((await bucket.stat(name)).value, undefined);
  }
  const listed = (await bucket.list({ prefix: "moved/" })).objects.map((object) => object.name);
  const inByteOrder = names.map((name) => Buffer.from(`moved/${name}`)).sort((a, b) => a.compare(b));
  t.deepEqual(listed, inByteOrder.map(String));
});

test("attributes with hostile characters come back as they were given", async (t) => {
  const { bucket } = await gcs().session(t);
  const metadata = { ключ: "ünï\r\ncode \u{1F98A}", "k--\r\n": '"\\' };
  for (const size of [10, 9_000_000]) {
    const properties = { contentType: 'text/plain; charset="ütf\r\n"', metadata };
    const name = `o${size}`;
    await bucket.insert(name, bytesSource(Buffer.alloc(size)), "absent", properties, { operationId: "m:1" });
    const { value } = await bucket.stat(name);
    t.is(value?.contentType, properties.contentType);
    t.deepEqual(value?.metadata, { ...metadata, "sidemount-op": "m:1" });
  }
});

test("a name that is not valid Unicode is refused before it is sent", async (t) => {
  const error = await t.throwsAsync(bucketAt(t, "http://127.0.0.1:9").stat("a\ud800"));
  t.true(isBucketError(error, "invalid"));
});

for (const size of [1000, 10_000_000]) {
  test(`RULES 4: an insert of ${size} bytes whose answer was lost is the success it was`, async (t) => {
    const { bucket, faults, requests } = await gcs().session(t);
    const bytes = randomBytes(size);
    await faults({ method: "storage.objects.insert", action: "lost-answer", count: 3 });
    const { value } = await bucket.insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:7" });
    t.is(value.metadata["sidemount-op"], "m:7");
    t.is((await requests()).filter((request) => request.status === 0).length, 3);
    t.true((await collect(bucket.read(value))).equals(bytes));
  });
}

test("RULES 4: an equal object that someone else wrote is not taken for ours", async (t) => {
  const { bucket, faults } = await gcs().session(t);
  await bucket.insert("lock", bytesSource(Buffer.alloc(0)), "absent", {}, { operationId: "other:1" });
  await faults({ method: "storage.objects.insert", action: "return-503", count: 1 });
  const error = await t.throwsAsync(
    bucket.insert("lock", bytesSource(Buffer.alloc(0)), "absent", {}, { operationId: "m:1" }),
  );
  t.true(isBucketError(error, "precondition-failed"));
});

test("a write that expected another generation is refused", async (t) => {
  const { bucket } = await gcs().session(t);
  const first = await bucket.insert("a", bytesSource(Buffer.from("1")), "absent", {}, { operationId: "m:1" });
  const second = await bucket.insert(
    "a",
    bytesSource(Buffer.from("2")),
    first.value.generation,
    {},
    { operationId: "m:2" },
  );
  for (const expected of ["absent", first.value.generation] as const) {
    for (const size of [1, 9_000_000]) {
      const error = await t.throwsAsync(
        bucket.insert("a", bytesSource(Buffer.alloc(size)), expected, {}, { operationId: "m:3" }),
      );
      t.true(isBucketError(error, "precondition-failed"));
    }
  }
  t.is((await bucket.stat("a")).value?.generation, second.value.generation);
});

for (const size of [1000, 10_000_000]) {
  test(`RULES 3: a file of ${size} bytes that changed after its checksum never becomes an object`, async (t) => {
    const { bucket } = await gcs().session(t);
    const source = await fileSource(t, randomBytes(size));
    const file = await open(source.path, "r+");
    await file.write(Buffer.from("changed"), 0, 7, size >> 1);
    await file.close();
    const error = await t.throwsAsync(bucket.insert("a", source, "absent", {}, { operationId: "m:1" }));
    t.true(isBucketError(error, "checksum"));
    t.is((await bucket.stat("a")).value, undefined);
  });

  test(`RULES 3: a file of ${size} bytes that became shorter never becomes an object`, async (t) => {
    const { bucket } = await gcs().session(t);
    const source = await fileSource(t, randomBytes(size));
    const file = await open(source.path, "r+");
    await file.truncate(size - 1);
    await file.close();
    const error = await t.throwsAsync(bucket.insert("a", source, "absent", {}, { operationId: "m:1" }));
    t.true(isBucketError(error, "checksum"));
    t.is((await bucket.stat("a")).value, undefined);
  });
}

test("RULES 3: bytes that do not match the announced checksum are refused by the service", async (t) => {
  const { bucket, requests } = await gcs().session(t);
  const source = { ...bytesSource(Buffer.from("some bytes")), crc32c: 1 };
  const error = await t.throwsAsync(bucket.insert("a", source, "absent", {}, { operationId: "m:1" }));
  t.true(isBucketError(error, "checksum"));
  t.is(isBucketError(error) && error.status, 400);
  t.is((await requests()).length, 1);
});

test("a service that stores other bytes than were announced is not believed", async (t) => {
  const service = await serve(t, async (request, response) => {
    await bodyOf(request);
    sendJson(response, 200, resource({ size: "3" }));
  });
  const source = bytesSource(Buffer.from("abc"));
  const error = await t.throwsAsync(
    bucketAt(t, service.url).insert("a", source, "absent", {}, { operationId: "m:1" }),
  );
  t.true(isBucketError(error, "checksum") && error.uncertain);
});

test("an insert that failed for good says whether it may have happened", async (t) => {
  const service = await serve(t, async (request, response) => {
    await bodyOf(request);
    if (request.url?.includes("/uncertain/")) refuse(response, 503, "backendError");
    else refuse(response, 403, "forbidden");
  });
  const write = (bucket: string, endpoint = service.url) =>
    t.throwsAsync(
      bucketAt(t, endpoint, { bucket, deadlineMs: 300 }).insert(
        "a",
        bytesSource(Buffer.from("abc")),
        "absent",
        {},
        { operationId: "m:1" },
      ),
    );
  const uncertain = await write("uncertain");
  t.true(isBucketError(uncertain, "unavailable") && uncertain.uncertain);
  const refused = await write("certain");
  t.true(isBucketError(refused, "forbidden") && !refused.uncertain);
  const unreachable = await write("certain", "http://127.0.0.1:9");
  t.true(isBucketError(unreachable, "unavailable") && !unreachable.uncertain);
});

test("an upload that is refused before all of it was sent leaves nothing in the way of the next one", async (t) => {
  const { bucket, faults, clearFaults } = await gcs().session(t, { deadlineMs: 3_000 });
  const source = bytesSource(Buffer.alloc(600 * 1024));
  for (let round = 0; round < 3; round += 1) {
    await faults({ method: "storage.objects.insert", action: "return-403" });
    await t.throwsAsync(bucket.insert(`a${round}`, source, "absent", {}, { operationId: "m:1" }));
    await clearFaults();
    await bucket.insert(`a${round}`, source, "absent", {}, { operationId: "m:2" });
  }
  t.is((await bucket.list({ prefix: "a" })).objects.length, 3);
});
