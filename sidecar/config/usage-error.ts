// A request that cannot be understood or is not allowed as written: the person has to type something else.

/** What was wrong in one sentence, and what would have been right. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly remedy: string | undefined;

  constructor(message: string, remedy?: string) {
    super(message);
    this.remedy = remedy;
  }
}

/** Thrown by the parsers of values: says only what was expected; who calls adds where the value came from. */
export class WrongValue extends Error {
  override readonly name = "WrongValue";
}
