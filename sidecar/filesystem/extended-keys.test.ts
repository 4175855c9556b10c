import test from "ava";
import fc from "fast-check";
import { keyOf, nameOf } from "./extended-keys.ts";

test("a name becomes a key of lower case, and comes back", (t) => {
  t.is(keyOf("user.mime-type"), "sidemount-xattr-mime-type");
  t.is(keyOf("user.Größe/m"), "sidemount-xattr-%47r%c3%b6%c3%9fe%2fm");
  const names = fc.string({ unit: "grapheme", minLength: 1 }).map((text) => `user.${text}`);
  fc.assert(
    fc.property(names, (name) => {
      const key = keyOf(name) ?? "";
      t.regex(key, /^sidemount-xattr-[a-z0-9._%-]+$/);
      t.is(nameOf(key), name);
    }),
  );
});

test("other names have no key, other keys no name", (t) => {
  for (const name of [
    "user.",
    "user",
    "security.capability",
    "system.posix_acl_access",
    "trusted.x",
    "com.a",
  ])
    t.is(keyOf(name), undefined, name);
  for (const key of [
    "mtime",
    "sidemount-xattr-",
    "sidemount-op",
    "sidemount-xattr-%zz",
    "sidemount-xattr-%c3",
  ])
    t.is(nameOf(key), undefined, key);
});
