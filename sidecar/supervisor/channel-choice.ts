// Whether this process can mount by itself, as the device channel needs it.

import fs from "node:fs";

/** capabilities(7) */
const CAP_SYS_ADMIN = 21n;

/** Why the device channel cannot be used here; undefined if it can. */
export function whyNoDevice(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can mount without the help of fusermount";
  if (!mayMount()) return "CAP_SYS_ADMIN is missing";
  return undefined;
}

/** Whether the process has the capability to mount; in a container, root may lack it. */
export function mayMount(): boolean {
  const status = fs.readFileSync("/proc/self/status", "latin1");
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}
