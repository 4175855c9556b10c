// Work that many may ask for at once and that must start after the asking.
//
// A caller never shares a run that began before it asked: that run may have missed the caller's change.
// At most one run is under way and at most one waits; all who ask meanwhile share the waiting one.

export class SharedRun<T> {
  readonly #work: () => Promise<T>;
  #current: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  get running(): boolean {
    return this.#current !== undefined;
  }

  /** Resolves with the result of a run that began after this call. */
  request(): Promise<T> {
    if (this.#current === undefined) return this.#start();
    this.#next ??= this.#current.then(
      () => this.#startNext(),
      () => this.#startNext(),
    );
    return this.#next;
  }

  #startNext(): Promise<T> {
    this.#next = undefined;
    return this.#start();
  }

  #start(): Promise<T> {
    const run = this.#work();
    this.#current = run;
    const clear = (): void => {
      if (this.#current === run) this.#current = undefined;
    };
    run.then(clear, clear);
    return run;
  }
}
