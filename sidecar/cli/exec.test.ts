import test from "ava";

import { start } from "./fixtures/session.ts";

const exec = ["exec", "my-uploads", "/srv/x", "--drain-timeout", "2s", "--"];

test("the command starts once the folder is live and its status is ours", async (t) => {
  const running = start(t, [...exec, "sh", "-c", "echo started >&2; exit 7"], { readyAfterMs: 300 });
  const { code, stderr } = await running.outcome;
  t.is(code, 7);
  const order = ['"message":"mounted"', "started", "pretended: unmounted"].map((text) =>
    stderr.indexOf(text),
  );
  t.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
  t.false(order.includes(-1));
});

test("stdout belongs to the command", async (t) => {
  const { code, stdout } = await start(t, [...exec, "echo", "--help", "-o", "x"]).outcome;
  t.is(code, 0);
  t.is(stdout, "--help -o x\n");
});

test("a command ended by a signal gives 128 and its number", async (t) => {
  const { code } = await start(t, [...exec, "sh", "-c", "kill -9 $$"]).outcome;
  t.is(code, 137);
});

test("a command that does not exist gives 127, one that cannot be run 126, and the mount goes", async (t) => {
  const missing = await start(t, [...exec, "no-such-command"]).outcome;
  t.is(missing.code, 127);
  t.regex(missing.stderr, /no-such-command: there is no such command\.[^]*pretended: unmounted/);
  t.is((await start(t, [...exec, "/etc/passwd"]).outcome).code, 126);
});

test("where this process serves the folder itself the command is started the same, by a shell", async (t) => {
  const pretence = { servedHere: true };
  const script = 'pwd; echo "$#" "$2"; kill -TERM $$';
  const shown = await start(t, [...exec, "sh", "-c", script, "name", "a b", "--", "$x"], pretence).outcome;
  t.is(shown.code, 143);
  t.is(shown.stdout, `${process.cwd()}\n3 --\n`);
  const missing = await start(t, [...exec, "no-such-command"], pretence).outcome;
  t.is(missing.code, 127);
  t.regex(missing.stderr, /sidemount: .*no-such-command: not found[^]*pretended: unmounted/);
  t.is((await start(t, [...exec, "/etc/passwd"], pretence).outcome).code, 126);
});

test("SIGTERM goes to the command first; the folder goes when the command has ended", async (t) => {
  const script =
    "trap 'sleep 0.3; echo tidied >&2; exit 5' TERM; echo waiting >&2; while :; do sleep 0.05; done";
  const running = start(t, [...exec, "sh", "-c", script]);
  await running.shows("waiting");
  running.process.kill("SIGTERM");
  const { code, stderr } = await running.outcome;
  t.is(code, 5);
  t.regex(stderr, /tidied[^]*pretended: unmounted/);
});

test("SIGHUP and the signals of a user are the command's affair and end nothing", async (t) => {
  for (const signal of ["HUP", "USR1", "USR2"] as const) {
    const script = `trap 'echo reloaded >&2' ${signal}; echo waiting >&2; for i in 1 2 3 4 5 6; do sleep 0.1; done`;
    const running = start(t, [...exec, "sh", "-c", script]);
    await running.shows("waiting");
    running.process.kill(`SIG${signal}`);
    const { code, stderr } = await running.outcome;
    t.is(code, 0);
    t.true(stderr.includes("reloaded"), signal);
    t.false(stderr.includes("Debugger"));
  }
});

test("a command that ignores SIGTERM is killed after the drain timeout", async (t) => {
  const running = start(t, [
    ...exec,
    "sh",
    "-c",
    "trap '' TERM; echo waiting >&2; while :; do sleep 0.05; done",
  ]);
  await running.shows("waiting");
  running.process.kill("SIGTERM");
  const { code, stderr } = await running.outcome;
  t.is(code, 137);
  t.true(stderr.includes("pretended: unmounted"));
});

test("a command whose mount is lost is stopped, and that is a failure", async (t) => {
  const running = start(
    t,
    [...exec, "sh", "-c", "trap 'echo told >&2; exit 0' TERM; while :; do sleep 0.05; done"],
    {
      lostAfterMs: 300,
    },
  );
  const { code, stderr } = await running.outcome;
  t.is(code, 1);
  t.regex(stderr, /the mount was lost[^]*told/);
});

test("what is owed to the bucket shows in the exit code of a command that ended well", async (t) => {
  t.is((await start(t, [...exec, "true"], { exitCode: 75 }).outcome).code, 75);
  t.is((await start(t, [...exec, "false"], { exitCode: 75 }).outcome).code, 1);
});

test("if the mount cannot be made the command is never started", async (t) => {
  const { code, stdout, stderr } = await start(t, [...exec, "echo", "started"], { refused: true }).outcome;
  t.is(code, 1);
  t.is(stdout, "");
  t.regex(stderr, /sidemount: Bucket my-uploads does not exist/);
});

test("SIGTERM before the folder is live ends everything without starting the command", async (t) => {
  const running = start(t, [...exec, "echo", "started"], { readyAfterMs: 5000 });
  await running.shows("pretended: options");
  running.process.kill("SIGTERM");
  const { code, stdout, stderr } = await running.outcome;
  t.is(code, 143);
  t.is(stdout, "");
  t.true(stderr.includes("pretended: unmounted"));
});
