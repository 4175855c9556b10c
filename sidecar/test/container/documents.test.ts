// The commands of the documents, run as they stand there but for names, ports and folders.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import test, { type ExecutionContext } from "ava";

import { BucketApi } from "../../../scripts/acceptance/bucket-api.ts";
import { upload, viewWhole } from "../../../scripts/acceptance/visitor.ts";
import { buildFolder } from "../../../scripts/container/build.ts";
import { imageName, labels, runName } from "../../../scripts/container/names.ts";
import { freePorts } from "../../../scripts/demo/ports.ts";
import { commandsIn, runCommand, runWords, wordsOf, type Changes } from "./command-line.ts";
import { Container, docker, freshName, MOUNTING } from "./container.ts";
import { sharedFolder } from "./shared-folder.ts";
import { answers, siteOfFile } from "./site.ts";

const site = siteOfFile();

interface Here extends Changes {
  readonly publicUrl: string;
}

/** What a command of the documents is changed into. */
async function here(t: ExecutionContext, more: Record<string, string> = {}): Promise<Here> {
  const { web } = await freePorts();
  const state = freshName("state");
  await docker.ask(["volume", "create", ...labels(), state]);
  t.teardown(async () => void (await docker.call(["volume", "rm", "--force", state])));
  return {
    publicUrl: `http://localhost:${web}`,
    images: { sidemount: imageName("sidecar"), "sidemount-demo": imageName("demo") },
    replace: {
      "my-uploads": "demo",
      "sidemount-state": state,
      "80:80": `127.0.0.1:${web}:80`,
      ...more,
    },
    options: site().flags,
  };
}

async function started(
  t: ExecutionContext,
  command: readonly string[],
  changes: Changes,
): Promise<Container> {
  const container = await runCommand(command, changes);
  t.teardown(() => container.remove());
  return container;
}

async function works(publicUrl: string, container: Container): Promise<void> {
  await answers(`${publicUrl}/`, container);
  const content = randomBytes(200_000);
  await viewWhole(await upload({ publicUrl }, "documented.png", content), content);
  await new BucketApi(site()).mustHold("documented.png", content);
}

const commandsOf = (file: string) => commandsIn(readFileSync(file, "utf8"), "docker run");
const readme = commandsOf("README.md");
const [plain = [], readOnly = [], sidecar = [], app = [], bucket = [], local = [], ...others] =
  commandsOf("docs/OPERATING.md");

test("the documents have as many commands as are tried here", (t) => {
  t.is(readme.length, 1);
  t.true(local.length > 0);
  t.is(others.length, 0);
});

for (const [what, command] of Object.entries({
  "README.md: the demo": readme[0]!,
  "docs/OPERATING.md: the demo": plain,
  "docs/OPERATING.md: the demo on a read-only root": readOnly,
})) {
  test.serial(`${what} runs by its command`, async (t) => {
    const changes = await here(t);
    const container = await started(t, command, changes);
    await works(changes.publicUrl, container);
    t.is(await container.stop(), 0);
  });
}

test.serial("docs/OPERATING.md: a sidecar and an app run by their commands", async (t) => {
  const folder = await sharedFolder(t);
  for (const name of ["uploads", "serve"]) await mkdir(join(folder, name), { mode: 0o700 });
  const changes = await here(t, { "/mnt/disks/gcs": folder });
  const gcs = await started(t, sidecar, changes);
  const web = await started(t, app, changes);
  await works(changes.publicUrl, web);
  t.is(await web.stop(), 0);
  t.is(await gcs.stop(), 0);
});

test.serial(
  "docs/OPERATING.md: without an account, a bucket server and the demo run by their commands",
  async (t) => {
    const changes = await here(t, { "http://bucket:4443": "http://local:4443", uploads: site().network });
    const { publicUrl, images, replace } = changes;
    // `uploads` is the network there; the bucket keeps its name.
    const ours = { images, replace: { ...replace, "my-uploads": "demo" } };
    await started(t, bucket, { ...ours, options: ["--network-alias=local"] });
    const demo = await started(t, local, ours);
    await answers(`${publicUrl}/`, demo);
    const content = randomBytes(100_000);
    await viewWhole(await upload({ publicUrl }, "without an account.png", content), content);
    t.is(await demo.stop(), 0);
  },
);

test.serial("docs/OPERATING.md: an image with an app of one's own is built and runs", async (t) => {
  t.timeout(300_000);
  const text = readFileSync("docs/OPERATING.md", "utf8");
  const lines = /(?: {4}.*\n)+/.exec(text.slice(text.indexOf("\n    FROM sidemount\n") + 1))![0];
  const folder = await sharedFolder(t);
  await writeFile(
    join(folder, "Dockerfile"),
    lines.replace("FROM sidemount", `FROM ${imageName("sidecar")}`),
  );
  await mkdir(join(folder, "app"));
  await writeFile(
    join(folder, "app", "app.py"),
    "import flask, os\nopen('/srv/app/uploads/by-flask.txt', 'w').write(f'user {os.getuid()}')\n",
  );
  const name = `${runName()}:own`;
  await buildFolder(docker, folder, name);
  const container = await Container.run({
    image: name,
    flags: [...site().flags, ...MOUNTING],
    environment: { GCS_BUCKET: "demo" },
  });
  t.teardown(() => container.remove());
  t.is(await container.ended(), 0);
  await new BucketApi(site()).mustHold("by-flask.txt", Buffer.from("user 33"));
});

test("a command line is split and changed as a shell would read it", (t) => {
  t.deepEqual(wordsOf(`docker run  "a b" 'c "d"' e\\ f \\\n  --env=X="y z"`), [
    "docker",
    "run",
    "a b",
    'c "d"',
    "e f",
    "--env=X=y z",
  ]);
  const words = wordsOf(
    "docker run --rm --name=x --name y -v /var/lib/sidemount:/state -p 80:80 sidemount mount",
  );
  const changes = {
    images: { sidemount: "image" },
    replace: { "/var/lib/sidemount:": "/elsewhere:", "80:80": "8080:80" },
    options: ["--network=n"],
  };
  t.deepEqual(runWords(words, changes), [
    "--network=n",
    "-v",
    "/elsewhere:/state",
    "-p",
    "8080:80",
    "image",
    "mount",
  ]);
});
