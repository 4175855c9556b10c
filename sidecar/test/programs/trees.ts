// A tree of files, described so that a folder on disk, the same folder on the mount and the bucket can be compared.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import type { ObjectResource } from "../helpers/bucket-server.ts";
import type { Place } from "../helpers/settings.ts";

const run = promisify(execFile);

/** What is at each path below a folder: kind and contents, with mode and modification time where asked for. */
export type Tree = Record<string, string>;

/** What of the attributes is compared. Links have none of their own worth comparing. */
export type Attributes = "none" | "mode and time";

const NS_PER_S = 1_000_000_000n;
/** What the mount shows where an object says nothing; the defaults of --file-mode and --dir-mode. */
const DEFAULT_MODE = { file: "666", folder: "777" };

/** A folder on local disk for the length of a test. */
export async function localFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "sidemount-programs-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Fills a folder with what trees in real life have: sizes, modes, times, names, links, empty things. Times are as fine
 * as the place's mount keeps them.
 */
export async function fillWithSamples(folder: string, { setting }: Place): Promise<void> {
  const when = (time: string): string => (setting === "native" ? inMilliseconds(time) : time);
  await mkdir(path.join(folder, "sub", "deeper"), { recursive: true });
  await mkdir(path.join(folder, "empty folder"));
  const files: [string, string | Buffer, number, string][] = [
    ["plain.txt", "some text\n", 0o644, "2001-02-03 04:05:06.123456789"],
    ["empty", "", 0o664, "1999-12-31 23:59:59.000000001"],
    ["one block", bytes(4096), 0o640, "2010-10-10 10:10:10"],
    ["sub/run.sh", "#!/bin/sh\necho ran\n", 0o755, "2020-02-29 12:00:00.5"],
    ["sub/secret", "hush", 0o600, "2015-05-05 05:05:05.999999999"],
    ["sub/deeper/großes Bild #1 (50%)?&+.bin", bytes(3_000_001), 0o444, "2024-08-08 08:08:08.08"],
    ['sub/deeper/it\'s "quoted"', "quotes\n", 0o666, "1970-01-01 00:00:01"],
  ];
  for (const [name, contents, mode, time] of files) {
    const file = path.join(folder, name);
    await writeFile(file, contents);
    await run("chmod", [mode.toString(8), file]);
    await run("touch", ["-d", `${when(time)} UTC`, file]);
  }
  for (const [name, target] of [
    ["link", "sub/run.sh"],
    ["dangling", "nowhere/at all"],
  ] as const) {
    await symlink(target, path.join(folder, name));
    await run("touch", ["-h", "-d", "2013-01-02 03:04:05.5 UTC", path.join(folder, name)]);
  }
  for (const [name, mode, time] of [
    ["sub/deeper", "750", "2012-12-12 12:12:12.121212121"],
    ["sub", "755", "2011-11-11 11:11:11"],
    ["empty folder", "700", "2009-09-09 09:09:09"],
  ] as const) {
    await run("chmod", [mode, path.join(folder, name)]);
    await run("touch", ["-d", `${when(time)} UTC`, path.join(folder, name)]);
  }
}

// CHANNELS: through libfuse 2, times have milliseconds.
function inMilliseconds(text: string): string {
  return text.replaceAll(/(\.\d{3})\d+/g, (_, kept: string) => kept);
}

/** A tree on local disk as the place's mount can keep it. */
export function asKept(tree: Tree, { setting }: Place): Tree {
  if (setting !== "native") return tree;
  const cut = (facts: string): string =>
    facts.replace(/(\.\d{3})\d{6}$/, (_, kept: string) => `${kept}000000`);
  return Object.fromEntries(Object.entries(tree).map(([name, facts]) => [name, cut(facts)]));
}

/** Bytes that are the same in every run and compress badly. */
export function bytes(length: number, seed = 1): Buffer {
  const block = 1 << 16;
  const parts = Array.from({ length: Math.ceil(length / block) }, (_, i) => {
    let part = createHash("sha512").update(`${seed}:${i}`).digest();
    while (part.length < block)
      part = Buffer.concat([part, createHash("sha512").update(part).digest(), part]);
    return part.subarray(0, block);
  });
  return Buffer.concat(parts).subarray(0, length);
}

/** The tree in a folder, on any filesystem. */
export async function treeIn(folder: string, attributes: Attributes = "none"): Promise<Tree> {
  const tree: Tree = {};
  const links: string[] = [];
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    // It goes through links to folders, too, and what is there has a place of its own.
    if (links.some((link) => name.startsWith(`${link}/`))) continue;
    const full = path.join(folder, name);
    const status = await lstat(full, { bigint: true });
    const facts = `${(status.mode & 0o7777n).toString(8)} ${secondsOf(status.mtimeNs)}`;
    if (status.isSymbolicLink()) links.push(name);
    if (status.isSymbolicLink()) tree[name] = `link to ${await readlink(full)}`;
    else if (status.isDirectory()) tree[name] = describe("folder", "", attributes, facts);
    else tree[name] = describe("file", contentsOf(await readFile(full)), attributes, facts);
  }
  return tree;
}

/** The tree the bucket has below the place's folder, or one below that, by the objects and their metadata alone. */
export async function treeInBucket(place: Place, below = "", attributes: Attributes = "none"): Promise<Tree> {
  const prefix = below === "" ? `${place.top}/` : `${place.top}/${below}/`;
  const tree: Tree = {};
  for (const name of await place.server.names(prefix)) {
    if (name === prefix) continue;
    const object = await place.server.stat(name);
    if (object === undefined) continue;
    const target = object.metadata?.["gcsfuse_symlink_target"];
    const relative = name.slice(prefix.length);
    if (target !== undefined) tree[relative] = `link to ${target}`;
    else if (name.endsWith("/"))
      tree[relative.slice(0, -1)] = describe("folder", "", attributes, factsOf(object, DEFAULT_MODE.folder));
    else {
      const contents = contentsOf((await place.server.get(name)) ?? Buffer.from("gone"));
      tree[relative] = describe("file", contents, attributes, factsOf(object, DEFAULT_MODE.file));
    }
  }
  return tree;
}

function describe(kind: string, contents: string, attributes: Attributes, facts: string): string {
  return [kind, contents, attributes === "none" ? "" : facts].filter((part) => part !== "").join(", ");
}

function contentsOf(data: Buffer): string {
  return `${data.length} bytes ${createHash("sha256").update(data).digest("hex")}`;
}

function factsOf({ metadata = {} }: ObjectResource, defaultMode: string): string {
  const mode = metadata["goog-reserved-posix-mode"] ?? defaultMode;
  if (metadata["mtime"] === undefined) return `${mode} no time`;
  const [whole = "", fraction = ""] = metadata["mtime"].replace("Z", "").split(".");
  const seconds = BigInt(Date.parse(`${whole}Z`) / 1000);
  return `${mode} ${secondsOf(seconds * NS_PER_S + BigInt(fraction.padEnd(9, "0")))}`;
}

function secondsOf(timeNs: bigint): string {
  return `${timeNs / NS_PER_S}.${String(timeNs % NS_PER_S).padStart(9, "0")}`;
}

/** Asserts that `look` comes to see `expected`: for what follows an operation about a second later. */
export async function comesToBe<T>(t: ExecutionContext, look: () => Promise<T>, expected: T): Promise<void> {
  const wanted = JSON.stringify(expected);
  for (let tries = 0; tries < 40 && JSON.stringify(await look()) !== wanted; tries += 1) await delay(250);
  t.deepEqual(await look(), expected);
}

/** A path as one word of a shell script. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
