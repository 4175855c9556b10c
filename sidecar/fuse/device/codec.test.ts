// Literal bytes on both sides of the codecs. Layouts: include/uapi/linux/fuse.h; all numbers little endian.

import test from "ava";

import type { Attributes, BackingId, Entry, HandleId, InodeId } from "../../filesystem/filesystem.ts";
import * as decode from "./decode.ts";
import * as encode from "./encode.ts";
import { Listing } from "./listing.ts";

/** Bytes from groups of hex digits. */
const hex = (...groups: string[]) => Buffer.from(groups.join("").replaceAll(/\s/g, ""), "hex");

// len 0 (not looked at), opcode 1, unique 0x8000000000000006, node 5, uid 1000, gid 100, pid 4242, no extensions
const HEADER = hex(
  "00000000 01000000 0600000000000080 0500000000000000",
  "e8030000 64000000 92100000 0000 0000",
);
const request = (...groups: string[]) => Buffer.concat([HEADER, hex(...groups)]);
const name = (text: string) => Buffer.from(`${text}\0`).toString("hex");

const attributes: Attributes = {
  inode: 0x1_0000_0002 as InodeId,
  kind: "file",
  mode: 0o4644,
  uid: 1,
  gid: 2,
  size: 0x2_0000_0003,
  blocks: 9,
  linkCount: 1,
  accessTimeNs: 1_500_000_001n,
  modifyTimeNs: -1n, // one nanosecond before 1970
  changeTimeNs: 3_000_000_000n,
  deviceNumber: 0x0801,
};
const ATTRIBUTES = [
  "0200000001000000 0300000002000000 0900000000000000", // ino, size, blocks
  "0100000000000000 ffffffffffffffff 0300000000000000", // seconds of access, modification, change
  "0165cd1d ffc99a3b 00000000", // their nanoseconds: 500000001, 999999999, 0
  "a4890000 01000000 01000000 02000000 01080000 00100000 00000000", // mode, nlink, uid, gid, rdev, blksize, flags
].join("");

const entry: Entry = { attributes, entryValidMs: 1500, attributesValidMs: 60_000 };
const ENTRY = [
  "0200000001000000 0000000000000000", // node id, generation
  "0100000000000000 3c00000000000000 0065cd1d 00000000", // valid: name 1.5 s, attributes 60 s
  ATTRIBUTES,
].join("");

test("a request's header says what is asked, by whom, about which node", (t) => {
  t.deepEqual(decode.decodeHeader(HEADER), {
    length: 0,
    opcode: 1,
    unique: 0x8000_0000_0000_0006n,
    inode: 5 as InodeId,
    uid: 1000,
    gid: 100,
    pid: 4242,
  });
});

test("names are read up to their zero byte", (t) => {
  t.is(decode.decodeName(request(name("größe"))), "größe");
  t.deepEqual(decode.decodeTwoNames(request(name("link"), name("../target"))), ["link", "../target"]);
  t.throws(() => decode.decodeName(request("ff00")), { instanceOf: decode.NameNotUtf8 });
  t.throws(() => decode.decodeName(request("6161")), { instanceOf: RangeError });
});

test("INIT: major, minor, max_readahead, flags, flags2", (t) => {
  const bytes = request("07000000 2d000000 00000200 fbffff73 bf000000", "00".repeat(44));
  t.deepEqual(decode.decodeInit(bytes), {
    major: 7,
    minor: 45,
    maxReadahead: 0x20000,
    flags: 0x73fffffb,
    flags2: 0xbf,
  });
  t.is(decode.decodeInit(request("07000000 1f000000 00000200 fbffff73")).flags2, 0);
});

test("FORGET and BATCH_FORGET: node ids with counts", (t) => {
  t.deepEqual(decode.decodeForget(request("0300000000000000"), decode.decodeHeader(HEADER)), {
    inode: 5 as InodeId,
    count: 3,
  });
  const batch = request(
    "02000000 00000000",
    "0700000000000000 0100000000000000 0800000000000000 0200000000000000",
  );
  t.deepEqual(decode.decodeBatchForget(batch), [
    { inode: 7 as InodeId, count: 1 },
    { inode: 8 as InodeId, count: 2 },
  ]);
});

