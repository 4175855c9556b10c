// Names of folders: paths that end in "/", with the limits of hierarchical buckets.

import { invalid, required } from "./api-error.ts";
import { checkObjectName } from "./properties.ts";

// https://cloud.google.com/storage/docs/folders-overview#considerations
const maxNameBytes = 512;
const maxDepth = 50;

/** A folder's name as a client may write it, with or without its last slash. Throws 400 for one there cannot be. */
export function folderName(text: string): string {
  if (text === "") throw required("name");
  const name = text.endsWith("/") ? text : `${text}/`;
  checkObjectName(name);
  checkFolderName(name);
  return name;
}

/** The folders an object or folder of this name lies in, outermost first. A folder does not lie in itself. */
export function foldersAbove(name: string): string[] {
  const folders: string[] = [];
  for (let at = name.indexOf("/"); at >= 0 && at < name.length - 1; at = name.indexOf("/", at + 1))
    folders.push(name.slice(0, at + 1));
  return folders;
}

/** As `foldersAbove`, for an object: one named `a/` lies in the folder `a/`. Throws 400 if they cannot be. */
export function foldersOfObject(name: string): string[] {
  const folders = foldersAbove(name);
  if (name.endsWith("/")) folders.push(name);
  const innermost = folders.at(-1);
  if (innermost !== undefined) checkFolderName(innermost);
  return folders;
}

/** Position behind everything below a folder: "0" follows "/" in byte order. */
export function behindFolder(name: string): string {
  return `${name.slice(0, -1)}0`;
}

function checkFolderName(name: string): void {
  if (Buffer.byteLength(name) > maxNameBytes)
    throw invalid(`The folder name must be at most ${maxNameBytes} bytes when UTF-8 encoded.`);
  if (name.split("/").length - 1 > maxDepth) throw invalid(`Folders can be at most ${maxDepth} levels deep.`);
}
