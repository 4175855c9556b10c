#!/bin/sh
# Starts the demo image: an upload app and nginx over a folder that is a bucket.
#
#     entrypoint.sh [OPTION...]   mounts GCS_BUCKET and runs both for as long as it is live;
#                                 options are those of `sidemount exec`
#     entrypoint.sh app           runs both over a folder that another container mounts
#     entrypoint.sh health        says whether all of it works, for HEALTHCHECK
#
# FLASK_UPLOAD_FOLDER is the app's folder, SERVE_FOLDER the one nginx reads: another mount of the bucket, or the same.
set -u

# How long `app` waits for the other container.
MOUNT_WAIT_SECONDS=${MOUNT_WAIT_SECONDS:-60}

fail() {
  echo "sidemount-demo: $2" >&2
  exit "$1"
}

check_bucket() {
  case $(printf %s "${GCS_BUCKET:-}" | tr '[:upper:]' '[:lower:]') in
  '')
    fail 2 'GCS_BUCKET is not set: start the container with -e GCS_BUCKET=NAME, the name of your bucket.'
    ;;
  my-bucket | my-bucket-name | change*me | replace[-_]* | *[\<\>{}\$]*)
    fail 2 "GCS_BUCKET is \"$GCS_BUCKET\", a placeholder: put the name of your bucket in its place."
    ;;
  esac
}

check_folders() {
  for folder in "$FLASK_UPLOAD_FOLDER" "$SERVE_FOLDER"; do
    case $folder in
    *[!A-Za-z0-9._/-]* | [!/]* | '')
      fail 2 "\"$folder\" is no folder for uploads: write an absolute path of letters, digits, dots, dashes and underscores."
      ;;
    esac
  done
}

# In place of the shell that calls it: what is to come back, or to be known by its number, is called in ( ).
as_app() {
  exec setpriv --reuid demo-user --regid demo-user --init-groups --no-new-privs "$@"
}

# Where the app may enter while nothing is mounted, files would be said to be gone; where it may write, they would be
# taken and hidden afterwards.
await_mounts() {
  for folder in "$FLASK_UPLOAD_FOLDER" "$SERVE_FOLDER"; do
    waited=0
    until reason=$(sidemount-live "$folder"); do
      if ! mountpoint -q "$folder" && (as_app test -w "$folder"); then
        fail 1 "The app could write into $folder while nothing is mounted there: make it a folder of root, with chmod 700."
      fi
      [ "$waited" -ne 0 ] || echo "sidemount-demo: $reason; waiting up to $MOUNT_WAIT_SECONDS s for it." >&2
      [ "$waited" -lt "$MOUNT_WAIT_SECONDS" ] ||
        fail 1 "$reason; start the container that mounts it, and give this one its parent folder with rslave."
      waited=$((waited + 1))
      sleep 1
    done
  done
}

web() {
  nginx -e stderr -c /run/nginx.conf "$@"
}

# Port 5000 of this machine, as the kernel lists it: 0A is "listens".
app_listens() {
  grep -q ':1388 [0-9A-F:]* 0A ' /proc/net/tcp
}

is_running() {
  kill -0 "$1" 2>/dev/null
}

stop() {
  asked=yes
  # Nobody new comes in; who is in gets an answer. When nginx has ended, the app is told to end.
  web -s quit 2>/dev/null || kill "$app" 2>/dev/null
}

# Runs both until told to stop (0), or until one of them ends by itself (1).
serve() {
  asked='' web=''
  sed "s|alias .*; # demo: uploads|alias $SERVE_FOLDER/;|" /etc/nginx/nginx.conf >/run/nginx.conf || exit 1
  cd /srv/demo-app || exit 1
  # What a visitor sends is set aside on the local disk while it arrives.
  export TMPDIR=/tmp HOME=/tmp PYTHONDONTWRITEBYTECODE=1
  (as_app gunicorn app:app --graceful-timeout 7 --worker-tmp-dir /dev/shm) &
  app=$!
  trap stop TERM INT
  tenths=0
  until app_listens || ! is_running "$app"; do
    [ "$tenths" -lt 200 ] || fail 1 'The app does not listen on port 5000, where nginx looks for it.'
    tenths=$((tenths + 1))
    sleep 0.1
  done
  if [ -z "$asked" ]; then
    {
      web -g 'daemon off;'
      kill "$app"
    } &
    web=$!
  fi
  while is_running "$app"; do wait "$app"; done
  how=quit
  if [ -z "$asked" ]; then
    how=stop
    if is_running "$web"; then ended='the app'; else ended=nginx; fi
    echo "sidemount-demo: $ended has ended; stopping."
  fi
  # nginx has gone first, unless the app ended by itself or nginx was still starting when the stop was asked for.
  while is_running "$web" && ! web -s "$how" 2>/dev/null; do sleep 0.1; done
  wait
  [ -n "$asked" ]
  exit
}

case ${1:-} in
app)
  check_folders
  await_mounts
  serve 2>&1
  ;;
serve) # what `sidemount exec` runs
  serve
  ;;
health)
  sidemount-live "$FLASK_UPLOAD_FOLDER" "$SERVE_FOLDER" || exit 1
  # Answered by the app without touching its files. nginx.conf does not log it.
  # shellcheck disable=SC2016 # these are JavaScript's
  exec node -e '
    fetch("http://127.0.0.1/", { method: "OPTIONS", signal: AbortSignal.timeout(5000) }).then(
      ({ ok, status }) => ok || (console.log(`the app answers ${status}`), process.exit(1)),
      ({ cause, message }) => (console.log(`nginx does not answer: ${cause?.code ?? message}`), process.exit(1)),
    )'
  ;;
*)
  check_bucket
  check_folders
  [ "$SERVE_FOLDER" = "$FLASK_UPLOAD_FOLDER" ] || set -- --serve "$SERVE_FOLDER" "$@"
  # All logs are one stream, as containers are expected to have.
  exec sidemount exec "$FLASK_UPLOAD_FOLDER" "$@" -- "$0" serve 2>&1
  ;;
esac
