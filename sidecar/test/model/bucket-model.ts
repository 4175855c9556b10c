// What the bucket must hold, worked out from the plain folder: one object for each file, with its bytes; `name/` for
// each folder; an object for each link and FIFO. Nothing else. A hierarchical bucket has a folder for each folder, in
// which there may be an object `name/`.

import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Found } from "./paths.ts";
import type { Run } from "./run.ts";

/** What happens after a call was answered (removing what was unlinked while it was open) is done by then. */
const SETTLED_MS = 8000;
const LOOK_AGAIN_MS = 25;

/** What is wrong with the object of one file, link or FIFO. */
export async function compareObject(run: Run, { path: name, status }: Found): Promise<string | undefined> {
  const object = `${run.top}/${name}`;
  if (status.isSymbolicLink()) {
    const stored = (await run.world.server.stat(object))?.metadata?.["gcsfuse_symlink_target"];
    const target = readlinkSync(path.join(run.plain, name));
    return stored === target ? undefined : `${object} leads to ${stored ?? "nothing"}, not to ${target}`;
  }
  const bytes = await run.world.server.get(object);
  if (bytes === undefined) return `${object} is not there`;
  const wanted = status.isFile() ? readFileSync(path.join(run.plain, name)) : Buffer.alloc(0);
  return bytes.equals(wanted) ? undefined : `${object} holds ${shown(bytes)}, not ${shown(wanted)}`;
}

function shown(bytes: Buffer): string {
  if (bytes.length <= 64) return `"${bytes.toString("hex")}"`;
  return `${bytes.length} bytes (${createHash("sha256").update(bytes).digest("hex").slice(0, 12)})`;
}

/** What is wrong with the bucket below the run's folder, after a moment; nothing of files that are open. */
export async function compareBucket(run: Run): Promise<string | undefined> {
  const endMs = performance.now() + SETTLED_MS;
  for (;;) {
    const fault = await faultNow(run);
    if (fault === undefined || performance.now() > endMs) return fault;
    await delay(LOOK_AGAIN_MS);
  }
}

async function faultNow(run: Run): Promise<string | undefined> {
  const prefix = `${run.top}/`;
  const names = new Set(await run.world.server.names(prefix));
  names.delete(prefix);
  const folders = run.world.hierarchical ? new Set(await run.world.server.folders(prefix)) : undefined;
  folders?.delete(prefix);
  for (const found of run.everything()) {
    const open = run.isOpen(found.status.ino);
    const folder = found.status.isDirectory();
    const object = `${prefix}${found.path}${folder ? "/" : ""}`;
    const hasObject = names.delete(object);
    const there = folder && folders !== undefined ? folders.delete(object) : hasObject;
    if (open) continue;
    if (!there) {
      if (folder && run.implied.has(found.status.ino)) continue;
      return `${object} is not there`;
    }
    const fault = folder ? undefined : await compareObject(run, found);
    if (fault !== undefined) return fault;
  }
  // Of a file that is open and has no name any more, the object may stay until it is closed.
  const left = [...names, ...(folders ?? [])];
  if (run.handles.length > 0 || left.length === 0) return undefined;
  return `nobody made ${left.join(", ")}`;
}
