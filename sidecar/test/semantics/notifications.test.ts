// Changes made elsewhere, told over Pub/Sub: seen at once although trusted for a minute, and no worse without a message.

import test from "ava";
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { BUCKET, type BucketServer } from "../helpers/bucket-server.ts";
import { onEachChannel, servedSession, session, shell, type Mount } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

const HOUR_MS = 3_600_000;
const AUTO = ["--freshness", "60s", "--notifications", "auto"];
const TOPIC = `projects/local/topics/sidemount-${BUCKET}`;
const LISTENING = "listening to notifications of the bucket";
/** Long before trust ends, and long enough for a busy machine. */
const PATIENCE_MS = 30_000;

/** Waits until `look` answers with something else than undefined. */
async function until<T>(
  look: () => T | undefined | Promise<T | undefined>,
  limitMs = PATIENCE_MS,
): Promise<T> {
  for (const endMs = Date.now() + limitMs; ; await delay(10)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms`);
  }
}

/** Resolves with the subscription once the mount has listened to `count` of them. */
async function listening(mount: Mount, count = 1): Promise<string> {
  const line = await until(() => mount.lines.filter(({ message }) => message === LISTENING)[count - 1]);
  return String(line["subscription"]);
}

async function ask(
  server: BucketServer,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const answer = await fetch(server.url + path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, json: JSON.parse(text || "{}") as Record<string, unknown> };
}

/** What the bucket was asked about objects, as `get f`. */
async function asked(server: BucketServer): Promise<string[]> {
  const requests = await server.requests();
  return requests
    .filter(({ method }) => method.startsWith("storage.objects."))
    .map(({ method, object }) => `${method.replace("storage.objects.", "")} ${object ?? ""}`);
}

const textOf = (mount: Mount, name: string): Promise<string> => readFile(mount.path(name), "utf8");
/** Resolves when the file reads so. */
const shows = (mount: Mount, name: string, text: string): Promise<true> =>
  until(async () => ((await textOf(mount, name)) === text ? true : undefined));

eachChannel("a replaced file shows at once, however long it was trusted for", async (t, channel) => {
  const { server, mount } = await channel.session(t, AUTO);
  await listening(mount);
  const tookMs: number[] = [];
  await server.put("f", "version 0");
  for (let round = 1; round <= 9; round += 1) {
    await server.age(round * HOUR_MS);
    // A message that comes while the bucket is being asked takes the trust from its answer: until that is over.
    await until(async () => {
      await server.forgetRequests();
      t.is(await textOf(mount, "f"), `version ${round - 1}`);
      return (await asked(server)).length === 0 ? true : undefined;
    });
    await server.put("f", `version ${round}`);
    const startedMs = performance.now();
    await shows(mount, "f", `version ${round}`);
    tookMs.push(performance.now() - startedMs);
  }
  const median = tookMs.sort((one, other) => one - other)[4] ?? Infinity;
  t.log(`seen after ${median.toFixed(0)} ms (median), ${tookMs.at(-1)?.toFixed(0)} ms at most`);
  t.true(median < 1000);
});

eachChannel("the bucket is asked once for what a message names, and for nothing else", async (t, channel) => {
  const { server, mount } = await channel.session(t, AUTO);
  for (const name of ["d/f", "d/g", "top"]) await server.put(name, "old");
  await server.age(HOUR_MS);
  await listening(mount);
  await shell(mount, "cat d/f d/g top; ls . d");
  await server.forgetRequests();
  await server.put("d/f", "new");
  await server.age(2 * HOUR_MS);
  await shows(mount, "d/f", "new");
  await shell(mount, "cat d/f d/g top; ls . d");
  // A get that says there is a newer one, and its bytes; through libfuse 2 an open may ask once more.
  const questions = (await asked(server)).filter((line) => line !== "insert d/f");
  t.true(questions.length <= 3 && questions.every((line) => line === "get d/f"), questions.join(", "));
});

eachChannel("a new file shows in a folder that was listed, and a deleted one is gone", async (t, channel) => {
  const { server, mount } = await channel.session(t, AUTO);
  for (const name of ["d/a", "d/b", "e/x"]) await server.put(name, name);
  await server.age(HOUR_MS);
  await listening(mount);
  t.is(await shell(mount, "ls . d"), ".:\nd\ne\n\nd:\na\nb\n");
  await server.put("d/new", "new");
  await until(async () => ((await readdir(mount.path("d"))).includes("new") ? true : undefined));
  await server.put("n/e/w", "new");
  await until(async () => ((await readdir(mount.path())).includes("n") ? true : undefined));
  t.is(await textOf(mount, "n/e/w"), "new");
  t.is(await textOf(mount, "d/b"), "d/b");
  await server.remove("d/b");
  await until(async () => ((await readdir(mount.path("d"))).includes("b") ? undefined : true));
  await t.throwsAsync(stat(mount.path("d/b")), { code: "ENOENT" });
  t.is(await textOf(mount, "e/x"), "e/x");
  await server.remove("e/x"); // and its folder with it
  await until(() =>
    stat(mount.path("e")).then(
      () => undefined,
      ({ code }: { code: string }) => code,
    ),
  );
  t.deepEqual((await readdir(mount.path())).sort(), ["d", "n"]);
});

eachChannel("attributes changed elsewhere show at once", async (t, channel) => {
  const { server, mount } = await channel.session(t, AUTO);
  await server.put("f", "text");
  await server.age(HOUR_MS);
  await listening(mount);
  const { ino } = await stat(mount.path("f"));
  const metadata = { "goog-reserved-posix-mode": "600" };
  await ask(server, "PATCH", `/storage/v1/b/${BUCKET}/o/f`, { metadata });
  const changed = await until(async () => {
    const now = await stat(mount.path("f"));
    return (now.mode & 0o777) === 0o600 ? now : undefined;
  });
  if (channel.name === "device") t.is(changed.ino, ino);
  t.pass();
});

eachChannel("what another mount writes shows at once", async (t, channel) => {
  const { server, mount } = await channel.session(t, AUTO);
  const other = await channel.mounted(t, server, AUTO);
  await Promise.all([listening(mount), listening(other)]);
  await writeFile(other.path("f"), "one");
  t.is(await textOf(mount, "f"), "one");
  await server.age(HOUR_MS);
  for (const each of [mount, other]) t.is(await textOf(each, "f"), "one");
  await writeFile(other.path("f"), "two");
  await shows(mount, "f", "two");
  await server.age(2 * HOUR_MS);
  for (const each of [mount, other]) t.is(await textOf(each, "f"), "two");
  await writeFile(mount.path("f"), "three");
  await shows(other, "f", "three");
});

eachChannel("messages that come twice, late or in another order do no harm", async (t, channel) => {
  const { server, mount } = await channel.session(t, AUTO);
  await listening(mount);
  const generations: string[] = [];
  for (const text of ["one", "two", "three"]) generations.push((await server.put("f", text)).generation);
  await server.put("sentinel", "old");
  await server.age(HOUR_MS);
  t.is(await textOf(mount, "f"), "three");
  t.is(await textOf(mount, "sentinel"), "old");
  await server.forgetRequests();
  const message = (eventType: string, objectGeneration?: string, more: object = {}) => ({
    attributes: {
      eventType,
      bucketId: BUCKET,
      objectId: "f",
      objectGeneration,
      eventTime: "2026-01-01T00:00:00Z",
      ...more,
    },
  });
  const [one, two, three] = generations;
  const messages = [
    message("OBJECT_DELETE", two, { overwrittenByGeneration: three }),
    message("OBJECT_DELETE", one),
    message("OBJECT_FINALIZE", three),
    message("OBJECT_FINALIZE", one),
    message("OBJECT_METADATA_UPDATE", three),
    message("OBJECT_FINALIZE", two),
    { attributes: { eventType: "nonsense" } },
    { data: "bm90aGluZw==" },
  ];
  await ask(server, "POST", `/v1/${TOPIC}:publish`, { messages: [...messages, ...messages.toReversed()] });
  await server.put("sentinel", "new"); // told behind all of them
  await shows(mount, "sentinel", "new");
  t.is(await textOf(mount, "f"), "three");
  t.deepEqual(
    (await asked(server)).filter((line) => !line.endsWith("sentinel")),
    [],
  );
  // And one that is wrong makes nothing vanish.
  await ask(server, "POST", `/v1/${TOPIC}:publish`, { messages: [message("OBJECT_DELETE", three)] });
  await until(async () => {
    t.is(await textOf(mount, "f"), "three");
    return (await asked(server)).includes("get f") ? true : undefined;
  });
});

eachChannel(
  "a change nobody told of shows when trust ends; a lost subscription is made anew",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--freshness", "2s", "--notifications", "auto"]);
    const subscription = await listening(mount);
    await server.put("f", "one");
    await server.age(HOUR_MS);
    t.is(await textOf(mount, "f"), "one");
    t.is((await ask(server, "DELETE", `/storage/v1/b/${BUCKET}/notificationConfigs/1`)).status, 204);
    await server.put("f", "two");
    await shows(mount, "f", "two");
    t.is((await ask(server, "DELETE", `/v1/${subscription}`)).status, 200);
    await listening(mount, 2);
    await mount.stop(); // nothing but messages can show what comes now
    await mount.start(AUTO);
    await listening(mount, 3);
    await server.age(2 * HOUR_MS);
    t.is(await textOf(mount, "f"), "two");
    await server.put("f", "three");
    await shows(mount, "f", "three");
    t.false(mount.lines.some(({ severity }) => severity === "WARNING" || severity === "ERROR"));
  },
);

eachChannel("what is done here is recognised, and costs no request more", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--sole-writer", "--notifications", "auto"]);
  await server.put("sentinel", "old");
  await listening(mount);
  t.is(await shell(mount, "ls; cat sentinel"), "sentinel\nold");
  await shell(
    mount,
    `mkdir d d/sub; echo one >d/a; echo two >d/a; echo b >d/b; mv d/b d/c; mv d/c d/a; echo x >d/gone; rm d/gone
     head -c 3M /dev/zero >d/log; echo end >>d/log; ln -s a d/link; chmod 640 d/a; mkdir from; echo x >from/x; mv from to`,
  );
  await until(async () =>
    (await asked(server)).some((line) => line.startsWith("patch")) ? true : undefined,
  );
  await server.put("sentinel", "new"); // told behind all of it
  await shows(mount, "sentinel", "new");
  await server.forgetRequests();
  t.is(
    await shell(mount, "ls -R . | grep -v sentinel; cat d/a to/x; stat -c %a d/a; readlink d/link"),
    ".:\nd\nto\n\n./d:\na\nlink\nlog\nsub\n\n./d/sub:\n\n./to:\nx\nb\nx\n640\na\n",
  );
  t.deepEqual(await asked(server), []);
});

eachChannel("the subscription goes with the mount", async (t, channel) => {
  const { server, mount } = await channel.session(t, AUTO);
  const subscription = await listening(mount);
  t.is((await ask(server, "GET", `/v1/${subscription}`)).status, 200);
  t.is(await mount.stop(), 0);
  t.is((await ask(server, "GET", `/v1/${subscription}`)).status, 404);
  t.is((await ask(server, "GET", `/v1/${TOPIC}`)).status, 200, "the topic is for all mounts");
});

eachChannel("a mount without its notifications goes on, and says so once", async (t, channel) => {
  const subscription = "projects/my-project/subscriptions/nobody-made-it";
  const { server, mount } = await channel.session(t, ["--notifications", subscription]);
  await writeFile(mount.path("f"), "text");
  t.is((await server.get("f"))?.toString(), "text");
  const complaints = () => mount.lines.filter(({ severity }) => severity === "WARNING");
  await until(() => complaints()[0]);
  await until(async () => {
    const pulls = (await server.requests()).filter(({ method }) => method.endsWith("pull"));
    return pulls.length >= 3 ? true : undefined;
  });
  t.is(complaints().length, 1);
  t.like(complaints()[0], {
    message: "no notifications of the bucket: changes made elsewhere show when trust ends",
  });
  t.regex(String(complaints()[0]?.["remedy"]), new RegExp(subscription));
  t.is(await mount.stop(), 0);
});

test.serial("device: what is served for reading is new at once, too", async (t) => {
  const { server, mount } = await servedSession(t, AUTO);
  await server.put("f", "old");
  await server.age(HOUR_MS);
  await listening(mount);
  const read = (): Promise<string> => readFile(mount.served("f"), "utf8");
  t.is(await read(), "old");
  await server.put("f", "new");
  await until(async () => ((await read()) === "new" ? true : undefined));
  t.is(await textOf(mount, "f"), "new");
});

test.serial(
  "device: on a hierarchical bucket changed objects show at once, and folders with them",
  async (t) => {
    const { server, mount } = await session(t, AUTO, { hierarchical: true });
    for (const name of ["d/f", "d/g"]) await server.put(name, "old");
    await server.age(HOUR_MS);
    await listening(mount);
    t.is(await shell(mount, "ls . d; cat d/f"), ".:\nd\n\nd:\nf\ng\nold");
    await server.put("d/f", "new");
    await shows(mount, "d/f", "new");
    await server.put("e/h", "h");
    await until(async () => ((await readdir(mount.path())).includes("e") ? true : undefined));
    for (const name of ["d/f", "d/g"]) await server.remove(name);
    await until(async () => ((await readdir(mount.path("d"))).length === 0 ? true : undefined));
    t.deepEqual((await readdir(mount.path())).sort(), ["d", "e"], "a folder stays when nothing is in it");
  },
);
