// What supervisor and worker say to each other over their IPC channel. Plain JSON.
//
//   supervisor                       worker
//                            ←       loaded {version}      the code is; a standby comes no further
//   start {options, handover} →
//                            ←       ready                 bucket and state were checked, nothing is mounted yet
//                            ←       failed {message, …}   …or it cannot be done; the worker exits
//   mounted                  →                             the devices can be read from now on
//                            ←       serving {passthrough} INIT was answered, on each; or an earlier worker's was
//                            ←       alive                 every second from then on
//                            ←       notify {id, bytes}    write this to the device: nobody of ours may wait there
//   notified {id, code}      →                             it was written, or refused
//   stop {hurry}             →                             refuse writes, upload what is owed; a second one hurries
//                            ←       drained {owed}        no notification is sent any more
//   unmounted                →                             no request will come; end
//
// `start` with `again`: the folder is mounted, and another worker has served it. `failed` may come at any time before
// `serving`. A disconnected channel means that the other process is gone.

import type { MountOptions } from "../config/mount-options.ts";

export type ToWorker =
  | {
      readonly type: "start";
      readonly options: MountOptions;
      /** Path of handover.db. */
      readonly handover: string;
      /** An earlier worker has served this mount. */
      readonly again: boolean;
    }
  | { readonly type: "mounted" }
  /** `code`: of the error, if it was refused. */
  | { readonly type: "notified"; readonly id: number; readonly code?: string | undefined }
  | { readonly type: "stop"; readonly hurry: boolean }
  | { readonly type: "unmounted" };

export interface ServingReport {
  readonly passthrough: boolean;
  /** Why passthrough is not used. */
  readonly reasonNot?: string;
  readonly protocolMinor: number;
  /** What the worker leaves unanswered comes again to the next one: it may be replaced. */
  readonly resends: boolean;
}

export type FromWorker =
  /** The code is loaded; it understands this version of handover.db. */
  | { readonly type: "loaded"; readonly handoverVersion: number }
  | { readonly type: "ready" }
  | {
      readonly type: "failed";
      readonly message: string;
      readonly exitCode: number;
      /** What can be done about it. */
      readonly remedy?: string;
    }
  | ({ readonly type: "serving" } & ServingReport)
  /** Nothing can be left to a later worker any more. */
  | { readonly type: "irreplaceable" }
  /** Somebody has asked for a worker of the code that is on disk. */
  | { readonly type: "upgrade" }
  /** `mount`: 0 is the app's, 1 the serve mount. `bytes`: in base64. */
  | { readonly type: "notify"; readonly id: number; readonly mount: number; readonly bytes: string }
  /** Requests answered so far. */
  | { readonly type: "alive"; readonly answered: number }
  | { readonly type: "drained"; readonly owed: number };

/** How often a worker says that it is alive. */
export const HEARTBEAT_MS = 250;

/** The descriptor of the app's mount's /dev/fuse in the worker; 4 is the channel of these messages. */
export const DEVICE_DESCRIPTOR = 3;
/** That of the serve mount, if there is one. */
export const SERVE_DESCRIPTOR = 5;

/** Exit codes: EX_TEMPFAIL says that something is still owed and the next start sends it. */
export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_OWED = 75;
