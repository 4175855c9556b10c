import test from "ava";
import { FileSystemError } from "./errors.ts";
import { checkFolderName, checkNewName, isFileName, pathBelow } from "./names.ts";

test("an object name below a folder is folder names and a last part", (t) => {
  t.deepEqual(pathBelow("p/", "p/a/b/c.txt"), { folders: ["a", "b"], last: "c.txt" });
  t.deepEqual(pathBelow("", "a/"), { folders: ["a"], last: "" });
});

test("names that cannot be paths are not shown, but the folders before the trouble are", (t) => {
  t.deepEqual(pathBelow("", "a//b"), { folders: ["a"], last: undefined });
  t.deepEqual(pathBelow("", "/a"), { folders: [], last: undefined });
  for (const name of ["a/./b", "a/../b", `a/${"x".repeat(256)}`, "a/\0b"]) {
    t.deepEqual(pathBelow("", name), { folders: ["a"], last: undefined }, name);
  }
  t.true(isFileName("é".repeat(127)));
  t.false(isFileName("é".repeat(128)));
});

test("a name no object can have is refused with the reason as errno", (t) => {
  const code = (name: string, object = name): string | undefined =>
    t.throws(() => checkNewName(name, object), { instanceOf: FileSystemError })?.code;
  t.is(code("x".repeat(256)), "ENAMETOOLONG");
  t.is(code("x", "d/".repeat(512) + "x"), "ENAMETOOLONG");
  t.is(code("line\nbreak"), "EINVAL");
  t.is(code("x", ".well-known/acme-challenge/x"), "EINVAL");
  t.notThrows(() => checkNewName("Ein Name, mit #?%+& und 'Anführung'.png", "a/b"));
});

test("RULES 34: a folder that a hierarchical bucket cannot have is refused as too long", (t) => {
  const code = (name: string): string | undefined =>
    t.throws(() => checkFolderName(name), { instanceOf: FileSystemError })?.code;
  t.is(code(`${"x".repeat(255)}/${"y".repeat(256)}/`), "ENAMETOOLONG");
  t.is(code("d/".repeat(51)), "ENAMETOOLONG");
  t.notThrows(() => checkFolderName(`${"x".repeat(255)}/${"y".repeat(255)}/`));
  t.notThrows(() => checkFolderName("d/".repeat(50)));
});
