// Package managers that make trees of many small files, links and programs: npm and Python's venv.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { behaviours } from "../helpers/settings.ts";
import { comesToBe, localFolder, quoted, treeIn, treeInBucket } from "./trees.ts";

const behaviour = behaviours();

/** npm as nobody has configured it, which asks no registry. */
const NPM = (home: string): string =>
  `export HOME=${quoted(home)} npm_config_cache=${quoted(home)}/cache npm_config_userconfig=/dev/null; ` +
  `npm() { command npm --offline --no-audit --no-fund --no-update-notifier --loglevel=error "$@"; }; `;

/** Two packages, one of which needs the other and brings a program. */
const PACKAGES = `
  mkdir -p packages/greeting/lib packages/hello
  echo '{"name":"greeting","version":"1.2.3","main":"lib/index.js"}' > packages/greeting/package.json
  for i in $(seq 40); do echo "exports.n = $i" > packages/greeting/lib/part-$i.js; done
  echo 'module.exports = "hello from " + require("./part-7.js").n' > packages/greeting/lib/index.js
  echo '{"name":"hello","version":"2.0.0","bin":{"hello":"cli.js"}}' > packages/hello/package.json
  printf '#!/usr/bin/env node\\nconsole.log(require("greeting"))\\n' > packages/hello/cli.js`;

behaviour("npm installs packages from archives and runs what they bring", async (place) => {
  const { t, path: mountPath, shell } = place;
  const home = await localFolder(t);
  const said = await shell(`${NPM(home)} ${PACKAGES}
    (cd packages; npm pack ./greeting ./hello > /dev/null)
    mkdir app; cd app; echo '{"name":"app","version":"1.0.0"}' > package.json
    npm install ../packages/greeting-1.2.3.tgz ../packages/hello-2.0.0.tgz > /dev/null
    node_modules/.bin/hello; npm ls --parseable --depth=0 | wc -l; readlink node_modules/.bin/hello
    rm -r node_modules; npm ci > /dev/null; npx --no-install hello; npm uninstall hello > /dev/null; ls node_modules`);
  t.is(said, "hello from 7\n3\n../hello/cli.js\nhello from 7\ngreeting\n");
  const lock = JSON.parse(await readFile(mountPath("app", "package-lock.json"), "utf8")) as {
    packages: object;
  };
  t.true("node_modules/greeting" in lock.packages);
  await comesToBe(t, () => treeInBucket(place, "app"), await treeIn(mountPath("app")));
});

behaviour("npm links a package that lies beside the app", async (place) => {
  const { t, path: mountPath, shell } = place;
  const home = await localFolder(t);
  const said = await shell(`${NPM(home)} ${PACKAGES}
    mkdir app; cd app; echo '{"name":"app","version":"1.0.0"}' > package.json
    npm install ../packages/greeting > /dev/null
    readlink node_modules/greeting; node -p 'require("greeting")'
    echo 'module.exports = "changed"' > ../packages/greeting/lib/index.js; node -p 'require("greeting")'`);
  t.is(said, "../../packages/greeting\nhello from 7\nchanged\n");
  await comesToBe(t, () => treeInBucket(place, "app"), await treeIn(mountPath("app")));
});

behaviour("python -m venv makes an environment whose Python runs from the mount", async (place) => {
  const { t, path: mountPath, shell } = place;
  const said = await shell(`
    python3 -m venv --without-pip env; python3 -m venv --without-pip --copies copied
    package=$(echo env/lib/python3*/site-packages)/greeting; mkdir $package; echo 'text = "hello"' > $package/__init__.py
    for env in env copied; do $env/bin/python -c 'import os, sys; print(os.path.relpath(sys.prefix), sys.prefix != sys.base_prefix)'; done
    unset PYTHONDONTWRITEBYTECODE; . env/bin/activate; python -c 'import greeting; print(greeting.text)'; ls $package`);
  t.is(said, "env True\ncopied True\nhello\n__init__.py\n__pycache__\n");
  for (const env of ["env", "copied"])
    await comesToBe(t, () => treeInBucket(place, env), await treeIn(mountPath(env)));
  t.true(path.isAbsolute((await shell("readlink env/bin/python3")).trim()));
});
