// A start that cannot work ends with a sentence, before anything serves.

import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import test, { type ExecutionContext } from "ava";

import { BucketApi } from "../../../scripts/acceptance/bucket-api.ts";
import { imageName } from "../../../scripts/container/names.ts";
import { Container, docker, MOUNTING } from "./container.ts";
import { sharedFolder } from "./shared-folder.ts";
import { siteOfFile, type DemoSettings } from "./site.ts";

const site = siteOfFile();

/** Starts the demo, which must end by itself with that status and without having served. Answers with what it said. */
async function refused(t: ExecutionContext, settings: DemoSettings, status: number): Promise<string> {
  return ended(t, await site().attempt(settings), status);
}

async function ended(t: ExecutionContext, container: Container, status: number): Promise<string> {
  t.is(await container.ended(), status);
  const { stdout, stderr } = container.logs();
  t.notRegex(stdout + stderr, /gunicorn/, "the app was started");
  const [sentence, ...more] = (stdout + stderr)
    .split("\n")
    .filter((line) => /^(sidemount(-demo)?: |\s)/.test(line));
  t.truthy(sentence, stdout + stderr);
  const told = [sentence, ...more].map((line) => line!.trim()).join(" ");
  t.log(told);
  return told;
}

for (const [what, environment] of Object.entries({
  "without GCS_BUCKET": undefined,
  "with an empty GCS_BUCKET": "",
})) {
  test.serial(`${what} the demo says so in one sentence and ends with status 2`, async (t) => {
    const settings = environment === undefined ? {} : { environment: { GCS_BUCKET: environment } };
    const container = await Container.run({ image: imageName("demo"), ...settings });
    t.teardown(() => container.remove());
    t.regex(await ended(t, container, 2), /^sidemount-demo: GCS_BUCKET is not set: .* -e GCS_BUCKET=NAME/);
    t.is(container.logs().stdout, "");
    t.is(container.logs().stderr.trimEnd().split("\n").length, 1);
  });
}

test.serial("a placeholder in GCS_BUCKET is called one, with status 2", async (t) => {
  const placeholders = [
    "your-bucket-name",
    "my-bucket",
    "CHANGE_ME",
    "<bucket>",
    "REPLACE_WITH_BUCKET",
    "REPLACE-WITH-YOUR-GCS-BUCKET-NAME",
    "${GCS_BUCKET}",
    "gs://your-bucket/photos/",
    "bucket-name",
  ];
  const containers = await Promise.all(
    placeholders.map(
      async (name) => [name, await site().attempt({ environment: { GCS_BUCKET: name } })] as const,
    ),
  );
  for (const [name, container] of containers) {
    const told = await ended(t, container, 2);
    t.true(told.includes(name), told);
    t.regex(told, /placeholder/);
  }
});

test.serial("an absent bucket ends the start before the app runs", async (t) => {
  const told = await refused(t, { environment: { GCS_BUCKET: "no-such-bucket" } }, 1);
  t.regex(told, /no-such-bucket/);
});

test.serial("a bucket that may not be used ends the start before the app runs", async (t) => {
  const told = await new BucketApi(site()).withFaults([{ action: "return-403" }], () => refused(t, {}, 1));
  t.regex(told, /permission|may not|forbidden/i);
});

test.serial("credentials that cannot be read end the start before the app runs", async (t) => {
  const container = await Container.run({
    image: imageName("demo"),
    flags: MOUNTING,
    environment: {
      GCS_BUCKET: "some-uploads",
      GOOGLE_APPLICATION_CREDENTIALS: "/run/secrets/no-such-key.json",
    },
  });
  t.teardown(() => container.remove());
  t.regex(await ended(t, container, 1), /credential|no-such-key/i);
});

test.serial("a bucket server that cannot be reached ends the start before the app runs", async (t) => {
  const told = await refused(t, { environment: { STORAGE_EMULATOR_HOST: "http://nowhere.invalid:4443" } }, 1);
  t.regex(told, /nowhere\.invalid/);
});

test.serial("without the device the start ends with the flag that brings it", async (t) => {
  t.regex(await refused(t, { privileges: ["--cap-add=SYS_ADMIN"] }, 1), /--device \/dev\/fuse/);
});

test.serial("without the capability the start ends with the flag that gives it", async (t) => {
  t.regex(await refused(t, { privileges: ["--device=/dev/fuse"] }, 1), /--cap-add SYS_ADMIN/);
});

test.serial("an option nobody knows ends the start with status 2", async (t) => {
  t.regex(await refused(t, { args: ["--cache-sise", "1GiB"] }, 2), /--cache-sise.*--cache-size/);
});

test.serial("an app that listens elsewhere than nginx looks for it ends the start", async (t) => {
  const container = await site().attempt({
    environment: { GUNICORN_CMD_ARGS: "--bind 127.0.0.1:5001 --timeout 5" },
  });
  t.is(await container.ended(90_000), 1);
  t.regex(container.logs().stdout, /The app does not listen on port 5000/);
});

test.serial("a folder that is no path ends the start with status 2", async (t) => {
  for (const folder of ["uploads", "/srv/my uploads", "/srv/a;b"]) {
    t.true((await refused(t, { environment: { FLASK_UPLOAD_FOLDER: folder } }, 2)).includes(`"${folder}"`));
  }
});

test.serial("uploads/ that holds a file in the image is not hidden (X6)", async (t) => {
  const source = join(await sharedFolder(t), "kept.txt");
  await writeFile(source, "not in the bucket");
  const container = await Container.create({
    image: imageName("demo"),
    flags: [...site().flags, ...MOUNTING],
    environment: { GCS_BUCKET: "demo" },
  });
  t.teardown(() => container.remove());
  await docker.ask(["cp", source, `${container.name}:/srv/demo-app/uploads/kept.txt`]);
  await container.start();
  t.regex(await ended(t, container, 1), /uploads is not empty.*"kept.txt"/);
  await docker.ask(["cp", `${container.name}:/srv/demo-app/uploads/kept.txt`, `${source}.back`]);
  t.is(await readFile(`${source}.back`, "utf8"), "not in the bucket");
});

test.serial("uploads/ that is a volume with files is not hidden (X6)", async (t) => {
  const folder = join(await sharedFolder(t), "uploads");
  await mkdir(folder);
  const content = randomBytes(1000);
  await writeFile(join(folder, "kept.bin"), content);
  const told = await refused(t, { flags: [`--volume=${folder}:/srv/demo-app/uploads`] }, 1);
  t.regex(told, /uploads is already a mount point/);
  t.deepEqual(await readFile(join(folder, "kept.bin")), content);
});
