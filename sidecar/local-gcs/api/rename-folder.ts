// folders.rename and the long-running operations it makes.
//
// What cannot be done is refused at once; what is begun is carried out after a while, or in the same step. The
// destination must not exist, not even empty, and its parent must.

import { randomUUID } from "node:crypto";
import { ApiError, conflict, folderNotFound, invalid } from "../api-error.ts";
import { jsonAnswer, type Answer, type Call } from "../call.ts";
import { folderName } from "../folder-names.ts";
import type { FolderRename } from "../folder-renames.ts";
import type { StoredFolder } from "../folders.ts";
import { checkPreconditions, sourcePreconditionsOf } from "../preconditions.ts";
import type { Store } from "../store.ts";
import { checkParent, foldersIn } from "./folders.ts";

// google.rpc.Code: ABORTED
const abortedCode = 10;

export async function renameFolder(store: Store, call: Call): Promise<Answer> {
  const source = folderName(call.object);
  const destination = folderName(call.destinationObject);
  const { bucket } = call;
  const { renames } = foldersIn(store, bucket);
  const rename = await store.commit(() => {
    check(store, call, source, destination);
    const begun: FolderRename = {
      bucket,
      id: Buffer.from(randomUUID()).toString("base64url"),
      source,
      destination,
      startedMs: store.clock.nowMs(),
      endedMs: undefined,
      failure: undefined,
    };
    renames.put(begun);
    return renames.takesMs === 0 ? store.hierarchy.carryOut(begun) : begun;
  });
  if (rename.endedMs === undefined) renames.later(() => finish(store, rename));
  return jsonAnswer(operationResource(store, rename, call.baseUrl));
}

export function getOperation(store: Store, call: Call): Answer {
  store.buckets.get(call.bucket);
  const rename = store.hierarchy.renames.find(call.bucket, call.object);
  if (rename === undefined) throw new ApiError(404, "notFound", "The specified operation does not exist.");
  return jsonAnswer(operationResource(store, rename, call.baseUrl));
}

/** All in one page. */
export function listOperations(store: Store, call: Call): Answer {
  store.buckets.get(call.bucket);
  const operations = store.hierarchy.renames.of(call.bucket);
  return jsonAnswer({
    kind: "storage#operations",
    operations: operations.map((rename) => operationResource(store, rename, call.baseUrl)),
  });
}

function check(store: Store, call: Call, source: string, destination: string): void {
  const { folders, renames } = store.hierarchy;
  const { bucket } = call;
  const folder = folders.find(bucket, source);
  if (folder === undefined) throw folderNotFound();
  const { metageneration } = folder;
  checkPreconditions({ generation: 0, metageneration }, sourcePreconditionsOf(call.query));
  for (const name of [source, destination]) renames.checkWritable(bucket, name);
  if (destination.startsWith(source)) throw invalid("A folder cannot be renamed to a folder below itself.");
  if (folders.find(bucket, destination) !== undefined)
    throw conflict("The folder you tried to create already exists.");
  checkParent(store, bucket, destination);
}

function finish(store: Store, rename: FolderRename): void {
  store
    .commit(() => store.hierarchy.carryOut(rename))
    .catch((err: unknown) => store.log.error({ err, source: rename.source }, "a folder was not renamed"));
}

function operationResource(store: Store, rename: FolderRename, baseUrl: string): Record<string, unknown> {
  const { bucket, id, source, destination, startedMs, endedMs, failure } = rename;
  const time = (ms: number): string => new Date(ms).toISOString();
  const folder = store.hierarchy.folders.find(bucket, destination);
  return {
    kind: "storage#operation",
    name: `projects/_/buckets/${bucket}/operations/${id}`,
    selfLink: `${baseUrl}/storage/v1/b/${bucket}/operations/${id}`,
    done: endedMs !== undefined,
    metadata: {
      "@type": "type.googleapis.com/google.storage.control.v2.RenameFolderMetadata",
      commonMetadata: {
        type: "rename-folder",
        createTime: time(startedMs),
        updateTime: time(endedMs ?? startedMs),
        endTime: endedMs === undefined ? undefined : time(endedMs),
        progressPercent: endedMs === undefined ? 1 : 100,
        requestedCancellation: false,
      },
      sourceFolderId: source,
      destinationFolderId: destination,
    },
    error: failure === undefined ? undefined : { code: abortedCode, message: failure },
    response: endedMs === undefined || failure !== undefined ? undefined : controlFolder(bucket, folder),
  };
}

/** The folder as the operation answers with it, which is not how the folder calls do. */
function controlFolder(bucket: string, folder: StoredFolder | undefined): Record<string, unknown> {
  return {
    "@type": "type.googleapis.com/google.storage.control.v2.Folder",
    ...(folder === undefined
      ? {}
      : {
          name: `projects/_/buckets/${bucket}/folders/${folder.name}`,
          metageneration: String(folder.metageneration),
          createTime: new Date(folder.createdMs).toISOString(),
          updateTime: new Date(folder.updatedMs).toISOString(),
        }),
  };
}
