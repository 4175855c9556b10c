import test from "ava";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Digest } from "./checksums.ts";
import { IncomingFile } from "./incoming-file.ts";
import { temporaryDirectory } from "./testing.ts";

test("a file that lost bytes to a full disk never passes for complete", async (t) => {
  // Every write to this device fails with ENOSPC.
  const handle = await open("/dev/full", "r+");
  const file = new IncomingFile("full", handle, new Digest(), () => Promise.resolve());
  t.teardown(() => file.close());
  await t.throwsAsync(file.append(Buffer.alloc(1024 * 1024)), { code: "ENOSPC" });
  await t.throwsAsync(file.sync(), { code: "ENOSPC" });
});

test("bytes arrive in order whatever they are cut into", async (t) => {
  const path = join(await temporaryDirectory(t), "file");
  const handle = await open(path, "wx+");
  const file = new IncomingFile("id", handle, new Digest(), () => Promise.resolve());
  const expected: Buffer[] = [];
  for (let n = 0; n < 300; n += 1) {
    const piece = Buffer.alloc((n * 7919) % 9000, n);
    expected.push(piece);
    await file.append(piece);
  }
  await file.sync();
  const written = await handle.readFile();
  await file.close();
  t.true(written.equals(Buffer.concat(expected)));
  t.is(file.size, written.length);
});
