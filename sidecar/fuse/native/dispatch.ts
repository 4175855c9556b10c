// An operation's way: called by the addon, carried out, answered once. The libfuse thread that brought it waits
// until then, so every way out of here must answer.

import { constants } from "node:os";

import type { Log } from "../../telemetry/log.ts";
import { errnoOf } from "../errno.ts";
import type { Addon, Handler, OperationName } from "./addon.ts";
import { NO_STAT, NO_STATISTICS } from "./encode.ts";
import { extendedOperations } from "./extended-operations.ts";
import { fileOperations } from "./file-operations.ts";
import { nameOperations, type Served } from "./name-operations.ts";
import { type Answer, done, handedBack, type Operation, transferred } from "./operation.ts";
import { ThreadRecord } from "./record.ts";

const { EILSEQ, ENODEV, ENOENT } = constants.errno;

/** Put by the addon for each byte that is not UTF-8; it may also be meant. */
const REPLACEMENT = "\ufffd";

const TWO_PATHS: ReadonlySet<OperationName> = new Set(["rename", "symlink", "link"]);
const MAKES_NAMES: ReadonlySet<OperationName> = new Set([...TWO_PATHS, "create", "mkdir", "mknod"]);

/** What the addon takes besides an error: it reads these values without asking whether there are any. */
const failureValues: Readonly<
  Partial<Record<OperationName, (given: readonly unknown[]) => readonly unknown[]>>
> = {
  statfs: () => [NO_STATISTICS],
  getattr: () => [NO_STAT],
  fgetattr: () => [NO_STAT],
  readdir: () => [[], []],
  readlink: () => [""],
  open: () => [0],
  create: () => [0],
  read: (given) => transferred(0, given[2] as Buffer).values(),
  write: (given) => transferred(0, given[2] as Buffer).values(),
  setxattr: (given) => handedBack(0, given[2] as Buffer).values(),
  getxattr: (given) => handedBack(0, given[2] as Buffer).values(),
  listxattr: (given) => handedBack(0, given[1] as Buffer).values(),
};

/** The addon changed a name it could not decode; no object has that name. */
class NameNotUtf8 extends Error {}

export class Dispatcher {
  readonly counts = new Map<OperationName, number>();
  readonly #operations: Readonly<Record<OperationName, Operation>>;
  readonly #served: Served;
  readonly #addon: Addon;
  readonly #log: Log;
  #refusing = false;

  /** `onInit` is called when the kernel has a working mount. */
  constructor(addon: Addon, served: Served, log: Log, onInit: () => void) {
    this.#addon = addon;
    this.#served = served;
    this.#log = log;
    const init = async () => {
      onInit();
      return done();
    };
    this.#operations = {
      ...nameOperations(served),
      ...extendedOperations(served),
      ...fileOperations(served, log),
      init,
    };
  }

  /** What the addon calls for `name`. */
  handler(name: OperationName): Handler {
    return (bytes, operation, ...given) => void this.#run(name, new ThreadRecord(bytes), operation, given);
  }

  /** From now on nothing is carried out any more. */
  refuse(): void {
    this.#refusing = true;
  }

  async #run(
    name: OperationName,
    thread: ThreadRecord,
    operation: number,
    given: readonly unknown[],
  ): Promise<void> {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    try {
      thread.check(operation);
      const { number, values } = await this.#carryOut(name, thread, given);
      this.#signal(name, thread, number, values());
    } catch (error) {
      this.#signal(name, thread, -this.#errnoOf(name, error), failureValues[name]?.(given) ?? []);
    }
  }

  async #carryOut(name: OperationName, thread: ThreadRecord, given: readonly unknown[]): Promise<Answer> {
    if (this.#refusing) throw new Ended();
    const suspicious = given.some((each) => typeof each === "string" && each.includes(REPLACEMENT));
    if (suspicious && !thread.hasUtf8Paths(TWO_PATHS.has(name))) throw new NameNotUtf8();
    // Not waited for: whoever calls need not be the one who unlinked, and who needs the name waits by itself.
    if (name !== "rename" && name !== "unlink") void this.#served.paths.known.hidden.nextOf(thread.bytes);
    return this.#operations[name](thread, ...(given as never[]));
  }

  #signal(name: OperationName, thread: ThreadRecord, result: number, values: readonly unknown[]): void {
    this.#addon[`fuse_native_signal_${name}`](thread.bytes, result, ...values);
  }

  #errnoOf(name: OperationName, error: unknown): number {
    if (error instanceof Ended) return ENODEV;
    // A name that is not UTF-8 cannot be that of an object: looking it up proves that it does not exist.
    if (error instanceof NameNotUtf8) return MAKES_NAMES.has(name) ? EILSEQ : ENOENT;
    const { number, expected } = errnoOf(error);
    if (!expected) {
      this.#log.error({ err: error, operation: name }, "an operation failed for a reason nobody named");
    }
    return number;
  }
}

/** The file system is closed; programs that still have files open on it get errors. */
class Ended extends Error {}
