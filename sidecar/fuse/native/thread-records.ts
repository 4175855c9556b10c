// The buffers in which the addon keeps what it knows of libfuse's threads, one for each (record.ts).
//
// libfuse starts a thread whenever all others are busy, and ends those beyond ten idle ones. The addon forgets to clean
// up behind them: on a busy mount hundreds a second would be left, each with a handle that the event loop looks at each
// time it wakes. So that is done here.

import { setImmediate as turnOfLoop } from "node:timers/promises";

import { closeHandle, deleteReference } from "../../lib/system-calls.ts";

const REFERENCE_AT = 0;
/** uv_async_t, whose first field points to the record. */
const HANDLE_AT = 232;
/** In fuse_thread_t. */
const ENVIRONMENT_AT = 0;

export class ThreadRecords {
  /** Written to by libfuse's threads: must not be collected. */
  readonly #records = new Set<Buffer>();
  readonly #main: Buffer;

  /** `main` is the addon's fuse_thread_t. */
  constructor(main: Buffer) {
    this.#main = main;
  }

  get count(): number {
    return this.#records.size;
  }

  allocate(size: number): Buffer {
    const record = Buffer.alloc(size);
    this.#records.add(record);
    return record;
  }

  /** The thread whose record is at `address` ends. */
  release(address: bigint): void {
    for (const record of this.#records) {
      if (record.readBigUInt64LE(HANDLE_AT) === address) return void this.#free(record, address);
    }
  }

  async #free(record: Buffer, address: bigint): Promise<void> {
    closeHandle(address + BigInt(HANDLE_AT));
    deleteReference(this.#main.readBigUInt64LE(ENVIRONMENT_AT), record.readBigUInt64LE(REFERENCE_AT));
    // libuv lets go of the handle at the end of this turn.
    await turnOfLoop();
    await turnOfLoop();
    this.#records.delete(record);
  }
}
