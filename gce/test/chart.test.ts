import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import test from "ava";
import { parse as parseYaml } from "yaml";

import {
  containerOf,
  example,
  lint,
  podsOf,
  render,
  rendered,
  resourcesIn,
  type Resource,
  type Values,
} from "./helpers/chart.ts";
import { runProgram, tools } from "./helpers/cloud.ts";
import { temporaryFolder } from "./helpers/folder.ts";
import { matchesGolden } from "./helpers/golden.ts";

const customers = (parseYaml(readFileSync(example, "utf8")) as { customers: object[] }).customers;
const dune = { name: "dune", bucket: "dune-photos" };

const variants: Readonly<Record<string, Values>> = {
  "the example": {},
  "without nginx and without the serve folder": { nginx: { enabled: false }, sidemount: { serve: false } },
  "state on a volume of its own": {
    state: { kind: "ephemeral", size: "20Gi", storageClassName: "premium-rwo" },
  },
  "everything that is passed on": {
    imagePullSecrets: [{ name: "registry" }],
    service: { type: "LoadBalancer", annotations: { a: "b" } },
    serviceAccount: { annotations: { c: "d" }, automountToken: true },
    sidemount: { extraArgs: ["--sole-writer"], env: [{ name: "SIDEMOUNT_FRESHNESS", value: "10s" }] },
    podAnnotations: { e: "f" },
    podLabels: { g: "h" },
    nodeSelector: { disk: "ssd" },
    tolerations: [{ key: "only", operator: "Exists" }],
    affinity: { nodeAffinity: {} },
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway", labelSelector: {} },
    ],
  },
  "nobody yet": { customers: [] },
};

for (const [name, values] of Object.entries(variants)) {
  test(`helm finds nothing wrong with the chart, and Kubernetes takes what comes out: ${name}`, async (t) => {
    const linted = await lint(t, values);
    t.is(linted.status, 0, linted.stdout + linted.stderr);
    const { status, stdout, stderr } = await render(t, values);
    t.is(status, 0, stderr);
    if (resourcesIn(stdout).length === 0) return;
    const file = path.join(temporaryFolder(t, "manifests"), "all.yaml");
    writeFileSync(file, stdout);
    // The oldest that the chart is for, and a newer one.
    for (const version of ["1.29", "1.36"]) {
      const words = ["--strict", "--quiet", "--kubernetes-version", version, file];
      const checked = await runProgram(path.join(tools, "python/bin/kubernetes-validate"), words);
      t.deepEqual({ ...checked, version }, { status: 0, stdout: "", stderr: "", version });
    }
  });
}

test("what Kubernetes would not take is found", async (t) => {
  const { stdout } = await render(t, {});
  const file = path.join(temporaryFolder(t, "manifests"), "all.yaml");
  writeFileSync(file, stdout.replace("mountPropagation: Bidirectional", "mountPropagations: Bidirectional"));
  const words = ["--strict", "--quiet", "--kubernetes-version", "1.33", file];
  const {
    status,
    stdout: said,
    stderr,
  } = await runProgram(path.join(tools, "python/bin/kubernetes-validate"), words);
  t.not(status, 0);
  t.regex(said + stderr, /mountPropagations/);
});

test("the resources for three customers are these, and of one of them they say this", async (t) => {
  const { stdout } = await render(t);
  matchesGolden(t, "chart-three-customers.txt", `${resourcesIn(stdout).map(nameOf).join("\n")}\n`);
  const ofOne = stdout.split(/^---\n/m).filter((text) => /^ {2}name: photos-(acme|nginx)/m.test(text));
  matchesGolden(t, "chart-acme.yaml", ofOne.join("---\n"));
});

const nameOf = ({ kind, metadata }: Resource): string => `${kind} ${metadata.name}`;

test("a fourth customer adds his own resources and changes no other", async (t) => {
  const before = await rendered(t);
  // In front of the others, and not behind them.
  const after = await rendered(t, { customers: [dune, ...customers] });
  const old = after.filter((resource) => before.some((each) => nameOf(each) === nameOf(resource)));
  t.deepEqual(
    new Map(old.map((each) => [nameOf(each), each])),
    new Map(before.map((each) => [nameOf(each), each])),
  );
  const added = after.filter((resource) => !old.includes(resource));
  t.deepEqual(added.map(nameOf), [
    "ServiceAccount photos-dune",
    "Service photos-dune",
    "Deployment photos-dune",
    "Pod photos-dune-answers",
  ]);
});

