// When something is wrong with the bucket: X2, X3, X4.

import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { isFuseMount } from "../demo/mounts.ts";
import { projectDirectory } from "../demo/place.ts";
import { ownEnvironment } from "../demo/services.ts";
import { bucketName } from "../demo/stage.ts";
import type { Stage } from "./stage.ts";
import { BucketApi } from "./bucket-api.ts";
import { request } from "./http.ts";
import { run, type Outcome } from "./programs.ts";
import { equal, holds, type Group } from "./step.ts";
import { sendForm, upload, view, viewWhole } from "./visitor.ts";

// gunicorn gives up on a worker after this time.
const patienceMs = 30_000;

export const trouble: Group = {
  name: "Trouble",
  steps: [
    {
      id: "X2",
      title: "an upload the bucket does not take is an error in time, and leaves what was there",
      expected:
        "5xx in under 30 s for a new and for an existing name; no object, the old one intact; then 302",
      run: bucketRefusesWrites,
    },
    {
      id: "X3",
      title: "what may not be read is forbidden, not absent",
      expected: "403 from nginx and EACCES for a program; 404 only for what is really absent",
      run: forbiddenReads,
    },
    {
      id: "X3",
      title: "a bucket that may not be used is not mounted",
      expected: "an exit status that is not 0, a sentence on stderr, no mount",
      run: forbiddenMount,
    },
    {
      id: "X4, B.3-11",
      title: "an absent bucket, a placeholder and bad credentials end the start before the app is run",
      expected: "an exit status that is not 0 and a sentence each time; the command was never run",
      run: wrongStarts,
    },
  ],
};

async function bucketRefusesWrites(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  const old = randomBytes(50_000);
  await upload(stage, "steady.pdf", old);
  const { generation } = await bucket.mustHold("steady.pdf", old);
  const took: number[] = [];
  const statuses: number[] = [];
  const faults = ["insert", "compose", "rewrite", "copy", "update", "patch", "move"].map((call) => ({
    method: `storage.objects.${call}`,
    action: "return-503",
  }));
  await bucket.withFaults(faults, async () => {
    for (const name of ["never there.pdf", "steady.pdf"]) {
      const begin = performance.now();
      const { status } = await sendForm(stage, name, randomBytes(60_000));
      took.push(performance.now() - begin);
      statuses.push(status);
      holds(status >= 500 && status < 600, `status ${status} for ${name}`);
    }
  });
  for (const ms of took) holds(ms < patienceMs, `took ${Math.round(ms)} ms`);
  equal("object under the new name", await bucket.facts("never there.pdf"), undefined);
  equal("generation of the old one", (await bucket.mustHold("steady.pdf", old)).generation, generation);
  equal("GET of the new name", (await view(stage, "never there.pdf")).status, 404);
  await viewWhole(`${stage.publicUrl}/uploads/steady.pdf`, old);

  const content = randomBytes(70_000);
  for (const name of ["never there.pdf", "steady.pdf"]) {
    await viewWhole(await upload(stage, name, content), content);
    await bucket.mustHold(name, content);
  }
  return `${statuses.join(" and ")} after ${took.map((ms) => (ms / 1000).toFixed(1)).join(" and ")} s; old one intact; then 302`;
}

async function forbiddenReads(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  await bucket.write("closed/secret.txt", Buffer.from("secret"));
  const faults = ["get", "list"].map((call) => ({ method: `storage.objects.${call}`, action: "return-403" }));
  const url = `${stage.publicUrl}/uploads/closed/secret.txt`;
  const code = await bucket.withFaults(faults, async () => {
    equal("status of nginx", (await request(url)).status, 403);
    equal("status of an unknown name", (await view(stage, "unknown.txt")).status, 403);
    const codeOf = (error: NodeJS.ErrnoException) => error.code;
    equal(
      "opening it",
      await readFile(join(stage.uploads, "closed/secret.txt")).then(String, codeOf),
      "EACCES",
    );
    return await readdir(join(stage.uploads, "closed")).then((names) => names.join(" "), codeOf);
  });
  equal("listing the folder", code, "EACCES");
  await viewWhole(url, Buffer.from("secret"));
  equal("an unknown name afterwards", (await view(stage, "unknown.txt")).status, 404);
  return "403, EACCES, EACCES; readable again once it is allowed";
}

async function forbiddenMount(stage: Stage): Promise<string> {
  return await new BucketApi(stage).withFaults([{ action: "return-403" }], async () => {
    const said = await refusedStart(stage, [bucketName, "--endpoint", stage.bucketUrl]);
    const told = sentence(said);
    holds(/permission|forbidden|may not/i.test(told), `said: ${told}`);
    return `status ${said.status}: ${told}`;
  });
}

async function wrongStarts(stage: Stage): Promise<string> {
  const local = ["--endpoint", stage.bucketUrl];
  const absent = sentence(await refusedStart(stage, ["no-such-bucket", ...local]));
  holds(absent.includes("no-such-bucket"), `said: ${absent}`);

  const name = "REPLACE-WITH-YOUR-GCS-BUCKET-NAME";
  const placeholder = sentence(await refusedStart(stage, local, { GCS_BUCKET: name }));
  holds(placeholder.includes(name), `said: ${placeholder}`);

  const key = { GOOGLE_APPLICATION_CREDENTIALS: join(stage.folder, "no-such-key.json") };
  const credentials = sentence(await refusedStart(stage, [bucketName], key));
  holds(/credential|no-such-key/i.test(credentials), `said: ${credentials}`);
  return [absent, placeholder, credentials].join(" / ");
}

/** What a person is told, behind the log. */
function sentence({ stderr }: Outcome): string {
  const said = /^sidemount: (.*(?:\n {2,}.*)*)$/m.exec(stderr)?.[1];
  holds(said !== undefined, `no sentence for a person: ${stderr}`);
  return said.replace(/\n */g, " ");
}

/** Starts `sidemount exec` in a way that must fail: the command must not run and nothing may be mounted. */
async function refusedStart(
  stage: Stage,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const directory = join(stage.folder, "refused");
  await mkdir(directory, { recursive: true });
  const operands = args[0]?.startsWith("--") ? [directory, ...args] : [args[0]!, directory, ...args.slice(1)];
  const state = ["--state-dir", join(stage.folder, "tmp", "refused-state")];
  const main = join(projectDirectory, "sidecar", "main.ts");
  const command = [process.execPath, main, "exec", ...operands, ...state, "--", "echo", "the app was run"];
  const outcome = await run(command, { environment: { ...ownEnvironment(), ...environment } });
  holds(outcome.status !== 0 && outcome.status !== null, `status ${outcome.status}`);
  holds(!outcome.stdout.includes("the app was run"), "the command was run");
  holds(!isFuseMount(directory), "it is mounted");
  await rmdir(directory);
  return outcome;
}
