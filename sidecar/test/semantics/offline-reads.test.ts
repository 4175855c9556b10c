// The bucket goes away and comes back: what is known goes on meanwhile, nothing else is made up.

import test from "ava";
import { open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { StatusAnswer } from "../../control/requests.ts";
import type { BucketServer } from "../helpers/bucket-server.ts";
import { asked, sidemount } from "../helpers/command.ts";
import { onEachChannel, servedSession, type Mount } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);
/** Where it makes no difference to the channel. */
const onDevice: typeof eachChannel = (title, act) =>
  eachChannel(title, async (t, channel) => {
    if (channel.name === "device") await act(t, channel);
    else t.pass();
  });

/** Everything has to be confirmed at once: what is tried here is what happens when that cannot be. */
const OPTIONS = ["--freshness", "0", "--deadline", "2s"];
/** Longer than one look-up, open and read that confirm each other. */
const UNTRUSTED_MS = 150;
/** Somewhat more than giving up and making sure that nothing is answered takes. */
const FOUND_OUT_MS = 8_000;

const HOUR_MS = 3_600_000;
const AWAY = "the bucket does not answer";
const BACK = "the bucket answers again";

/** Ways for a bucket to be away. */
const WAYS = {
  "answers 503": {
    leave: (server: BucketServer) => server.faults({ method: "*", action: "return-503" }),
    comeBack: (server: BucketServer) => server.clearFaults(),
  },
  "says nothing": {
    leave: async ({ child }: BucketServer) => void child.kill("SIGSTOP"),
    comeBack: async ({ child }: BucketServer) => void child.kill("SIGCONT"),
  },
  "is not there": {
    leave: async ({ child }: BucketServer) => {
      child.kill("SIGKILL");
    },
    comeBack: (server: BucketServer) => server.restart(),
  },
} as const;

const said = ({ lines }: Mount, message: string) => lines.filter((line) => line["message"] === message);

async function until(
  what: string,
  done: () => boolean | Promise<boolean>,
  limitMs = FOUND_OUT_MS,
): Promise<void> {
  for (const endMs = Date.now() + limitMs; !(await done()); await delay(20))
    if (Date.now() > endMs) throw new Error(`${what}: not within ${limitMs} ms`);
}

async function took(act: () => Promise<unknown>): Promise<number> {
  const begunMs = performance.now();
  await act();
  return performance.now() - begunMs;
}

/** Looks at everything that is known, after its trust has ended. */
async function lookAround(mount: Mount): Promise<string[]> {
  await delay(UNTRUSTED_MS);
  const names = await readdir(mount.path("d"));
  const { size } = await stat(mount.path("d/small"));
  const small = await readFile(mount.path("d/small"), "utf8");
  const large = await readFile(mount.path("d/large"));
  return [...names.toSorted(), `${size}`, small, `${large.length}`];
}

for (const [way, { leave, comeBack }] of Object.entries(WAYS)) {
  (way === "answers 503" ? eachChannel : onDevice)(
    `a bucket that ${way}: what is known is served, what is not fails, and all is well afterwards`,
    async (t, channel) => {
      const { server, mount } = await channel.session(t, OPTIONS);
      await server.put("d/small", "small");
      await server.put("d/large", Buffer.alloc(3 << 20, 1));
      const known = await lookAround(mount);
      t.deepEqual(known, ["large", "small", "5", "small", `${3 << 20}`]);
      await server.put("elsewhere", "not known");

      await leave(server);
      t.deepEqual(await lookAround(mount), known);
      t.is(said(mount, AWAY).length, 1);
      const tookMs = await took(async () => {
        for (let round = 0; round < 5; round += 1) t.deepEqual(await lookAround(mount), known);
      });
      t.true(
        tookMs < 5 * UNTRUSTED_MS + 2_000,
        `once it is known that it is away nobody waits: ${tookMs} ms`,
      );
      const [unknown, cold, write] = await Promise.all([
        t.throwsAsync(readFile(mount.path("d/none"))),
        t.throwsAsync(readFile(mount.path("elsewhere"))),
        t.throwsAsync(writeFile(mount.path("d/small"), "new")),
      ]);
      for (const error of [unknown, cold, write]) t.like(error, { code: "EIO" });
      const [status] = await asked<(StatusAnswer & { away: { since: string } })[]>("status", mount.directory);
      t.truthy(status?.away.since);
      t.regex((await sidemount("status", mount.directory)).stdout, /away +the bucket does not answer since/);

      await comeBack(server);
      await until("back", () => said(mount, BACK).length > 0);
      t.deepEqual([said(mount, AWAY).length, said(mount, BACK).length], [1, 1], "each is said once");
      // What a silent bucket had been sent may arrive after all.
      if (way !== "says nothing") t.is((await server.get("d/small"))?.toString(), "small");
      await server.put("d/small", "changed");
      await delay(UNTRUSTED_MS);
      t.is(await readFile(mount.path("d/small"), "utf8"), "changed");
      await t.throwsAsync(readFile(mount.path("d/none")), { code: "ENOENT" });
      t.is(await readFile(mount.path("elsewhere"), "utf8"), "not known");
      await writeFile(mount.path("d/small"), "mine");
      t.is((await server.get("d/small"))?.toString(), "mine");
      const [after] = await asked<StatusAnswer[]>("status", mount.directory);
      t.is(after?.away as unknown, null);
      t.is(after?.kept.superseded, 1, "the bytes of the write that failed were kept");
    },
  );
}

