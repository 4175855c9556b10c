import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import test, { type ExecutionContext } from "ava";

import { runProgram, top } from "./helpers/cloud.ts";
import { temporaryFolder } from "./helpers/folder.ts";
import { matchesGolden } from "./helpers/golden.ts";
import { problemsOf } from "./helpers/terraform-check.ts";
import { addressesFor, blocksOf, readModule, referencesIn, type Module } from "./helpers/terraform.ts";

const root = path.join(top, "gce/terraform");
const three = ["acme", "blue-sky", "corner-shop"];

test("every name in the modules leads somewhere, every argument is taken, none that must be given is missing", async (t) => {
  t.deepEqual(await problemsOf(await readModule(root)), []);
});

// The same modules with one thing changed.
async function problemsWith(t: ExecutionContext, file: string, from: string, to: string): Promise<string[]> {
  const folder = temporaryFolder(t, "terraform");
  cpSync(root, folder, { recursive: true });
  const changed = path.join(folder, file);
  const text = readFileSync(changed, "utf8");
  if (!text.includes(from)) throw new Error(`${file} does not contain ${from}`);
  writeFileSync(changed, text.replace(from, to));
  return problemsOf(await readModule(folder));
}

const mistakes: readonly (readonly [string, string, string, RegExp])[] = [
  [
    "main.tf",
    "var.network\n  direction",
    "var.net\n  direction",
    /refers to var\.net: there is no such variable/,
  ],
  ["main.tf", "role          = module.role.name", "role          = module.role.id", /no such output/],
  ["main.tf", "role          = module.role.name", "rule          = module.role.name", /no variable for/],
  ["main.tf", "  name          = each.key\n", "", /module\.customer is not given name/],
  ["outputs.tf", "customer in module.customer", "customer in module.customers", /no such module/],
  [
    "modules/sidemount/main.tf",
    "google_service_account.vm.email}",
    "google_service_account.vm.mail}",
    /no such attribute/,
  ],
  ["modules/sidemount/main.tf", "scopes = [", "scope = [", /there is no service_account\.scope\b/],
  ["modules/sidemount/main.tf", "scopes = [", "scope = [", /service_account\.scopes is missing/],
  [
    "modules/sidemount/main.tf",
    "network_interface {",
    "network_interfaces {",
    /network_interface is missing/,
  ],
  ["modules/sidemount/main.tf", "local.zone", "local.zones", /no such local/],
  ["modules/sidemount/main.tf", "local.zone", '"x"', /nobody uses local\.zone/],
  [
    "modules/role/main.tf",
    "/roles/${google_project_iam_custom_role.bucket.role_id}",
    "/roles/${google_project_iam_custom_role.bucket.id}",
    /role decides how many there are, and depends on google_project_iam_custom_role\.bucket\.id/,
  ],
];

for (const [file, from, to, problem] of mistakes) {
  test(`the check finds what is wrong in ${file}: ${problem.source}`, async (t) => {
    const problems = await problemsWith(t, file, from, to);
    t.true(
      problems.some((each) => problem.test(each)),
      problems.join("\n"),
    );
  });
}

test("the resources for three customers are these", async (t) => {
  matchesGolden(
    t,
    "terraform-three-customers.txt",
    `${addressesFor(await readModule(root), three).join("\n")}\n`,
  );
});

test("a fourth customer adds his own resources and changes no other", async (t) => {
  const module = await readModule(root);
  const before = addressesFor(module, three);
  const after = addressesFor(module, [...three, "dune"]);
  const added = after.filter((address) => !before.includes(address));
  t.deepEqual(
    before.filter((address) => !after.includes(address)),
    [],
  );
  t.true(added.length > 5);
  for (const address of added) t.regex(address, /^module\.customer\["dune"\]\./);

  // Nothing but the list's own call looks at the whole list; within it, only at the one customer.
  for (const { address, body } of blocksOf(module)) {
    const uses = (await referencesIn(body)).some(([kind, name]) => kind === "var" && name === "customers");
    t.is(uses, ["module.customer", "var.customers"].includes(address), address);
  }
  const call = module.calls["customer"];
  const { for_each, ...passed } = call?.body ?? {};
  t.is(for_each, "${var.customers}");
  t.false((await referencesIn(passed)).some(([kind, name]) => kind === "module" && name === "customer"));
});

async function used(module: Module, type: string): Promise<string[]> {
  const bodies = module.resources
    .filter(({ address }) => address.startsWith(`${type}.`))
    .map(({ body }) => body);
  return bodies.map((body) => String(body["role"] ?? body["permissions"]));
}

test("a customer's identity gets the listed permissions on his own bucket, his images, and writing logs", async (t) => {
  const module = (await readModule(root)).calls["customer"]?.module as Module;
  t.deepEqual(await used(module, "google_storage_bucket_iam_member"), ["${local.role}"]);
  t.deepEqual(await used(module, "google_project_iam_member"), ["roles/logging.logWriter"]);
  t.deepEqual(await used(module, "google_artifact_registry_repository_iam_member"), [
    "roles/artifactregistry.reader",
  ]);
  t.false(
    module.resources.some(({ address }) => address.includes("key")),
    "no key file is ever made",
  );
  const bucket = module.resources.find(({ address }) => address === "google_storage_bucket.uploads")?.body;
  t.like(bucket, {
    uniform_bucket_level_access: true,
    public_access_prevention: "enforced",
    force_destroy: false,
  });
});

// Only where Terraform is installed: no package registry has it, and the files are parsed and compared without it too.
const terraform = spawnSync("terraform", ["version"]).status === 0;

(terraform ? test : test.skip)("the files are formatted as Terraform does", async (t) => {
  const words = ["fmt", "-check", "-diff", "-recursive", root];
  const { status, stdout } = await runProgram("terraform", words);
  t.is(status, 0, stdout);
});

(terraform ? test : test.skip)(
  "the role is made of the list of permissions, comments left out",
  async (t) => {
    const folder = temporaryFolder(t, "terraform");
    const { locals, directory } = await readModule(path.join(root, "modules/role"));
    const text = String(locals["permissions"]).replace(/^\$\{|\}$/g, "");
    const lines = String(locals["lines"])
      .replace(/^\$\{|\}$/g, "")
      .replace("${path.module}", directory);
    const input = `jsonencode(${text.replace("local.lines", lines)})\n`;
    const { status, stdout, stderr } = await runProgram("terraform", ["console"], { cwd: folder, input });
    t.is(status, 0, stderr);
    t.deepEqual(JSON.parse(JSON.parse(stdout) as string), [
      "storage.objects.list",
      "storage.objects.get",
      "storage.objects.create",
      "storage.objects.delete",
      "storage.objects.update",
      "storage.objects.move",
      "storage.buckets.get",
      "storage.folders.create",
      "storage.folders.get",
      "storage.folders.list",
      "storage.folders.delete",
      "storage.folders.rename",
    ]);
  },
);
