// Every kind of trouble, met by every kind of call: what programs are told, in which time, and what is there afterwards.

import test, { type ExecutionContext } from "ava";
import { readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startFaultProxy, type ConnectionFault, type FaultProxy } from "../../bucket/fault-proxy.fixture.ts";
import { sidemount } from "../helpers/command.ts";
import { BucketServer } from "../helpers/bucket-server.ts";
import { mounted, shell, type Mount } from "../helpers/mounted.ts";

const DEADLINE_MS = 2_000;
/** A call may ask twice, and a test machine does other things too. */
const LIMIT_MS = 2 * DEADLINE_MS + 4_000;
const HOUR_MS = 3_600_000;
const KIB = 1024;
const TAILS = ".sidemount.tmp/";

const OLD = Buffer.alloc(600 * KIB, "old bytes ");
const NEW = Buffer.alloc(600 * KIB, "new bytes ");
const LOG = Buffer.alloc(1200 * KIB, "a line that was there before\n");
const LINE = "one more line\n";

interface Acting {
  readonly mount: Mount;
  /** A path below the case's folder. */
  readonly path: (name: string) => string;
}

/** A kind of call, and the objects of its folder afterwards if it was carried out; undefined: gone. */
interface Act {
  readonly name: string;
  readonly act: (acting: Acting) => Promise<unknown>;
  readonly makes: Readonly<Record<string, Buffer | undefined>>;
}

const ACTS: readonly Act[] = [
  { name: "read", act: ({ path }) => readFile(path("read/cold")), makes: {} },
  { name: "list", act: ({ path }) => readdir(path("list/unknown")), makes: {} },
  {
    name: "write",
    act: ({ path }) => writeFile(path("write/written"), NEW),
    makes: { "write/written": NEW },
  },
  {
    name: "append",
    act: ({ path }) => writeFile(path("append/log"), LINE, { flag: "a" }),
    makes: { "append/log": Buffer.concat([LOG, Buffer.from(LINE)]) },
  },
  {
    name: "rename",
    act: ({ path }) => rename(path("rename/from"), path("rename/to")),
    makes: { "rename/from": undefined, "rename/to": OLD },
  },
  {
    name: "unlink",
    act: ({ path }) => unlink(path("unlink/removed")),
    makes: { "unlink/removed": undefined },
  },
];

/** Each kind of call has a folder of its own: the kernel lets one change at a time into a folder. */
const FILES = [
  "read/cold",
  "write/written",
  "append/log",
  "rename/from",
  "rename/to",
  "unlink/removed",
].concat(ACTS.map(({ name }) => `${name}/stays`));

type Outcome = "done" | "EIO" | "EACCES" | "ESTALE";

interface Trouble {
  readonly name: string;
  readonly action?: string;
  readonly count?: number;
  readonly connection?: ConnectionFault;
  readonly expected: Outcome;
  readonly except?: Readonly<Record<string, Outcome>>;
  /** What was given up may be carried out so much later. */
  readonly lateMs?: number;
}

const NO_BUCKET = { kind: "answer", status: 404, message: "The specified bucket does not exist." } as const;

