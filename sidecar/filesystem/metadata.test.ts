import test from "ava";
import fc from "fast-check";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { decodeAttributes, encodeAttributes, metadataForInsert } from "./metadata.ts";

const defaults = { uid: 0, gid: 0, mode: 0o666 };

const noTarget = { linkTarget: undefined, deviceNumber: undefined } as const;

function objectWith(metadata: Record<string, string>): ObjectInfo {
  return {
    name: "a",
    generation: 1n,
    metageneration: 1n,
    size: 0,
    crc32c: 0,
    createdMs: 1_700_000_000_000,
    updatedMs: 1_700_000_000_000,
    contentType: undefined,
    contentEncoding: undefined,
    metadata,
  };
}

test("attributes written to metadata come back as they were", (t) => {
  const attributes = fc.record({
    kind: fc.constantFrom("file", "fifo", "socket"),
    uid: fc.nat(2 ** 32 - 2),
    gid: fc.nat(2 ** 32 - 2),
    mode: fc.nat(0o7777),
    modifyTimeNs: fc.bigInt({ min: -(10n ** 18n), max: 4n * 10n ** 18n }),
  });
  fc.assert(
    fc.property(attributes, (given) => {
      const stored = { ...given, ...noTarget } as const;
      const metadata = metadataForInsert(stored, defaults, undefined);
      t.deepEqual(decodeAttributes(objectWith(metadata), defaults), stored);
    }),
  );
});

test("owner and mode are stored only where they differ from the mount's defaults, the time always", (t) => {
  const plain = {
    kind: "file",
    ...defaults,
    modifyTimeNs: 1_500_000_000_123_456_789n,
    ...noTarget,
  } as const;
  t.deepEqual(metadataForInsert(plain, defaults, undefined), {
    "goog-reserved-file-mtime": "1500000000",
    mtime: "2017-07-14T02:40:00.123456789Z",
  });
  t.like(metadataForInsert({ ...plain, uid: 33, mode: 0o644 }, defaults, undefined), {
    "goog-reserved-posix-uid": "33",
    "goog-reserved-posix-mode": "644",
  });
});

test("a key that no longer applies is removed by a patch", (t) => {
  const back = { kind: "file", ...defaults, modifyTimeNs: 0n, ...noTarget } as const;
  t.is(encodeAttributes(back, defaults)["goog-reserved-posix-mode"], null);
});

test("keys of other tools are kept when an object is replaced, our operation id is not", (t) => {
  const replaced = objectWith({ "sidemount-op": "m:1", author: "me", "goog-reserved-posix-uid": "5" });
  const plain = { kind: "file", ...defaults, modifyTimeNs: 0n, ...noTarget } as const;
  const metadata = metadataForInsert(plain, defaults, replaced);
  t.is(metadata["author"], "me");
  t.is(metadata["sidemount-op"], undefined);
  t.is(metadata["goog-reserved-posix-uid"], undefined);
});

test("an object that no tool of this kind wrote has the mount's owner and mode and the time it was created", (t) => {
  t.deepEqual(decodeAttributes(objectWith({}), defaults), {
    kind: "file",
    ...defaults,
    modifyTimeNs: 1_700_000_000_000_000_000n,
    ...noTarget,
  });
});

test("a time with an offset or without a fraction is understood, nonsense is ignored", (t) => {
  t.is(
    decodeAttributes(objectWith({ mtime: "2017-07-14T04:40:00+02:00" }), defaults).modifyTimeNs,
    1_500_000_000_000_000_000n,
  );
  t.is(
    decodeAttributes(objectWith({ "goog-reserved-file-mtime": "12" }), defaults).modifyTimeNs,
    12_000_000_000n,
  );
  t.is(
    decodeAttributes(objectWith({ mtime: "yesterday" }), defaults).modifyTimeNs,
    1_700_000_000_000_000_000n,
  );
  t.is(decodeAttributes(objectWith({ "goog-reserved-posix-mode": "rwx" }), defaults).mode, 0o666);
});

test("a symbolic link is an object whose metadata names the target", (t) => {
  const link = decodeAttributes(objectWith({ gcsfuse_symlink_target: "../a" }), defaults);
  t.is(link.kind, "symlink");
  t.is(link.linkTarget, "../a");
});

test("a device node's number is stored as major and minor", (t) => {
  // From mknod(1): `mknod b 259 100000` and `c 1 3` as the kernel packs them.
  const numbers = [
    [0x1861_03a0, "259:100000"],
    [0x0103, "1:3"],
  ] as const;
  const node = { kind: "character-device", ...defaults, modifyTimeNs: 0n, linkTarget: undefined } as const;
  for (const [deviceNumber, text] of numbers) {
    const metadata = metadataForInsert({ ...node, deviceNumber }, defaults, undefined);
    t.is(metadata["sidemount-rdev"], text);
    t.is(decodeAttributes(objectWith(metadata), defaults).deviceNumber, deviceNumber);
  }
  t.is(decodeAttributes(objectWith({ "goog-reserved-posix-mode": "20644" }), defaults).deviceNumber, 0);
  t.is(
    decodeAttributes(objectWith({ "goog-reserved-posix-mode": "20644", "sidemount-rdev": "x" }), defaults)
      .deviceNumber,
    0,
  );
  t.is(decodeAttributes(objectWith({ "sidemount-rdev": "1:3" }), defaults).deviceNumber, undefined);
});
