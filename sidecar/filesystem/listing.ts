// Taking the pages of one question to the bucket into the tree: what they show of each folder, which of them are
// complete, and what they hold that no path can lead to.

import type { ListPage, ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { isFileName, isWorkingObject, pathBelow } from "./names.ts";
import { isDirectory, type DirectoryNode } from "./nodes.ts";
import type { Observation } from "./observations.ts";
import { UnshownObjects, type UnshownReports } from "./unshown-objects.ts";

/** What listings have shown of one folder so far. */
interface Seen {
  readonly names: Set<string>;
  /** The latest change that showed. An empty bucket does not tell since when it is that. */
  newestMs: number | undefined;
  oldestMs: number;
  placeholder: ObjectInfo | undefined;
  /** Objects where the tree has a folder (`a` beside `a/…`), until something below it has been seen. */
  readonly beside: Map<string, ObjectInfo>;
}

export class Listing {
  /** What it has shown that no path leads to; reported when the question has been answered. */
  readonly unshown: UnshownObjects;
  readonly #context: Context;
  readonly #top: DirectoryNode;
  readonly #observation: Observation;
  readonly #prefix: string;
  readonly #seen = new Map<DirectoryNode, Seen>();
  #dateMs = 0;

  constructor(context: Context, top: DirectoryNode, observation: Observation, reports: UnshownReports) {
    this.unshown = new UnshownObjects(reports);
    this.#context = context;
    this.#top = top;
    this.#observation = observation;
    this.#prefix = context.tree.objectName(top);
    this.#of(top);
  }

  /** Names of the folder itself. */
  get names(): ReadonlySet<string> {
    return this.#of(this.#top).names;
  }

  take(page: ListPage): void {
    this.#dateMs = page.dateMs;
    for (const object of page.objects) this.#object(object);
    for (const prefix of page.prefixes) {
      const name = prefix.slice(this.#prefix.length, -1);
      if (isFileName(name)) this.#folder(this.#top, name, page.dateMs);
      else this.#unshown(this.#top, { name: prefix });
    }
  }

  /** All that the pages showed was looked at: it may be forgotten again. */
  end(): void {
    for (const directory of this.#seen.keys()) directory.listings -= 1;
  }

  /** The question was about one name: what it showed below that name is all there is, if `ended`. */
  finishName(name: string, ended: boolean): void {
    this.unshown.report();
    const { tree } = this.#context;
    const seen = this.#of(this.#top);
    if (!seen.names.has(name)) {
      if (ended) tree.observeAbsence(this.#top, name, this.#observation);
      return;
    }
    if (ended) this.#uncover(this.#top, name);
    const child = this.#top.children.get(name);
    if (ended && isDirectory(child)) this.#completeBelow(child);
  }

  /** A page without delimiter ended here: every subfolder it showed is complete, but for those it broke off in. */
  endOfRecursivePage(page: ListPage): void {
    const brokenOff = new Set<DirectoryNode>([this.#top]);
    if (page.nextPageToken !== undefined) {
      let directory: DirectoryNode = this.#top;
      for (const name of pathBelow(this.#prefix, page.objects.at(-1)?.name ?? this.#prefix).folders) {
        const child = directory.children.get(name);
        if (!isDirectory(child)) break;
        brokenOff.add((directory = child));
      }
    }
    for (const directory of this.#seen.keys()) if (!brokenOff.has(directory)) this.#complete(directory);
  }

  /** Every page of the question about the whole folder has been taken. */
  finish(): void {
    this.unshown.report();
    this.#complete(this.#top);
  }

  #completeBelow(directory: DirectoryNode): void {
    this.#complete(directory);
    for (const child of directory.children.values()) {
      if (isDirectory(child) && this.#seen.has(child)) this.#completeBelow(child);
    }
  }

  #complete(directory: DirectoryNode): void {
    const { tree } = this.#context;
    const { names, newestMs, placeholder, beside } = this.#of(directory);
    for (const name of beside.keys()) this.#uncover(directory, name);
    tree.observePlaceholder(directory, placeholder, this.#observation);
    tree.observeComplete(directory, names, newestMs ?? this.#dateMs, this.#dateMs, this.#observation);
  }

  /** Nothing is left in a folder, so the object beside it has the name. */
  #uncover(directory: DirectoryNode, name: string): void {
    const { tree } = this.#context;
    const object = this.#of(directory).beside.get(name);
    if (object === undefined) return;
    tree.observeAbsence(directory, name, this.#observation);
    tree.observeObject(directory, name, object, this.#dateMs, this.#observation);
  }

  #unshown(directory: DirectoryNode, object: Partial<ObjectInfo> & { name: string }): void {
    if (isWorkingObject(object.name)) return;
    this.unshown.note(this.#context.tree.objectName(directory), object);
  }

  #object(object: ObjectInfo): void {
    const path = pathBelow(this.#prefix, object.name);
    let directory: DirectoryNode | undefined = this.#top;
    this.#note(directory, object);
    for (const name of path.folders) {
      directory = this.#folder(directory, name, object.updatedMs);
      if (directory === undefined) return;
      this.#note(directory, object);
    }
    const { names, beside } = this.#of(directory);
    if (path.last === undefined) this.#unshown(directory, object);
    else if (path.last === "") this.#of(directory).placeholder = object;
    else {
      names.add(path.last);
      if (isDirectory(directory.children.get(path.last))) beside.set(path.last, object);
      this.#context.tree.observeObject(directory, path.last, object, this.#dateMs, this.#observation);
    }
  }

  #folder(parent: DirectoryNode, name: string, sinceMs: number): DirectoryNode | undefined {
    const known = parent.children.get(name);
    const { names, beside } = this.#of(parent);
    const file = beside.get(name) ?? (names.has(name) && !isDirectory(known) ? known?.version : undefined);
    beside.delete(name);
    names.add(name);
    const oldest = Math.min(
      sinceMs,
      isDirectory(known) ? (this.#seen.get(known)?.oldestMs ?? sinceMs) : sinceMs,
    );
    const folder = this.#context.tree.observeDirectory(parent, name, oldest, this.#dateMs, this.#observation);
    if (folder === undefined) return undefined;
    if (file !== undefined) this.#unshown(parent, file);
    this.#of(folder);
    return folder;
  }

  #note(directory: DirectoryNode, object: ObjectInfo): void {
    const seen = this.#of(directory);
    seen.newestMs = Math.max(seen.newestMs ?? object.updatedMs, object.updatedMs);
    seen.oldestMs = Math.min(seen.oldestMs, object.updatedMs);
  }

  #of(directory: DirectoryNode): Seen {
    let seen = this.#seen.get(directory);
    if (seen === undefined) {
      seen = {
        names: new Set(),
        newestMs: undefined,
        oldestMs: Number.POSITIVE_INFINITY,
        placeholder: undefined,
        beside: new Map(),
      };
      this.#seen.set(directory, seen);
      directory.listings += 1;
    }
    return seen;
  }
}
