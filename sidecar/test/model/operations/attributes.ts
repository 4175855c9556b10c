// Attributes: setting them, and looking at them.

import fc from "fast-check";
import { operation } from "../operation.ts";
import { drawnPath } from "../paths.ts";
import { index, mode, size, who } from "./draw.ts";

const status = operation(
  "stat",
  8,
  fc.record({ who, path: drawnPath, follow: fc.boolean() }),
  async (run, { who, path, follow }) => {
    await run.both(who, { call: "status", path: run.path(path), follow });
  },
);

const handleStatus = operation("fstat", 6, index, async (run, number) => {
  const handle = run.handle(number);
  if (handle !== undefined) await run.both(handle.who, { call: "handle_status", slot: handle.slot });
});

const sameFile = operation(
  "same file",
  2,
  fc.record({ on: index, path: drawnPath }),
  async (run, { on, path }) => {
    const handle = run.handle(on);
    if (handle === undefined) return;
    await run.both(handle.who, { call: "same_file", slot: handle.slot, path: run.path(path) });
  },
);

const access = operation(
  "access",
  2,
  fc.record({ who, path: drawnPath, wanted: fc.constantFrom(0, 1, 2, 4) }),
  async (run, { who, path, wanted }) => {
    await run.both(who, { call: "access", path: run.path(path), wanted });
  },
);

const changeMode = operation(
  "chmod",
  5,
  // A folder for a group: what is made in it is the group's.
  fc.record({ who, path: drawnPath, mode: fc.oneof({ weight: 5, arbitrary: mode }, fc.constant(0o2777)) }),
  async (run, { who, path, mode }) => {
    await run.both(who, { call: "change_mode", path: run.path(path), mode });
  },
);

const handleChangeMode = operation("fchmod", 1, fc.record({ on: index, mode }), async (run, { on, mode }) => {
  const handle = run.handle(on);
  if (handle === undefined) return;
  await run.both(handle.who, { call: "handle_change_mode", slot: handle.slot, mode });
});

const OWNERS = [-1, 0, 4321, 99];
const changeOwner = operation(
  "chown",
  3,
  fc.record({
    who,
    path: drawnPath,
    user: fc.constantFrom(...OWNERS),
    group: fc.constantFrom(...OWNERS),
  }),
  async (run, { who, path, user, group }) => {
    await run.both(who, { call: "change_owner", path: run.path(path), user, group });
  },
);

/** In nanoseconds: 2001 with all its digits, 1970, a day before, 2038 and after, or now. */
const TIMES = ["1000000000123456789", "0", "-86400000000000", "2147483648000000000", null];
const time = fc.constantFrom(...TIMES);
const setTimes = operation(
  "utimens",
  6,
  fc.record({ who, path: drawnPath, time }),
  async (run, { who, path, time }) => {
    await run.both(who, { call: "set_times", path: run.path(path), modified_ns: time });
  },
);

const handleSetTimes = operation(
  "futimens",
  3,
  fc.record({ on: index, time: fc.constantFrom(...TIMES.filter((each) => each !== null)) }),
  async (run, { on, time }) => {
    const handle = run.handle(on);
    if (handle === undefined) return;
    await run.both(handle.who, { call: "handle_set_times", slot: handle.slot, modified_ns: time });
  },
);

const truncate = operation(
  "truncate",
  5,
  fc.record({ who, path: drawnPath, size }),
  async (run, { who, path, size }) => {
    const name = run.path(path);
    const answer = await run.both(who, { call: "truncate", path: name, size });
    if ("errno" in answer || run.isOpen(run.inodeOf(name))) return;
    await run.requireSaved(run.inodeOf(name));
  },
);

const LOOK = [status, handleStatus, sameFile, access];
const SET = [changeMode, handleChangeMode, changeOwner, setTimes, handleSetTimes, truncate];

export const ATTRIBUTES = [...LOOK, ...SET];
