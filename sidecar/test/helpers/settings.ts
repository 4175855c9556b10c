// One server and a mount in each setting, shared by the tests of a file; every test has a folder of its own.

import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { mkdir } from "node:fs/promises";
import { BucketServer, type BucketKind } from "./bucket-server.ts";
import { Cleanups } from "./cleanups.ts";
import { mounted, python, shell, SETTINGS, type Mount, type SettingName } from "./mounted.ts";

/** What a test of one behaviour gets. */
export interface Place {
  readonly t: ExecutionContext;
  readonly server: BucketServer;
  readonly mount: Mount;
  /** In which setting it runs, for what one of them cannot do. docs/CHANNELS.md says why. */
  readonly setting: SettingName;
  /** Name of the test's own folder, also the prefix of its objects. */
  readonly top: string;
  /** Path of something in that folder. */
  readonly path: (...parts: string[]) => string;
  /** Runs a script in that folder. */
  readonly shell: (script: string) => Promise<string>;
  readonly python: (program: string) => Promise<string>;
  /** The bytes of an object below the folder, as the bucket has them. */
  readonly object: (name: string) => Promise<string | undefined>;
  /** Names of the objects below the folder, without it. */
  readonly objects: () => Promise<string[]>;
  /** What has been changed in the bucket below the folder so far: "insert NAME", "move OLD-NAME", and so on. */
  readonly changes: () => Promise<string[]>;
}

export type Behaviour = (sentence: string, act: (place: Place) => Promise<void>) => void;

/** Declares behaviours that hold in every setting; call at the top of a test file. */
export function behaviours(options: readonly string[] = [], kind: BucketKind = {}): Behaviour {
  const test = anyTest as TestFn;
  const cleanups = new Cleanups();
  const mounts = new Map<string, Mount>();
  let server: BucketServer;
  let folders = 0;

  test.before(async () => {
    server = await BucketServer.start(cleanups, kind);
    for (const setting of SETTINGS)
      mounts.set(setting.name, await mounted(cleanups, server, [...options, ...setting.options]));
  });
  test.after.always(() => cleanups.run());

  return (sentence, act) => {
    for (const { name } of SETTINGS) {
      test(`${name}: ${sentence}`, async (t) => {
        const mount = mounts.get(name) as Mount;
        const top = `folder-${(folders += 1)}`;
        await mkdir(mount.path(top));
        await act({ ...placeOf(t, server, mount, top), setting: name });
      });
    }
  };
}

function placeOf(
  t: ExecutionContext,
  server: BucketServer,
  mount: Mount,
  top: string,
): Omit<Place, "setting"> {
  return {
    t,
    server,
    mount,
    top,
    path: (...parts) => mount.path(top, ...parts),
    shell: (script) => shell(mount, `cd ${top}; ${script}`),
    python: (program) => python(mount, `import os; os.chdir("${top}")\n${program}`),
    object: async (name) => (await server.get(`${top}/${name}`))?.toString(),
    objects: async () =>
      (await server.names(`${top}/`)).map((name) => name.slice(top.length + 1)).filter((name) => name !== ""),
    changes: async () =>
      (await server.requests())
        .filter(({ object, method }) => object?.startsWith(`${top}/`) && !/(?:get|list)$/.test(method))
        .map(({ object, method }) => ({
          what: method.split(".").at(-1),
          name: object?.slice(top.length + 1),
        }))
        .filter(({ name }) => name !== "") // the folder itself
        .map(({ what, name }) => `${what} ${name}`),
  };
}
