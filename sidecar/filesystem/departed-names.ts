// Names that are not there any more, and up to which generation what lay there is known to have gone.
//
// Messages are late: a temporary file has its final name by the time its first one is told of. What is not younger than
// what left the name is no news of it.

import type { Generation } from "../bucket/bucket.ts";
import { isDirectory, versionOf, type DirectoryNode, type Node } from "./nodes.ts";

// Full: the name that left first is forgotten, which costs a question if a message of it is still to come.
const NAMES_MAX = 10_000;

export class DepartedNames {
  readonly #latest = new Map<string, Generation>();

  /** The node has left this name; it knows its newest version. */
  note(directory: DirectoryNode, name: string, node: Node): void {
    const latest = latestOf(node);
    if (latest === undefined) return;
    const key = keyOf(directory, name);
    this.#latest.delete(key); // to the end
    this.#latest.set(key, latest);
    if (this.#latest.size <= NAMES_MAX) return;
    for (const first of this.#latest.keys()) {
      this.#latest.delete(first);
      return;
    }
  }

  /** Whether this version of a name, or of something below it, was there before the name was left. */
  covers(directory: DirectoryNode, name: string, generation: Generation): boolean {
    const latest = this.#latest.get(keyOf(directory, name));
    return latest !== undefined && generation <= latest;
  }
}

function keyOf({ id }: DirectoryNode, name: string): string {
  return `${id}/${name}`;
}

/** The newest version of a node, or of anything known below it: what was renamed along is as new as the rename. */
function latestOf(node: Node): Generation | undefined {
  let latest = versionOf(node)?.generation;
  if (!isDirectory(node)) return latest;
  for (const child of node.children.values()) {
    const below = latestOf(child);
    if (below !== undefined && (latest === undefined || below > latest)) latest = below;
  }
  return latest;
}
