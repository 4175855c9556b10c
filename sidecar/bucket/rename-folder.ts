// Renaming a folder with everything in it: one long-running operation of the service, atomic whatever its size.
//
// It is not idempotent, and cannot be taken back or asked for twice. A folder keeps its creation time wherever it
// goes: after a lost answer that tells whether the folder at the destination is the one that was to go there. It
// does not tell who has sent it. Two who send one folder to the same name may then both be told that it went,
// which is what both asked for; who claims work by renaming a folder claims it to a name of his own (RULES 5).

import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

import type { FolderInfo, FolderRename } from "./bucket.ts";
import { BucketError, isBucketError, type BucketErrorKind } from "./errors.ts";
import { folderPath, statFolder } from "./folders.ts";
import { encodeSegment } from "./names.ts";
import type { Requests } from "./requests.ts";

// Small folders have moved in the first answer, hundreds of folders take a second.
const firstLookMs = 50;
const longestLookMs = 1_000;

interface Asked {
  readonly source: FolderInfo;
  readonly destination: string;
  readonly about: string;
}

/** What the service says of an operation. */
interface Operation {
  readonly id: string;
  readonly done: boolean;
  readonly failure: { readonly code: number; readonly message: string } | undefined;
  readonly destination: string | undefined;
}

/** See BucketFolders. */
export async function renameFolder(
  requests: Requests,
  source: FolderInfo,
  destination: string,
  uncertain: boolean,
): Promise<FolderRename> {
  const about = `rename of folder ${JSON.stringify(source.name)} to ${JSON.stringify(destination)}`;
  const asked = { source, destination, about };
  const operation = await begin(requests, asked, uncertain);
  if (operation === undefined) return { operation: undefined };
  if (!operation.done) return { operation: operation.id };
  throwIfFailed(operation, about);
  return { operation: undefined };
}

/** See BucketFolders. */
export async function awaitRename(requests: Requests, id: string, patienceMs: number): Promise<boolean> {
  const about = `folder rename ${id}`;
  const end = performance.now() + patienceMs;
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(pauseMs * 2, longestLookMs)) {
    const operation = await ask(requests, id, about);
    if (operation.done) {
      throwIfFailed(operation, about);
      return true;
    }
    const leftMs = end - performance.now();
    if (leftMs <= 0) return false;
    await delay(Math.min(pauseMs, leftMs));
  }
}

/** The operation that was begun; undefined if it has come to its end unseen. */
async function begin(requests: Requests, asked: Asked, uncertain: boolean): Promise<Operation | undefined> {
  const { source, destination, about } = asked;
  try {
    const { value } = await requests.ask(
      {
        operation: "folderRename",
        about,
        method: "POST",
        path: `${folderPath(requests, source.name)}/renameTo/folders/${encodeSegment(destination)}`,
        body: () => ({ length: 0, content: Buffer.alloc(0) }),
      },
      requests.metadataBudget(),
      decodeOperation,
    );
    return value;
  } catch (error) {
    if (!isBucketError(error) || !(uncertain || error.uncertain)) throw error;
    return settle(requests, asked, error);
  }
}

/** What became of a rename of which at least one answer was lost. */
async function settle(
  requests: Requests,
  { source, destination, about }: Asked,
  error: BucketError,
): Promise<Operation | undefined> {
  const { value: left } = await statFolder(requests, source.name);
  if (left?.createdMs === source.createdMs) {
    if (left.renaming === undefined) throw error; // not moved, by anyone
    const running = await ask(requests, left.renaming, about);
    if (running.destination === destination) return running;
    throw error;
  }
  const { value: arrived } = await statFolder(requests, destination);
  if (arrived?.createdMs !== source.createdMs) {
    throw new BucketError("not-found", `${error.message} – the folder is gone`, { cause: error });
  }
  requests.log.info({ source: source.name, destination }, "an answer was lost: folder rename was done");
  return undefined;
}

function throwIfFailed({ failure }: Operation, about: string): void {
  if (failure === undefined) return;
  throw new BucketError(kindOf(failure.code), `${about}: the service gave it up: ${failure.message}`, {
    reason: String(failure.code),
  });
}

async function ask(requests: Requests, id: string, about: string): Promise<Operation> {
  const { value } = await requests.ask(
    {
      operation: "operation",
      about: `question about ${about}`,
      method: "GET",
      path: `${requests.bucketPath}/operations/${encodeSegment(id)}`,
    },
    requests.metadataBudget(),
    decodeOperation,
  );
  return value;
}

// https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
function kindOf(code: number): BucketErrorKind {
  const kinds: Partial<Record<number, BucketErrorKind>> = {
    4: "unavailable", // DEADLINE_EXCEEDED
    5: "not-found", // NOT_FOUND
    6: "already-exists", // ALREADY_EXISTS
    7: "forbidden", // PERMISSION_DENIED
    8: "throttled", // RESOURCE_EXHAUSTED
    9: "precondition-failed", // FAILED_PRECONDITION
    10: "unavailable", // ABORTED
    13: "unavailable", // INTERNAL
    14: "unavailable", // UNAVAILABLE
    16: "unauthenticated", // UNAUTHENTICATED
  };
  return kinds[code] ?? "invalid";
}

interface OperationResource {
  name?: unknown;
  done?: unknown;
  error?: { code?: number; message?: string };
  metadata?: { destinationFolderId?: unknown };
}

function decodeOperation(json: unknown): Operation {
  const { name, done, error, metadata } = (json ?? {}) as OperationResource;
  // projects/_/buckets/BUCKET/operations/ID
  const id = typeof name === "string" ? name.slice(name.lastIndexOf("/") + 1) : "";
  if (id === "") {
    throw new BucketError("unavailable", "the answer does not describe an operation", { uncertain: true });
  }
  const destination = metadata?.destinationFolderId;
  return {
    id,
    done: done === true,
    failure: error === undefined ? undefined : { code: error.code ?? 2, message: error.message ?? "" },
    destination: typeof destination === "string" ? destination : undefined,
  };
}
