// What can go wrong with each kind of request, and what is to come of it: the table that faults.test.ts acts out.

import type { Expected, ObjectInfo } from "./bucket.ts";
import type { MeasuredBucket } from "./client.ts";
import type { BucketErrorKind } from "./errors.ts";
import type { ConnectionFault } from "./fault-proxy.fixture.ts";
import { bytesSource, collect } from "./service.fixture.ts";

/** Of questions and of bytes alike: short, so that the whole table takes seconds, and long enough for a second try. */
export const DEADLINE_MS = 4_000;

const KiB = 1024;
const patterned = (length: number, seed: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8) * seed) & 0xff));
/** What is in the bucket before. */
export const OLD = patterned(600 * KiB, 7);
export const SMALL = Buffer.from("small");
/** What is uploaded. */
const NEW = patterned(600 * KiB, 13);
/** Too large for one request. */
const LARGE = patterned(8 * KiB * KiB + 1, 17);

/** What a cell works with: the objects `a` and `b`, and a session in which `NEW` is to replace `a`. */
export interface World {
  readonly a: ObjectInfo;
  readonly b: ObjectInfo;
  readonly sessionUrl: string;
}

/** A kind of request. */
export interface Act {
  readonly name: string;
  /** As the server calls it. */
  readonly method: string;
  /** The request's first line. */
  readonly line: RegExp;
  run(bucket: MeasuredBucket, world: World, expected: Expected, write?: Write): Promise<unknown>;
  /** The objects afterwards, with their bytes; absent: as before. */
  readonly makes?: Readonly<Record<string, Buffer>>;
  readonly patches?: true;
  /** What is tried once the trouble is over; absent: the same. */
  readonly afterwards?: string;
  /** How many others it counts for when they are run side by side. */
  readonly weight?: number;
}

interface Write {
  readonly operationId: string;
}

const WRITE: Write = { operationId: "m:1" };
export const SESSION_WRITE = { operationId: "m:2" };
export const newBytes = () => bytesSource(NEW);

export const ACTS: readonly Act[] = [
  {
    name: "look-up",
    method: "storage.objects.get",
    line: /^GET \/storage\/v1\/b\/[^/]*\/o\/a\?/,
    run: (bucket) => bucket.stat("a"),
  },
  {
    name: "listing",
    method: "storage.objects.list",
    line: /^GET \/storage\/v1\/b\/[^/]*\/o\?/,
    run: (bucket) => bucket.list({ prefix: "" }),
  },
  {
    name: "download",
    method: "storage.objects.get",
    line: /^GET .*alt=media/,
    async run(bucket, { a }) {
      if (!(await collect(bucket.read(a))).equals(OLD)) throw new Error("other bytes than were stored");
    },
  },
  {
    name: "upload in one request",
    method: "storage.objects.insert",
    line: /^POST .*uploadType=multipart/,
    run: (bucket, _, expected, write = WRITE) => bucket.insert("a", newBytes(), expected, {}, write),
    makes: { a: NEW, b: SMALL },
  },
  {
    name: "start of a session",
    method: "storage.objects.insert",
    line: /^POST .*uploadType=resumable/,
    run: (bucket, _, expected) => bucket.insert("a", bytesSource(LARGE), expected, {}, WRITE),
    makes: { a: LARGE, b: SMALL },
    afterwards: "upload in one request", // 8 MiB for each cell would be most of the time
    weight: 6,
  },
  {
    name: "bytes of a session",
    method: "storage.objects.insert",
    line: /^PUT /,
    run: (bucket, { sessionUrl }, expected) =>
      bucket.insert("a", newBytes(), expected, {}, { ...SESSION_WRITE, session: { url: sessionUrl } }),
    makes: { a: NEW, b: SMALL },
  },
  {
    name: "compose",
    method: "storage.objects.compose",
    line: /^POST .*\/compose/,
    run: (bucket, { a, b }, expected) => bucket.compose("a", [a, b], expected, {}, WRITE),
    makes: { a: Buffer.concat([OLD, SMALL]), b: SMALL },
  },
  {
    name: "removal",
    method: "storage.objects.delete",
    line: /^DELETE /,
    run: (bucket, { a }) => bucket.remove("a", a.generation),
    makes: { b: SMALL },
  },
  {
    name: "move",
    method: "storage.objects.move",
    line: /^POST .*\/moveTo\//,
    run: (bucket, { a }) => bucket.move(a, "c", "absent"),
    makes: { b: SMALL, c: OLD },
  },
  {
    name: "copy",
    method: "storage.objects.rewrite",
    line: /^POST .*\/rewriteTo\//,
    run: (bucket, { a }) => bucket.copy(a, "c", "absent"),
    makes: { a: OLD, b: SMALL, c: OLD },
  },
  {
    name: "attributes",
    method: "storage.objects.patch",
    line: /^PATCH /,
    run: (bucket, { a }) => bucket.patch("a", a, { metadata: { key: "value" } }),
    makes: { a: OLD, b: SMALL },
    patches: true,
  },
];

export type Outcome = "done" | BucketErrorKind;

