// What a person may write where a bucket is meant, and the part of it that is a prefix.

import { UsageError, WrongValue } from "./usage-error.ts";

/** A bucket, and the folder in it when it was written as `gs://bucket/folder/`. */
export interface BucketAddress {
  readonly bucket: string;
  readonly prefix: string | undefined;
}

// Left over from a template: the mount would fail later with "no such bucket", which sends people looking for
// missing permissions.
const placeholders = [
  /replace[-_ ]?(me|with|this)(?![a-z])/i,
  /change[-_ ]?me/i,
  /(enter|put|insert)[-_ ]?your/i,
  /your[-_ ]?(\w+[-_ ]?)*bucket/i,
  /^(gcs[-_ ]?)?bucket[-_ ]?(name)?$/i,
  /^x{3,}$/i,
  /[<>{}$]/,
];

/** Reads `bucket` or `gs://bucket/folder/`; throws a UsageError that says what is wrong with it. */
export function parseBucketAddress(text: string): BucketAddress {
  const [, scheme, name = "", path] = /^(gs:\/\/)?([^/]*)(?:\/(.*))?$/s.exec(text.trim()) ?? [];
  if (placeholders.some((placeholder) => placeholder.test(name))) {
    throw new UsageError(
      `"${text}" is a placeholder, not the name of a bucket.`,
      "Put the name of your bucket in its place; `gcloud storage ls` lists those you have.",
    );
  }
  const wrong = faultOf(name);
  if (wrong !== undefined) {
    throw new UsageError(
      `"${text}" cannot be a bucket: ${wrong}.`,
      "Write the name only, such as my-uploads, or gs://my-uploads/folder/ for one folder of it.",
    );
  }
  if (path !== undefined && scheme === undefined) {
    throw new UsageError(
      `"${text}" is neither a bucket nor an address.`,
      `To mount one folder of a bucket write gs://${name}/${path} or add --prefix ${path}.`,
    );
  }
  return { bucket: name, prefix: path === undefined || path === "" ? undefined : parsePrefix(path) };
}

// The naming rules of Cloud Storage; what it alone can know (is it taken, is it mine) is asked when mounting.
function faultOf(name: string): string | undefined {
  if (name === "") return "the name is missing";
  if (/[^a-z0-9._-]/.test(name)) return "names have only small letters, digits, dashes, underscores and dots";
  if (name.length < 3 || name.length > (name.includes(".") ? 222 : 63))
    return "names have 3 to 63 characters";
  if (!/^[a-z0-9].*[a-z0-9]$/.test(name)) return "names begin and end with a letter or digit";
  if (name.split(".").some((part) => part === "" || part.length > 63)) {
    return "between dots there are 1 to 63 characters";
  }
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return "names do not look like IP addresses";
  return undefined;
}

/** `"photos"` and `"/photos/"` → `"photos/"`; `""` → the whole bucket. */
export function parsePrefix(text: string): string {
  const path = text.replace(/^\/+/, "").replace(/\/+$/, "");
  if (path === "") return "";
  const folders = path.split("/");
  if (
    folders.some((folder) => folder === "" || folder === "." || folder === "..") ||
    /\p{Cc}/u.test(path) ||
    Buffer.byteLength(path) > 1000 // an object's name has at most 1024 bytes
  ) {
    throw new WrongValue("a folder in the bucket, such as photos/ or photos/2024/");
  }
  return `${path}/`;
}
