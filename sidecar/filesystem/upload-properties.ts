// What is written into the bucket beside a file's bytes: its type, its attributes, and a time of its own.

import type { ObjectProperties } from "../bucket/bucket.ts";
import { refreshTimes } from "./attributes-of.ts";
import { contentTypeOf } from "./content-type.ts";
import { storedAttributes, type Context } from "./context.ts";
import { decodeAttributes, metadataForInsert, type StoredAttributes } from "./metadata.ts";
import type { FileNode } from "./nodes.ts";
import type { VersionTimes } from "./version-times.ts";

/** Of the bytes that go up: what tells one version from another. */
export interface Measured {
  readonly size: number;
  readonly crc32c: number;
}

export class UploadProperties {
  readonly #context: Context;
  readonly #times: VersionTimes;

  constructor(context: Context, times: VersionTimes) {
    this.#context = context;
    this.#times = times;
  }

  /** For an upload of the file under this name; `attributes` are those that go with it. */
  of(
    node: FileNode,
    object: string,
    measured: Measured,
  ): { attributes: StoredAttributes; properties: ObjectProperties } {
    refreshTimes(node);
    this.#keepTimesApart(node, object, measured);
    const attributes = storedAttributes(node);
    const metadata = metadataForInsert(attributes, this.#context.fileDefaults, node.version);
    return { attributes, properties: { contentType: contentTypeOf(node.name), metadata } };
  }

  /** nginx's ETag is mtime in seconds and size: no two versions must have both in common (RULES 15). */
  #keepTimesApart(node: FileNode, object: string, { size, crc32c }: Measured): void {
    const { version } = node;
    const sameSize = version?.size === size ? version : undefined;
    if (node.timeGiven || sameSize?.crc32c === crc32c) return;
    if (sameSize !== undefined) {
      const { modifyTimeNs } = decodeAttributes(sameSize, this.#context.fileDefaults);
      this.#times.note(object, size, modifyTimeNs);
    }
    const apart = this.#times.apart(object, size, node.modifyTimeNs);
    if (apart === node.modifyTimeNs) return;
    node.modifyTimeNs = apart;
    void this.#context.kernel().attributesChanged(node.id);
  }
}
