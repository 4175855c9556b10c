// What went wrong at start, in one sentence, with what to do about it.

import { isBucketError, type BucketErrorKind } from "../bucket/errors.ts";
import { UsageError } from "../config/usage-error.ts";

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  /** EX_TEMPFAIL: something is still owed to the bucket; the next start sends it. */
  owed: 75,
} as const;

export interface Failure {
  readonly message: string;
  readonly remedy: string | undefined;
  readonly exitCode: number;
}

const bucketRemedies: Partial<Record<BucketErrorKind, string>> = {
  "bucket-not-found": "Check the name; `gcloud storage ls` lists the buckets you have.",
  forbidden:
    "Give the account of this machine the role Storage Object User (roles/storage.objectUser) on the bucket.",
  unauthenticated:
    "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file.",
  unavailable: "Check the network and the endpoint, then start again.",
  deadline: "Check the network and the endpoint, then start again.",
};

/** What a person is told about `error`. */
export function explain(error: unknown): Failure {
  if (error instanceof UsageError) {
    return { message: error.message, remedy: error.remedy, exitCode: exitCodes.usage };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { message: sentence(message), remedy: remedyOf(error), exitCode: exitCodes.failed };
}

function remedyOf(error: unknown): string | undefined {
  // Errors of the supervisor and the bucket may bring what is best done about them.
  if (error instanceof Error && "remedy" in error && typeof error.remedy === "string") return error.remedy;
  if (isBucketError(error)) return bucketRemedies[error.kind];
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  if (error.code === "EADDRINUSE") return "Choose another port with --port, or 0 for a free one.";
  if (error.code === "ENOSPC") return "Make room on the disk, or choose another one with --state-dir.";
  if (error.code === "EACCES" || error.code === "EPERM") return "Start it as root, or with sudo.";
  return undefined;
}

function sentence(message: string): string {
  const start = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
