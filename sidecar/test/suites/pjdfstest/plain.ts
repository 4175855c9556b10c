// Which cases are about plain files, folders and symbolic links alone.
//
// By name, which is checked by what they do: with strace, on ext4, these are exactly the cases that call none of
// link, linkat, mknod, mknodat and bind, but for four that were not run there or stop before the call.

import { groupOf } from "./report.ts";

const OTHER_KINDS = ["fifo", "block", "char", "socket"];
const CALLS_THAT_MAKE_OTHERS = ["link", "mkfifo", "mknod"];
/** These make a second name, a FIFO or a socket although their names do not say so. */
const MAKE_OTHERS = [
  "open::fifo_nonblock_wronly",
  "open::socket_error",
  "rename::preserve_metadata::regular",
  "rename::to_multiply_linked::regular",
  "unlink::unchanged_ctime_failed::regular",
  "unlink::update_ctime_success::regular",
];

export function isPlain(name: string): boolean {
  const kind = name.split("::").at(-1) ?? "";
  return (
    !OTHER_KINDS.includes(kind) &&
    !CALLS_THAT_MAKE_OTHERS.includes(groupOf(name)) &&
    !MAKE_OTHERS.includes(name)
  );
}