eachChannel(
  "refusals are answers: they are passed on, and nothing old is shown for them",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, OPTIONS);
    await server.put("f", "known");
    t.is(await readFile(mount.path("f"), "utf8"), "known");
    await server.faults({ method: "*", action: "return-403" });
    await delay(UNTRUSTED_MS);
    await t.throwsAsync(readFile(mount.path("f")), { code: "EACCES" });
    await server.clearFaults();
    await server.remove("f");
    await delay(UNTRUSTED_MS);
    await t.throwsAsync(readFile(mount.path("f")), { code: "ENOENT" });
    t.is(said(mount, AWAY).length, 0);
  },
);

eachChannel("trouble with one object is not the bucket's", async (t, channel) => {
  const { server, mount } = await channel.session(t, OPTIONS);
  await server.put("f", "known");
  await server.put("g", "g");
  t.is(await readFile(mount.path("f"), "utf8"), "known");
  await server.faults({ method: "storage.objects.get", name: "f", action: "return-503" });
  await delay(UNTRUSTED_MS);
  t.is(await readFile(mount.path("f"), "utf8"), "known", "it may be as it was");
  await server.put("g", "new");
  t.is(await readFile(mount.path("g"), "utf8"), "new");
  t.is(said(mount, AWAY).length, 0);
});

eachChannel("--no-offline-reads: what must be confirmed and cannot be fails", async (t, channel) => {
  const { server, mount } = await channel.session(t, [...OPTIONS, "--no-offline-reads"]);
  await server.put("f", "known");
  t.is(await readFile(mount.path("f"), "utf8"), "known");
  const open_ = await open(mount.path("f"));
  t.teardown(() => open_.close());
  await readdir(mount.path());
  await server.faults({ method: "*", action: "return-503" });
  await delay(UNTRUSTED_MS);
  await t.throwsAsync(readFile(mount.path("f")), { code: "EIO" });
  await t.throwsAsync(readdir(mount.path()), { code: "EIO" });
  // libfuse asks for attributes by name, also for what is open.
  if (channel.name === "device") t.is(await open_.readFile("utf8"), "known", "what is open goes on");

  await until("told", () => said(mount, AWAY).length === 1);
  await server.clearFaults();
  await until("back", () => said(mount, BACK).length === 1);
  t.is(await readFile(mount.path("f"), "utf8"), "known");
});

test.serial("the serve mount shows what is known, also of a file that is just being written", async (t) => {
  const { server, mount } = await servedSession(t, OPTIONS);
  await server.put("d/page", "<html>");
  await server.put("d/edited", "as it is");
  await server.age(HOUR_MS);
  const look = async () => [
    (await readdir(mount.served("d"))).toSorted(),
    await readFile(mount.served("d/page"), "utf8"),
    await readFile(mount.served("d/edited"), "utf8"),
  ];
  const known = await look();
  const writer = await open(mount.path("d/edited"), "r+");
  t.teardown(() => writer.close().catch(() => undefined)); // it cannot be uploaded while the bucket is away
  await writer.write("XX");
  await delay(UNTRUSTED_MS);
  t.deepEqual(await look(), known);
  await server.faults({ method: "*", action: "return-503" });
  await delay(UNTRUSTED_MS);
  t.deepEqual(await look(), known);
  const tookMs = await took(async () => {
    for (let round = 0; round < 5; round += 1) {
      await delay(UNTRUSTED_MS);
      t.deepEqual(await look(), known);
    }
  });
  t.true(tookMs < 5 * UNTRUSTED_MS + 2_000, `${tookMs} ms`);
  await t.throwsAsync(stat(mount.served("d/none")), { code: "EIO" });
  await server.clearFaults();
  await until("back", () => said(mount, BACK).length === 1);
  await server.put("d/page", "<html lang>");
  await delay(UNTRUSTED_MS);
  t.is(await readFile(mount.served("d/page"), "utf8"), "<html lang>");
});

onEachChannel(test.serial, { hierarchical: true })(
  "on a hierarchical bucket folders without anything in them stay, too",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, OPTIONS);
    await server.makeFolder("d/empty/");
    await server.put("d/f", "f");
    const look = async () => [
      (await readdir(mount.path("d"))).toSorted(),
      await readdir(mount.path("d/empty")),
      await readFile(mount.path("d/f"), "utf8"),
    ];
    const known = await look();
    t.deepEqual(known, [["empty", "f"], [], "f"]);
    await server.faults({ method: "*", action: "return-503" });
    await delay(UNTRUSTED_MS);
    t.deepEqual(await look(), known);
    await t.throwsAsync(stat(mount.path("d/none")), { code: "EIO" });
    await server.clearFaults();
    await until("back", () => said(mount, BACK).length === 1);
    await server.removeFolder("d/empty/");
    await delay(UNTRUSTED_MS);
    await t.throwsAsync(stat(mount.path("d/empty")), { code: "ENOENT" });
  },
);
