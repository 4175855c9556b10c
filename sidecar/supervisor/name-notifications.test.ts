import test from "ava";
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

import { createLog } from "../telemetry/log.ts";
import { NameNotifications } from "./name-notifications.ts";

test("where the kernel gives no device of its own, whoever asks is told to write by himself, and the log says so once", async (t) => {
  const device = fs.openSync("/dev/null", "r+"); // none that could be cloned
  t.teardown(() => fs.closeSync(device));
  const lines: string[] = [];
  const notifications = new NameNotifications(
    [device],
    createLog("info", { write: (line) => lines.push(line) }),
  );
  const write = (): Promise<string | undefined> =>
    new Promise((resolve) => notifications.write(0, Buffer.from("name"), resolve));
  t.deepEqual(await Promise.all([write(), write(), write(), write()]), ["EPIPE", "EPIPE", "EPIPE", "EPIPE"]);
  t.is(await write(), "EPIPE");
  t.is(lines.filter((line) => line.includes("the worker has to notify the kernel")).length, 1, lines.join());
  t.true(fs.fstatSync(device).isCharacterDevice(), "what it was given is still open");
  await notifications.end(1000);
});

test("a thread that has not even started when the mount ends is no reason for a warning", async (t) => {
  const device = fs.openSync("/dev/null", "r+");
  const lines: string[] = [];
  const notifications = new NameNotifications(
    [device],
    createLog("info", { write: (line) => lines.push(line) }),
  );
  notifications.prepare();
  fs.closeSync(device);
  await notifications.end(10_000);
  await delay(500);
  t.deepEqual(lines, []);
});
