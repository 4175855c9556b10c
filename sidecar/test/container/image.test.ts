import { readFile } from "node:fs/promises";

import test from "ava";

import { buildImage } from "../../../scripts/container/build.ts";
import { imageName, runName, type Target } from "../../../scripts/container/names.ts";
import { docker } from "./container.ts";

const MB = 1_000_000;
const registry = process.env["SIDEMOUNT_CONTAINER_REGISTRY"]!;
const targets = ["sidecar", "demo"] as const;

interface ImageFacts {
  readonly Size: number;
  readonly Config: {
    readonly Entrypoint: readonly string[];
    readonly Cmd: readonly string[] | null;
    readonly Env: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
    readonly StopSignal?: string;
    readonly User: string;
    readonly Volumes: Readonly<Record<string, object>> | null;
    readonly ExposedPorts?: Readonly<Record<string, object>>;
    readonly Healthcheck?: { readonly Test: readonly string[] };
  };
}

async function facts(name: string): Promise<ImageFacts> {
  const [found] = JSON.parse(await docker.ask(["image", "inspect", name])) as ImageFacts[];
  return found!;
}

/** What a shell in the image says. */
function shell(target: Target, script: string): Promise<string> {
  return docker.ask(["run", "--rm", "--network=none", "--entrypoint=sh", imageName(target), "-c", script]);
}

test("the sidecar's image is smaller than 350 MB", async (t) => {
  const { Size } = await facts(imageName("sidecar"));
  t.log(
    `${Math.round(Size / MB)} MB; the demo's ${Math.round((await facts(imageName("demo"))).Size / MB)} MB`,
  );
  t.true(Size < 350 * MB, `${Size} bytes`);
});

for (const target of targets) {
  test(`the ${target} image has no compiler, no package manager of Node and no tool of development`, async (t) => {
    const unwanted =
      "gcc g++ cc c++ make cmake ld as tsc npm npx yarn corepack git curl wget ava prettier oxlint python3-config";
    t.is(await shell(target, `for name in ${unwanted}; do command -v $name; done; true`), "");
    const modules = (await shell(target, "ls /opt/sidemount/node_modules")).split("\n");
    t.true(modules.includes("undici"));
    for (const name of ["typescript", "ava", "prettier", "oxlint", "fast-check", "node", "npm"]) {
      t.false(modules.includes(name), name);
    }
  });

  test(`the ${target} image has one Node, and no cache or list of packages`, async (t) => {
    t.is(await shell(target, "find / -xdev -type f -name 'node*' -size +20M"), "/usr/local/bin/node");
    const caches = "/var/lib/apt/lists /var/cache/apt ~/.npm ~/.cache /tmp /usr/share/doc/nginx";
    t.is(
      await shell(target, `find ${caches} -type f -size +0 2>/dev/null; find / -xdev -name '*.deb'; true`),
      "",
    );
  });

  test(`the ${target} image has nothing of tests, and nothing of the machine it was built on`, async (t) => {
    t.is(
      await shell(
        target,
        String.raw`find /opt/sidemount/sidecar | grep -E '\.test\.|fixture|/bench|/test(/|$)'; true`,
      ),
      "",
    );
    t.is(await shell(target, "find / -xdev -name .npmrc -not -path '/usr/share/*'"), "");
    const { host } = new URL(registry);
    const written = await docker.ask(["history", "--no-trunc", "--format={{.CreatedBy}}", imageName(target)]);
    t.true(written.includes("tini"), "the history is read");
    t.false(written.includes(host));
    t.notRegex(written, /proxy|token|secret|password/i);
    t.is(
      await shell(target, `grep -rlF '${host}' /opt /etc /srv /root /usr/local/etc 2>/dev/null; true`),
      "",
    );
    for (const variable of (await facts(imageName(target))).Config.Env) {
      t.notRegex(variable, /token|secret|password|key|credential|proxy|127\.0\.0\.1:\d{5}/i);
    }
  });

  test(`the ${target} image says what it is, in labels`, async (t) => {
    const manifest = JSON.parse(await readFile("package.json", "utf8")) as Record<string, string>;
    const { Labels } = (await facts(imageName(target))).Config;
    const label = (name: string) => Labels[`org.opencontainers.image.${name}`];
    t.is(label("title"), target === "sidecar" ? "sidemount" : "sidemount-demo");
    t.is(label("version"), manifest["version"]);
    t.is(label("licenses"), manifest["license"]);
    t.truthy(label("description"));
    t.truthy(label("revision"));
  });

  test(`the ${target} image starts under tini, is stopped by SIGTERM, and can be asked for its health`, async (t) => {
    const { Config } = await facts(imageName(target));
    t.deepEqual(Config.Entrypoint, ["tini", "--", target === "sidecar" ? "sidemount" : "/entrypoint.sh"]);
    t.is(Config.StopSignal, "SIGTERM");
    t.deepEqual(Object.keys(Config.Volumes ?? {}), ["/var/lib/sidemount"]);
    t.is(Config.Healthcheck?.Test[0], "CMD");
  });
}

test("the sidecar's image runs sidemount", async (t) => {
  t.regex(
    await docker.ask(["run", "--rm", "--network=none", imageName("sidecar"), "--version"]),
    /^\d+\.\d+\.\d+$/,
  );
  t.regex(await docker.ask(["run", "--rm", "--network=none", imageName("sidecar")]), /^Usage: sidemount/);
});

test("the demo's app has a user of its own, who is in nginx's group and cannot log in or change the app", async (t) => {
  t.regex(
    await shell("demo", "id demo-user"),
    /^uid=20000\(demo-user\) gid=20000\(demo-user\) groups=.*\(www-data\)$/,
  );
  t.regex(await shell("demo", "getent passwd demo-user"), /:\/usr\/sbin\/nologin$/);
  t.is(
    await shell(
      "demo",
      "find /srv /entrypoint.sh /etc/nginx /opt/sidemount ! -user root -o -perm /022 ! -type l",
    ),
    "",
  );
});

test("the Dockerfile builds with the classic builder and with BuildKit, and both make the same image", async (t) => {
  t.timeout(600_000);
  const listing =
    "find /opt/sidemount /srv /entrypoint.sh /usr/local /etc/nginx -not -path '*/.cache/*' | sort";
  const results: { files: string; config: object }[] = [];
  for (const [builder, setting] of Object.entries({ classic: "0", buildkit: "1" })) {
    const name = `${runName()}:${builder}`;
    await buildImage(docker, { target: "demo", registry, name, environment: { DOCKER_BUILDKIT: setting } });
    const files = await docker.ask(["run", "--rm", "--network=none", "--entrypoint=sh", name, "-c", listing]);
    const { Entrypoint, Cmd, Env, StopSignal, Volumes, ExposedPorts, Healthcheck, User } = (await facts(name))
      .Config;
    results.push({
      files,
      config: { Entrypoint, Env, StopSignal, Volumes, ExposedPorts, Healthcheck, User, Cmd: Cmd ?? [] },
    });
  }
  const [classic, buildkit] = results;
  t.true(classic!.files.split("\n").length > 1000);
  t.is(buildkit!.files, classic!.files);
  t.deepEqual(buildkit!.config, classic!.config);
});
