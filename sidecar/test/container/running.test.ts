// The ways in which the demo's image may be run, as far as the engine here allows them.

import { randomBytes } from "node:crypto";

import test, { type ExecutionContext } from "ava";

import { BucketApi } from "../../../scripts/acceptance/bucket-api.ts";
import { request } from "../../../scripts/acceptance/http.ts";
import { sha256 } from "../../../scripts/acceptance/step.ts";
import { upload, view, viewWhole } from "../../../scripts/acceptance/visitor.ts";
import { imageName, labels } from "../../../scripts/container/names.ts";
import { Container, docker, eventually, freshName, MOUNTING } from "./container.ts";
import { answers, siteOfFile, type DemoSettings } from "./site.ts";

const site = siteOfFile();

const readOnly = ["--read-only", "--tmpfs=/tmp", "--tmpfs=/run", "--tmpfs=/var/lib/nginx"];

const ways: readonly {
  readonly how: string;
  readonly privileges: readonly string[];
  readonly flags?: readonly string[];
}[] = [
  { how: "with one device and one capability", privileges: MOUNTING },
  {
    how: "without the engine's filter of system calls",
    privileges: [...MOUNTING, "--security-opt=seccomp=unconfined"],
  },
  { how: "privileged", privileges: ["--privileged"] },
  { how: "with a root file system that cannot be written", privileges: MOUNTING, flags: readOnly },
  {
    how: "with a root file system that cannot be written, and no privilege that can be acquired",
    privileges: [...MOUNTING, "--security-opt=no-new-privileges"],
    flags: readOnly,
  },
  {
    how: "with no capability but those its programs use",
    privileges: [
      ...MOUNTING,
      "--cap-drop=ALL",
      ...["CHOWN", "DAC_OVERRIDE", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"].map(
        (name) => `--cap-add=${name}`,
      ),
    ],
  },
];

for (const { how, privileges, flags = [] } of ways) {
  const trial = ["--network=none", ...privileges, ...flags, imageName("sidecar"), "--version"];
  const { status, stderr } = docker.callNow(["run", "--rm", ...trial]);
  if (status === 0) {
    test.serial(`the demo runs ${how}`, (t) => uploadsAndStops(t, { privileges, flags }));
  } else {
    const reason = stderr.trim().split(": ").slice(-3).join(": ").split("\n")[0];
    test.serial.skip(
      `the demo runs ${how}: not tried, because the engine here refuses it (${reason})`,
      () => {},
    );
  }
}

async function uploadsAndStops(t: ExecutionContext, settings: DemoSettings): Promise<void> {
  const demo = await site().demo(settings);
  const content = randomBytes(3_000_000);
  const name = `${sha256(content).slice(0, 8)}.png`;
  await viewWhole(await upload(demo, name, content), content);
  await new BucketApi(site()).mustHold(name, content);
  t.is(await demo.container.stop(), 0);
}

test.serial("only the mount is root's: the app is demo-user, nginx's workers are www-data", async (t) => {
  const { container } = await site().demo();
  const script = `for p in /proc/[0-9]*; do
    set -- $(stat -c '%u' "$p") "$(tr '\\0' ' ' <"$p/cmdline")"; echo "$1 $2"; done 2>/dev/null`;
  const { stdout } = await container.exec(["sh", "-c", script]);
  const usersOf = (pattern: RegExp) => [
    ...new Set(
      stdout
        .split("\n")
        .filter((line) => pattern.test(line))
        .map((line) => line.split(" ")[0]),
    ),
  ];
  t.deepEqual(usersOf(/gunicorn app:app/), ["20000"]);
  t.deepEqual(usersOf(/nginx: worker/), ["33"]);
  t.deepEqual(usersOf(/nginx: master/), ["0"]);
  t.deepEqual(usersOf(/sidemount exec/), ["0"]);
  t.regex((await container.exec(["cat", "/proc/1/cmdline"])).stdout, /^tini\0/);
});

test.serial("the app's user, nginx's user and root all see the files (X9)", async (t) => {
  const demo = await site().demo();
  const content = randomBytes(50_000);
  await upload(demo, "for all.png", content);
  await new BucketApi(site()).write("from elsewhere.png", content);
  const folder = "/srv/demo-app/uploads";
  for (const user of ["demo-user", "www-data", "root"]) {
    for (const name of ["for all.png", "from elsewhere.png"]) {
      const { stdout, stderr } = await demo.container.exec(["sha256sum", `${folder}/${name}`], { user });
      t.is(stdout.slice(0, 64), sha256(content), `${user}: ${stderr}`);
    }
  }
  const owner = (name: string) => demo.container.exec(["stat", "-c", "%U:%G %a", `${folder}/${name}`]);
  t.is((await owner("for all.png")).stdout.trim(), "demo-user:demo-user 644");
  t.is((await owner("from elsewhere.png")).stdout.trim(), "root:root 666");
  t.is((await owner("")).stdout.trim(), "root:root 777");
});

