// nginx on the serve mount, while the app changes files on the other: what is asked is answered as it is now, and whole.

import test, { type ExecutionContext } from "ava";
import { createHash, randomBytes, randomInt } from "node:crypto";
import fs from "node:fs/promises";
import { Agent, get, type IncomingHttpHeaders } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { python, servedSession, type Mount } from "../helpers/mounted.ts";
import { startWebServer, type WebServer } from "../helpers/web-server.ts";

const HOUR_MS = 3_600_000;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A client that keeps its connection; an answer that ends early is an error. */
function client(t: ExecutionContext, server: WebServer): (path: string, headers?: object) => Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  return (path, headers = {}) =>
    new Promise((resolve, reject) => {
      get(server.url + path, { agent, headers: { ...headers } }, (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece));
        response.once("error", reject);
        response.once("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(pieces),
          }),
        );
      }).once("error", reject);
    });
}

/** The requests of the mount's kernels, by opcode: the app's and the serve mount's. Stops the mount. */
async function requestsOf(
  mount: Mount,
): Promise<{ app: Record<string, number>; serve: Record<string, number> }> {
  await mount.stop();
  const asked = mount.lines.filter(({ message }) => message === "what the kernel asked");
  const of = (name: string | undefined) =>
    (asked.find((line) => line["mount"] === name)?.["requests"] ?? {}) as Record<string, number>;
  return { app: of(undefined), serve: of("serve") };
}

test.serial("1,000 changes are each followed at once by the new state: never 404, never a mix", async (t) => {
  const { mount } = await servedSession(t);
  const server = await startWebServer(t, { uploads: mount.serveDirectory });
  const ask = client(t, server);
  let changes = 0;
  const shows = async (name: string, content: Buffer, before?: string): Promise<string> => {
    changes += 1;
    const answer = await ask(`/uploads/${name}`, before === undefined ? {} : { "if-none-match": before });
    t.is(answer.status, 200, `${name} after change ${changes}`);
    t.true(answer.body.equals(content), `${name} after change ${changes}`);
    return answer.headers.etag ?? "";
  };
  for (let round = 0; round < 143; round += 1) {
    const name = `${round % 7}/a picture ${round % 11}.png`;
    const address = encodeURI(name);
    await fs.mkdir(mount.path(String(round % 7)), { recursive: true });
    const size = randomInt(1, 30_000);
    const first = randomBytes(size);
    await fs.writeFile(mount.path(name), first);
    let tag = await shows(address, first);
    const longer = randomBytes(size + 1 + randomInt(10_000));
    await fs.writeFile(mount.path(name), longer);
    tag = await shows(address, longer, tag);
    const shorter = randomBytes(size);
    await fs.writeFile(mount.path(name), shorter);
    tag = await shows(address, shorter, tag);
    for (let again = 0; again < 2; again += 1) {
      // As long, within the same second: nginx tells versions apart by these two (RULES 15).
      const other = randomBytes(size);
      await fs.writeFile(mount.path(name), other);
      tag = await shows(address, other, tag);
      if (again === 1) {
        await fs.rename(mount.path(name), mount.path(`renamed ${round}`));
        await shows(`renamed%20${round}`, other);
        t.is((await ask(`/uploads/${address}`)).status, 404);
      }
    }
    await fs.rm(mount.path(`renamed ${round}`));
    changes += 1;
    t.is((await ask(`/uploads/renamed%20${round}`)).status, 404);
  }
  t.true(changes >= 1000, `${changes} changes`);
  t.notRegex(server.said(), /\[(crit|alert|emerg)\]/);
});

/** A program that overwrites one file again and again; every version carries its own checksum. */
const OVERWRITE = `
import hashlib, os, random, time
def version(n):
    body = b"%d\\n" % n + os.urandom(random.randrange(300_000))
    return body + hashlib.sha256(body).digest()
end = time.monotonic() + SECONDS
n = 0
while time.monotonic() < end:
    n += 1
    with open("f", "wb") as f: f.write(version(n))
print(n)`;

function whichVersion(body: Buffer): number | undefined {
  const content = body.subarray(0, Math.max(0, body.length - 32));
  const whole = createHash("sha256").update(content).digest().equals(body.subarray(content.length));
  return whole ? Number(content.subarray(0, content.indexOf("\n")).toString()) : undefined;
}

for (const openFileCache of [false, true]) {
  const title = openFileCache ? ", also with open_file_cache" : "";
  test.serial(
    `while a file is overwritten again and again every answer is one whole version${title}`,
    async (t) => {
      const { mount } = await servedSession(t);
      const server = await startWebServer(t, { uploads: mount.serveDirectory, openFileCache });
      let done = false;
      const writing = python(mount, OVERWRITE.replace("SECONDS", "10")).finally(() => (done = true));
      while (!(await fs.stat(mount.served("f")).catch(() => undefined))) await delay(10);
      const seen = new Set<number>();
      let answers = 0;
      const readers = Array.from({ length: 4 }, async () => {
        const ask = client(t, server);
        while (!done) {
          const { status, body } = await ask("/uploads/f");
          const version = whichVersion(body);
          t.is(status, 200);
          t.not(version, undefined, `an answer of ${body.length} bytes is no version`);
          seen.add(version ?? 0);
          answers += 1;
        }
      });
      await Promise.all([...readers, writing]);
      t.log(`${answers} answers, ${seen.size} of ${(await writing).trim()} versions`);
      t.true(answers > 100 && seen.size > 5);
      t.notRegex(server.said(), /\[(crit|alert|emerg)\]/);
    },
  );
}

