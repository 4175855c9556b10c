// What becomes of work whose answer came too early or could not be delivered.

import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";

import { FileSystemError } from "../../filesystem/errors.ts";
import {
  type Caller,
  type Entry,
  type FileSystem,
  type InodeId,
  ROOT_INODE,
} from "../../filesystem/filesystem.ts";
import { createLog } from "../../telemetry/log.ts";
import { MemoryFileSystem } from "../fixtures/memory-filesystem.ts";
import { Answers } from "./answer.ts";
import { decodeHeader } from "./decode.ts";
import { Dispatcher } from "./dispatch.ts";
import { Interrupts } from "./interrupts.ts";
import { OPCODE } from "./protocol.ts";

const caller: Caller = { uid: 0, gid: 0, pid: 1 };

function request(opcode: number, inode: InodeId, body: Buffer, unique = 2n): Buffer {
  const bytes = Buffer.alloc(40 + body.length);
  bytes.writeUInt32LE(opcode, 4);
  bytes.writeBigUInt64LE(unique, 8);
  bytes.writeBigUInt64LE(BigInt(inode), 16);
  bytes.writeUInt32LE(4242, 32);
  body.copy(bytes, 40);
  return bytes;
}

/** A dispatcher whose answers go to `device`: /dev/null takes them, /dev/full refuses them. */
function dispatcher(
  t: ExecutionContext,
  fileSystem: FileSystem,
  device: "/dev/null" | "/dev/full",
  killed = false,
) {
  const descriptor = fs.openSync(device, "w");
  t.teardown(() => fs.closeSync(descriptor));
  const log = createLog("silent");
  const answers = new Answers(descriptor, log);
  const interrupts = new Interrupts(answers, () => Promise.resolve(killed));
  const dispatch = new Dispatcher(fileSystem, answers, interrupts, log);
  const run = (bytes: Buffer) => dispatch.run(decodeHeader(bytes), bytes);
  return { run, interrupts };
}

async function withFile(name: string) {
  const fileSystem = new MemoryFileSystem();
  const { entry } = await fileSystem.create(caller, ROOT_INODE, name, 0o644, 0);
  fileSystem.forget(entry.attributes.inode, 1);
  return { fileSystem, inode: entry.attributes.inode };
}

const name = (text: string) => Buffer.from(`${text}\0`);
const create = (text: string) => Buffer.concat([Buffer.alloc(16), name(text)]);
const list = (size: number) => {
  const body = Buffer.alloc(40);
  body.writeUInt32LE(1, 0); // the handle
  body.writeUInt32LE(size, 16);
  return body;
};

test("RULES 19: look-ups in answers that did not arrive are given back", async (t) => {
  const { fileSystem } = await withFile("file");
  await fileSystem.openDirectory(caller, ROOT_INODE); // handle 2: the file has 1
  const arriving = dispatcher(t, fileSystem, "/dev/null");
  await arriving.run(request(OPCODE.LOOKUP, ROOT_INODE, name("file")));
  t.deepEqual(fileSystem.lookupCounts(), { file: 1 });

  const { run } = dispatcher(t, fileSystem, "/dev/full");
  const listing = list(4096);
  listing.writeUInt32LE(2, 0);
  await run(request(OPCODE.LOOKUP, ROOT_INODE, name("file")));
  await run(request(OPCODE.READDIRPLUS, ROOT_INODE, listing));
  t.deepEqual(fileSystem.lookupCounts(), { file: 1 });
  await run(request(OPCODE.CREATE, ROOT_INODE, create("created")));
  await run(request(OPCODE.MKDIR, ROOT_INODE, Buffer.concat([Buffer.alloc(8), name("made")])));
  t.deepEqual(fileSystem.lookupCounts(), { file: 1 });
  t.true(fileSystem.events.includes("release created"));
});

test("a file or folder whose opening nobody learnt of is closed again", async (t) => {
  const { fileSystem, inode } = await withFile("file");
  const { run } = dispatcher(t, fileSystem, "/dev/full");
  await run(request(OPCODE.OPEN, inode, Buffer.alloc(8)));
  t.deepEqual(fileSystem.events, ["release file"]);
});

test("a listing that fails half way gives back what it had counted", async (t) => {
  const { fileSystem } = await withFile("file");
  const failing: FileSystem = Object.create(fileSystem, {
    readDirectory: {
      value: async (...[, , , , , accept]: Parameters<FileSystem["readDirectory"]>) => {
        const entry: Entry = await fileSystem.lookup(caller, ROOT_INODE, "file");
        accept({ name: "file", inode: entry.attributes.inode, kind: "file", nextOffset: 1, entry });
        throw new FileSystemError("EIO", "the bucket is gone");
      },
    },
    forget: { value: (...args: Parameters<FileSystem["forget"]>) => fileSystem.forget(...args) },
  }) as FileSystem;
  await dispatcher(t, failing, "/dev/null").run(request(OPCODE.READDIRPLUS, ROOT_INODE, list(4096)));
  t.deepEqual(fileSystem.lookupCounts(), {});
});

test("RULES 25: a killed program's look-up is given up, and what it still brings is given back", async (t) => {
  const { fileSystem } = await withFile("file");
  const brought = Promise.withResolvers<void>();
  let aborted = false;
  const slow: FileSystem = Object.create(fileSystem, {
    lookup: {
      value: async (asking: Caller) => {
        asking.interrupted?.addEventListener("abort", () => (aborted = true));
        await brought.promise; // pays no attention to the signal
        return fileSystem.lookup(caller, ROOT_INODE, "file");
      },
    },
    forget: { value: (...args: Parameters<FileSystem["forget"]>) => fileSystem.forget(...args) },
  }) as FileSystem;
  const { run, interrupts } = dispatcher(t, slow, "/dev/null", true);
  const running = run(request(OPCODE.LOOKUP, ROOT_INODE, name("file"), 6n));
  t.true(interrupts.isBusy(ROOT_INODE));
  interrupts.interrupt(6n);
  await delay(1);
  t.true(aborted);
  t.false(interrupts.isBusy(ROOT_INODE));
  brought.resolve();
  await running;
  t.deepEqual(fileSystem.lookupCounts(), {});
});

test("RULES 25: nothing that changes something notices a signal", async (t) => {
  const { fileSystem } = await withFile("file");
  let aborted = false;
  const finish = Promise.withResolvers<void>();
  const slow: FileSystem = Object.create(fileSystem, {
    unlink: {
      value: async (asking: Caller) => {
        asking.interrupted?.addEventListener("abort", () => (aborted = true));
        await finish.promise;
      },
    },
  }) as FileSystem;
  const { run, interrupts } = dispatcher(t, slow, "/dev/null", true);
  const running = run(request(OPCODE.UNLINK, ROOT_INODE, name("file"), 6n));
  interrupts.interrupt(6n);
  await delay(150);
  t.true(interrupts.isBusy(ROOT_INODE));
  t.false(aborted);
  finish.resolve();
  await running;
});
