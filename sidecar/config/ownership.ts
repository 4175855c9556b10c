// Users, groups and permission bits as people write them: 33, www-data, 0644.

import { WrongValue } from "./usage-error.ts";

// uid_t is 32 bits wide; its last value means "leave unchanged" to the kernel.
const highestId = 2 ** 32 - 2;

/** `"33"` → 33; `"www-data"` → its number in `table`, which has the form of /etc/passwd and /etc/group. */
function parseId(text: string, table: string, kind: "user" | "group", example: string): number {
  if (/^\d+$/.test(text)) {
    const id = Number(text);
    if (id > highestId) throw new WrongValue(`a ${kind} number up to ${highestId}, such as 33`);
    return id;
  }
  for (const line of table.split("\n")) {
    const [name, , id] = line.split(":");
    if (name === text && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  throw new WrongValue(`a ${kind} number or the name of a ${kind} of this machine, such as 33 or ${example}`);
}

export function parseUser(text: string, passwd: string): number {
  return parseId(text.trim(), passwd, "user", "www-data");
}

export function parseGroup(text: string, group: string): number {
  return parseId(text.trim(), group, "group", "www-data");
}

/** The home folder of a user, as /etc/passwd has it. */
export function homeOf(uid: number, passwd: string): string | undefined {
  const entries = passwd.split("\n").map((line) => line.split(":"));
  return entries.find(([, , id]) => id === String(uid))?.[5] || undefined;
}

/** `"0644"`, `"644"` or `"0o644"` → 0o644. Setuid, setgid and sticky bits are no defaults for a folder of uploads. */
export function parseMode(text: string): number {
  const [, digits] = /^(?:0o?)?([0-7]{3})$/.exec(text.trim()) ?? [];
  if (digits === undefined) throw new WrongValue("permissions as three octal digits, such as 0644 or 0777");
  return Number.parseInt(digits, 8);
}
