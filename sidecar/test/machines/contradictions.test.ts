// What cannot have happened is found: histories made up for it.

import test from "ava";
import { contradictions, type Event, type Outcome } from "./history.ts";
import { orderContradictions, type Access } from "./register.ts";

function access(what: Access["what"], value: string, began: number, ended: number): Access {
  return { what, value, began, ended, told: `${what} ${value}` };
}

const write = (value: string, began: number, ended: number): Access => access("write", value, began, ended);
const read = (value: string, began: number, ended: number): Access => access("read", value, began, ended);

test("what each reader saw was the last write before him, or one under way", (t) => {
  t.deepEqual(
    orderContradictions([write("a", 0, 1), read("a", 2, 3), write("b", 4, 9), read("b", 5, 6)]),
    [],
  );
  t.deepEqual(
    orderContradictions([write("a", 0, 1), write("b", 2, 9), read("a", 3, 4), read("b", 5, 6)]),
    [],
  );
  t.deepEqual(orderContradictions([read("first", 0, 1), write("a", 2, 3), read("a", 4, 5)]), []);
  // Two at once: which was last is for the readers to say.
  t.deepEqual(orderContradictions([write("a", 0, 9), write("b", 1, 8), read("b", 10, 11)]), []);
});

test("an older version after a newer one was closed, or seen, is found", (t) => {
  const stale = [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)];
  t.regex(orderContradictions(stale).join(), /wholly between them b/);
  const backAgain = [write("a", 0, 1), write("b", 2, 9), read("b", 3, 4), read("a", 5, 6)];
  t.is(orderContradictions(backAgain).length, 1);
  const bothOrders = [
    write("a", 0, 9),
    write("b", 0, 9),
    read("a", 10, 11),
    read("b", 12, 13),
    read("a", 14, 15),
  ];
  t.regex(orderContradictions(bothOrders).join(), /between them b was there/);
  t.regex(orderContradictions([read("a", 0, 1), write("a", 2, 3)]).join(), /saw a before/);
  t.regex(orderContradictions([read("x", 0, 1), read("y", 2, 3)]).join(), /nobody wrote: x, y/);
});

const NOTHING: Outcome = { versions: new Map(), logs: new Map() };

function event(kind: string, more: Partial<Event>): Event {
  return { kind, actor: "a0", began: 1, ended: 2, failed: null, ...more };
}

test("lost edits, lines, claims and files are found, and failures that have no reason", (t) => {
  const lostEdit = event("edit", { name: "edits/0", id: "e", parent: "initial", opened: 1 });
  const edits = (there: string): string =>
    contradictions([lostEdit], { ...NOTHING, versions: new Map([["edits/0", there]]) }).join();
  t.is(edits("e"), "");
  t.regex(edits("initial"), /acknowledged and is lost/);
  const refused = { ...lostEdit, failed: "ESTALE", changing: true };
  t.regex(contradictions([refused], NOTHING).join(), /its bytes are nowhere/);

  const append = event("append", { name: "logs/0", ids: ["l1", "l2"] });
  const late = event("read_log", { name: "logs/0", actor: "b0", began: 3, ended: 4, ids: ["l1"] });
  const log = (...lines: string[]): Outcome => ({ ...NOTHING, logs: new Map([["logs/0", lines]]) });
  t.deepEqual(contradictions([append], log("l1", "l2")), []);
  t.regex(contradictions([append], log("l1")).join(), /line l2 is lost/);
  t.regex(contradictions([append], log("l1", "l2", "l1")).join(), /a line twice: l1/);
  t.regex(contradictions([append, late], log("l1", "l2")).join(), /does not see/);

  const claims = ["a0", "b0"].map((actor) => event("claim", { name: "claims/1", actor, id: actor }));
  t.regex(
    contradictions(claims, { ...NOTHING, versions: new Map([["claims/1", "a0"]]) }).join(),
    /was had by .* and /,
  );
  t.regex(contradictions([event("make_file", { name: "tree/d0/x", id: "x" })], NOTHING).join(), /is lost/);
  const there = new Map([
    ["tree/d0/x", "x"],
    ["tree/d1/x", "x"],
  ]);
  t.regex(contradictions([], { ...NOTHING, versions: there }).join(), /there twice/);
  const missing = event("read", { name: "registers/0", actor: "c0", failed: "ENOENT" });
  const renaming = event("replace", { name: "registers/0", actor: "c1", id: "x" });
  const renamed = { ...NOTHING, versions: new Map([["registers/0", "x"]]) };
  t.deepEqual(contradictions([missing, renaming], renamed, "c"), []);
  t.is(contradictions([missing, { ...renaming, actor: "b0" }], renamed, "c").length, 1);
  t.is(contradictions([missing, renaming], renamed, "a").length, 1);
  t.regex(contradictions([event("read", { failed: "TORN", step: "bytes" })], NOTHING).join(), /with TORN/);
});
