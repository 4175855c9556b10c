// `sidemount pending`: bytes that did not reach the bucket, and what a person does about them (RULES 10).

import { setTimeout as delay } from "node:timers/promises";
import { NoAnswer, type ControlClient } from "../control/client.ts";
import type {
  OwedAnswer,
  PendingAnswer,
  PendingEntry,
  PreparedAnswer,
  RetryAnswer,
} from "../control/requests.ts";
import { parseDuration } from "../config/duration.ts";
import { withOrigin } from "../config/resolve.ts";
import { UsageError } from "../config/usage-error.ts";
import { exitCodes, explain } from "./failure.ts";
import { asking, type MountDoors } from "./mounts.ts";
import { chosen, newest } from "./pending-choice.ts";
import { saveAs } from "./save-as.ts";
import { counted, shownName, shownSize, shownTime } from "./shown.ts";
import { owedWords } from "./status.ts";

export interface PendingFlags {
  /** True without words: all of them. */
  readonly retry?: true | readonly string[];
  readonly replace?: boolean;
  readonly save?: string;
  readonly only?: readonly string[];
  readonly discard?: true | readonly string[];
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly wait?: boolean;
  readonly timeout?: string;
  readonly stateDir?: string;
  readonly json?: boolean;
}

/** Where a person is spoken to. */
export interface Speaking {
  readonly write: (line: string) => void;
  /** Progress, and what is no result. */
  readonly note: (line: string) => void;
  /** Whether a question was answered with yes; undefined where nobody can answer. */
  readonly confirm: (question: string) => Promise<boolean | undefined>;
}

/** Uploads of large files take as long as they take; their requests have deadlines of their own. */
const UPLOAD_LIMIT_MS = 24 * 3_600_000;
const LOOK_EVERY_MS = 200;
const NOTE_EVERY_MS = 2000;

/** Answers 0 if what was asked for is done, 1 if it is not, 75 if waiting took too long. */
export async function pending(
  directory: string | undefined,
  flags: PendingFlags,
  doors: MountDoors,
  speaking: Speaking,
): Promise<number> {
  checkFlags(directory, flags);
  if (flags.wait === true) return waitForBucket(directory, flags, doors, speaking);
  return asking(await clientFor(directory, flags, doors), async (client) => {
    const entries = await listOf(client);
    if (flags.retry !== undefined) return retry(client, entries, flags, speaking);
    if (flags.save !== undefined) return save(client, entries, flags.save, flags, speaking);
    if (flags.discard !== undefined) return discard(client, entries, flags, speaking);
    show(entries, flags, speaking);
    return exitCodes.done;
  });
}

function checkFlags(directory: string | undefined, flags: PendingFlags): void {
  const { retry: again, save: to, discard: drop, wait, stateDir, all, replace, only, timeout } = flags;
  const actions = [again !== undefined, to !== undefined, drop !== undefined, wait === true].filter(Boolean);
  const wrong = (message: string, remedy: string): never => {
    throw new UsageError(message, remedy);
  };
  if (actions.length > 1)
    wrong("Only one thing can be done at a time.", "Give one of --retry, --save, --discard, --wait.");
  if (replace === true && again === undefined) wrong("--replace says what --retry may do.", "Add --retry.");
  if (only !== undefined && to === undefined) wrong("--only says what --save copies.", "Add --save FOLDER.");
  if (timeout !== undefined && wait !== true)
    wrong("--timeout says how long --wait may take.", "Add --wait.");
  if (stateDir !== undefined && directory !== undefined)
    wrong("A folder that is mounted and --state-dir are two different things.", "Give one of them.");
  if (stateDir !== undefined && wait === true)
    wrong("Without a mount nothing is under way.", "Mount it: what is owed is sent then.");
  if (drop === true && all !== true)
    wrong("--discard wants to know what.", "Name entries by their id or name, or add --all.");
}

