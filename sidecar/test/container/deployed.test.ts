// The commands that a VM runs, taken from the files that are deployed, run here with other images, folders and ports.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import test, { type ExecutionContext } from "ava";

import { BucketApi } from "../../../scripts/acceptance/bucket-api.ts";
import { run } from "../../../scripts/acceptance/programs.ts";
import { sendForm, upload, view, viewWhole } from "../../../scripts/acceptance/visitor.ts";
import {
  cloudInitCommands,
  declarationCommand,
  type Argv,
  type TemplateValues,
} from "../../../scripts/container/deployed-commands.ts";
import { imageName } from "../../../scripts/container/names.ts";
import { isFuseMount } from "../../../scripts/demo/mounts.ts";
import { freePorts } from "../../../scripts/demo/ports.ts";
import { runCommand, type Changes } from "./command-line.ts";
import { docker, eventually, MOUNTING, type Container } from "./container.ts";
import { sharedFolder } from "./shared-folder.ts";
import { answers, ENDPOINT, siteOfFile } from "./site.ts";

const site = siteOfFile();

const values = { bucket: "demo", cache_size: "1GiB" };

/** How long each `docker stop` of a VM gives. */
function secondsOf(stop: Argv): number {
  return Number(stop[stop.indexOf("-t") + 1]);
}

/** Whether the engine here accepts an option that has nothing to do with what is tested. */
function accepts(option: string): boolean {
  return (
    docker.callNow(["run", "--rm", option, "--network=none", imageName("sidecar"), "--version"]).status === 0
  );
}

test.serial("cloud-init.yaml: folder, sidecar and app as a VM starts, updates and stops them", async (t) => {
  const filled = { ...values, registry: "registry.invalid", sidecar_image: "SIDECAR", app_image: "APP" };
  const commands = cloudInitCommands(readFileSync("gce/vm/cloud-init.yaml", "utf8"), filled);
  const above = await sharedFolder(t);
  const folder = join(above, "disk");
  const state = join(above, "state");
  await mkdir(state);
  const { web } = await freePorts();
  const changes: Changes = {
    images: { SIDECAR: imageName("sidecar"), APP: imageName("demo") },
    replace: {
      "/mnt/disks/sidemount": folder,
      "/var/lib/sidemount:": `${state}:`,
      "--publish=80:80": `--publish=127.0.0.1:${web}:80`,
    },
    options: site().flags,
  };
  for (const { argv } of commands.folder) {
    const here = argv.map((word) => word.replaceAll("/mnt/disks/sidemount", folder));
    const { status, stderr } = await run(here);
    t.is(status, 0, stderr);
  }

  // Not every engine may protect a process from the kernel's choice when memory runs out.
  const sidemount = accepts("--oom-score-adj=-500")
    ? commands.sidemount
    : commands.sidemount.filter((word) => !word.startsWith("--oom-score-adj"));
  if (sidemount !== commands.sidemount) t.log("without --oom-score-adj, which the engine here may not lower");
  const start = async (words: Argv): Promise<Container> => {
    const container = await runCommand(words, changes);
    t.teardown(() => container.remove());
    return container;
  };
  const mounted = (container: Container) =>
    eventually("both mounts", async () => {
      const live = ["uploads", "serve"].every((name) => isFuseMount(join(folder, name)));
      if (live && container.logs().stdout.includes(`"message":"mounted"`)) return true;
      const { Status } = await container.state();
      if (Status !== "running") throw new Error(container.logs().stdout + container.logs().stderr);
      return undefined;
    });

  const first = await start(sidemount);
  await mounted(first);
  const app = await start(commands.app);
  const demo = { publicUrl: `http://localhost:${web}` };
  await answers(`${demo.publicUrl}/`, app);
  await uploadsAndSees(t, demo, "deployed.png");

  // An update of the sidecar alone.
  t.is(await first.stop(secondsOf(commands.stopSidemount)), 0);
  t.true((await sendForm(demo, "lost.png", randomBytes(1000))).status >= 500);
  const second = await start(sidemount);
  await mounted(second);
  await uploadsAndSees(t, demo, "after the update.png");
  t.is((await view(demo, "deployed.png")).status, 200);

  t.is(await app.stop(secondsOf(commands.stopApp)), 0);
  t.is(await second.stop(secondsOf(commands.stopSidemount)), 0);
  for (const { argv } of commands.removeFolder) {
    await run(argv.map((word) => word.replaceAll("/mnt/disks/sidemount", folder)));
  }
  t.false(isFuseMount(join(folder, "uploads")));
});

const declaration = readFileSync("gce/vm/container-declaration.yaml", "utf8");
const wanted = declarationCommand(declaration, { ...values, image: "DEMO" } satisfies TemplateValues);

test.serial("container-declaration.yaml: the one container of a VM, with the least privileges that do", (t) =>
  declared(
    t,
    wanted.flatMap((word) => (word === "--privileged" ? MOUNTING : [word])),
  ),
);

const privileged = accepts("--privileged");
(privileged ? test.serial : test.serial.skip)(
  `container-declaration.yaml: the one container of a VM, privileged${privileged ? "" : ": not tried, because the engine here refuses it"}`,
  (t) => declared(t, wanted),
);

async function declared(t: ExecutionContext, words: Argv): Promise<void> {
  const state = join(await sharedFolder(t), "state");
  await mkdir(state);
  const { web } = await freePorts();
  const container = await runCommand(words, {
    images: { DEMO: imageName("demo") },
    // The host's network would take its port 80.
    replace: { "/var/lib/sidemount:": `${state}:`, "--network=host": `--network=${site().network}` },
    options: [`--env=STORAGE_EMULATOR_HOST=${ENDPOINT}`, `--publish=127.0.0.1:${web}:80`],
  });
  t.teardown(() => container.remove());
  const demo = { publicUrl: `http://localhost:${web}` };
  await answers(`${demo.publicUrl}/`, container);
  await uploadsAndSees(t, demo, "declared.png");
  // The agent gives 10 s, and no option to change it.
  t.is(await container.stop(10), 0);
}

async function uploadsAndSees(t: ExecutionContext, demo: { publicUrl: string }, name: string): Promise<void> {
  const content = randomBytes(150_000);
  await viewWhole(await upload(demo, name, content), content);
  await new BucketApi(site()).mustHold(name, content);
  t.pass();
}
