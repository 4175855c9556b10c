// One page of a listing: names in byte order, with what lies beyond a delimiter collapsed into prefixes.
//
// A collapsed prefix costs one seek, however many names are below it: the scan goes on at the first position
// behind them all. A page token is such a position, so a page costs what it holds, wherever it starts, and a
// prefix never appears on two pages. Folder resources, where they are wanted, are rows like those of objects that
// never become items.

import { invalid } from "./api-error.ts";
import type { Folders } from "./folders.ts";
import type { Objects, StoredObject } from "./objects.ts";

export interface ListRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly startOffset: string;
  readonly endOffset: string;
  readonly includeTrailingDelimiter: boolean;
  /** Items and prefixes together. */
  readonly limit: number;
  readonly pageToken: string | undefined;
}

export interface ListedPage {
  readonly objects: readonly StoredObject[];
  readonly prefixes: readonly string[];
  readonly nextPageToken: string | undefined;
}

/** Where a page begins. `pending` is a prefix that is owed before going on behind it. */
interface Position {
  readonly from: Buffer;
  readonly pending: boolean;
}

/** `folders`: those whose names are to be among the prefixes, as names of objects are. */
export function listPage(objects: Objects, request: ListRequest, folders?: Folders): ListedPage {
  const page = new Page(request.limit);
  const prefix = Buffer.from(request.prefix);
  const delimiter = Buffer.from(request.delimiter);
  const until = lower(
    successor(prefix),
    request.endOffset === "" ? undefined : Buffer.from(request.endOffset),
  );
  const collapsing: Collapsing = {
    prefixLength: prefix.length,
    delimiter,
    includeTrailing: request.includeTrailingDelimiter,
  };
  let from = firstPosition(request, prefix, page);
  for (;;) {
    const rows = objects.scan(request.bucket, from, until);
    const below =
      folders === undefined ? [] : collapsed(folders.scan(request.bucket, from, until), collapsing);
    const next = scanUntilCollapsed(inOrder(rows, below), page, collapsing);
    if (next === undefined || page.next !== undefined) return page.result();
    from = next;
  }
}

interface Collapsing {
  readonly prefixLength: number;
  readonly delimiter: Buffer;
  readonly includeTrailing: boolean;
}

/** A name that a listing comes by; a folder's is of no object. */
interface Row {
  readonly name: Buffer;
  readonly toObject?: () => StoredObject;
}

/** Folders that are a prefix of the listing, or lie below one. */
function* collapsed(
  folders: ReturnType<Folders["scan"]>,
  { prefixLength, delimiter }: Collapsing,
): Generator<Row> {
  for (const folder of folders) {
    const name = Buffer.from(folder.name);
    if (collapsedPrefix(name, prefixLength, delimiter) !== undefined) yield { name };
  }
}

/** Both in byte order; of one name the object only. */
function* inOrder(objects: Iterable<Row>, folders: Iterable<Row>): Generator<Row> {
  const rest = folders[Symbol.iterator]();
  let folder = rest.next();
  for (const object of objects) {
    while (folder.done !== true) {
      const order = Buffer.compare(folder.value.name, object.name);
      if (order > 0) break;
      if (order < 0) yield folder.value;
      folder = rest.next();
    }
    yield object;
  }
  for (; folder.done !== true; folder = rest.next()) yield folder.value;
}

/** Takes rows until the page is full or a prefix was collapsed; then returns where to go on. */
function scanUntilCollapsed(
  rows: Iterable<Row>,
  page: Page,
  { prefixLength, delimiter, includeTrailing }: Collapsing,
): Buffer | undefined {
  for (const row of rows) {
    if (page.isFull) {
      page.endAt({ from: row.name, pending: false });
      return undefined;
    }
    const prefix = collapsedPrefix(row.name, prefixLength, delimiter);
    if (prefix === undefined) {
      if (row.toObject !== undefined) page.objects.push(row.toObject());
      continue;
    }
    if (includeTrailing && prefix.length === row.name.length && row.toObject !== undefined) {
      page.objects.push(row.toObject());
      if (page.isFull) {
        page.endAt({ from: row.name, pending: true });
        return undefined;
      }
    }
    page.prefixes.push(prefix.toString("utf8"));
    return successor(prefix);
  }
  return undefined;
}

class Page {
  readonly objects: StoredObject[] = [];
  readonly prefixes: string[] = [];
  readonly #limit: number;
  next: Position | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.objects.length + this.prefixes.length >= this.#limit;
  }

  endAt(position: Position): void {
    this.next = position;
  }

  result(): ListedPage {
    const nextPageToken = this.next === undefined ? undefined : encodeToken(this.next);
    return { objects: this.objects, prefixes: this.prefixes, nextPageToken };
  }
}

function firstPosition(request: ListRequest, prefix: Buffer, page: Page): Buffer {
  const start = higher(prefix, Buffer.from(request.startOffset));
  if (request.pageToken === undefined) return start;
  const { from, pending } = decodeToken(request.pageToken);
  if (!pending) return higher(start, from);
  page.prefixes.push(from.toString("utf8"));
  return successor(from) ?? from;
}

/** The part of `name` up to and including the first delimiter behind the prefix, if there is one. */
function collapsedPrefix(name: Buffer, prefixLength: number, delimiter: Buffer): Buffer | undefined {
  if (delimiter.length === 0) return undefined;
  const at = name.indexOf(delimiter, prefixLength);
  return at < 0 ? undefined : name.subarray(0, at + delimiter.length);
}

/** The first position behind every name that starts with `prefix`. UTF-8 has no byte 0xff, so adding one is safe. */
function successor(prefix: Buffer): Buffer | undefined {
  if (prefix.length === 0) return undefined;
  const next = Buffer.from(prefix);
  next[next.length - 1] = (next[next.length - 1] ?? 0) + 1;
  return next;
}

function higher(a: Buffer, b: Buffer): Buffer {
  return Buffer.compare(a, b) < 0 ? b : a;
}

function lower(a: Buffer | undefined, b: Buffer | undefined): Buffer | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Buffer.compare(a, b) < 0 ? a : b;
}

function encodeToken({ from, pending }: Position): string {
  return Buffer.concat([Buffer.from([pending ? 1 : 0]), from]).toString("base64url");
}

function decodeToken(token: string): Position {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length === 0 || (bytes[0] ?? 0) > 1) throw invalid(`Invalid page token: ${token}`);
  return { from: bytes.subarray(1), pending: bytes[0] === 1 };
}
