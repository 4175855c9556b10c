// Every option of `mount` and `exec`, once: the command line, the environment, /etc/fstab, the help text and
// docs/OPTIONS.md are all read from this table.

import path from "node:path";

import { endpointFrom } from "../bucket/endpoint.ts";
import { parsePrefix } from "./bucket-name.ts";
import { parseDeadline, parseDuration } from "./duration.ts";
import { parseNotifications, parseProject } from "./notifications.ts";
import { parseGroup, parseMode, parseUser } from "./ownership.ts";
import { parseSize } from "./size.ts";
import { WrongValue } from "./usage-error.ts";
import { parseBoolean, parseOneOf, parsePatterns } from "./words.ts";

/** What parsers may know of this machine. */
export interface Machine {
  readonly uid: number;
  readonly gid: number;
  readonly workingDirectory: string;
  /** Contents of /etc/passwd and /etc/group. */
  readonly passwd: string;
  readonly group: string;
}

export interface OptionSpec<Value> {
  /** Name without dashes; with `_` for `-` it is also the name for `-o`. */
  readonly flag: string;
  /** What stands for the value in help. Absent: the option is a switch. */
  readonly placeholder?: string;
  /** A switch that is on by default, turned off by `--no-…`. */
  readonly negatable?: true;
  readonly environment: string;
  /** Text which `parse` reads, so that a default can be typed as it is documented. Absent: see `defaultWords`. */
  readonly default?: string;
  /** Describes a default that depends on the machine or on other options. */
  readonly defaultWords?: string;
  readonly group: "What is mounted" | "Who may do what" | "Freshness" | "Disk and time" | "Running";
  readonly help: string;
  readonly parse: (text: string, machine: Machine) => Value;
}

function option<Value>(spec: OptionSpec<Value>): OptionSpec<Value> {
  return spec;
}

/** The server's address; also for STORAGE_EMULATOR_HOST, which is no option of ours. */
export function parseEndpoint(text: string): string {
  try {
    return endpointFrom({}, text.trim());
  } catch {
    throw new WrongValue(
      "the address of a server without user, password and path, such as http://127.0.0.1:4443",
    );
  }
}

function parseStateDirectory(text: string): string {
  if (!text.startsWith("/")) throw new WrongValue("an absolute path, such as /var/lib/sidemount/uploads");
  return text.length > 1 ? text.replace(/\/+$/, "") : text;
}

function parseDirectory(text: string, machine: Machine): string {
  if (text.trim() === "") throw new WrongValue("a folder, such as ./serve");
  return path.resolve(machine.workingDirectory, text);
}

