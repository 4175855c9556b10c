// Runs programs whose output matters only if they fail.

import { spawnSync } from "node:child_process";

/** Something is missing that we cannot bring. The message says what it is and what to do. */
export class SetupError extends Error {}

/** Runs `command`; what it said is told only if it fails, in the SetupError that is thrown then. */
export function runQuietly(command, args, env, options = {}) {
  // With a handler, Ctrl-C ends the child and leaves us to clean up; without, both would be gone at once.
  let interrupted = false;
  const onInterrupt = () => (interrupted = true);
  process.on("SIGINT", onInterrupt);
  const stdio = ["ignore", "pipe", "pipe"];
  const answer = spawnSync(command, args, { env, encoding: "utf8", stdio, maxBuffer: 64 << 20, ...options });
  process.off("SIGINT", onInterrupt);
  if (answer.status === 0) return;
  const said = `${answer.stdout ?? ""}${answer.stderr ?? ""}`.trimEnd();
  const end =
    interrupted || answer.signal ? "was interrupted" : `failed (${answer.error?.message ?? answer.status})`;
  throw new SetupError(`${said}\n${command} ${args.join(" ")} ${end}.`.trimStart());
}
