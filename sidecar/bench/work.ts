// The work that is measured: a program of its own, so that nothing of the server or the mount runs in it.
//
// Its arguments are the operation, a folder, and numbers; it answers with what it did and how long the timed part
// took. The timed part has system calls and nothing else. Each operation runs untimed first for as long as it takes
// the program itself to get fast.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const MIB = 1 << 20;
const NS_PER_S = 1e9;

/** An operation and its numbers. */
export type Work =
  | { readonly do: "make file"; readonly mebibytes: number }
  | { readonly do: "make files"; readonly count: number; readonly bytes: number }
  | { readonly do: "read"; readonly passes: number }
  | { readonly do: "overwrite"; readonly blockBytes: number; readonly passes: number }
  | { readonly do: "create"; readonly mebibytes: number }
  | { readonly do: "open, read, close"; readonly rounds: number }
  | { readonly do: "stat"; readonly rounds: number };

export interface Done {
  readonly operations: number;
  readonly bytes: number;
  readonly seconds: number;
}

const FILE = "file.bin";

const OPERATIONS: { [Kind in Work["do"]]: (folder: string, work: Extract<Work, { do: Kind }>) => Done } = {
  "make file": (folder, { mebibytes }) => {
    writeNew(path.join(folder, FILE), mebibytes);
    return { operations: 1, bytes: mebibytes * MIB, seconds: 0 };
  },

  "make files": (folder, { count, bytes }) => {
    for (let i = 0; i < count; i += 1)
      fs.writeFileSync(path.join(folder, `small-${i}`), Buffer.alloc(bytes, i));
    return { operations: count, bytes: count * bytes, seconds: 0 };
  },

  read: (folder, { passes }) => {
    const file = fs.openSync(path.join(folder, FILE), "r");
    const buffer = Buffer.alloc(MIB);
    let bytes = 0;
    const pass = (): void => {
      for (let at = 0, got = 1; got > 0; at += got) {
        got = fs.readSync(file, buffer, 0, MIB, at);
        bytes += got;
      }
    };
    pass(); // also brings it into the page cache
    bytes = 0;
    const seconds = time(() => {
      for (let i = 0; i < passes; i += 1) pass();
    });
    fs.closeSync(file);
    return { operations: passes, bytes, seconds };
  },

  overwrite: (folder, { blockBytes, passes }) => {
    const file = fs.openSync(path.join(folder, FILE), "r+");
    const { size } = fs.fstatSync(file);
    const block = Buffer.alloc(blockBytes, Math.floor(Math.random() * 256));
    const pass = (): void => {
      for (let at = 0; at < size; at += blockBytes) fs.writeSync(file, block, 0, blockBytes, at);
    };
    pass();
    const seconds = time(() => {
      for (let i = 0; i < passes; i += 1) pass();
    });
    // So that the next one, here or on the other side, starts with nothing left to be written.
    fs.fsyncSync(file);
    fs.closeSync(file);
    return { operations: (passes * size) / blockBytes, bytes: passes * size, seconds };
  },

  create: (folder, { mebibytes }) => {
    const file = path.join(folder, "new.bin");
    fs.rmSync(file, { force: true });
    const seconds = time(() => writeNew(file, mebibytes));
    return { operations: 1, bytes: mebibytes * MIB, seconds };
  },

  "open, read, close": (folder, { rounds }) => {
    const files = fs.readdirSync(folder).map((name) => path.join(folder, name));
    const buffer = Buffer.alloc(MIB);
    let bytes = 0;
    const round = (): void => {
      for (const name of files) {
        const file = fs.openSync(name, "r");
        bytes += fs.readSync(file, buffer, 0, MIB, 0);
        fs.closeSync(file);
      }
    };
    round();
    bytes = 0;
    const seconds = time(() => {
      for (let i = 0; i < rounds; i += 1) round();
    });
    return { operations: rounds * files.length, bytes, seconds };
  },

  stat: (folder, { rounds }) => {
    const files = fs.readdirSync(folder).map((name) => path.join(folder, name));
    const round = (): void => {
      for (const name of files) fs.statSync(name);
    };
    round();
    const seconds = time(() => {
      for (let i = 0; i < rounds; i += 1) round();
    });
    return { operations: rounds * files.length, bytes: 0, seconds };
  },
};

function writeNew(name: string, mebibytes: number): void {
  const file = fs.openSync(name, "w");
  const block = Buffer.alloc(MIB, 7);
  for (let i = 0; i < mebibytes; i += 1) fs.writeSync(file, block);
  fs.closeSync(file);
}

function time(work: () => void): number {
  const begin = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - begin) / NS_PER_S;
}

function act(folder: string, work: Work): Done {
  const operation = OPERATIONS[work.do] as (folder: string, work: Work) => Done;
  return operation(folder, work);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder = "", work = ""] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(act(folder, JSON.parse(work) as Work)));
}
