// The docker commands that our VMs run, taken from the very files that are deployed: gce/vm/cloud-init.yaml and
// gce/vm/container-declaration.yaml. What is tested with them is what runs.
//
//     const { sidemount, app } = cloudInitCommands(await readFile("gce/vm/cloud-init.yaml", "utf8"), values);
//     const argv = adapted(sidemount, {
//       replace: { "/mnt/disks/sidemount": folder, "/var/lib/sidemount:": `${state}:` },
//       options: ["--network=tests", `--env=STORAGE_EMULATOR_HOST=${url}`],
//     });
//     spawn(argv[0], argv.slice(1));
//
// Before sidemount starts the VM runs the commands of `folder` as well: they make the shared folder.

import { parse as parseYaml } from "yaml";

import { execLines, type UnitCommand } from "./unit-file.ts";

/** A program and its arguments. */
export type Argv = readonly string[];

/** What the templates leave open, by the name in braces. */
export type TemplateValues = Readonly<Record<string, string>>;

export interface CloudInitCommands {
  /** Makes /mnt/disks/sidemount. Undone by `removeFolder`. */
  readonly folder: readonly UnitCommand[];
  readonly removeFolder: readonly UnitCommand[];
  /** `docker run …` of the sidecar, of the app, and what stops them. */
  readonly sidemount: Argv;
  readonly stopSidemount: Argv;
  readonly app: Argv;
  readonly stopApp: Argv;
}

export interface WrittenFile {
  readonly path: string;
  readonly content: string;
}

/** The template with every `${name}` replaced. Throws when a name has no value, or a value no name. */
export function fillIn(template: string, values: TemplateValues): string {
  const used = new Set<string>();
  const text = template.replace(/\$\{([a-z_]+)\}/g, (_, name: string) => {
    used.add(name);
    const value = values[name];
    if (value === undefined) throw new Error(`the template wants \${${name}}, which nobody gives`);
    return value;
  });
  for (const name of Object.keys(values)) {
    if (!used.has(name)) throw new Error(`the template has no place for ${name}`);
  }
  return text;
}

/** The files that a cloud-config writes. */
export function writtenFiles(cloudConfig: string): WrittenFile[] {
  const { write_files } = parseYaml(cloudConfig) as { write_files?: WrittenFile[] };
  return write_files ?? [];
}

/** The commands in the units of a cloud-init template. `hostName` is what `%H` stands for. */
export function cloudInitCommands(
  template: string,
  values: TemplateValues,
  hostName = "vm",
): CloudInitCommands {
  const files = writtenFiles(fillIn(template, values));
  const linesOf = (unit: string, key: string): UnitCommand[] => {
    const file = files.find(({ path }) => path === `/etc/systemd/system/${unit}`);
    if (file === undefined) throw new Error(`there is no unit ${unit}`);
    return execLines(file.content, key, { H: hostName });
  };
  const only = (unit: string, key: string): Argv => {
    const [first, ...others] = linesOf(unit, key);
    if (first === undefined || others.length > 0) throw new Error(`${unit} has not exactly one ${key}`);
    return first.argv;
  };
  return {
    folder: linesOf("sidemount-folder.service", "ExecStart"),
    removeFolder: linesOf("sidemount-folder.service", "ExecStop"),
    sidemount: only("sidemount.service", "ExecStart"),
    stopSidemount: only("sidemount.service", "ExecStop"),
    app: only("app.service", "ExecStart"),
    stopApp: only("app.service", "ExecStop"),
  };
}

interface Declaration {
  readonly spec: {
    readonly containers: readonly {
      readonly name: string;
      readonly image: string;
      readonly command?: readonly string[];
      readonly args?: readonly string[];
      readonly env?: readonly { readonly name: string; readonly value: string }[];
      readonly securityContext?: { readonly privileged?: boolean };
      readonly stdin?: boolean;
      readonly tty?: boolean;
      readonly volumeMounts?: readonly {
        readonly name: string;
        readonly mountPath: string;
        readonly readOnly?: boolean;
      }[];
    }[];
    readonly volumes?: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[];
    readonly restartPolicy?: "Always" | "OnFailure" | "Never";
  };
}

const restartPolicies = { Always: "always", OnFailure: "on-failure", Never: "no" } as const;

/**
 * What the container startup agent does with a declaration, as a docker command. The agent speaks to the engine's
 * API; these are its settings: the host's network, binds without propagation, its own limits for the log, and a
 * container named klt-NAME- with four letters behind (here: `suffix`). It leaves the container running and returns,
 * hence --detach.
 */
export function declarationCommand(template: string, values: TemplateValues, suffix = "test"): Argv {
  const { spec } = parseYaml(fillIn(template, values)) as Declaration;
  const [container, ...others] = spec.containers;
  if (container === undefined || others.length > 0) throw new Error("the agent runs exactly one container");
  const [entrypoint, ...command] = container.command ?? [];
  return [
    "docker",
    "run",
    "--detach",
    `--name=klt-${container.name}-${suffix}`,
    "--network=host",
    `--restart=${restartPolicies[spec.restartPolicy ?? "Always"]}`,
    ...(container.securityContext?.privileged === true ? ["--privileged"] : []),
    ...(container.stdin === true ? ["--interactive"] : []),
    ...(container.tty === true ? ["--tty"] : []),
    ...(container.env ?? []).map(({ name, value }) => `--env=${name}=${value}`),
    ...(container.volumeMounts ?? []).map(({ name, mountPath, readOnly }) => {
      const folder = spec.volumes?.find((volume) => volume.name === name)?.hostPath?.path;
      if (folder === undefined) throw new Error(`${name} is no folder of the host`);
      return `--volume=${folder}:${mountPath}${readOnly === true ? ":ro" : ""}`;
    }),
    "--log-driver=json-file",
    "--log-opt=max-size=500m",
    "--log-opt=max-file=3",
    ...(entrypoint === undefined ? [] : [`--entrypoint=${entrypoint}`]),
    container.image,
    ...command,
    ...(container.args ?? []),
  ];
}

export interface Adaptation {
  /** Texts to replace wherever they stand in an argument. Each must stand somewhere. */
  readonly replace?: Readonly<Record<string, string>>;
  /** Further options for `docker run`, and words that are to go (each must be there). */
  readonly options?: readonly string[];
  readonly without?: readonly string[];
}

/** A `docker run` for another machine than the one it was written for, changed no more than is said. */
export function adapted(argv: Argv, { replace = {}, options = [], without = [] }: Adaptation): string[] {
  let words = [...argv];
  for (const [from, to] of Object.entries(replace)) {
    if (!words.some((word) => word.includes(from))) throw new Error(`${from} is not in ${argv.join(" ")}`);
    words = words.map((word) => word.replaceAll(from, to));
  }
  for (const word of without) {
    if (!words.includes(word)) throw new Error(`${word} is not in ${argv.join(" ")}`);
    words.splice(words.indexOf(word), 1);
  }
  const run = words.indexOf("run");
  if (run === -1) throw new Error(`${argv.join(" ")} is no docker run`);
  return ["docker", "run", ...options, ...words.slice(run + 1)];
}
