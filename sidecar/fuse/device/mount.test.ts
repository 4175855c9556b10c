// The channel on a real mount: a MemoryFileSystem served by another process.

import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import { promisify } from "node:util";

import test from "ava";

import { memoryMount } from "../fixtures/memory-mount.ts";

const run = promisify(execFile);
const python = async (script: string, ...args: string[]) =>
  (await run("python3", ["-c", script, ...args])).stdout.trim();

for (const passthrough of ["off", "on"] as const) {
  const backed = passthrough === "on";
  const title = (sentence: string) => `passthrough ${passthrough}: ${sentence}`;

  test(title("what is written is read back, renamed, cut and removed"), async (t) => {
    const mount = await memoryMount(t, { passthrough, backed });
    t.is(mount.started.passthrough, backed);
    const file = mount.path("a.txt");
    await fs.writeFile(file, "hello");
    t.is(await fs.readFile(file, "utf8"), "hello");
    await fs.appendFile(file, " world");
    t.is(await fs.readFile(file, "utf8"), "hello world");
    await fs.truncate(file, 4);
    t.is(await fs.readFile(file, "utf8"), "hell");
    await fs.writeFile(file, "new");
    t.is(await fs.readFile(file, "utf8"), "new");
    await fs.rename(file, mount.path("b.txt"));
    await t.throwsAsync(fs.stat(file), { code: "ENOENT" });
    await fs.unlink(mount.path("b.txt"));
    t.deepEqual(await fs.readdir(mount.path()), []);
  });

  test(title("a megabyte-sized write arrives whole, and 64 MB from eight writers at once too"), async (t) => {
    const mount = await memoryMount(t, { passthrough, backed });
    const bytes = Buffer.alloc(8 << 20, "0123456789abcdef!");
    const names = Array.from({ length: 8 }, (_, index) => mount.path(`file-${index}`));
    await Promise.all(names.map((name) => fs.writeFile(name, bytes)));
    for (const name of names) t.true(bytes.equals(await fs.readFile(name)));
  });

  test(title("a file can be mapped and changed through the mapping"), async (t) => {
    const mount = await memoryMount(t, { passthrough, backed });
    await fs.writeFile(mount.path("mapped"), Buffer.alloc(10_000, "x"));
    await python(
      `import mmap, sys
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    assert m[9999:10000] == b"x"
    m[5000:5005] = b"HELLO"
    m.flush(); m.close()`,
      mount.path("mapped"),
    );
    t.is((await fs.readFile(mount.path("mapped"))).toString("latin1", 4999, 5006), "xHELLOx");
  });
}
