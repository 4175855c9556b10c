// Names of extended attributes as keys of object metadata, which have lower case only where other tools pass them on as
// headers: `user.Größe/m` is `sidemount-xattr-%47r%c3%b6%c3%9fe%2fm`. Values are base64, since metadata is text.

const KEY_PREFIX = "sidemount-xattr-";
const USER = "user.";

/** The key for an attribute; undefined if its name is not one of `user.*`. */
export function keyOf(name: string): string | undefined {
  if (!name.startsWith(USER) || name.length === USER.length) return undefined;
  const rest = Buffer.from(name.slice(USER.length), "utf8").toString("latin1");
  const escaped = rest.replace(
    /[^a-z0-9._-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return KEY_PREFIX + escaped;
}

/** The attribute a key stands for; undefined if it stands for none. */
export function nameOf(key: string): string | undefined {
  if (!key.startsWith(KEY_PREFIX) || key.length === KEY_PREFIX.length) return undefined;
  try {
    return USER + decodeURIComponent(key.slice(KEY_PREFIX.length));
  } catch {
    return undefined; // of somebody else's making
  }
}
