// objects.list.

import { invalid } from "../api-error.ts";
import { jsonAnswer, type Answer, type Call } from "../call.ts";
import { listPage } from "../listing.ts";
import { integerParameter } from "../preconditions.ts";
import { isHierarchical, objectResource } from "../resources.ts";
import type { Store } from "../store.ts";

// Items and prefixes together: https://cloud.google.com/storage/docs/json_api/v1/objects/list
const maxPageSize = 1000;

export function listObjects(store: Store, call: Call): Answer {
  const { query, bucket } = call;
  const within = store.buckets.get(bucket);
  for (const parameter of ["matchGlob", "filter", "softDeleted"]) {
    if (query.has(parameter)) throw invalid(`This server cannot list by ${parameter}.`);
  }
  const delimiter = query.get("delimiter") ?? "";
  const foldersToo = query.get("includeFoldersAsPrefixes") === "true";
  if (foldersToo && delimiter !== "/")
    throw invalid("includeFoldersAsPrefixes can only be used with the delimiter '/'.");
  const wanted = integerParameter(query, "maxResults") ?? maxPageSize;
  if (wanted < 0) throw invalid(`Invalid value for maxResults: ${wanted}`);
  const request = {
    bucket,
    prefix: query.get("prefix") ?? "",
    delimiter,
    startOffset: query.get("startOffset") ?? "",
    endOffset: query.get("endOffset") ?? "",
    includeTrailingDelimiter: query.get("includeTrailingDelimiter") === "true",
    limit: wanted === 0 ? maxPageSize : Math.min(wanted, maxPageSize),
    pageToken: query.get("pageToken") || undefined,
  };
  const folders = foldersToo && isHierarchical(within) ? store.hierarchy.folders : undefined;
  const page = listPage(store.objects, request, folders);
  // Members that are empty are left out, as the service does.
  return jsonAnswer({
    kind: "storage#objects",
    nextPageToken: page.nextPageToken,
    prefixes: page.prefixes.length === 0 ? undefined : page.prefixes,
    items:
      page.objects.length === 0
        ? undefined
        : page.objects.map((object) => objectResource(object, call.baseUrl)),
  });
}
