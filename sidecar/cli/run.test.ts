import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import test from "ava";

import { start, startProcess } from "./fixtures/session.ts";

const shim = fileURLToPath(new URL("../bin/sidemount.mjs", import.meta.url));

test("help teaches: what it is, examples, how to start without an account", async (t) => {
  const { code, stdout } = await start(t, ["--help"]).outcome;
  t.is(code, 0);
  for (const words of [
    "mount",
    "exec",
    "local-gcs",
    "status",
    "pending",
    "unmount",
    "gcloud auth",
    "--endpoint",
  ]) {
    t.true(stdout.includes(words), words);
  }
  t.false(stdout.includes("worker"), "what is started by itself is not offered");
});

test("help of a command names the environment, the defaults and the exit codes", async (t) => {
  const { code, stdout } = await start(t, ["mount", "--help"]).outcome;
  t.is(code, 0);
  for (const words of [
    "SIDEMOUNT_CACHE_SIZE",
    "10GiB",
    "GCS_BUCKET",
    "Exit codes",
    "75",
    "--no-allow-other",
  ]) {
    t.true(stdout.includes(words), words);
  }
  for (const later of ["--http"]) t.false(stdout.includes(later), later);
});

test("no words at all show the help and are a mistake", async (t) => {
  const { code, stdout } = await start(t, []).outcome;
  t.is(code, 2);
  t.true(stdout.includes("Usage: sidemount"));
});

test("the version is that of the package", async (t) => {
  const { code, stdout } = await start(t, ["--version"]).outcome;
  t.is(code, 0);
  t.regex(stdout, /^\d+\.\d+\.\d+\n$/);
});

const mistakes: [string, string[], RegExp][] = [
  [
    "an unknown option is refused with a suggestion",
    ["mount", "b-1", "d", "--cach-size", "1G"],
    /Did you mean --cache-size/,
  ],
  ["an unknown command is refused with a suggestion", ["mont", "b-1", "d"], /Did you mean mount/],
  ["an option without its value is refused", ["mount", "b-1", "d", "--cache-size"], /--cache-size.*missing/],
  [
    "a wrong size is refused with an example",
    ["mount", "b-1", "d", "--cache-size", "10"],
    /--cache-size is "10".\n.*512MiB/,
  ],
  ["a missing folder is asked for", ["mount", "b-1"], /folder to mount on is missing/],
  ["a placeholder is not a bucket", ["mount", "REPLACE-WITH-YOUR-GCS-BUCKET-NAME", "d"], /is a placeholder/],
  [
    "what only the device channel can do is refused with the native one",
    ["mount", "b-1", "d", "--channel", "native", "--passthrough", "on"],
    /--passthrough on cannot be had with --channel native/,
  ],
  [
    "exec without a command says where it goes",
    ["exec", "b-1", "d"],
    /behind two dashes.*exec b-1 d -- COMMAND/,
  ],
  [
    "exec with a command in the wrong place says where it goes",
    ["exec", "b-1", "d", "ls"],
    /no command to run/,
  ],
  ["one thing at a time is done with kept bytes", ["pending", "d", "--retry", "--wait"], /Only one thing/],
  ["what to discard is asked for", ["pending", "d", "--discard"], /--discard wants to know what.*\n.*--all/],
  ["--replace alone means nothing", ["pending", "d", "--replace"], /--replace says what --retry may do/],
  [
    "a wrong time to wait is refused with an example",
    ["pending", "d", "--wait", "--timeout", "soon"],
    /--timeout is "soon".\n.*10s/,
  ],
  ["a port is a number", ["local-gcs", "d", "--port", "http"], /--port is "http"/],
  ["unmount needs a folder", ["unmount"], /issing required argument .DIR./],
];
for (const [title, words, said] of mistakes) {
  test(`${title} (exit code 2)`, async (t) => {
    const { code, stderr } = await start(t, words).outcome;
    t.is(code, 2);
    t.regex(stderr, said);
    t.true(stderr.startsWith("sidemount: "));
    t.notRegex(stderr, /^\s+at /m);
  });
}

test("what a mount is told comes from flags, -o and the environment together", async (t) => {
  const words = [
    "mount",
    "-o",
    "ro,uid=12",
    "/srv/x",
    "--no-allow-other",
    "--cache-size",
    "1G",
    "-o",
    "gid=13",
  ];
  const environment = { GCS_BUCKET: "my-uploads", SIDEMOUNT_FRESHNESS: "5s" };
  const running = start(t, words, {}, environment);
  await running.shows('"message":"mounted"');
  running.process.kill("SIGTERM");
  const { stderr } = await running.outcome;
  t.like(JSON.parse(/options (.*)/.exec(stderr)![1]!), {
    bucket: "my-uploads",
    directory: "/srv/x",
    readOnly: true,
    allowOther: false,
    uid: 12,
    gid: 13,
    cacheSizeBytes: 1024 ** 3,
    freshnessMs: 5000,
  });
});

test("mount logs JSON on stdout, ends in order on SIGTERM and exits with what the mount says", async (t) => {
  for (const exitCode of [0, 75]) {
    const running = start(t, ["mount", "my-uploads", "/srv/x"], { exitCode });
    await running.shows('"message":"mounted"');
    running.process.kill("SIGTERM");
    const { code, stdout, stderr } = await running.outcome;
    t.is(code, exitCode);
    t.true(stderr.includes("pretended: unmounted"));
    for (const line of stdout.trim().split("\n")) t.like(JSON.parse(line), { severity: "INFO" });
  }
});

