// Whether what several machines did with one bucket can have happened: what each program was told, held against all others.

import { orderContradictions, type Access } from "./register.ts";

/** One operation of a program, as actor.py has it. Times are those of a clock all machines share, in nanoseconds. */
export interface Event {
  readonly kind: string;
  readonly actor: string;
  readonly name?: string;
  /** Where a rename leads. */
  readonly to?: string;
  readonly began: number;
  readonly ended: number;
  /** Of an edit: when its open had returned. */
  readonly opened?: number;
  /** The errno's name, or TORN: bytes that nobody wrote like this. */
  readonly failed: string | null;
  readonly step?: string;
  /** What was written or read. */
  readonly id?: string;
  readonly ids?: readonly string[];
  /** Of an edit: what was read through the descriptor that wrote. */
  readonly parent?: string;
  /** Of an edit: something was written before it failed. */
  readonly changing?: boolean;
  /** A change of names was asked for. */
  readonly acting?: boolean;
}

/** What is there in the end: of each file the id of its bytes, of a log the ids of its lines. */
export interface Outcome {
  /** By name. */
  readonly versions: ReadonlyMap<string, string>;
  readonly logs: ReadonlyMap<string, readonly string[]>;
}

/** So large from the beginning that only what is new is sent (prepare.py). */
const LARGE_LOG = "logs/1";

/** What may go wrong with an operation because of what others do at the same time, by kind. */
const MAY_FAIL: Readonly<Record<string, readonly string[]>> = {
  overwrite: [],
  replace: [],
  read: [],
  edit: ["ESTALE"],
  append: ["ESTALE"],
  read_log: [],
  claim: ["EEXIST"],
  make_file: ["ENOENT"],
  read_file: ["ENOENT"],
  move_file: ["ENOENT"],
  remove_file: ["ENOENT"],
  make_folder: ["ENOENT", "EEXIST"],
  remove_folder: ["ENOENT", "ENOTEMPTY"],
  move_folder: ["ENOENT", "ENOTEMPTY", "EINVAL"],
  list_folder: ["ENOENT"],
};

/**
 * Everything that cannot have happened, in words; none if all is well. `native` is the machine that is mounted through libfuse 2:
 * an open there that meets a rename by a program of the same machine may not find the file (docs/CHANNELS.md).
 */
export function contradictions(events: readonly Event[], outcome: Outcome, native?: string): string[] {
  return [
    ...unexpectedFailures(events, native),
    ...registers(events, outcome),
    ...edits(events, outcome),
    ...logs(events, outcome),
    ...claims(events, outcome),
    ...tree(events, outcome),
  ];
}

function unexpectedFailures(events: readonly Event[], native?: string): string[] {
  const met = (event: Event): boolean =>
    event.failed === "ENOENT" &&
    event.actor.charAt(0) === native &&
    events.some((other) => other.kind === "replace" && sameMachine(other, event) && overlap(other, event));
  return events
    .filter(({ kind, failed }) => failed !== null && MAY_FAIL[kind]?.includes(failed) !== true)
    .filter((event) => !met(event))
    .map((event) => `${told(event)} failed with ${event.failed}: ${event.step ?? ""}`);
}

/** An open sees what the last close before it has left, or something later; what was seen once is not unseen. */
function registers(events: readonly Event[], { versions }: Outcome): string[] {
  const accesses = new Map<string, Access[]>();
  const note = (name: string, access: Access): void => {
    const known = accesses.get(name) ?? [];
    accesses.set(name, [...known, access]);
  };
  for (const event of events) {
    const { kind, name = "", began, ended, opened = ended, id, parent, failed } = event;
    if (kind === "overwrite" || kind === "replace" || kind === "edit") {
      if (parent !== undefined)
        note(name, { what: "read", value: parent, began, ended: opened, told: told(event) });
      // What failed may have been done, or be done later.
      const effectEnds = failed === null ? ended : Number.POSITIVE_INFINITY;
      const kept = kind === "edit" && failed !== null;
      if (id !== undefined && !kept)
        note(name, { what: "write", value: id, began, ended: effectEnds, told: told(event) });
    }
    if (kind === "read" && id !== undefined && failed === null)
      note(name, { what: "read", value: id, began, ended, told: told(event) });
  }
  return [...accesses].flatMap(([name, each]) => {
    const last = versions.get(name) ?? "nothing";
    const inTheEnd = { value: last, began: Number.MAX_SAFE_INTEGER, ended: Number.MAX_SAFE_INTEGER };
    const final = { ...inTheEnd, what: "read", told: "in the end" } as const;
    return orderContradictions([...each, final]).map((words) => `${name}: ${words}`);
  });
}

