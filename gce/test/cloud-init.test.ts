import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import test, { type ExecutionContext } from "ava";
import { parse as parseYaml } from "yaml";

import { cloudInitCommands, fillIn, writtenFiles } from "../../scripts/container/deployed-commands.ts";
import { settings } from "../../scripts/container/unit-file.ts";
import { Cloud, runProgram, tools, top } from "./helpers/cloud.ts";
import { temporaryFolder } from "./helpers/folder.ts";

const template = readFileSync(path.join(top, "gce/vm/cloud-init.yaml"), "utf8");
const values = {
  sidecar_image: "us-east1-docker.pkg.dev/acme-photos/sidemount/sidemount:v1",
  app_image: "us-east1-docker.pkg.dev/acme-photos/sidemount/demo:v1",
  registry: "us-east1-docker.pkg.dev",
  bucket: "acme-photos-sidemount",
  cache_size: "5GiB",
};
const filledIn = fillIn(template, values);
const units = writtenFiles(filledIn);

const folder = (t: ExecutionContext): string => temporaryFolder(t, "units");

async function schemaSays(
  t: ExecutionContext,
  text: string,
): Promise<{ status: number | null; said: string }> {
  const file = path.join(folder(t), "user-data");
  writeFileSync(file, text);
  const words = ["-W", "ignore", "-m", "cloudinit.config.schema", "--config-file", file];
  const env = {
    PYTHONPATH: path.join(tools, "cloud-init/usr/lib/python3/dist-packages"),
    PATH: "/usr/bin:/bin",
  };
  const { status, stdout, stderr } = await runProgram(path.join(tools, "python/bin/python"), words, { env });
  return { status, said: stdout + stderr };
}

test("cloud-init takes the file, and everything in it is something cloud-init knows", async (t) => {
  const good = await schemaSays(t, filledIn);
  t.is(good.status, 0, good.said);
  t.regex(good.said, /^Valid cloud-config/);
  // Its schema lets unknown keys pass.
  t.deepEqual(Object.keys(parseYaml(filledIn) as object), ["write_files", "runcmd"]);
  const bad = await schemaSays(t, filledIn.replace('permissions: "0644"', "permissions: 644"));
  t.regex(bad.said, /not of type|not valid under/);
});

async function verify(t: ExecutionContext, files: readonly { path: string; content: string }[]) {
  // The programs and units of Container-Optimized OS that ours lean on, as far as systemd looks at them.
  const root = folder(t);
  const system = path.join(root, "etc/systemd/system");
  mkdirSync(system, { recursive: true });
  for (const program of [
    "/usr/bin/docker",
    "/usr/bin/docker-credential-gcr",
    "/bin/sh",
    "/bin/mkdir",
    "/bin/mount",
    "/bin/umount",
  ]) {
    mkdirSync(path.dirname(path.join(root, program)), { recursive: true });
    writeFileSync(path.join(root, program), "", { mode: 0o755 });
  }
  const targets = ["sysinit", "basic", "shutdown", "network-online", "gcr-online", "sockets"].map(
    (name) => `${name}.target`,
  );
  for (const name of targets) writeFileSync(path.join(system, name), `[Unit]\nDescription=${name}\n`);
  const service = "[Service]\nType=oneshot\nExecStart=/bin/sh\n";
  for (const name of ["docker", "docker-events-collector"])
    writeFileSync(path.join(system, `${name}.service`), service);
  writeFileSync(path.join(system, "docker.socket"), "[Socket]\nListenStream=/run/docker.sock\n");
  for (const name of ["system.slice", "-.slice"]) writeFileSync(path.join(system, name), "[Slice]\n");
  for (const { path: file, content } of files) writeFileSync(path.join(root, file), content);
  const words = [
    "verify",
    "--man=no",
    "--recursive-errors=yes",
    `--root=${root}`,
    ...files.map(({ path: file }) => file),
  ];
  const { status, stdout, stderr } = await runProgram("systemd-analyze", words);
  return { status, said: stdout + stderr };
}

test("systemd takes the units, without a warning", async (t) => {
  t.is(units.length, 3);
  const good = await verify(t, units);
  t.deepEqual(good, { status: 0, said: "" });
  const misspelt = units.map((unit) => ({
    ...unit,
    content: unit.content.replace("RestartSec", "RestartSecs"),
  }));
  t.regex((await verify(t, misspelt)).said, /Unknown key (name )?'RestartSecs'/);
  const circle = units.map((unit) => ({
    ...unit,
    content: unit.content.replace("[Unit]", "[Unit]\nAfter=app.service"),
  }));
  t.regex((await verify(t, circle)).said, /ordering cycle/);
});

test("deploy.sh fills in the same file as everybody else", async (t) => {
  const words = ["--project", "acme-photos", "--tag", "v1"];
  const { status, stdout, stderr } = await new Cloud(t).run("deploy.sh", "render", ...words);
  t.is(status, 0, stderr);
  t.is(stdout, filledIn);
});

