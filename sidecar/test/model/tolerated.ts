// Every way in which the mount may answer otherwise than a plain folder, with the reason. What is not here is a failure.

import { isDeepStrictEqual } from "node:util";
import type { Answer, Call } from "./clients.ts";
import type { Run } from "./run.ts";
import type { Settings } from "./world.ts";

interface Tolerated {
  /** Where a user can read of it, or why there is nothing to read. */
  readonly reason: string;
  readonly applies: (onMount: Answer, onPlain: Answer, run: Run, call: Call) => boolean;
}

const TOLERATED: readonly Tolerated[] = [
  {
    reason: "what moves a folder's time is not stored with it (SEMANTICS, Times of folders)",
    applies: (onMount, onPlain, { folderTimesLost }) =>
      folderTimesLost && isDeepStrictEqual(withoutFolderTimes(onMount), withoutFolderTimes(onPlain)),
  },
  {
    reason:
      "libfuse has no path for a folder or FIFO that was removed, nor for a removed file of such a folder (CHANNELS, Open files that lose their name)",
    applies: (onMount, _onPlain, run, call) =>
      run.world.settings.channel === "native" &&
      "errno" in onMount &&
      onMount.errno === "ENOENT" &&
      "slot" in call &&
      run.handles.some(
        ({ slot, folder, special, inode }) =>
          slot === call.slot && (folder || special || run.bereftSlots.has(slot)) && !run.hasName(inode),
      ),
  },
];

function withoutFolderTimes(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const isFolder = "kind" in value && value.kind === "folder";
  const entries = Object.entries(value).filter(([key]) => !(isFolder && key === "modified"));
  return Object.fromEntries(entries.map(([key, each]) => [key, withoutFolderTimes(each)]));
}

/** What the mount must answer where a plain folder answers this. */
export function expectedOf(onPlain: Answer, settings: Settings): Answer {
  if (settings.channel !== "native" || "errno" in onPlain) return onPlain;
  return { value: withoutFinerTimes(onPlain.value) };
}

/** On the native channel times have milliseconds and begin in 1970 (SEMANTICS, Times). */
function withoutFinerTimes(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([key, each]) => [
    key,
    key === "modified" && each !== "recently" ? cut(String(each)) : withoutFinerTimes(each),
  ]);
  return Object.fromEntries(entries) as unknown;
}

const NS_PER_MS = 1_000_000n;

function cut(timeNs: string): string {
  const time = BigInt(timeNs);
  return String(time < 0n ? 0n : time - (time % NS_PER_MS));
}

/** The reason why this difference is none, if there is one. */
export function toleratedBecause(onMount: Answer, onPlain: Answer, run: Run, call: Call): string | undefined {
  return TOLERATED.find(({ applies }) => applies(onMount, onPlain, run, call))?.reason;
}
