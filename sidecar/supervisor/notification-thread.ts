// A thread of the supervisor that writes notifications of names and may wait in the kernel for that.
//
// While it waits nothing ends it, and as long as it is there so are the descriptors it has. With those of its process it
// would hold the device from which requests are read: if supervisor and worker were killed at once, the look-up that has the
// folder's lock would never be answered and neither of the two would ever be gone; nor could whoever looked something up be
// killed. So it has descriptors of its own: a clone of each device (FUSE_DEV_IOC_CLONE, <linux/fuse.h>), and what its event
// loop waits with. When the last process that reads a device has closed it, the kernel ends the requests that were read from
// there (fuse_dev_release in fs/fuse/dev.c); the lock is free, the notification comes back, and with this thread goes the last
// device of the connection. A look-up that nobody had read yet does not end then, but whoever made it can be killed.

import fs from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

import { ioctl, unshareDescriptors } from "../lib/system-calls.ts";
import { codeOf } from "./mount-refused.ts";
import type {
  NotificationAnswer,
  NotificationDevices,
  NotificationRequest,
  Started,
} from "./name-notifications.ts";

/** _IOR(229, 0, uint32_t): the argument is the descriptor of a device that is mounted. */
const FUSE_DEV_IOC_CLONE = 0x8004e500;
const OWN_DESCRIPTORS = "/proc/thread-self/fd";

const port = parentPort;
if (port === null) throw new Error("notification-thread.ts runs as a worker thread only");

const { devices } = workerData as NotificationDevices;
unshareDescriptors();
const clones = devices.map(cloneOf);
closeAllBut(clones);

port.on("message", ({ mount, bytes }: NotificationRequest) => {
  port.postMessage(write(clones[mount] as number, bytes));
});

port.postMessage("started" satisfies Started);

function write(clone: number, bytes: Uint8Array): NotificationAnswer {
  try {
    fs.writeSync(clone, bytes);
    return {};
  } catch (error) {
    return { code: codeOf(error) };
  }
}

function cloneOf(device: number): number {
  const clone = fs.openSync("/dev/fuse", "r+");
  const argument = Buffer.alloc(4);
  argument.writeUInt32LE(device);
  ioctl(clone, FUSE_DEV_IOC_CLONE, argument);
  return clone;
}

/** What the event loop of the thread waits with stays too: it has no path. */
function closeAllBut(kept: readonly number[]): void {
  for (const name of fs.readdirSync(OWN_DESCRIPTORS)) {
    const descriptor = Number(name);
    if (!kept.includes(descriptor) && !isAnonymous(descriptor)) fs.closeSync(descriptor);
  }
}

/** Also true of what is not there any more: the listing itself was open while it was read. */
function isAnonymous(descriptor: number): boolean {
  try {
    return fs.readlinkSync(`${OWN_DESCRIPTORS}/${descriptor}`).startsWith("anon_inode:");
  } catch {
    return true;
  }
}
