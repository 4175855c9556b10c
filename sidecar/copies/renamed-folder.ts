// What copies.db knows of the objects below a folder that the bucket has renamed as a whole (RULES 34).

import type { Statement } from "./database.ts";

export interface FolderNames {
  readonly source: string;
  readonly destination: string;
}

/** Both names end in "/". `sameVersions`: what is below stayed the versions it was, so copies of it are good. */
export function renamedBelow({ source, destination }: FolderNames, sameVersions: boolean): Statement[] {
  const renamed = "?1 || substr(object, length(?2) + 1)";
  const below = "object >= ?2 AND object < ?3";
  const values = [destination, source, endOf(source)];
  const statements = [
    // What is recorded for the name that an object was to get knows it also with another generation.
    { sql: `UPDATE OR IGNORE patches SET object = ${renamed} WHERE ${below}`, values },
    patchesGone(source),
    { sql: `UPDATE OR REPLACE removals SET object = ${renamed} WHERE ${below}`, values },
  ];
  if (!sameVersions) return statements;
  const version = `CASE WHEN version IS NULL THEN NULL ELSE json_set(version, '$.name', ${renamed}) END`;
  return [
    ...statements,
    { sql: `UPDATE copies SET object = ${renamed}, version = ${version} WHERE ${below}`, values },
  ];
}

/** No attributes are owed below `folder`, which ends in "/". */
export function patchesGone(folder: string): Statement {
  return { sql: "DELETE FROM patches WHERE object >= ? AND object < ?", values: [folder, endOf(folder)] };
}

/** None of the attributes that were to follow a rename will come to be owed below `folder`. */
export function patchesNotComing(folder: string): Statement {
  const { sql, values } = patchesGone(folder);
  return { sql: `${sql} AND content IS NOT NULL`, values };
}

/** What comes after everything below it. */
function endOf(folder: string): string {
  return `${folder.slice(0, -1)}0`; // "0" follows "/"
}
