// Terraform modules as text: read with Terraform's own parser, and what can be said about them without a provider.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

import { getReferencesInExpression, parse } from "@cdktn/hcl2json";

/** A block's arguments and blocks, by name. Expressions are strings with `${…}`. */
export type Body = Readonly<Record<string, unknown>>;

export interface Block {
  /** `google_storage_bucket.uploads`, `module.customer`, `var.x`, `local.x`, `output.x`. */
  readonly address: string;
  readonly body: Body;
}

export interface Module {
  readonly directory: string;
  readonly variables: Readonly<Record<string, Body>>;
  readonly locals: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, Body>>;
  readonly resources: readonly Block[];
  /** By the name of the call, without `module.`; `source` is read as well. */
  readonly calls: Readonly<Record<string, { readonly body: Body; readonly module: Module }>>;
}

type Labelled = Record<string, Body[]>;

/** Reads the module in `directory` and all it calls. Rejects when a file is not Terraform. */
export async function readModule(directory: string): Promise<Module> {
  const files = readdirSync(directory).filter((file) => file.endsWith(".tf"));
  const parsed = await Promise.all(
    files.map(async (file) => {
      return (await parse(file, readFileSync(path.join(directory, file), "utf8"))) as Record<string, unknown>;
    }),
  );
  const labelled = (kind: string): Record<string, Body> =>
    Object.assign({}, ...parsed.map((file) => firstOfEach((file[kind] ?? {}) as Labelled))) as Record<
      string,
      Body
    >;
  const resources = parsed.flatMap((file) =>
    Object.entries((file["resource"] ?? {}) as Record<string, Labelled>).flatMap(([type, named]) =>
      Object.entries(firstOfEach(named)).map(([name, body]) => ({ address: `${type}.${name}`, body })),
    ),
  );
  const calls: Record<string, { body: Body; module: Module }> = {};
  for (const [name, body] of Object.entries(labelled("module"))) {
    calls[name] = { body, module: await readModule(path.join(directory, String(body["source"]))) };
  }
  const locals = parsed.flatMap((file) => (file["locals"] ?? []) as Body[]);
  return {
    directory,
    variables: labelled("variable"),
    locals: Object.assign({}, ...locals) as Record<string, unknown>,
    outputs: labelled("output"),
    resources,
    calls,
  };
}

function firstOfEach(named: Labelled): Record<string, Body> {
  return Object.fromEntries(Object.entries(named).map(([name, bodies]) => [name, bodies[0] ?? {}]));
}

/** Everything that holds expressions. */
export function blocksOf(module: Module): Block[] {
  return [
    ...Object.entries(module.variables).map(([name, body]) => ({ address: `var.${name}`, body })),
    ...Object.entries(module.locals).map(([name, value]) => ({ address: `local.${name}`, body: { value } })),
    ...Object.entries(module.outputs).map(([name, body]) => ({ address: `output.${name}`, body })),
    ...Object.entries(module.calls).map(([name, { body }]) => ({ address: `module.${name}`, body })),
    ...module.resources,
  ];
}

/** A reference as words: `["var", "customers"]`, `["module", "role", "*", "name"]`. */
export type Reference = readonly string[];

/** What the expressions in `value` refer to, names that a `for` binds left out. */
export async function referencesIn(value: unknown): Promise<Reference[]> {
  const found: Reference[] = [];
  for (const text of stringsIn(value)) {
    if (!text.includes("${")) continue;
    const bound = new Set(
      [...text.matchAll(/\bfor\s+(\w+)(?:\s*,\s*(\w+))?\s+in\b/g)].flatMap(([, a, b]) => [a, b]),
    );
    for (const { value: words } of await getReferencesInExpression("x.tf", text)) {
      const parts = words.split(".");
      if (!bound.has(parts[0])) found.push(parts);
    }
  }
  return found;
}

function stringsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(stringsIn);
}

/** The addresses of all resources when `var.customers` has the names given, in order. */
export function addressesFor(module: Module, customers: readonly string[], before = ""): string[] {
  const own = module.resources.flatMap(({ address, body }) =>
    instancesOf(body, customers).map((instance) => `${before}${address}${instance}`),
  );
  const below = Object.entries(module.calls).flatMap(([name, { body, module: called }]) => {
    const wanted = body["role"] === undefined ? called : { ...called, calls: without(called.calls, "role") };
    return instancesOf(body, customers).flatMap((instance) =>
      addressesFor(wanted, customers, `${before}module.${name}${instance}.`),
    );
  });
  return [...own, ...below].sort();
}

// A module that is given a role makes none of its own: count = var.role == null ? 1 : 0.
function without<T>(record: Readonly<Record<string, T>>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== name));
}

function instancesOf(body: Body, customers: readonly string[]): string[] {
  const { for_each: each, count } = body as { for_each?: string; count?: string };
  if (each === "${var.customers}") return customers.map((name) => `["${name}"]`);
  if (each !== undefined) {
    const names = [...each.matchAll(/"([^"]+)"/g)].map(([, name]) => `["${name}"]`);
    if (names.length === 0) throw new Error(`for_each = ${each} is not understood here`);
    return names;
  }
  if (count === undefined) return [""];
  if (count === "${var.role == null ? 1 : 0}") return ["[0]"];
  throw new Error(`count = ${count} is not understood here`);
}
