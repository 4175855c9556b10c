import fs from "node:fs";

import test from "ava";

import { diesOfSignal, hasMemory, isBeingKilled, killIsPending } from "./thread-state.ts";

const status = (thread: string, shared: string) =>
  `Name:\tcat\nSigPnd:\t${thread}\nShdPnd:\t${shared}\nSigBlk:\t0000000000000100\n`;

test("only SIGKILL among the pending signals is fatal", (t) => {
  t.true(killIsPending(status("0000000000000100", "0000000000000000")));
  t.true(killIsPending(status("0000000000000000", "0000000000004100")));
  t.false(killIsPending(status("0000000000004000", "0000000000000200")));
});

// pid (comm) state, then fields 4 to 51 as zeros except flags (9), then exit_code (52)
const stat = (flags: number, exitCode: number) =>
  `12 (a ) b) D ${Array.from({ length: 48 }, (_, index) => (index === 5 ? flags : 0)).join(" ")} ${exitCode}\n`;

test("a thread that exits by a signal is told from one that exits by itself", (t) => {
  t.true(diesOfSignal(stat(0x400004, 9)));
  t.false(diesOfSignal(stat(0x400004, 3 << 8)));
  t.false(diesOfSignal(stat(0x400000, 9)));
});

test("threads that cannot be seen are taken for living", async (t) => {
  t.false(await isBeingKilled(0));
  t.false(await isBeingKilled(2 ** 22 + 1));
  t.false(await isBeingKilled(process.pid));
});

test("a thread has memory until it exits", (t) => {
  t.true(hasMemory(fs.readFileSync("/proc/self/status", "latin1")));
  t.false(hasMemory(status("0000000000000000", "0000000000000000")));
});
