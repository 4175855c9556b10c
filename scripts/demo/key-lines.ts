// The few log lines worth showing while the demo runs; everything is in the log files.

/** Says a line of the app's or the mount's log in short, if a person would want to see it. */
export function keyLine(source: string, line: string, say: (text: string) => void): void {
  const short = source === "mount" ? mountLine(line) : appLine(line);
  if (short) say(`  ${source.padEnd(6)} ${short}`);
}

function appLine(line: string): string | undefined {
  return /\b(?:Saving uploaded file .*|ERROR in .*)$/.exec(line)?.[0];
}

interface Entry {
  readonly severity: string;
  readonly message: string;
  readonly object?: string;
  readonly bytes?: number;
  readonly ms?: number;
  readonly generation?: string;
}

function mountLine(line: string): string | undefined {
  let entry: Entry;
  try {
    entry = JSON.parse(line) as Entry;
  } catch {
    return line; // not from the logger: something went badly wrong
  }
  const { severity, message, object, bytes, ms, generation } = entry;
  if (message === "upload done")
    return `upload done: ${object}, ${bytes} bytes, ${ms} ms, generation ${generation}`;
  const worth = severity === "WARNING" || severity === "ERROR" || severity === "CRITICAL";
  return worth ? `${severity.toLowerCase()}: ${message}${object ? ` (${object})` : ""}` : undefined;
}
