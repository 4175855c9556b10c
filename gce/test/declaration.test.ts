import { readFileSync } from "node:fs";
import path from "node:path";

import test from "ava";

import {
  adapted,
  cloudInitCommands,
  declarationCommand,
  fillIn,
} from "../../scripts/container/deployed-commands.ts";
import { execLines } from "../../scripts/container/unit-file.ts";
import { parse } from "./fake/command-table.ts";
import { Cloud, dryRun, top } from "./helpers/cloud.ts";

const template = readFileSync(path.join(top, "gce/vm/container-declaration.yaml"), "utf8");
const image = "us-east1-docker.pkg.dev/acme-photos/sidemount/demo:v1";
const values = { image, bucket: "acme-photos-sidemount", cache_size: "5GiB" };

test("the declaration becomes the docker command that the startup agent's rules make of it", (t) => {
  t.deepEqual(declarationCommand(template, values, "abcd"), [
    "docker",
    "run",
    "--detach",
    "--name=klt-sidemount-abcd",
    "--network=host",
    "--restart=always",
    "--privileged",
    "--env=GCS_BUCKET=acme-photos-sidemount",
    "--env=METADATA_SERVER_DETECTION=assume-present",
    "--env=SIDEMOUNT_CACHE_SIZE=5GiB",
    "--env=SIDEMOUNT_DRAIN_TIMEOUT=8s",
    "--volume=/var/lib/sidemount:/var/lib/sidemount",
    "--log-driver=json-file",
    "--log-opt=max-size=500m",
    "--log-opt=max-file=3",
    image,
  ]);
});

test("the flags of create-with-container.sh say the same as the declaration", async (t) => {
  const { stdout } = await dryRun("create-with-container.sh", "--image", image);
  const line = stdout.split("\n").find((each) => each.includes("create-with-container sidemount")) ?? "";
  const parsed = parse(line.trim().split(" ").slice(1));
  if (typeof parsed === "string") return t.fail(parsed);
  const { flags } = parsed;
  const said = declarationCommand(template, values);
  t.is(flags["--container-image"], image);
  t.deepEqual(
    flags["--container-env"]?.split(",").map((each) => `--env=${each}`),
    said.filter((word) => word.startsWith("--env=")),
  );
  t.is(
    flags["--container-mount-host-path"],
    "mount-path=/var/lib/sidemount,host-path=/var/lib/sidemount,mode=rw",
  );
  t.is(flags["--container-privileged"], "");
  t.is(flags["--container-restart-policy"], "always");
});

test("create-with-container.sh writes the declaration into the VM's metadata where it is asked to", async (t) => {
  const cloud = new Cloud(t);
  const words = ["--project", "acme-photos", "--image", image, "--as-metadata"];
  const { status, stderr } = await cloud.run("create-with-container.sh", ...words);
  t.is(status, 0, stderr);
  t.regex(stderr, /deprecated/);
  t.is(cloud.state.metadata["gce-container-declaration"], fillIn(template, values));
});

test("a command for another machine differs only in what was asked for", (t) => {
  const { app } = cloudInitCommands(readFileSync(path.join(top, "gce/vm/cloud-init.yaml"), "utf8"), {
    sidecar_image: "side",
    app_image: "mine",
    registry: "r",
    bucket: "b-1",
    cache_size: "1GiB",
  });
  const changed = adapted(app, {
    replace: { "/mnt/disks/sidemount": "/tmp/x", "80:80": "127.0.0.1:8080:80" },
    options: ["--network=n"],
    without: ["--rm"],
  });
  t.deepEqual(changed.slice(0, 6), [
    "docker",
    "run",
    "--network=n",
    "--name=app",
    "--hostname=vm",
    "--publish=127.0.0.1:8080:80",
  ]);
  t.true(changed.includes("--volume=/tmp/x:/mnt/sidemount:rw,rslave"));
  t.deepEqual(changed.slice(-2), ["mine", "app"]);
  t.throws(() => adapted(app, { replace: { "/mnt/disk1": "x" } }), { message: /is not in/ });
  t.throws(() => adapted(app, { without: ["--privileged"] }), { message: /is not in/ });
});

test("what is not understood of a unit is refused, not guessed", (t) => {
  const unit = (line: string): string => `[Service]\nExecStart=${line}\n`;
  t.deepEqual(execLines(unit("-/bin/sh -c 'a \"b\" c' %H"), "ExecStart", { H: "vm" }), [
    { argv: ["/bin/sh", "-c", 'a "b" c', "vm"], mayFail: true },
  ]);
  t.deepEqual(execLines(unit("/bin/a \\\n  # not this\n  b"), "ExecStart"), [
    { argv: ["/bin/a", "b"], mayFail: false },
  ]);
  for (const line of ["/bin/a $HOME", "/bin/a %H", "/bin/a b'c d'", "/bin/a b\\x20c", "a"]) {
    t.throws(() => execLines(unit(line), "ExecStart"), undefined, line);
  }
  t.throws(() => fillIn("${a} ${b}", { a: "1" }), { message: /wants \$\{b\}/ });
  t.throws(() => fillIn("${a}", { a: "1", c: "2" }), { message: /no place for c/ });
});
