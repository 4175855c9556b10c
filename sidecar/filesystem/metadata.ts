// Attributes as object metadata, in keys other tools already use.
//
// goog-reserved-posix-uid, -gid, -mode and goog-reserved-file-mtime: gsutil, gcloud, Storage Transfer Service.
// mtime (RFC 3339 with nanoseconds): rclone. gcsfuse_symlink_target: gcsfuse. sidemount-rdev (major:minor, decimal): ours,
// since nobody else stores device nodes. Owner and mode are stored only when they differ from the mount's defaults; the
// time always, so that every machine shows the same one.

import type { ObjectInfo } from "../bucket/bucket.ts";
import type { FileKind } from "./filesystem.ts";

export const OPERATION_KEY = "sidemount-op";
const UID_KEY = "goog-reserved-posix-uid";
const GID_KEY = "goog-reserved-posix-gid";
const MODE_KEY = "goog-reserved-posix-mode";
const SECONDS_KEY = "goog-reserved-file-mtime";
const TIME_KEY = "mtime";
const SYMLINK_KEY = "gcsfuse_symlink_target";
const DEVICE_KEY = "sidemount-rdev";

const OWN_KEYS = new Set([
  OPERATION_KEY,
  UID_KEY,
  GID_KEY,
  MODE_KEY,
  SECONDS_KEY,
  TIME_KEY,
  SYMLINK_KEY,
  DEVICE_KEY,
]);

const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;

const KIND_BITS: Record<FileKind, number> = {
  fifo: 0o010000,
  "character-device": 0o020000,
  directory: 0o040000,
  "block-device": 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

export interface OwnerAndMode {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, 0–07777. */
  readonly mode: number;
}

export interface StoredAttributes extends OwnerAndMode {
  readonly kind: FileKind;
  readonly modifyTimeNs: bigint;
  readonly linkTarget: string | undefined;
  /** As stat(2) has it, of device nodes. */
  readonly deviceNumber: number | undefined;
  /** Extended attributes set or removed (null) since the object was read, by key. All others stay as they are. */
  readonly extended?: Readonly<Record<string, string | null>> | undefined;
}

/** Whether the metadata key is one that attributes of files are stored under. */
export function isOwnKey(key: string): boolean {
  return OWN_KEYS.has(key);
}

export function kindOfMode(mode: number): FileKind | undefined {
  const found = Object.entries(KIND_BITS).find(([, bits]) => (mode & 0o170000) === bits);
  return found?.[0] as FileKind | undefined;
}

/** What an object's metadata says of it; `defaults` where it says nothing. */
export function decodeAttributes(object: ObjectInfo, defaults: OwnerAndMode): StoredAttributes {
  const { metadata } = object;
  const mode = parseWhole(metadata[MODE_KEY], 8);
  const linkTarget = metadata[SYMLINK_KEY];
  const kind =
    linkTarget !== undefined ? "symlink" : ((mode === undefined ? undefined : kindOfMode(mode)) ?? "file");
  return {
    kind,
    uid: parseWhole(metadata[UID_KEY], 10) ?? defaults.uid,
    gid: parseWhole(metadata[GID_KEY], 10) ?? defaults.gid,
    mode: kind === "symlink" ? 0o777 : mode === undefined ? defaults.mode : mode & 0o7777,
    modifyTimeNs: decodeTime(metadata) ?? BigInt(object.createdMs) * NS_PER_MS,
    linkTarget,
    deviceNumber: isDevice(kind) ? decodeDevice(metadata[DEVICE_KEY]) : undefined,
  };
}

/** The metadata keys for these attributes; null removes a key that an earlier state had. */
export function encodeAttributes(
  attributes: StoredAttributes,
  defaults: OwnerAndMode,
): Record<string, string | null> {
  const { uid, gid, mode, kind, modifyTimeNs, linkTarget, deviceNumber, extended } = attributes;
  const plainKind = kind === "file" || kind === "directory" || kind === "symlink";
  const modeText = plainKind ? mode.toString(8) : (KIND_BITS[kind] | mode).toString(8);
  return {
    [UID_KEY]: uid === defaults.uid ? null : String(uid),
    [GID_KEY]: gid === defaults.gid ? null : String(gid),
    [MODE_KEY]: plainKind && (mode === defaults.mode || kind === "symlink") ? null : modeText,
    ...encodeTimes(modifyTimeNs),
    ...(linkTarget === undefined ? {} : { [SYMLINK_KEY]: linkTarget }),
    ...(deviceNumber === undefined ? {} : { [DEVICE_KEY]: encodeDevice(deviceNumber) }),
    ...extended,
  };
}

/** The keys of a modification time. */
export function encodeTimes(modifyTimeNs: bigint): Record<string, string> {
  return {
    [SECONDS_KEY]: String(floorDivide(modifyTimeNs, NS_PER_S)),
    [TIME_KEY]: encodeTime(modifyTimeNs),
  };
}

/** Metadata for a new object: foreign keys of the version it replaces are kept, removed keys left out. */
export function metadataForInsert(
  attributes: StoredAttributes,
  defaults: OwnerAndMode,
  replaced: ObjectInfo | undefined,
): Record<string, string> {
  const { [OPERATION_KEY]: _, ...kept } = replaced?.metadata ?? {};
  const merged = { ...kept, ...encodeAttributes(attributes, defaults) };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

function decodeTime(metadata: ObjectInfo["metadata"]): bigint | undefined {
  const precise = metadata[TIME_KEY];
  if (precise !== undefined) {
    const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(precise);
    const wholeMs = match ? Date.parse(`${match[1] ?? ""}${match[3] ?? ""}`) : Number.NaN;
    if (!Number.isNaN(wholeMs))
      return BigInt(wholeMs) * NS_PER_MS + BigInt((match?.[2] ?? "").padEnd(9, "0"));
  }
  const seconds = metadata[SECONDS_KEY];
  return seconds !== undefined && /^-?\d{1,12}$/.test(seconds) ? BigInt(seconds) * NS_PER_S : undefined;
}

function encodeTime(timeNs: bigint): string {
  const seconds = floorDivide(timeNs, NS_PER_S);
  const fraction = String(timeNs - seconds * NS_PER_S).padStart(9, "0");
  return new Date(Number(seconds) * 1000).toISOString().replace(/\.\d+Z$/, `.${fraction}Z`);
}

export function isDevice(kind: FileKind): boolean {
  return kind === "character-device" || kind === "block-device";
}

// The layout of a device number of 32 bits, as in fuse_attr: minor 0–7, major 8–19, the rest of minor (new_encode_dev).
function encodeDevice(device: number): string {
  return `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`;
}

function decodeDevice(text = ""): number {
  const match = /^(\d{1,4}):(\d{1,7})$/.exec(text);
  const [major, minor] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

function floorDivide(value: bigint, by: bigint): bigint {
  return value >= 0n ? value / by : -((-value + by - 1n) / by);
}

function parseWhole(text: string | undefined, base: 8 | 10): number | undefined {
  if (text === undefined || !(base === 8 ? /^[0-7]{1,7}$/ : /^\d{1,10}$/).test(text)) return undefined;
  return Number.parseInt(text, base);
}
