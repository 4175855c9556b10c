// What went wrong at start, in one sentence, with what to do about it.

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

/** What a person is told about `error`. */
export function explain(error: unknown): Failure {
  if (error instanceof UsageError) {
    return { message: error.message, remedy: error.remedy, exitCode: exitCodes.usage };
  }
  const [message = "", ...advice] = (error instanceof Error ? error.message : String(error)).split(
    /(?<=\.) /,
  );
  const remedy = advice.length > 0 ? advice.join(" ") : remedyOf(error);
  return { message: sentence(message), remedy, exitCode: exitCodes.failed };
}

function remedyOf(error: unknown): string | undefined {
  // Those of the supervisor bring theirs; those of the bucket end in theirs.
  if (error instanceof Error && "remedy" in error && typeof error.remedy === "string") return error.remedy;
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  if (error.code === "EADDRINUSE") return "Choose another port with --port, or 0 for a free one.";
  if (error.code === "ENOSPC") return "Make room on the disk, or choose another one with --state-dir.";
  if (error.code === "EACCES" || error.code === "EPERM") return "Start it as root, or with sudo.";
  return undefined;
}

// A dot behind an address or a command would be copied along with it, a capital in front would change it.
function sentence(message: string): string {
  const start = message.replace(/^[a-z](?=[a-z]*\s)/, (letter) => letter.toUpperCase());
  return /(^|\s)[\w()-]+$/.test(start) ? `${start}.` : start;
}
