// What writers.py was told is stored, and what may be there beside it: what it was just about to store.

/** SHA-256 of a file's bytes, or "-": there is none. */
export type Content = string;

export interface Expected {
  /** Every content the name may have: what was acknowledged last, and what was begun since. */
  readonly allowed: ReadonlySet<Content>;
  /** Something was begun and not acknowledged. */
  readonly inFlight: boolean;
}

/** By name. */
export function readManifest(text: string): Map<string, Expected> {
  const names = new Map<string, { acknowledged: Content; begun: Content[] }>();
  for (const line of text.split("\n")) {
    const [what, name = "", content = ""] = line.split(" ");
    if (what !== "begin" && what !== "done") continue; // the last line may have been cut short
    const known = names.get(name) ?? { acknowledged: "-", begun: [] };
    names.set(name, known);
    if (what === "begin") known.begun.push(content);
    else {
      known.acknowledged = content;
      known.begun = known.begun.slice(known.begun.lastIndexOf(content) + 1);
    }
  }
  return new Map(
    [...names].map(([name, { acknowledged, begun }]) => [
      name,
      { allowed: new Set([acknowledged, ...begun]), inFlight: begun.length > 0 },
    ]),
  );
}
