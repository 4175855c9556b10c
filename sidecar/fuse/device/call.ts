// One request while it is being served: who asks, and whether its answer is already out.

import type { Begun, Caller, InodeId } from "../../filesystem/filesystem.ts";
import type { RequestHeader } from "./decode.ts";
import { isResent } from "./resent.ts";

/** What a fatal signal to the waiting thread does to a request (RULES 25). */
export type WhenKilled =
  /** It is given up and answered EINTR. */
  | "give-up"
  /** It is answered 0 at once; its work goes on. Nobody sees the outcome of a dying process's close. */
  | "answer"
  /** Nothing: a change is carried out whatever happens to the one who asked. */
  | "finish";

/** What connects a request with what an earlier worker did for it. */
export interface EarlierLife {
  readonly request?: bigint;
  readonly begun?: Begun | undefined;
  readonly intend?: (begun: Begun) => void;
}

/** The caller of an operation, with the state of its request. */
export class Call implements Caller {
  readonly unique: bigint;
  readonly opcode: number;
  readonly inode: InodeId;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly whenKilled: WhenKilled;
  /** The same when the request comes again; undefined where nobody would know it again. */
  readonly request: bigint | undefined;
  /** It came before, to a worker that died. */
  readonly again: boolean;
  begun: Begun | undefined;
  readonly intend: ((begun: Begun) => void) | undefined;
  /** Its answer was sent before the work ended; what the work brings must be undone. */
  answeredEarly = false;
  #controller: AbortController | undefined;
  #killed = false;

  constructor(header: RequestHeader, whenKilled: WhenKilled, earlier: EarlierLife = {}) {
    this.unique = header.unique;
    this.request = earlier.request;
    this.again = isResent(header.unique);
    this.begun = earlier.begun;
    this.intend = earlier.intend;
    this.opcode = header.opcode;
    this.inode = header.inode;
    this.uid = header.uid;
    this.gid = header.gid;
    this.pid = header.pid;
    this.whenKilled = whenKilled;
  }

  /** Made only when asked for: most operations end before anyone could want it. */
  get interrupted(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#killed) this.#controller.abort();
    return this.#controller.signal;
  }

  giveUp(): void {
    this.#killed = true;
    this.#controller?.abort();
  }
}
