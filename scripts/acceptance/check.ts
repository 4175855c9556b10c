// `npm run demo -- --check`: the acceptance list, acted out against a demo of its own.

import { relative } from "node:path";
import { Stage as DemoStage } from "../demo/stage.ts";
import { groups } from "./groups.ts";
import type { Stage } from "./stage.ts";
import { Unmet, type Step } from "./step.ts";

/** Runs the steps whose number or title contains one of `words`, all if none is given. 0 only if all hold. */
export async function runCheck(words: readonly string[], stop: AbortSignal): Promise<number> {
  const wanted = groups
    .map(({ name, steps }) => ({ name, steps: steps.filter((step) => isWanted(step, words)) }))
    .filter(({ steps }) => steps.length > 0);
  if (wanted.length === 0) {
    console.error(`No step has ${words.join(" or ")} in its number or title.`);
    return 2;
  }
  console.log("Starting the bucket server, the mount, the app and nginx …");
  const stage = await DemoStage.temporary();
  const count = { passed: 0, failed: 0 };
  try {
    for (const { name, steps } of wanted) {
      console.log(`\n${name}`);
      for (const step of steps) {
        if (stop.aborted) throw stop.reason;
        count[(await report(step, stage)) ? "passed" : "failed"] += 1;
      }
    }
  } catch (error) {
    if (!stop.aborted) throw error;
    console.log("Stopped.");
    count.failed += 1;
  } finally {
    if (count.failed > 0) {
      const kept = await stage.keepLogs("demo");
      console.log(`\nThe logs are kept in ${relative(process.cwd(), kept)}/`);
    }
    await stage.close();
  }
  console.log(`\n${count.passed} passed, ${count.failed} failed`);
  return count.failed === 0 ? 0 : 1;
}

function isWanted({ id, title }: Step, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const ids = id.toLowerCase().split(", ");
  return words.map((word) => word.toLowerCase()).some((word) => ids.includes(word) || title.includes(word));
}

/** One line: the step, what was expected, what was got, how long it took. */
async function report(step: Step, stage: Stage): Promise<boolean> {
  const begin = performance.now();
  const line = (mark: string, got: string) => {
    const ms = Math.round(performance.now() - begin);
    console.log(
      `${mark} ${step.id.padEnd(11)} ${step.title} | expected: ${step.expected} | got: ${got} | ${ms} ms`,
    );
  };
  try {
    line("✔", await Promise.race([step.run(stage), diesFirst(stage)]));
    return true;
  } catch (error) {
    line("✘", error instanceof Unmet ? error.message : String(error));
    if (!(error instanceof Unmet) && error instanceof Error) console.log(error.stack);
    return false;
  }
}

/** A program that ends by itself fails the step during which it does. */
export async function diesFirst(stage: Stage): Promise<never> {
  const failure = await stage.death;
  const last = failure.service.said().trimEnd().split("\n").slice(-5).join("\n  ");
  throw new Unmet(`${failure.message}; its last words:\n  ${last}`);
}
