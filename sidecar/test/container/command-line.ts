// Command lines of docker as documents have them, changed so that they run here: other images, ports and folders, on
// a network of ours. What they say about privileges, volumes and the image's words stays.

import { adapted } from "../../../scripts/container/deployed-commands.ts";
import { labels } from "../../../scripts/container/names.ts";
import { Container, freshName } from "./container.ts";

export interface Changes {
  /** Words that are images, and what they are called here. */
  readonly images: Readonly<Record<string, string>>;
  /** Texts to replace where they stand. */
  readonly replace: Readonly<Record<string, string>>;
  /** Further options of `docker run`. */
  readonly options?: readonly string[];
}

/** The words of a line as a shell splits it; lines that end in a backslash go on. */
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

/** The words behind `docker run`, changed; names and what says how the container is watched are ours to choose. */
export function runWords(words: readonly string[], { images, replace, options = [] }: Changes): string[] {
  const kept = words
    .filter((word, at) => !["--rm", "--detach", "-d", "--name"].includes(word) && words[at - 1] !== "--name")
    .filter((word) => !/^--(name|restart|log-driver|log-opt)=/.test(word))
    .map((word) => images[word] ?? word);
  const needed = Object.entries(replace).filter(([from]) => kept.some((word) => word.includes(from)));
  const [, , ...changed] = adapted(kept, { replace: Object.fromEntries(needed), options });
  return changed;
}

/** Runs a command in the background. */
export async function runCommand(words: readonly string[], changes: Changes): Promise<Container> {
  return await Container.fromWords(freshName("command"), [...labels(), ...runWords(words, changes)]);
}

/** The commands in the indented blocks of a document that begin with these words. */
export function commandsIn(document: string, begin: string): string[][] {
  const code = document.replaceAll(/^(?! {4}).*$/gm, "").replaceAll(/\\\n +/g, " ");
  return code
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith(begin))
    .map(wordsOf);
}
