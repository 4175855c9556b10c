import test from "ava";
import fc from "fast-check";
import { DatabaseSync } from "node:sqlite";
import { Folders } from "./folders.ts";
import { listPage, type ListRequest } from "./listing.ts";
import { Objects, type StoredObject } from "./objects.ts";
import { objectPath, session } from "./testing.ts";

const everything: ListRequest = {
  bucket: "bkt",
  prefix: "",
  delimiter: "",
  startOffset: "",
  endOffset: "",
  includeTrailingDelimiter: false,
  limit: 1000,
  pageToken: undefined,
};

function tableOf(names: Iterable<string>): Objects {
  const sql = new DatabaseSync(":memory:");
  sql.exec(`CREATE TABLE objects (bucket, name, generation, metageneration, size, crc32c, md5, component_count, file,
    created_ms, updated_ms, properties, PRIMARY KEY (bucket, name)) WITHOUT ROWID`);
  const objects = new Objects(sql);
  sql.exec("BEGIN");
  for (const name of names) objects.put(objectNamed(name));
  sql.exec("COMMIT");
  return objects;
}

function objectNamed(name: string): StoredObject {
  const numbers = { generation: 1, metageneration: 1, size: 0, crc32c: 0, createdMs: 0, updatedMs: 0 };
  return {
    bucket: "bkt",
    name,
    ...numbers,
    md5: undefined,
    componentCount: undefined,
    file: "",
    properties: {},
  };
}

function foldersOf(names: Iterable<string>): Folders {
  const sql = new DatabaseSync(":memory:");
  sql.exec(`CREATE TABLE folders (bucket, name, metageneration, created_ms, updated_ms,
    PRIMARY KEY (bucket, name)) WITHOUT ROWID`);
  const folders = new Folders(sql);
  for (const name of names)
    folders.put({ bucket: "bkt", name, metageneration: 1, createdMs: 0, updatedMs: 0 });
  return folders;
}

function allPages(objects: Objects, request: ListRequest, folders?: Folders) {
  const items: string[] = [];
  const prefixes: string[] = [];
  let pages = 0;
  for (let pageToken: string | undefined; pages === 0 || pageToken !== undefined; pages += 1) {
    const page = listPage(objects, { ...request, pageToken }, folders);
    if (page.objects.length + page.prefixes.length > request.limit) throw new Error("a page is too long");
    items.push(...page.objects.map(({ name }) => name));
    prefixes.push(...page.prefixes);
    pageToken = page.nextPageToken;
  }
  return { items, prefixes };
}

/** What a listing means, without a thought for speed. */
function expectedListing(names: readonly string[], request: ListRequest) {
  const { prefix, delimiter, startOffset, endOffset } = request;
  const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const listed = names
    .filter((name) => name.startsWith(prefix) && compare(name, startOffset) >= 0)
    .filter((name) => endOffset === "" || compare(name, endOffset) < 0)
    .sort(compare);
  const items: string[] = [];
  const prefixes = new Set<string>();
  for (const name of listed) {
    const at = delimiter === "" ? -1 : name.indexOf(delimiter, prefix.length);
    const collapsed = name.slice(0, at + delimiter.length);
    if (at >= 0) prefixes.add(collapsed);
    if (at < 0 || (request.includeTrailingDelimiter && collapsed === name)) items.push(name);
  }
  return { items, prefixes: [...prefixes] };
}

test("all pages together list every name once, in byte order, for any prefix, delimiter, offsets and page size", (t) => {
  const letters = fc.constantFrom("a", "b", "/", "//", "a/", "\u{1f600}", "\uffee", "é", "\u0000");
  const text = (maxLength: number) => fc.array(letters, { maxLength }).map((parts) => parts.join(""));
  const cases = fc.record({
    names: fc.uniqueArray(text(5).filter((name) => name !== "")),
    prefix: text(2),
    delimiter: fc.constantFrom("", "/", "//", "a/", "\u{1f600}"),
    startOffset: fc.oneof(fc.constant(""), text(3)),
    endOffset: fc.oneof(fc.constant(""), text(3)),
    includeTrailingDelimiter: fc.boolean(),
    limit: fc.integer({ min: 1, max: 4 }),
  });
  const property = fc.property(cases, ({ names, ...rest }) => {
    const request = { ...everything, ...rest };
    t.deepEqual(allPages(tableOf(names), request), expectedListing(names, request));
  });
  t.notThrows(() => fc.assert(property, { numRuns: 500 }));
});

