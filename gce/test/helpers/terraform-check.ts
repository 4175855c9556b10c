// What is wrong with a Terraform module, in sentences: names that lead nowhere, arguments nobody takes or nobody
// gives, and decisions about how many there are by what is not known before they are made.

import path from "node:path";

import { resourceTypes, type ResourceType } from "../fake/terraform-google.ts";
import { blocksOf, referencesIn, type Body, type Module, type Reference } from "./terraform.ts";

const metaArguments = [
  "for_each",
  "count",
  "depends_on",
  "lifecycle",
  "provider",
  "providers",
  "source",
  "version",
];

/** All problems of `module` and those it calls. */
export async function problemsOf(module: Module): Promise<string[]> {
  const own = [
    ...(await badReferences(module)),
    ...(await unused(module)),
    ...callProblems(module),
    ...module.resources.flatMap(({ address, body }) => resourceProblems(address, body)),
    ...(await unknownCounts(module)),
  ].map((problem) => `${path.basename(module.directory)}: ${problem}`);
  const below = await Promise.all(Object.values(module.calls).map((call) => problemsOf(call.module)));
  return [...own, ...below.flat()];
}

async function badReferences(module: Module): Promise<string[]> {
  const found: string[] = [];
  for (const { address, body } of blocksOf(module)) {
    for (const reference of await referencesIn({ ...body, type: undefined, lifecycle: undefined })) {
      const problem = referenceProblem(module, body, reference);
      if (problem !== undefined) found.push(`${address} refers to ${reference.join(".")}: ${problem}`);
    }
  }
  return found;
}

