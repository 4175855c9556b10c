// Asking the bucket about names: one name, one known object, or a whole folder, each with as few requests as
// the answer needs (RULES 35: known names are confirmed by get, lists are for unknown names and folders).

import type { ListPage, ListQuery, ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { Listing } from "./listing.ts";
import type { DirectoryNode, ObjectNode } from "./nodes.ts";
import type { Observation } from "./observations.ts";
import { UnshownReports } from "./unshown-objects.ts";

/** A name's own page: with everything below it, if that is not more than this. */
export const SUBTREE_PAGE = 200;
/** What the service gives at most. */
export const FULL_PAGE = 1000;
/**
 * A folder with more names than this is not kept as completely known: whoever lists it gets it page by page, and each
 * page may be forgotten again.
 */
export const KNOWN_WHOLE_NAMES = 50_000;
/** The character after "/" in byte order: `name0` is the first name behind everything below `name/`. */
export const AFTER_SLASH = "0";

/** The rest of a folder that is too large to be known as a whole. */
export interface LongListing {
  /** Names shown so far. */
  readonly names: ReadonlySet<string>;
  /** The next page's names, whose nodes are in the tree for a while; undefined: there are no more. */
  next(): Promise<readonly string[] | undefined>;
}

export class Explorer {
  protected readonly reports: UnshownReports;
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
    this.reports = new UnshownReports(context.log);
  }

  /** Finds out what `name` is, a file or a folder, and what is below it if that fits a page. */
  async name(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<void> {
    const { tree } = this.#context;
    const key = tree.objectName(parent) + name;
    const query = {
      prefix: tree.objectName(parent),
      startOffset: key,
      endOffset: key + AFTER_SLASH,
      pageSize: SUBTREE_PAGE,
    };
    await this.#listed(parent, query, signal, (listing, page, count) => {
      const ended = page.nextPageToken === undefined;
      const reached = ended || (page.objects.at(-1)?.name ?? "").startsWith(`${key}/`);
      if (!reached && count === 1) return { startOffset: `${key}/` };
      listing.finishName(name, ended);
      return undefined;
    });
  }

  /** Confirms a node that is one object by a get; afterwards its name may stand for another node, or none. */
  async confirm(node: ObjectNode, signal?: AbortSignal): Promise<void> {
    const { tree, bucket } = this.#context;
    const { parent, name } = node;
    if (parent === undefined) return;
    await tree.observe(
      () => bucket.stat(tree.objectName(node), signal),
      ({ value, dateMs }, observation) => {
        if (value === undefined) tree.observeAbsence(parent, name, observation);
        else tree.observeObject(parent, name, value, dateMs, observation);
      },
    );
  }

  /** Confirms a folder by a get, if that can be: a flat bucket has only names below it. Afterwards its name may stand for nothing. */
  confirmFolder(_directory: DirectoryNode, _signal?: AbortSignal): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** Asks by get for a name that copies of an earlier run say is an object. */
  async object(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<void> {
    const { tree, bucket } = this.#context;
    await tree.observe(
      () => bucket.stat(tree.objectName(parent) + name, signal),
      ({ value, dateMs }, observation) => {
        if (value !== undefined) tree.observeObject(parent, name, value, dateMs, observation);
      },
    );
  }

  /**
   * Lists a folder: one page with everything below it; if that is not all, the rest by its own level. Answers nothing
   * when it was listed completely, else a listing that goes on.
   */
  async folder(directory: DirectoryNode, signal?: AbortSignal): Promise<LongListing | undefined> {
    const prefix = this.#context.tree.objectName(directory);
    let names: ReadonlySet<string> = new Set();
    let rest: ListQuery | undefined;
    await this.#listed(directory, { prefix, pageSize: FULL_PAGE }, signal, (listing, page, count, query) => {
      names = listing.names;
      if (count === 1) listing.endOfRecursivePage(page);
      if (page.nextPageToken === undefined) {
        listing.finish();
        return undefined;
      }
      const next =
        count === 1
          ? { delimiter: "/" as const, startOffset: afterLast(prefix, page) }
          : { pageToken: page.nextPageToken };
      if (names.size <= KNOWN_WHOLE_NAMES) return next;
      rest = nextQuery(query, next);
      listing.unshown.report();
      return undefined;
    });
    return rest === undefined ? undefined : this.long(directory, names, rest);
  }

  protected long(directory: DirectoryNode, names: ReadonlySet<string>, rest: ListQuery): LongListing {
    let query: ListQuery | undefined = rest;
    return {
      names,
      next: async () => {
        if (query === undefined) return undefined;
        const page = await this.#page(directory, query);
        query = page.rest;
        return page.names;
      },
    };
  }

  /** One page of a folder's own level, as a question of its own. */
  async #page(
    directory: DirectoryNode,
    query: ListQuery,
  ): Promise<{ names: readonly string[]; rest: ListQuery | undefined }> {
    let names: readonly string[] = [];
    let rest: ListQuery | undefined;
    await this.pages(query, undefined, (page, _, observation, asked) => {
      names = this.takePage(directory, page, observation);
      if (page.nextPageToken !== undefined) rest = nextQuery(asked, { pageToken: page.nextPageToken });
      return undefined;
    });
    return { names, rest };
  }

  protected takePage(directory: DirectoryNode, page: ListPage, observation: Observation): readonly string[] {
    const listing = new Listing(this.#context, directory, observation, this.reports);
    listing.take(page);
    listing.unshown.report();
    listing.end();
    return [...listing.names];
  }

  /** Lists a folder with everything below it, however much that is. Answers all objects, also those no path can show. */
  async everything(directory: DirectoryNode): Promise<ObjectInfo[]> {
    const objects: ObjectInfo[] = [];
    const prefix = this.#context.tree.objectName(directory);
    await this.#listed(directory, { prefix, pageSize: FULL_PAGE }, undefined, (listing, page) => {
      objects.push(...page.objects);
      if (page.nextPageToken !== undefined) return { pageToken: page.nextPageToken };
      listing.endOfRecursivePage(page);
      listing.finish();
      return undefined;
    });
    return objects;
  }

  /** As `pages`, each taken into one listing of the folder. */
  async #listed(
    directory: DirectoryNode,
    first: ListQuery,
    signal: AbortSignal | undefined,
    next: (
      listing: Listing,
      page: ListPage,
      count: number,
      query: ListQuery,
    ) => Partial<ListQuery> | undefined,
  ): Promise<void> {
    let listing: Listing | undefined;
    try {
      await this.pages(first, signal, (page, count, observation, query) => {
        listing ??= new Listing(this.#context, directory, observation, this.reports);
        listing.take(page);
        return next(listing, page, count, query);
      });
    } finally {
      listing?.end();
    }
  }

  /** Pages, each asked for as `next` says, all taken in as one observation. */
  protected async pages(
    first: ListQuery,
    signal: AbortSignal | undefined,
    next: (
      page: ListPage,
      count: number,
      observation: Observation,
      query: ListQuery,
    ) => Partial<ListQuery> | undefined,
  ): Promise<void> {
    const { tree, bucket } = this.#context;
    const observation = tree.beginObservation();
    try {
      let query: ListQuery | undefined = first;
      for (let count = 1; query !== undefined;) {
        const page: ListPage = await bucket.list(query, signal);
        if (page.objects.length === 0 && page.prefixes.length === 0 && page.nextPageToken !== undefined) {
          query = { ...query, pageToken: page.nextPageToken }; // an empty page is no answer yet
          continue;
        }
        const change = next(page, count, observation, query);
        query = change === undefined ? undefined : nextQuery(query, change);
        count += 1;
      }
    } finally {
      tree.endObservation(observation);
    }
  }
}

export function nextQuery(query: ListQuery, change: Partial<ListQuery>): ListQuery {
  if (change.pageToken !== undefined) return { ...query, ...change };
  const { pageToken: _, ...fresh } = { ...query, ...change };
  return fresh;
}

/** Where to go on level by level after a page that showed everything: behind the last folder or name it reached. */
function afterLast(prefix: string, page: ListPage): string {
  const last = page.objects.at(-1)?.name ?? prefix;
  const slash = last.indexOf("/", prefix.length);
  return slash < 0 ? last : last.slice(0, slash) + AFTER_SLASH;
}
