// Requests that an earlier worker had read and not answered come again, marked by a bit of their number (FUSE.md §4).
//
// Reads are just run again. What changes something is begun in the ledger before it has an effect, and its answer is
// there before the kernel has it (RULES 18); so a request that comes again is answered from there, or run knowing that it
// was begun.

import { constants } from "node:os";

import type { Begun } from "../../filesystem/filesystem.ts";
import type { RequestLedger } from "../../handover/requests.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Answer, Answers } from "./answer.ts";
import type { EarlierLife } from "./call.ts";
import { opcodeName, type OpcodeName } from "./protocol.ts";

/** FUSE_UNIQUE_RESEND in linux/fuse.h. */
const RESENT_BIT = 1n << 63n;

export const isResent = (unique: bigint): boolean => (unique & RESENT_BIT) !== 0n;
const numberOf = (unique: bigint): bigint => unique & ~RESENT_BIT;

/** Begun in the ledger before they start. */
const CHANGES = new Set<OpcodeName>([
  "CREATE",
  "MKDIR",
  "MKNOD",
  "SYMLINK",
  "LINK",
  "UNLINK",
  "RMDIR",
  "RENAME",
  "RENAME2",
]);
/** They make a handle: made twice, one would never be given back. */
const OPENINGS = new Set<OpcodeName>(["OPEN", "OPENDIR"]);

/** What the dispatcher does with the ledger, if there is one. */
export class Resent {
  readonly #ledger: RequestLedger | undefined;
  readonly #answers: Answers;
  readonly #log: Log;
  /** Requests being served that the ledger knows of. */
  readonly #recorded = new Set<bigint>();

  constructor(ledger: RequestLedger | undefined, answers: Answers, log: Log) {
    this.#ledger = ledger;
    this.#answers = answers;
    this.#log = log;
  }

  /** Before a request runs; undefined if it has been answered here. */
  begin(unique: bigint, opcode: number): EarlierLife | undefined {
    const ledger = this.#ledger;
    if (ledger === undefined) return {};
    const request = numberOf(unique);
    const name = opcodeName(opcode);
    const earlier = isResent(unique) ? ledger.lookUp(request) : undefined;
    if (earlier?.kind === "answered") {
      this.#answers.send(unique, { body: earlier.answer });
      ledger.forget(request);
      return undefined;
    }
    if (earlier?.kind === "deadly") {
      this.#log.error({ operation: name }, "a request has cost three workers their lives and is refused");
      this.#answers.sendError(unique, constants.errno.EIO);
      ledger.forget(request);
      return undefined;
    }
    const begun = earlier?.kind === "begun" ? (earlier.details as Begun) : undefined;
    const intend = (details: Begun): void => {
      this.#recorded.add(request);
      ledger.begin(request, details);
    };
    if (earlier !== undefined) this.#recorded.add(request);
    if (begun === undefined && name !== undefined && CHANGES.has(name)) intend({});
    return { request, begun, intend };
  }

  /** Before its answer is sent: a later worker gives the same one. */
  keep(unique: bigint, opcode: number, { body }: Answer): void {
    const name = opcodeName(opcode);
    if (this.#ledger === undefined || name === undefined) return;
    if (!CHANGES.has(name) && !OPENINGS.has(name)) return;
    this.#recorded.add(numberOf(unique));
    this.#ledger.answer(numberOf(unique), body);
  }

  /** It is over: no worker will see it again. */
  end(unique: bigint): void {
    const request = numberOf(unique);
    if (this.#recorded.delete(request)) this.#ledger?.forget(request);
  }
}
