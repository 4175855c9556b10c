// A sidecar that mounts, and beside it a container with the app and nginx, which needs no privilege.

import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";

import test, { type ExecutionContext } from "ava";

import { BucketApi } from "../../../scripts/acceptance/bucket-api.ts";
import { sendForm, upload, view, viewWhole } from "../../../scripts/acceptance/visitor.ts";
import { isFuseMount } from "../../../scripts/demo/mounts.ts";
import { Container, eventually } from "./container.ts";
import { sharedFolder } from "./shared-folder.ts";
import { answers, siteOfFile, type Demo } from "./site.ts";

const site = siteOfFile();

/** A host's folder for both containers, with the folder in it that is mounted on. */
async function folderOfBoth(t: ExecutionContext): Promise<string> {
  const folder = await sharedFolder(t);
  // As docs/OPERATING.md says: nobody but root may enter them while nothing is mounted there.
  for (const name of ["uploads", "serve"]) await mkdir(join(folder, name), { mode: 0o700 });
  return folder;
}

async function sidecar(t: ExecutionContext, folder: string): Promise<Container> {
  const settings = site().sidecar(["mount", "demo", "/mnt/gcs/uploads", "--serve", "/mnt/gcs/serve"]);
  const volume = `--volume=${folder}:/mnt/gcs:rshared`;
  const container = await Container.run({ ...settings, flags: [...settings.flags!, volume] });
  t.teardown(() => container.remove());
  return container;
}

async function sidecarServes(container: Container, folder: string): Promise<void> {
  await eventually("the mount on the host", () => {
    const mounted = container.logs().stdout.includes(`"message":"mounted"`);
    return (mounted && isFuseMount(join(folder, "uploads"))) || undefined;
  });
}

function app(
  folder: string,
  environment: Record<string, string> = {},
): Parameters<ReturnType<typeof site>["start"]>[0] {
  return {
    privileges: [],
    flags: [`--volume=${folder}:/mnt/gcs:rslave`],
    environment: {
      FLASK_UPLOAD_FOLDER: "/mnt/gcs/uploads",
      SERVE_FOLDER: "/mnt/gcs/serve",
      ...environment,
    },
    args: ["app"],
  };
}

async function uploadsAndSees(demo: Demo, name: string): Promise<void> {
  const content = randomBytes(150_000);
  await viewWhole(await upload(demo, name, content), content);
  await new BucketApi(site()).mustHold(name, content);
}

test.serial(
  "an app that is started first waits for the mount, then serves, and survives new sidecars",
  async (t) => {
    const folder = await folderOfBoth(t);
    const demo = await site().start(app(folder));
    await eventually(
      "it says that it waits",
      () =>
        /no bucket is mounted on \/mnt\/gcs\/uploads; waiting up to 60 s/.test(
          demo.container.logs().stderr,
        ) || undefined,
    );
    await t.throwsAsync(view(demo, "early.png"), undefined, "it serves before there is a mount");

    const first = await sidecar(t, folder);
    await answers(`${demo.publicUrl}/`, demo.container);
    await uploadsAndSees(demo, "first.png");
    await uploadsAndSees(demo, "known.png");

    t.is(await first.stop(), 0);
    t.false(isFuseMount(join(folder, "uploads")), "the sidecar has ended and its mount is there");
    await nothingIsTaken(t, demo, folder);
    await sidecarServes(await sidecar(t, folder), folder);
    await uploadsAndSees(demo, "second.png");
    t.is((await view(demo, "first.png")).status, 200);
    t.is(await demo.container.stop(), 0);
  },
);

test.serial(
  "an app survives a sidecar that was killed, whose dead mount the next one takes away",
  async (t) => {
    const folder = await folderOfBoth(t);
    const first = await sidecar(t, folder);
    const demo = await site().start(app(folder));
    await answers(`${demo.publicUrl}/`, demo.container);
    await uploadsAndSees(demo, "before the kill.png");
    await uploadsAndSees(demo, "known.png");
    await first.kill();
    await nothingIsTaken(t, demo, folder);
    t.is((await demo.container.exec(["/entrypoint.sh", "health"])).status, 1);

    const second = await sidecar(t, folder);
    await sidecarServes(second, folder);
    t.regex(second.logs().stdout, /a dead mount was left here and is removed/);
    await uploadsAndSees(demo, "after the kill.png");
    t.is((await view(demo, "before the kill.png")).status, 200);
    t.is((await demo.container.exec(["/entrypoint.sh", "health"])).status, 0);
  },
);

/** While the mount is away an upload is an error, and lands nowhere. */
async function nothingIsTaken(t: ExecutionContext, demo: Demo, folder: string): Promise<void> {
  const { status } = await sendForm(demo, "lost.png", randomBytes(1000));
  t.true(status >= 500, `an upload without a mount was answered ${status}`);
  const known = (await view(demo, "known.png")).status;
  t.true(known === 403 || known === 500, `a file that exists was answered ${known}`);
  t.is(await new BucketApi(site()).facts("lost.png"), undefined);
  const left = await readdir(join(folder, "uploads")).catch((error: NodeJS.ErrnoException) => [error.code]);
  t.true(left.length === 0 || left[0] === "ENOTCONN", left.join());
}

test.serial("an app whose mount never comes ends with a sentence", async (t) => {
  const folder = await folderOfBoth(t);
  const { container } = await site().start(app(folder, { MOUNT_WAIT_SECONDS: "2" }));
  t.is(await container.ended(), 1);
  t.regex(
    container.logs().stderr,
    /no bucket is mounted on \/mnt\/gcs\/uploads; start the container that mounts it/,
  );
  t.notRegex(container.logs().stdout, /gunicorn/);
});

test.serial("an app does not start where it could write while nothing is mounted", async (t) => {
  const folder = await folderOfBoth(t);
  await chmod(join(folder, "uploads"), 0o777);
  const { container } = await site().start(app(folder));
  t.is(await container.ended(), 1);
  t.regex(container.logs().stderr, /could write into \/mnt\/gcs\/uploads while nothing is mounted there/);
});
