// What went wrong when there was no answer.

import { BucketError } from "./errors.ts";

// The request never left: nothing can have been changed by it.
const neverSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

// Mistakes in how the request was built; it would fail the same way again.
const ours = new Set(["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED", "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH"]);

// We closed the pool ourselves.
const closed = new Set(["UND_ERR_CLOSED", "UND_ERR_DESTROYED"]);

/** The error that a lost connection means for the request called `about`. */
export function connectionError(about: string, cause: unknown): BucketError {
  const code = codeOf(cause);
  if (code !== undefined && ours.has(code)) {
    return new BucketError("invalid", `${about}: the request could not be sent`, { cause });
  }
  if (code !== undefined && closed.has(code)) {
    return new BucketError("aborted", `${about}: the bucket was closed`, { uncertain: true, cause });
  }
  if (code !== undefined && neverSent.has(code)) {
    return new BucketError("unavailable", `${about}: no connection (${code})`, { cause });
  }
  return new BucketError("unavailable", `${about}: connection lost (${code ?? "no code"})`, {
    uncertain: true,
    cause,
  });
}

// With several addresses for one host Node throws an AggregateError of all attempts; its own code is the first's.
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return error.cause === undefined ? undefined : codeOf(error.cause);
}
