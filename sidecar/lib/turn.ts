// Turns: tasks given to one Turn run one after another in the order they came.
//
// A task that fails does not stop the next one.

/** A queue of one place. Tasks of different Turns never wait for each other. */
export class Turn {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** True while a task runs or waits. */
  get busy(): boolean {
    return this.#waiting > 0;
  }

  /** Runs `task` when every earlier one has ended; settles as it does. */
  run<T>(task: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    const result = this.#last.then(task);
    this.#last = result.then(
      () => (this.#waiting -= 1),
      () => (this.#waiting -= 1),
    );
    return result;
  }
}

/** Runs `task` holding every turn in the order given; callers must agree on one order to never wait for each other. */
export function runInAll<T>(turns: readonly Turn[], task: () => Promise<T>): Promise<T> {
  const [first, ...rest] = turns;
  return first === undefined ? task() : first.run(() => runInAll(rest, task));
}
