import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import test from "ava";

import { commandTable, parse } from "./fake/command-table.ts";
import { trackedFiles } from "../../sidecar/test/structure/sources.ts";
import { Cloud, dryRun, runProgram, top } from "./helpers/cloud.ts";
import { temporaryFolder } from "./helpers/folder.ts";
import { matchesGolden } from "./helpers/golden.ts";

const demoImage = "us-east1-docker.pkg.dev/acme-photos/sidemount/demo:v1";
const project = ["--project", "acme-photos"];

test("every shell script is clean by shellcheck", async (t) => {
  const scripts = trackedFiles().filter(
    (file) => (file.endsWith(".sh") || file === ".ci/run") && existsSync(path.join(top, file)),
  );
  t.true(scripts.includes("gce/vm/deploy.sh"));
  const { status, stdout } = await runProgram("shellcheck", ["-x", ...scripts], { cwd: top });
  t.is(status, 0, stdout);
});

for (const command of ["up", "update", "rollback", "delete"]) {
  test(`a dry run of ${command} prints a script that can be read before it is run, and calls nothing`, async (t) => {
    const { status, stdout, stderr } = await dryRun("deploy.sh", command, "--tag", "v1");
    t.is(status, 0, stderr);
    t.is(stderr, "");
    matchesGolden(t, `${command}.sh`, stdout);
    const check = await runProgram("shellcheck", ["-"], { input: stdout });
    t.is(check.status, 0, check.stdout);
  });
}

test("create-with-container.sh prints its one command, both ways", async (t) => {
  const flags = await dryRun("create-with-container.sh", "--image", demoImage);
  const metadata = await dryRun("create-with-container.sh", "--image", demoImage, "--as-metadata");
  matchesGolden(t, "create-with-container.sh", flags.stdout);
  matchesGolden(t, "create-as-metadata.sh", metadata.stdout);
});

test("up makes everything from nothing, once: repeated it makes nothing again and brings the VM up to date", async (t) => {
  const cloud = new Cloud(t);
  const first = await cloud.run("deploy.sh", "up", ...project, "--tag", "v1");
  t.is(first.status, 0, first.stderr);
  t.deepEqual(
    cloud.made().map((call) => call.split(" --")[0]),
    [
      "services enable compute.googleapis.com storage.googleapis.com iam.googleapis.com artifactregistry.googleapis.com logging.googleapis.com",
      "artifacts repositories create sidemount",
      "storage buckets create gs://acme-photos-sidemount",
      "iam service-accounts create sidemount",
      "iam roles create sidemount",
      "storage buckets add-iam-policy-binding gs://acme-photos-sidemount",
      "artifacts repositories add-iam-policy-binding sidemount",
      "projects add-iam-policy-binding acme-photos",
      "compute addresses create sidemount",
      "compute firewall-rules create sidemount-http",
      "auth configure-docker us-east1-docker.pkg.dev",
      "compute instances create sidemount",
    ],
  );
  t.deepEqual(
    cloud.docker.map((line) => line.split(" ")[1]),
    ["build", "push", "build", "push"],
  );

  const second = await cloud.run("deploy.sh", "up", ...project, "--tag", "v2");
  t.is(second.status, 0, second.stderr);
  const again = cloud.made();
  t.deepEqual(
    again.filter((call) => / create/.test(call)),
    [],
  );
  t.true(again.some((call) => call.startsWith("iam roles update sidemount")));
  t.true(again.some((call) => call.startsWith("compute instances add-metadata sidemount")));
});

test("an image that was named is not built, and not overwritten", async (t) => {
  const cloud = new Cloud(t);
  const mine = "us-east1-docker.pkg.dev/acme-photos/sidemount/mine:v7";
  const { status, stderr } = await cloud.run(
    "deploy.sh",
    "build",
    ...project,
    "--tag",
    "v1",
    "--app-image",
    mine,
  );
  t.is(status, 0, stderr);
  t.is(cloud.docker.length, 2);
  t.false(cloud.docker.join("\n").includes("mine"));
  t.is((await cloud.run("deploy.sh", "create", ...project, "--tag", "v1", "--app-image", mine)).status, 0);
  t.true(cloud.state.metadata["user-data"]?.includes(`${mine} app`));
});

test("an account that is not known everywhere yet is waited for", async (t) => {
  const cloud = new Cloud(t);
  cloud.change({ failing: { "storage buckets add-iam-policy-binding": 3 } });
  const { status, stderr } = await cloud.run("deploy.sh", "setup", ...project);
  t.is(status, 0, stderr);
  t.is(cloud.made().filter((call) => call.startsWith("storage buckets add-iam-policy-binding")).length, 4);

  cloud.change({ failing: { "projects add-iam-policy-binding": 100 } });
  const forever = await cloud.run("deploy.sh", "setup", ...project);
  t.is(forever.status, 1);
  t.regex(forever.stderr, /gave up: gcloud projects add-iam-policy-binding/);
});

