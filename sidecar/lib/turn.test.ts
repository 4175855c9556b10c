import test from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { SharedRun } from "./shared-run.ts";
import { Turn, runInAll } from "./turn.ts";

test("tasks of one turn run one after another, in the order they came, also after a failure", async (t) => {
  const turn = new Turn();
  const seen: string[] = [];
  const task =
    (name: string, ms: number, fails = false) =>
    async () => {
      seen.push(`${name} begins`);
      await delay(ms);
      seen.push(`${name} ends`);
      if (fails) throw new Error(name);
    };
  const results = await Promise.allSettled([turn.run(task("a", 20, true)), turn.run(task("b", 1))]);
  t.deepEqual(seen, ["a begins", "a ends", "b begins", "b ends"]);
  t.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "fulfilled"],
  );
  t.false(turn.busy);
});

test("a task that needs several turns waits for all of them", async (t) => {
  const [one, other] = [new Turn(), new Turn()];
  const seen: string[] = [];
  const first = other.run(async () => {
    await delay(20);
    seen.push("first");
  });
  await runInAll([one, other], async () => {
    seen.push("both");
  });
  await first;
  t.deepEqual(seen, ["first", "both"]);
});

test("whoever asks while work is under way gets a run that began after the asking, shared by all who ask", async (t) => {
  let runs = 0;
  const shared = new SharedRun(async () => {
    runs += 1;
    const mine = runs;
    await delay(10);
    return mine;
  });
  const answers = await Promise.all([shared.request(), shared.request(), shared.request()]);
  t.deepEqual(answers, [1, 2, 2]);
  t.is(await shared.request(), 3);
});
