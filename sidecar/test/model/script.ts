// Calls and answers as lines that a person can read and act out.

import { isDeepStrictEqual } from "node:util";
import type { Answer, Call } from "./clients.ts";

export function describeCall({ call, ...given }: Call): string {
  const words = Object.entries(given).map(([name, value]) => `${name}: ${describeArgument(name, value)}`);
  return `${call}(${words.join(", ")})`;
}

function describeArgument(name: string, value: unknown): string {
  if (name === "mode" && typeof value === "number") return `0${value.toString(8)}`;
  if (Array.isArray(value)) return value.join("|");
  return JSON.stringify(value);
}

/** Of a folder tree only what `other` has otherwise. */
export function describeAnswer(answer: Answer, other?: Answer): string {
  if ("errno" in answer) return answer.errno;
  if (answer.value === null) return "done";
  if (other !== undefined && "value" in other && isRecord(answer.value) && isRecord(other.value)) {
    const theirs = other.value;
    const ours = Object.entries(answer.value).filter(
      ([key, value]) => !isDeepStrictEqual(value, theirs[key]),
    );
    return `…${JSON.stringify(Object.fromEntries(ours))}`;
  }
  const text = JSON.stringify(answer.value);
  return other === undefined && text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
