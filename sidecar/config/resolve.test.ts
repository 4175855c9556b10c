import { existsSync, readFileSync } from "node:fs";

import test from "ava";

import { optionDocument } from "./option-document.ts";
import { optionKeys, specOf, type Machine } from "./option-table.ts";
import { misspelledEnvironment, resolveMountOptions, type Environment, type Typed } from "./resolve.ts";
import { UsageError } from "./usage-error.ts";

const machine: Machine = {
  uid: 1000,
  gid: 1001,
  workingDirectory: "/home/me",
  passwd: "www-data:x:33:33::/var/www:/bin/false\nme:x:1000:1001::/home/me:/bin/bash\n",
  group: "www-data:x:33:\n",
};

function resolve(typed: Partial<Typed> = {}, environment: Environment = {}) {
  return resolveMountOptions(
    { operands: ["my-uploads", "uploads"], flags: {}, fstab: [], ...typed },
    environment,
    machine,
  );
}

test("bucket and folder alone give the documented defaults", (t) => {
  const options = resolve();
  t.like(options, {
    bucket: "my-uploads",
    directory: "/home/me/uploads",
    prefix: "",
    endpoint: "https://storage.googleapis.com",
    cacheSizeBytes: 10 * 1024 ** 3,
    allowOther: true,
    readOnly: false,
    uid: 1000,
    gid: 1001,
    fileMode: 0o666,
    directoryMode: 0o777,
    freshnessMs: 60_000,
    soleWriter: false,
    offlineReads: true,
    notifications: "off",
    lockNames: ["*.lock", "*.lck", "*.pid", ".~lock.*"],
    drainTimeoutMs: 25_000,
    deadlineMs: 25_000,
    channel: "auto",
    passthrough: "auto",
    logLevel: "info",
  });
  t.regex(options.stateDirectory, /^\/home\/me\/\.local\/state\/sidemount\/my-uploads-[0-9a-f]{12}$/);
});

test("state is kept where the user who mounts may write", (t) => {
  const stateOf = (user: Partial<Machine>, environment: Environment = {}): string =>
    resolveMountOptions(typed, environment, { ...machine, ...user }).stateDirectory;
  const typed: Typed = { operands: ["my-uploads", "uploads"], flags: {}, fstab: [] };
  t.regex(stateOf({ uid: 0 }, { XDG_STATE_HOME: "/ignored" }), /^\/var\/lib\/sidemount\/my-uploads-/);
  t.regex(stateOf({}, { HOME: "/srv/me" }), /^\/srv\/me\/\.local\/state\/sidemount\/my-uploads-/);
  t.regex(stateOf({}, { XDG_STATE_HOME: "/state", HOME: "/srv/me" }), /^\/state\/sidemount\/my-uploads-/);
  t.regex(stateOf({}, { XDG_STATE_HOME: "relative" }), /^\/home\/me\/\.local/);
  const error = t.throws(() => stateOf({ uid: 20_000 }), {
    instanceOf: UsageError,
    message: /no home folder/,
  });
  t.regex(error?.remedy ?? "", /--state-dir/);
});

test("what only the device channel can do is refused with the native one", (t) => {
  const native = { channel: "native", passthrough: "on" };
  t.throws(() => resolve({ flags: native }), {
    instanceOf: UsageError,
    message: /--passthrough on cannot be had with --channel native: libfuse 2/,
  });
  t.throws(() => resolve({ flags: { channel: "native", serveDirectory: "serve" } }), {
    instanceOf: UsageError,
    message: /--serve cannot be had with --channel native: what is served .* libfuse 2 cannot do/,
  });
  t.is(resolve({ flags: { ...native, passthrough: "auto" } }).channel, "native");
  t.notThrows(() => resolve({ flags: { ...native, channel: "auto" } }), "decided when it is mounted");
});

test("what a mount is told is plain data", (t) => {
  const options = resolve();
  t.deepEqual(JSON.parse(JSON.stringify(options)), options);
});

test("a flag goes before -o, -o before the environment, the environment before the default", (t) => {
  const environment = { SIDEMOUNT_FRESHNESS: "3s" };
  t.is(resolve({}, environment).freshnessMs, 3000);
  t.is(resolve({ fstab: ["freshness=2s"] }, environment).freshnessMs, 2000);
  t.is(resolve({ flags: { freshnessMs: "1s" }, fstab: ["freshness=2s"] }, environment).freshnessMs, 1000);
  t.is(resolve({}, { SIDEMOUNT_FRESHNESS: "" }).freshnessMs, 60_000);
});

