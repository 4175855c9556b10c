// What is written down: item 13 and X11.

import { BucketApi } from "./bucket-api.ts";
import { equal, holds, within, type Group } from "./step.ts";
import { picture } from "./uploads.ts";
import { upload } from "./visitor.ts";

interface UploadEntry {
  readonly message: string;
  readonly object?: string;
  readonly generation?: string;
  readonly bytes?: number;
  readonly ms?: number;
}

export const logs: Group = {
  name: "Logs",
  steps: [
    {
      id: "B.3-13, X11",
      title: "the app's line and the mount's line about an upload are written",
      expected: "Saving uploaded file … to …/uploads/…; upload done with object, generation, bytes, ms",
      async run(stage) {
        const name = `logged "once" é.png`;
        await upload(stage, name, picture(12_345));
        const line = `Saving uploaded file "${name}" to "${stage.uploads}/${name}"`;
        const said = await within(2000, () => stage.service("app").said().includes(line) || undefined);
        holds(said === true, `the app's log has no line: ${line}`);

        const facts = await new BucketApi(stage).facts(name);
        const entry = await within(2000, () =>
          stage
            .service("mount")
            .said()
            .split("\n")
            .filter((text) => text.includes(`"upload done"`))
            .map((text) => JSON.parse(text) as UploadEntry)
            .find(({ object }) => object === name),
        );
        equal("generation", entry?.generation, facts?.generation);
        equal("bytes", entry?.bytes, 12_345);
        equal("type of ms", typeof entry?.ms, "number");
        return `both lines; generation ${entry?.generation}, ${entry?.bytes} bytes, ${entry?.ms} ms`;
      },
    },
    {
      id: "X11",
      title: "the mount's log is one JSON line for each event and holds no secret",
      expected: "severity, time and message in every line; no token, key or upload session",
      run(stage) {
        const said = stage.service("mount").said().trimEnd();
        const lines = said.split("\n");
        for (const line of lines) {
          const entry = JSON.parse(line) as Record<string, unknown>;
          for (const field of ["severity", "time", "message"]) {
            equal(`${field} in ${line.slice(0, 80)}`, typeof entry[field], "string");
          }
          holds(!Number.isNaN(Date.parse(String(entry["time"]))), `time ${String(entry["time"])}`);
        }
        const secret = /ya29\.|Bearer |private_key|BEGIN [A-Z ]*KEY|[?&]upload_id=(?!\[)[^"&\s]+/.exec(said);
        equal("secrets", secret?.[0], undefined);
        return Promise.resolve(`${lines.length} lines, all of them JSON; nothing secret`);
      },
    },
  ],
};
