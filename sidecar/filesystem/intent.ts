// What an upload that failed was to do, noted for whoever does it later (RULES 10).

import type { Intent } from "../copies/copy-rows.ts";
import { contentTypeOf } from "./content-type.ts";
import { storedAttributes, type Context } from "./context.ts";
import { metadataForInsert } from "./metadata.ts";
import type { FileNode } from "./nodes.ts";

/** Call before the node forgets what it was to replace. */
export function intentOf(node: FileNode, { fileDefaults }: Pick<Context, "fileDefaults">): Intent {
  const { name, version, replaces, conflict, following, unsure } = node;
  const metadata = metadataForInsert(storedAttributes(node), fileDefaults, version);
  const own = version?.generation ?? replaces ?? "absent";
  return {
    // What goes behind somebody else's version is no version of that object, and must replace none.
    base: following === undefined ? (conflict?.generation ?? own) : undefined,
    properties: { contentType: contentTypeOf(name), metadata },
    operations: [...unsure],
  };
}
