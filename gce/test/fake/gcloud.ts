// A gcloud that has no cloud: refuses what the table does not know, remembers what was made, and notes each call.
//
// Its memory is the file FAKE_GCLOUD_STATE names: what exists by kind and name, metadata of VMs, and `failing`, how
// often a command is still to fail.

import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { parse, type Parsed } from "./command-table.ts";

export interface State {
  /** `compute instances sidemount`, … */
  exists: string[];
  /** Metadata of the one VM, by key. */
  metadata: Record<string, string>;
  /** What describing a bucket prints. */
  bucket: string;
  /** By the command's words: how many more times it fails as if it came too early. */
  failing: Record<string, number>;
  /** Every command line, one string each. */
  calls: string[];
}

export const emptyState: State = {
  exists: [],
  metadata: {},
  bucket: "True\tenforced",
  failing: {},
  calls: [],
};

function main(words: readonly string[]): number {
  const file = process.env["FAKE_GCLOUD_STATE"];
  if (file === undefined || !existsSync(file)) return fail("no FAKE_GCLOUD_STATE");
  const state = JSON.parse(readFileSync(file, "utf8")) as State;
  state.calls.push(words.join(" "));
  const parsed = parse(words);
  const status = typeof parsed === "string" ? refuse(parsed) : carryOut(parsed, state);
  writeFileSync(file, JSON.stringify(state));
  return status;
}

function carryOut({ command, names, flags }: Parsed, state: State): number {
  const path = command.path.join(" ");
  const action = command.path.at(-1) ?? "";
  // An account is made by its short name and known by its address.
  const name = path === "iam service-accounts create" ? addressOf(names[0], flags) : names[0];
  const thing = `${command.path.slice(0, -1).join(" ")} ${name}`;
  const left = state.failing[path] ?? 0;
  if (left > 0) {
    state.failing[path] = left - 1;
    return fail(`(gcloud.${command.path.join(".")}) INVALID_ARGUMENT: Service account does not exist.`);
  }
  const there = state.exists.includes(thing);
  switch (action) {
    case "create":
    case "create-with-container":
      if (there) return fail(`(gcloud) The resource '${thing}' already exists`);
      state.exists.push(thing);
      return storeMetadata(flags, state);
    case "describe":
      if (!there) return fail(`(gcloud) NOT_FOUND: ${thing}`);
      return describe(flags["--format"] ?? "", state);
    case "delete":
      if (!there) return fail(`(gcloud) NOT_FOUND: ${thing}`);
      state.exists = state.exists.filter((each) => each !== thing);
      return 0;
    case "stop":
    case "start":
    case "update":
    case "add-metadata":
      return there ? storeMetadata(flags, state) : fail(`(gcloud) NOT_FOUND: ${thing}`);
    default:
      return 0;
  }
}

function addressOf(account: string | undefined, flags: Readonly<Record<string, string>>): string {
  return `${account}@${flags["--project"]}.iam.gserviceaccount.com`;
}

function storeMetadata(flags: Readonly<Record<string, string>>, state: State): number {
  for (const pair of (flags["--metadata-from-file"] ?? "").split(",").filter(Boolean)) {
    const [key = "", path = ""] = pair.split("=");
    if (!existsSync(path)) return fail(`(gcloud) Unable to read file [${path}]`);
    state.metadata[key] = readFileSync(path, "utf8");
  }
  return 0;
}

function describe(format: string, state: State): number {
  const key = /^value\(metadata\.items\.([a-z-]+)\)$/.exec(format)?.[1];
  if (key !== undefined) console.log(state.metadata[key] ?? "");
  else if (format.includes("uniform_bucket_level_access")) console.log(state.bucket);
  else if (format.includes("natIP")) console.log("RUNNING\t127.0.0.1:9");
  else console.log("…");
  return 0;
}

function refuse(why: string): number {
  console.error(`ERROR: (gcloud) ${why}`);
  return 2;
}

function fail(why: string): number {
  console.error(`ERROR: ${why}`);
  return 1;
}

if (process.argv[1] === import.meta.filename) process.exitCode = main(process.argv.slice(2));
