// Refusals as the service words them.
//
// Clients recognise some of these texts ("The specified bucket does not exist." tells a missing bucket from a
// missing object), so the wording is part of the interface.

/** A request that is answered with an error status. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly reason: string;
  readonly header: string | undefined;

  constructor(status: number, reason: string, message: string, header?: string) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.header = header;
  }

  /** The JSON body the service sends with this status. */
  toJson(): unknown {
    const where = this.header === undefined ? {} : { locationType: "header", location: this.header };
    const detail = { message: this.message, domain: "global", reason: this.reason, ...where };
    return { error: { code: this.status, message: this.message, errors: [detail] } };
  }
}

export function bucketNotFound(): ApiError {
  return new ApiError(404, "notFound", "The specified bucket does not exist.");
}

export function objectNotFound(bucket: string, object: string): ApiError {
  return new ApiError(404, "notFound", `No such object: ${bucket}/${object}`);
}

export function folderNotFound(): ApiError {
  return new ApiError(404, "notFound", "The folder does not exist.");
}

/** What is in the way of a change of folders; only the message tells one from another. */
export function conflict(message: string): ApiError {
  return new ApiError(409, "conflict", message);
}

export function conditionNotMet(): ApiError {
  const message = "At least one of the pre-conditions you specified did not hold.";
  return new ApiError(412, "conditionNotMet", message, "If-Match");
}

/** Sent without a body. */
export function notModified(): ApiError {
  return new ApiError(304, "notModified", "Not Modified");
}

export function invalid(message: string): ApiError {
  return new ApiError(400, "invalid", message);
}

export function required(what: string): ApiError {
  return new ApiError(400, "required", `Required parameter: ${what}`);
}

const reasonOf: Record<number, string> = {
  400: "badRequest",
  401: "authError",
  403: "forbidden",
  404: "notFound",
  408: "requestTimeout",
  409: "conflict",
  410: "gone",
  412: "conditionNotMet",
  429: "rateLimitExceeded",
};

/** A refusal known only by its status, as fault injection asks for it. */
export function refusal(status: number): ApiError {
  return new ApiError(
    status,
    reasonOf[status] ?? "backendError",
    `Refused with ${status} on request of a test.`,
  );
}
