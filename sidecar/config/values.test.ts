import test from "ava";
import fc from "fast-check";

import { parseBucketAddress, parsePrefix } from "./bucket-name.ts";
import { closest, editDistance } from "./closest.ts";
import { formatDuration, parseDeadline, parseDuration } from "./duration.ts";
import { parseNotifications, parseProject } from "./notifications.ts";
import { parseGroup, parseMode, parseUser } from "./ownership.ts";
import { formatSize, parseSize } from "./size.ts";
import { UsageError, WrongValue } from "./usage-error.ts";
import { parseBoolean, parseOneOf, parsePatterns } from "./words.ts";

const passwd = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n";

test("sizes count in 1024 with iB or a letter alone, in 1000 with B", (t) => {
  t.is(parseSize("512MiB"), 512 * 1024 ** 2);
  t.is(parseSize("10GB"), 10_000_000_000);
  t.is(parseSize("1G"), 1024 ** 3);
  t.is(parseSize("1.5 gib"), 1.5 * 1024 ** 3);
  t.is(parseSize("100B"), 100);
  t.is(parseSize("0"), 0);
});

test("a size without a unit, or with a strange one, is refused with an example", (t) => {
  for (const text of ["", "10", "ten", "-1G", "1X", "1iB", "1 G B", "1e3M", "0x10K", "9000T"]) {
    t.throws(() => parseSize(text), { instanceOf: WrongValue, message: /512MiB/ }, text);
  }
});

test("every size can be written so that it reads as the same size", (t) => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize(formatSize(bytes)) === bytes));
  const round = fc.tuple(fc.nat(1000), fc.constantFrom(1000, 1024), fc.nat(3));
  fc.assert(
    fc.property(round, ([n, base, power]) => parseSize(formatSize(n * base ** power)) === n * base ** power),
  );
  t.is(formatSize(10 * 1024 ** 3), "10GiB");
});

test("times have a unit, and at most a day", (t) => {
  t.is(parseDuration("500ms"), 500);
  t.is(parseDuration("10s"), 10_000);
  t.is(parseDuration("2m"), 120_000);
  t.is(parseDuration("0.5s"), 500);
  t.is(parseDuration("0"), 0);
  for (const text of ["", "10", "10 minutes", "-1s", "1d"]) {
    t.throws(() => parseDuration(text), { instanceOf: WrongValue, message: /10s/ }, text);
  }
  t.throws(() => parseDuration("25h"), { message: /at most 24h/ });
  t.throws(() => parseDeadline("0"), { message: /at least 1s/ });
});

test("every time can be written so that it reads as the same time", (t) => {
  fc.assert(fc.property(fc.nat(86_400_000), (ms) => parseDuration(formatDuration(ms)) === ms));
  t.is(formatDuration(120_000), "2m");
});

test("owners are numbers or names of this machine", (t) => {
  t.is(parseUser("33", ""), 33);
  t.is(parseUser("www-data", passwd), 33);
  t.is(parseGroup("0", ""), 0);
  t.throws(() => parseUser("nobody-here", passwd), { message: /number or the name of a user/ });
  t.throws(() => parseGroup("-1", passwd), { instanceOf: WrongValue });
  t.throws(() => parseUser("4294967295", passwd), { message: /up to 4294967294/ });
});

test("permissions are three octal digits", (t) => {
  t.is(parseMode("0644"), 0o644);
  t.is(parseMode("777"), 0o777);
  t.is(parseMode("0o600"), 0o600);
  for (const text of ["", "8", "888", "4755", "rw", "64"])
    t.throws(() => parseMode(text), { message: /0644/ }, text);
  const mode = fc.integer({ min: 0, max: 0o777 });
  fc.assert(fc.property(mode, (bits) => parseMode(bits.toString(8).padStart(4, "0")) === bits));
});

test("words are one of those offered, and switches are true or false", (t) => {
  t.is(parseOneOf(["auto", "on"])(" Auto "), "auto");
  t.throws(() => parseOneOf(["auto", "on"])("maybe"), { message: "one of auto, on" });
  for (const yes of ["true", "1", "YES", "on"]) t.true(parseBoolean(yes));
  for (const no of ["false", "0", "No", "off"]) t.false(parseBoolean(no));
  t.throws(() => parseBoolean("perhaps"), { message: "true or false" });
});

test("patterns are separated by commas and have no slash", (t) => {
  t.deepEqual(parsePatterns("*.lock, *.pid,"), ["*.lock", "*.pid"]);
  t.deepEqual(parsePatterns(""), []);
  t.throws(() => parsePatterns("locks/*.lock"), { instanceOf: WrongValue });
});

