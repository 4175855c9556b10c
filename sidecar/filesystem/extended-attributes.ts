// Extended attributes `user.*` of files and folders, kept in the custom metadata of their objects.
//
// A node holds only what was set here since its object was last read; everything else is what the object's metadata says,
// and goes where the metadata goes: along with a new version, a rename, a copy by another tool.

import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import { keyOf, nameOf } from "./extended-keys.ts";
import { isOwnKey } from "./metadata.ts";
import { isDirectory, isFile, movesEnded, type Node } from "./nodes.ts";
import { isObjectFact, objectFact } from "./object-facts.ts";
import type { AttributeSetter } from "./set-attributes.ts";

/** Of all custom metadata of an object, names and values; the service's limit. */
const METADATA_MAX_BYTES = 8192;
/** Kept free for times, owner, permissions and the operation id: about 300 bytes at most. */
const OWN_BYTES = 512;

export class ExtendedAttributes {
  readonly #context: Context;
  readonly #attributes: AttributeSetter;

  constructor(context: Context, attributes: AttributeSetter) {
    this.#context = context;
    this.#attributes = attributes;
  }

  /** ENODATA if there is none of this name, ENOTSUP for names that are not `user.*`. */
  async get(node: Node, name: string): Promise<Buffer> {
    const key = requireKey(name);
    await this.#look(node);
    const text = isObjectFact(name) ? objectFact(node, name) : this.#stored(node).get(key);
    if (text === undefined) throw new FileSystemError("ENODATA", `no attribute ${name}`);
    return Buffer.from(text, isObjectFact(name) ? "utf8" : "base64");
  }

  async list(node: Node): Promise<string[]> {
    await this.#look(node);
    return [...this.#stored(node).keys()].flatMap((key) => nameOf(key) ?? []).sort();
  }

  /** EEXIST and ENODATA as setxattr(2) has them; ENOSPC above what the metadata of an object can hold. */
  async set(node: Node, name: string, value: Buffer, mode: "any" | "create" | "replace"): Promise<void> {
    const key = await this.#beginChange(node, name);
    const exists = this.#stored(node).has(key);
    if (exists && mode === "create") throw new FileSystemError("EEXIST", `${name} is set already`);
    if (!exists && mode === "replace") throw new FileSystemError("ENODATA", `no attribute ${name}`);
    const text = value.toString("base64");
    if (this.#bytesWith(node, key, text) > METADATA_MAX_BYTES - OWN_BYTES)
      throw new FileSystemError("ENOSPC", "more than the metadata of an object can hold");
    await this.#change(node, key, text);
  }

  async remove(node: Node, name: string): Promise<void> {
    const key = await this.#beginChange(node, name);
    if (!this.#stored(node).has(key)) throw new FileSystemError("ENODATA", `no attribute ${name}`);
    await this.#change(node, key, null);
  }

  async #beginChange(node: Node, name: string): Promise<string> {
    const { readOnly, tree } = this.#context;
    const key = requireKey(name);
    if (readOnly) throw new FileSystemError("EROFS", "mounted read-only");
    if (isObjectFact(name) || !(isFile(node) || isDirectory(node)))
      throw new FileSystemError("EPERM", `${name} cannot be set`);
    if (node === tree.root) throw new FileSystemError("ENOTSUP", "the folder of the mount has no object");
    await movesEnded(node);
    if (isFile(node) && node.supplanted && node.opened.size === 0)
      throw new FileSystemError("ESTALE", "the name has a newer version");
    await this.#look(node);
    return key;
  }

  async #change(node: Node, key: string, text: string | null): Promise<void> {
    node.extended = { ...node.extended, [key]: text };
    node.changeTimeNs = this.#context.wallNs();
    await this.#attributes.persist(node);
  }

  /** A large folder is known without its own object having been seen. */
  async #look(node: Node): Promise<void> {
    const { bucket, tree } = this.#context;
    if (!isDirectory(node) || node.placeholder !== undefined || !tree.isAttached(node)) return;
    if (node === tree.root) return;
    await tree.observe(
      () => bucket.stat(tree.objectName(node)),
      ({ value }, observation) => tree.observePlaceholder(node, value, observation),
    );
  }

  /** Keys and texts as the bucket has them or is to have them. */
  #stored(node: Node): Map<string, string> {
    return new Map([...this.#metadata(node)].filter(([key]) => nameOf(key) !== undefined));
  }

  #metadata(node: Node): Map<string, string> {
    const object = isDirectory(node) ? node.placeholder : node.version;
    const kept = object === undefined || object === "absent" ? {} : object.metadata;
    const merged = Object.entries<string | null>({ ...kept, ...node.extended });
    return new Map(merged.filter((entry): entry is [string, string] => entry[1] !== null));
  }

  /** What all metadata but our own would take. */
  #bytesWith(node: Node, key: string, text: string): number {
    const metadata = this.#metadata(node).set(key, text);
    let bytes = 0;
    for (const [each, value] of metadata)
      if (!isOwnKey(each)) bytes += Buffer.byteLength(each) + Buffer.byteLength(value);
    return bytes;
  }
}

function requireKey(name: string): string {
  const key = keyOf(name);
  if (key === undefined) throw new FileSystemError("ENOTSUP", `attributes such as ${name} are not kept`);
  return key;
}