// Only where Terraform is installed: no package registry has it, and the files are parsed and compared without it too.
const terraform = spawnSync("terraform", ["version"]).status === 0;

(terraform ? test : test.skip)("Terraform fills in the same file as everybody else", async (t) => {
  const given = Object.entries(values).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  const expression = `jsonencode(templatefile("${path.join(top, "gce/vm/cloud-init.yaml")}", {${given.join(", ")}}))\n`;
  const env = { PATH: process.env["PATH"], HOME: folder(t), CHECKPOINT_DISABLE: "1" };
  const { status, stdout, stderr } = await runProgram("terraform", ["console"], {
    cwd: folder(t),
    env,
    input: expression,
  });
  t.is(status, 0, stderr);
  t.is(JSON.parse(JSON.parse(stdout) as string) as string, filledIn);
});

function seconds(unit: string, key: string): number {
  return Number(settings(contentOf(unit), key)[0]);
}

function contentOf(name: string): string {
  const unit = units.find((each) => each.path.endsWith(`/${name}`));
  if (unit === undefined) throw new Error(`there is no unit ${name}`);
  return unit.content;
}

test("what is owed to the bucket has the time to get there before anybody is killed", (t) => {
  const { sidemount, stopSidemount, stopApp } = cloudInitCommands(template, values);
  const drain = Number(/SIDEMOUNT_DRAIN_TIMEOUT=(\d+)s/.exec(sidemount.join(" "))?.[1]);
  const patience = (argv: readonly string[]): number => Number(argv[argv.indexOf("-t") + 1]);
  // supervise.ts gives a stuck worker 10 s beyond its own limit, and 10 s to end.
  t.true(drain + 20 < patience(stopSidemount));
  t.true(patience(stopSidemount) < seconds("sidemount.service", "TimeoutStopSec"));
  t.true(patience(stopApp) < seconds("app.service", "TimeoutStopSec"));
  // One after the other, within what Compute Engine gives a VM that is stopped.
  t.true(seconds("sidemount.service", "TimeoutStopSec") + seconds("app.service", "TimeoutStopSec") <= 90);
});

test("the app starts after the mount, stops before it, and outlives a restart of it", (t) => {
  const app = contentOf("app.service");
  t.deepEqual(settings(app, "Wants"), ["sidemount.service"]);
  t.deepEqual(settings(app, "Requires"), []);
  t.deepEqual(settings(app, "BindsTo"), []);
  t.regex(settings(app, "After").join(" "), /\bsidemount\.service\b/);
  for (const unit of ["app.service", "sidemount.service"])
    t.deepEqual(settings(contentOf(unit), "Restart"), ["always"]);
});

test("the folder is shared with the app above the mounts, and state is on the disk", (t) => {
  const { sidemount, app } = cloudInitCommands(template, values);
  t.true(sidemount.includes("--volume=/mnt/disks/sidemount:/mnt/disks/sidemount:rw,rshared"));
  t.true(app.includes("--volume=/mnt/disks/sidemount:/mnt/sidemount:rw,rslave"));
  t.true(sidemount.includes("--volume=/var/lib/sidemount:/var/lib/sidemount"));
  t.false([...sidemount, ...app].includes("--privileged"));
});

test("both lines of commands of the runcmd start what was written", (t) => {
  const { runcmd } = parseYaml(filledIn) as { runcmd: string[] };
  t.is(runcmd[0], "systemctl daemon-reload");
  for (const { path: file } of units) t.true(runcmd[1]?.split(" ").includes(path.basename(file)), file);
});

test("in the folder the containers share, nobody can write while nothing is mounted, root neither", async (t) => {
  const place = path.join(folder(t), "shared");
  const commands = cloudInitCommands(template, values);
  const there = (words: readonly string[]): string[] =>
    words.map((word) => word.replaceAll("/mnt/disks/sidemount", place));
  t.teardown(() => runProgram("umount", ["--recursive", "--lazy", place]));
  for (const { argv } of commands.folder) {
    const [program = "", ...words] = there(argv);
    const { status, stderr } = await runProgram(program, words);
    t.is(status, 0, stderr);
  }
  for (const name of ["uploads/lost.jpg", "serve/lost.jpg", "lost.jpg"]) {
    t.throws(() => writeFileSync(path.join(place, name), "x"), { code: "EROFS" }, name);
  }
  // What is mounted below it can be written: it is the folder that is read-only, not the way to it.
  t.is(
    (await runProgram("mount", ["-t", "tmpfs", "-o", "size=64k", "x", path.join(place, "uploads")])).status,
    0,
  );
  t.notThrows(() => writeFileSync(path.join(place, "uploads/kept.jpg"), "x"));
  for (const { argv } of commands.removeFolder) {
    const [program = "", ...words] = there(argv);
    t.is((await runProgram(program, words)).status, 0);
  }
  t.notThrows(() => writeFileSync(path.join(place, "nothing-mounted"), "x"));
});
