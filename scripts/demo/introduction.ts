// What a person reads when the demo is up.

import { relative } from "node:path";
import { serveDirectory, throughLibfuse } from "./place.ts";
import { bucketName, type Stage } from "./stage.ts";

export function introduction(stage: Stage): string {
  const { place } = stage.options;
  const near = (path: string) => {
    const short = relative(process.cwd(), path);
    return short.startsWith("..") ? path : short;
  };
  const objects = `${stage.bucketUrl}/storage/v1/b/${bucketName}/o`;
  const insert = `${stage.bucketUrl}/upload/storage/v1/b/${bucketName}/o?uploadType=media&name=hello.txt`;
  const serving = `
  For nginx ${near(serveDirectory(place))}/   the same once more, for reading only, at the speed of the disk`;
  return `
  App       ${stage.publicUrl}
  Its files ${near(stage.uploads)}/   an ordinary folder to the app; the bucket, mounted${throughLibfuse ? "" : serving}
  Bucket    ${objects}   kept in ${near(place.bucket)}/
  Logs      ${near(place.logs)}/   bucket.log  mount.log  app.log  nginx.log

  Try
    1  Open ${stage.publicUrl} and upload a picture. Or: curl -F "file=@photo.jpg" ${stage.publicUrl}
    2  See it as a file:             ls -l ${near(stage.uploads)}
    3  See it as an object:          curl "${objects}?fields=items(name,size,contentType)"
    4  Put an object in the bucket:  curl --data-binary "Hello" "${insert}"
       and open it as a file:        ${stage.publicUrl}/uploads/hello.txt
    5  Press Ctrl-C and start again: everything is still there.

  Ctrl-C stops it all.
`;
}
