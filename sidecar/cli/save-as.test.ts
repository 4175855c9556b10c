import test, { type ExecutionContext } from "ava";
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import type { PendingEntry } from "../control/requests.ts";
import { chosen, newest } from "./pending-choice.ts";
import { safePath, saveAs } from "./save-as.ts";
import { shownName, shownSize } from "./shown.ts";

function place(t: ExecutionContext): { source: string; folder: string } {
  const top = mkdtempSync(path.join(tmpdir(), "sidemount-save-"));
  t.teardown(() => rmSync(top, { recursive: true, force: true }));
  const source = path.join(top, "source");
  writeFileSync(source, "bytes");
  return { source, folder: path.join(top, "saved") };
}

test("names of objects become names of files within the folder", (t) => {
  const cases: [string, string][] = [
    ["a/b.txt", "a/b.txt"],
    ["../../etc/passwd", "__/__/etc/passwd"],
    ["/etc/passwd", "_/etc/passwd"],
    ["a//b/./c", "a/_/b/_/c"],
    ["folder/", "folder/_"],
    ["", "_"],
    ["line\nbreak\0", "line_break_"],
  ];
  for (const [name, expected] of cases) {
    const { folders, last } = safePath(name);
    t.is([...folders, last].join("/"), expected, name);
  }
  t.true(Buffer.byteLength(safePath("ä".repeat(500)).last) <= 255);
});

test("nothing is written over, and times are kept", async (t) => {
  const { source, folder } = place(t);
  const saved = [];
  for (let i = 0; i < 3; i += 1) saved.push(await saveAs(source, folder, "a/f", 1e12));
  t.deepEqual(
    saved.map((file) => path.relative(folder, file)),
    ["a/f", "a/f.1", "a/f.2"],
  );
  t.is(statSync(saved[0]!).mtimeMs, 1e12);
  t.is(readFileSync(saved[2]!, "utf8"), "bytes");
});

test("links do not lead out of the folder, and files are not in the way of folders", async (t) => {
  const { source, folder } = place(t);
  await saveAs(source, folder, "a", 0);
  t.is(path.relative(folder, await saveAs(source, folder, "a/b", 0)), "a.1/b");
  symlinkSync(tmpdir(), path.join(folder, "link"));
  t.is(path.relative(folder, await saveAs(source, folder, "link/c", 0)), "link.1/c");
  symlinkSync(path.join(folder, "nowhere"), path.join(folder, "d"));
  t.is(path.relative(folder, await saveAs(source, folder, "d", 0)), "d.1");
  t.true(lstatSync(path.join(folder, "d")).isSymbolicLink());
  t.false(readdirSync(folder).includes("nowhere"));
});

const entry = (id: string, name: string, supersededMs?: number): PendingEntry => ({
  id,
  object: `p/${name}`,
  name,
  bytes: 1,
  sinceMs: 1,
  state: "failed",
  why: "",
  supersededMs,
  base: undefined,
  missing: [],
});
const entries = [entry("aaaaaaa1", "f"), entry("aaaaaaa2", "f"), entry("bbbbbbb1", "g", 5)];

test("entries are meant by an id, its beginning, or a name, of which the newest counts", (t) => {
  t.deepEqual(chosen(entries, ["aaaaaaa1"]), [entries[0]!]);
  t.deepEqual(chosen(entries, ["bbbbbb"]), [entries[2]!]);
  t.deepEqual(chosen(entries, ["f", "p/f"]), [entries[1]!]);
  t.throws(() => chosen(entries, ["aaaaaaa"]), { message: /Nothing of that id or name is kept: aaaaaaa/ });
  t.throws(() => chosen(entries, ["bbb"]), { message: /bbb/ });
  t.deepEqual(newest(entries), [entries[1]!]);
});

test("sizes and names are shown so that a person can read them", (t) => {
  t.deepEqual([0, 1, 1023, 1536, 20 << 20, 3 * 2 ** 40].map(shownSize), [
    "0 bytes",
    "1 byte",
    "1023 bytes",
    "1.5 KiB",
    "20 MiB",
    "3.0 TiB",
  ]);
  t.is(shownName("plain ä.txt"), "plain ä.txt");
  t.is(shownName("a\u001b[2Jb"), '"a\\u001b[2Jb"');
  t.notRegex(shownName("a\u202eb\u009b"), /[\u202e\u009b]/u);
});