test("no customer's resources name another's, and each pod has its own identity without a key", async (t) => {
  const resources = await rendered(t);
  const names = ["acme", "blue-sky", "corner-shop"];
  for (const name of names) {
    const own = resources.filter(({ metadata }) => metadata.name.startsWith(`photos-${name}`));
    const text = JSON.stringify(own);
    t.is(own.length, 4);
    for (const other of names.filter((each) => each !== name))
      t.false(text.includes(other), `${name}: ${other}`);
    t.notRegex(text, /"secret"|GOOGLE_APPLICATION_CREDENTIALS|key\.json/i);
    t.is(podsOf(resources, name).serviceAccountName, `photos-${name}`);
  }
});

test("the mount is there before the app and ends after it, and only who mounts is privileged", async (t) => {
  const pods = podsOf(await rendered(t), "acme");
  t.deepEqual(
    pods.initContainers.map(({ name }) => name),
    ["folders", "sidemount"],
  );
  const sidemount = containerOf(pods, "sidemount");
  t.is(sidemount.restartPolicy, "Always"); // a native sidecar
  t.truthy(sidemount.startupProbe);
  t.is(sidemount.lifecycle, undefined); // a preStop hook would run before the app has ended
  t.deepEqual(
    [...pods.initContainers, ...pods.containers]
      .filter(({ securityContext }) => securityContext["privileged"] === true)
      .map(({ name }) => name),
    ["sidemount"],
  );
  t.is(sidemount.volumeMounts.find(({ name }) => name === "sidemount")?.mountPropagation, "Bidirectional");
  for (const { name, volumeMounts, securityContext } of pods.containers) {
    t.deepEqual(
      volumeMounts.find((each) => each.name === "sidemount"),
      { name: "sidemount", mountPath: "/mnt/sidemount", mountPropagation: "HostToContainer", readOnly: true },
      name,
    );
    t.like(securityContext, { runAsNonRoot: true, allowPrivilegeEscalation: false }, name);
  }
});

test("what is set for one customer goes before what is set for all", async (t) => {
  const special = { ...dune, replicas: 0, env: [{ name: "FLASK_UPLOAD_FOLDER", value: "/elsewhere" }] };
  const resources = await rendered(t, { customers: [special, ...customers], replicas: 3 });
  const replicas = resources
    .filter(({ kind }) => kind === "Deployment")
    .map(({ spec }) => spec as { replicas: number });
  t.deepEqual(
    replicas.map((spec) => spec.replicas),
    [0, 2, 3, 3],
  );
  t.is(containerOf(podsOf(resources, "dune"), "app").env?.at(-1)?.value, "/elsewhere");
});

const refused: readonly (readonly [string, Values, RegExp])[] = [
  ["a pod that ends before sidemount can", { terminationGracePeriodSeconds: 45 }, /give at least 55/],
  [
    "two customers of one name",
    { customers: [...customers, { name: "acme", bucket: "other" }] },
    /two called acme/,
  ],
  ["a customer without a bucket", { customers: [{ name: "acme" }] }, /bucket/],
  ["a bucket with gs:// in front", { customers: [{ name: "acme", bucket: "gs://x-y-z" }] }, /pattern/],
  ["a name with a capital", { customers: [{ ...dune, name: "Dune" }] }, /pattern/],
  ["a value that does not exist", { sidemount: { cachesize: "1GiB" } }, /cachesize/],
  ["a customer's value that does not exist", { customers: [{ ...dune, replica: 2 }] }, /replica/],
  ["no app", { containers: [] }, /containers/],
  [
    "an app that is called like the sidecar",
    { containers: [{ name: "sidemount", image: "x" }] },
    /containers/,
  ],
  ["no image", { image: { repository: "" } }, /repository/],
  ["a size in Kubernetes' words where sidemount reads it", { sidemount: { cacheSize: "4Gi" } }, /cacheSize/],
];

for (const [what, values, why] of refused) {
  test(`refused: ${what}`, async (t) => {
    const { status, stderr } = await render(t, values);
    t.not(status, 0);
    t.regex(stderr, why);
  });
}

test("the web server takes its configuration", async (t) => {
  const map = (await rendered(t)).find(({ kind }) => kind === "ConfigMap");
  const folder = temporaryFolder(t, "nginx");
  const data = (map?.["data"] ?? {}) as Record<string, string>;
  writeFileSync(path.join(folder, "default.conf"), data["default.conf"] ?? "");
  const main = `pid ${folder}/pid; error_log stderr;\nevents {}\nhttp { access_log off; include ${folder}/default.conf; }\n`;
  writeFileSync(path.join(folder, "nginx.conf"), main);
  const { status, stderr } = await runProgram("/usr/sbin/nginx", [
    "-t",
    "-q",
    "-c",
    path.join(folder, "nginx.conf"),
  ]);
  t.is(status, 0, stderr);
});
