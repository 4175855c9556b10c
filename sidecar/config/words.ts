// Values that are one of a few words, and lists of words.

import { WrongValue } from "./usage-error.ts";

/** A parser that accepts exactly `words`. */
export function parseOneOf<const Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((candidate) => candidate === text.trim().toLowerCase());
    if (word === undefined) throw new WrongValue(`one of ${words.join(", ")}`);
    return word;
  };
}

/** Yes or no, as they are written in environments and compose files. */
export function parseBoolean(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (["true", "1", "yes", "on"].includes(word)) return true;
  if (["false", "0", "no", "off"].includes(word)) return false;
  throw new WrongValue("true or false");
}

/** `"*.lock,*.pid"` → both patterns; `""` → none. A pattern is compared with a name, so it has no slash. */
export function parsePatterns(text: string): string[] {
  const patterns = text
    .split(",")
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== "");
  if (patterns.some((pattern) => pattern.includes("/"))) {
    throw new WrongValue("patterns of file names without slashes, separated by commas, such as *.lock,*.pid");
  }
  return patterns;
}
