// Whether this process can mount by itself, as the device channel needs it.

import fs from "node:fs";

/** capabilities(7) */
const CAP_SYS_ADMIN = 21n;

/** Why the native channel has to be taken here; undefined if the device channel can be had as well as any. */
export function whyNoDevice(): string | undefined {
  // Root without CAP_SYS_ADMIN can mount by neither: the device channel says what to do about it.
  return process.getuid?.() === 0 ? undefined : "only root can mount without the help of fusermount";
}

/** Whether the process has the capability to mount; in a container, root may lack it. */
export function mayMount(): boolean {
  const status = fs.readFileSync("/proc/self/status", "latin1");
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}
