// Asking a hierarchical bucket about names (RULES 34): always one level, where folders come as prefixes, empty ones too.
//
// What is below a folder is not shown with it, so a path costs one list for each unknown component. A known folder is
// confirmed by a get of the folder itself, which also tells how old it is. Its object `name/`, where it has one, has
// its attributes and comes with every listing of it and of the folder above.

import type { ListPage, ListQuery } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import {
  AFTER_SLASH,
  Explorer,
  FULL_PAGE,
  KNOWN_WHOLE_NAMES,
  nextQuery,
  SUBTREE_PAGE,
  type LongListing,
} from "./explore.ts";
import { LevelListing } from "./level-listing.ts";
import type { DirectoryNode } from "./nodes.ts";
import type { Observation } from "./observations.ts";

export class LevelExplorer extends Explorer {
  readonly #context: Context;

  constructor(context: Context) {
    super(context);
    this.#context = context;
  }

  override async name(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<void> {
    const key = this.#context.tree.objectName(parent) + name;
    const range = { startOffset: key, endOffset: key + AFTER_SLASH, pageSize: SUBTREE_PAGE };
    let level: LevelListing | undefined;
    await this.pages(this.#query(parent, range), signal, (page, count, observation) => {
      level ??= this.#listing(parent, observation);
      level.take(page);
      if (page.nextPageToken === undefined) {
        level.finishName(name);
        return undefined;
      }
      // A page full of `name-…` siblings may end before `name/`, which follows behind them.
      return count === 1 ? { startOffset: `${key}/` } : { pageToken: page.nextPageToken };
    });
  }

  override async folder(directory: DirectoryNode, signal?: AbortSignal): Promise<LongListing | undefined> {
    let level: LevelListing | undefined;
    let rest: ListQuery | undefined;
    await this.pages(
      this.#query(directory, { pageSize: FULL_PAGE }),
      signal,
      (page, _, observation, asked) => {
        level ??= this.#listing(directory, observation);
        level.take(page);
        if (page.nextPageToken === undefined) {
          level.finish();
          return undefined;
        }
        const next = { pageToken: page.nextPageToken };
        if (level.names.size <= KNOWN_WHOLE_NAMES) return next;
        rest = nextQuery(asked, next);
        level.finishPart();
        return undefined;
      },
    );
    return level === undefined || rest === undefined ? undefined : this.long(directory, level.names, rest);
  }

  override async confirmFolder(directory: DirectoryNode, signal?: AbortSignal): Promise<boolean> {
    const { tree, bucket } = this.#context;
    const { parent, name } = directory;
    if (parent === undefined) return false;
    if (await this.#confirmByObject(directory, signal)) return true;
    await tree.observe(
      () => bucket.folders.stat(tree.objectName(directory), signal),
      ({ value, dateMs }, observation) => {
        if (value === undefined) tree.observeAbsence(parent, name, observation);
        else {
          directory.createdMs = value.createdMs;
          tree.observeDirectory(parent, name, value.createdMs, dateMs, observation);
        }
      },
    );
    return parent.children.get(name) === directory;
  }

  protected override takePage(
    directory: DirectoryNode,
    page: ListPage,
    observation: Observation,
  ): readonly string[] {
    const level = this.#listing(directory, observation);
    level.take(page);
    level.finishPart();
    return [...level.names];
  }

  /** Where an object has the folder's attributes it also proves that there is the folder. */
  async #confirmByObject(directory: DirectoryNode, signal?: AbortSignal): Promise<boolean> {
    const { tree, bucket } = this.#context;
    const { parent, name, placeholder } = directory;
    if (parent === undefined || placeholder === undefined || placeholder === "absent") return false;
    const { value } = await tree.observe(
      () => bucket.stat(tree.objectName(directory), signal),
      (answer, observation) => {
        tree.observePlaceholder(directory, answer.value, observation);
        const oldestMs = answer.value?.createdMs;
        if (oldestMs !== undefined)
          tree.observeDirectory(parent, name, directory.createdMs ?? oldestMs, answer.dateMs, observation);
      },
    );
    return value !== undefined;
  }

  #listing(directory: DirectoryNode, observation: Observation): LevelListing {
    return new LevelListing(this.#context, directory, observation, this.reports);
  }

  #query(directory: DirectoryNode, query: Partial<ListQuery>): ListQuery {
    const prefix = this.#context.tree.objectName(directory);
    return { ...query, prefix, delimiter: "/", folders: true };
  }
}
