// Where the process begins.

import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

// Beside the packages and not in a shared temporary folder: a process of root must not run what others put there.
enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/sidemount", import.meta.url)));

const words = process.argv.slice(2);
const { doors } = await import("./cli/doors.ts");
if (words[0] === "worker") {
  await doors.runWorker();
  process.exit(); // whatever would still keep it alive: it is done
} else {
  const { run } = await import("./cli/run.ts");
  process.exit(await run(words, process.env, doors));
}
