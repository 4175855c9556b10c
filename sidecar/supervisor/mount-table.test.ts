import test from "ava";

import { isOurs, isUnderlay, mountsAt, parseMountTable } from "./mount-table.ts";

const TABLE = `21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
90 21 0:50 / /srv/with\\040blank\\134and\\011tab ro,nosuid shared:7 master:1 - tmpfs sidemount-underlay ro,size=4k
91 90 0:51 / /srv/with\\040blank\\134and\\011tab rw,nosuid - fuse.sidemount sidemount:photos rw,user_id=0
92 21 0:52 / /srv/größe rw - fuse.sshfs host:/ rw
`;

test("mount points are read with their octal escapes, with and without optional fields", (t) => {
  const table = parseMountTable(TABLE);
  const directory = "/srv/with blank\\and\ttab";
  t.deepEqual(
    mountsAt(directory, table).map(({ id, parentId, minor, type, source }) => [
      id,
      parentId,
      minor,
      type,
      source,
    ]),
    [
      [90, 21, 50, "tmpfs", "sidemount-underlay"],
      [91, 90, 51, "fuse.sidemount", "sidemount:photos"],
    ],
  );
  t.deepEqual(mountsAt("/srv/größe", table).map(isOurs), [false]);
  t.deepEqual(mountsAt(directory, table).map(isOurs), [true, true]);
  t.deepEqual(mountsAt(directory, table).map(isUnderlay), [true, false]);
  t.deepEqual(mountsAt("/srv", table), []);
});
