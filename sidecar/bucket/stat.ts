// The live version of a name.

import type { Dated, ObjectInfo } from "./bucket.ts";
import { encodeQuery } from "./names.ts";
import { decodeObject, objectFields, operationKey } from "./objects.ts";
import { dated, type Requests } from "./requests.ts";
import { serviceError } from "./service-error.ts";
import type { Call } from "./transport.ts";

export async function stat(
  requests: Requests,
  name: string,
  signal?: AbortSignal,
): Promise<Dated<ObjectInfo | undefined>> {
  const call: Call = {
    operation: "stat",
    about: `look-up of ${JSON.stringify(name)}`,
    method: "GET",
    path: requests.objectPath(name) + encodeQuery({ projection: "noAcl", fields: objectFields }),
    signal,
  };
  const budget = requests.metadataBudget();
  return requests.repeat(call, budget, async () => {
    const answer = await requests.askOnce(call, budget.tryMs(), [404]);
    if (answer.status !== 404) return dated(answer, decodeObject);
    const error = serviceError(call.about, { status: answer.status, body: answer.text });
    if (error.kind === "bucket-not-found") throw error;
    return { value: undefined, dateMs: answer.dateMs };
  });
}

/**
 * The live version of `name` if it was written by the operation `operationId`: then a write that was answered
 * "not as expected" is our own, whose first answer was lost (RULES 4).
 */
export async function statOwn(
  requests: Requests,
  name: string,
  operationId: string,
  signal: AbortSignal | undefined,
): Promise<Dated<ObjectInfo> | undefined> {
  const { value, dateMs } = await stat(requests, name, signal);
  if (value === undefined || value.metadata[operationKey] !== operationId) return undefined;
  requests.log.info(
    { object: name, operationId, generation: value.generation },
    "an answer was lost: write was done",
  );
  return { value, dateMs };
}