test("GETATTR carries a handle only if its flag says so", (t) => {
  t.is(decode.decodeGetAttributes(request("01000000 00000000 0900000000000000")), 9 as HandleId);
  t.is(decode.decodeGetAttributes(request("00000000 00000000 0900000000000000")), undefined);
});

// valid, padding, fh, size, lock_owner, atime, mtime, ctime, their nanoseconds, mode, unused, uid, gid, unused
const SETATTR_REST = [
  "00000000 0900000000000000 0010000000000000 0000000000000000",
  "0100000000000000 feffffffffffffff 0500000000000000 02000000 ffc99a3b 00000000",
  "ed890000 00000000 e8030000 64000000 00000000",
].join("");

test("SETATTR: each bit of `valid` brings its field, and the change time is ours", (t) => {
  t.deepEqual(decode.decodeSetAttributes(request("7f040000", SETATTR_REST)), {
    changes: {
      mode: 0o4755,
      uid: 1000,
      gid: 100,
      size: 4096,
      accessTimeNs: 1_000_000_002n,
      modifyTimeNs: -1_000_000_001n,
    },
    handle: 9 as HandleId,
  });
  t.deepEqual(decode.decodeSetAttributes(request("b0010000", SETATTR_REST)).changes, {
    accessTimeNs: "now",
    modifyTimeNs: "now",
  });
  t.deepEqual(decode.decodeSetAttributes(request("00040000", SETATTR_REST)), {
    changes: {},
    handle: undefined,
  });
});

test("the requests that make, move and open names", (t) => {
  t.deepEqual(decode.decodeMakeNode(request("a4110000 01080000 12000000 00000000", name("n"))), {
    mode: 0o10644,
    deviceNumber: 0x801,
    umask: 0o22,
    name: "n",
  });
  t.deepEqual(decode.decodeMakeDirectory(request("ed410000 12000000", name("d"))), {
    mode: 0o755,
    umask: 0o22,
    name: "d",
  });
  const moved = { newParent: 6 as InodeId, oldName: "a", newName: "b" };
  t.deepEqual(decode.decodeRename(request("0600000000000000", name("a"), name("b"))), { ...moved, flags: 0 });
  t.deepEqual(decode.decodeRename2(request("0600000000000000 02000000 00000000", name("a"), name("b"))), {
    ...moved,
    flags: 2,
  });
  t.deepEqual(decode.decodeLink(request("0600000000000000", name("l"))), {
    inode: 6 as InodeId,
    newName: "l",
  });
  t.is(decode.decodeOpen(request("01820000 00000000")), 0o101001);
  t.deepEqual(decode.decodeCreate(request("c1820000 a4810000 12000000 00000000", name("c"))), {
    flags: 0o101301,
    mode: 0o644,
    umask: 0o22,
    name: "c",
  });
});

test("the requests on extended attributes", (t) => {
  const set = decode.decodeSetExtended(request("03000000 02000000", name("user.a"), "00ff07 ee"));
  t.deepEqual(set, { name: "user.a", value: hex("00ff07"), flags: 2 });
  t.deepEqual(decode.decodeSetExtended(request("00000000 00000000", name("user.b"))), {
    name: "user.b",
    value: Buffer.alloc(0),
    flags: 0,
  });
  t.deepEqual(decode.decodeGetExtended(request("00010000 00000000", name("user.größe"))), {
    name: "user.größe",
    room: 256,
  });
  t.is(decode.decodeRoom(request("00000100 00000000")), 65536);
  t.deepEqual(encode.encodeExtendedSize(300).subarray(16), hex("2c010000 00000000"));
});

