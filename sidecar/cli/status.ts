// `sidemount status`: what is mounted, what is owed, and how it is doing.

import type { StatusAnswer } from "../control/requests.ts";
import type { KnownMount } from "../supervisor/known-mounts.ts";
import { exitCodes, explain } from "./failure.ts";
import { asking, type MountDoors } from "./mounts.ts";
import { counted, shownName, shownSize, shownTime } from "./shown.ts";

/** Not worth telling. */
const GOOGLE = "https://storage.googleapis.com";

export interface StatusFlags {
  readonly json?: boolean;
}

/** A mount and what it said, or why it did not. */
type Found = { readonly mount: KnownMount } & (
  | { readonly answer: StatusAnswer }
  | { readonly failure: { readonly message: string; readonly remedy: string | undefined } }
);

/** Prints to `write`; answers 0 if everything asked for is mounted and answers. */
export async function status(
  directory: string | undefined,
  { json = false }: StatusFlags,
  doors: MountDoors,
  write: (line: string) => void,
): Promise<number> {
  const mounts = directory === undefined ? await doors.knownMounts() : [await doors.findMount(directory)];
  const found = await Promise.all(mounts.map((mount) => ask(mount, doors)));
  if (json) write(JSON.stringify(found.map(asJson), undefined, 2));
  else if (found.length === 0) write("Nothing is mounted here.");
  else write(found.map(asText).join("\n\n"));
  return found.length > 0 && found.every((each) => "answer" in each) ? exitCodes.done : exitCodes.failed;
}

async function ask(mount: KnownMount, doors: MountDoors): Promise<Found> {
  try {
    const client = await doors.connect(mount);
    return {
      mount,
      answer: await asking(client, async (each) => (await each.ask("status")) as StatusAnswer),
    };
  } catch (error) {
    const { message, remedy } = explain(error);
    return { mount, failure: { message, remedy } };
  }
}

function asJson(found: Found): object {
  const { directory, supervisorPid, mountedMs } = found.mount;
  const known = { directory, supervisorPid, since: isoOf(mountedMs) };
  if ("failure" in found) return { ...known, answers: false, ...found.failure };
  const { pid, startedMs, lastError, away, ...rest } = found.answer;
  const last = lastError === undefined ? null : { ...lastError, atMs: undefined, at: isoOf(lastError.atMs) };
  const gone = away === undefined ? null : { ...away, sinceMs: undefined, since: isoOf(away.sinceMs) };
  return {
    ...known,
    answers: true,
    ...rest,
    away: gone,
    workerPid: pid,
    workerSince: isoOf(startedMs),
    lastError: last,
  };
}

function isoOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

function asText(found: Found): string {
  const { directory, supervisorPid, mountedMs } = found.mount;
  if ("failure" in found) {
    const { message, remedy } = found.failure;
    const does = `does not answer: ${message}${remedy === undefined ? "" : ` ${remedy}`}`;
    return lines(directory, [
      ["state", does],
      ["process", `${supervisorPid}, since ${shownTime(mountedMs)}`],
    ]);
  }
  const { answer } = found;
  return lines(answer.directory, [
    ["bucket", bucketWords(answer)],
    ...(answer.serveDirectory === undefined
      ? []
      : ([["serves", answer.serveDirectory]] as [string, string][])),
    ...(answer.away === undefined ? [] : ([["away", awayWords(answer)]] as [string, string][])),
    ["mounted", `${shownTime(mountedMs)}, ${channelWords(answer)}`],
    ["processes", processWords(answer, supervisorPid)],
    ["open", counted(answer.openFiles, "file")],
    ["owed", owedWords(answer)],
    ["kept", keptWords(answer)],
    [
      "cache",
      `${shownSize(answer.cache.usedBytes)} of ${shownSize(answer.cache.limitBytes)}, in ${answer.stateDirectory}`,
    ],
    [
      "disk",
      `${shownSize(answer.disk.freeBytes)} free of ${shownSize(answer.disk.totalBytes)}; ${shownSize(answer.disk.reserveBytes)} are kept free`,
    ],
    ["last error", errorWords(answer)],
  ]);
}

function lines(title: string, rows: readonly (readonly [string, string])[]): string {
  return [shownName(title), ...rows.map(([name, words]) => `  ${name.padEnd(11)}${shownName(words)}`)].join(
    "\n",
  );
}

function bucketWords({ bucket, prefix, endpoint, readOnly }: StatusAnswer): string {
  const at = endpoint === GOOGLE ? "" : ` at ${endpoint}`;
  return `gs://${bucket}/${prefix}${at}${readOnly ? ", for reading only" : ""}`;
}

function awayWords({ away, offlineReads }: StatusAnswer): string {
  if (away === undefined) return "no";
  const meanwhile = offlineReads ? "what is known is used" : "what must be confirmed fails";
  return `the bucket does not answer since ${shownTime(away.sinceMs)}; ${meanwhile} (${away.kind}: ${away.message})`;
}

function channelWords({ channel, passthrough }: StatusAnswer): string {
  if (passthrough === undefined) return `channel ${channel}`;
  return `channel ${channel}, ${passthrough ? "with" : "without"} passthrough`;
}

function processWords({ pid, startedMs }: StatusAnswer, supervisorPid: number): string {
  if (pid === supervisorPid) return `${pid}`;
  return `supervisor ${supervisorPid}, worker ${pid} since ${shownTime(startedMs)}`;
}

/** "2 uploads, 1 patch"; "nothing". */
export function owedWords({ owed }: Pick<StatusAnswer, "owed">): string {
  const parts = [
    [owed.uploads, "upload", "uploads"],
    [owed.patches, "change of attributes", "changes of attributes"],
    [owed.removals, "removal", "removals"],
    [owed.renames, "rename of a folder", "renames of folders"],
    [owed.exchanges, "exchange", "exchanges"],
  ] as const;
  const words = parts.filter(([count]) => count > 0).map(([count, one, many]) => counted(count, one, many));
  return words.length === 0 ? "nothing" : words.join(", ");
}

function keptWords({ kept }: StatusAnswer): string {
  const { failed, unfinished, superseded, bytes } = kept;
  const words = [
    failed > 0 ? `${failed} failed` : "",
    unfinished > 0 ? `${unfinished} unfinished` : "",
    superseded > 0 ? `${superseded} superseded` : "",
  ].filter((each) => each !== "");
  if (words.length === 0) return "nothing";
  return `${words.join(", ")} (${shownSize(bytes)}): see sidemount pending`;
}

function errorWords({ lastError }: StatusAnswer): string {
  return lastError === undefined
    ? "none"
    : `${shownTime(lastError.atMs)}, ${lastError.kind}: ${lastError.message}`;
}
