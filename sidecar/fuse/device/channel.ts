// The device channel: requests read from an inherited /dev/fuse descriptor, served by a FileSystem.
//
// The descriptor is watched by the event loop and read without waiting, so no thread is parked in it: a process
// with a read pending on the pool could not even exit. Everything but notifications happens on one thread. That
// thread must never touch the mount it serves.

import fs from "node:fs";

import type { BackingId, FileSystem, Kernel } from "../../filesystem/filesystem.ts";
import { readOrErrno, setNonBlocking, watchReadable } from "../../lib/system-calls.ts";
import type { Log } from "../../telemetry/log.ts";
import { Answers } from "./answer.ts";
import { decodeBatchForget, decodeForget, decodeHeader, decodeInit, decodeInterrupt } from "./decode.ts";
import { Dispatcher } from "./dispatch.ts";
import { encodeInit, encodeResend } from "./encode.ts";
import { type InitOutcome, negotiate } from "./init.ts";
import { type DeviceHandover, earlierStart, keepStart, type KeptStart } from "./handover.ts";
import { Interrupts } from "./interrupts.ts";
import { type NotificationWriter, Notifier, writeOnPool } from "./notify.ts";
import {
  BackingFiles,
  PassthroughUnavailable,
  type PassthroughWish,
  whyNoPassthrough,
} from "./passthrough.ts";
import { OPCODE, opcodeName, READ_OVERHEAD } from "./protocol.ts";
import { RequestBuffers } from "./request-buffers.ts";
import { constants } from "node:os";

// The kernel's largest request: 256 pages.
const MAX_WRITE_BYTES = 1024 * 1024;
// Requests served before timers, sockets and files get their turn.
const REQUESTS_PER_TURN = 32;

const { EAGAIN, EINTR, ENOENT } = constants.errno;
/** Nothing to read now; ENOENT: the request was taken back while it was being read. */
const READ_AGAIN_LATER = new Set([-EAGAIN, -EINTR, -ENOENT]);

export interface DeviceOptions {
  /** A /dev/fuse descriptor that is mounted. */
  readonly descriptor: number;
  readonly fileSystem: FileSystem;
  readonly passthrough: PassthroughWish;
  /** Its files never change: the kernel opens, closes and reads them again without asking (FUSE.md §3b). */
  readonly immutableFiles?: boolean;
  /** Where the files to be passed through lie; one is made there to see whether it works. */
  readonly backingFolder?: string;
  readonly maxWriteBytes?: number;
  /** Writes notifications of names to the descriptor, in another process; without it, this one's pool does. */
  readonly writeName?: NotificationWriter;
  /** Where a later worker of this mount finds what it needs; without it there can be none. */
  readonly handover?: DeviceHandover;
  readonly log: Log;
}

export interface DeviceStarted {
  readonly passthrough: boolean;
  /** Why passthrough is not used. */
  readonly reasonNot?: string;
  readonly protocolMinor: number;
  /** What a worker leaves unanswered comes again to the next one. */
  readonly resends: boolean;
}

export interface DeviceChannel {
  /** Resolves when the kernel has a working mount. Rejects if there will be none. */
  readonly started: Promise<DeviceStarted>;
  /** Resolves when the mount is gone and no request will come any more. */
  readonly done: Promise<void>;
  /** Must be called before unmounting; the kernel is told nothing afterwards. */
  stopNotifications(): Promise<void>;
  /** How many requests were answered. */
  answered(): number;
  /** How many requests came, by opcode name. */
  requestCounts(): Record<string, number>;
}

/** Starts serving. The first request, INIT, is answered after `fileSystem.attach`. */
export function serveDevice(options: DeviceOptions): DeviceChannel {
  const channel = new Channel(options);
  channel.start();
  return {
    started: channel.started.promise,
    done: channel.done.promise,
    stopNotifications: () => channel.notifier.stop(),
    answered: () => channel.answered,
    requestCounts: () => Object.fromEntries(channel.counts),
  };
}

class Channel {
  readonly started = Promise.withResolvers<DeviceStarted>();
  readonly done = Promise.withResolvers<void>();
  readonly counts = new Map<string, number>();
  readonly notifier: Notifier;
  readonly #options: DeviceOptions;
  readonly #maxWriteBytes: number;
  readonly #answers: Answers;
  readonly #interrupts: Interrupts;
  readonly #dispatcher: Dispatcher;
  readonly #backingFiles: BackingFiles;
  readonly #buffers: RequestBuffers;
  #watch: { close(): void } | undefined;
  #ended = false;

