// Taking the pages of one question about one level of a hierarchical bucket into the tree.

import type { ListPage, ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { isFileName, isWorkingObject } from "./names.ts";
import { isDirectory, versionOf, type DirectoryNode } from "./nodes.ts";
import type { Observation } from "./observations.ts";
import { UnshownObjects, type UnshownReports } from "./unshown-objects.ts";

export class LevelListing {
  readonly #context: Context;
  readonly #directory: DirectoryNode;
  readonly #observation: Observation;
  readonly #unshown: UnshownObjects;
  readonly #prefix: string;
  readonly #names = new Set<string>();
  readonly #folders = new Set<string>();
  /** Objects `name/`, by the folder's name; "" is the folder that is listed. */
  readonly #placeholders = new Map<string, ObjectInfo>();
  /** Objects by the name of the file, until it is known whether a folder has it too. */
  readonly #files = new Map<string, ObjectInfo>();
  /** The latest change that showed: a folder tells of none. */
  #newestMs: number | undefined;
  /** When the oldest thing that showed was made. */
  #oldestMs = Number.POSITIVE_INFINITY;
  #dateMs = 0;

  constructor(context: Context, directory: DirectoryNode, observation: Observation, reports: UnshownReports) {
    this.#context = context;
    this.#directory = directory;
    this.#observation = observation;
    this.#unshown = new UnshownObjects(reports);
    this.#prefix = context.tree.objectName(directory);
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  take(page: ListPage): void {
    this.#dateMs = page.dateMs;
    for (const prefix of page.prefixes) {
      const name = prefix.slice(this.#prefix.length, -1);
      if (!isFileName(name)) {
        this.#noteUnshown({ name: prefix });
        continue;
      }
      this.#names.add(name);
      this.#folders.add(name);
    }
    for (const object of page.objects) this.#object(object);
  }

  /** The question was about one name. */
  finishName(name: string): void {
    this.#show(this.#dateMs, true);
    if (!this.#names.has(name)) this.#context.tree.observeAbsence(this.#directory, name, this.#observation);
    this.#confirmPlace();
  }

  /** Every page of the question about the whole level has been taken. */
  finish(): void {
    const { tree } = this.#context;
    const newestMs = this.#newestMs ?? this.#directory.createdMs ?? this.#dateMs; // it may have changed just now
    // A folder is trusted like the listing that showed it, unless it is known how old it is.
    this.#show(newestMs, true);
    tree.observePlaceholder(this.#directory, this.#placeholders.get(""), this.#observation);
    tree.observeComplete(this.#directory, this.#names, newestMs, this.#dateMs, this.#observation);
    this.#confirmPlace(this.#directory);
  }

  /** There is more than is kept as completely known. */
  finishPart(): void {
    this.#show(this.#dateMs, false);
    this.#confirmPlace();
  }

  /**
   * What is in it proves that the folder is there, as those above it are, and since when at least. Of one with an
   * object of its own only that, or a listing that shows it, tells whether its attributes are still the same.
   */
  #confirmPlace(listed?: DirectoryNode): void {
    if (this.#oldestMs === Number.POSITIVE_INFINITY) return;
    const { tree } = this.#context;
    for (let directory = this.#directory; directory.parent !== undefined; directory = directory.parent) {
      const { parent, name } = directory;
      if (parent.children.get(name) !== directory) return;
      directory.createdMs = Math.min(directory.createdMs ?? this.#oldestMs, this.#oldestMs);
      if (directory === listed || versionOf(directory) === undefined)
        tree.observeDirectory(parent, name, directory.createdMs, this.#dateMs, this.#observation);
    }
  }

  #object(object: ObjectInfo): void {
    const name = object.name.slice(this.#prefix.length);
    this.#newestMs = Math.max(this.#newestMs ?? object.updatedMs, object.updatedMs);
    this.#oldestMs = Math.min(this.#oldestMs, object.createdMs);
    if (name === "" || name.endsWith("/")) this.#placeholders.set(name.slice(0, -1), object);
    else if (!isFileName(name)) this.#noteUnshown(object);
    else {
      this.#names.add(name);
      this.#files.set(name, object);
    }
  }

  /** `whole`: nothing of these names has not been shown. `oldestMs`: of folders about which no more is known. */
  #show(oldestMs: number, whole: boolean): void {
    for (const [name, object] of this.#files) {
      if (this.#folders.has(name)) this.#noteUnshown(object);
      else this.#file(name, object, whole);
    }
    for (const name of this.#folders) this.#folder(name, oldestMs, whole);
    this.#unshown.report();
  }

  #file(name: string, object: ObjectInfo, whole: boolean): void {
    const { tree } = this.#context;
    // Nothing is left of a folder that had the name.
    if (whole && isDirectory(this.#directory.children.get(name)))
      tree.observeAbsence(this.#directory, name, this.#observation);
    tree.observeObject(this.#directory, name, object, this.#dateMs, this.#observation);
  }

  #folder(name: string, oldestMs: number, whole: boolean): void {
    const { tree } = this.#context;
    const known = this.#directory.children.get(name);
    const placeholder = this.#placeholders.get(name);
    const createdMs = (isDirectory(known) ? known.createdMs : undefined) ?? placeholder?.createdMs;
    const folder = tree.observeDirectory(
      this.#directory,
      name,
      createdMs ?? oldestMs,
      this.#dateMs,
      this.#observation,
    );
    if (folder !== undefined && (whole || placeholder !== undefined))
      tree.observePlaceholder(folder, placeholder, this.#observation);
  }

  #noteUnshown(object: Partial<ObjectInfo> & { name: string }): void {
    if (!isWorkingObject(object.name)) this.#unshown.note(this.#prefix, object);
  }
}
