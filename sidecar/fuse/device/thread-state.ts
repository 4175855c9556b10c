// Whether a thread will ever run in its program again.
//
// A signal that ends a process puts SIGKILL into the pending set of each of its threads (kernel/signal.c,
// complete_signal), whatever signal it was; /proc/TID/status shows it. Once the thread has begun to exit, the set
// is empty again; then /proc/TID/stat shows PF_EXITING and the signal in its exit code.
// Reading may wait for the thread, and the thread for us: during exec the kernel closes descriptors, which sends
// FLUSH, under a lock that /proc/TID/stat takes too. So /proc is read on the pool, never by the thread that answers,
// and stat only once the thread has given up its memory: an exiting one has (exit_mm comes before exit_files), one
// in exec has not.

import { readFile } from "node:fs/promises";

const SIGKILL_BIT = 0x100n; // bit 9 - 1, as in SigPnd
const PF_EXITING = 0x4; // include/linux/sched.h
// Positions after the command's closing bracket, proc_pid_stat(5): flags is field 9, exit_code field 52.
const FLAGS = 9 - 3;
const EXIT_CODE = 52 - 3;

/** True if a signal is ending the thread. False if not, or if it cannot be told (0: not in our pid namespace). */
export async function isBeingKilled(threadId: number): Promise<boolean> {
  if (threadId === 0) return false;
  try {
    const status = await readFile(`/proc/${threadId}/status`, "latin1");
    if (killIsPending(status)) return true;
    return !hasMemory(status) && diesOfSignal(await readFile(`/proc/${threadId}/stat`, "latin1"));
  } catch {
    return false;
  }
}

/** Reads SigPnd and ShdPnd of a /proc/TID/status. */
export function killIsPending(status: string): boolean {
  for (const [, mask] of status.matchAll(/^(?:Sig|Shd)Pnd:\s*([0-9a-f]+)$/gm)) {
    if ((BigInt(`0x${mask}`) & SIGKILL_BIT) !== 0n) return true;
  }
  return false;
}

/** Reads whether a /proc/TID/status tells sizes of memory: it does until the thread exits. */
export function hasMemory(status: string): boolean {
  return /^VmSize:/m.test(status);
}

/** Reads flags and exit_code of a /proc/TID/stat. */
export function diesOfSignal(stat: string): boolean {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const exiting = (Number(fields[FLAGS]) & PF_EXITING) !== 0;
  return exiting && (Number(fields[EXIT_CODE]) & 0x7f) !== 0; // low bits: the signal, as in wait(2)
}
