// Calls about folders, which only hierarchical buckets have. What is in the way of one is 409, whatever it is.

import { conflict, folderNotFound, invalid } from "../api-error.ts";
import { emptyAnswer, jsonAnswer, readJson, textMember, type Answer, type Call } from "../call.ts";
import { behindFolder, folderName, foldersAbove } from "../folder-names.ts";
import type { StoredFolder } from "../folders.ts";
import { checkPreconditions, integerParameter, preconditionsOf } from "../preconditions.ts";
import { folderResource, isHierarchical } from "../resources.ts";
import type { Store } from "../store.ts";

// https://cloud.google.com/storage/docs/json_api/v1/folders/list
const maxPageSize = 1000;

export async function insertFolder(store: Store, call: Call): Promise<Answer> {
  const name = folderName(textMember(await readJson(call.body), "name") ?? "");
  call.nameKnown(name);
  const folder = await store.commit(() => {
    const { folders, renames } = foldersIn(store, call.bucket);
    renames.checkWritable(call.bucket, name);
    if (folders.find(call.bucket, name) !== undefined)
      throw conflict("The folder you tried to create already exists.");
    if (call.query.get("recursive") !== "true") checkParent(store, call.bucket, name);
    return store.hierarchy.make(call.bucket, name);
  });
  return jsonAnswer(folderResource(folder, call.baseUrl));
}

export function getFolder(store: Store, call: Call): Answer {
  const folder = expectedFolder(store, call);
  const pending = store.hierarchy.renames
    .running()
    .find(({ bucket, source }) => bucket === call.bucket && source === folder.name);
  return jsonAnswer({
    ...folderResource(folder, call.baseUrl),
    pendingRenameInfo: pending === undefined ? undefined : { operationId: pending.id },
  });
}

export async function deleteFolder(store: Store, call: Call): Promise<Answer> {
  await store.commit(() => {
    const { name } = expectedFolder(store, call);
    store.hierarchy.renames.checkWritable(call.bucket, name);
    if (store.hierarchy.hasEntries(call.bucket, name))
      throw conflict("The folder you tried to delete is not empty.");
    store.hierarchy.folders.remove(call.bucket, name);
  });
  return emptyAnswer(204);
}

/** Folders in byte order; with a delimiter the one that is the prefix, and those directly in it. */
export function listFolders(store: Store, call: Call): Answer {
  const { query, bucket } = call;
  const { folders } = foldersIn(store, bucket);
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  if (prefix !== "" && !prefix.endsWith("/"))
    throw invalid("Invalid prefix: it must be empty or end with '/'.");
  if (delimiter !== "" && delimiter !== "/") throw invalid(`Invalid value for delimiter: ${delimiter}`);
  const limit = Math.min(integerParameter(query, "pageSize") ?? maxPageSize, maxPageSize);
  const page: StoredFolder[] = [];
  let nextPageToken: string | undefined;
  for (const folder of folders.scan(bucket, firstName(call, prefix), endOf(call, prefix))) {
    const isBelow = folder.name.slice(prefix.length).indexOf("/") < folder.name.length - prefix.length - 1;
    if (delimiter !== "" && isBelow && folder.name !== prefix) continue;
    if (page.length === limit) {
      nextPageToken = Buffer.from(folder.name).toString("base64url");
      break;
    }
    page.push(folder);
  }
  const items = page.map((folder) => folderResource(folder, call.baseUrl));
  return jsonAnswer({
    kind: "storage#folders",
    nextPageToken,
    items: items.length === 0 ? undefined : items,
  });
}

/** The bucket's folders; 409 if it has none of its own. */
export function foldersIn(store: Store, bucket: string): Store["hierarchy"] {
  if (!isHierarchical(store.buckets.get(bucket)))
    throw conflict("The bucket does not support hierarchical namespace.");
  return store.hierarchy;
}

/** 409 unless the folder directly above is there. */
export function checkParent(store: Store, bucket: string, name: string): void {
  const parent = foldersAbove(name).at(-1);
  if (parent !== undefined && store.hierarchy.folders.find(bucket, parent) === undefined)
    throw conflict("The parent folder does not exist.");
}

/** The folder, if it is there (404) and as the request expects (412, 304). */
function expectedFolder(store: Store, call: Call): StoredFolder {
  const folder = foldersIn(store, call.bucket).folders.find(call.bucket, folderName(call.object));
  if (folder === undefined) throw folderNotFound();
  checkPreconditions({ generation: 0, metageneration: folder.metageneration }, preconditionsOf(call.query));
  return folder;
}

function firstName({ query }: Call, prefix: string): Buffer {
  const names = [prefix, query.get("startOffset") ?? ""].map((name) => Buffer.from(name));
  const token = query.get("pageToken");
  if (token !== null && token !== "") names.push(Buffer.from(token, "base64url"));
  return names.reduce((a, b) => (Buffer.compare(a, b) < 0 ? b : a));
}

function endOf({ query }: Call, prefix: string): Buffer | undefined {
  const names = [prefix === "" ? "" : behindFolder(prefix), query.get("endOffset") ?? ""]
    .filter((name) => name !== "")
    .map((name) => Buffer.from(name));
  return names.length === 0 ? undefined : names.reduce((a, b) => (Buffer.compare(a, b) < 0 ? a : b));
}
