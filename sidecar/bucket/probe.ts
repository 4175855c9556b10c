// Asking whether the bucket answers: the two kinds of question that names are asked by, each sent once.

import { encodeQuery } from "./names.ts";
import type { Requests } from "./requests.ts";
import type { Call } from "./transport.ts";

/** Whether there is such an object makes no difference. */
const NAME = ".sidemount.tmp/probe";

/** Resolves when both were answered, whatever the answer; rejects with what the first of them met that was not. */
export async function probe(requests: Requests, signal: AbortSignal): Promise<void> {
  const limitMs = requests.metadataBudget().limitMs;
  const questions: Call[] = [
    {
      operation: "stat",
      about: "probe by look-up",
      method: "GET",
      path: requests.objectPath(NAME) + encodeQuery({ fields: "generation" }),
      signal,
    },
    {
      operation: "list",
      about: "probe by listing",
      method: "GET",
      path: `${requests.bucketPath}/o${encodeQuery({ prefix: NAME, maxResults: 1, fields: "prefixes" })}`,
      signal,
    },
  ];
  await Promise.all(questions.map((call) => requests.askOnce(call, limitMs, [401, 403, 404])));
}
