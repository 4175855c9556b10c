// The commands of the documents, run as they stand there but for names, ports and folders.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import test, { type ExecutionContext } from "ava";

import { BucketApi } from "../../../scripts/acceptance/bucket-api.ts";
import { upload, viewWhole } from "../../../scripts/acceptance/visitor.ts";
import { imageName, labels } from "../../../scripts/container/names.ts";
import { freePorts } from "../../../scripts/demo/ports.ts";
import { commandsIn, runLine, runWords, wordsOf } from "./command-line.ts";
import { docker, freshName, type Container } from "./container.ts";
import { sharedFolder } from "./shared-folder.ts";
import { answers, siteOfFile } from "./site.ts";

const site = siteOfFile();

/** What a command of the documents is changed into. */
async function changes(t: ExecutionContext, more: Record<string, string> = {}) {
  const { web } = await freePorts();
  const state = freshName("state");
  await docker.ask(["volume", "create", ...labels(), state]);
  t.teardown(async () => void (await docker.call(["volume", "rm", "--force", state])));
  const replace = {
    sidemount: imageName("sidecar"),
    "sidemount-demo": imageName("demo"),
    "my-uploads": "demo",
    "sidemount-state": state,
    "80:80": `127.0.0.1:${web}:80`,
    ...more,
  };
  return { publicUrl: `http://localhost:${web}`, replace };
}

async function works(t: ExecutionContext, publicUrl: string, container: Container): Promise<void> {
  await answers(`${publicUrl}/`, container);
  const content = randomBytes(200_000);
  await viewWhole(await upload({ publicUrl }, "documented.png", content), content);
  await new BucketApi(site()).mustHold("documented.png", content);
  t.is(await container.stop(), 0);
}

const operating = commandsIn(readFileSync("docs/OPERATING.md", "utf8"), "docker run");
const readme = commandsIn(readFileSync("README.md", "utf8"), "docker run");
const [plain, readOnly, sidecar, app, bucket, local] = operating;

test("the documents have as many commands as are tried here", (t) => {
  t.is(operating.length, 6);
  t.is(readme.length, 1);
});

for (const [what, command] of Object.entries({
  "the demo": plain,
  "the demo on a read-only root": readOnly,
})) {
  test.serial(`docs/OPERATING.md: ${what} runs by its command`, async (t) => {
    const { publicUrl, replace } = await changes(t);
    const container = await runLine(command!, { replace, add: site().flags });
    t.teardown(() => container.remove());
    await works(t, publicUrl, container);
  });
}

test.serial("docs/OPERATING.md: a sidecar and an app run by their commands", async (t) => {
  const folder = await sharedFolder(t);
  await mkdir(join(folder, "uploads"));
  const { publicUrl, replace } = await changes(t, { "/mnt/disks/gcs": folder });
  const gcs = await runLine(sidecar!, { replace, add: site().flags });
  t.teardown(() => gcs.remove());
  const web = await runLine(app!, { replace, add: site().flags });
  t.teardown(() => web.remove());
  await works(t, publicUrl, web);
  t.is(await gcs.stop(), 0);
});

test.serial(
  "docs/OPERATING.md: without an account, a bucket server and the demo run by their commands",
  async (t) => {
    const { publicUrl, replace } = await changes(t, {
      uploads: site().network,
      "http://bucket:4443": "http://local:4443",
    });
    const server = await runLine(bucket!, { replace, add: ["--network-alias=local"] });
    t.teardown(() => server.remove());
    const demo = await runLine(local!, { replace });
    t.teardown(() => demo.remove());
    await answers(`${publicUrl}/`, demo);
    const content = randomBytes(100_000);
    await viewWhole(await upload({ publicUrl }, "without an account.png", content), content);
    t.is(await demo.stop(), 0);
  },
);

test("a command line is split and changed as a shell and systemd would read it", (t) => {
  t.deepEqual(wordsOf(`docker run  "a b" 'c "d"' e\\ f \\\n  --env=X="y z"`), [
    "docker",
    "run",
    "a b",
    'c "d"',
    "e f",
    "--env=X=y z",
  ]);
  const line =
    "/usr/bin/docker run --rm --name=x --name y -v /var/lib/sidemount:/state -p 80:80 sidemount mount";
  const replace = { sidemount: "image", "/var/lib/sidemount": "/elsewhere", "80:80": "8080:80" };
  t.deepEqual(runWords(line, { replace, add: ["--network=n"] }), [
    "--network=n",
    "-v",
    "/elsewhere:/state",
    "-p",
    "8080:80",
    "image",
    "mount",
  ]);
  t.throws(() => runWords("docker stop x", {}), { message: /no docker run/ });
});