test("a bucket that was there before is left as it is; that it may be public is said, with what to do", async (t) => {
  const cloud = new Cloud(t);
  cloud.change({ exists: ["storage buckets gs://old"], bucket: "False\tinherited" });
  const { status, stderr } = await cloud.run("deploy.sh", "setup", ...project, "--bucket", "gs://old");
  t.is(status, 0, stderr);
  t.false(cloud.made().some((call) => /^storage buckets (create|update)/.test(call)));
  t.regex(stderr, /gs:\/\/old is not private/);
  t.regex(stderr, /gcloud storage buckets update gs:\/\/old --uniform-bucket-level-access/);
});

test("update keeps what ran before, and rollback brings exactly that back; a second rollback goes forward", async (t) => {
  const cloud = new Cloud(t);
  t.is((await cloud.run("deploy.sh", "create", ...project, "--tag", "v1")).status, 0);
  const { "user-data": first } = cloud.state.metadata;
  cloud.made();
  t.is((await cloud.run("deploy.sh", "update", ...project, "--tag", "v2")).status, 0);
  const { "user-data": second } = cloud.state.metadata;
  t.not(first, second);
  t.like(cloud.state.metadata, { "sidemount-previous-user-data": first });
  t.deepEqual(
    cloud.made().map((call) => call.split(" ")[2]),
    ["add-metadata", "stop", "start"],
  );

  // An update that was interrupted and is repeated must not forget what there is to go back to.
  t.is((await cloud.run("deploy.sh", "update", ...project, "--tag", "v2")).status, 0);
  t.like(cloud.state.metadata, { "user-data": second, "sidemount-previous-user-data": first });

  t.is((await cloud.run("deploy.sh", "rollback", ...project)).status, 0);
  t.like(cloud.state.metadata, { "user-data": first, "sidemount-previous-user-data": second });
  t.is((await cloud.run("deploy.sh", "rollback", ...project)).status, 0);
  t.like(cloud.state.metadata, { "user-data": second, "sidemount-previous-user-data": first });
});

test("a rollback without an earlier version says so and changes nothing", async (t) => {
  const cloud = new Cloud(t);
  t.is((await cloud.run("deploy.sh", "create", ...project, "--tag", "v1")).status, 0);
  cloud.made();
  const { status, stderr } = await cloud.run("deploy.sh", "rollback", ...project);
  t.is(status, 1);
  t.regex(stderr, /keeps no earlier version/);
  t.deepEqual(cloud.made(), []);
});

test("status names the images and says whether the VM answers", async (t) => {
  const cloud = new Cloud(t);
  const none = await cloud.run("deploy.sh", "status", ...project);
  t.is(none.status, 1);
  t.regex(none.stderr, /there is no VM sidemount/);
  t.is((await cloud.run("deploy.sh", "create", ...project, "--tag", "v1")).status, 0);
  const { status, stdout, stderr } = await cloud.run("deploy.sh", "status", ...project);
  t.is(status, 0, stderr);
  t.is(
    stdout,
    "sidemount  RUNNING  http://127.0.0.1:9/\n" +
      "  image  us-east1-docker.pkg.dev/acme-photos/sidemount/sidemount:v1\n" +
      `  image  ${demoImage}\n  it answers\n`,
  );
});

test("delete wants to hear yes, leaves everything that holds data, and can be repeated", async (t) => {
  const cloud = new Cloud(t);
  t.is((await cloud.run("deploy.sh", "up", ...project, "--tag", "v1")).status, 0);
  cloud.made();
  t.is((await cloud.run("deploy.sh", "delete", ...project)).status, 2);
  t.deepEqual(cloud.made(), []);
  t.is((await cloud.run("deploy.sh", "delete", ...project, "--yes")).status, 0);
  t.is(cloud.made().length, 3);
  t.true(cloud.state.exists.includes("storage buckets gs://acme-photos-sidemount"));
  t.is((await cloud.run("deploy.sh", "delete", ...project, "--yes")).status, 0);
  t.deepEqual(cloud.made(), []);
});

