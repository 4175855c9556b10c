import test from "ava";

import { BucketError } from "../bucket/errors.ts";
import { FileSystemError } from "../filesystem/errors.ts";
import { errnoOf } from "./errno.ts";

const numbers = {
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENOMEM: 12,
  EACCES: 13,
  ENOSPC: 28,
  ENOTEMPTY: 39,
  ESTALE: 116,
};

test("refusals of the tree keep their name", (t) => {
  t.is(errnoOf(new FileSystemError("ENOTEMPTY", "a folder")).number, numbers.ENOTEMPTY);
  t.is(errnoOf(new FileSystemError("ESTALE", "an open file")).number, numbers.ESTALE);
});

test("a missing object is ENOENT, a missing bucket is not", (t) => {
  t.is(errnoOf(new BucketError("not-found", "")).number, numbers.ENOENT);
  t.is(errnoOf(new BucketError("bucket-not-found", "")).number, numbers.EIO);
  t.is(errnoOf(new BucketError("forbidden", "")).number, numbers.EACCES);
  t.is(errnoOf(new BucketError("precondition-failed", "")).number, numbers.ESTALE);
  t.is(errnoOf(new BucketError("throttled", "")).number, numbers.EIO);
});

test("of our own files' errors only a full disk and a lack of memory concern the program", (t) => {
  const local = (code: string) => errnoOf(Object.assign(new Error("of a copy"), { code }));
  t.deepEqual(local("ENOSPC"), { number: numbers.ENOSPC, expected: true });
  t.deepEqual(local("EDQUOT"), { number: numbers.ENOSPC, expected: true });
  t.deepEqual(local("ENOMEM"), { number: numbers.ENOMEM, expected: true });
  for (const code of ["ENOENT", "EACCES", "EMFILE", "EROFS", "ERR_INVALID_STATE"]) {
    t.deepEqual(local(code), { number: numbers.EIO, expected: false }, code);
  }
  t.deepEqual(errnoOf("not even an error"), { number: numbers.EIO, expected: false });
});
