// Reads gcloud-commands.txt, and says what is wrong with a command line by it.

import { readFileSync } from "node:fs";

export interface Flag {
  readonly name: string;
  readonly wantsValue: boolean;
  readonly choices: readonly string[];
}

export interface Command {
  readonly path: readonly string[];
  /** How many names follow at most. */
  readonly names: number;
  readonly flags: readonly Flag[];
}

export interface Parsed {
  readonly command: Command;
  readonly names: readonly string[];
  readonly flags: Readonly<Record<string, string>>;
}

const file = new URL("gcloud-commands.txt", import.meta.url);

export const commandTable: readonly Command[] = readTable(readFileSync(file, "utf8"));

function readTable(text: string): Command[] {
  const rows = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const [common = "", ...commands] = rows;
  const shared = flagsOf(common.split(/\s+/));
  return commands.map((row) => {
    const words = row.split(/\s+/);
    const names = words.findIndex((word) => /^\d+$/.test(word));
    const flags = [...shared, ...flagsOf(words)];
    return { path: words.slice(0, names), names: Number(words[names]), flags };
  });
}

function flagsOf(words: readonly string[]): Flag[] {
  return words
    .filter((word) => word.startsWith("--"))
    .map((word) => {
      const [name = "", value] = word.split("=");
      return { name, wantsValue: value !== undefined, choices: value ? value.split("|") : [] };
    });
}

/** The command line, understood; or, as a string, why gcloud would refuse it. */
export function parse(words: readonly string[]): Parsed | string {
  const command = commandTable.find(({ path }) => path.every((word, index) => words[index] === word));
  if (command === undefined) return `Invalid choice: '${words.slice(0, 3).join(" ")}'.`;
  const names: string[] = [];
  const flags: Record<string, string> = {};
  for (const word of words.slice(command.path.length)) {
    if (!word.startsWith("--")) {
      names.push(word);
      continue;
    }
    const [name, value] = splitOnce(word);
    const flag = command.flags.find((each) => each.name === name);
    if (flag === undefined) return `unrecognized arguments: ${word}`;
    if (flag.wantsValue !== (value !== undefined))
      return `argument ${name}: expected ${flag.wantsValue ? "one" : "no"} argument`;
    if (flag.choices.length > 0 && !flag.choices.includes(value ?? ""))
      return `argument ${name}: Invalid choice: '${value}'.`;
    flags[name] = value ?? "";
  }
  if (names.length === 0) return `argument NAME: Must be specified.`;
  if (names.length > command.names) return `unrecognized arguments: ${names[command.names]}`;
  return { command, names, flags };
}

function splitOnce(word: string): [string, string | undefined] {
  const at = word.indexOf("=");
  return at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
