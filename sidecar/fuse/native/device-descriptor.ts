// The descriptor of /dev/fuse by which libfuse serves.
//
// libfuse 2 leaves it open for every program this process starts. Such a program would keep the connection alive when
// this process is killed: whoever asks the mount something would wait for ever, instead of hearing that nobody serves it.

import fs from "node:fs";

import { closeOnExec } from "../../lib/system-calls.ts";

const DEVICE = "/dev/fuse";
const OWN_DESCRIPTORS = "/proc/self/fd";

/** Mounts by `mount`, which must have opened the device when it returns, and keeps that from programs started later. */
export function keepingDeviceFromPrograms(mount: () => void): void {
  const before = new Set(deviceDescriptors());
  mount();
  for (const descriptor of deviceDescriptors()) {
    if (!before.has(descriptor)) closeOnExec(descriptor);
  }
}

/** Their links are read only: to ask what they lead to could be to ask the mount. */
function deviceDescriptors(): number[] {
  return fs
    .readdirSync(OWN_DESCRIPTORS)
    .filter((name) => linkOf(name) === DEVICE)
    .map(Number);
}

function linkOf(name: string): string | undefined {
  try {
    return fs.readlinkSync(`${OWN_DESCRIPTORS}/${name}`);
  } catch {
    return undefined; // closed since: the one by which the list was read is always among them
  }
}
