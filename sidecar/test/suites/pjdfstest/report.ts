// What pjdfstest printed, read case by case.

export type Outcome = "passed" | "failed" | "skipped";

/** One case: a question of POSIX, put to one call for one kind of file. */
export interface Case {
  /** As printed, such as `chmod::ctime_updated::regular`: the call, the question, and the kind of file. */
  readonly name: string;
  readonly outcome: Outcome;
  /** The reason it gave, if it did not pass. */
  readonly says: string;
}

const WORDS: Readonly<Record<string, Outcome>> = { ok: "passed", FAILED: "failed", skipped: "skipped" };
const LINE = /^(?<name>[a-z0-9_:]+)\s+(?<word>ok|FAILED|skipped)$/;
const REASON = /^\t(?<reason>.+)$/;
const TOTAL = /^Summary: .* (?<total>\d+) total$/m;

/** All cases of a report. Throws if it breaks off, or has lines that are not understood. */
export function readReport(text: string): Case[] {
  const cases: { name: string; outcome: Outcome; says: string }[] = [];
  for (const line of text.split("\n")) {
    const { name, word } = LINE.exec(line)?.groups ?? {};
    if (name !== undefined) cases.push({ name, outcome: WORDS[word as string] as Outcome, says: "" });
    const last = cases.at(-1);
    if (last?.says === "") last.says = REASON.exec(line)?.groups?.["reason"] ?? "";
  }
  const total = Number(TOTAL.exec(text)?.groups?.["total"]);
  if (total !== cases.length)
    throw new Error(
      `pjdfstest counts ${total} cases, its report has ${cases.length}: it broke off, or has another format.\n` +
        text.slice(-2000),
    );
  return cases;
}

/** The call a case is about. */
export function groupOf(name: string): string {
  return name.split("::")[0] ?? name;
}
