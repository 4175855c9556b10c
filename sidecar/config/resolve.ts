// From what a person typed, the environment and the defaults to the options of one mount.
//
// A flag goes before `-o`, `-o` before the environment, the environment before the default. An environment
// variable set to nothing counts as absent, as containers set those they have no value for.

import { createHash } from "node:crypto";
import path from "node:path";

import { endpointFrom } from "../bucket/endpoint.ts";
import { parseBucketAddress } from "./bucket-name.ts";
import { closest } from "./closest.ts";
import { deviceOnly } from "./device-only.ts";
import { readFstabOptions } from "./fstab-options.ts";
import type { MountOptions } from "./mount-options.ts";
import { homeOf } from "./ownership.ts";
import {
  optionKeys,
  parseEndpoint,
  specOf,
  type Machine,
  type OptionKey,
  type OptionValues,
} from "./option-table.ts";
import { UsageError, WrongValue } from "./usage-error.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Environment names of the bucket, the first one that is set counts. */
export const bucketEnvironment = ["SIDEMOUNT_BUCKET", "GCS_BUCKET"] as const;

/** What was typed, as text. */
export interface Typed {
  /** The arguments: BUCKET and DIR, or DIR alone when the environment names the bucket. */
  readonly operands: readonly string[];
  readonly flags: Readonly<Partial<Record<OptionKey, string>>>;
  /** The values of `-o`. */
  readonly fstab: readonly string[];
}

/** Throws a UsageError for whatever cannot be meant. */
export function resolveMountOptions(typed: Typed, environment: Environment, machine: Machine): MountOptions {
  const { address, directory } = readOperands(typed.operands, environment, machine);
  const { endpoint: given, ...values } = readValues(typed, environment, machine);
  const prefix = values.prefix ?? "";
  if (address.prefix !== undefined && prefix !== "" && prefix !== address.prefix) {
    throw new UsageError(
      `The address says folder ${address.prefix} and --prefix says ${prefix}.`,
      "Give the folder once.",
    );
  }
  const where = {
    bucket: address.bucket,
    directory,
    prefix: address.prefix ?? prefix,
    endpoint: given ?? endpointOf(environment),
  };
  const stateDirectory =
    values.stateDirectory ?? path.join(stateHome(environment, machine), stateName(where));
  const { serveDirectory, project, ...others } = values;
  refuseOverlap(["The state folder", stateDirectory], ["the mount point", directory], "--state-dir");
  if (serveDirectory !== undefined) {
    refuseOverlap(["The folder to serve", serveDirectory], ["the mount point", directory], "--serve");
    refuseOverlap(["The folder to serve", serveDirectory], ["the state folder", stateDirectory], "--serve");
    if (values.writeBack)
      throw new UsageError(
        "--serve shows what the bucket has, and with --write-back it has files only some time after they were closed.",
        "Leave one of the two out.",
      );
  }
  if (values.channel === "native") refuseDeviceOnly(values);
  return {
    ...others,
    ...(serveDirectory === undefined ? {} : { serveDirectory }),
    ...(project === undefined ? {} : { project }),
    ...where,
    stateDirectory,
    uid: values.uid ?? machine.uid,
    gid: values.gid ?? machine.gid,
  };
}

function readOperands(operands: readonly string[], environment: Environment, machine: Machine) {
  const fromEnvironment = bucketEnvironment.map((name) => environment[name]).find((value) => value);
  const [bucket, directory, ...more] =
    operands.length === 1 && fromEnvironment !== undefined ? [fromEnvironment, ...operands] : operands;
  if (more.length > 0) {
    throw new UsageError(
      `Too many arguments: ${more.join(" ")}.`,
      "Write BUCKET and DIR; put a command to run behind --.",
    );
  }
  if (bucket === undefined || directory === undefined || directory === "") {
    throw new UsageError(
      bucket === undefined ? "The bucket and the folder are missing." : "The folder to mount on is missing.",
      `Write BUCKET and DIR, such as my-uploads ./uploads, or name the bucket in ${bucketEnvironment[1]}.`,
    );
  }
  const address = withOrigin("the bucket", bucket, () => parseBucketAddress(bucket));
  return { address, directory: path.resolve(machine.workingDirectory, directory) };
}