test.serial("with open_file_cache a change is seen after its valid time at the latest", async (t) => {
  const { mount } = await servedSession(t);
  const server = await startWebServer(t, { uploads: mount.serveDirectory, openFileCache: true });
  const ask = client(t, server);
  for (const [round, content] of ["first", "longer than it", "same as it was"].entries()) {
    await fs.writeFile(mount.path("f"), content);
    if (round > 0) await delay(1300); // open_file_cache_valid 1s
    t.is((await ask("/uploads/f")).body.toString(), content);
  }
  await fs.rm(mount.path("f"));
  await delay(1300);
  t.is((await ask("/uploads/f")).status, 404);
});

for (const openFileCache of [false, true]) {
  const title = openFileCache ? ", also with open_file_cache" : "";
  test.serial(
    `a file replaced elsewhere by one as long is shown with its own bytes, ETag and time, within a tenth of its age${title}`,
    async (t) => {
      const { server: bucket, mount } = await servedSession(t);
      const server = await startWebServer(t, {
        uploads: mount.serveDirectory,
        folders: { direct: mount.directory },
        openFileCache,
      });
      const versions = [randomBytes(200_000), randomBytes(200_000), randomBytes(200_000)];
      const follow = async (face: string): Promise<void> => {
        const ask = client(t, server);
        const tags: string[] = [];
        const times: string[] = [];
        for (const [round, content] of versions.entries()) {
          await bucket.put(face, content);
          // A tenth of at most 5 s, and open_file_cache_valid; this machine may be slow.
          const endMs = Date.now() + 500 + (openFileCache ? 1000 : 0) + 1500;
          for (;;) {
            const { status, headers, body } = await ask(`/${face}/${face}`);
            if (round === 0 && status === 404 && Date.now() < endMs) continue; // asked for before it was there
            t.is(status, 200);
            const shown = versions.findIndex((each) => each.equals(body));
            t.true(shown >= 0, "one whole version");
            if (shown < round) t.is(headers.etag, tags[shown], "the old bytes have the old ETag");
            if (shown < round && Date.now() < endMs) continue;
            t.is(shown, round, `${face}: the new version in time`);
            tags.push(headers.etag ?? "");
            times.push(headers["last-modified"] ?? "");
            break;
          }
          const again = await ask(`/${face}/${face}`, { "if-none-match": tags.at(-1) });
          t.is(again.status, 304);
          if (round > 0) {
            const old = await ask(`/${face}/${face}`, { "if-none-match": tags[round - 1] });
            t.true(old.status === 200 && old.body.equals(content), "who has the old one gets the new one");
          }
          await delay(1200); // another second: nginx tells versions apart by it
        }
        t.is(new Set(tags).size, 3);
        t.is(new Set(times).size, 3);
      };
      await Promise.all(["uploads", "direct"].map(follow));
      t.notRegex(server.said(), /\[(crit|alert|emerg)\]/);
    },
  );
}

test.serial(
  "a warm file costs the serve mount no message, and the app's mount neither GETATTR nor FLUSH",
  async (t) => {
    const { server: bucket, mount } = await servedSession(t, ["--log-level", "debug"]);
    await fs.writeFile(mount.path("f"), randomBytes(100_000));
    await bucket.age(HOUR_MS);
    await delay(200);
    const server = await startWebServer(t, {
      uploads: mount.serveDirectory,
      folders: { direct: mount.directory },
    });
    const ask = client(t, server);
    const rounds = 1000;
    for (let round = 0; round < rounds; round += 1) {
      for (const face of ["uploads", "direct"]) t.is((await ask(`/${face}/f`)).body.length, 100_000);
    }
    const { app, serve } = await requestsOf(mount);
    t.log(JSON.stringify({ app, serve }));
    // Some at the beginning, and once a second for the attributes of the folder.
    const few = 30;
    t.true(Object.values(serve).reduce((sum, count) => sum + count, 0) < few);
    t.is(serve["OPEN"], 1, "refused once, never sent again");
    t.true((app["OPEN"] ?? 0) >= rounds);
    t.true((app["GETATTR"] ?? 0) < few && (app["FLUSH"] ?? 0) < few && (app["LOOKUP"] ?? 0) < few);
  },
);

test.serial("a cold page of 50 listed images is one request each, six of them at a time", async (t) => {
  const latencyMs = 300;
  const { server: bucket, mount } = await servedSession(t);
  const images = Array.from({ length: 50 }, (_, index) => ({
    name: `page/${String(index).padStart(2, "0")}.jpg`,
    content: randomBytes(20_000 + index * 1000),
  }));
  for (const { name, content } of images) await bucket.put(name, content);
  await bucket.age(HOUR_MS);
  t.is((await fs.readdir(mount.served("page"))).length, 50);
  const server = await startWebServer(t, { uploads: mount.serveDirectory });
  await bucket.latency(latencyMs);
  await bucket.forgetRequests();
  const waiting = [...images];
  const browser = Array.from({ length: 6 }, async () => {
    const ask = client(t, server);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { status, body } = await ask(`/uploads/${next.name}`);
      t.is(status, 200);
      t.true(body.equals(next.content), next.name);
    }
  });
  const begin = performance.now();
  await Promise.all(browser);
  const tookMs = performance.now() - begin;
  const requests = await bucket.requests();
  t.log(`${requests.length} requests in ${tookMs.toFixed(0)} ms with ${latencyMs} ms each`);
  t.deepEqual(
    requests.map(({ method }) => method),
    images.map(() => "storage.objects.get"),
  );
  t.is(new Set(requests.map(({ object }) => object)).size, 50);
  const arrivals = requests.map(({ atMs }) => atMs);
  const together = Math.max(
    ...arrivals.map((at) => arrivals.filter((other) => other >= at && other < at + latencyMs).length),
  );
  t.is(together, 6, "in flight at once");
});
