// Command lines of docker as people find them in documents and units, changed so that they run here: other names,
// ports and folders, on a network of ours. What they say about privileges, volumes and the image's words stays.

import { labels } from "../../../scripts/container/names.ts";
import { Container, freshName } from "./container.ts";

export interface Changes {
  /** What stands in a word, not as part of a longer name or path, and what is to stand there. */
  readonly replace?: Readonly<Record<string, string>>;
  /** Options added to `docker run`. */
  readonly add?: readonly string[];
}

/** The words of a line as a shell or systemd splits it; lines that end in a backslash go on. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  const pattern = /\s*(?:\\\n|((?:"(?:\\.|[^"\\])*"|'[^']*'|\\[^\n]|[^\s"'\\])+))/gy;
  for (const [, word] of line.trim().matchAll(pattern)) if (word !== undefined) words.push(unquoted(word));
  return words;
}

function unquoted(word: string): string {
  return word.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g, (_, double, single, escaped) =>
    String(double?.replace(/\\(["\\$`])/g, "$1") ?? single ?? escaped),
  );
}

/** The words behind `docker run` of a command line, changed. */
export function runWords(line: string, { replace = {}, add = [] }: Changes): string[] {
  const [program = "", command, ...words] = wordsOf(line);
  if (!/(^|\/)docker$/.test(program) || command !== "run") throw new Error(`this is no docker run: ${line}`);
  const texts = Object.entries(replace).map(([from, to]) => ({ pattern: alone(from), to }));
  const changed = words.map((word) =>
    texts.reduce((text, { pattern, to }) => text.replaceAll(pattern, () => to), word),
  );
  return [
    ...add,
    ...without(changed, { "--rm": 0, "--detach": 0, "-d": 0, "-it": 0, "--name": 1, "--restart": 1 }),
  ];
}

function alone(text: string): RegExp {
  const literal = text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(String.raw`(?<![\w/-])${literal}(?![\w-])`, "g");
}

/** Takes options away, with as many words behind them as they have values; `--name=x` is one word. */
function without(words: readonly string[], options: Readonly<Record<string, number>>): string[] {
  const kept: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!;
    const values = options[word];
    if (values !== undefined) at += values;
    else if (options[word.split("=")[0]!] === undefined) kept.push(word);
  }
  return kept;
}

/** Runs a command line in the background. */
export async function runLine(line: string, changes: Changes): Promise<Container> {
  const name = freshName("command");
  return await Container.fromWords(name, [...labels(), ...runWords(line, changes)]);
}

/** The commands in the indented blocks of a document that begin with these words. */
export function commandsIn(document: string, begin: string): string[] {
  const code = document.replaceAll(/^(?! {4}).*$/gm, "").replaceAll(/\\\n +/g, " ");
  return code
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith(begin));
}
