// Whether two descriptions are of one object version.

interface Version {
  readonly name: string;
  readonly generation: bigint;
}

/** A folder that is renamed takes its objects along: the same generation under another name is somewhere else. */
export function isSameVersion(one: Version | undefined, other: Version | undefined): boolean {
  return one?.generation === other?.generation && one?.name === other?.name;
}