test("every option can be given in the environment and in -o", (t) => {
  const examples: Record<string, string> = {
    endpoint: "http://127.0.0.1:4443",
    stateDirectory: "/tmp/state",
    serveDirectory: "/tmp/serve",
    project: "my-project",
    uid: "7",
    gid: "8",
  };
  for (const key of optionKeys) {
    const { environment, flag, default: fallback } = specOf(key);
    const text = examples[key] ?? fallback;
    t.notThrows(() => resolve({}, { [environment]: text }), environment);
    if (text?.includes(",")) continue; // commas separate the options of -o
    t.notThrows(() => resolve({ fstab: [`${flag.replaceAll("-", "_")}=${text}`] }), flag);
  }
});

test("the bucket may come from GCS_BUCKET, and then the folder stands alone", (t) => {
  t.like(resolve({ operands: ["/srv/x"] }, { GCS_BUCKET: "my-uploads" }), {
    bucket: "my-uploads",
    directory: "/srv/x",
  });
  t.is(resolve({ operands: ["other-one", "/srv/x"] }, { GCS_BUCKET: "my-uploads" }).bucket, "other-one");
  t.throws(() => resolve({ operands: ["/srv/x"] }), {
    instanceOf: UsageError,
    message: /folder to mount on is missing/,
  });
  t.throws(() => resolve({ operands: [] }), { message: /bucket and the folder are missing/ });
  t.throws(() => resolve({ operands: ["abc", "b", "c"] }), { message: /Too many arguments: c/ });
});

test("the address of an emulator comes from STORAGE_EMULATOR_HOST unless --endpoint says otherwise", (t) => {
  const environment = { STORAGE_EMULATOR_HOST: "http://127.0.0.1:9000" };
  t.is(resolve({}, environment).endpoint, "http://127.0.0.1:9000");
  t.is(
    resolve({ flags: { endpoint: "http://127.0.0.1:4443/" } }, environment).endpoint,
    "http://127.0.0.1:4443",
  );
});

test("a folder of the bucket is given by address or by --prefix, not by both", (t) => {
  t.is(resolve({ operands: ["gs://my-uploads/photos", "x"] }).prefix, "photos/");
  t.is(resolve({ flags: { prefix: "photos" } }).prefix, "photos/");
  t.throws(() => resolve({ operands: ["gs://my-uploads/a/", "x"], flags: { prefix: "b" } }), {
    message: /a\/.*b\//,
  });
});

test("mounts of other folders or servers keep their state apart", (t) => {
  const folders = [
    resolve(),
    resolve({ flags: { prefix: "a" } }),
    resolve({ flags: { endpoint: "http://127.0.0.1:1" } }),
    resolve({ operands: ["other-one", "x"] }),
  ].map((options) => options.stateDirectory);
  t.is(new Set(folders).size, 4);
  t.is(resolve({ operands: ["my-uploads", "elsewhere"] }).stateDirectory, folders[0]!);
});

test("state under the mount point, or around it, is refused", (t) => {
  t.throws(() => resolve({ flags: { stateDirectory: "/home/me/uploads/.state" } }), {
    message: /within each other/,
  });
  t.throws(() => resolve({ flags: { stateDirectory: "/home/me" } }), { message: /within each other/ });
  t.notThrows(() => resolve({ flags: { stateDirectory: "/home/me/uploads-state" } }));
});

