// Copies kept bytes into a folder: never over anything, and never out of that folder, whatever their name says.

import fs from "node:fs/promises";
import { constants } from "node:fs";
import path from "node:path";
import { UsageError } from "../config/usage-error.ts";

const NAME_MAX_BYTES = 255;
/** Room for what tells two of one name apart. */
const NUMBER_BYTES = 8;
const NUMBERS_MAX = 10_000;

/** Copies the file at `source` below `folder`, under `name` or one like it. Answers the path of the copy. */
export async function saveAs(
  source: string,
  folder: string,
  name: string,
  modifiedMs: number,
): Promise<string> {
  // Root may be asking a process of somebody else.
  if (!(await fs.lstat(source)).isFile())
    throw new UsageError(`${source} is not a file.`, "Look at the state folder.");
  await fs.mkdir(folder, { recursive: true });
  const top = await fs.realpath(folder);
  const { folders, last } = safePath(name);
  const into = await makeFolders(top, folders);
  for (let number = 0; number < NUMBERS_MAX; number += 1) {
    const target = path.join(into, number === 0 ? last : `${last}.${number}`);
    try {
      await fs.copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    } catch (error) {
      if (codeOf(error) === "EEXIST") continue;
      await fs.rm(target, { force: true }); // what there is of it is ours
      throw error;
    }
    await fs.utimes(target, new Date(modifiedMs), new Date(modifiedMs));
    await syncFile(target);
    return target;
  }
  throw new UsageError(`There are too many files of the name ${last} in ${into}.`, "Choose another folder.");
}

/** An object's name as folders and a file: no empty part, no way up, nothing that is too long. */
export function safePath(name: string): { folders: string[]; last: string } {
  const parts = name.split("/").map(safePart);
  const last = parts.pop() ?? "_";
  return { folders: parts, last };
}

function safePart(part: string): string {
  if (part === "" || part === "." || part === "..") return part.replaceAll(".", "_") || "_";
  const printable = part.replaceAll(/\p{Cc}/gu, "_");
  let cut = printable;
  while (Buffer.byteLength(cut) > NAME_MAX_BYTES - NUMBER_BYTES) cut = cut.slice(0, -1);
  return cut;
}

/** Where a folder cannot be made because a file has its name, or leads elsewhere, another name is taken. */
async function makeFolders(top: string, folders: readonly string[]): Promise<string> {
  let at = top;
  for (const folder of folders) at = await makeFolder(at, folder);
  return at;
}

async function makeFolder(at: string, name: string): Promise<string> {
  for (let number = 0; number < NUMBERS_MAX; number += 1) {
    const folder = path.join(at, number === 0 ? name : `${name}.${number}`);
    await fs.mkdir(folder).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error;
    });
    if ((await fs.lstat(folder)).isDirectory()) return folder; // a link could lead anywhere
  }
  throw new UsageError(`No folder can be made for ${name} in ${at}.`, "Choose another folder.");
}

async function syncFile(file: string): Promise<void> {
  const handle = await fs.open(file, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