/** In three groups, which are acted out side by side. */
const TROUBLES: readonly (readonly Trouble[])[] = [
  [
    { name: "408", action: "return-408", expected: "EIO" },
    { name: "429", action: "return-429", expected: "EIO" },
    { name: "500", action: "return-500", expected: "EIO" },
    { name: "502", action: "return-502", expected: "EIO" },
    { name: "401", action: "return-401", expected: "EACCES" },
    { name: "403", action: "return-403", expected: "EACCES" },
  ],
  [
    { name: "503", action: "return-503", expected: "EIO" },
    { name: "504", action: "return-504", expected: "EIO" },
    { name: "404, no bucket", connection: NO_BUCKET, expected: "EIO" },
    { name: "reset before the answer", connection: { kind: "reset" }, expected: "EIO" },
    {
      name: "reset while sending",
      connection: { kind: "reset-up", afterBytes: 300 * KIB },
      expected: "done",
      except: { write: "EIO" },
    },
    {
      name: "wrong bytes sent",
      connection: { kind: "flip-up", afterBytes: 300 * KIB },
      expected: "done",
      except: { write: "EIO" },
    },
    {
      name: "answer lost after success",
      action: "lost-answer",
      count: 1,
      expected: "done",
      except: { rename: "EIO" },
    },
  ],
  [
    { name: "answer cut short", connection: { kind: "end-down", afterBytes: 100 }, expected: "EIO" },
    { name: "reset in the answer", connection: { kind: "reset-down", afterBytes: 100 }, expected: "EIO" },
    {
      name: "wrong bytes received",
      connection: { kind: "flip-down", afterBytes: 100 * KIB },
      expected: "done",
      except: { read: "EIO" },
    },
    { name: "silence", connection: { kind: "swallow" }, expected: "EIO" },
    {
      name: "slower than the deadline",
      connection: { kind: "delay", ms: DEADLINE_MS + 1_500 },
      expected: "EIO",
      lateMs: 2 * DEADLINE_MS + 2_500,
    },
    {
      name: "412", // of an upload it means another writer, against whom it goes on for 20 seconds
      action: "return-412",
      expected: "done",
      except: { append: "ESTALE", rename: "ESTALE" },
    },
  ],
];

const MAKING = ["storage.objects.compose", "storage.objects.move"];
const ALL = [...MAKING, ...["insert", "delete", "get", "list"].map((name) => `storage.objects.${name}`)];

async function outcomeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "done",
    // Node has no name for that one.
    ({ errno, code }: NodeJS.ErrnoException) => (errno === -116 ? "ESTALE" : String(code)),
  );
}

class Case {
  readonly #server: BucketServer;
  readonly #proxy: FaultProxy;
  readonly #mount: Mount;
  readonly #trouble: Trouble;
  readonly #number: number;
  readonly #folder: string;
  readonly #wrong: string[] = [];

  constructor(server: BucketServer, proxy: FaultProxy, mount: Mount, trouble: Trouble, number: number) {
    this.#server = server;
    this.#proxy = proxy;
    this.#mount = mount;
    this.#trouble = trouble;
    this.#number = number;
    this.#folder = `case-${number}`;
  }

