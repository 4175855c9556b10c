import { readFileSync } from "node:fs";
import path from "node:path";

import test from "ava";
import { parse as parseYaml } from "yaml";

import { readTracked, trackedFiles } from "../../sidecar/test/structure/sources.ts";
import { dryRun, runProgram, top } from "./helpers/cloud.ts";

interface Workflow {
  readonly on: unknown;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: { readonly images: { readonly steps: readonly Readonly<Record<string, string>>[] } };
}

const text = readFileSync(path.join(top, ".github/workflows/images.yml"), "utf8");
const workflow = parseYaml(text) as Workflow;
const scripts = workflow.jobs.images.steps.flatMap(({ run }) => (run === undefined ? [] : [run]));

test("each push builds both images, under the commit and as latest, and no key is needed for it", async (t) => {
  t.is(workflow.on, "push");
  t.deepEqual(workflow.permissions, { contents: "read", "id-token": "write" });
  t.notRegex(text, /secrets\.|credentials_json/);
  t.true(scripts.some((script) => script.includes('--tag "sha-${GITHUB_SHA::12}"')));
  t.true(scripts.some((script) => script.includes('docker push "$path:latest"')));
  // What the scripts push again as latest is what deploy.sh has built.
  const { stdout } = await dryRun("deploy.sh", "build", "--tag", "sha-0123456789ab");
  for (const image of ["sidemount", "demo"]) {
    t.true(
      stdout.includes(
        `docker push us-east1-docker.pkg.dev/acme-photos/sidemount/${image}:sha-0123456789ab\n`,
      ),
    );
  }
  for (const script of scripts) {
    const { status, stdout: said } = await runProgram("shellcheck", ["--shell=bash", "-"], { input: script });
    t.is(status, 0, said);
  }
});

test("no tracked file is a service account's key", (t) => {
  for (const file of trackedFiles()) {
    if (!/\.(json|pem|p12|key|ya?ml|tf|tfvars|sh)$/.test(file)) continue;
    t.notRegex(readTracked(file) ?? "", /-----BEGIN [A-Z ]*PRIVATE KEY-----|"private_key_id"/, file);
  }
});
