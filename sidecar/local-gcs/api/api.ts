// The calls of the JSON API, each with the function that serves it.

import { invalid } from "../api-error.ts";
import type { Answer, Call } from "../call.ts";
import type { MethodName } from "../routes.ts";
import type { Store } from "../store.ts";
import * as buckets from "./buckets.ts";
import { deleteObject, patchObject, updateObject } from "./change.ts";
import { composeObject } from "./compose.ts";
import { copyObject, moveObject, rewriteObject } from "./copy.ts";
import { deleteFolder, getFolder, insertFolder, listFolders } from "./folders.ts";
import { getObject } from "./get.ts";
import { insertMedia, insertMultipart, refuseInsert } from "./insert.ts";
import { listObjects } from "./list.ts";
import { getOperation, listOperations, renameFolder } from "./rename-folder.ts";
import * as notifications from "./notification-configs.ts";
import * as pubSub from "./pubsub.ts";
import { ResumableUploads } from "./resumable.ts";

type Serve = (store: Store, call: Call) => Answer | Promise<Answer>;

export class Api {
  readonly #store: Store;
  readonly #uploads: ResumableUploads;
  readonly #calls: Readonly<Record<MethodName, Serve>> = {
    "storage.buckets.insert": buckets.insertBucket,
    "storage.buckets.list": buckets.listBuckets,
    "storage.buckets.get": buckets.getBucket,
    "storage.buckets.patch": buckets.changeBucket,
    "storage.buckets.update": buckets.changeBucket,
    "storage.buckets.delete": buckets.deleteBucket,
    "storage.buckets.getStorageLayout": buckets.getStorageLayout,
    "storage.buckets.testIamPermissions": buckets.testPermissions,
    "storage.objects.list": listObjects,
    "storage.objects.insert": (store, call) => this.#insert(store, call),
    "storage.objects.get": getObject,
    "storage.objects.patch": patchObject,
    "storage.objects.update": updateObject,
    "storage.objects.delete": deleteObject,
    "storage.objects.compose": composeObject,
    "storage.objects.copy": copyObject,
    "storage.objects.rewrite": rewriteObject,
    "storage.objects.move": moveObject,
    "storage.folders.insert": insertFolder,
    "storage.folders.list": listFolders,
    "storage.folders.get": getFolder,
    "storage.folders.delete": deleteFolder,
    "storage.folders.rename": renameFolder,
    "storage.buckets.operations.list": listOperations,
    "storage.buckets.operations.get": getOperation,
    "storage.notifications.insert": notifications.insertNotification,
    "storage.notifications.list": notifications.listNotifications,
    "storage.notifications.get": notifications.getNotification,
    "storage.notifications.delete": notifications.deleteNotification,
    "pubsub.topics.create": pubSub.createTopic,
    "pubsub.topics.get": pubSub.getTopic,
    "pubsub.topics.delete": pubSub.deleteTopic,
    "pubsub.topics.publish": pubSub.publish,
    "pubsub.subscriptions.create": pubSub.createSubscription,
    "pubsub.subscriptions.get": pubSub.getSubscription,
    "pubsub.subscriptions.delete": pubSub.deleteSubscription,
    "pubsub.subscriptions.pull": pubSub.pull,
    "pubsub.subscriptions.acknowledge": pubSub.acknowledge,
    "pubsub.subscriptions.modifyAckDeadline": pubSub.modifyAckDeadline,
  };

  constructor(store: Store) {
    this.#store = store;
    this.#uploads = new ResumableUploads(store);
  }

  async serve(verb: string, call: Call): Promise<Answer> {
    if (call.method === "storage.objects.insert" && call.query.has("upload_id")) {
      return verb === "DELETE" ? this.#uploads.cancel(call) : this.#uploads.continue(call);
    }
    return this.#calls[call.method](this.#store, call);
  }

  /** The object a call is about, also where only its upload session knows. */
  objectNameOf(call: Call): string {
    const session = call.query.get("upload_id");
    if (session !== null) return this.#uploads.nameOf(session) ?? "";
    return call.object !== "" ? call.object : (call.query.get("name") ?? call.query.get("prefix") ?? "");
  }

  #insert(store: Store, call: Call): Promise<Answer> {
    if (!call.isUpload) refuseInsert();
    const uploadType = call.query.get("uploadType");
    if (uploadType === "media") return insertMedia(store, call);
    if (uploadType === "multipart") return insertMultipart(store, call);
    if (uploadType === "resumable") return this.#uploads.start(call);
    throw invalid(`Invalid value for uploadType: ${uploadType ?? ""}`);
  }
}
