// The container is killed without warning in the middle of uploads: what was answered is there for the next one.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import test from "ava";

import { BucketApi } from "../../../scripts/acceptance/bucket-api.ts";
import { sendForm, view, viewWhole } from "../../../scripts/acceptance/visitor.ts";
import { siteOfFile, type Demo } from "./site.ts";

const site = siteOfFile();

interface Answered {
  readonly name: string;
  readonly content: Buffer;
  /** As nginx gave them before the end; undefined if the end came first. */
  readonly tag: string | undefined;
  readonly modified: string | undefined;
}

test.serial(
  "every upload answered before a kill is served by a new container with the same ETag and time",
  async (t) => {
    const answered: Answered[] = [];
    let unanswered = 0;
    for (let round = 0; round < 3; round += 1) {
      const demo = await site().demo();
      let killed = false;
      const visitors = [0, 1, 2, 3].map(async (visitor) => {
        for (let count = 0; !killed; count += 1) {
          const name = `${round} ${visitor} ${count}.jpg`;
          const content = randomBytes(Math.floor(Math.random() * 800_000));
          const answer = await sendForm(demo, name, content).catch(() => undefined);
          if (answer?.status !== 302) {
            unanswered += 1;
            continue;
          }
          answered.push({ name, content, ...(await seen(demo, name)) });
        }
      });
      await sleep(1500);
      await demo.container.kill();
      killed = true;
      await Promise.all(visitors);
    }
    t.true(unanswered > 0, "no upload was interrupted, so nothing was tried");
    t.true(answered.length > 20);

    await sleep(1100); // another second on the clock: times that are made up anew would differ
    const next = await site().demo();
    const bucket = new BucketApi(site());
    let compared = 0;
    for (const { name, content, tag, modified } of answered) {
      const { headers } = await viewWhole(`${next.publicUrl}/uploads/${encodeURIComponent(name)}`, content);
      await bucket.mustHold(name, content);
      if (tag === undefined) continue;
      t.is(headers.etag, tag, name);
      t.is(headers["last-modified"], modified, name);
      compared += 1;
    }
    t.true(compared > 10);
    t.log(`${answered.length} answered, ${compared} of them compared, ${unanswered} interrupted`);
  },
);

async function seen(demo: Demo, name: string): Promise<Pick<Answered, "tag" | "modified">> {
  const answer = await view(demo, name, { method: "HEAD" }).catch(() => undefined);
  const served = answer?.status === 200;
  return {
    tag: served ? answer.headers.etag : undefined,
    modified: served ? answer.headers["last-modified"] : undefined,
  };
}
