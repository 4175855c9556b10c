import test, { type ExecutionContext } from "ava";
import { once } from "node:events";
import fs from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import { createLog } from "../telemetry/log.ts";
import { connectControl, NoAnswer } from "./client.ts";
import { ANSWER_MAX_BYTES, ControlError, encodeQuestion, REQUEST_MAX_BYTES } from "./protocol.ts";
import { ControlServer, type Answering } from "./server.ts";

const log = createLog("silent");
const echo: Answering = (ask, parameters) => Promise.resolve({ ask, ...parameters });

async function place(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "sidemount-control-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, "socket");
}

async function listening(t: ExecutionContext, answering: Answering = echo): Promise<string> {
  const at = await place(t);
  const server = await ControlServer.listen(at, answering, log);
  t.teardown(() => server.close());
  return at;
}

async function connected(t: ExecutionContext, at: string): Promise<Socket> {
  const socket = createConnection({ path: at });
  t.teardown(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

test("questions are answered in order, also those of several clients", async (t) => {
  const at = await listening(t);
  const clients = await Promise.all([1, 2, 3].map(() => connectControl([at], 0)));
  for (const [i, client] of clients.entries()) {
    t.deepEqual(await client.ask("status", { i }), { ask: "status", i });
    t.deepEqual(await client.ask("pending"), { ask: "pending" });
    await client.close();
  }
});

test("numbers of 64 bits come as text", async (t) => {
  const at = await listening(t, () => Promise.resolve({ generation: 2n ** 60n }));
  const client = await connectControl([at], 0);
  t.deepEqual(await client.ask("x"), { generation: String(2n ** 60n) });
  await client.close();
});

test("what cannot be done is said in words, with a remedy where there is one", async (t) => {
  const at = await listening(t, (ask) =>
    Promise.reject(ask === "known" ? new ControlError("not now", "Try later.") : new Error("broken")),
  );
  const client = await connectControl([at], 0);
  const known = await t.throwsAsync(client.ask("known"), { instanceOf: ControlError, message: "not now" });
  t.is(known?.remedy, "Try later.");
  await t.throwsAsync(client.ask("other"), { message: "broken" });
  await client.close();
});

test("nobody but the user may use the socket", async (t) => {
  const at = await listening(t);
  t.is(fs.statSync(at).mode & 0o777, 0o600);
});

test("a client that does not read, or does not finish a line, holds up nobody", async (t) => {
  const big = "x".repeat(ANSWER_MAX_BYTES / 2);
  const at = await listening(t, (ask) => Promise.resolve(ask === "big" ? { big } : { ask }));
  const slow = await connected(t, at);
  slow.pause();
  for (let i = 0; i < 20; i += 1) slow.write(encodeQuestion(i, "big", {}));
  (await connected(t, at)).write('{"version":1,');
  const client = await connectControl([at], 0);
  for (let i = 0; i < 10; i += 1) t.deepEqual(await client.ask("quick"), { ask: "quick" });
  await client.close();
});

test("a client whose question takes long holds up nobody, and what it used is cleaned up after it has gone", async (t) => {
  const release = Promise.withResolvers<void>();
  const cleaned = Promise.withResolvers<void>();
  const at = await listening(t, async (ask, _, session) => {
    if (ask === "long") {
      session.atEnd(() => Promise.resolve(cleaned.resolve()));
      await release.promise;
    }
    return { ask };
  });
  const [one, other] = [await connectControl([at], 0), await connectControl([at], 0)];
  const long = one.ask("long");
  t.deepEqual(await other.ask("quick"), { ask: "quick" });
  release.resolve();
  await long;
  await one.close();
  await cleaned.promise;
  await other.close();
});

test("lines that are too long, no JSON, or of another version are answered with what is the matter", async (t) => {
  const at = await listening(t);
  for (const [line, words] of [
    [`{"version":1,"id":1,"ask":"${"x".repeat(REQUEST_MAX_BYTES)}"}\n`, /longer than 65536 bytes/],
    ["hello\n", /not a line of JSON/],
    ['{"version":1,"id":"one","ask":"x"}\n', /not a question/],
    ['{"version":7,"id":1,"ask":"status"}\n', /another version of sidemount \(it speaks 1, not 7\)/],
  ] as const) {
    const socket = await connected(t, at);
    socket.write(line);
    const [chunk] = (await once(socket, "data")) as [Buffer];
    t.regex(chunk.toString(), words);
  }
});

test("an answer that is too long becomes an error, and the client is served further", async (t) => {
  const at = await listening(t, (ask) =>
    Promise.resolve(ask === "big" ? { x: "x".repeat(ANSWER_MAX_BYTES) } : {}),
  );
  const client = await connectControl([at], 0);
  await t.throwsAsync(client.ask("big"), { message: /too long/ });
  t.deepEqual(await client.ask("small"), {});
  await client.close();
});

test("more clients than there is room for are sent away in words", async (t) => {
  const at = await listening(t);
  const many = await Promise.all(Array.from({ length: 32 }, () => connectControl([at], 0)));
  for (const each of many) await each.ask("here"); // each has been welcomed
  const surplus = await connectControl([at], 0);
  await t.throwsAsync(surplus.ask("status"), { message: /too many clients/ });
  await many[0]?.close();
  for (let tries = 0; ; tries += 1) {
    const again = await connectControl([at], 0);
    const welcome = await again.ask("status").then(
      () => true,
      () => false,
    );
    await again.close();
    if (welcome) break;
    t.true(tries < 200, "there is room again");
  }
  for (const each of many) await each.close();
});

test("what a killed process left is replaced, a file of somebody else's is not", async (t) => {
  const at = await place(t);
  const dead = createServer();
  dead.listen(at);
  await once(dead, "listening");
  fs.linkSync(at, `${at}-kept`);
  dead.close();
  await once(dead, "close");
  fs.renameSync(`${at}-kept`, at); // a socket nobody listens on
  await t.throwsAsync(connectControl([at], 0), { instanceOf: NoAnswer });
  const server = await ControlServer.listen(at, echo, log);
  const client = await connectControl([at], 0);
  t.deepEqual(await client.ask("x"), { ask: "x" });
  await client.close();
  await server.close();
  t.false(fs.existsSync(at));
  fs.writeFileSync(at, "a file");
  await t.throwsAsync(ControlServer.listen(at, echo, log), { message: /is in the way/ });
  t.is(fs.readFileSync(at, "utf8"), "a file");
});

test("a path that no socket can have is refused with a sentence", async (t) => {
  const at = path.join(os.tmpdir(), "x".repeat(100), "socket");
  await t.throwsAsync(ControlServer.listen(at, echo, log), { message: /longer than 107 bytes/ });
});

test("one who asks while the process is being replaced waits for the next one", async (t) => {
  const at = await place(t);
  const connecting = connectControl([`${at}-of-nobody`, at], 20_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const server = await ControlServer.listen(at, echo, log);
  t.teardown(() => server.close());
  const client = await connecting;
  t.deepEqual(await client.ask("x"), { ask: "x" });
  const asking = client.ask("y");
  await server.close();
  await asking.catch(() => undefined); // answered before, or not at all
  await t.throwsAsync(client.ask("z"), { instanceOf: NoAnswer });
});