test("a bucket may be written as a name or with its folder as gs://", (t) => {
  t.deepEqual(parseBucketAddress("my-uploads"), { bucket: "my-uploads", prefix: undefined });
  t.deepEqual(parseBucketAddress("gs://my-uploads"), { bucket: "my-uploads", prefix: undefined });
  t.deepEqual(parseBucketAddress("gs://my-uploads/"), { bucket: "my-uploads", prefix: undefined });
  t.deepEqual(parseBucketAddress("gs://my.uploads_1/a/b"), { bucket: "my.uploads_1", prefix: "a/b/" });
  t.throws(() => parseBucketAddress("my-uploads/photos"), { message: /neither a bucket nor an address/ });
});

test("names no bucket can have are refused with the reason", (t) => {
  const refusals: [string, RegExp][] = [
    ["", /missing/],
    ["Uploads", /small letters/],
    ["up loads", /small letters/],
    ["-uploads", /begin and end/],
    ["ab", /3 to 63/],
    ["b", /3 to 63/],
    ["a".repeat(64), /3 to 63/],
    ["a..b", /between dots/],
    ["192.168.0.1", /IP addresses/],
  ];
  for (const [name, message] of refusals) {
    t.throws(() => parseBucketAddress(name), { instanceOf: UsageError, message }, name);
  }
});

test("a placeholder left over from a template is called one", (t) => {
  const left = [
    "REPLACE-WITH-YOUR-GCS-BUCKET-NAME",
    "your-bucket",
    "YOUR_BUCKET_NAME",
    "your-gcs-bucket",
    "<bucket>",
    "${GCS_BUCKET}",
    "$BUCKET",
    "changeme",
    "ENTER-YOUR-BUCKET-HERE",
    "bucket-name",
    "xxxx",
    "gs://your-bucket/photos/",
  ];
  for (const name of left) t.throws(() => parseBucketAddress(name), { message: /is a placeholder/ }, name);
  for (const name of ["my-bucket", "bucket-1", "customer-uploads", "replacements"]) {
    t.notThrows(() => parseBucketAddress(name), name);
  }
});

test("reading any text as a bucket gives a bucket or a UsageError, nothing else", (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      try {
        return /^[a-z0-9][a-z0-9._-]+[a-z0-9]$/.test(parseBucketAddress(text).bucket);
      } catch (error) {
        return error instanceof UsageError || error instanceof WrongValue;
      }
    }),
  );
  t.pass();
});

test("a prefix ends in one slash and begins with none", (t) => {
  t.is(parsePrefix("photos"), "photos/");
  t.is(parsePrefix("/photos/2024//"), "photos/2024/");
  t.is(parsePrefix(""), "");
  t.is(parsePrefix("/"), "");
  for (const text of ["a//b", "../x", "a/./b", "a\nb", "x".repeat(1001)]) {
    t.throws(() => parsePrefix(text), { message: /photos/ }, text);
  }
  const folders = fc.array(fc.stringMatching(/^[a-z0-9 äöü#?%+&]{1,8}$/), { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(folders, (names) => parsePrefix(names.join("/")) === `${names.join("/")}/`));
});

test("the closest word is found when it is close", (t) => {
  t.is(closest("cach-size", ["cache-size", "state-dir"]), "cache-size");
  t.is(closest("bananas", ["cache-size", "state-dir"]), undefined);
  const word = fc.string({ maxLength: 12 });
  fc.assert(fc.property(word, word, (a, b) => editDistance(a, b) === editDistance(b, a)));
  fc.assert(fc.property(word, (a) => editDistance(a, a) === 0));
});

test("notifications are off, made by themselves, or a subscription by its full name", (t) => {
  for (const text of ["off", "auto", " AUTO ", "projects/my-project/subscriptions/my-uploads"])
    t.is(parseNotifications(text), /auto/i.test(text) ? "auto" : text);
  t.notThrows(() => parseNotifications("projects/example.com:old-one/subscriptions/a.b_c~d+e%25"));
  t.notThrows(() => parseNotifications("projects/123456/subscriptions/abc"));
  for (const text of [
    "",
    "on",
    "my-uploads",
    "projects/p/subscriptions/s",
    "projects/my-project/topics/my-uploads",
    "projects/my-project/subscriptions/goog-mine",
    "projects/My_Project/subscriptions/my-uploads",
    "//pubsub.googleapis.com/projects/my-project/subscriptions/my-uploads",
    "projects/my-project/subscriptions/a/b",
  ]) {
    const message = /auto, off, .* such as projects\/my-project\/subscriptions\/my-uploads/;
    t.throws(() => parseNotifications(text), { instanceOf: WrongValue, message }, text);
  }
  t.is(parseProject(" my-project "), "my-project");
  t.throws(() => parseProject("my/project"), { instanceOf: WrongValue, message: /my-project/ });
});