// Values whose default depends on other things stay undefined here.
type Computed = "endpoint" | "stateDirectory" | "serveDirectory" | "project" | "uid" | "gid";
type Read = Omit<OptionValues, Computed> & { [Key in Computed]: OptionValues[Key] | undefined };

function readValues(typed: Typed, environment: Environment, machine: Machine): Read {
  const fstab = new Map(typed.fstab.flatMap((text) => [...readFstabOptions(text)]));
  const values = optionKeys.map((key) => {
    const spec = specOf(key);
    const { origin, text } =
      [
        { origin: `--${spec.flag}`, text: typed.flags[key] },
        { origin: `-o ${spec.flag.replaceAll("-", "_")}`, text: fstab.get(key) },
        { origin: spec.environment, text: environment[spec.environment] || undefined },
        { origin: "the default", text: spec.default },
      ].find((source) => source.text !== undefined) ?? {};
    if (origin === undefined || text === undefined) return [key, undefined];
    return [key, withOrigin(origin, text, () => spec.parse(text, machine))];
  });
  return Object.fromEntries(values) as Read;
}

/** Adds to a parser's refusal where the value stood and what it was. */
export function withOrigin<Value>(origin: string, text: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof WrongValue)) throw error;
    throw new UsageError(`${origin} is "${text}".`, `Expected ${error.message}.`);
  }
}

function endpointOf(environment: Environment): string {
  const emulator = environment["STORAGE_EMULATOR_HOST"] || undefined;
  if (emulator === undefined) return endpointFrom({}, undefined);
  return withOrigin("STORAGE_EMULATOR_HOST", emulator, () => parseEndpoint(emulator));
}

// Two mounts of different folders, or of one bucket name on two servers, must not share state.
function stateName(where: { endpoint: string; bucket: string; prefix: string }): string {
  const identity = createHash("sha256").update([where.endpoint, where.bucket, where.prefix].join("\n"));
  return `${where.bucket}-${identity.digest("hex").slice(0, 12)}`;
}

/** Where a user's state is kept by default: only root may write to the machine's own place for it. */
function stateHome(environment: Environment, { uid, passwd }: Machine): string {
  if (uid === 0) return "/var/lib/sidemount";
  const given = environment["XDG_STATE_HOME"];
  if (given?.startsWith("/") === true) return path.join(given, "sidemount"); // relative ones are to be ignored
  const home = environment["HOME"] || homeOf(uid, passwd);
  if (home === undefined) {
    throw new UsageError(
      "There is no home folder to keep local copies in.",
      "Name a folder that this user may write with --state-dir.",
    );
  }
  return path.join(home, ".local/state/sidemount");
}

function refuseDeviceOnly(values: Parameters<typeof deviceOnly>[0]): void {
  const wanted = deviceOnly(values);
  if (wanted === undefined) return;
  throw new UsageError(
    `${wanted.option} cannot be had with --channel native: ${wanted.reason}.`,
    "Leave one of the two out.",
  );
}

// Copies under the mount would be files of the bucket, and reading one would need the other; of two mounts one within
// the other, one would hide the other.
function refuseOverlap(
  one: readonly [string, string],
  other: readonly [string, string],
  option: string,
): void {
  const below = (child: string, parent: string) =>
    `${child}/`.startsWith(parent === "/" ? "/" : `${parent}/`);
  if (below(one[1], other[1]) || below(other[1], one[1])) {
    throw new UsageError(
      `${one.join(" ")} and ${other.join(" ")} lie within each other.`,
      `Choose another place with ${option}.`,
    );
  }
}

/** Variables that look like ours and are not, with the one that may have been meant. */
export function misspelledEnvironment(environment: Environment): { name: string; meant: string }[] {
  const known = [...bucketEnvironment, ...optionKeys.map((key) => specOf(key).environment)];
  return Object.keys(environment).flatMap((name) => {
    if (!name.startsWith("SIDEMOUNT_") || (known as string[]).includes(name)) return [];
    const meant = closest(
      name.slice("SIDEMOUNT_".length),
      known.map((each) => each.replace("SIDEMOUNT_", "")),
    );
    return meant === undefined ? [] : [{ name, meant: `SIDEMOUNT_${meant}` }];
  });
}