  async run(): Promise<string[]> {
    await this.#prepare();
    const { action, count, connection } = this.#trouble;
    if (action !== undefined)
      await this.#server.faults(
        ...(action === "return-412" ? MAKING : ALL).map((method) => ({
          method,
          action,
          ...(count === undefined ? {} : { count }),
        })),
      );
    if (connection !== undefined) this.#proxy.strike({ fault: connection });
    const begunMs = Date.now();
    const outcomes = await Promise.all(ACTS.map((act) => this.#act(act)));
    await this.#server.clearFaults();
    this.#proxy.clear();
    const { lateMs } = this.#trouble;
    if (lateMs !== undefined) await delay(Math.max(0, begunMs + lateMs - Date.now()));
    await Promise.all(ACTS.map((act, index) => this.#recovers(act, outcomes[index] ?? "")));
    await this.#nothingLeft();
    return this.#wrong.map((words) => `${this.#trouble.name}: ${words}`);
  }

  #check(holds: boolean, words: string): void {
    if (!holds) this.#wrong.push(words);
  }

  #path = (name: string): string => this.#mount.path(this.#folder, name);

  async #prepare(): Promise<void> {
    const put = (name: string, bytes: Buffer) => this.#server.put(`${this.#folder}/${name}`, bytes);
    for (const name of FILES) await put(name, name === "append/log" ? LOG : OLD);
    // Known from now on, and trusted; not so what is put there later.
    await this.#server.age((this.#number + 1) * HOUR_MS);
    for (const name of FILES) await stat(this.#path(name));
    await put("list/unknown/inside", OLD);
  }

  async #act({ name, act }: Act): Promise<string> {
    const begunMs = performance.now();
    const outcome = await outcomeOf(act({ mount: this.#mount, path: this.#path }));
    const tookMs = Math.round(performance.now() - begunMs);
    const expected = this.#trouble.except?.[name] ?? this.#trouble.expected;
    this.#check(outcome === expected, `${name}: ${outcome} instead of ${expected}`);
    this.#check(tookMs < LIMIT_MS, `${name} took ${tookMs} ms`);
    return outcome;
  }

  /** The bucket has what was there before, or all that was to be; and the same call works. */
  async #recovers({ name, act, makes }: Act, outcome: string): Promise<void> {
    for (const [object, made] of Object.entries(makes)) {
      const old = object === "append/log" ? LOG : OLD;
      const found = await this.#server.get(`${this.#folder}/${object}`);
      const isOld = found?.equals(old) ?? false;
      const isNew = made === undefined ? found === undefined : (found?.equals(made) ?? false);
      this.#check(isOld || isNew, `${name}: something in between is under ${object}`);
      if (outcome === "done") this.#check(isNew, `${name}: done, and yet ${object} is as before`);
    }
    if (name === "append" || outcome === "done") return; // again would be once more
    const again = await outcomeOf(act({ mount: this.#mount, path: this.#path }));
    // What arrived after all was done already.
    this.#check(
      again === "done" || (again === "ENOENT" && ["rename", "unlink"].includes(name)),
      `${name}, again: ${again}`,
    );
    for (const [object, made] of Object.entries(makes)) {
      const found = await this.#server.get(`${this.#folder}/${object}`);
      this.#check(
        made === undefined ? found === undefined : (found?.equals(made) ?? false),
        `${name}, again: ${object}`,
      );
    }
  }

  async #nothingLeft(): Promise<void> {
    for (let looks = 0; (await this.#server.names(TAILS)).length > 0 && looks < 80; looks += 1)
      await delay(100);
    const left = await this.#server.names(TAILS);
    this.#check(left.length === 0, `left behind: ${left.join()}`);
    const names = (await this.#server.names(`${this.#folder}/`)).map((name) =>
      name.slice(this.#folder.length + 1),
    );
    const known = [...FILES, "list/unknown/inside"];
    this.#check(
      names.every((name) => name.endsWith("/") || known.includes(name)),
      `there is also ${names.join()}`,
    );
  }
}

/** Descriptors of the worker, counted without asking what they are. */
async function descriptors(mount: Mount): Promise<number> {
  return (await readdir(`/proc/${await mount.worker()}/fdinfo`)).length;
}

/** When what was kept is discarded and everything removed, no local file remains. */
async function nothingLeftHere(mount: Mount): Promise<void> {
  await sidemount("pending", mount.directory, "--discard", "--all", "--yes");
  await shell(mount, "rm -rf ./*");
  const copies = () => readdir(path.join(mount.stateDirectory, "copies"));
  for (let looks = 0; (await copies()).length > 0 && looks < 100; looks += 1) await delay(100);
  const left = await copies();
  if (left.length > 0) throw new Error(`local files are left: ${left.join()}`);
}

async function actOut(t: ExecutionContext, troubles: readonly Trouble[]): Promise<void> {
  const server = await BucketServer.start(t);
  const proxy = await startFaultProxy(server.url);
  t.teardown(() => proxy.close());
  const options = ["--channel", "device", "--deadline", `${DEADLINE_MS / 1000}s`];
  const mount = await mounted(t, { url: proxy.url } as BucketServer, options);
  await server.put("first", "first");
  await readFile(mount.path("first"));
  const before = { descriptors: await descriptors(mount), memory: await mount.memory() };
  const wrong: string[] = [];
  for (const [number, trouble] of troubles.entries())
    wrong.push(...(await new Case(server, proxy, mount, trouble, number).run()));
  t.deepEqual(wrong, []);
  const after = { descriptors: await descriptors(mount), memory: await mount.memory() };
  t.log(JSON.stringify({ before, after }));
  t.true(after.descriptors <= before.descriptors + 40, "connections to the bucket, and nothing else");
  await nothingLeftHere(mount);
  t.true(after.memory.now - before.memory.now < 80 << 20);
}

for (const troubles of TROUBLES)
  test(`${troubles.map(({ name }) => name).join("; ")}: told in time, nothing half done, and all is well afterwards`, (t) =>
    actOut(t, troubles));