test("what is typed never becomes anything but a value: other forms are refused before anything runs", async (t) => {
  const cloud = new Cloud(t);
  const wrong: Record<string, string> = {
    "--project": "x; touch /tmp/x",
    "--name": "a$(id)",
    "--bucket": "b`id`",
    "--region": "us-east1 --quiet",
    "--zone": "europe-west1-b",
    "--repository": "Ü",
    "--tag": "v1\nruncmd: [reboot]",
    "--sidecar-image": "x:y z",
    "--app-image": "${bucket}",
    "--machine-type": "e2 small",
    "--disk-size": "many",
    "--cache-size": "5GiB --privileged",
    "--image-family": "debian-12",
    "--network": "a,b",
    "--source-ranges": "everybody",
  };
  for (const [option, value] of Object.entries(wrong)) {
    const given = option === "--project" ? [] : project;
    const tag = option === "--tag" ? [] : ["--tag", "v1"];
    const { status, stderr } = await cloud.run("deploy.sh", "create", ...given, ...tag, option, value);
    t.is(status, 2, option);
    t.regex(stderr, new RegExp(`${option} is "`), option);
  }
  t.deepEqual(cloud.state.calls, []);
  t.is((await cloud.run("deploy.sh", "create")).status, 2);
  t.is((await cloud.run("deploy.sh", "create", "--bogus", "x", ...project)).status, 2);
  t.is((await cloud.run("deploy.sh", "create", "update", ...project)).status, 2);
});

test("--help explains every option there is", async (t) => {
  for (const script of ["deploy.sh", "create-with-container.sh"]) {
    const text = readFileSync(path.join(top, "gce/vm", script), "utf8");
    const { stdout } = await dryRun(script, "--help");
    const known = [...text.matchAll(/^ {4}(--[a-z-]+)(?: \| -h)?\) /gm)].map(([, option]) => option ?? "");
    t.true(known.length > 8);
    for (const option of known)
      t.true(stdout.includes(`  ${option} `) || stdout.includes(`  ${option}\n`), option);
  }
});

test("the scripts work from a folder with a space in its name, and with names given the other way", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "with space "));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(path.join(top, "gce"), path.join(folder, "gce"), {
    recursive: true,
    filter: (from) => !from.includes("/test"),
  });
  const script = path.join(folder, "gce/vm/deploy.sh");
  const words = ["setup", "--project=acme-photos", "--dry-run"];
  const { status, stdout, stderr } = await runProgram("/bin/bash", [script, ...words], {
    env: { PATH: "/usr/bin:/bin" },
  });
  t.is(status, 0, stderr);
  t.is(stdout, (await dryRun("deploy.sh", "setup")).stdout);
});

test("a template that wants more than is given is refused", async (t) => {
  const folder = temporaryFolder(t, "template");
  const template = path.join(folder, "mine.yaml");
  writeFileSync(template, "#cloud-config\n# ${bucket} & ${colour}\n");
  const cloud = new Cloud(t);
  const { status, stderr } = await cloud.run(
    "deploy.sh",
    "render",
    ...project,
    "--tag",
    "v1",
    "--template",
    template,
  );
  t.is(status, 1);
  t.regex(stderr, /wants \$\{colour\}/);
});

test("the pretended gcloud refuses what gcloud does not know", async (t) => {
  t.is(typeof parse(["compute", "instances", "create", "vm", "--boot-disk=20GB"]), "string");
  t.is(typeof parse(["compute", "instances", "make", "vm"]), "string");
  t.is(typeof parse(["compute", "instances", "create"]), "string");
  t.is(typeof parse(["compute", "instances", "create", "vm", "other"]), "string");
  t.is(typeof parse(["compute", "instances", "create", "vm", "--zone"]), "string");
  t.is(typeof parse(["compute", "firewall-rules", "create", "x", "--direction=UP"]), "string");
  t.not(typeof parse(["compute", "instances", "create", "vm", "--zone=z", "--quiet"]), "string");
});

// The tree of commands that gcloud completes from, which comes with it.
const completions = ["/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk"]
  .map((folder) => `${folder}/data/cli/gcloud_completions.py`)
  .find((file) => existsSync(file));

interface Tree {
  readonly commands: Record<string, Tree>;
  readonly flags: Record<string, string | string[]>;
}

// Only where the Google Cloud CLI is installed: its own table of commands is compared with ours.
(completions === undefined ? test.skip : test)(
  "a real gcloud knows every command and flag of the pretended one",
  async (t) => {
    const read = `import json, runpy, sys; print(json.dumps(runpy.run_path(sys.argv[1])["STATIC_COMPLETION_CLI_TREE"]))`;
    const { stdout } = await runProgram("/usr/bin/python3", ["-c", read, completions ?? ""]);
    const tree = JSON.parse(stdout) as Tree;
    for (const { path: words, flags } of commandTable) {
      let place: Tree | undefined = tree;
      for (const word of words) place = place?.commands[word];
      if (place === undefined) {
        t.fail(`there is no gcloud ${words.join(" ")}`);
        continue;
      }
      for (const { name, wantsValue, choices } of flags) {
        const kind = place.flags[name] ?? tree.flags[name];
        t.not(kind, undefined, `gcloud ${words.join(" ")} has no ${name}`);
        // --public-access-prevention and its like are "bool" there as here.
        t.is(kind !== "bool", wantsValue, `${words.join(" ")} ${name}`);
        if (choices.length > 0) t.deepEqual([...choices].sort(), [...(kind as string[])].sort(), name);
      }
    }
  },
);
