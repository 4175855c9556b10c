// Folder resources, which hierarchical buckets have beside their objects. Names end in "/".
//
// Nothing in a folder says who made it: the service takes no word of ours with it. So after a lost answer a folder
// that is there may be anybody's, and two programs that make one as a lock must never both believe that they did.

import type { Dated, FolderInfo } from "./bucket.ts";
import { BucketError, isBucketError } from "./errors.ts";
import { encodeQuery, encodeSegment } from "./names.ts";
import { dated, type Requests } from "./requests.ts";
import { serviceError } from "./service-error.ts";
import type { Call } from "./transport.ts";

export function folderPath(requests: Requests, name: string): string {
  return `${requests.bucketPath}/folders/${encodeSegment(name)}`;
}

/** The folder, or undefined if there is none. */
export async function statFolder(
  requests: Requests,
  name: string,
  signal?: AbortSignal,
): Promise<Dated<FolderInfo | undefined>> {
  const call: Call = {
    operation: "folderStat",
    about: `look-up of folder ${JSON.stringify(name)}`,
    method: "GET",
    path: folderPath(requests, name),
    signal,
  };
  const budget = requests.metadataBudget();
  return requests.repeat(call, budget, async () => {
    const answer = await requests.askOnce(call, budget.tryMs(), [404]);
    if (answer.status !== 404) return dated(answer, decodeFolder);
    const error = serviceError(call.about, { status: answer.status, body: answer.text });
    if (error.kind === "bucket-not-found") throw error;
    return { value: undefined, dateMs: answer.dateMs };
  });
}

/** See BucketFolders. */
export async function makeFolder(
  requests: Requests,
  name: string,
  above: boolean,
  soleWriter: boolean,
): Promise<Dated<FolderInfo>> {
  const body = Buffer.from(JSON.stringify({ name }));
  try {
    return await requests.ask(
      {
        operation: "folderMake",
        about: `making of folder ${JSON.stringify(name)}`,
        method: "POST",
        path: `${requests.bucketPath}/folders${encodeQuery({ recursive: above || undefined })}`,
        headers: { "content-type": "application/json" },
        body: () => ({ length: body.length, content: body }),
      },
      requests.metadataBudget(),
      decodeFolder,
    );
  } catch (error) {
    if (!isBucketError(error, "already-exists") || !error.uncertain) throw error;
    const { value, dateMs } = await statFolder(requests, name);
    if (soleWriter && value !== undefined) return { value, dateMs };
    throw new BucketError("unavailable", `${error.message} – after a lost answer: who made it is unknown`, {
      status: error.status,
      uncertain: true,
      cause: error,
    });
  }
}

/** True if it was there, false if there is none any more. `not-empty`: something is in it. */
export async function removeFolder(requests: Requests, name: string): Promise<boolean> {
  try {
    await requests.ask(
      {
        operation: "folderRemove",
        about: `removal of folder ${JSON.stringify(name)}`,
        method: "DELETE",
        path: folderPath(requests, name),
      },
      requests.metadataBudget(),
      () => undefined,
    );
    return true;
  } catch (error) {
    if (isBucketError(error, "not-found")) return error.uncertain; // gone: by a try whose answer was lost, if there was one
    if (!isConflict(error)) throw error;
    // No condition was asked for: nothing else can be in the way.
    const { message, status, reason } = error;
    throw new BucketError("not-empty", message, { status, reason, cause: error });
  }
}

function isConflict(error: unknown): error is BucketError {
  return isBucketError(error) && (error.status === 409 || error.status === 412);
}

interface FolderResource {
  name?: unknown;
  metageneration?: unknown;
  createTime?: unknown;
  updateTime?: unknown;
  pendingRenameInfo?: { operationId?: unknown };
}

/** The folder that `json` describes; throws `unavailable` if it does not describe one. */
export function decodeFolder(json: unknown): FolderInfo {
  const { name, metageneration, createTime, updateTime, pendingRenameInfo } = (json ?? {}) as FolderResource;
  const createdMs = Date.parse(String(createTime));
  const updatedMs = Date.parse(String(updateTime));
  if (typeof name !== "string" || Number.isNaN(createdMs) || Number.isNaN(updatedMs)) {
    throw new BucketError("unavailable", "the answer does not describe a folder", { uncertain: true });
  }
  const pending = pendingRenameInfo?.operationId;
  return {
    name,
    metageneration: BigInt(/^\d+$/.test(String(metageneration)) ? String(metageneration) : 0),
    createdMs,
    updatedMs,
    renaming: typeof pending === "string" ? pending : undefined,
  };
}
