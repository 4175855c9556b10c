// Counting the requests an operation costs, against the request log of the local server.

import anyTest, { type TestFn } from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { BucketServer, type BucketKind } from "../../helpers/bucket-server.ts";
import { Cleanups } from "../../helpers/cleanups.ts";
import { mounted, shell, SETTINGS, type Mount } from "../../helpers/mounted.ts";

const HOUR_MS = 3_600_000;
/** Longer than anything that follows an operation in the background. */
export const QUIET_MS = 400;
/** Longer than attribute changes are gathered. */
export const GATHERED_MS = 1600;

export interface Costs {
  readonly server: BucketServer;
  readonly mount: Mount;
  /** The folder of the test, and the prefix of its objects. */
  readonly top: string;
  readonly run: (script: string) => Promise<string>;
  /** Makes everything there is an hour older. */
  readonly age: () => Promise<void>;
  /** The requests a script causes, counted until quiet, in words. */
  readonly costs: (script: string, quietMs?: number) => Promise<string>;
}

/** Makes a folder of objects an hour old, which the mount has never seen. */
export type OldObjects = (setting: string, objects: Record<string, string | Buffer>) => Promise<Costs>;

/** One server and a mount in each setting, shared by the tests of a file; call at its top. */
export function costing(options: readonly string[] = [], kind: BucketKind = {}): OldObjects {
  const test = anyTest as TestFn;
  const cleanups = new Cleanups();
  const mounts = new Map<string, Mount>();
  let server: BucketServer;
  let folders = 0;
  let hours = 0;

  test.before(async () => {
    server = await BucketServer.start(cleanups, kind);
    for (const setting of SETTINGS)
      mounts.set(setting.name, await mounted(cleanups, server, [...options, ...setting.options]));
  });
  test.after.always(() => cleanups.run());

  return async (setting, objects) => {
    const mount = mounts.get(setting) as Mount;
    const top = `${setting}-${(folders += 1)}`;
    for (const some of chunks(Object.entries(objects), 50))
      await Promise.all(some.map(([name, bytes]) => server.put(`${top}/${name}`, bytes)));
    const age = (): Promise<void> => server.age((hours += 1) * HOUR_MS);
    await age();
    const run = (script: string): Promise<string> => shell(mount, `cd ${top}; ${script}`);
    const costs = async (script: string, quietMs = QUIET_MS): Promise<string> => {
      await delay(QUIET_MS);
      await server.forgetRequests();
      await run(script);
      await delay(quietMs);
      return (await server.requests()).map(({ method }) => shortName(method)).join(" ");
    };
    return { server, mount, top, run, costs, age };
  };
}

export function many(count: number, name: (i: number) => string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), "x"]));
}

/** The method without what all of its kind have in common: `insert`, `folder-insert`. */
export function shortName(method: string): string {
  return method.replace("storage.objects.", "").replace("storage.folders.", "folder-");
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}
