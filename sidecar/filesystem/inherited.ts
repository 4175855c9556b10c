// Closes of a descriptor that a program has inherited from the one that opened the file (RULES 26).
//
// `for i in …; do /bin/echo $i; done > file`: the shell opens the file, and each child closes it as it ends. The shell will
// close it too, and hears then how it went. So nobody waits for what a child's close has to store: it is uploaded
// soon, together with what other children write meanwhile.
//
// That holds for as long as the opener has a descriptor of the file left. One that has closed it, or is gone, has left
// the file to whom it was handed on: then that one's close is what counts, and waits.

import { hasWritableOnFuse, threadGroupOf } from "../lib/process-files.ts";
import type { Context } from "./context.ts";
import type { HandleId } from "./filesystem.ts";
import type { FileNode, OpenFile } from "./nodes.ts";
import type { Saver } from "./save.ts";

/**
 * From a close that was not waited for to the upload, the first time and at most: about one write a second to one name is the
 * service's ceiling, and who goes on like that for long needs it less often.
 */
const GATHER_MS = [1000, 8000] as const;
/** What cannot be found out about processes in this time is not known, and the close waits. */
const LOOK_MS = 1000;

export class InheritedCloses {
  readonly #context: Context;
  readonly #saver: Saver;
  /**
   * By file and handle, the process that opened it and was seen to have a descriptor still. It cannot lose that without
   * closing one, so this holds until it does.
   */
  readonly #holders = new WeakMap<FileNode, Map<HandleId, number>>();
  readonly #gathering = new Map<FileNode, NodeJS.Timeout>();
  /** How long the next ones are gathered: twice as long each time, until somebody waits. */
  readonly #pausesMs = new WeakMap<FileNode, number>();

  constructor(context: Context, saver: Saver) {
    this.#context = context;
    this.#saver = saver;
  }

  /** Nothing is uploaded from now on but by closes. */
  stop(): void {
    for (const timer of this.#gathering.values()) clearTimeout(timer);
    this.#gathering.clear();
  }

  /**
   * Whether `thread` closes what another process opened and has open still. If so, what there is to store will be
   * uploaded soon; how that goes is told to the opener, whose own close tries again what failed. Where it is not known who
   * opened or closes it, the close waits.
   */
  async leavesToOpener({ node, id: handle, opener }: OpenFile, thread: number): Promise<boolean> {
    if (opener === 0 || opener === thread || thread === 0) return this.#waits(node);
    const holders = this.#holders.get(node) ?? new Map<HandleId, number>();
    this.#holders.set(node, holders);
    const process = await threadGroupOf(thread, LOOK_MS);
    const holder = holders.get(handle) ?? (await threadGroupOf(opener, LOOK_MS));
    if (process === undefined || holder === undefined || process === holder) return this.#waits(node);
    if ([...holders.values()].includes(process)) this.#holders.delete(node); // it closes something else of this file
    if (!holders.has(handle)) {
      if (!(await hasWritableOnFuse(holder, node.id, LOOK_MS))) return false;
      holders.set(handle, holder); // to no effect if one of them has closed meanwhile
    }
    this.#uploadSoon(node);
    return true;
  }

  #waits(node: FileNode): false {
    this.#holders.delete(node);
    this.#pausesMs.delete(node);
    return false;
  }

  #uploadSoon(node: FileNode): void {
    if (this.#gathering.has(node)) return;
    const [first, longest] = GATHER_MS;
    const pauseMs = this.#pausesMs.get(node) ?? first;
    this.#pausesMs.set(node, Math.min(2 * pauseMs, longest));
    const timer = setTimeout(() => {
      this.#gathering.delete(node);
      this.#context.background.start("upload what was written by inherited descriptors", () =>
        this.#upload(node),
      );
    }, pauseMs);
    this.#gathering.set(node, timer);
  }

  async #upload(node: FileNode): Promise<void> {
    if (node.opened.size === 0) return; // its last close has seen to it
    try {
      await (this.#context.owing()?.acknowledge(node, true) ?? this.#saver.save(node));
    } finally {
      this.#context.journal.note(node);
      await this.#context.witness().told();
    }
  }
}
