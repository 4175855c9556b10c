// Mounts of this machine, for those who look after them. Nothing here asks a mount itself anything: one that is stuck
// would keep us waiting for ever.

import { withoutLinks } from "./mount-point.ts";
import { MountRefused } from "./mount-refused.ts";
import { isOurs, mountsAt } from "./mount-table.ts";
import { controlSocketsOf, livingMounts, livingSupervisor } from "./run-file.ts";

export interface KnownMount {
  readonly directory: string;
  /** The process that supervises it. */
  readonly supervisorPid: number;
  /** Since when it is mounted, in milliseconds since the epoch. */
  readonly mountedMs: number | undefined;
  /** Where the process that serves it may be listening. */
  readonly sockets: readonly string[];
}

/** The mounts that are noted and alive; two of one process, of which one is for readers, as one. */
export function knownMounts(): KnownMount[] {
  const byProcess = Map.groupBy(livingMounts(), ({ pid }) => pid);
  return [...byProcess].flatMap(([supervisorPid, mounts]) => {
    const sockets = mounts.flatMap(({ directory }) => controlSocketsOf(directory));
    const [first] = mounts;
    return first === undefined
      ? []
      : [{ directory: first.directory, supervisorPid, mountedMs: first.mountedMs, sockets }];
  });
}

/** The mount at `directory`. Throws MountRefused if there is none of ours that lives. */
export function findMount(directory: string): KnownMount {
  const real = withoutLinks(directory);
  const supervisorPid = livingSupervisor(real);
  if (supervisorPid !== undefined) {
    const ofProcess = livingMounts().filter(({ pid }) => pid === supervisorPid);
    const places = [real, ...ofProcess.map((each) => each.directory).filter((each) => each !== real)];
    const mountedMs = ofProcess.find((each) => each.directory === real)?.mountedMs;
    return { directory: real, supervisorPid, mountedMs, sockets: places.flatMap(controlSocketsOf) };
  }
  const top = mountsAt(real).at(-1);
  if (top === undefined)
    throw new MountRefused(
      `nothing is mounted at ${directory}`,
      "`sidemount status` without a folder lists what is; what an earlier mount kept is found by `sidemount pending --state-dir`.",
    );
  if (!isOurs(top))
    throw new MountRefused(
      `${directory} is not a mount of sidemount (${top.type} from ${top.source})`,
      "`sidemount status` without a folder lists those that are.",
    );
  throw new MountRefused(
    `the mount at ${directory} is dead: the process that served it is gone, or belongs to another user`,
    "Mount again, or take it away with `sidemount unmount`.",
  );
}
