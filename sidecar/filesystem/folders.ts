// How a bucket keeps folders, of which there are two ways. Which one is said by the bucket's layout, at the start.

import type { DirectoryNode, Node } from "./nodes.ts";

export interface Folders {
  /** Refuses a name that no folder of this bucket could have: ENAMETOOLONG. It is the whole name, with its last "/". */
  checkName(folderName: string): void;

  /** Makes the folder of a new node. EEXIST if it was made elsewhere meanwhile, not by the operation of this id. */
  make(directory: DirectoryNode, operationId: string): Promise<void>;

  /** Removes a folder in which this machine has nothing. ENOTEMPTY if the bucket has something in it. */
  remove(parent: DirectoryNode, directory: DirectoryNode): Promise<void>;

  /** Before a name leaves a folder: the folder must stay when it is the last one. */
  keep(directory: DirectoryNode, leaving: Node): Promise<void>;
}
