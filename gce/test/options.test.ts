import { readFileSync } from "node:fs";
import path from "node:path";

import test from "ava";

import { cloudInitCommands, declarationCommand } from "../../scripts/container/deployed-commands.ts";
import { parseBucketAddress } from "../../sidecar/config/bucket-name.ts";
import { optionKeys, specOf, type Machine } from "../../sidecar/config/option-table.ts";
import { containerOf, podsOf, rendered } from "./helpers/chart.ts";
import { top } from "./helpers/cloud.ts";

const machine: Machine = { uid: 0, gid: 0, workingDirectory: "/", passwd: "", group: "" };
const specs = optionKeys.map(specOf);

/** What a command line and an environment ask of sidemount that it would not understand. */
function misunderstood(words: readonly string[], environment: Readonly<Record<string, string>>): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith("SIDEMOUNT_")) continue;
    const spec = specs.find((each) => each.environment === name);
    if (spec === undefined) problems.push(`there is no ${name}`);
    else attempt(problems, name, () => spec.parse(value, machine));
  }
  const [command, bucket = "", , ...options] = words;
  if (command !== undefined) {
    if (command !== "mount") problems.push(`"${command}" is not mount`);
    attempt(problems, bucket, () => parseBucketAddress(bucket));
  }
  for (const word of options.filter((each) => each.startsWith("--"))) {
    if (!specs.some(({ flag }) => word === `--${flag}`)) problems.push(`there is no ${word}`);
  }
  return problems;
}

function attempt(problems: string[], what: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    problems.push(`${what}: ${String(error)}`);
  }
}

function environmentOf(argv: readonly string[]): Record<string, string> {
  const pairs = argv
    .filter((word) => word.startsWith("--env="))
    .map((word) => word.slice("--env=".length).split("="));
  return Object.fromEntries(pairs) as Record<string, string>;
}

test("sidemount understands what the units, the declaration and the chart say to it", async (t) => {
  const values = {
    bucket: "acme-photos",
    cache_size: "5GiB",
    registry: "r",
    sidecar_image: "side:1",
    app_image: "app:1",
  };
  const { sidemount } = cloudInitCommands(
    readFileSync(path.join(top, "gce/vm/cloud-init.yaml"), "utf8"),
    values,
  );
  t.deepEqual(misunderstood(sidemount.slice(sidemount.indexOf("side:1") + 1), environmentOf(sidemount)), []);

  const template = readFileSync(path.join(top, "gce/vm/container-declaration.yaml"), "utf8");
  const declared = declarationCommand(template, {
    image: "demo:1",
    bucket: "acme-photos",
    cache_size: "5GiB",
  });
  t.deepEqual(misunderstood([], environmentOf(declared)), []);
  t.deepEqual(parseBucketAddress(environmentOf(declared)["GCS_BUCKET"] ?? ""), {
    bucket: "acme-photos",
    prefix: undefined,
  });

  const resources = await rendered(t);
  for (const customer of ["acme", "corner-shop"]) {
    const { args = [], env = [] } = containerOf(podsOf(resources, customer), "sidemount");
    const environment = Object.fromEntries(env.map(({ name, value }) => [name, value]));
    t.deepEqual(misunderstood(args, environment), [], customer);
  }

  t.deepEqual(
    misunderstood(["mount", "gs://x-y-z", "/m", "--sole"], {
      SIDEMOUNT_CACHE_SIZES: "1",
      SIDEMOUNT_CACHE_SIZE: "5",
    }).length,
    3,
  );
});
