// Renaming a folder with everything in it: one long-running operation of the service, atomic whatever its size.
//
// It is not idempotent, and cannot be taken back or asked for twice. A folder keeps its creation time wherever it
// goes: after a lost answer that tells whether the folder at the destination is the one that was to go there. It
// does not tell who has sent it. Two who send one folder to the same name may then both be told that it went,
// which is what both asked for; who claims work by renaming a folder claims it to a name of his own (RULES 5).

import { setTimeout as delay } from "node:timers/promises";

import type { FolderInfo } from "./bucket.ts";
import { BucketError, isBucketError, type BucketErrorKind } from "./errors.ts";
import { folderPath, statFolder } from "./folders.ts";
import { encodeSegment } from "./names.ts";
import type { Requests } from "./requests.ts";

// Small folders have moved in the first answer, hundreds of folders take a second.
const firstLookMs = 50;
const longestLookMs = 2_000;

interface FolderRename {
  readonly source: string;
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

/**
 * Resolves when the folder has moved. `onBegun` is awaited with the operation's id where it takes longer than one
 * answer: a later run can wait for it.
 */
export async function renameFolder(
  requests: Requests,
  source: string,
  destination: string,
  onBegun?: (operation: string) => Promise<void> | void,
): Promise<void> {
  const about = `rename of folder ${JSON.stringify(source)} to ${JSON.stringify(destination)}`;
  const rename = { source, destination, about };
  const { value: before } = await statFolder(requests, source);
  if (before === undefined) throw new BucketError("not-found", `${about}: there is no such folder`);
  const operation = await begin(requests, rename, before);
  if (operation === undefined) return;
  if (!operation.done) await onBegun?.(operation.id);
  await follow(requests, operation, about);
}

/** Resolves when the operation is over, rejects with why it failed. `not-found`: the service does not know it. */
export async function awaitRename(requests: Requests, id: string): Promise<void> {
  const about = `folder rename ${id}`;
  await follow(requests, await ask(requests, id, about), about);
}

/** The operation that was begun; undefined if it has come to its end unseen. */
async function begin(
  requests: Requests,
  rename: FolderRename,
  before: FolderInfo,
): Promise<Operation | undefined> {
  const { source, destination, about } = rename;
  try {
    const { value } = await requests.ask(
      {
        operation: "folderRename",
        about,
        method: "POST",
        path: `${folderPath(requests, source)}/renameTo/folders/${encodeSegment(destination)}`,
        body: () => ({ length: 0, content: Buffer.alloc(0) }),
      },
      requests.metadataBudget(),
      decodeOperation,
    );
    return value;
  } catch (error) {
    if (!isBucketError(error) || !error.uncertain || error.kind === "aborted") throw error;
    return settle(requests, rename, before, error);
  }
}

/** What became of a rename of which at least one answer was lost. */
async function settle(
  requests: Requests,
  { source, destination, about }: FolderRename,
  before: FolderInfo,
  error: BucketError,
): Promise<Operation | undefined> {
  const { value: left } = await statFolder(requests, source);
  if (left?.createdMs === before.createdMs) {
    if (left.renaming === undefined) throw error; // not moved, by anyone
    const running = await ask(requests, left.renaming, about);
    if (running.destination === destination) return running;
    throw error;
  }
  const { value: arrived } = await statFolder(requests, destination);
  if (arrived?.createdMs !== before.createdMs) {
    throw new BucketError("not-found", `${error.message} – the folder is gone`, { cause: error });
  }
  requests.log.info({ source, destination }, "an answer was lost: folder rename was done");
  return undefined;
}

async function follow(requests: Requests, begun: Operation, about: string): Promise<void> {
  let operation = begun;
  for (let pauseMs = firstLookMs; !operation.done; pauseMs = Math.min(pauseMs * 2, longestLookMs)) {
    await delay(pauseMs);
    operation = await ask(requests, operation.id, about);
  }
  const { failure } = operation;
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
