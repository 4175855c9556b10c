// The command line as a person uses it: a real server, a real mount, and every start that cannot work.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import test, { type ExecutionContext } from "ava";

import { startProcess, type Running } from "../../cli/fixtures/session.ts";

const main = fileURLToPath(new URL("../../main.ts", import.meta.url));

interface Place {
  readonly folder: string;
  readonly mountPoint: string;
  /** Runs `sidemount WORDS`, against this place's server and with its state. */
  readonly run: (words: string[], wrapper?: string[]) => Running;
}

/** A server with the bucket `my-uploads`, an empty folder to mount on and a place for state. */
async function place(t: ExecutionContext): Promise<Place> {
  const folder = mkdtempSync(path.join(tmpdir(), "sidemount-command-line-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const mountPoint = path.join(folder, "uploads");
  mkdirSync(mountPoint);
  const command = [process.execPath, main];
  const words = ["local-gcs", path.join(folder, "buckets"), "--bucket", "my-uploads", "--port", "0"];
  const server = startProcess(t, [...command, ...words]);
  await server.shows("is listening");
  const endpoint = /"url":"([^"]+)"/.exec(server.said().stdout)![1]!;
  const environment = { STORAGE_EMULATOR_HOST: endpoint, SIDEMOUNT_STATE_DIR: path.join(folder, "state") };
  return {
    folder,
    mountPoint,
    run: (typed, wrapper = []) => startProcess(t, [...wrapper, ...command, ...typed], environment),
  };
}

function isMounted(mountPoint: string): boolean {
  return readFileSync("/proc/self/mounts", "utf8").includes(` ${mountPoint} `);
}

test("exec: the command finds the folder live, and what it wrote is in the bucket afterwards", async (t) => {
  const { mountPoint, run } = await place(t);
  const script = `echo hello > "${mountPoint}/a.txt"; cat "${mountPoint}/a.txt"; exit 3`;
  const first = await run(["exec", "my-uploads", mountPoint, "--", "sh", "-c", script]).outcome;
  t.is(first.code, 3);
  t.is(first.stdout, "hello\n", "stdout belongs to the command");
  t.false(isMounted(mountPoint));
  const second = await run(["exec", "my-uploads", mountPoint, "--", "cat", `${mountPoint}/a.txt`]).outcome;
  t.like(second, { code: 0, stdout: "hello\n" });
});

test("exec in the mount point itself runs the command in the mounted folder", async (t) => {
  const { mountPoint, run } = await place(t);
  const inFolder = ["sh", "-c", 'cd "$0" && exec "$@"', mountPoint];
  const write = ["exec", "my-uploads", ".", "--", "sh", "-c", "echo here > b.txt; ls"];
  t.like(await run(write, inFolder).outcome, { code: 0, stdout: "b.txt\n" });
});

test("exec: SIGTERM reaches the command, then the folder goes", async (t) => {
  const { mountPoint, run } = await place(t);
  const script = `trap 'echo bye > "${mountPoint}/c.txt"; exit 4' TERM; echo up; while :; do sleep 0.05; done`;
  const running = run(["exec", "my-uploads", mountPoint, "--", "sh", "-c", script]);
  await running.shows("up\n");
  running.process.kill("SIGTERM");
  t.is((await running.outcome).code, 4);
  t.false(isMounted(mountPoint));
  const after = await run(["exec", "my-uploads", mountPoint, "--", "cat", `${mountPoint}/c.txt`]).outcome;
  t.is(after.stdout, "bye\n");
});

test("exec: a command whose mount is lost is stopped, and that is a failure", async (t) => {
  const { mountPoint, run } = await place(t);
  const running = run([
    "exec",
    "my-uploads",
    mountPoint,
    "--",
    "sh",
    "-c",
    "echo up; while :; do sleep 0.05; done",
  ]);
  await running.shows("up\n");
  // One that is killed is followed by another, until that, too, dies before it serves.
  const task = `/proc/${running.process.pid}/task/${running.process.pid}/children`;
  const killing = setInterval(() => {
    for (const pid of readFileSync(task, "utf8").split(" ").filter(Boolean))
      if (commandLine(pid).includes("sidemount worker")) process.kill(Number(pid), "SIGKILL");
  }, 5);
  t.teardown(() => clearInterval(killing));
  await running.shows("the mount was lost");
  clearInterval(killing);
  const { code, stderr } = await running.outcome;
  t.not(code, 0);
  t.true(stderr.includes("the mount was lost"));
  t.throws(() => writeFileSync(`${mountPoint}/lost`, "x"), { code: "EROFS" });
  t.is((await run(["unmount", mountPoint]).outcome).code, 0);
  t.false(isMounted(mountPoint));
});

