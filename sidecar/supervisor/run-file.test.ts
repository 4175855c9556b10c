// Notes of users who are not root. Each is a process of its own; root, who runs the tests, makes the folders.

import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import test, { type ExecutionContext } from "ava";

import { until } from "./fixtures/start.ts";

const RUN_FILE = path.join(import.meta.dirname, "run-file.ts");
const DIRECTORY = "/somewhere";
const LIMIT_MS = 10_000;

/** Where the notes of a user may be; neither is there yet, and both go with the test. */
function places(t: ExecutionContext, uid: number) {
  const login = `/run/user/${uid}`;
  const temporary = `/tmp/sidemount-${uid}`;
  const remove = () =>
    [login, temporary].forEach((folder) => fs.rmSync(folder, { recursive: true, force: true }));
  remove();
  t.teardown(remove);
  const own = (folder: string) => {
    fs.mkdirSync(folder, { recursive: true });
    fs.chownSync(folder, uid, uid);
  };
  return {
    login,
    temporary,
    logIn: () => own(login),
    logOut: () => fs.rmSync(login, { recursive: true }),
    own,
  };
}

const asUser = (uid: number, script: string) =>
  [
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `import * as notes from ${JSON.stringify(RUN_FILE)};
    if (process.geteuid() === 0) { process.setgroups([]); process.setgid(${uid}); process.setuid(${uid}); }
    ${script}`,
    ],
  ] as const;

/** A process of this user's that has noted itself. It forgets its note and ends when its stdin does. */
async function supervisor(t: ExecutionContext, uid: number) {
  const script = `notes.noteSupervisor("${DIRECTORY}"); console.log("noted");
    process.stdin.resume().on("end", () => { notes.forgetSupervisor("${DIRECTORY}"); process.exit(); });`;
  const child = spawn(...asUser(uid, script), { stdio: ["pipe", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await until(() => said.includes("noted"));
  return child;
}

/** Whom this user finds. */
function found(uid: number): string {
  const script = `console.log(notes.livingSupervisor("${DIRECTORY}"))`;
  const { stdout, error } = spawnSync(...asUser(uid, script), { encoding: "utf8", timeout: LIMIT_MS });
  return error === undefined ? stdout.trim() : error.message;
}

test("a supervisor is found, and its note forgotten, when the user logs in while it runs", async (t) => {
  const uid = 61_201;
  const { logIn, temporary } = places(t, uid);
  const child = await supervisor(t, uid);
  logIn();
  t.is(found(uid), String(child.pid));
  child.stdin.end();
  await until(() => child.exitCode !== null);
  t.deepEqual(fs.readdirSync(temporary), []);
});

test("a supervisor is found when the user was logged in before, and the older note counts for nothing", async (t) => {
  const uid = 61_202;
  const { logIn, logOut, login, temporary, own } = places(t, uid);
  logIn();
  const dead = await supervisor(t, uid);
  t.is(fs.readdirSync(`${login}/sidemount`).length, 1, "the preferred place");
  dead.kill("SIGKILL");
  await until(() => dead.signalCode !== null);
  fs.renameSync(`${login}/sidemount`, `${login}/kept`);
  logOut();
  const child = await supervisor(t, uid);
  logIn();
  own(`${login}/sidemount`);
  const [name = ""] = fs.readdirSync(temporary);
  const stale = JSON.stringify({ directory: DIRECTORY, pid: dead.pid, startTime: "1" });
  fs.writeFileSync(`${login}/sidemount/${name}`, stale);
  fs.chownSync(`${login}/sidemount/${name}`, uid, uid);
  t.is(found(uid), String(child.pid));
});

test("what is not a note of the user's is not read: a pipe, a link, somebody else's file, a long one", async (t) => {
  const uid = 61_203;
  const { temporary } = places(t, uid);
  const child = await supervisor(t, uid);
  const [name = ""] = fs.readdirSync(temporary);
  const note = path.join(temporary, name);
  const kept = path.join(temporary, "kept");
  t.is(found(uid), String(child.pid));
  fs.renameSync(note, kept);
  fs.symlinkSync(kept, note);
  t.is(found(uid), "undefined", "a link");
  fs.rmSync(note);
  spawnSync("mkfifo", ["-m", "666", note]);
  t.is(found(uid), "undefined", "a pipe");
  fs.rmSync(note);
  fs.copyFileSync(kept, note);
  t.is(found(uid), "undefined", "root's");
  fs.chownSync(note, uid, uid);
  t.is(found(uid), String(child.pid));
  fs.appendFileSync(note, " ".repeat(20_000));
  t.is(found(uid), "undefined", "a long one");
});
