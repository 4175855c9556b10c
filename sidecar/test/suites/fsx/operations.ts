// What fsx does to a file, and how often. One line for each operation.

interface Operation {
  /** How often, compared with the others. */
  readonly weight: number;
  /** It gives the file another length, or another descriptor: fsx cannot do it to a part of a file. */
  readonly wholeFileOnly?: boolean;
  /** The addon for libfuse 2 does not pass it on. */
  readonly deviceOnly?: boolean;
}

/** By the names that fsx's configuration has for them. What is not here is never done. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  read: { weight: 10 },
  write: { weight: 10 },
  mapread: { weight: 10 },
  mapwrite: { weight: 10 },
  invalidate: { weight: 10 },
  sendfile: { weight: 10 },
  posix_fadvise: { weight: 5 },
  copy_file_range: { weight: 5 },
  punch_hole: { weight: 5, deviceOnly: true },
  fsync: { weight: 0.2 },
  fdatasync: { weight: 0.2 },
  truncate: { weight: 10, wholeFileOnly: true },
  posix_fallocate: { weight: 5, wholeFileOnly: true },
  close_open: { weight: 0.3, wholeFileOnly: true },
};

/** What cannot be done to a file on the native channel. */
export const NOT_NATIVE = Object.keys(OPERATIONS).filter((name) => OPERATIONS[name]?.deviceOnly === true);

/** How large a file, and how it is treated. */
export interface Shape {
  /** Most bytes the file has; with `inPlace` these are the first ones of a file that stays as long as it is. */
  readonly fileBytes: number;
  /** Most bytes of one operation. */
  readonly operationBytes: number;
  /** What was written through a mapping is left to the kernel instead of being msynced at once. */
  readonly leaveMappings?: boolean;
  readonly inPlace?: boolean;
  /** Left out, by name. */
  readonly without?: readonly string[];
}

/** Text of the configuration by which fsx does this. */
export function configurationOf(shape: Shape): string {
  const { fileBytes, operationBytes, leaveMappings = false, inPlace = false, without = [] } = shape;
  const weights = Object.entries(OPERATIONS)
    .filter(([, { wholeFileOnly = false }]) => !(inPlace && wholeFileOnly))
    .map(([name, { weight }]) => [name, without.includes(name) ? 0 : weight] as const);
  // What it does unless it is told not to.
  for (const name of ["truncate", "close_open"])
    if (!weights.some(([known]) => known === name)) weights.push([name, 0]);
  return `
flen = ${fileBytes}
blockmode = ${inPlace}
nomsyncafterwrite = ${leaveMappings}
[opsize]
min = 1
max = ${operationBytes}
[weights]
${weights.map(([name, weight]) => `${name} = ${weight.toFixed(1)}`).join("\n")}
`;
}
