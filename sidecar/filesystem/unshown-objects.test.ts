import test from "ava";
import { createLog } from "../telemetry/log.ts";
import { UnshownObjects, UnshownReports } from "./unshown-objects.ts";

function reporting(): { reports: UnshownReports; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  };
  return { reports: new UnshownReports(createLog("info", destination)), lines };
}

test("one line for each folder, with how many there are and up to five of them", (t) => {
  const { reports, lines } = reporting();
  const found = new UnshownObjects(reports);
  for (let i = 1; i <= 7; i += 1) found.note("a/", { name: `a//${i}`, generation: BigInt(i) });
  found.note("", { name: "/x", generation: 9n });
  found.report();
  t.like(lines[0], { severity: "WARNING", folder: "a/", count: 7 });
  t.deepEqual(lines[0]?.["examples"], ["a//1", "a//2", "a//3", "a//4", "a//5"]);
  t.like(lines[1], { folder: "/", count: 1 });
  t.is(lines.length, 2);
});

test("what was reported is reported again only with something newer", (t) => {
  const { reports, lines } = reporting();
  const list = (...generations: bigint[]): void => {
    const found = new UnshownObjects(reports);
    for (const generation of generations) found.note("a/", { name: `a//${generation}`, generation });
    found.report();
  };
  list(1n, 2n);
  list(1n, 2n);
  list(2n);
  t.is(lines.length, 1);
  list(1n, 2n, 3n);
  t.like(lines[1], { count: 3 });
});

test("prefixes of such names, which have no generation, are reported once", (t) => {
  const { reports, lines } = reporting();
  for (let i = 0; i < 3; i += 1) {
    const found = new UnshownObjects(reports);
    found.note("", { name: "//" });
    found.report();
  }
  t.is(lines.length, 1);
});
