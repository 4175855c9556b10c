// The acceptance steps as tests: each group on a stage of its own.

import test from "ava";
import { diesFirst } from "../../../scripts/acceptance/check.ts";
import type { Stage } from "../../../scripts/acceptance/stage.ts";
import type { Group, Step } from "../../../scripts/acceptance/step.ts";
import { Stage as DemoStage } from "../../../scripts/demo/stage.ts";

export interface Acting {
  /** Starts a stage. By default a demo as `npm run demo -- --check` has it: free ports, a temporary folder. */
  readonly open?: () => Promise<Stage>;
  /** Steps that make no sense on it. */
  readonly without?: (step: Step) => boolean;
}

/** One test for each step, in order, because they share what is in the bucket. */
export function actOut(group: Group, { open = () => DemoStage.temporary(), without }: Acting = {}): void {
  let stage: Stage | undefined;
  let failed = false;
  test.before("the stage opens", async () => {
    stage = await open();
  });
  for (const step of group.steps) {
    if (without?.(step)) continue;
    test.serial(`${step.id}: ${step.title}`, async (t) => {
      const started = stage!;
      t.log(await Promise.race([step.run(started), diesFirst(started)]));
      t.pass();
    });
  }
  test.afterEach.always((t) => {
    failed ||= !t.passed;
  });
  test.after.always("nothing of it is left", async (t) => {
    if (failed) t.log(`The logs are kept in ${await stage?.keepLogs(group.name)}`);
    await stage?.close();
  });
}
