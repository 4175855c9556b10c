// From the paths of libfuse to the inodes of the file system.
//
// libfuse knows its files by name and hands over whole paths; the kernel's look-ups and its forgetting stay inside
// it. So each operation looks up each component through the file system, which remembers what it knows, and gives
// back at its end what it has looked up. Only folders are remembered here, for as long as the file system allows.

import { FileSystemError } from "../../filesystem/errors.ts";
import { type Caller, type FileSystem, type InodeId, ROOT_INODE } from "../../filesystem/filesystem.ts";
import { type HiddenFiles, isHiddenName } from "./hidden-files.ts";
import type { KnownFolders } from "./known-folders.ts";
import type { OpenVersions } from "./open-versions.ts";

/** A folder, and a name in it that may not exist. */
export interface Place {
  readonly folder: InodeId;
  readonly name: string;
}

/** What is known of names besides what the file system knows. */
export interface NamesKnown {
  readonly hidden: HiddenFiles;
  readonly folders: KnownFolders;
  readonly versions: OpenVersions;
}

export class Paths {
  readonly known: NamesKnown;
  readonly #fileSystem: FileSystem;
  readonly #caller: Caller;

  constructor(fileSystem: FileSystem, caller: Caller, known: NamesKnown) {
    this.#fileSystem = fileSystem;
    this.#caller = caller;
    this.known = known;
  }

  /** Runs `use` with the inode at `path`, which is not forgotten before that has ended. ENOENT if there is none. */
  async at<T>(path: string, use: (inode: InodeId) => Promise<T>): Promise<T> {
    const name = lastNameOf(path);
    if (isHiddenName(name)) return use(this.known.hidden.inodeOfName(name));
    return this.#walk(componentsOf(path), use);
  }

  /** As `at`; a file that was opened a moment ago is still the version that was opened. */
  async lookAt<T>(path: string, use: (inode: InodeId) => Promise<T>): Promise<T> {
    const components = componentsOf(path);
    const name = components.pop();
    if (name === undefined) return use(ROOT_INODE);
    if (isHiddenName(name)) return use(this.known.hidden.inodeOfName(name));
    return this.#walk(components, async (folder) => {
      const opened = this.known.versions.inodeOf({ folder, name });
      return opened === undefined ? this.#walk([name], use, folder) : use(opened);
    });
  }

  /** Runs `use` with the folder above the last name of `path`, and that name. */
  below<T>(path: string, use: (place: Place) => Promise<T>): Promise<T> {
    const components = componentsOf(path);
    const name = components.pop();
    if (name === undefined) throw new FileSystemError("EINVAL", "the mount point itself has no name here");
    return this.#walk(components, (folder) => use({ folder, name }));
  }

  async #walk<T>(
    components: readonly string[],
    use: (inode: InodeId) => Promise<T>,
    from = ROOT_INODE,
  ): Promise<T> {
    const { hidden, folders } = this.known;
    const taken: InodeId[] = [];
    try {
      let inode = from;
      for (const name of components) {
        const place: Place = { folder: inode, name };
        // Open handles keep the one, the list of known folders the other.
        const known = hidden.inodeOf(place) ?? folders.find(place);
        if (known !== undefined) {
          inode = known;
          continue;
        }
        const entry = await this.#fileSystem.lookup(this.#caller, inode, name);
        inode = entry.attributes.inode;
        if (!folders.keep(place, entry)) taken.push(inode);
      }
      return await use(inode);
    } finally {
      for (const inode of taken) this.#fileSystem.forget(inode, 1);
    }
  }
}

/** "" of the mount point itself. */
export function lastNameOf(path: string): string {
  return componentsOf(path).at(-1) ?? "";
}

function componentsOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}
