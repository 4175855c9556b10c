// The commands in a systemd unit, as systemd splits them: continued lines, quotes, `%` specifiers. Whatever of its
// syntax our units do not use is refused rather than misread.

export interface UnitCommand {
  readonly argv: readonly string[];
  /** The line begins with a dash: its failure does not matter. */
  readonly mayFail: boolean;
}

/** What a key is set to, in order, once for each time it is set. Comments inside continued lines are left out. */
export function settings(unit: string, key: string): string[] {
  const lines: string[] = [];
  let continued = "";
  for (const line of unit.split("\n")) {
    if (/^\s*[#;]/.test(line)) continue;
    continued += line;
    if (continued.endsWith("\\")) {
      continued = `${continued.slice(0, -1)} `;
      continue;
    }
    lines.push(continued);
    continued = "";
  }
  return lines.flatMap((line) => {
    const at = line.indexOf("=");
    return at !== -1 && line.slice(0, at).trim() === key ? [line.slice(at + 1).trim()] : [];
  });
}

/** The commands of `ExecStart` and its like; `specifiers` has what `%H` and others stand for. */
export function execLines(
  unit: string,
  key: string,
  specifiers: Readonly<Record<string, string>> = {},
): UnitCommand[] {
  return settings(unit, key).map((text) => {
    const mayFail = text.startsWith("-");
    const argv = words(mayFail ? text.slice(1) : text).map((word) => filled(word, specifiers));
    if (!argv[0]?.startsWith("/")) throw new Error(`${key}=${text}: not an absolute path`);
    return { argv, mayFail };
  });
}

function filled(word: string, specifiers: Readonly<Record<string, string>>): string {
  if (/\$/.test(word)) throw new Error(`"${word}": variables are not understood here`);
  return word.replace(/%(.)/g, (_, letter: string) => {
    const value = letter === "%" ? "%" : specifiers[letter];
    if (value === undefined) throw new Error(`"${word}": %${letter} is not known here`);
    return value;
  });
}

/** Words as systemd splits them: a word may be in quotes of either kind, as a whole. */
function words(text: string): string[] {
  if (text.includes("\\")) throw new Error(`"${text}": escapes are not understood here`);
  const found: string[] = [];
  let rest = text.trim();
  while (rest !== "") {
    const match = /^(?:'([^']*)'|"([^"]*)"|([^\s'"]+))(?:\s+|$)/.exec(rest);
    if (match === null) throw new Error(`"${text}": quotes inside a word are not understood here`);
    found.push(match[1] ?? match[2] ?? match[3] ?? "");
    rest = rest.slice(match[0].length);
  }
  return found;
}
