// How the bucket is asked about names: gets for known objects, lists for unknown names and folders, few of either.

import test from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { BucketServer } from "../helpers/bucket-server.ts";
import { type Mount, onEachChannel, shell } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test);

const HOUR_MS = 3_600_000;

/** What was asked since the log was last forgotten: the method, and what a list asked for. */
async function questions(server: BucketServer): Promise<string[]> {
  const asked = await server.requests();
  return asked.map(({ method, query }) => {
    const text =
      typeof query === "string" ? query : new URLSearchParams(query as Record<string, string>).toString();
    const words = new URLSearchParams(text);
    const said = ["prefix", "delimiter", "startOffset", "endOffset"]
      .filter((key) => (words.get(key) ?? "") !== "")
      .map((key) => `${key}=${words.get(key)}`);
    return [method.replace("storage.objects.", ""), ...said].join(" ");
  });
}

async function fill(server: BucketServer, names: readonly string[]): Promise<void> {
  for (let first = 0; first < names.length; first += 50) {
    await Promise.all(names.slice(first, first + 50).map((name) => server.put(name, "x")));
  }
  await server.age(HOUR_MS);
}

eachChannel(
  "RULES 35: an unknown name is asked for by one list that ends behind everything below it",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, ["d/name/below/deep", "d/name/file", "d/other"]);
    await shell(mount, "stat d/name/below/deep");
    t.deepEqual(
      await questions(server).then((all) => all.filter((words) => words.startsWith("list startOffset"))),
      ["list startOffset=d endOffset=d0"],
    );
  },
);

eachChannel(
  "RULES 35: a known name whose trust has ended is confirmed by a get, not by a list",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--freshness", "300ms"]);
    await fill(server, ["name", "other"]);
    await shell(mount, "ls -l");
    await delay(500);
    await server.forgetRequests();
    await shell(mount, "stat name");
    t.deepEqual(await questions(server), ["get"]);
  },
);

eachChannel(
  "RULES 35: a folder is listed by one page with everything below it, the rest by its own level only",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const below = Array.from({ length: 1200 }, (_, i) => `a/${String(i).padStart(4, "0")}`);
    const beside = Array.from({ length: 300 }, (_, i) => `b${String(i).padStart(3, "0")}`);
    await fill(server, [...below, ...beside, "c/one", "c/two"]);
    await server.forgetRequests();
    t.is(await shell(mount, "ls | wc -l"), "302\n");
    t.deepEqual(await questions(server), ["list", "list delimiter=/ startOffset=a0"]);
    await server.forgetRequests();
    t.is(await shell(mount, "ls a | wc -l; ls c"), "1200\none\ntwo\n");
    t.deepEqual(await questions(server), [
      "list prefix=a/",
      "list prefix=a/ delimiter=/ startOffset=a/0999",
      "list startOffset=c endOffset=c0", // as one question: whether it is still there, and what is in it
    ]);
  },
);

eachChannel("RULES 35: folders that a page showed completely are not listed again", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await fill(
    server,
    Array.from({ length: 400 }, (_, i) => `tree/${i % 20}/${i}`),
  );
  await server.forgetRequests();
  t.is(await shell(mount, "find tree -type f | wc -l"), "400\n");
  t.deepEqual(await questions(server), ["list startOffset=tree endOffset=tree0", "list prefix=tree/"]);
  await server.forgetRequests();
  await shell(mount, "ls -lR tree; du -s tree; find tree -name 7");
  t.deepEqual(await questions(server), []);
});

eachChannel(
  "a listing of 2,500 names is complete, each name once, also while others are made",
  async (t, channel) => {
    const server = await BucketServer.start(t);
    const [mount, other]: Mount[] = await Promise.all([
      channel.mounted(t, server),
      channel.mounted(t, server),
    ]);
    await fill(
      server,
      Array.from({ length: 2500 }, (_, i) => `n/${i}`),
    );
    const [listed] = await Promise.all([
      shell(mount as Mount, "ls -U n"),
      shell(other as Mount, "for i in $(seq 40); do echo x > n/new-$i; done"),
    ]);
    const names = listed.trim().split("\n");
    t.is(new Set(names).size, names.length);
    t.is(names.filter((name) => !name.startsWith("new-")).length, 2500);
  },
);
