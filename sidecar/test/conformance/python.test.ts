import test from "ava";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, startServer } from "./server.ts";

test("the Python client uploads, reads, lists, copies, composes and deletes", async (t) => {
  // Most of it is the installation of the client into a directory of this test.
  t.timeout(180_000);
  const { url, scratch } = await startServer(t);
  const environment = join(scratch, "python");
  await run("python3", ["-m", "venv", environment]);
  await run(join(environment, "bin/pip"), [
    "install",
    "-q",
    "--disable-pip-version-check",
    "google-cloud-storage",
  ]);
  const program = fileURLToPath(new URL("client.py", import.meta.url));
  const printed = await run(join(environment, "bin/python"), [program], { STORAGE_EMULATOR_HOST: url });
  t.is(printed.toString("utf8"), "ok\n");
});
