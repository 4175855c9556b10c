// What the kernel of the serve mount knows by number, as handover.db keeps it (RULES 30).

import { deserialize, serialize } from "node:v8";
import type { ObjectInfo } from "../../bucket/bucket.ts";
import type { InodeId } from "../filesystem.ts";
import type { ServedNode } from "../serve/served-nodes.ts";

export type ServedRecord =
  | {
      readonly kind: "directory";
      /** The folder's number in the app's mount. */
      readonly node: InodeId;
      readonly lookupCount: number;
    }
  | {
      readonly kind: "version";
      /** The file that stands for this version, if one does. */
      readonly node: InodeId | undefined;
      readonly version: ObjectInfo;
      readonly lookupCount: number;
      readonly place: { readonly parent: InodeId; readonly name: string } | undefined;
    };

export function encodeServed(served: ServedNode): Uint8Array {
  return serialize(recordOf(served));
}

export function decodeServed(bytes: Uint8Array): ServedRecord {
  return deserialize(bytes) as ServedRecord;
}

function recordOf(served: ServedNode): ServedRecord {
  const { lookupCount } = served;
  if (served.kind === "directory") return { kind: "directory", node: served.directory.id, lookupCount };
  const { node, version, place } = served;
  return {
    kind: "version",
    node: node?.id,
    version,
    lookupCount,
    place: place === undefined ? undefined : { parent: place.parent.id, name: place.name },
  };
}