test("the requests on open files", (t) => {
  const position = "0900000000000000 0000000001000000"; // fh 9, offset 4 GiB
  const rest = "00000000 0000000000000000 00000000 00000000";
  t.deepEqual(decode.decodeRead(request(position, "00000200", rest)), {
    handle: 9 as HandleId,
    offset: 2 ** 32,
    size: 131072,
  });
  const write = decode.decodeWrite(request(position, "03000000", rest, "616263 ff"));
  t.deepEqual(
    [write.handle, write.offset, write.data.toString(), write.fromMapping],
    [9 as HandleId, 2 ** 32, "abc", false],
  );
  t.true(decode.decodeWrite(request(position, "03000000", "01000000", rest, "616263 ff")).fromMapping);
  t.deepEqual(decode.decodeFsync(request("0900000000000000 01000000 00000000")), {
    handle: 9 as HandleId,
    flags: 1,
  });
  t.deepEqual(decode.decodeFallocate(request(position, "0000100000000000 03000000 00000000")), {
    handle: 9 as HandleId,
    offset: 2 ** 32,
    length: 1 << 20,
    mode: 3,
  });
  t.deepEqual(decode.decodeSeek(request(position, "04000000 00000000")), {
    handle: 9 as HandleId,
    offset: 2 ** 32,
    whence: 4,
  });
  const copy = request(
    position,
    "0700000000000000 0a00000000000000 0010000000000000",
    "0000000002000000 0000000000000000",
  );
  t.deepEqual(decode.decodeCopyRange(copy), {
    from: { handle: 9 as HandleId, offset: 2 ** 32 },
    to: { inode: 7 as InodeId, handle: 10 as HandleId, offset: 4096 },
    length: 2 ** 33,
    flags: 0,
  });
  t.is(decode.decodeInterrupt(request("0600000000000080")), 0x8000_0000_0000_0006n);
});

/** An answer's body, and its header: length, negative errno, unique. */
const header = (length: string, error: string, unique: string) => length + error + unique;

test("answers: header, attributes, entry", (t) => {
  t.deepEqual(encode.encodeError(6n, 2), hex(header("10000000", "feffffff", "0600000000000000")));
  const reply = encode.finishAnswer(
    encode.encodeAttributes({ attributes, attributesValidMs: 250 }),
    1n << 63n,
  );
  t.deepEqual(
    reply,
    hex(header("78000000", "00000000", "0000000000000080"), "0000000000000000 80b2e60e 00000000", ATTRIBUTES),
  );
  t.deepEqual(
    encode.finishAnswer(encode.encodeEntry(entry), 6n),
    hex(header("90000000", "00000000", "0600000000000000"), ENTRY),
  );
  t.is(encode.finishAnswer(encode.encodeEmpty(), 6n, 0, 10).readUInt32LE(0), 26);
  t.is(encode.encodeBytes("ü").subarray(16).toString(), "ü");
});

test("a validity without end, and one of less than nothing", (t) => {
  const valid = (attributesValidMs: number) =>
    encode.encodeAttributes({ attributes, attributesValidMs }).subarray(16, 28);
  t.deepEqual(valid(Infinity), hex("ffffff7f00000000 00000000"));
  t.deepEqual(valid(-5), hex("0000000000000000 00000000"));
});

test("answers to OPEN, OPENDIR and CREATE say who serves the bytes", (t) => {
  const handle = 9 as HandleId;
  const opened = (access: Parameters<typeof encode.encodeOpened>[0]["access"], noFlush: boolean) =>
    encode.encodeOpened({ handle, access, noFlush }).subarray(16);
  const kernel = { by: "kernel", backing: 3 as BackingId } as const;
  t.deepEqual(opened(kernel, false), hex("0900000000000000 80000000 03000000"));
  t.deepEqual(opened(kernel, true), hex("0900000000000000 a0000000 03000000"));
  t.deepEqual(opened({ by: "daemon", keepCache: true }, true), hex("0900000000000000 22000000 00000000"));
  t.deepEqual(opened({ by: "daemon", keepCache: false }, false), hex("0900000000000000 00000000 00000000"));
  t.deepEqual(encode.encodeOpenedDirectory(handle).subarray(16), hex("0900000000000000 00000000 00000000"));
  t.deepEqual(
    encode.encodeCreated(entry, { handle, access: kernel, noFlush: false }).subarray(16),
    hex(ENTRY, "0900000000000000 80000000 03000000"),
  );
});

