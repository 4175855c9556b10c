/** It cannot be mounted there; the message says why in one sentence, `remedy` what to do about it. */
export class MountRefused extends Error {
  override readonly name = "MountRefused";
  readonly remedy: string;

  constructor(message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.remedy = remedy;
  }
}

/** The name of an errno that an error of node:fs or of a system call carries; "" if none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
