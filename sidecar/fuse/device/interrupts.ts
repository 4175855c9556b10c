// Requests in flight, and what signals do to them (RULES 25).
//
// The kernel sends one INTERRUPT for a request, at the first signal of any kind (Go programs get them all the
// time), and tells nothing more if a fatal one follows. So an interrupted request is looked at again and again
// while it lasts, and acted upon only if its thread is being killed. A FLUSH is looked at without an INTERRUPT
// too: a process that dies with files open flushes them when signals no longer reach it.

import { constants } from "node:os";

import type { InodeId } from "../../filesystem/filesystem.ts";
import { type Answers, done } from "./answer.ts";
import type { Call } from "./call.ts";
import { INTERRUPT_BIT } from "./protocol.ts";
import { isBeingKilled } from "./thread-state.ts";

const LOOK_EVERY_MS = 100;
// A look can wait for a thread that waits for us; that must not fill the pool (see thread-state.ts).
const LOOKS_AT_ONCE = 8;
// An INTERRUPT can be read before its request only if the kernel reorders them; it sends it again then.
const TRY_AGAIN_MS = 10;

/** The requests being served, by their id. */
export class Interrupts {
  readonly #answers: Answers;
  readonly #isBeingKilled: (threadId: number) => Promise<boolean>;
  readonly #inFlight = new Map<bigint, Call>();
  readonly #byInode = new Map<InodeId, number>();
  /** In order of the last look. */
  readonly #watched = new Set<Call>();
  readonly #lookedAt = new Set<Call>();
  #timer: NodeJS.Timeout | undefined;

  constructor(answers: Answers, beingKilled = isBeingKilled) {
    this.#answers = answers;
    this.#isBeingKilled = beingKilled;
  }

  begin(call: Call): void {
    this.#inFlight.set(call.unique, call);
    this.#byInode.set(call.inode, (this.#byInode.get(call.inode) ?? 0) + 1);
    if (call.whenKilled === "answer") this.#watch(call);
  }

  end(call: Call): void {
    if (!this.#inFlight.delete(call.unique)) return; // given up before
    const others = (this.#byInode.get(call.inode) ?? 1) - 1;
    if (others === 0) this.#byInode.delete(call.inode);
    else this.#byInode.set(call.inode, others);
    if (this.#watched.delete(call) && this.#watched.size === 0) this.#stopWatching();
  }

  /** Whether a request for this node (for look-ups and changes: the folder) is being served. */
  isBusy(inode: InodeId): boolean {
    return this.#byInode.has(inode);
  }

  /** INTERRUPT for `unique` arrived. */
  interrupt(unique: bigint): void {
    const call = this.#inFlight.get(unique);
    if (call === undefined) return this.#askAgainLater(unique);
    if (call.whenKilled === "finish") return;
    this.#watch(call);
    this.#lookAt(call);
  }

  // The request is already answered (then nobody minds) or not yet known here: EAGAIN lets the kernel repeat the
  // INTERRUPT for as long as the request waits. ENOSYS would end INTERRUPTs for good.
  #askAgainLater(unique: bigint): void {
    setTimeout(() => this.#answers.sendError(unique | INTERRUPT_BIT, constants.errno.EAGAIN), TRY_AGAIN_MS);
  }

  #watch(call: Call): void {
    this.#watched.add(call);
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  #look(): void {
    for (const call of [...this.#watched].slice(0, LOOKS_AT_ONCE)) {
      this.#watched.delete(call);
      this.#watched.add(call);
      this.#lookAt(call);
    }
  }

  #lookAt(call: Call): void {
    if (this.#lookedAt.has(call) || this.#lookedAt.size >= LOOKS_AT_ONCE) return;
    this.#lookedAt.add(call);
    void this.#isBeingKilled(call.pid).then((killed) => {
      this.#lookedAt.delete(call);
      if (killed && this.#inFlight.get(call.unique) === call) this.#act(call);
    });
  }

  #stopWatching(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #act(call: Call): void {
    call.answeredEarly = true;
    this.end(call);
    if (call.whenKilled === "answer") this.#answers.send(call.unique, done());
    else this.#answers.sendError(call.unique, constants.errno.EINTR);
    call.giveUp();
  }
}
