// Asking the bucket about names: one name, one known object, or a whole folder, each with as few requests as
// the answer needs (RULES 35: known names are confirmed by get, lists are for unknown names and folders).

import type { ListPage, ListQuery, ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { isFileName, pathBelow } from "./names.ts";
import { isDirectory, type DirectoryNode, type ObjectNode } from "./nodes.ts";
import type { Observation } from "./observations.ts";

/** A name's own page: with everything below it, if that is not more than this. */
const SUBTREE_PAGE = 200;
/** What the service gives at most. */
const FULL_PAGE = 1000;
/**
 * A folder with more names than this is not kept as completely known: whoever lists it gets it page by page, and each
 * page may be forgotten again.
 */
const KNOWN_WHOLE_NAMES = 50_000;
/** The character after "/" in byte order: `name0` is the first name behind everything below `name/`. */
const AFTER_SLASH = "0";

/** What listings have shown of one folder so far. */
interface Seen {
  readonly names: Set<string>;
  newestMs: number;
  oldestMs: number;
  placeholder: ObjectInfo | undefined;
}

/** The rest of a folder that is too large to be known as a whole. */
export interface LongListing {
  /** Names shown so far. */
  readonly names: ReadonlySet<string>;
  /** The next page's names, whose nodes are in the tree for a while; undefined: there are no more. */
  next(): Promise<readonly string[] | undefined>;
}

export class Explorer {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
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
    await this.#pages(parent, query, signal, (listing, page, count) => {
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
    await this.#pages(directory, { prefix, pageSize: FULL_PAGE }, signal, (listing, page, count, query) => {
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
      return undefined;
    });
    if (rest === undefined) return undefined;
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
    await this.#pages(directory, query, undefined, (listing, page, _, asked) => {
      names = [...listing.names];
      if (page.nextPageToken !== undefined) rest = nextQuery(asked, { pageToken: page.nextPageToken });
      return undefined;
    });
    return { names, rest };
  }

  /** Lists a folder with everything below it, however much that is. Answers all objects, also those no path can show. */
  async everything(directory: DirectoryNode): Promise<ObjectInfo[]> {
    const objects: ObjectInfo[] = [];
    const prefix = this.#context.tree.objectName(directory);
    await this.#pages(directory, { prefix, pageSize: FULL_PAGE }, undefined, (listing, page) => {
      objects.push(...page.objects);
      if (page.nextPageToken !== undefined) return { pageToken: page.nextPageToken };
      listing.endOfRecursivePage(page);
      listing.finish();
      return undefined;
    });
    return objects;
  }

  /** Pages of what is in a folder, each asked for as `next` says, all taken in as one observation. */
  async #pages(
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
    const { tree, bucket } = this.#context;
    const observation = tree.beginObservation();
    let listing: Listing | undefined;
    try {
      listing = new Listing(this.#context, directory, observation);
      let query: ListQuery | undefined = first;
      for (let count = 1; query !== undefined;) {
        const page: ListPage = await bucket.list(query, signal);
        if (page.objects.length === 0 && page.prefixes.length === 0 && page.nextPageToken !== undefined) {
          query = { ...query, pageToken: page.nextPageToken }; // an empty page is no answer yet
          continue;
        }
        listing.take(page);
        const change = next(listing, page, count, query);
        query = change === undefined ? undefined : nextQuery(query, change);
        count += 1;
      }
    } finally {
      listing?.end();
      tree.endObservation(observation);
    }
  }
}

function nextQuery(query: ListQuery, change: Partial<ListQuery>): ListQuery {
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

/** Takes the pages of one question into the tree. */
class Listing {
  readonly #context: Context;
  readonly #top: DirectoryNode;
  readonly #observation: Observation;
  readonly #prefix: string;
  readonly #seen = new Map<DirectoryNode, Seen>();
  #dateMs = 0;

  constructor(context: Context, top: DirectoryNode, observation: Observation) {
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
    }
  }

  /** All that the pages showed was looked at: it may be forgotten again. */
  end(): void {
    for (const directory of this.#seen.keys()) directory.listings -= 1;
  }

  /** The question was about one name: what it showed below that name is all there is, if `ended`. */
  finishName(name: string, ended: boolean): void {
    const { tree } = this.#context;
    const seen = this.#of(this.#top);
    const child = this.#top.children.get(name);
    if (!seen.names.has(name)) {
      if (ended) tree.observeAbsence(this.#top, name, this.#observation);
      return;
    }
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
    const { names, newestMs, placeholder } = this.#of(directory);
    tree.observePlaceholder(directory, placeholder, this.#observation);
    tree.observeComplete(directory, names, newestMs, this.#dateMs, this.#observation);
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
    if (path.last === "") this.#of(directory).placeholder = object;
    else if (path.last !== undefined) {
      this.#of(directory).names.add(path.last);
      this.#context.tree.observeObject(directory, path.last, object, this.#dateMs, this.#observation);
    }
  }

  #folder(parent: DirectoryNode, name: string, sinceMs: number): DirectoryNode | undefined {
    this.#of(parent).names.add(name);
    const known = parent.children.get(name);
    const oldest = Math.min(
      sinceMs,
      isDirectory(known) ? (this.#seen.get(known)?.oldestMs ?? sinceMs) : sinceMs,
    );
    const folder = this.#context.tree.observeDirectory(parent, name, oldest, this.#dateMs, this.#observation);
    if (folder !== undefined) this.#of(folder);
    return folder;
  }

  #note(directory: DirectoryNode, object: ObjectInfo): void {
    const seen = this.#of(directory);
    seen.newestMs = Math.max(seen.newestMs, object.updatedMs);
    seen.oldestMs = Math.min(seen.oldestMs, object.updatedMs);
  }

  #of(directory: DirectoryNode): Seen {
    let seen = this.#seen.get(directory);
    if (seen === undefined) {
      seen = { names: new Set(), newestMs: 0, oldestMs: Number.POSITIVE_INFINITY, placeholder: undefined };
      this.#seen.set(directory, seen);
      directory.listings += 1;
    }
    return seen;
  }
}