/** No edit is lost: each that was acknowledged is among those before what is there, each that was refused lies beside it. */
function edits(events: readonly Event[], { versions }: Outcome): string[] {
  const found: string[] = [];
  const all = events.filter(({ kind }) => kind === "edit");
  const parents = new Map(all.map(({ id, parent }) => [id, parent]));
  for (const name of new Set(all.map((event) => event.name ?? ""))) {
    const ancestry = new Set<string>();
    for (let id = versions.get(name); id !== undefined && !ancestry.has(id); id = parents.get(id))
      ancestry.add(id);
    const beside = new Set(
      [...versions].filter(([other]) => other.startsWith(`${name}.conflict-`)).map(([, id]) => id),
    );
    for (const edit of all.filter((event) => event.name === name && event.id !== undefined)) {
      const { id = "", failed, changing } = edit;
      if (failed === null && !ancestry.has(id)) found.push(`${told(edit)} was acknowledged and is lost`);
      if (failed === "ESTALE" && changing === true && !beside.has(id))
        found.push(`${told(edit)} was refused, and its bytes are nowhere`);
      if (failed === "ESTALE" && ancestry.has(id)) found.push(`${told(edit)} was refused, and is there`);
    }
  }
  return found;
}

/** No line is lost, none is there twice, and who opens a log sees what was acknowledged before. */
function logs(events: readonly Event[], { logs: ends }: Outcome): string[] {
  const found: string[] = [];
  const appends = events.filter(({ kind, ids }) => kind === "append" && ids !== undefined);
  for (const [name, ids] of ends) {
    const there = new Set(ids);
    if (there.size !== ids.length) found.push(`${name} has a line twice: ${twice(ids).join(", ")}`);
  }
  for (const append of appends) {
    const { name = "", ids = [], failed } = append;
    const beside = [...ends].filter(([other]) => other.startsWith(`${name}.conflict-`));
    const places = failed === null ? [ends.get(name) ?? []] : beside.map(([, lines]) => lines);
    for (const id of ids)
      if (!places.some((lines) => lines.includes(id))) found.push(`${told(append)}: line ${id} is lost`);
  }
  // Where only the new end is sent it goes behind whatever is there.
  for (const append of appends)
    if (append.failed === "ESTALE" && append.name === LARGE_LOG) found.push(`${told(append)} was refused`);
  const acknowledged = appends.filter(({ failed }) => failed === null);
  const reads = events.filter(({ kind, failed }) => kind === "read_log" && failed === null);
  // Of a file that is being written on the same machine a reader sees what is being written.
  const shows = new Set(
    reads.filter((read) => appends.some((append) => sameMachine(append, read) && overlap(append, read))),
  );
  for (const read of reads) {
    const seen = new Set(read.ids);
    if (seen.size !== read.ids?.length) found.push(`${told(read)} saw a line twice`);
    for (const append of acknowledged) {
      if (append.name !== read.name || append.ended >= read.began || shows.has(read)) continue;
      if (append.ids?.every((id) => seen.has(id)) !== true)
        found.push(`${told(read)} does not see ${told(append)}`);
    }
  }
  return found;
}

/** Of all who made one name exclusively one succeeded, and it is his. */
function claims(events: readonly Event[], { versions }: Outcome): string[] {
  const tries = events.filter(({ kind }) => kind === "claim");
  return [...new Set(tries.map((event) => event.name ?? ""))].flatMap((name) => {
    const winners = tries.filter((event) => event.name === name && event.failed === null);
    const there = versions.get(name);
    if (winners.length === 1 && winners[0]?.id === there) return [];
    return [
      `${name} is ${there ?? "nothing"}'s, and was had by ${winners.map(told).join(" and ") || "nobody"}`,
    ];
  });
}

/** A file of the tree is there once, under the name it was last given, if nobody was asked to remove or move it. */
function tree(events: readonly Event[], { versions }: Outcome): string[] {
  const found: string[] = [];
  const touched = new Set(
    events
      .filter(({ kind, acting }) => acting === true && (kind === "move_file" || kind === "remove_file"))
      .map(({ name = "" }) => base(name)),
  );
  const inTree = [...versions].filter(([name]) => name.startsWith("tree/"));
  const names = inTree.map(([name]) => base(name));
  const ids = inTree.map(([, id]) => id);
  for (const id of twice(ids)) found.push(`the file ${id} is there twice`);
  for (const event of events) {
    if (event.failed !== null) continue;
    const name = event.kind === "make_file" ? event.name : event.kind === "move_file" ? event.to : undefined;
    if (name === undefined || touched.has(base(name)) || names.includes(base(name))) continue;
    found.push(`${told(event)} is lost`);
  }
  return found;
}

function sameMachine(one: Event, other: Event): boolean {
  return one.name === other.name && one.actor.charAt(0) === other.actor.charAt(0);
}

function overlap(one: Event, other: Event): boolean {
  return one.began < other.ended && other.began < one.ended;
}

function twice(all: readonly string[]): string[] {
  const seen = new Set<string>();
  return all.filter((each) => seen.size === seen.add(each).size);
}

function base(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

function told({ kind, actor, name, to, id, began, ended, failed }: Event): string {
  const ms = (ns: number): string => (ns / 1e6).toFixed(1);
  const what = [kind, name, to && `to ${to}`, id && `(${id})`].filter(Boolean).join(" ");
  return `${what} by ${actor} from ${ms(began)} to ${ms(ended)}${failed === null ? "" : `, ${failed}`}`;
}
