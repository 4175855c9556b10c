import test from "ava";
import { globPattern } from "./glob.ts";

test("a star stands for any characters, a question mark for one, all else for itself", (t) => {
  t.true(globPattern("*.lock").test("index.lock"));
  t.false(globPattern("*.lock").test("index.lock.txt"));
  t.true(globPattern(".~lock.*").test(".~lock.letter.odt#"));
  t.false(globPattern(".~lock.*").test("x~lock.a"));
  t.true(globPattern("a?c").test("aé" + "c"));
  t.false(globPattern("a?c").test("ac"));
});
