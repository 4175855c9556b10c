import test from "ava";

import { negotiate, ProtocolMismatch } from "./init.ts";
import { INIT, INIT2 } from "./protocol.ts";

// What Linux 6.18 offers.
const kernel = { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb, flags2: 0x4bf };
const wishes = { maxWriteBytes: 1 << 20, passthrough: true, immutableFiles: false };

test("RULES 23: the kernel keeps removing setuid bits, resolving `..`, its own page cache and its own locks", (t) => {
  const { answer } = negotiate(kernel, wishes);
  const never =
    INIT.HANDLE_KILLPRIV |
    INIT.HANDLE_KILLPRIV_V2 |
    INIT.EXPORT_SUPPORT |
    INIT.WRITEBACK_CACHE |
    INIT.POSIX_LOCKS |
    INIT.FLOCK_LOCKS |
    INIT.NO_OPEN_SUPPORT |
    INIT.NO_OPENDIR_SUPPORT |
    INIT.AUTO_INVAL_DATA;
  t.is(answer.flags & never, 0);
});

test("what is asked for is what makes the mount fast: large requests, parallel look-ups, passthrough", (t) => {
  const { answer, outcome } = negotiate(kernel, wishes);
  for (const flag of [
    "MAX_PAGES",
    "PARALLEL_DIROPS",
    "ATOMIC_O_TRUNC",
    "DO_READDIRPLUS",
    "INIT_EXT",
  ] as const) {
    t.true((answer.flags & INIT[flag]) !== 0, flag);
  }
  t.is(answer.flags2, INIT2.PASSTHROUGH | INIT2.DIRECT_IO_ALLOW_MMAP | INIT2.HAS_RESEND);
  t.is(answer.maxPages, 256);
  t.is(answer.maxStackDepth, 2);
  t.deepEqual(outcome, {
    protocolMinor: 45,
    maxWriteBytes: 1 << 20,
    passthroughOffered: true,
    expireOnly: true,
    epoch: true,
    resend: true,
  });
});

test("where files never change the kernel opens them by itself, and only what is looked up counts as handed out", (t) => {
  const { answer, outcome } = negotiate(kernel, { ...wishes, immutableFiles: true });
  t.true((answer.flags & INIT.NO_OPEN_SUPPORT) !== 0);
  const never = INIT.NO_OPENDIR_SUPPORT | INIT.DO_READDIRPLUS | INIT.AUTO_INVAL_DATA | INIT.WRITEBACK_CACHE;
  t.is(answer.flags & never, 0);
  t.is(answer.flags2 & INIT2.PASSTHROUGH, 0);
  t.is(outcome?.expireOnly, false);
});

test("nothing is agreed to that the kernel did not offer", (t) => {
  const { answer, outcome } = negotiate(
    { ...kernel, minor: 31, flags: INIT.MAX_PAGES | INIT.BIG_WRITES },
    wishes,
  );
  t.is(answer.flags, INIT.MAX_PAGES | INIT.BIG_WRITES);
  t.is(answer.flags2, 0);
  t.is(answer.minor, 31);
  t.is(answer.maxStackDepth, 0);
  t.like(outcome, { passthroughOffered: false, epoch: false, expireOnly: false, resend: false });
});

test("the answer never claims a newer protocol than is spoken here", (t) => {
  t.is(negotiate({ ...kernel, minor: 99 }, wishes).answer.minor, 45);
  t.deepEqual(negotiate({ ...kernel, major: 8, minor: 0 }, wishes).outcome, undefined);
  t.is(negotiate({ ...kernel, major: 8, minor: 0 }, wishes).answer.major, 7);
});

test("a kernel that is too old is refused with what is needed", (t) => {
  const error = t.throws(() => negotiate({ ...kernel, minor: 27 }, wishes), { instanceOf: ProtocolMismatch });
  t.regex(error?.message ?? "", /7\.28 \(Linux 4\.20\)/);
});

test("without the wish for passthrough it is not asked for", (t) => {
  const { answer } = negotiate(kernel, { ...wishes, passthrough: false });
  t.is(answer.flags2 & INIT2.PASSTHROUGH, 0);
  t.is(answer.maxStackDepth, 0);
});
