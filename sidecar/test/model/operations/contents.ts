// Reading and writing through handles.

import fc from "fast-check";
import { operation } from "../operation.ts";
import type { Call } from "../clients.ts";
import type { Handle, Run } from "../run.ts";
import { index, length, size } from "./draw.ts";

/** A call on one of the open files, whichever `number` stands for. */
async function through(
  run: Run,
  number: number,
  call: (slot: number, handle: Handle) => Call,
): Promise<Handle | undefined> {
  const handle = run.handle(number);
  if (handle === undefined) return undefined;
  const answer = await run.both(handle.who, call(handle.slot, handle));
  return "errno" in answer ? undefined : handle;
}

const read = operation("read", 6, fc.record({ on: index, length }), async (run, { on, length }) => {
  await through(run, on, (slot) => ({ call: "read", slot, length }));
});

const pread = operation(
  "pread",
  6,
  fc.record({ on: index, length, offset: size }),
  async (run, { on, length, offset }) => {
    await through(run, on, (slot) => ({ call: "pread", slot, length, offset }));
  },
);

const write = operation(
  "write",
  12,
  fc.record({ on: index, tag: index, length }),
  async (run, { on, tag, length }) => {
    const handle = await through(run, on, (slot) => ({ call: "write", slot, tag, length }));
    // Where the kernel writes to the copy by itself, it syncs that by itself, too (RULES 29).
    if (handle?.synchronous === true && length > 0 && !run.world.settings.passthrough)
      await run.requireSaved(handle.inode);
  },
);

const pwrite = operation(
  "pwrite",
  8,
  fc.record({ on: index, tag: index, length, offset: size }),
  async (run, { on, ...rest }) => {
    await through(run, on, (slot) => ({ call: "pwrite", slot, ...rest }));
  },
);

const seek = operation(
  "lseek",
  3,
  fc.record({
    on: index,
    offset: fc.oneof(size, fc.integer({ min: -50, max: 0 })),
    whence: fc.constantFrom("set", "current", "end"),
  }),
  async (run, { on, ...rest }) => {
    // Positions in a folder are the disk's own affair.
    if (run.handle(on)?.folder !== false) return;
    await through(run, on, (slot) => ({ call: "seek", slot, ...rest }));
  },
);

const resize = operation("ftruncate", 5, fc.record({ on: index, size }), async (run, { on, size }) => {
  await through(run, on, (slot) => ({ call: "resize", slot, size }));
});

const sync = operation(
  "fsync",
  6,
  fc.record({ on: index, dataOnly: fc.boolean() }),
  async (run, { on, dataOnly }) => {
    const synced = await through(run, on, (slot) => ({ call: "sync", slot, data_only: dataOnly }));
    if (synced?.writable === true) await run.requireSaved(synced.inode);
  },
);

const store = operation(
  "mmap",
  4,
  fc.record({
    on: index,
    offset: size,
    length,
    tag: index,
    sync: fc.boolean(),
    closeFirst: fc.boolean(),
  }),
  async (run, { on, offset, length, tag, sync, closeFirst }) => {
    // A folder's length is the disk's own affair, too: one that was removed has none.
    if (run.handle(on)?.folder !== false) return;
    const handle = await through(run, on, (slot) => ({
      call: "store",
      slot,
      offset,
      length,
      tag,
      sync,
      close_first: closeFirst,
    }));
    if (handle === undefined || !closeFirst) return;
    run.dropHandle(handle);
    run.storedAfterClose = true;
  },
);

export const CONTENTS = [read, pread, write, pwrite, seek, resize, sync, store];