export const optionTable = {
  prefix: option({
    flag: "prefix",
    placeholder: "FOLDER/",
    environment: "SIDEMOUNT_PREFIX",
    default: "",
    defaultWords: "the whole bucket",
    group: "What is mounted",
    help: "Show only this folder of the bucket.",
    parse: parsePrefix,
  }),
  endpoint: option({
    flag: "endpoint",
    placeholder: "URL",
    environment: "SIDEMOUNT_ENDPOINT",
    defaultWords: "`STORAGE_EMULATOR_HOST`, else Google",
    group: "What is mounted",
    help: "Server to talk to. Other servers than Google's are spoken to without credentials.",
    parse: parseEndpoint,
  }),
  serveDirectory: option({
    flag: "serve",
    placeholder: "DIR",
    environment: "SIDEMOUNT_SERVE",
    defaultWords: "none",
    group: "What is mounted",
    help:
      "An empty folder on which to show the same for reading only: web servers read there at the speed of the disk. " +
      "It shows what the bucket holds. Not with --channel native.",
    parse: parseDirectory,
  }),
  readOnly: option({
    flag: "read-only",
    environment: "SIDEMOUNT_READ_ONLY",
    default: "false",
    group: "What is mounted",
    help: "Refuse every change.",
    parse: parseBoolean,
  }),
  extendedAttributes: option({
    flag: "xattrs",
    environment: "SIDEMOUNT_XATTRS",
    default: "false",
    group: "What is mounted",
    help:
      "Keep extended attributes (user.*) in the metadata of objects, and show what the bucket says of them. " +
      "The kernel then asks for one before every write.",
    parse: parseBoolean,
  }),
  allowOther: option({
    flag: "allow-other",
    negatable: true,
    environment: "SIDEMOUNT_ALLOW_OTHER",
    default: "true",
    group: "Who may do what",
    help: "Let every user of this machine see the folder, not only the one who mounts.",
    parse: parseBoolean,
  }),
  uid: option({
    flag: "uid",
    placeholder: "USER",
    environment: "SIDEMOUNT_UID",
    defaultWords: "the user who mounts",
    group: "Who may do what",
    help: "Owner of objects that have none stored: a number or a name.",
    parse: (text, machine) => parseUser(text, machine.passwd),
  }),
  gid: option({
    flag: "gid",
    placeholder: "GROUP",
    environment: "SIDEMOUNT_GID",
    defaultWords: "the group of the user who mounts",
    group: "Who may do what",
    help: "Group of objects that have none stored: a number or a name.",
    parse: (text, machine) => parseGroup(text, machine.group),
  }),
  fileMode: option({
    flag: "file-mode",
    placeholder: "OCTAL",
    environment: "SIDEMOUNT_FILE_MODE",
    default: "0666",
    group: "Who may do what",
    help: "Permissions of objects that have none stored.",
    parse: parseMode,
  }),
  directoryMode: option({
    flag: "dir-mode",
    placeholder: "OCTAL",
    environment: "SIDEMOUNT_DIR_MODE",
    default: "0777",
    group: "Who may do what",
    help: "Permissions of folders that have none stored.",
    parse: parseMode,
  }),
  freshnessMs: option({
    flag: "freshness",
    placeholder: "TIME",
    environment: "SIDEMOUNT_FRESHNESS",
    default: "60s",
    group: "Freshness",
    help:
      "Longest time to go without asking whether others changed an object (a tenth of its age, at most this). " +
      "0 asks at every open.",
    parse: parseDuration,
  }),
  soleWriter: option({
    flag: "sole-writer",
    environment: "SIDEMOUNT_SOLE_WRITER",
    default: "false",
    group: "Freshness",
    help: "Nobody else writes here: never ask again what is known. If it is not true, that is noticed at the next write.",
    parse: parseBoolean,
  }),
  offlineReads: option({
    flag: "offline-reads",
    negatable: true,
    environment: "SIDEMOUNT_OFFLINE_READS",
    default: "true",
    group: "Freshness",
    help:
      "While the bucket does not answer, go on with what is known: names, listings, and files that are here whole, also " +
      "when it is time to ask whether others changed them. Without it they fail (EIO).",
    parse: parseBoolean,
  }),
  lockNames: option({
    flag: "lock-names",
    placeholder: "PATTERNS",
    environment: "SIDEMOUNT_LOCK_NAMES",
    default: "*.lock,*.lck,*.pid,.~lock.*",
    group: "Freshness",
    help: "Names created in the bucket at once, so that lock files exclude across machines.",
    parse: parsePatterns,
  }),
  notifications: option({
    flag: "notifications",
    placeholder: "SUBSCRIPTION|auto",
    environment: "SIDEMOUNT_NOTIFICATIONS",
    default: "off",
    group: "Freshness",
    help:
      "Hear of changes made elsewhere as they happen, over Pub/Sub: from this subscription " +
      "(projects/PROJECT/subscriptions/NAME), one for each mount, or from one that is made and removed by itself (auto).",
    parse: parseNotifications,
  }),
  project: option({
    flag: "project",
    placeholder: "PROJECT",
    environment: "SIDEMOUNT_PROJECT",
    defaultWords: "that of the credentials",
    group: "Freshness",
    help: "Where --notifications auto makes its topic and its subscription.",
    parse: parseProject,
  }),
  stateDirectory: option({
    flag: "state-dir",
    placeholder: "PATH",
    environment: "SIDEMOUNT_STATE_DIR",
    defaultWords: "`/var/lib/sidemount/` (not root: `~/.local/state/sidemount/`), then bucket and a hash",
    group: "Disk and time",
    help: "Where local copies and what is owed to the bucket are kept. On a disk that outlives the container.",
    parse: parseStateDirectory,
  }),
  cacheSizeBytes: option({
    flag: "cache-size",
    placeholder: "SIZE",
    environment: "SIDEMOUNT_CACHE_SIZE",
    default: "10GiB",
    group: "Disk and time",
    help: "Disk to use for copies of what the bucket has.",
    parse: parseSize,
  }),
  deadlineMs: option({
    flag: "deadline",
    placeholder: "TIME",
    environment: "SIDEMOUNT_DEADLINE",
    default: "25s",
    group: "Disk and time",
    help:
      "Longest time a request may go without progress before the program gets an error. Questions and small changes have " +
      "10s in all, or this if it is less.",
    parse: parseDeadline,
  }),
  writeBack: option({
    flag: "write-back",
    environment: "SIDEMOUNT_WRITE_BACK",
    default: "false",
    group: "Disk and time",
    help:
      "Let close and fsync return when the local disk has the bytes; uploads follow. What was not uploaded is in the " +
      "state folder, and the next start uploads it: without that folder it is lost. Not with --serve.",
    parse: parseBoolean,
  }),
  drainTimeoutMs: option({
    flag: "drain-timeout",
    placeholder: "TIME",
    environment: "SIDEMOUNT_DRAIN_TIMEOUT",
    default: "25s",
    group: "Disk and time",
    help: "Longest time to finish when told to stop.",
    parse: parseDuration,
  }),
  channel: option({
    flag: "channel",
    placeholder: "auto|device|native",
    environment: "SIDEMOUNT_CHANNEL",
    default: "auto",
    group: "Running",
    help:
      "How to mount: by itself (device, for root), through libfuse 2 and fusermount (native, for any user; slower), " +
      "or device where it can be had, else native (auto).",
    parse: parseOneOf(["auto", "device", "native"]),
  }),
  passthrough: option({
    flag: "passthrough",
    placeholder: "auto|on|off",
    environment: "SIDEMOUNT_PASSTHROUGH",
    default: "auto",
    group: "Running",
    help: "Let the kernel read and write local copies by itself: where it can (auto), or refuse to mount (on), or never (off).",
    parse: parseOneOf(["auto", "on", "off"]),
  }),
  logLevel: option({
    flag: "log-level",
    placeholder: "LEVEL",
    environment: "SIDEMOUNT_LOG_LEVEL",
    default: "info",
    group: "Running",
    help: "Least severe events to log: debug, info, warn, error or silent.",
    parse: parseOneOf(["debug", "info", "warn", "error", "silent"]),
  }),
} as const;

export type OptionKey = keyof typeof optionTable;

/** The options after parsing, by key. */
export type OptionValues = { -readonly [Key in OptionKey]: ReturnType<(typeof optionTable)[Key]["parse"]> };

export const optionKeys = Object.keys(optionTable) as OptionKey[];

/** An option without its type of value, for texts about options. */
export function specOf(key: OptionKey): OptionSpec<unknown> {
  return optionTable[key];
}
