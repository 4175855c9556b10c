// The steps of `npm run demo -- --check` as tests: each group on a demo of its own, on free ports and in a
// temporary folder.

import test from "ava";
import { diesFirst } from "../../../scripts/acceptance/check.ts";
import type { Group } from "../../../scripts/acceptance/step.ts";
import { Stage } from "../../../scripts/demo/stage.ts";

/** One test for each step, in order, because they share what is in the bucket. */
export function actOut(group: Group): void {
  let stage: Stage | undefined;
  let failed = false;
  test.before("the demo starts", async () => {
    stage = await Stage.temporary();
  });
  for (const step of group.steps) {
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
