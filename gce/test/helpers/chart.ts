// The chart, rendered.

import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";

import type { ExecutionContext } from "ava";
import { parseAllDocuments } from "yaml";

import { runProgram, tools, top, type Outcome } from "./cloud.ts";
import { temporaryFolder } from "./folder.ts";

const chart = path.join(top, "gce/k8s/sidemount");
export const example = path.join(top, "gce/k8s/three-customers.yaml");
const built = path.join(tools, "bin/helm");
const helm = existsSync(built) ? built : "helm";
// helm knows no cluster here; this is what it is to write for.
export const kubernetes = "1.33.0";

export interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly [key: string]: unknown;
}

/** Changes to the example's values, as in a values file. */
export type Values = Readonly<Record<string, unknown>>;

export function render(t: ExecutionContext, values: Values = {}): Promise<Outcome> {
  return runHelm(t, ["template", "photos", chart, "--namespace", "web"], values);
}

export function lint(t: ExecutionContext, values: Values = {}): Promise<Outcome> {
  return runHelm(t, ["lint", chart, "--strict"], values);
}

async function runHelm(t: ExecutionContext, words: readonly string[], values: Values): Promise<Outcome> {
  const folder = temporaryFolder(t, "chart");
  const file = path.join(folder, "values.json");
  writeFileSync(file, JSON.stringify(values));
  const env = { HOME: folder, PATH: process.env["PATH"] };
  const files = ["--values", example, "--values", file, "--kube-version", kubernetes];
  return runProgram(helm, [...words, ...files], { env });
}

export function resourcesIn(text: string): Resource[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Resource | null)
    .filter((resource) => resource !== null);
}

export async function rendered(t: ExecutionContext, values: Values = {}): Promise<Resource[]> {
  const { status, stdout, stderr } = await render(t, values);
  if (status !== 0) throw new Error(stderr);
  return resourcesIn(stdout);
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly restartPolicy?: string;
  readonly lifecycle?: unknown;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly mountPropagation?: string;
    readonly readOnly?: boolean;
    readonly subPath?: string;
  }[];
  readonly [probe: `${string}Probe`]: {
    readonly exec: { readonly command: readonly string[] };
    readonly timeoutSeconds: number;
  };
}

export interface PodSpec {
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Readonly<Record<string, unknown>>[];
  readonly serviceAccountName: string;
  readonly terminationGracePeriodSeconds: number;
}

/** The pods of the Deployment of `customer`. */
export function podsOf(resources: readonly Resource[], customer: string): PodSpec {
  const deployment = resources.find(
    ({ kind, metadata }) => kind === "Deployment" && metadata.labels["sidemount/customer"] === customer,
  );
  if (deployment === undefined) throw new Error(`there is no Deployment for ${customer}`);
  const { template } = deployment["spec"] as { template: { spec: PodSpec } };
  return template.spec;
}

export function containerOf(pods: PodSpec, name: string): Container {
  const found = [...pods.initContainers, ...pods.containers].find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no container ${name}`);
  return found;
}
