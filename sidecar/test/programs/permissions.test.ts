// The permissions our deployments grant, held against what a mount really asks for.

import { readFileSync } from "node:fs";

import test, { type ExecutionContext } from "ava";

import { BUCKET, BucketServer, type BucketKind } from "../helpers/bucket-server.ts";
import { mounted, shell, type Mount } from "../helpers/mounted.ts";
import { startGate, type Gate } from "../helpers/permissions.ts";

const list = readFileSync(new URL("../../../gce/storage-permissions.txt", import.meta.url), "utf8")
  .split("\n")
  .map((line) => (line.split("#")[0] ?? "").trim())
  .filter((line) => line !== "");

const short = (permission: string): string => permission.replace("storage.objects.", "");
const long = (permission: string): string => `storage.objects.${permission}`;

async function behindGate(
  t: ExecutionContext,
  granted: readonly string[],
  kind: BucketKind = {},
): Promise<{ server: BucketServer; gate: Gate; mount: () => Promise<Mount> }> {
  const server = await BucketServer.start(t, kind);
  const gate = await startGate(t, server, granted);
  return { server, gate, mount: () => mounted(t, server, ["--endpoint", gate.url]) };
}

// What the programs do that this is made for: upload, replace, append, edit through a temporary file, look, tidy up.
const everyday = `
  mkdir -p albums/summer
  echo one >albums/one.txt; echo two >albums/one.txt; echo three >>albums/one.txt
  head -c 12M /dev/urandom >albums/large.bin; head -c 9M /dev/urandom >albums/large.bin
  echo new >albums/.one.tmp; mv albums/.one.tmp albums/one.txt
  cp -p albums/one.txt albums/summer/two.txt
  mv albums pictures
  cat pictures/one.txt >/dev/null; ls -lR . >/dev/null
  rm pictures/large.bin; rm -r pictures/summer
  cat pictures/one.txt
`;

test.serial(
  "the listed permissions are enough for everything on either kind of bucket, and none is too many",
  async (t) => {
    const needed = new Set<string>();
    for (const hierarchical of [false, true]) {
      const { gate, server, mount } = await behindGate(t, list, { hierarchical });
      const folder = await mount();
      t.is(await shell(folder, everyday), "new\n");
      await shell(folder, "touch -d 2020-01-01 pictures/one.txt; chmod 600 pictures/one.txt");
      if (hierarchical) {
        await shell(folder, "mkdir gone; sleep 0.2");
        await server.remove("gone/").catch(() => undefined);
        await server.removeFolder("gone/");
        await shell(folder, "! stat gone 2>/dev/null"); // that it is gone is seen by one who may list
      }
      t.is(await folder.stop(), 0);
      t.deepEqual(gate.refused, []);
      for (const permission of gate.needed) needed.add(permission);
      t.deepEqual(await server.names(), ["pictures/", "pictures/one.txt"]);
      t.truthy((await server.stat("pictures/one.txt"))?.metadata, "times and modes are there too");
    }
    t.deepEqual([...needed].sort(), [...list].sort());
  },
);

test.serial("get, list, create and delete are enough to keep files; renames are copies then", async (t) => {
  const { gate, server, mount } = await behindGate(t, ["get", "list", "create", "delete"].map(long));
  const folder = await mount();
  t.is(await shell(folder, everyday), "new\n");
  t.is(await folder.stop(), 0);
  t.deepEqual(await server.names(), ["pictures/", "pictures/one.txt"]);
  t.is(String(await server.get("pictures/one.txt")), "new\n");
  t.deepEqual(
    [...new Set(gate.refused.map((line) => short(line.split(":")[0] ?? "")))].filter(
      (each) => each !== "update" && each !== "storage.buckets.get",
    ),
    ["move"],
  );
  t.true(
    folder.lines.some(({ message }) =>
      /give storage\.objects\.move to make them atomic/.test(String(message)),
    ),
  );
});

test.serial(
  "create and delete alone mount nothing: the start says what is missing, and how to give it",
  async (t) => {
    const { mount } = await behindGate(t, ["create", "delete"].map(long));
    const error = String(await t.throwsAsync(mount()));
    t.regex(error, new RegExp(`may not list bucket ${BUCKET} \\(storage\\.objects\\.list\\)`));
    t.regex(error, /gcloud storage buckets add-iam-policy-binding/);
  },
);

test.serial("what may not be read or written is permission denied, never a missing file", async (t) => {
  const { server, mount } = await behindGate(t, ["list", "create"].map(long));
  await server.put("there.txt", "secret");
  await server.age(3_600_000); // trusted for as long as the test lasts: what is refused is the doing, not the asking
  const folder = await mount();
  t.is(await shell(folder, "ls; echo new >new.txt"), "there.txt\n");
  // A shell would not tell of a close that fails behind its own redirection; cp does.
  for (const script of ["cat there.txt", "cp /etc/hostname there.txt", "rm there.txt"]) {
    t.regex(String(await t.throwsAsync(shell(folder, script))), /Permission denied/, script);
  }
  t.is(String(await server.get("there.txt")), "secret");
});