test("folders are prefixes as names of objects are, each once, and never items", (t) => {
  const letters = fc.constantFrom("a", "b", "/", "a/", "-", "0", "é");
  const text = fc.array(letters, { maxLength: 5 }).map((parts) => parts.join(""));
  const cases = fc.record({
    names: fc.uniqueArray(text.filter((name) => name !== "")),
    folders: fc.uniqueArray(text.map((name) => `${name}/`)),
    prefix: fc.constantFrom("", "a", "a/", "a/b/", "/"),
    startOffset: fc.oneof(fc.constant(""), text),
    endOffset: fc.oneof(fc.constant(""), text),
    includeTrailingDelimiter: fc.boolean(),
    limit: fc.integer({ min: 1, max: 4 }),
  });
  const property = fc.property(cases, ({ names, folders, ...rest }) => {
    const request = { ...everything, delimiter: "/", ...rest };
    const { prefix } = request;
    const listed = allPages(tableOf(names), request, foldersOf(folders));
    // As if each folder had something in it that sorts first; the folder that is listed is no entry of itself.
    const inside = folders.filter((name) => name !== prefix);
    const expected = expectedListing([...new Set([...names, ...inside])], request);
    t.deepEqual(listed, { ...expected, items: expected.items.filter((name) => names.includes(name)) });
  });
  t.notThrows(() => fc.assert(property, { numRuns: 500 }));
});

test("a page costs what it holds, however many names are behind a prefix or before the page", (t) => {
  const names = Array.from({ length: 200_000 }, (_, n) => `d${n % 20}/${String(n).padStart(6, "0")}`);
  const objects = tableOf(names);
  const millisecondsFor = (work: () => void) => {
    const from = performance.now();
    work();
    return performance.now() - from;
  };
  const collapsing = millisecondsFor(() => {
    t.is(listPage(objects, { ...everything, delimiter: "/" }).prefixes.length, 20);
  });
  // Reading 200,000 rows takes hundreds of milliseconds; 20 seeks less than one.
  t.true(collapsing < 20, `${collapsing} ms`);
  const { nextPageToken } = listPage(objects, { ...everything, startOffset: "d9/", limit: 10 });
  const paging = millisecondsFor(() => {
    t.is(listPage(objects, { ...everything, pageToken: nextPageToken, limit: 10 }).objects.length, 10);
  });
  t.true(paging < 20, `${paging} ms`);
});

test("a page has at most 1,000 items and prefixes together, and a token if there is more", async (t) => {
  const gcs = await session(t);
  const names = Array.from({ length: 1005 }, (_, n) => (n % 2 === 0 ? `f${n}` : `d${n}/x`));
  for (let n = 0; n < names.length; n += 50)
    await Promise.all(names.slice(n, n + 50).map((name) => gcs.put(name, "")));
  const path = "/storage/v1/b/bkt/o?delimiter=/&maxResults=5000&fields=items/name,prefixes,nextPageToken";
  const { json: first } = await gcs.get(path);
  const counted = (page: Record<string, unknown>) =>
    [page["items"], page["prefixes"]].flat().filter(Boolean).length;
  t.is(counted(first), 1000);
  const { json: second } = await gcs.get(`${path}&pageToken=${String(first["nextPageToken"])}`);
  t.is(counted(second), 5);
  t.is(second["nextPageToken"], undefined);
});

test("a placeholder that ends in the delimiter is listed as item and as prefix", async (t) => {
  const gcs = await session(t);
  for (const name of ["a/", "a/b", "c/d", "e"]) await gcs.put(name, "");
  const { json } = await gcs.get(
    "/storage/v1/b/bkt/o?delimiter=/&includeTrailingDelimiter=true&fields=items/name,prefixes",
  );
  t.deepEqual(json, { items: [{ name: "a/" }, { name: "e" }], prefixes: ["a/", "c/"] });
});

test("an empty listing has neither items nor prefixes; a listing of an absent bucket is 404", async (t) => {
  const gcs = await session(t);
  t.deepEqual((await gcs.get("/storage/v1/b/bkt/o")).json, { kind: "storage#objects" });
  t.is((await gcs.get("/storage/v1/b/absent/o")).status, 404);
  t.is((await gcs.get("/storage/v1/b/bkt/o?maxResults=x")).status, 400);
  t.is((await gcs.get("/storage/v1/b/bkt/o?pageToken=!")).status, 400);
  t.is((await gcs.get(objectPath(""))).status, 404);
});
