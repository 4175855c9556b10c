import type { FileSystem } from "../../filesystem/filesystem.ts";
import type { Answer } from "./answer.ts";
import type { Call } from "./call.ts";

/**
 * Serves one request: decodes it, calls the file system, encodes what it says. It decodes before its first
 * `await`: afterwards the buffer holds the next request (only WRITE's stays until the answer). An answer that
 * makes the kernel count something carries how to take that back.
 */
export type Operation = (fileSystem: FileSystem, call: Call, bytes: Buffer) => Promise<Answer>;
