// Names of files and names of objects: which can stand for each other, and what is refused.

import { FileSystemError } from "./errors.ts";

/** Longest component, in bytes: what ext4 and every program expects (NAME_MAX). */
export const NAME_MAX_BYTES = 255;
/** Longest object name, in bytes of UTF-8 (Cloud Storage, "Object names"). */
export const OBJECT_NAME_MAX_BYTES = 1024;

/**
 * Folder of what sidemount itself needs in the bucket for a moment. Never shown, and refused as a name: what lies in
 * it may be deleted when it is old (RULES 8).
 */
export const WORKING_FOLDER = ".sidemount.tmp";

/** Refuses a name that no object could have. `objectName` is the whole name in the bucket. */
export function checkNewName(name: string, objectName: string): void {
  if (Buffer.byteLength(name) > NAME_MAX_BYTES)
    throw new FileSystemError("ENAMETOOLONG", `name longer than ${NAME_MAX_BYTES} bytes`);
  if (Buffer.byteLength(objectName) > OBJECT_NAME_MAX_BYTES) {
    throw new FileSystemError("ENAMETOOLONG", `object name longer than ${OBJECT_NAME_MAX_BYTES} bytes`);
  }
  if (/[\r\n]/.test(name)) throw new FileSystemError("EINVAL", "object names cannot hold line breaks");
  if (name === WORKING_FOLDER) throw new FileSystemError("EPERM", "a name reserved for sidemount's own work");
  if (objectName.startsWith(".well-known/acme-challenge/"))
    throw new FileSystemError("EINVAL", "a name reserved by Cloud Storage");
}

/** Longest name of a folder of a hierarchical bucket, and how deep it may lie (Cloud Storage, "Folders"). */
const FOLDER_NAME_MAX_BYTES = 512;
const FOLDER_LEVELS_MAX = 50;

/** Refuses a name that no folder of a hierarchical bucket could have. `folderName` is all of it, with its last "/". */
export function checkFolderName(folderName: string): void {
  if (Buffer.byteLength(folderName) > FOLDER_NAME_MAX_BYTES)
    throw new FileSystemError("ENAMETOOLONG", `folder name longer than ${FOLDER_NAME_MAX_BYTES} bytes`);
  if (folderName.split("/").length - 1 > FOLDER_LEVELS_MAX)
    throw new FileSystemError("ENAMETOOLONG", `folders deeper than ${FOLDER_LEVELS_MAX} levels`);
}

/** Whether a part of an object name can be the name of a file or folder. */
export function isFileName(component: string): boolean {
  return (
    component !== "" &&
    component !== "." &&
    component !== ".." &&
    component !== WORKING_FOLDER &&
    !component.includes("\0") &&
    Buffer.byteLength(component) <= NAME_MAX_BYTES
  );
}

/** Whether an object lies in a folder of what sidemount itself needs for a moment. */
export function isWorkingObject(objectName: string): boolean {
  return objectName.startsWith(`${WORKING_FOLDER}/`) || objectName.includes(`/${WORKING_FOLDER}/`);
}

/**
 * An object name below a folder, as folder names and a last part; a placeholder's last part is "". Of a name that
 * cannot be shown as a path (`a//b`, `..`, components above 255 bytes) only the folders before the trouble are
 * there and `last` is undefined: such objects are left alone.
 */
export function pathBelow(
  folder: string,
  objectName: string,
): { folders: string[]; last: string | undefined } {
  const folders = objectName.slice(folder.length).split("/");
  const last = folders.pop() ?? "";
  const trouble = folders.findIndex((name) => !isFileName(name));
  if (trouble >= 0) return { folders: folders.slice(0, trouble), last: undefined };
  return { folders, last: last === "" || isFileName(last) ? last : undefined };
}
