// Users who are not root: they mount through fusermount. What works, and what each thing that is missing says.

import test from "ava";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { USER, UserWorld } from "../helpers/user-world.ts";

const OTHER = 33;

test.serial("a user mounts, and everybody sees the folder; SIGTERM ends it in good order", async (t) => {
  const world = await UserWorld.make(t);
  const { server, mountPoint } = world;
  const running = await world.mounted(t);
  t.regex(running.said().stdout, /"reason":"only root can mount without the help of fusermount"/);
  t.regex(running.said().stdout, /"channel":"native"/);
  t.deepEqual(world.mounts(), ["fuse.sidemount"]);
  t.is(await world.shell("echo hello > mnt/a; mkdir mnt/d; chmod 750 mnt/d; cat mnt/a"), "hello\n");
  t.is((await server.get("a"))?.toString(), "hello\n");
  t.is(await world.shell("stat -c '%u %g %a' mnt/a mnt/d"), `${USER} ${USER} 666\n${USER} ${USER} 750\n`);
  t.is(await world.shell("cat mnt/a", OTHER), "hello\n");
  t.is(await world.shell("cat mnt/a", 0), "hello\n");
  await t.throwsAsync(world.shell("ls mnt/d", OTHER), { message: /Permission denied/ });
  running.process.kill("SIGTERM");
  t.is((await running.outcome).code, 0);
  t.deepEqual(world.mounts(), []);
  t.is(readdirSync(mountPoint).length, 0);
  t.is(
    readdirSync(path.join(world.folder, "home/.local/state/sidemount")).length,
    1,
    "state is kept at home",
  );
});

test.serial(
  "a folder of PATH may lie in the mount: SIGTERM ends it in good order all the same",
  async (t) => {
    const world = await UserWorld.make(t);
    const words = ["mount", "test", world.mountPoint, ...world.endpoint];
    // The second is below the working directory of sidemount.
    const environment = { PATH: `${world.mountPoint}:mnt/bin:/usr/bin:/bin` };
    const running = world.sidemount(t, words, environment);
    await running.shows('"message":"mounted"');
    running.process.kill("SIGTERM");
    const outcome = await Promise.race([running.outcome, delay(8000, { code: "waits for itself" })]);
    t.is(outcome.code, 0);
    t.deepEqual(world.mounts(), []);
  },
);

test.serial(
  "CHANNELS: what others make through the mount belongs to the user who mounts, and they can go on with it unless it is private",
  async (t) => {
    const world = await UserWorld.make(t);
    await world.mounted(t);
    await world.shell(
      "echo x > mnt/theirs; mkdir mnt/folder; echo y >> mnt/theirs; echo z > mnt/folder/f",
      OTHER,
    );
    t.is(await world.shell("stat -c '%u %a' mnt/theirs mnt/folder"), `${USER} 666\n${USER} 777\n`);
    await world.shell("umask 077; echo x > mnt/private", OTHER);
    t.is(await world.shell("stat -c '%u %a' mnt/private"), `${USER} 600\n`);
    await t.throwsAsync(world.shell("cat mnt/private", OTHER), { message: /Permission denied/ });
  },
);

test.serial("--file-mode and --dir-mode say what others may do with what is made", async (t) => {
  const world = await UserWorld.make(t);
  await world.mounted(t, ["--file-mode", "0644", "--dir-mode", "0755"]);
  await world.shell("echo x > mnt/a; mkdir mnt/d");
  t.is(await world.shell("stat -c %a mnt/a mnt/d"), "644\n755\n");
});

test.serial("exec runs a command over the folder, and passes its status on", async (t) => {
  const world = await UserWorld.make(t);
  const words = ["exec", "test", world.mountPoint, ...world.endpoint, "--", "sh", "-c"];
  const script = "echo through > mnt/b; cat mnt/b; id -u; echo ${UV_THREADPOOL_SIZE-unset}; exit 5";
  const { code, stdout } = await world.sidemount(t, [...words, script]).outcome;
  t.is(code, 5);
  t.is(stdout, `through\n${USER}\nunset\n`);
  t.is((await world.server.get("b"))?.toString(), "through\n");
  t.deepEqual(world.mounts(), []);
});

test.serial(
  "when exec is killed its command goes on, and hears at once that nobody serves the folder",
  async (t) => {
    const world = await UserWorld.make(t);
    const script = "ls -l /proc/$$/fd; echo command $$; exec sleep 60";
    const words = ["exec", "test", world.mountPoint, ...world.endpoint, "--", "sh", "-c", script];
    const running = world.sidemount(t, words);
    await running.shows("command ");
    const { stdout } = running.said();
    const command = Number(/command (\d+)/.exec(stdout)?.[1]);
    t.teardown(() => process.kill(command, "SIGKILL"));
    t.notRegex(stdout, /fuse/);
    running.process.kill("SIGKILL");
    await delay(100);
    await t.throwsAsync(world.shell("timeout -s KILL 5 stat mnt"), { message: /not connected/ });
  },
);

