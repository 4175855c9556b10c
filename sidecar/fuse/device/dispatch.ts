// A request's way: looked up by opcode, run, answered once. What the work brings after an early answer, or in an
// answer nobody waits for any more, is given back.

import { constants } from "node:os";

import type { FileSystem } from "../../filesystem/filesystem.ts";
import type { RequestLedger } from "../../handover/requests.ts";
import type { Log } from "../../telemetry/log.ts";
import { errnoOf } from "../errno.ts";
import type { Answer, Answers } from "./answer.ts";
import { Call, type WhenKilled } from "./call.ts";
import { decodeOpen, NameNotUtf8, type RequestHeader } from "./decode.ts";
import { extendedOperations } from "./extended-operations.ts";
import { fileOperations } from "./file-operations.ts";
import type { Interrupts } from "./interrupts.ts";
import { nameOperations } from "./name-operations.ts";
import type { Operation } from "./operation.ts";
import { OPCODE, type OpcodeName, opcodeName } from "./protocol.ts";
import { Resent } from "./resent.ts";

const { EILSEQ, ENOENT, ENOSYS, ENOTTY } = constants.errno;

/**
 * What is not served, with the number that makes the kernel do the right thing. ENOSYS is said once: the kernel
 * remembers and does without. Opcodes in no table are newer than us: ENOSYS as well.
 */
const refusals: Readonly<Partial<Record<OpcodeName, number>>> = {
  ACCESS: ENOSYS, // the kernel checks by owner and mode (default_permissions)
  SYNCFS: ENOSYS,
  TMPFILE: ENOSYS, // EOPNOTSUPP; programs then create and unlink
  STATX: ENOSYS, // GETATTR instead
  BMAP: ENOSYS,
  POLL: ENOSYS, // always ready, as for any file on disk
  IOCTL: ENOTTY,
};

/** Said once where files never change: from then on the kernel opens and closes them by itself. */
const immutableRefusals: Readonly<Partial<Record<OpcodeName, number>>> = {
  OPEN: ENOSYS,
  FLUSH: ENOSYS,
  FSYNC: ENOSYS,
  LSEEK: ENOSYS, // SEEK_DATA and SEEK_HOLE then see one piece of data
  SETXATTR: ENOSYS, // programs see EOPNOTSUPP
  GETXATTR: ENOSYS,
  LISTXATTR: ENOSYS,
  REMOVEXATTR: ENOSYS,
};

const O_ACCMODE = 0o3;
const O_TRUNC = 0o1000;

/** What a signal that kills the waiting thread does, by opcode; everything else is finished (RULES 25). */
function whenKilled(opcode: number, bytes: Buffer): WhenKilled {
  switch (opcode) {
    case OPCODE.LOOKUP:
    case OPCODE.GETATTR:
    case OPCODE.READLINK:
    case OPCODE.READ:
    case OPCODE.OPENDIR:
    case OPCODE.READDIR:
    case OPCODE.READDIRPLUS:
    case OPCODE.STATFS:
    case OPCODE.GETXATTR:
    case OPCODE.LISTXATTR:
      return "give-up";
    case OPCODE.OPEN:
      return (decodeOpen(bytes) & (O_ACCMODE | O_TRUNC)) === 0 ? "give-up" : "finish";
    case OPCODE.FLUSH:
      return "answer";
    default:
      return "finish";
  }
}

/** Serves requests other than INIT, FORGET and INTERRUPT. */
export class Dispatcher {
  readonly #fileSystem: FileSystem;
  readonly #answers: Answers;
  readonly #interrupts: Interrupts;
  readonly #log: Log;
  readonly #operations: Readonly<Partial<Record<OpcodeName, Operation>>>;

  readonly #refusals: Readonly<Partial<Record<OpcodeName, number>>>;
  readonly #resent: Resent;

  constructor(
    fileSystem: FileSystem,
    answers: Answers,
    interrupts: Interrupts,
    log: Log,
    { immutableFiles = false, ledger }: { immutableFiles?: boolean; ledger?: RequestLedger | undefined } = {},
  ) {
    this.#resent = new Resent(ledger, answers, log);
    this.#fileSystem = fileSystem;
    this.#answers = answers;
    this.#interrupts = interrupts;
    this.#log = log;
    this.#refusals = immutableFiles ? { ...refusals, ...immutableRefusals } : refusals;
    const operations = Object.entries({
      ...nameOperations,
      ...extendedOperations,
      ...fileOperations(log),
    });
    this.#operations = Object.fromEntries(operations.filter(([name]) => !(name in this.#refusals)));
  }

  /** Resolves when the work has ended, which may be after the answer; never rejects. */
  async run(header: RequestHeader, bytes: Buffer): Promise<void> {
    const name = opcodeName(header.opcode);
    const operation = name && this.#operations[name];
    if (operation === undefined) {
      return this.#answers.sendError(header.unique, (name && this.#refusals[name]) ?? ENOSYS);
    }
    const earlier = this.#resent.begin(header.unique, header.opcode);
    if (earlier === undefined) return;
    const call = new Call(header, whenKilled(header.opcode, bytes), earlier);
    this.#interrupts.begin(call);
    try {
      const answer = await operation(this.#fileSystem, call, bytes);
      this.#finish(call, answer);
    } catch (error) {
      this.#fail(call, error);
    } finally {
      this.#interrupts.end(call);
      this.#resent.end(call.unique);
    }
  }

  #finish(call: Call, answer: Answer): void {
    if (call.answeredEarly) return answer.undo?.();
    this.#resent.keep(call.unique, call.opcode, answer);
    this.#answers.send(call.unique, answer);
  }

  #fail(call: Call, error: unknown): void {
    const { number, expected } = this.#errnoOf(call, error);
    const facts = { err: error, operation: opcodeName(call.opcode), inode: call.inode };
    if (call.answeredEarly) {
      if (call.whenKilled === "answer") this.#log.error(facts, "a flush failed after its process was killed");
      return;
    }
    if (!expected) this.#log.error(facts, "an operation failed for a reason nobody named");
    this.#answers.sendError(call.unique, number);
  }

  #errnoOf(call: Call, error: unknown): { number: number; expected: boolean } {
    // A name that is not UTF-8 cannot be that of an object: looking it up proves that it does not exist.
    if (error instanceof NameNotUtf8) {
      return { number: call.opcode === OPCODE.LOOKUP ? ENOENT : EILSEQ, expected: true };
    }
    return errnoOf(error);
  }
}