test("mount and unmount: one ends the other, in good order", async (t) => {
  const { mountPoint, run } = await place(t);
  const mounted = run(["mount", "my-uploads", mountPoint]);
  await mounted.shows('"message":"mounted"');
  const { code, stdout } = await run(["unmount", mountPoint]).outcome;
  t.is(code, 0);
  t.is(stdout, `Unmounted ${mountPoint}.\n`);
  t.is((await mounted.outcome).code, 0);
  t.false(isMounted(mountPoint));
  const again = await run(["unmount", mountPoint]).outcome;
  t.is(again.code, 1);
  t.regex(again.stderr, /Nothing is mounted at/);
});

test("a mount that died is cleaned up by the next start, which says so", async (t) => {
  const { mountPoint, run } = await place(t);
  const mounted = run(["mount", "my-uploads", mountPoint]);
  await mounted.shows('"message":"mounted"');
  const pid = mounted.process.pid!;
  const [worker] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  process.kill(pid, "SIGKILL");
  process.kill(Number(worker), "SIGKILL");
  await mounted.outcome;
  t.true(isMounted(mountPoint));
  const next = await run(["exec", "my-uploads", mountPoint, "--", "ls", mountPoint]).outcome;
  t.is(next.code, 0);
  t.regex(next.stderr, /"WARNING".*dead mount/);
  t.false(isMounted(mountPoint));
});

test("a start that cannot work says why and what to do, and mounts nothing", async (t) => {
  const { folder, mountPoint, run } = await place(t);
  const full = path.join(folder, "full");
  mkdirSync(full);
  writeFileSync(path.join(full, "mine.txt"), "mine");
  const withoutDevice =
    'mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9 && exec "$@"';
  // Not root, but able to read the project wherever it lies.
  const reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
  const someoneElse = ["setpriv", "--reuid=65534", "--clear-groups", ...reading];
  const powerless = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
  const starts: [string, string[], RegExp, string[]?][] = [
    ["unknown bucket", ["no-such-bucket", mountPoint], /Bucket no-such-bucket does not exist[^]*create it/],
    ["no folder", ["my-uploads", `${mountPoint}/none`], /does not exist.\n +Create it: mkdir -p/],
    ["not empty", ["my-uploads", full], /is not empty[^]*"mine.txt"[^]*Choose an empty folder/],
    ["a file", ["my-uploads", path.join(full, "mine.txt")], /is not a folder/],
    ["another mount", ["my-uploads", "/proc"], /is already a mount point \(proc/],
    [
      "no server",
      ["my-uploads", mountPoint, "--endpoint", "http://127.0.0.1:9"],
      /cannot be reached[^]*running there/,
    ],
    [
      "not root",
      ["my-uploads", mountPoint, "--channel", "device"],
      /Only root can mount[^]*--channel native/,
      someoneElse,
    ],
    ["no permission", ["my-uploads", mountPoint], /not permitted here[^]*--cap-add SYS_ADMIN/, powerless],
    [
      "no device",
      ["my-uploads", mountPoint],
      /no \/dev\/fuse here[^]*--device/,
      ["unshare", "-m", "sh", "-c", withoutDevice, "sh"],
    ],
  ];
  for (const [what, words, said, wrapper] of starts) {
    const { code, stderr } = await run(["mount", ...words], wrapper).outcome;
    t.is(code, 1, what);
    t.regex(stderr, said, what);
    t.notRegex(stderr, /^\s+at /m, what);
  }
  t.false(isMounted(mountPoint));
  t.is(readFileSync(path.join(full, "mine.txt"), "utf8"), "mine");
});

test("a folder that is mounted, and state that is in use, are not taken twice", async (t) => {
  const { folder, mountPoint, run } = await place(t);
  const mounted = run(["mount", "my-uploads", mountPoint]);
  await mounted.shows('"message":"mounted"');
  const again = await run(["mount", "my-uploads", mountPoint]).outcome;
  t.regex(again.stderr, /is already mounted by process \d+\.\n +Stop it first: sidemount unmount/);
  const other = path.join(folder, "other");
  mkdirSync(other);
  const shared = await run(["mount", "my-uploads", other]).outcome;
  t.regex(shared.stderr, /state folder .* is in use by process \d+[^]*--state-dir/);
  t.deepEqual([again.code, shared.code], [1, 1]);
  mounted.process.kill("SIGINT");
  t.is((await mounted.outcome).code, 0);
});

function commandLine(pid: string): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}
