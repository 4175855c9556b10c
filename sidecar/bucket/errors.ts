// What can go wrong when talking to the bucket, by meaning. Nobody above recognises an error by its text
// or by an HTTP status; the kind travels up unchanged and becomes an errno only at the kernel edge.

/** Every way a bucket request can fail. `fuse/errno.ts` must decide an errno for each. */
export type BucketErrorKind =
  | "not-found" // 404: no such object (or no such generation of it)
  | "bucket-not-found" // 404 whose subject is the bucket itself
  | "precondition-failed" // 412: the live object is not the one the request expected
  | "already-exists" // 409: there is a folder of this name
  | "not-empty" // 409: something is in the folder
  | "forbidden" // 403: these credentials may not do this
  | "unauthenticated" // 401, or no usable credentials at all
  | "retained" // 403 retentionPolicyNotMet, objectUnderActiveHold
  | "throttled" // 429 until the deadline
  | "unavailable" // 408, 5xx or connection errors until the deadline
  | "deadline" // no progress within the deadline
  | "checksum" // bytes arrived (or were refused) with the wrong CRC32C
  | "invalid" // 400 and other answers that repeating cannot mend
  | "aborted"; // the caller gave up (AbortSignal)

/** A failed bucket request. `status` is the HTTP status if there was an answer. */
export class BucketError extends Error {
  override readonly name = "BucketError";
  readonly kind: BucketErrorKind;
  readonly status: number | undefined;
  /** The service's own word for it, for example `conditionNotMet`. */
  readonly reason: string | undefined;
  /**
   * True if the service may have carried the request out all the same, now or later: it was sent and no final
   * answer came (RULES 5, 6). False means that it certainly changed nothing.
   */
  readonly uncertain: boolean;
  /** How long the service asked to be left alone (Retry-After). */
  readonly retryAfterMs: number | undefined;

  constructor(kind: BucketErrorKind, message: string, detail: BucketErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.kind = kind;
    this.status = detail.status;
    this.reason = detail.reason;
    this.uncertain = detail.uncertain ?? false;
    this.retryAfterMs = detail.retryAfterMs;
  }
}

interface BucketErrorDetail {
  readonly status?: number | undefined;
  readonly reason?: string | undefined;
  readonly uncertain?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Whether `error` is a bucket error of one of the given kinds. */
export function isBucketError(error: unknown, ...kinds: BucketErrorKind[]): error is BucketError {
  return error instanceof BucketError && (kinds.length === 0 || kinds.includes(error.kind));
}

/** The same error, of a request that may have been carried out by an earlier try. */
export function asUncertain(error: BucketError): BucketError {
  if (error.uncertain) return error;
  const { kind, message, status, reason, retryAfterMs, cause } = error;
  return new BucketError(kind, message, { status, reason, retryAfterMs, uncertain: true, cause });
}