test.serial(
  "options of sidemount are given behind the image, and its settings in the environment",
  async (t) => {
    const demo = await site().demo({ args: ["--read-only"], environment: { SIDEMOUNT_FILE_MODE: "0640" } });
    await new BucketApi(site()).write("mode.txt", Buffer.from("x"));
    const { stdout } = await demo.container.exec(["stat", "-c", "%a", "/srv/demo-app/uploads/mode.txt"]);
    t.is(stdout.trim(), "640");
    const refused = await demo.container.exec(["touch", "/srv/demo-app/uploads/new.txt"]);
    t.regex(refused.stderr, /Read-only file system/);
  },
);

test.serial("two demos on one bucket see each other's files at once", async (t) => {
  const [one, two] = await Promise.all([site().demo(), site().demo()]);
  for (let round = 0; round < 5; round += 1) {
    const content = randomBytes(100_000 + round);
    for (const [from, to] of [
      [one, two],
      [two, one],
    ] as const) {
      const name = `round ${round} ${from === one ? "there" : "back"}.png`;
      await upload(from, name, content);
      await viewWhole(`${to.publicUrl}/uploads/${encodeURIComponent(name)}`, content);
    }
  }
  t.is(await one.container.stop(), 0);
  const content = randomBytes(1000);
  await viewWhole(await upload(two, "alone.png", content), content);
  t.pass();
});

test.serial("nothing serves before the folder is live", async (t) => {
  const bucket = new BucketApi(site());
  await bucket.withLatency(400, async () => {
    const demo = await site().start();
    let before = 0;
    await eventually("the mount", async () => {
      const answer = await request(`${demo.publicUrl}/`).catch(() => undefined);
      if (demo.container.logs().stdout.includes(`"message":"mounted"`)) return true;
      t.is(answer, undefined, "it answers although nothing is mounted");
      before += 1;
      return undefined;
    });
    t.true(before > 5, `asked only ${before} times`);
    await answers(`${demo.publicUrl}/`, demo.container);
    const { stdout } = demo.container.logs();
    t.true(stdout.indexOf("Starting gunicorn") > stdout.indexOf(`"message":"mounted"`));
  });
});

test.serial(
  "stdout has JSON lines of sidemount and nginx and what the app writes, and stderr has nothing",
  async (t) => {
    const demo = await site().demo();
    await upload(demo, "logged.png", randomBytes(5000));
    await view(demo, "logged.png");
    t.is(await demo.container.stop(), 0);
    const { stdout, stderr } = demo.container.logs();
    t.is(stderr, "");
    t.notRegex(stdout, /"(WARNING|ERROR|CRITICAL)"|\[(warn|error|crit|alert|emerg)\]/);
    const lines = stdout.trimEnd().split("\n");
    const entries = lines
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const entry of entries) {
      for (const field of ["severity", "time", "message"]) t.is(typeof entry[field], "string");
    }
    const messages = entries.map((entry) => String(entry["message"]));
    for (const message of [
      "mounted",
      "upload done",
      "POST / 302",
      "GET /uploads/logged.png 200",
      "stopping",
    ]) {
      t.true(messages.includes(message), message);
    }
    t.false(
      messages.some((message) => message.startsWith("OPTIONS")),
      "the health check is not logged",
    );
    const others = lines.filter((line) => !line.startsWith("{"));
    for (const line of others) t.regex(line, /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, "it is of the app");
    const saving = `Saving uploaded file "logged.png" to "/srv/demo-app/uploads/logged.png"`;
    t.true(others.some((line) => line.endsWith(saving)));
  },
);

test.serial(
  "a state volume serves one container at a time, and the next one finds what it kept",
  async (t) => {
    const volume = freshName("state");
    await docker.ask(["volume", "create", ...labels(), volume]);
    t.teardown(async () => void (await docker.call(["volume", "rm", "--force", volume])));
    const flags = [`--volume=${volume}:/var/lib/sidemount`];
    const first = await site().demo({ flags });
    const content = randomBytes(2_000_000);
    await upload(first, "kept.png", content);
    const second = await site().attempt({ flags });
    t.is(await second.ended(), 1);
    t.regex(second.logs().stdout, /the state folder .* is in use/);
    t.is(await first.container.stop(), 0);

    const third = await site().demo({ flags });
    const requests = await new BucketApi(site()).requestsDuring(() =>
      viewWhole(`${third.publicUrl}/uploads/kept.png`, content),
    );
    const fetched = requests.reduce((sum, { responseBytes }) => sum + responseBytes, 0);
    t.true(fetched < content.length / 10, `${fetched} bytes were fetched again`);
  },
);

test.serial(
  "a program in the sidecar's image runs over the folder, and its status is the container's",
  async (t) => {
    await new BucketApi(site()).write("greeting.txt", Buffer.from("hello"));
    const settings = site().sidecar(["exec", "/mnt", "--", "sh", "-c", "cat /mnt/greeting.txt; exit 7"]);
    const container = await Container.run({ ...settings, environment: { GCS_BUCKET: "demo" } });
    t.teardown(() => container.remove());
    t.is(await container.ended(), 7);
    t.is(container.logs().stdout, "hello");
  },
);
