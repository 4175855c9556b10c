// What only hierarchical buckets do: folders that objects bring with them, folders that move with all that is in them.
//
// Functions that change something run inside a commit.

import type { Clock } from "./clock.ts";
import { behindFolder, foldersAbove, foldersOfObject } from "./folder-names.ts";
import { FolderRenames, type FolderRename } from "./folder-renames.ts";
import { Folders, type StoredFolder } from "./folders.ts";
import type { Objects } from "./objects.ts";
import type { Database } from "./database.ts";
import { isHierarchical, type StoredBucket } from "./resources.ts";

export class Hierarchy {
  readonly folders: Folders;
  readonly renames: FolderRenames;
  readonly #objects: Objects;
  readonly #clock: Clock;

  constructor({ sql }: Database, objects: Objects, clock: Clock) {
    this.folders = new Folders(sql);
    this.renames = new FolderRenames(sql);
    this.#objects = objects;
    this.#clock = clock;
  }

  /** Throws 429 while a rename moves what has this name, or something there. */
  checkWritable(bucket: StoredBucket, name: string): void {
    if (isHierarchical(bucket)) this.renames.checkWritable(bucket.name, name);
  }

  /** The folders of a new object, as far as they are missing. */
  makeFoldersOf(bucket: StoredBucket, object: string): void {
    if (isHierarchical(bucket)) for (const name of foldersOfObject(object)) this.#make(bucket.name, name);
  }

  /** A new folder and those above it, as far as they are missing. */
  make(bucket: string, name: string): StoredFolder {
    for (const above of foldersAbove(name)) this.#make(bucket, above);
    return this.#make(bucket, name);
  }

  /** Whether objects or folders are in a folder. */
  hasEntries(bucket: string, folder: string): boolean {
    const [from, until] = [Buffer.from(folder), Buffer.from(behindFolder(folder))];
    for (const _ of this.#objects.scan(bucket, from, until)) return true;
    for (const { name } of this.folders.scan(bucket, from, until)) if (name !== folder) return true;
    return false;
  }

  /** The bucket is gone. */
  forget(bucket: string): void {
    this.renames.forget(bucket);
  }

  /** Ends an operation: everything below the source is below the destination, unless it is to fail. */
  carryOut(rename: FolderRename): FolderRename {
    const failure = this.renames.fails ? "The folder could not be renamed, on request of a test." : undefined;
    if (failure === undefined) this.#move(rename);
    const ended = { ...rename, endedMs: this.#clock.nowMs(), failure };
    this.renames.put(ended);
    return ended;
  }

  #move({ bucket, source, destination }: FolderRename): void {
    const [from, until] = [Buffer.from(source), Buffer.from(behindFolder(source))];
    // All are read before the first is changed.
    const folders = [...this.folders.scan(bucket, from, until)];
    const objects = [...this.#objects.scan(bucket, from, until)].map((row) => row.toObject());
    for (const folder of folders) {
      this.folders.remove(bucket, folder.name);
      const updatedMs = folder.name === source ? this.#clock.nowMs() : folder.updatedMs;
      this.folders.put({ ...folder, updatedMs, name: destination + folder.name.slice(source.length) });
    }
    for (const object of objects) {
      this.#objects.remove(bucket, object.name);
      const generation = this.renames.newGenerations ? this.#clock.nextGeneration() : object.generation;
      this.#objects.put({ ...object, generation, name: destination + object.name.slice(source.length) });
    }
  }

  #make(bucket: string, name: string): StoredFolder {
    const known = this.folders.find(bucket, name);
    if (known !== undefined) return known;
    const nowMs = this.#clock.nowMs();
    const made = { bucket, name, metageneration: 1, createdMs: nowMs, updatedMs: nowMs };
    this.folders.put(made);
    return made;
  }
}