function referenceProblem(module: Module, body: Body, reference: Reference): string | undefined {
  const [root = "", name = "", ...rest] = reference;
  const attribute = rest.find((word) => word !== "*" && !/^("|\d)/.test(word));
  switch (root) {
    case "var":
      return name in module.variables ? undefined : "there is no such variable";
    case "local":
      return name in module.locals ? undefined : "there is no such local";
    case "path":
      return ["module", "root", "cwd"].includes(name) ? undefined : "there is no such path";
    case "each":
      return body["for_each"] === undefined ? "it has no for_each" : undefined;
    case "count":
      return body["count"] === undefined ? "it has no count" : undefined;
    case "module": {
      const call = module.calls[name];
      if (call === undefined) return "there is no such module";
      if (attribute === undefined || attribute in call.module.outputs) return undefined;
      return "the module has no such output";
    }
    default: {
      const resource = module.resources.find(({ address }) => address === `${root}.${name}`);
      if (resource === undefined) return "there is no such resource";
      if (attribute === undefined) return undefined;
      const known = attributesOf(root);
      return known.includes(attribute) ? undefined : "the resource has no such attribute";
    }
  }
}

function attributesOf(type: string): string[] {
  const known = resourceTypes[type];
  if (known === undefined) return [];
  const blocks = Object.keys(known.blocks).filter((block) => !block.includes("."));
  return [...known.arguments.split(" "), ...blocks, ...known.computed.split(" ")].map(bare);
}

const bare = (name: string): string => name.replace(/!$/, "");

async function unused(module: Module): Promise<string[]> {
  const used = new Set<string>();
  for (const { address, body } of blocksOf(module)) {
    for (const [root, name] of await referencesIn(body)) {
      if (`${root}.${name}` !== address) used.add(`${root}.${name}`);
    }
  }
  // The provider's own block is not among those.
  if (module.calls["customer"] !== undefined) used.add("var.project").add("var.region");
  const names = [
    ...Object.keys(module.variables).map((name) => `var.${name}`),
    ...Object.keys(module.locals).map((name) => `local.${name}`),
  ];
  return names.filter((name) => !used.has(name)).map((name) => `nobody uses ${name}`);
}

function callProblems(module: Module): string[] {
  return Object.entries(module.calls).flatMap(([name, { body, module: called }]) => {
    const given = Object.keys(body).filter((argument) => !metaArguments.includes(argument));
    const required = Object.entries(called.variables)
      .filter(([, variable]) => !("default" in variable))
      .map(([variable]) => variable);
    return [
      ...given
        .filter((argument) => !(argument in called.variables))
        .map((argument) => `module.${name} is given ${argument}, which it has no variable for`),
      ...required
        .filter((argument) => !given.includes(argument))
        .map((argument) => `module.${name} is not given ${argument}`),
    ];
  });
}

function resourceProblems(address: string, body: Body): string[] {
  const [typeName = ""] = address.split(".");
  const type = resourceTypes[typeName];
  if (type === undefined) return [`${address}: the type is not in terraform-google.ts`];
  return bodyProblems(address, type, body, type.arguments, "");
}

function bodyProblems(address: string, type: ResourceType, body: Body, wanted: string, at: string): string[] {
  const known = wanted.split(" ").filter(Boolean);
  const here = (block: string): boolean =>
    block.split(".").length === at.split(".").filter(Boolean).length + 1;
  const blocks = Object.keys(type.blocks).filter((block) => block.startsWith(at) && here(bare(block)));
  const nameOf = (block: string): string => bare(block).split(".").at(-1) ?? "";
  const problems: string[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (at === "" && metaArguments.includes(name)) continue;
    const block = blocks.find((each) => nameOf(each) === name);
    if (block === undefined) {
      if (!known.some((each) => bare(each) === name)) problems.push(`${address}: there is no ${at}${name}`);
      continue;
    }
    for (const inner of value as Body[]) {
      const path = `${bare(block)}.`;
      problems.push(...bodyProblems(address, type, inner, type.blocks[block] ?? "", path));
    }
  }
  const required = [...known, ...blocks.map((block) => block.slice(at.length))].filter((name) =>
    name.endsWith("!"),
  );
  for (const name of required) {
    if (!(bare(name) in body)) problems.push(`${address}: ${at}${bare(name)} is missing`);
  }
  return problems;
}

// Terraform has to know how many there are before it makes any of them: by variables, and by what the configuration
// itself says, but not by what the service answers (an id, an address).
async function unknownCounts(module: Module): Promise<string[]> {
  const found: string[] = [];
  for (const { address, body } of blocksOf(module)) {
    for (const key of ["for_each", "count"]) {
      for (const answer of await answersIn(module, body[key])) {
        found.push(`${address}: ${key} depends on ${answer}, which is not known before it is made`);
      }
    }
  }
  // What is passed to a module may decide there.
  for (const [name, { body, module: called }] of Object.entries(module.calls)) {
    const deciding = new Set<string>();
    for (const block of blocksOf(called)) {
      for (const [root, variable = ""] of await referencesIn([block.body["for_each"], block.body["count"]])) {
        if (root === "var") deciding.add(variable);
      }
    }
    for (const variable of deciding) {
      for (const answer of await answersIn(module, body[variable])) {
        found.push(`module.${name}: ${variable} decides how many there are, and depends on ${answer}`);
      }
    }
  }
  return found;
}

/** Attributes that only the service can tell, which `value` depends on. */
async function answersIn(module: Module, value: unknown): Promise<string[]> {
  const found: string[] = [];
  for (const [root = "", name = "", ...rest] of await referencesIn(value)) {
    const attribute = rest.find((word) => word !== "*" && !/^("|\d)/.test(word)) ?? "";
    if (root === "local") found.push(...(await answersIn(module, module.locals[name])));
    if (root === "module") {
      const called = module.calls[name]?.module;
      if (called !== undefined)
        found.push(...(await answersIn(called, called.outputs[attribute]?.["value"])));
    }
    const resource = module.resources.find(({ address }) => address === `${root}.${name}`);
    if (resource !== undefined && !(attribute in resource.body)) found.push(`${root}.${name}.${attribute}`);
  }
  return found;
}
