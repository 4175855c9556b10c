import test from "ava";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const module = fileURLToPath(new URL("./patient-writer.ts", import.meta.url));

/** A process that writes `count` lines to a pipe, then says on stderr how long that took. */
function writing(count: number, afterwards = "") {
  const script = `
    import { PatientWriter } from ${JSON.stringify(module)};
    const writer = new PatientWriter(1, (lines) => "lost " + lines + "\\n");
    const sinceMs = performance.now();
    for (let line = 0; line < ${count}; line++) writer.write(String(line).padStart(99, ".") + "\\n");
    process.stderr.write(String(performance.now() - sinceMs) + "\\n");
    ${afterwards}`;
  return spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}

test.serial(
  "whoever writes does not wait for a reader that does not read, and says afterwards what was lost",
  async (t) => {
    const child = writing(50_000, "setTimeout(() => {}, 60_000)"); // 5 MB
    t.teardown(() => child.kill("SIGKILL"));
    const [took] = (await once(child.stderr, "data")) as [Buffer];
    t.true(Number(took) < 10_000, `took ${String(took)} ms`); // and not for ever
    let read = "";
    for await (const chunk of child.stdout) {
      read += String(chunk);
      if (/lost \d+\n/.test(read)) break;
    }
    const lines = read.trimEnd().split("\n");
    const lost = Number(/^lost (\d+)$/.exec(lines.pop() ?? "")?.[1]);
    t.is(lines.length + lost, 50_000);
    t.true(lost > 0);
    t.deepEqual(
      lines.slice(0, 3).map((line) => Number(line.replaceAll(".", ""))),
      [0, 1, 2],
    );
  },
);

test.serial("what a slow reader had no room for is written before the process ends", async (t) => {
  const child = writing(5000, "process.exit()"); // 500 kB, and a pipe takes 64
  let read = "";
  for await (const chunk of child.stdout) read += String(chunk);
  t.is(read.trimEnd().split("\n").length, 5000);
});
