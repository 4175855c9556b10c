// Programs on three machines want the same name at the same moment, by every call that gives it to one of them only.
//
// SIDEMOUNT_TEST_ROUNDS=1000 npx ava --config sidecar/test/mount.config.js sidecar/test/machines/claims.test.ts
// has a thousand rounds of each kind; without it there are a thousand in all.

import test from "ava";
import { BucketServer } from "../helpers/bucket-server.ts";
import { Cleanups, type Cleaning } from "../helpers/cleanups.ts";
import { mounted, SETTINGS, type Mount } from "../helpers/mounted.ts";
import { acted } from "./machines.ts";

interface Round {
  readonly name: string;
  /** By machine: "ok", or why not. */
  readonly said: Readonly<Record<string, string>>;
}

/** What each kind of claim leaves in the bucket, of the one who got it. */
const WAYS = [
  { way: "lock", rounds: 250, what: "a lock file made with O_EXCL, decided by open" },
  { way: "file", rounds: 250, what: "another file made with O_EXCL, decided by close" },
  { way: "rename", rounds: 250, what: "a name taken by a rename that must not replace anything" },
  { way: "mkdir", rounds: 125, what: "a folder" },
  { way: "symlink", rounds: 125, what: "a symbolic link" },
] as const;
const ROUNDS = process.env["SIDEMOUNT_TEST_ROUNDS"];
const SECONDS_A_ROUND = 0.5;

const cleanups = new Cleanups();
let server: BucketServer;
let machines: { readonly native: boolean; readonly mount: Mount }[];

test.before(async () => {
  server = await BucketServer.start(cleanups);
  const [passthrough] = SETTINGS;
  machines = await Promise.all(
    [...SETTINGS, passthrough].map(async ({ name, options }) => ({
      native: name === "native",
      mount: await mounted(cleanups, server, options),
    })),
  );
});
test.after.always(() => cleanups.run());

/** Three machines, each mounted in another way; but libfuse 2 knows no flags of rename (docs/CHANNELS.md). */
async function compete(t: Cleaning, way: string, rounds: number, seconds: number): Promise<Round[]> {
  const able = machines.filter(({ native }) => way !== "rename" || !native).slice(0, 3);
  const folders = able.map(({ mount }) => mount.directory);
  return acted<Round>(t, "claims.py", [way, String(rounds), ...folders], seconds);
}

for (const { way, rounds: few, what } of WAYS) {
  const rounds = ROUNDS === undefined ? few : Number(ROUNDS);
  test(`of three machines that want it at the same moment exactly one gets ${what}`, async (t) => {
    const seconds = 60 + rounds * SECONDS_A_ROUND;
    t.timeout((seconds + 60) * 1000);
    const said = await compete(t, way, rounds, seconds);
    t.is(said.length, rounds);
    for (const { name, said: answers } of said) {
      const winners = Object.keys(answers).filter((machine) => answers[machine] === "ok");
      const others = Object.values(answers).filter((answer) => answer !== "ok");
      t.is(winners.length, 1, `${name}: ${JSON.stringify(answers)}`);
      t.deepEqual(others, ["EEXIST", "EEXIST"], name);
      if (way === "mkdir") t.truthy(await server.stat(`${name}/`));
      else if (way !== "symlink") t.is((await server.get(name))?.toString(), winners[0], name);
      else t.is((await server.stat(name))?.metadata?.["gcsfuse_symlink_target"], winners[0], name);
    }
    t.is((await server.names(`${way}/`)).length, rounds + 1, "and nothing else is left");
    const wins = said.map(({ said: answers }) => Object.keys(answers).find((each) => answers[each] === "ok"));
    t.log(["a", "b", "c"].map((each) => `${each} ${wins.filter((won) => won === each).length}`).join(", "));
  });
}

test("a link is refused to all who want a lock by it, and nobody believes to have it", async (t) => {
  const said = await compete(t, "link", 5, 60);
  for (const { said: answers } of said) t.deepEqual(Object.values(answers), ["EPERM", "EPERM", "EPERM"]);
  t.deepEqual(await server.names("link/"), ["link/"]);
});
