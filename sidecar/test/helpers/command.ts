// The command line as a person uses it, to its end.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
/** Far more than any of these takes, also on a busy machine. */
const LIMIT_MS = 90_000;

export interface Spoken {
  /** null if a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `sidemount WORDS` without a terminal. */
export function sidemount(...words: string[]): Promise<Spoken> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...words], { timeout: LIMIT_MS }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

/** As `sidemount`, and what it says as JSON. */
export async function asked<T>(...words: string[]): Promise<T> {
  const { code, stdout, stderr } = await sidemount(...words, "--json");
  if (stdout === "") throw new Error(`sidemount ${words.join(" ")} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}
