// What only the device channel can do.

import type { MountOptions } from "./mount-options.ts";

/** The first option given that needs the device channel, as it is typed; undefined if there is none. */
export function deviceOnly({ passthrough }: Pick<MountOptions, "passthrough">): string | undefined {
  if (passthrough === "on") return "--passthrough on";
  return undefined;
}

/** Why the native channel does not have what `deviceOnly` names. */
export const WHY_DEVICE_ONLY = "libfuse 2, which the native channel goes through, does not have it";