test("a mount that is refused says why and what to do", async (t) => {
  const { code, stderr } = await start(t, ["mount", "my-uploads", "/srv/x"], { refused: true }).outcome;
  t.is(code, 1);
  t.regex(stderr, /sidemount: Bucket my-uploads does not exist\.\n +Check the name, or create it there\.?\n/);
});

test("a mistake in what was typed stands in the log as well", async (t) => {
  const { stdout } = await start(t, ["mount", "my-uploads", "/srv/x"], {}, { SIDEMOUNT_CACHE_SIZE: "1" })
    .outcome;
  const line = JSON.parse(stdout) as object;
  t.like(line, { severity: "ERROR", message: "could not start", reason: 'SIDEMOUNT_CACHE_SIZE is "1".' });
});

test("a misspelled environment variable is pointed out", async (t) => {
  const words = ["mount", "my-uploads", "/srv/x"];
  const running = start(t, words, { refused: true }, { SIDEMOUNT_CACHESIZE: "1G" });
  t.regex((await running.outcome).stdout, /"WARNING".*SIDEMOUNT_CACHESIZE.*SIDEMOUNT_CACHE_SIZE/);
});

test("local-gcs is told what was typed and says where it listens", async (t) => {
  const typed = "local-gcs /srv/b --port 0 --bucket aaa --bucket bbb --hierarchical-namespace --admin";
  const words = typed.split(" ");
  const running = start(t, words);
  await running.shows("local-gcs is listening");
  running.process.kill("SIGINT");
  const { code, stdout, stderr } = await running.outcome;
  t.is(code, 0);
  t.true(
    stderr.includes(
      '{"directory":"/srv/b","port":0,"host":"127.0.0.1","buckets":["aaa","bbb"],"hierarchical":true,"admin":true}',
    ),
  );
  t.like(JSON.parse(stdout.split("\n")[0]!), { url: "http://127.0.0.1:4000" });
});

test("local-gcs open to others warns that it asks nobody for credentials", async (t) => {
  const running = start(t, ["local-gcs", "/srv/b", "--host", "0.0.0.0"]);
  await running.shows("asks nobody for credentials");
  running.process.kill("SIGTERM");
  t.is((await running.outcome).code, 0);
});

test("a port that is taken is said, with what to do", async (t) => {
  const { code, stderr } = await start(t, ["local-gcs", "/srv/b", "--port", "1"]).outcome;
  t.is(code, 1);
  t.regex(stderr, /Port 1 is taken\.\n +Choose another port/);
});

test("unmount says what it has done", async (t) => {
  const { code, stdout } = await start(t, ["unmount", "/srv/x"]).outcome;
  t.is(code, 0);
  t.is(stdout, "Unmounted /srv/x.\n");
});

test("upgrade says who serves the folder now", async (t) => {
  const { code, stdout } = await start(t, ["upgrade", "/srv/x"]).outcome;
  t.is(code, 0);
  t.is(stdout, "/srv/x is served by process 11 in place of 10.\n");
});

test("SIGHUP to a mount without a terminal asks for the new code and ends nothing", async (t) => {
  const running = start(t, ["mount", "my-uploads", "/srv/x"]);
  await running.shows('"message":"mounted"');
  running.process.kill("SIGHUP");
  await running.shows("pretended: upgraded");
  running.process.kill("SIGTERM");
  t.is((await running.outcome).code, 0);
});

test("sidemount.mjs runs on the Node that is installed, whatever it is, and keeps the exit code", async (t) => {
  for (const node of [process.execPath, ...otherNodes()]) {
    const { code, stderr } = await startProcess(t, [node, shim, "mount", "my-uploads"]).outcome;
    t.is(code, 2);
    t.regex(stderr, /^sidemount: The folder to mount on is missing/);
  }
});

test("sidemount.mjs passes signals on", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "sidemount-cli-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const node of [process.execPath, ...otherNodes()]) {
    const running = startProcess(t, [node, shim, "local-gcs", folder, "--port", "0"]);
    await running.shows("is listening");
    running.process.kill("SIGTERM");
    t.like(await running.outcome, { code: 0, signal: null });
  }
});

test("sidemount.mjs without installed packages says so", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "sidemount-cli-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  cpSync(shim, path.join(folder, "sidemount.mjs"));
  const { code, stderr } = await startProcess(t, [process.execPath, path.join(folder, "sidemount.mjs")])
    .outcome;
  t.is(code, 1);
  t.regex(stderr, /not installed\.\n +Run `npm ci`/);
});

// The Node of the machine, where it is another one than the project's own.
function otherNodes(): string[] {
  const own = path.dirname(process.execPath);
  const elsewhere = (process.env["PATH"] ?? "").split(":").filter((folder) => !/node_modules/.test(folder));
  return elsewhere
    .filter((folder) => folder !== own)
    .map((folder) => path.join(folder, "node"))
    .filter((node) => spawnSync(node, ["--version"]).status === 0)
    .slice(0, 1);
}
