// A folder that somebody else has taken away has no name here from that moment on, but the kernel goes on using it
// until it is told. A path may then lead to another folder by now; who has the folder open stays in the old one.

import { FileSystemError } from "./errors.ts";
import { ROOT_INODE } from "./filesystem.ts";
import type { DirectoryNode, Node } from "./nodes.ts";

/** Whether the kernel has forgotten the name that led to a folder. */
export class Departure {
  /** Settled when the kernel knows. */
  readonly told: Promise<void>;
  #known = false;

  constructor(telling: Promise<void>) {
    this.told = telling.then(() => {
      this.#known = true;
    });
  }

  /** From then on only programs that have the folder, or something in it, open ask for names in it. */
  get isKnown(): boolean {
    return this.#known;
  }
}

/** What is above all that is above a node: the root, or what has lost its name. */
export function topOf(node: Node): Node {
  let top = node;
  while (top.parent !== undefined) top = top.parent;
  return top;
}

/** ENOENT if the folder was removed, here or elsewhere: nothing can be made in it. */
export function requireAttached(directory: DirectoryNode): void {
  if (topOf(directory).id !== ROOT_INODE) throw new FileSystemError("ENOENT", "the folder was removed");
}
