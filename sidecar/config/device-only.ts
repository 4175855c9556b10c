// What only the device channel can do.

import type { MountOptions } from "./mount-options.ts";

export interface DeviceOnly {
  /** As it is typed. */
  readonly option: string;
  /** Why the native channel does not have it. */
  readonly reason: string;
}

type Chosen = Pick<MountOptions, "passthrough"> & { readonly serveDirectory?: string | undefined };

/** The first option given that needs the device channel; undefined if there is none. */
export function deviceOnly({ passthrough, serveDirectory }: Chosen): DeviceOnly | undefined {
  if (serveDirectory !== undefined)
    return {
      option: "--serve",
      reason:
        "what is served there stays in the kernel until it is told of a new version, which libfuse 2 cannot do",
    };
  if (passthrough === "on")
    return { option: "--passthrough on", reason: "libfuse 2, which it goes through, does not have it" };
  return undefined;
}
