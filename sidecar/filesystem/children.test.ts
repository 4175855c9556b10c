import test from "ava";
import { Children } from "./children.ts";

test("folders are counted, whatever takes whose place", (t) => {
  const children = new Children<{ kind: "file" | "directory" }>();
  const folder = { kind: "directory" } as const;
  const file = { kind: "file" } as const;
  children.set("a", folder).set("b", file).set("c", folder);
  t.is(children.folders, 2);
  children.set("a", folder).set("b", folder).set("c", file);
  t.is(children.folders, 2);
  t.true(children.delete("a"));
  t.false(children.delete("a"));
  t.true(children.delete("c"));
  t.is(children.folders, 1);
});
