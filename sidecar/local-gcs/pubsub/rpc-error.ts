// Refusals as Pub/Sub words them: a status by name, where Cloud Storage has a list of reasons.

import { ApiError } from "../api-error.ts";

const statusNames = { 400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 409: "ALREADY_EXISTS" } as const;

/** A request that is answered with an error status. */
export class RpcError extends ApiError {
  readonly #statusName: string;

  constructor(status: keyof typeof statusNames, message: string) {
    super(status, statusNames[status], message);
    this.#statusName = statusNames[status];
  }

  override toJson(): unknown {
    return { error: { code: this.status, message: this.message, status: this.#statusName } };
  }
}

export function resourceNotFound(name: string): RpcError {
  return new RpcError(404, `Resource not found (resource=${name.split("/").at(-1)}).`);
}

export function resourceExists(name: string): RpcError {
  return new RpcError(409, `Resource already exists in the project (resource=${name.split("/").at(-1)}).`);
}
