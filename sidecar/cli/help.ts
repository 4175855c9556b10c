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

The folder stays mounted and files stay open; programs notice a pause of well under
a second. If the new code does not start, the old process goes on. A SIGHUP to the
process of \`sidemount mount\` does the same, unless it has a terminal.`;

export const upgradeEpilogue = `
Examples:
  npm ci --omit=dev && sidemount upgrade ./uploads`;
