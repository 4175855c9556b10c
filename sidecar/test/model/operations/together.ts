// Two programs at once: one changes names while the other works on an open file. Neither's answer, nor what is left,
// depends on who is first.

import fc from "fast-check";
import type { Call } from "../clients.ts";
import { operation } from "../operation.ts";
import { drawnPath, freshPath } from "../paths.ts";
import { index, length, size, who } from "./draw.ts";

const nameCall = fc.oneof(
  { weight: 4, arbitrary: fc.record({ call: fc.constant("rename"), path: drawnPath, to: freshPath }) },
  { weight: 2, arbitrary: fc.record({ call: fc.constant("unlink"), path: drawnPath }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant("make_folder"), path: freshPath }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant("remove_folder"), path: drawnPath }) },
);

const handleCall = fc.oneof(
  fc.record({ call: fc.constant("close") }),
  fc.record({ call: fc.constant("sync"), data_only: fc.boolean() }),
  fc.record({ call: fc.constant("pwrite"), tag: index, length, offset: size }),
  fc.record({ call: fc.constant("write"), tag: index, length }),
);

const together = operation(
  "two at once",
  6,
  fc.record({ who, names: nameCall, on: index, contents: handleCall }),
  async (run, { who, names, on, contents }) => {
    const others = run.handles.filter((handle) => handle.who !== who);
    const handle = others[on % others.length];
    if (handle === undefined) return;
    const named: Call = {
      call: names.call,
      path: run.path(names.path),
      ...("to" in names ? { to: run.path(names.to), flag: "replace" } : {}),
      ...(names.call === "make_folder" ? { mode: 0o777 } : {}),
    };
    if (contents.call === "close") run.dropHandle(handle);
    run.note("at once:");
    const [, opened] = await Promise.all([
      run.both(who, named),
      run.both(handle.who, { ...contents, slot: handle.slot }),
    ]);
    if (handle.writable && contents.call === "sync" && !("errno" in opened))
      await run.requireSaved(handle.inode);
  },
);

export const TOGETHER = [together];