test.serial(
  "exec in the mount point itself runs the command in the mounted folder, also one that lies there",
  async (t) => {
    const world = await UserWorld.make(t);
    const { server } = world;
    await server.put("run.sh", "#!/bin/sh\necho ran > out; ls", { "goog-reserved-posix-mode": "755" });
    const words = ["exec", "test", ".", ...world.endpoint, "--", "./run.sh"];
    const { code, stdout, stderr } = await world.sidemount(t, words, {}, USER, "mnt").outcome;
    t.is(code, 0, stderr);
    t.is(stdout, "out\nrun.sh\n");
    t.is((await server.get("out"))?.toString(), "ran\n");
  },
);

test.serial("without user_allow_other the start says both remedies; --no-allow-other is one", async (t) => {
  const world = await UserWorld.make(t, { configuration: "# user_allow_other\n" });
  const words = ["mount", "test", world.mountPoint, ...world.endpoint];
  const { code, stderr } = await world.sidemount(t, words).outcome;
  t.is(code, 1);
  t.regex(
    stderr,
    /^sidemount: This user may not let others see the folder: \/etc\/fuse\.conf has no line user_allow_other\.\n +Let root add that line, or mount with --no-allow-other/,
  );
  t.deepEqual(world.mounts(), []);
  await world.mounted(t, ["--no-allow-other"]);
  t.is(await world.shell("echo mine > mnt/a; cat mnt/a"), "mine\n");
  await t.throwsAsync(world.shell("cat mnt/a", 0), { message: /Permission denied/ });
});

test.serial(
  "what a user lacks is said in one sentence each, with the remedy, and nothing is mounted",
  async (t) => {
    const closed = await UserWorld.make(t, { deviceMode: 0o600 });
    const open = await UserWorld.make(t);
    const starts: [string, UserWorld, string[], Record<string, string>, RegExp][] = [
      ["device", closed, [], {}, /may not use \/dev\/fuse\n +As root: chmod 666 \/dev\/fuse/],
      ["program", open, [], { PATH: "/nowhere" }, /Fusermount is missing[^]*apt-get install fuse3/],
      [
        "channel",
        open,
        ["--channel", "device"],
        {},
        /Only root can mount with --channel device[^]*--channel native/,
      ],
      [
        "passthrough",
        open,
        ["--passthrough", "on"],
        {},
        /--passthrough on needs the device channel[^]*only root[^]*libfuse 2[^]*Start it as root/,
      ],
      ["serve", open, ["--serve", "served"], {}, /--serve needs the device channel[^]*Start it as root/],
      [
        "state",
        open,
        ["--state-dir", "/var/lib/sidemount/mine"],
        {},
        /state folder .* cannot be used by this user \(EACCES\)[^]*--state-dir/,
      ],
    ];
    for (const [what, world, more, environment, said] of starts) {
      const words = ["mount", "test", world.mountPoint, ...world.endpoint, ...more];
      const { code, stderr } = await world.sidemount(t, words, environment).outcome;
      t.is(code, 1, what);
      t.regex(stderr, said, what);
      t.notRegex(stderr, /^\s+at /m, what);
      t.deepEqual(world.mounts(), [], what);
    }
    const { stderr } = await open.sidemount(t, ["mount", "test", open.folder + "/root", ...open.endpoint])
      .outcome;
    t.regex(stderr, /root does not exist/);
  },
);

test.serial("a folder that belongs to somebody else is refused", async (t) => {
  const world = await UserWorld.make(t);
  await world.shell("mkdir theirs sticky; chmod 1777 sticky", 0);
  for (const name of ["theirs", "sticky"]) {
    const words = ["mount", "test", path.join(world.folder, name), ...world.endpoint];
    const { code, stderr } = await world.sidemount(t, words).outcome;
    t.is(code, 1);
    t.regex(
      stderr,
      /may not mount on .*, which belongs to somebody else\.\n +Choose a folder that belongs to you/,
    );
  }
});

test.serial("a mount that died is cleaned up by its user, or by the next start, which says so", async (t) => {
  const world = await UserWorld.make(t);
  const first = await world.mounted(t);
  await world.kill(first);
  t.deepEqual(world.mounts(), ["fuse.sidemount"]);
  await t.throwsAsync(world.shell("ls mnt"), { message: /not connected/ });
  const unmounted = await world.sidemount(t, ["unmount", world.mountPoint]).outcome;
  t.is(unmounted.code, 0, unmounted.stderr);
  t.deepEqual(world.mounts(), []);

  await world.kill(await world.mounted(t));
  const next = await world.mounted(t);
  t.regex(next.said().stdout, /a dead mount was left here and is removed/);
  t.deepEqual(world.mounts(), ["fuse.sidemount"]);
});

test.serial(
  "`sidemount unmount` of the user, and of root, stops the process that serves the folder",
  async (t) => {
    const world = await UserWorld.make(t);
    for (const uid of [USER, 0]) {
      const running = await world.mounted(t);
      const { code, stderr } = await world.sidemount(t, ["unmount", world.mountPoint], {}, uid).outcome;
      t.is(code, 0, stderr);
      t.is((await running.outcome).code, 0);
      t.deepEqual(world.mounts(), []);
    }
  },
);

test.serial("a mount that somebody takes away ends the process with a failure", async (t) => {
  const world = await UserWorld.make(t);
  const running = await world.mounted(t);
  await world.shell("fusermount -u mnt");
  const { code, stdout } = await running.outcome;
  t.is(code, 1);
  t.regex(stdout, /the folder was unmounted by somebody else/);
  t.true(existsSync(world.mountPoint));
});
