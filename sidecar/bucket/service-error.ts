// The service's refusals, by meaning. Status first, then the service's reason; its text only where the status
// and the reason say too little.

import { BucketError, type BucketErrorKind } from "./errors.ts";

export interface Refusal {
  readonly status: number;
  /** The Retry-After header. */
  readonly retryAfter?: string | undefined;
  readonly body: string;
}

/** The error that `refusal` of the request called `about` means. */
export function serviceError(about: string, refusal: Refusal, nowMs = Date.now()): BucketError {
  const { status } = refusal;
  const { reason, message } = parseBody(refusal.body);
  const kind = kindOf(status, reason, message);
  const words = [reason, shortened(message)].filter((part) => part !== undefined && part !== "");
  return new BucketError(kind, `${about}: the service answered ${[status, ...words].join(", ")}`, {
    status,
    reason,
    uncertain: status === 408 || status >= 500,
    retryAfterMs: retryAfterMs(refusal.retryAfter, nowMs),
  });
}

function kindOf(status: number, reason: string | undefined, message: string): BucketErrorKind {
  switch (status) {
    case 400:
      // Only the text tells a wrong checksum from any other bad request: the reason is "invalid" for both.
      return /crc32c|md5|checksum|x-goog-hash/i.test(message) ? "checksum" : "invalid";
    case 401:
      return "unauthenticated";
    case 403:
      return forbiddenKind(reason);
    case 404:
      // "The specified bucket does not exist." against "No such object: bucket/name": same status, same reason.
      return /\bbucket does not exist\b/i.test(message) ? "bucket-not-found" : "not-found";
    case 408:
    case 416: // never for what we ask: ranges are inside the size the service told
      return "unavailable";
    case 409:
      return conflictKind(message);
    case 412:
      return "precondition-failed";
    case 429:
      return "throttled";
    case 501: // not a fault that passes: this server does not know the request
    case 505:
      return "invalid";
    default:
      return status >= 500 ? "unavailable" : "invalid";
  }
}

// Folder calls are answered 409 with one reason for all that can be in the way; only the text tells.
function conflictKind(message: string): BucketErrorKind {
  if (/\bfolder\b.*\balready exists\b/i.test(message)) return "already-exists";
  if (/\bfolder\b.*\bnot empty\b/i.test(message)) return "not-empty";
  if (/\bparent folder does not exist\b/i.test(message)) return "not-found";
  return "invalid";
}

function forbiddenKind(reason = ""): BucketErrorKind {
  if (["retentionPolicyNotMet", "objectUnderActiveHold"].includes(reason)) return "retained";
  if (["rateLimitExceeded", "userRateLimitExceeded"].includes(reason)) return "throttled";
  return "forbidden";
}

interface ErrorBody {
  error?: { message?: unknown; errors?: { reason?: unknown }[] };
}

// Media errors may be plain text or XML, and a proxy's may be a page.
function parseBody(body: string): { reason: string | undefined; message: string } {
  try {
    const error = (JSON.parse(body) as ErrorBody | null)?.error;
    const reason = error?.errors?.[0]?.reason;
    return {
      reason: typeof reason === "string" ? reason : undefined,
      message: typeof error?.message === "string" ? error.message : body,
    };
  } catch {
    return { reason: undefined, message: body };
  }
}

function shortened(message: string): string {
  const line = message.replace(/\s+/g, " ").trim();
  return line.length <= 300 ? line : `${line.slice(0, 300)}…`;
}

// Seconds, or a date.
function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