async function clientFor(
  directory: string | undefined,
  { stateDir }: PendingFlags,
  doors: MountDoors,
): Promise<ControlClient> {
  if (stateDir !== undefined) return doors.openStateFolder(stateDir);
  if (directory !== undefined) return doors.connect(await doors.findMount(directory));
  const mounts = await doors.knownMounts();
  const [mount, ...others] = mounts;
  if (mount === undefined)
    throw new UsageError(
      "Nothing is mounted here.",
      "Name the state folder of an earlier mount: --state-dir PATH.",
    );
  if (others.length > 0)
    throw new UsageError(
      `There are ${mounts.length} mounts.`,
      `Name one: ${mounts.map((each) => each.directory).join(", ")}.`,
    );
  return doors.connect(mount);
}

async function listOf(client: ControlClient): Promise<PendingEntry[]> {
  const entries: PendingEntry[] = [];
  for (let after: string | undefined; ;) {
    const page = (await client.ask("pending", after === undefined ? {} : { after })) as PendingAnswer;
    entries.push(...page.entries);
    if (page.next === undefined) return entries;
    after = page.next;
  }
}

function show(entries: readonly PendingEntry[], { json = false }: PendingFlags, { write }: Speaking): void {
  if (json) return write(JSON.stringify(entries.map(asJson), undefined, 2));
  if (entries.length === 0)
    return write("Nothing is kept: every file that was closed is in the bucket, or its program was told.");
  for (const entry of entries) {
    const { id, bytes, sinceMs, state, name, why, supersededMs, missing } = entry;
    const what = supersededMs === undefined ? state : "superseded";
    write(
      `${id.slice(0, 8)}  ${shownSize(bytes).padStart(11)}  ${shownTime(sinceMs)}  ${what.padEnd(10)}  ${shownName(name)}`,
    );
    const notes = [
      shownName(why),
      supersededMs === undefined
        ? ""
        : `${state}, and a later upload under this name succeeded at ${shownTime(supersededMs)}`,
      missing === undefined
        ? "only parts of it are here"
        : missing.length > 0
          ? "the rest is in the bucket"
          : "",
    ];
    for (const note of notes) if (note !== "") write(`          ${note}`);
  }
  write("");
  write("--retry uploads, --save FOLDER copies, --discard removes them: sidemount pending --help");
}

/** Nothing happens to it by itself. */
function isForAPerson({ state }: PendingEntry): boolean {
  return state !== "owed";
}

function asJson({ sinceMs, supersededMs, missing, base, ...rest }: PendingEntry): object {
  const iso = (ms: number | undefined): string | null =>
    ms === undefined ? null : new Date(ms).toISOString();
  return {
    ...rest,
    since: iso(sinceMs),
    superseded: iso(supersededMs),
    base: base ?? null,
    missing: missing ?? null,
  };
}

/** What was done to one entry. */
interface Done {
  readonly entry: PendingEntry;
  readonly well: boolean;
  readonly words: string;
  readonly facts: object;
}

async function each(
  entries: readonly PendingEntry[],
  { json = false }: PendingFlags,
  { write, note }: Speaking,
  work: (entry: PendingEntry) => Promise<Omit<Done, "entry">>,
): Promise<number> {
  const results: Done[] = [];
  for (const entry of entries) {
    const done = await work(entry).catch((error: unknown) => {
      if (error instanceof NoAnswer) throw error;
      const { message, remedy } = explain(error);
      const facts = { outcome: "failed", reason: message, remedy };
      return { well: false, words: `not done. ${message}${remedy === undefined ? "" : ` ${remedy}`}`, facts };
    });
    results.push({ entry, ...done });
    if (!json) write(`${shownName(entry.name)}: ${shownName(done.words)}`);
  }
  if (json)
    write(
      JSON.stringify(
        results.map(({ entry: { id, name }, facts }) => ({ id, name, ...facts })),
        undefined,
        2,
      ),
    );
  else if (entries.length === 0) note("There is nothing to do.");
  return results.every(({ well }) => well) ? exitCodes.done : exitCodes.failed;
}