test("a wrong value is refused with where it stood and what was expected", (t) => {
  const refusals: [Partial<Typed>, Environment, RegExp, RegExp][] = [
    [{ flags: { cacheSizeBytes: "much" } }, {}, /--cache-size is "much"/, /512MiB/],
    [{}, { SIDEMOUNT_CACHE_SIZE: "10" }, /SIDEMOUNT_CACHE_SIZE is "10"/, /10GB/],
    [{ fstab: ["freshness=soon"] }, {}, /-o freshness is "soon"/, /10s/],
    [{ flags: { channel: "naive" } }, {}, /--channel is "naive"/, /auto, device, native/],
    [{ flags: { uid: "nobody-here" } }, {}, /--uid/, /www-data/],
    [{ flags: { endpoint: "http://host/path" } }, {}, /--endpoint/, /http:\/\/127.0.0.1:4443/],
    [{}, { STORAGE_EMULATOR_HOST: "http://" }, /STORAGE_EMULATOR_HOST is "http:\/\/"/, /address of a server/],
    [{ flags: { endpoint: "http://me:pw@host" } }, {}, /--endpoint/, /without user, password/],
    [{ flags: { stateDirectory: "state" } }, {}, /--state-dir/, /absolute path/],
    [{ flags: { passthrough: "maybe" } }, {}, /--passthrough/, /auto, on, off/],
    [{ flags: { logLevel: "loud" } }, {}, /--log-level/, /debug, info/],
    [{}, { SIDEMOUNT_READ_ONLY: "perhaps" }, /SIDEMOUNT_READ_ONLY/, /true or false/],
  ];
  for (const [typed, environment, message, remedy] of refusals) {
    const error = t.throws(() => resolve(typed, environment), { instanceOf: UsageError, message });
    t.regex(error?.remedy ?? "", remedy);
  }
});

test("-o takes what stands in /etc/fstab and ignores what is meant for others", (t) => {
  const options = resolve({
    fstab: [
      "ro,_netdev,noauto,nofail,x-systemd.automount",
      "allow_other,uid=www-data,gid=33,prefix=photos/,rw",
    ],
  });
  t.like(options, { readOnly: true, allowOther: true, uid: 33, gid: 33, prefix: "photos/" });
  t.false(resolve({ fstab: ["no_allow_other"] }).allowOther);
  t.false(resolve({ fstab: ["no_offline_reads"] }).offlineReads);
});

test("an unknown -o is refused with the nearest known one", (t) => {
  const error = t.throws(() => resolve({ fstab: ["cach_size=1G"] }), { instanceOf: UsageError });
  t.is(error?.remedy, "Did you mean -o cache_size?");
  t.throws(() => resolve({ fstab: ["noexec"] }), { message: /-o noexec is not an option/ });
  t.throws(() => resolve({ fstab: ["uid"] }), { message: /needs a value/ });
});

test("a misspelled environment variable is noticed, others are left alone", (t) => {
  const environment = {
    SIDEMOUNT_CACHESIZE: "1G",
    SIDEMOUNT_CACHE_SIZE: "1G",
    SIDEMOUNT_DEMO_PORT: "80",
    HOME: "/",
  };
  t.deepEqual(misspelledEnvironment(environment), [
    { name: "SIDEMOUNT_CACHESIZE", meant: "SIDEMOUNT_CACHE_SIZE" },
  ]);
});

test("a folder to serve is found from the working directory and lies apart from the others", (t) => {
  t.is(resolve().serveDirectory, undefined);
  t.is(resolve({ flags: { serveDirectory: "serve" } }).serveDirectory, "/home/me/serve");
  t.is(resolve({}, { SIDEMOUNT_SERVE: "/srv/serve" }).serveDirectory, "/srv/serve");
  for (const wrong of ["uploads", "uploads/serve", "/home", "/var/lib/sidemount"]) {
    const flags = { serveDirectory: wrong, stateDirectory: "/var/lib/sidemount/uploads" };
    t.throws(() => resolve({ flags }), { instanceOf: UsageError }, wrong);
  }
});

test("files of --write-back would be missing in the folder to serve: one of the two", (t) => {
  t.true(resolve({}, { SIDEMOUNT_WRITE_BACK: "yes" }).writeBack);
  const flags = { serveDirectory: "serve", writeBack: "true" };
  t.throws(() => resolve({ flags }), { instanceOf: UsageError, message: /--write-back/ });
});

test("options that are not built yet are not offered", (t) => {
  const flags = optionKeys.map((key) => specOf(key).flag);
  for (const later of ["http"]) t.false(flags.includes(later));
});

test("docs/OPTIONS.md shows the table of options as it is", (t) => {
  const file = new URL("../../docs/OPTIONS.md", import.meta.url);
  t.true(existsSync(file));
  const [, table] =
    /<!-- options -->\n\n([^]*?)\n\n<!-- end of options -->/.exec(readFileSync(file, "utf8")) ?? [];
  t.is(
    squeezed(table),
    squeezed(optionDocument()),
    "write what optionDocument() gives between the two marks",
  );
});

// The formatter pads the cells of tables.
function squeezed(table: string | undefined): string | undefined {
  return table?.replace(/ +/g, " ").replace(/-+/g, "-");
}
