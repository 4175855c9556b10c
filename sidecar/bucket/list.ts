// One page of names.

import type { ListPage, ListQuery } from "./bucket.ts";
import type { Budget } from "./budget.ts";
import { BucketError, isBucketError } from "./errors.ts";
import { encodeQuery } from "./names.ts";
import { decodeObject, objectFields } from "./objects.ts";
import type { Requests } from "./requests.ts";

/** The service's own ceiling for items and prefixes together. */
const largestPage = 1_000;

interface ListResource {
  items?: unknown[];
  prefixes?: string[];
  nextPageToken?: string;
}

export async function list(
  requests: Requests,
  query: ListQuery,
  signal?: AbortSignal,
  budget: Budget = requests.metadataBudget(),
): Promise<ListPage> {
  try {
    const { value, dateMs } = await requests.ask(
      {
        operation: "list",
        about: `listing of ${JSON.stringify(query.prefix)}`,
        method: "GET",
        path: `${requests.bucketPath}/o${encodeQuery(parametersOf(query))}`,
        signal,
      },
      budget,
      decodePage,
    );
    return { ...value, dateMs };
  } catch (error) {
    if (!isBucketError(error, "not-found")) throw error;
    // A listing has no other subject than the bucket.
    const { message, status, reason } = error;
    throw new BucketError("bucket-not-found", message, { status, reason, cause: error });
  }
}

function parametersOf(query: ListQuery): Record<string, string | number | boolean | undefined> {
  return {
    prefix: query.prefix === "" ? undefined : query.prefix,
    delimiter: query.delimiter,
    // The placeholder of a folder comes as an item besides the prefix, so its attributes cost no further request.
    includeTrailingDelimiter: query.delimiter === undefined ? undefined : true,
    includeFoldersAsPrefixes: query.folders,
    startOffset: query.startOffset,
    endOffset: query.endOffset,
    maxResults: query.pageSize ?? largestPage,
    pageToken: query.pageToken,
    projection: "noAcl",
    fields: `nextPageToken,prefixes,items(${objectFields})`,
  };
}

function decodePage(json: unknown): Omit<ListPage, "dateMs"> {
  if (typeof json !== "object" || json === null)
    throw new BucketError("unavailable", "the answer is not a listing");
  const page = json as ListResource;
  return {
    objects: (page.items ?? []).map(decodeObject),
    prefixes: page.prefixes ?? [],
    nextPageToken: page.nextPageToken === "" ? undefined : page.nextPageToken,
  };
}