/** One line of the table. */
export interface Trouble {
  readonly name: string;
  /** What the server does, one after another; `{method}` is the act's. */
  readonly rules?: readonly {
    readonly action: string;
    readonly everything?: true;
    readonly count?: number;
  }[];
  /** What the connection does. */
  readonly connection?: { readonly fault: ConnectionFault; readonly count?: number };
  readonly bucketIsGone?: true;
  readonly expected: Outcome;
  /** Where that differs; `null`: such a request cannot meet it. */
  readonly except?: Readonly<Record<string, Outcome | null>>;
  /** Final at once, without a second try. */
  readonly atOnce?: true;
  /** How often the credentials are renewed. */
  readonly renewals?: number;
  /** It may yet be carried out so much after it was given up. */
  readonly lateMs?: number;
}

const UPLOADS = ["upload in one request", "bytes of a session"];
const only = (...names: string[]): Record<string, null> =>
  Object.fromEntries(ACTS.filter(({ name }) => !names.includes(name)).map(({ name }) => [name, null]));
/** RULES 5: who moved it cannot be told, so it is not claimed. */
const MOVED_BY_WHOM = { move: "unavailable" } as const;
const status = (code: number, expected: Outcome): readonly Trouble[] => [
  { name: `${code}`, rules: [{ action: `return-${code}` }], expected },
  { name: `${code}, once`, rules: [{ action: `return-${code}`, count: 1 }], expected: "done" },
];
const final = (code: number, expected: Outcome): Trouble => ({
  name: `${code}`,
  rules: [{ action: `return-${code}`, everything: true }],
  expected,
  atOnce: true,
});

export const TROUBLES: readonly Trouble[] = [
  ...[408, 500, 502, 503, 504].flatMap((code) => status(code, "unavailable")),
  ...status(429, "throttled"),
  { ...final(401, "unauthenticated"), renewals: 1 },
  { name: "401, once", rules: [{ action: "return-401", count: 1 }], expected: "done", renewals: 1 },
  final(403, "forbidden"),
  {
    name: "403 in the middle",
    rules: [{ action: "return-403-after-256K" }],
    expected: "forbidden",
    except: only(...UPLOADS),
  },
  {
    name: "403 in the middle of a download",
    rules: [
      { action: "return-broken-stream-after-64K", count: 1 },
      { action: "return-403", everything: true },
    ],
    expected: "forbidden",
    except: only("download"),
  },
  { name: "404, no bucket", bucketIsGone: true, expected: "bucket-not-found" },
  final(412, "precondition-failed"),
  { name: "reset before the answer", connection: { fault: { kind: "reset" } }, expected: "unavailable" },
  {
    name: "reset before the answer, once",
    connection: { fault: { kind: "reset" }, count: 1 },
    expected: "done",
  },
  {
    name: "reset while sending",
    connection: { fault: { kind: "reset-up", afterBytes: 300 * KiB } },
    expected: "unavailable",
    except: { ...only(...UPLOADS), "bytes of a session": "done" }, // each try gets further
  },
  {
    name: "reset while sending, once",
    connection: { fault: { kind: "reset-up", afterBytes: 300 * KiB }, count: 1 },
    expected: "done",
    except: only(...UPLOADS),
  },
  ...(["reset-down", "end-down"] as const).flatMap((kind): Trouble[] => {
    const name = kind === "reset-down" ? "reset in the answer" : "answer cut short";
    return [
      {
        name,
        connection: { fault: { kind, afterBytes: 100 } },
        expected: "unavailable",
        except: { download: null },
      },
      {
        name: `${name}, once`,
        connection: { fault: { kind, afterBytes: 100 }, count: 1 },
        expected: "done",
        except: MOVED_BY_WHOM,
      },
      {
        name: `${name}, each time further on`,
        connection: { fault: { kind, afterBytes: 200 * KiB } },
        expected: "done",
        except: only("download"),
      },
    ];
  }),
  {
    name: "wrong bytes received",
    connection: { fault: { kind: "flip-down", afterBytes: 10_000 } },
    expected: "checksum",
    except: only("download"),
    atOnce: true,
  },
  {
    name: "wrong bytes sent",
    connection: { fault: { kind: "flip-up", afterBytes: 10_000 } },
    expected: "checksum",
    except: only(...UPLOADS),
  },
  { name: "silence", connection: { fault: { kind: "swallow" } }, expected: "deadline" },
  { name: "silence, once", connection: { fault: { kind: "swallow" }, count: 1 }, expected: "done" },
  {
    name: "silence in a download",
    rules: [{ action: "stall-for-60s-after-64K", count: 1 }, { action: "stall-for-60s-after-0K" }],
    expected: "deadline",
    except: only("download"),
  },
  {
    name: "slower than the deadline",
    connection: { fault: { kind: "delay", ms: DEADLINE_MS + 500 } },
    expected: "deadline",
    lateMs: 2 * DEADLINE_MS + 800,
  },
  { name: "slow", connection: { fault: { kind: "delay", ms: 500 } }, expected: "done" },
  {
    name: "answer lost after success",
    rules: [{ action: "lost-answer", count: 1 }],
    expected: "done",
    except: MOVED_BY_WHOM,
  },
];

/** The objects there are to be when `act` was carried out, or when it was not. */
export function contents(act: Act, carriedOut: boolean): Readonly<Record<string, Buffer>> {
  return carriedOut && act.makes !== undefined ? act.makes : { a: OLD, b: SMALL };
}
