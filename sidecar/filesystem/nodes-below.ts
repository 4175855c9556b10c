// A folder and everything known below it.

import { isDirectory, type DirectoryNode, type Node } from "./nodes.ts";

/** The folder itself comes first, and each folder before what is in it. */
export function* nodesBelow(directory: DirectoryNode): Iterable<Node> {
  yield directory;
  for (const child of directory.children.values()) {
    if (isDirectory(child)) yield* nodesBelow(child);
    else yield child;
  }
}
