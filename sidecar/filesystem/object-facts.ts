// What the bucket says of an object, for programs to read as attributes `user.gcs.…`. They are not listed: a program that
// copies a file with its attributes must not try to set them.

import type { ObjectInfo } from "../bucket/bucket.ts";
import { encodeCrc32c } from "../bucket/crc32c.ts";
import { isDirectory, isFile, type Node } from "./nodes.ts";

const FACTS = "user.gcs.";

/** Whether the name is one of ours, or kept free for one. */
export function isObjectFact(name: string): boolean {
  return name.startsWith(FACTS);
}

/** The text of `user.gcs.…`; undefined if there is nothing to say. */
export function objectFact(node: Node, name: string): string | undefined {
  const fact = name.slice(FACTS.length);
  if (fact === "state") return stateOf(node);
  const object = isDirectory(node) ? node.placeholder : node.version;
  return object === undefined || object === "absent" ? undefined : facts[fact]?.(object);
}

const facts: Readonly<Record<string, (object: ObjectInfo) => string | undefined>> = {
  generation: ({ generation }) => String(generation),
  metageneration: ({ metageneration }) => String(metageneration),
  crc32c: ({ crc32c }) => encodeCrc32c(crc32c),
  content_type: ({ contentType }) => contentType,
  storage_class: ({ storageClass }) => storageClass,
  updated: ({ updatedMs }) => new Date(updatedMs).toISOString(),
};

/** Whether the bucket has what programs see. */
function stateOf(node: Node): "clean" | "changed" | "uploading" | "failed" {
  if (isFile(node)) {
    if (node.save?.running === true || (node.owed !== undefined && node.changes.busy)) return "uploading";
    if (node.saveError !== undefined) return "failed";
    const { copy } = node;
    if (node.version === undefined || copy?.dirty === true || (copy?.isOpen === true && copy.changed()))
      return "changed";
  }
  return node.patchOwed ? "changed" : "clean";
}