  constructor(options: DeviceOptions) {
    const { descriptor, fileSystem, writeName, log } = options;
    this.#options = options;
    this.#maxWriteBytes = options.maxWriteBytes ?? MAX_WRITE_BYTES;
    const { handover } = options;
    this.#answers = new Answers(descriptor, log, () => handover?.journal.commit());
    this.#interrupts = new Interrupts(this.#answers);
    this.#dispatcher = new Dispatcher(fileSystem, this.#answers, this.#interrupts, log, {
      immutableFiles: options.immutableFiles === true,
      ledger: handover?.ledger,
    });
    this.#backingFiles = new BackingFiles(descriptor, log);
    this.#buffers = new RequestBuffers(this.#maxWriteBytes + READ_OVERHEAD, () => this.#resume());
    const writers = { write: writeOnPool(descriptor), writeName };
    this.notifier = new Notifier(writers, (folder) => this.#interrupts.isBusy(folder), log);
    this.started.promise.catch(() => {}); // whoever waits for `started` reports it
  }

  get answered(): number {
    return this.#answers.count;
  }

  start(): void {
    const kernel: Kernel = {
      shareFile: (descriptor) => this.#backingFiles.share(descriptor),
      unshareFile: (backing) => this.#backingFiles.unshare(backing),
      entryChanged: (parent, name) => this.notifier.entryChanged(parent, name),
      attributesChanged: (inode) => this.notifier.attributesChanged(inode),
      canExpireNamesAtOnce: () => this.notifier.canExpireAtOnce,
    };
    this.#options.fileSystem.attach(kernel);
    setNonBlocking(this.#options.descriptor);
    const earlier = this.#options.handover && earlierStart(this.#options.handover);
    if (earlier !== undefined) this.#goOn(earlier);
    this.#resume();
  }

  /** Under a mount that an earlier worker served there is no INIT; what it had read and not answered comes again. */
  #goOn({ init, started }: KeptStart): void {
    const { descriptor, handover, log } = this.#options;
    this.notifier.start(init);
    if (started.passthrough) {
      this.#backingFiles.enable();
      const none: ReadonlySet<BackingId> = new Set();
      const { backings = none, closedBackings = none } = handover ?? {};
      for (const backing of closedBackings) if (!backings.has(backing)) this.#backingFiles.unshare(backing);
      this.#backingFiles.giveBackUnknown(backings);
    }
    fs.writeSync(descriptor, encodeResend());
    log.debug({ protocol: `7.${init.protocolMinor}` }, "going on where an earlier worker was");
    this.started.resolve(started);
  }

  #resume(): void {
    if (this.#ended) return;
    this.#watch ??= watchReadable(this.#options.descriptor, () => this.#serveSome());
  }

  #pause(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  #serveSome(): void {
    for (let served = 0; served < REQUESTS_PER_TURN; served++) {
      if (this.#buffers.full) return this.#pause(); // `onRoom` goes on
      const length = readOrErrno(this.#options.descriptor, this.#buffers.current);
      if (READ_AGAIN_LATER.has(length)) return;
      if (length < 0) return this.#end(-length);
      this.#serve(length);
    }
  }

  /** ENODEV: unmounted, or the connection was aborted. Anything else is said in the log. */
  #end(errno: number): void {
    this.#ended = true;
    this.#pause();
    if (errno !== constants.errno.ENODEV)
      this.#options.log.error({ errno }, "reading from the kernel failed");
    this.#options.log.debug({ requests: Object.fromEntries(this.counts) }, "what the kernel asked");
    this.started.reject(new Error("the mount ended before it was ready"));
    this.done.resolve();
  }

  #serve(length: number): void {
    const bytes = this.#buffers.current.subarray(0, length);
    const header = decodeHeader(bytes);
    const name = opcodeName(header.opcode) ?? `OPCODE_${header.opcode}`;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    try {
      this.#route(header, bytes);
    } catch (error) {
      this.#options.log.error({ err: error, operation: name }, "a request could not be decoded");
      this.#answers.sendError(header.unique, constants.errno.EIO);
    }
  }

  #route(header: ReturnType<typeof decodeHeader>, bytes: Buffer): void {
    const { fileSystem } = this.#options;
    switch (header.opcode) {
      case OPCODE.INIT:
        return this.#init(header.unique, bytes);
      case OPCODE.FORGET: {
        const { inode, count } = decodeForget(bytes, header);
        return fileSystem.forget(inode, count);
      }
      case OPCODE.BATCH_FORGET:
        for (const { inode, count } of decodeBatchForget(bytes)) fileSystem.forget(inode, count);
        return;
      case OPCODE.INTERRUPT:
        return this.#interrupts.interrupt(decodeInterrupt(bytes));
      case OPCODE.NOTIFY_REPLY:
        return; // no answer; we never ask for one
      case OPCODE.WRITE: {
        const held = this.#buffers.hold(bytes.length);
        void this.#dispatcher.run(header, held.bytes).finally(held.release);
        return;
      }
      default:
        void this.#dispatcher.run(header, bytes);
    }
  }

  #init(unique: bigint, bytes: Buffer): void {
    const { passthrough, immutableFiles = false } = this.#options;
    try {
      const { answer, outcome } = negotiate(decodeInit(bytes), {
        maxWriteBytes: this.#maxWriteBytes,
        passthrough: passthrough !== "off",
        immutableFiles,
      });
      this.#answers.send(unique, { body: encodeInit(answer) });
      if (outcome === undefined) return;
      this.#begin(outcome);
      const { handover } = this.#options;
      this.started.promise.then(
        (started) => handover && keepStart(handover, { init: outcome, started }),
        () => undefined, // reported by whoever waits for it
      );
    } catch (error) {
      this.#answers.sendError(unique, constants.errno.EPROTO);
      this.started.reject(error);
    }
  }

  #begin(init: InitOutcome): void {
    const { descriptor, passthrough, immutableFiles, backingFolder, log } = this.#options;
    this.notifier.start(init);
    const common = { protocolMinor: init.protocolMinor, resends: init.resend };
    if (immutableFiles === true) return this.started.resolve({ passthrough: false, ...common });
    const reasonNot = whyNoPassthrough(descriptor, passthrough, init, backingFolder);
    const protocol = `7.${init.protocolMinor}`;
    if (reasonNot === undefined) {
      this.#backingFiles.enable();
      log.info({ protocol }, "passthrough is on: the kernel reads and writes local files by itself");
      return this.started.resolve({ passthrough: true, ...common });
    }
    log.info({ protocol, reason: reasonNot }, "passthrough is off: reads and writes go through this process");
    if (passthrough === "on") {
      return this.started.reject(new PassthroughUnavailable(`passthrough cannot be had: ${reasonNot}`));
    }
    this.started.resolve({ passthrough: false, reasonNot, ...common });
  }
}
