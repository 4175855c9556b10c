// Turns: tasks given to one Turn run one after another in the order they came.
//
// A task that fails does not stop the next one.

/** A queue of one place. Tasks of different Turns never wait for each other. Costs next to nothing while idle. */
export class Turn {
  #last: Promise<unknown> | undefined;
  #waiting = 0;

  /** True while a task runs or waits. */
  get busy(): boolean {
    return this.#waiting > 0;
  }

  /** Runs `task` when every earlier one has ended; settles as it does. */
  run<T>(task: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    const result = (this.#last ?? Promise.resolve()).then(task);
    const over = (): void => {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#last = undefined;
    };
    this.#last = result.then(over, over);
    return result;
  }
}

/** Runs `task` holding every turn in the order given; callers must agree on one order to never wait for each other. */
export function runInAll<T>(turns: readonly Turn[], task: () => Promise<T>): Promise<T> {
  const [first, ...rest] = turns;
  return first === undefined ? task() : first.run(() => runInAll(rest, task));
}