test("answers to WRITE, STATFS and INIT", (t) => {
  t.deepEqual(encode.encodeWritten(4096).subarray(16), hex("00100000 00000000"));
  t.deepEqual(encode.encodeSought(2 ** 33 + 1).subarray(16), hex("0100000002000000"));
  t.deepEqual(encode.encodeCopied(2 ** 33 + 1).subarray(16), hex("0100000002000000"));
  const statistics = {
    blockSize: 4096,
    blocks: 10,
    blocksFree: 7,
    files: 5,
    filesFree: 3,
    nameLengthMax: 255,
  };
  t.deepEqual(
    encode.encodeStatistics(statistics).subarray(16),
    hex(
      "0a00000000000000 0700000000000000 0700000000000000 0500000000000000 0300000000000000",
      "00100000 ff000000 00100000 00000000",
      "00".repeat(24),
    ),
  );
  const init = encode.encodeInit({
    major: 7,
    minor: 45,
    maxReadahead: 0x20000,
    flags: 0x40000001,
    flags2: 0xa0,
    maxBackground: 64,
    congestionThreshold: 48,
    maxWriteBytes: 1 << 20,
    timeGranularityNs: 1,
    maxPages: 256,
    maxStackDepth: 2,
  });
  t.deepEqual(
    init.subarray(16),
    hex(
      "07000000 2d000000 00000200 01000040 4000 3000 00001000 01000000 0001 0000 a0000000 02000000",
      "00".repeat(24), // request_timeout and unused
    ),
  );
});

test("notifications: unique 0, the code as error, then what changed", (t) => {
  t.deepEqual(
    encode.encodeAttributesChanged(5 as InodeId),
    hex("28000000 02000000 0000000000000000", "0500000000000000 ffffffffffffffff 0000000000000000"),
  );
  t.deepEqual(
    encode.encodeEntryChanged(5 as InodeId, "é", true),
    hex("23000000 03000000 0000000000000000", "0500000000000000 02000000 01000000 c3a900"),
  );
  t.deepEqual(encode.encodeEpochIncrement(), hex("10000000 08000000 0000000000000000"));
});

test("folder entries are aligned to eight bytes, and one that does not fit is not taken", (t) => {
  const listed = {
    name: "abc",
    inode: 7 as InodeId,
    kind: "directory",
    nextOffset: 2,
    entry: undefined,
  } as const;
  const listing = new Listing(63, false);
  t.true(listing.accept(listed));
  t.false(listing.accept({ ...listed, name: "a name of nine" }));
  t.deepEqual(
    listing.answer.subarray(16),
    hex("0700000000000000 0200000000000000 03000000 04000000 616263 0000000000"),
  );
  t.false(listing.tooSmall);

  const small = new Listing(24, false);
  t.false(small.accept(listed));
  t.true(small.tooSmall);
});

test("READDIRPLUS puts the entry in front; without one its node id is 0 and nothing is counted", (t) => {
  const listing = new Listing(4096, true);
  const dot = { name: ".", inode: 1 as InodeId, kind: "directory", nextOffset: 1, entry: undefined } as const;
  t.true(listing.accept(dot));
  t.true(listing.accept({ name: "f", inode: attributes.inode, kind: "file", nextOffset: 2, entry }));
  const plain = "0100000000000000 0100000000000000 01000000 04000000 2e00000000000000";
  const withEntry = "0200000001000000 0200000000000000 01000000 08000000 6600000000000000";
  t.deepEqual(listing.answer.subarray(16), hex("00".repeat(128), plain, ENTRY, withEntry));
  t.deepEqual(listing.lookedUp, [attributes.inode]);
});
