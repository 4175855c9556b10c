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
  const values = [destination, source, `${source.slice(0, -1)}0`]; // "0" follows "/"
  const statements = [
    { sql: `UPDATE OR REPLACE patches SET object = ${renamed} WHERE ${below}`, values },
    { sql: `UPDATE OR REPLACE removals SET object = ${renamed} WHERE ${below}`, values },
  ];
  if (!sameVersions) return statements;
  const version = `CASE WHEN version IS NULL THEN NULL ELSE json_set(version, '$.name', ${renamed}) END`;
  return [
    ...statements,
    { sql: `UPDATE copies SET object = ${renamed}, version = ${version} WHERE ${below}`, values },
  ];
}
