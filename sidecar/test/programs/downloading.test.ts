// Downloads into the mount that were broken off and go on where they were.

import { behaviours } from "../helpers/settings.ts";
import { bytes } from "./trees.ts";

const behaviour = behaviours();
const MB = 1_000_000;

/** The object that is downloaded; any server that answers ranges will do. */
const url = (base: string): string => `${base}/storage/v1/b/test/o/source?alt=media`;

behaviour(
  "curl -C - completes a download that was broken off",
  async ({ t, server, top, shell, objects }) => {
    const data = bytes(12 * MB);
    await server.put("source", data);
    await shell(
      `curl -sS -r 0-4999999 -o file '${url(server.url)}'; curl -sS -C - -o file '${url(server.url)}'`,
    );
    t.true((await server.get(`${top}/file`))?.equals(data));
    t.is(await shell("stat -c %s file"), `${12 * MB}\n`);
    t.deepEqual(await objects(), ["file"]);
  },
);

behaviour("a download whose curl was killed is completed by the next", async ({ t, server, top, shell }) => {
  const data = bytes(12 * MB);
  await server.put("source", data);
  await shell(`
    curl -sS --limit-rate 1M -o file '${url(server.url)}' &
    for try in {1..200}; do test -s file && break; sleep 0.05; done; kill -9 $!; wait || true
    test -s file
    test $(stat -c %s file) -lt ${12 * MB}; curl -sS -C - -o file '${url(server.url)}'`);
  t.true((await server.get(`${top}/file`))?.equals(data));
});