function retry(
  client: ControlClient,
  entries: readonly PendingEntry[],
  flags: PendingFlags,
  speaking: Speaking,
): Promise<number> {
  const { retry: words, replace = false } = flags;
  const wanted =
    words === true || words === undefined ? newest(entries.filter(isForAPerson)) : chosen(entries, words);
  return each(wanted, flags, speaking, async ({ id }) => {
    const answer = (await client.ask("retry", { id, replace }, UPLOAD_LIMIT_MS)) as RetryAnswer;
    const { outcome, generation, reason = "" } = answer;
    const words = {
      uploaded: `uploaded, generation ${generation}`,
      "was there": `these bytes are in the bucket already, generation ${generation}`,
      refused: `not uploaded: ${reason}. --replace uploads all the same, --save FOLDER copies the bytes elsewhere`,
    }[outcome];
    return { well: outcome !== "refused", words, facts: { ...answer } };
  });
}

function save(
  client: ControlClient,
  entries: readonly PendingEntry[],
  folder: string,
  flags: PendingFlags,
  speaking: Speaking,
): Promise<number> {
  const wanted = flags.only === undefined ? entries : chosen(entries, flags.only);
  return each(wanted, flags, speaking, async ({ id, name }) => {
    const { path, modifiedMs } = (await client.ask("prepare", { id }, UPLOAD_LIMIT_MS)) as PreparedAnswer;
    const saved = await saveAs(path, folder, name, modifiedMs);
    return { well: true, words: `saved as ${saved}`, facts: { outcome: "saved", path: saved } };
  });
}

async function discard(
  client: ControlClient,
  entries: readonly PendingEntry[],
  flags: PendingFlags,
  speaking: Speaking,
): Promise<number> {
  const { discard: words, yes = false } = flags;
  const wanted =
    words === true || words === undefined ? entries.filter(isForAPerson) : chosen(entries, words);
  const bytes = wanted.reduce((sum, entry) => sum + entry.bytes, 0);
  if (!yes && wanted.length > 0) {
    for (const { name } of wanted) speaking.note(`  ${shownName(name)}`);
    const question = `Remove ${counted(wanted.length, "entry", "entries")} (${shownSize(bytes)})? These bytes may be nowhere else.`;
    const answer = await speaking.confirm(question);
    if (answer === undefined) throw new UsageError("Nobody is there to confirm that.", "Add --yes.");
    if (!answer) {
      speaking.note("Nothing was removed.");
      return exitCodes.failed;
    }
  }
  return each(wanted, flags, speaking, async ({ id }) => {
    await client.ask("discard", { id });
    return { well: true, words: "removed", facts: { outcome: "removed" } };
  });
}

async function waitForBucket(
  directory: string | undefined,
  flags: PendingFlags,
  doors: MountDoors,
  { write, note }: Speaking,
): Promise<number> {
  const { timeout, json = false } = flags;
  const limitMs =
    timeout === undefined ? Infinity : withOrigin("--timeout", timeout, () => parseDuration(timeout));
  const endMs = performance.now() + limitMs;
  let notedMs = -Infinity;
  for (;;) {
    const owed = await owedNow(directory, flags, doors);
    const done = owed !== undefined && Object.values(owed).every((count) => count === 0);
    const words = owed === undefined ? "the mount to answer" : owedWords({ owed });
    if (done || performance.now() >= endMs) {
      if (json) write(JSON.stringify({ done, owed: owed ?? null }));
      else write(done ? "Nothing is owed to the bucket." : `Still waiting for ${words}.`);
      return done ? exitCodes.done : exitCodes.owed;
    }
    if (performance.now() - notedMs >= NOTE_EVERY_MS) {
      note(`Waiting for ${words}.`);
      notedMs = performance.now();
    }
    await delay(LOOK_EVERY_MS);
  }
}

/** Undefined if nobody answers just now: another worker may be taking the place of one that ended. */
async function owedNow(
  directory: string | undefined,
  flags: PendingFlags,
  doors: MountDoors,
): Promise<OwedAnswer | undefined> {
  try {
    const client = await clientFor(directory, flags, doors);
    return await asking(client, async (each) => (await each.ask("owed")) as OwedAnswer);
  } catch (error) {
    if (error instanceof NoAnswer) return undefined;
    throw error;
  }
}
