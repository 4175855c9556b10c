// What an upload that failed was to do, noted for whoever does it later (RULES 10).

import type { Expected } from "../bucket/bucket.ts";
import type { Intent } from "../copies/copy-rows.ts";
import { contentTypeOf } from "./content-type.ts";
import { storedAttributes, type Context } from "./context.ts";
import { metadataForInsert } from "./metadata.ts";
import type { FileNode } from "./nodes.ts";

/** Call before the node forgets what it was to replace. */
export function intentOf(node: FileNode, { fileDefaults }: Pick<Context, "fileDefaults">): Intent {
  const { name, version, conflict, following, unsure } = node;
  const metadata = metadataForInsert(storedAttributes(node), fileDefaults, version);
  return {
    // What goes behind somebody else's version is no version of that object, and must replace none.
    base: following === undefined ? (conflict?.generation ?? baseOf(node)) : undefined,
    properties: { contentType: contentTypeOf(name), metadata },
    operations: [...unsure],
  };
}

/** What an upload of the file is to replace under its name. */
export function baseOf({ version, replaces }: FileNode): Expected {
  return version?.generation ?? replaces ?? "absent";
}
