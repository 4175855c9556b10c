// Mount options as in /etc/fstab: `-o ro,uid=www-data,_netdev`.

import { closest } from "./closest.ts";
import { optionKeys, specOf, type OptionKey } from "./option-table.ts";
import { UsageError } from "./usage-error.ts";

// Meant for mount(8), systemd or other filesystems, or true of this mount anyway.
const ignored = new Set([
  ..."_netdev auto noauto nofail defaults rw user nouser users owner group noowner dev nodev suid nosuid".split(
    " ",
  ),
  ..."exec async atime noatime diratime nodiratime relatime norelatime lazytime nolazytime".split(" "),
  "default_permissions",
]);

/** `"ro,uid=33"` → the texts of those options by key, to be parsed like values of flags. */
export function readFstabOptions(text: string): Map<OptionKey, string> {
  const texts = new Map<OptionKey, string>();
  for (const part of text.split(",").map((each) => each.trim())) {
    const separator = part.indexOf("=");
    const name = separator === -1 ? part : part.slice(0, separator);
    const value = separator === -1 ? undefined : part.slice(separator + 1);
    if (part === "" || ignored.has(part) || /^(x-|comment$|X-)/.test(name)) continue;
    if (name === "ro") texts.set("readOnly", "true");
    else texts.set(...known(name, value));
  }
  return texts;
}

function known(name: string, value: string | undefined): [OptionKey, string] {
  const negated = name.startsWith("no_");
  const flag = name.replace(/^no_/, "").replaceAll("_", "-");
  const key = optionKeys.find((each) => specOf(each).flag === flag);
  const spec = key === undefined ? undefined : specOf(key);
  if (key === undefined || spec === undefined || (negated && spec.negatable !== true)) {
    const names = ["ro", "rw", ...optionKeys.map((each) => specOf(each).flag.replaceAll("-", "_"))];
    const near = closest(name.replaceAll("-", "_"), names);
    throw new UsageError(
      `-o ${name} is not an option of sidemount.`,
      near === undefined ? `Known are ${names.join(", ")}.` : `Did you mean -o ${near}?`,
    );
  }
  if (value === undefined && spec.placeholder !== undefined) {
    throw new UsageError(`-o ${name} needs a value.`, `Write -o ${name}=${spec.placeholder}.`);
  }
  return [key, negated ? "false" : (value ?? "true")];
}
