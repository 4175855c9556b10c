// The words of the help.

export const description = `Mounts a Google Cloud Storage bucket as a folder, beside an app that knows only files.

What a program has written and closed is in the bucket; what it cannot store, it is told.`;

export const programEpilogue = `
Try it without a cloud account:
  npx sidemount local-gcs ./buckets --bucket my-uploads
  npx sidemount mount my-uploads ./uploads --endpoint http://127.0.0.1:4443

With your own bucket:
  gcloud auth application-default login
  npx sidemount mount my-uploads ./uploads

Each command explains itself: sidemount mount --help`;

export const operands = "the bucket (or GCS_BUCKET, or gs://BUCKET/FOLDER/) and an empty folder";

export const mountDescription = `Mounts BUCKET on the folder DIR and serves it until told to stop (Ctrl-C, SIGTERM).

Needs /dev/fuse; users who are not root need fusermount too (package fuse3). Log lines are JSON on stdout, a readable form on a terminal.`;

export const execDescription = `Mounts BUCKET on DIR, runs COMMAND once the folder is live, and unmounts when it has ended.

Signals go to the command. If the mount cannot be made the command is not started; if it is lost the command is stopped. Log lines go to stderr: stdout belongs to the command.`;

const values = `
Sizes are written 512MiB, 10GB or 1G; times 500ms, 10s or 2m; switches in the
environment true or false. A flag goes before -o, -o before the environment
(names in brackets above). The bucket may come from GCS_BUCKET; then write DIR
alone. Credentials are Google's usual ones: GOOGLE_APPLICATION_CREDENTIALS,
gcloud, or the machine's.`;

export const mountEpilogue = `${values}

Examples:
  sidemount mount my-uploads ./uploads
  sidemount mount gs://my-uploads/photos/ /srv/photos --read-only
  GCS_BUCKET=my-uploads sidemount mount /srv/uploads --uid www-data --file-mode 0644
  sidemount mount my-uploads ./uploads --serve ./serve    (nginx reads ./serve)
  sidemount mount my-uploads ./uploads --endpoint http://127.0.0.1:4443

Exit codes:
  0   unmounted, nothing is owed to the bucket
  1   could not mount, or the mount was lost
  2   something was typed that cannot be meant
  75  unmounted, but something is still owed to the bucket; the next start sends it`;

export const execEpilogue = `${values}

Examples:
  sidemount exec my-uploads ./uploads -- python3 app.py
  GCS_BUCKET=my-uploads sidemount exec /srv/uploads -- gunicorn -b :5000 app:app
  sidemount exec my-uploads ./uploads --read-only -- sh -c 'tar cz uploads > backup.tgz'

Exit codes:
  those of COMMAND (128 + number of the signal that ended it; 126 cannot be run, 127 not found), else
  1   could not mount, or the mount was lost
  2   something was typed that cannot be meant
  75  the command ended well, but something is still owed to the bucket;
      the next start sends it`;

export const localGcsDescription = `Serves the folder DIR as Cloud Storage (JSON API) on this machine, without credentials.

Any Google client works with it. What it has acknowledged is on the disk and there after a restart.`;

export const localGcsEpilogue = `
Examples:
  sidemount local-gcs ./buckets --bucket my-uploads
  STORAGE_EMULATOR_HOST=http://127.0.0.1:4443 python3 app.py`;

export const unmountDescription = `Unmounts DIR. Programs that still use it get errors; what they closed is in the bucket.`;

export const unmountEpilogue = `
Stopping the process that mounts (Ctrl-C, SIGTERM) is the better way: it finishes what is under way.

Examples:
  sidemount unmount ./uploads`;

export const upgradeDescription = `Replaces the process that serves DIR by the code that is on disk now.

The folder stays mounted and files stay open; programs notice a pause of well under a second. If the new code does not start, the old process goes on. A SIGHUP to the process of \`sidemount mount\` does the same, unless it has a terminal.`;

export const upgradeEpilogue = `
Examples:
  npm ci --omit=dev && sidemount upgrade ./uploads

Exit codes:
  0   the new code serves
  1   it does not: nothing is mounted there, or the log of the mount says why
  2   something was typed that cannot be meant`;

export const statusDescription = `Tells how the mount at DIR is doing, or all mounts of this machine: what is mounted since when and by which processes, how many files are open, what is owed to the bucket, which bytes are kept because they did not get there, cache and disk, and the bucket's last error.

The mount itself is not touched, so this answers also when the mount does not.`;

export const statusEpilogue = `
Examples:
  sidemount status
  sidemount status ./uploads --json

Exit codes:
  0   mounted, and it answers
  1   not mounted, or the process that serves it does not answer
  2   something was typed that cannot be meant`;

export const pendingDescription = `Lists bytes that are kept because they did not reach the bucket: "failed" are those of an upload whose program was told so by close or fsync, "unfinished" those that were being written when everything was killed. Nothing of it is uploaded by itself.

DIR is where the bucket is mounted; it may be left out where there is one mount. Where none runs, --state-dir names its state folder. An entry is named by its id (the first letters do), or by its file.`;

export const pendingEpilogue = `
Examples:
  sidemount pending ./uploads
  sidemount pending ./uploads --retry                  (all that nothing has superseded)
  sidemount pending ./uploads --retry photos/cat.jpg --replace
  sidemount pending ./uploads --save ./rescued
  sidemount pending ./uploads --discard 3f2a9c1e
  sidemount pending ./uploads --wait --timeout 1m      (before a machine is switched off)
  sidemount pending --state-dir /var/lib/sidemount/my-uploads-0123456789ab

Exit codes:
  0   done
  1   not all of it could be done, or nothing is mounted there
  2   something was typed that cannot be meant
  75  --wait: something was still owed to the bucket after --timeout`;
