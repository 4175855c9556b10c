// The process that serves: assembled when its supervisor says so, at the start of a mount or under one that lives.

import { rmSync } from "node:fs";
import path from "node:path";
import { assemble, type Assembled } from "./app.ts";
import type { MountOptions } from "./config/mount-options.ts";
import { prepareDatabaseThread } from "./copies/database.ts";
import { serveDevice, type DeviceChannel } from "./fuse/device/channel.ts";
import { type NotificationWriter, writeOnPool } from "./fuse/device/notify.ts";
import { HANDOVER_VERSION } from "./handover/database.ts";
import { DEVICE_DESCRIPTOR, HEARTBEAT_MS, SERVE_DESCRIPTOR } from "./supervisor/messages.ts";
import { detachServed } from "./supervisor/mount-stack.ts";
import { connectToSupervisor, type StartMessage, type SupervisorLink } from "./supervisor/worker-link.ts";
import { createLog, type Log } from "./telemetry/log.ts";

/** Serves a mount made by a supervisor, whose child this process is; ends when the supervisor says so. */
export function runWorker(): Promise<void> {
  return new Worker().ended;
}

class Worker {
  readonly #ended = Promise.withResolvers<void>();
  readonly #link: SupervisorLink;
  #options: MountOptions | undefined;
  #beating = false;
  /** Under a living mount: until it is served again. */
  #takingOver: Promise<void> | undefined;
  /** Path of handover.db. */
  #handover: string | undefined;
  #log: Log = createLog("info");
  #assembled: Assembled | undefined;
  /** The app's mount and, if asked for, the serve mount. */
  #channels: DeviceChannel[] = [];

  constructor() {
    process.title = "sidemount standby";
    prepareDatabaseThread();
    const handle = (name: string, work: () => Promise<void>): void => {
      work().catch((error: unknown) => this.#fail(name, error));
    };
    this.#link = connectToSupervisor(
      {
        onStart: (start) =>
          handle("start", () => {
            const started = this.#start(start);
            if (start.again) this.#takingOver = started.catch(() => undefined); // `handle` reports it
            return started;
          }),
        onMounted: () => handle("serve", () => this.#serve()),
        onStop: (hurry) => handle("stop", () => this.#stop(hurry ? 0 : (this.#options?.drainTimeoutMs ?? 0))),
        onUnmounted: () => handle("end", () => this.#end()),
        onOrphaned: () => handle("end alone", () => this.#endAlone()),
      },
      HANDOVER_VERSION,
    );
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async #start({ options, handover, again }: StartMessage): Promise<void> {
    process.title = "sidemount worker";
    this.#options = options;
    this.#handover = handover;
    this.#log = createLog(options.logLevel, options.logDescriptor ?? 1);
    if (again) this.#beat();
    this.#assembled = await assemble(options, this.#log, {
      path: handover,
      again,
      onIrreplaceable: () => this.#link.irreplaceable(),
      askForUpgrade: () => this.#link.askForUpgrade(),
    });
    if (again) return this.#serve();
    this.#link.ready();
  }

  async #serve(): Promise<void> {
    const { passthrough, stateDirectory, serveDirectory } = this.#options as MountOptions;
    const { fileSystem, handover } = this.#assembled as Assembled;
    if (serveDirectory !== undefined) {
      const readers = {
        descriptor: SERVE_DESCRIPTOR,
        fileSystem: fileSystem.serve(),
        writeName: this.#nameWriter(1, SERVE_DESCRIPTOR),
        immutableFiles: true,
      };
      const log = this.#log.child({ mount: "serve" });
      const kept = { journal: handover.journal, face: "serve" } as const;
      const serving = serveDevice({ ...readers, passthrough: "off", handover: kept, log });
      this.#channels.push(serving);
      void serving.done.then(() => fileSystem.endServing()); // also when somebody else unmounts it
    }
    const channel = serveDevice({
      descriptor: DEVICE_DESCRIPTOR,
      fileSystem,
      writeName: this.#nameWriter(0, DEVICE_DESCRIPTOR),
      passthrough,
      backingFolder: stateDirectory,
      handover,
      log: this.#log,
    });
    this.#channels.unshift(channel);
    await Promise.all(this.#channels.map(({ started }) => started));
    const serving = await channel.started;
    (this.#assembled as Assembled).mounted = { channel: "device", passthrough: serving.passthrough };
    this.#link.serving(serving);
    this.#beat();
  }

  /** By the supervisor, or here if that cannot: better that the next worker might have to wait than that names stay old. */
  #nameWriter(mount: number, descriptor: number): NotificationWriter {
    const here = writeOnPool(descriptor);
    return (bytes, done) =>
      this.#link.notify(mount, bytes, (error) => (error?.code === "EPIPE" ? here(bytes, done) : done(error)));
  }

  /** Says from now on that this process is alive. */
  #beat(): void {
    if (this.#beating) return;
    this.#beating = true;
    setInterval(() => this.#link.alive(this.#channels[0]?.answered() ?? 0), HEARTBEAT_MS).unref();
  }

  /** Refuses new writers, lets the others finish, sends what is owed. */
  async #stop(timeoutMs: number): Promise<void> {
    await this.#takingOver;
    const owed = (await this.#assembled?.fileSystem.drain(timeoutMs)) ?? 0;
    await Promise.all(this.#channels.map((channel) => channel.stopNotifications()));
    this.#link.drained(owed);
  }

  async #end(): Promise<void> {
    await this.#assembled?.close();
    this.#ended.resolve();
  }

  /** The supervisor is gone and cannot unmount any more. The read-only folder below stays (RULES 31). */
  async #endAlone(): Promise<void> {
    if (this.#assembled !== undefined) {
      this.#log.error("the supervisor is gone; finishing uploads and unmounting");
      await this.#stop(this.#options?.drainTimeoutMs ?? 0);
      const { serveDirectory, directory } = this.#options as MountOptions;
      for (const each of [serveDirectory, directory]) {
        if (each === undefined) continue;
        await detachServed(each).catch((error: unknown) =>
          this.#log.error({ directory: each, err: error }, "not unmounted"),
        );
      }
    }
    await this.#end();
    if (this.#handover !== undefined) rmSync(path.dirname(this.#handover), { recursive: true, force: true });
  }

  #fail(name: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#log.debug({ work: name, err: error }, "the worker cannot go on");
    this.#link.failed(message, 1);
    this.#end().catch((reason: unknown) => {
      this.#log.error({ err: reason }, "the worker could not close everything");
      this.#ended.resolve();
    });
  }
}
