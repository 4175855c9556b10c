// What can be typed, and the help that teaches it.

import { Command, Option } from "commander";

import { optionKeys, specOf, type OptionKey } from "../config/option-table.ts";
import type { Typed } from "../config/resolve.ts";
import type { LocalGcsFlags } from "./local-gcs.ts";
import type { PendingFlags } from "./pending.ts";
import type { StatusFlags } from "./status.ts";
import * as text from "./help.ts";

/** One method per command; what each answers is the exit code. */
export interface Commands {
  mount(typed: Typed): Promise<number>;
  exec(typed: Typed): Promise<number>;
  localGcs(directory: string, flags: LocalGcsFlags): Promise<number>;
  status(directory: string | undefined, flags: StatusFlags): Promise<number>;
  pending(directory: string | undefined, flags: PendingFlags): Promise<number>;
  unmount(directory: string): Promise<number>;
  upgrade(directory: string): Promise<number>;
}

/** A program that hands what was typed to `commands` and the exit code to `finish`. Throws CommanderError. */
export function createProgram(version: string, commands: Commands, finish: (code: number) => void): Command {
  const program = new Command("sidemount")
    .description(text.description)
    .version(version, "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Print this help.")
    .helpCommand("help [COMMAND]", "Explain a command.")
    .addHelpText("after", text.programEpilogue)
    .configureHelp({
      subcommandTerm: (command) => `${command.name()} ${command.usage().replace("[options] ", "")}`,
    })
    .exitOverride();

  addMountOptions(
    program
      .command("mount")
      .summary("mount a bucket on a folder, in the foreground")
      .description(text.mountDescription)
      .usage("[options] BUCKET DIR"),
  )
    .addHelpText("after", text.mountEpilogue)
    .action(async (operands: string[], _, command: Command) =>
      finish(await commands.mount(typedOf(operands, command))),
    );

  addMountOptions(
    program
      .command("exec")
      .summary("run a command while a bucket is mounted")
      .description(text.execDescription)
      .usage("[options] BUCKET DIR -- COMMAND [ARGUMENT...]"),
  )
    .addHelpText("after", text.execEpilogue)
    .action(async (operands: string[], _, command: Command) =>
      finish(await commands.exec(typedOf(operands, command))),
    );

  program
    .command("local-gcs")
    .summary("serve a folder as Cloud Storage, for development and tests")
    .usage("[options] DIR")
    .description(text.localGcsDescription)
    .argument("<DIR>", "folder that holds the buckets; made when absent")
    .option("--port <PORT>", "port to listen on; 0 takes a free one", "4443")
    .option(
      "--host <ADDRESS>",
      "address to listen on; there is no password, so keep it to this machine",
      "127.0.0.1",
    )
    .option("--bucket <NAME>", "make this bucket if absent; may be given more than once", collect)
    .option("--hierarchical-namespace", "give new buckets folders of their own, as Cloud Storage can")
    .option("--admin", "allow injected faults, delays and the request log, for tests")
    .helpOption("-h, --help", "Print this help.")
    .addHelpText("after", text.localGcsEpilogue)
    .action(async (directory: string, flags: LocalGcsFlags) =>
      finish(await commands.localGcs(directory, flags)),
    );

  addStatus(program, commands, finish);
  addPending(program, commands, finish);

  program
    .command("unmount")
    .summary("end a mount, or clean up after one that died")
    .usage("DIR")
    .description(text.unmountDescription)
    .argument("<DIR>", "where it is mounted")
    .helpOption("-h, --help", "Print this help.")
    .addHelpText("after", text.unmountEpilogue)
    .action(async (directory: string) => finish(await commands.unmount(directory)));

  program
    .command("upgrade")
    .summary("replace the process that serves a mount by the code now on disk")
    .usage("DIR")
    .description(text.upgradeDescription)
    .argument("<DIR>", "where it is mounted")
    .helpOption("-h, --help", "Print this help.")
    .addHelpText("after", text.upgradeEpilogue)
    .action(async (directory: string) => finish(await commands.upgrade(directory)));

  return program;
}

function addStatus(program: Command, commands: Commands, finish: (code: number) => void): void {
  program
    .command("status")
    .summary("tell what is mounted, what is owed, and how it is doing")
    .usage("[options] [DIR]")
    .description(text.statusDescription)
    .argument("[DIR]", "where it is mounted; all mounts of this machine if left out")
    .option("--json", "print JSON")
    .helpOption("-h, --help", "Print this help.")
    .addHelpText("after", text.statusEpilogue)
    .action(async (directory: string | undefined, flags: StatusFlags) =>
      finish(await commands.status(directory, flags)),
    );
}

function addPending(program: Command, commands: Commands, finish: (code: number) => void): void {
  program
    .command("pending")
    .summary("list bytes that did not reach the bucket; retry, save or discard them")
    .usage("[options] [DIR]")
    .description(text.pendingDescription)
    .argument("[DIR]", "where it is mounted")
    .option("--retry [ENTRY...]", "upload these, or all, if the bucket still has what they were to replace")
    .option("--replace", "with --retry: replace whatever the bucket has under the name")
    .option("--save <FOLDER>", "copy them into this folder, under their names, over nothing")
    .option("--only <ENTRY...>", "with --save: copy these and no others")
    .option("--discard [ENTRY...]", "remove these from the state folder, after a question")
    .option("--all", "with --discard: all of them")
    .option("--yes", "with --discard: do not ask")
    .option("--wait", "wait until nothing that was closed or changed is owed to the bucket")
    .option("--timeout <TIME>", "with --wait: give up after this time, such as 30s")
    .option("--state-dir <PATH>", "the state folder, where no mount that uses it is running")
    .option("--json", "print JSON")
    .helpOption("-h, --help", "Print this help.")
    .addHelpText("after", text.pendingEpilogue)
    .action(async (directory: string | undefined, flags: PendingFlags) =>
      finish(await commands.pending(directory, flags)),
    );
}

function addMountOptions(command: Command): Command {
  command.argument("[BUCKET DIR...]", text.operands);
  for (const spec of optionKeys.map(specOf)) {
    const flags = `--${spec.flag}${spec.placeholder === undefined ? "" : ` <${spec.placeholder}>`}`;
    const notes = [`${spec.environment}`, `default ${spec.defaultWords ?? spec.default}`].join(", ");
    command.addOption(
      new Option(flags, `${spec.help} (${notes})`.replaceAll("`", "")).helpGroup(`${spec.group}:`),
    );
    if (spec.negatable) {
      const opposite = new Option(`--no-${spec.flag}`, `The opposite of --${spec.flag}.`);
      command.addOption(opposite.helpGroup(`${spec.group}:`));
    }
  }
  const fstab = new Option(
    "-o <OPTIONS>",
    "Options as in /etc/fstab, such as ro,uid=www-data,prefix=photos/.",
  );
  return command
    .addOption(fstab.argParser(collect).helpGroup("Running:"))
    .helpOption("-h, --help", "Print this help.");
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

function typedOf(operands: string[], command: Command): Typed {
  const values = command.opts<Record<string, string | boolean | string[]>>();
  const flags = optionKeys.flatMap((key): [OptionKey, string][] => {
    const attribute = specOf(key).flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const value = command.getOptionValueSource(attribute) === "cli" ? values[attribute] : undefined;
    return value === undefined ? [] : [[key, String(value)]];
  });
  return { operands, flags: Object.fromEntries(flags), fstab: (values["o"] ?? []) as string[] };
}
