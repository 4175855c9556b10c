# shellcheck shell=bash disable=SC2034,SC2154 # its variables are used, and set, by those who include it
# What deploy.sh and create-with-container.sh share: options, templates, and commands that are shown or run.
#
# The including script sets `program` (its name in messages) and `dry_run` (0 or 1).

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
top=$(cd -- "$here/../.." && pwd)

say() { printf '%s\n' "$*" >&2; }

head_of_script() {
  ((!dry_run)) || printf '#!/usr/bin/env bash\n# What %s %s runs.\nset -euo pipefail\n' "${program:?}" "$1"
}

# In a dry run, what is said belongs to the script that is printed.
note() {
  if ((dry_run)); then printf '# %s\n' "$*"; else say "$*"; fi
}

die() {
  say "${program:?}: $1"
  [[ $# -lt 2 ]] || say "  $2"
  exit 1
}

usage_error() {
  say "${program:?}: $1"
  say "  See ${program:?} --help."
  exit 2
}

# Words as one would type them: quoted where a shell would take them for something else.
quoted() {
  local word line=''
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]]; then
      line+=" $word"
    else
      line+=" '${word//\'/\'\\\'\'}'"
    fi
  done
  printf '%s' "${line# }"
}

# Runs a command, or prints it.
run() {
  if ((dry_run)); then
    quoted "$@"
    printf '\n'
  else
    say "+ $(quoted "$@")"
    "$@"
  fi
}

# unless CHECK… -- COMMAND…: runs the command unless the check succeeds, so that a step can be repeated.
unless() {
  local check=()
  while [[ $1 != -- ]]; do
    check+=("$1")
    shift
  done
  shift
  if ((dry_run)); then
    printf '%s >/dev/null 2>&1 ||\n  %s\n' "$(quoted "${check[@]}")" "$(quoted "$@")"
  elif "${check[@]}" >/dev/null 2>&1; then
    say "  there already: $(quoted "${check[@]:1:5}")"
  else
    run "$@"
  fi
}

# Runs a command again while it fails: an account that was just made is not known everywhere at once.
patiently() {
  local attempt
  if ((dry_run)); then
    run "$@"
    return
  fi
  for attempt in 1 2 3 4 5 6; do
    if run "$@"; then return 0; fi
    ((attempt < 6)) || break
    say "  not yet; trying again in ${RETRY_SECONDS:-10} s"
    sleep "${RETRY_SECONDS:-10}"
  done
  die "gave up: $(quoted "$@")"
}

# must_match NAME VALUE PATTERN WORDS: what goes into commands, units and YAML is plain text of a known form.
must_match() {
  [[ $2 =~ ^($3)$ ]] || usage_error "$1 is \"$2\"; expected $4"
}

image_form='[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+((:[A-Za-z0-9._-]+)|(@sha256:[0-9a-f]{64}))?'
image_words='an image, such as us-east1-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG'

# render FILE NAME VALUE…: the file with ${NAME} replaced. No name may be left over.
render() {
  local text name
  text=$(<"$1")
  shift
  while (($# > 0)); do
    name="\${$1}"
    text=${text//"$name"/$2}
    shift 2
  done
  if [[ $text =~ \$\{([a-z_]+)\} ]]; then die "the template wants \${${BASH_REMATCH[1]}}, which nobody gives"; fi
  printf '%s\n' "$text"
}

# The tag of the images: the commit they are built from, which must be all there is.
commit_tag() {
  local commit
  commit=$(git -C "$top" rev-parse --short=12 HEAD 2>/dev/null) ||
    usage_error "there is no commit to name the images after; give --tag"
  if [[ -n $(git -C "$top" status --porcelain 2>/dev/null) ]]; then
    usage_error "there are changes that are not committed, so no commit names these images; commit, or give --tag"
  fi
  printf '%s' "$commit"
}

need() {
  ((dry_run)) || command -v "$1" >/dev/null 2>&1 || die "$1 is not installed." "$2"
}
need_gcloud() { need gcloud 'Install it: https://cloud.google.com/sdk/docs/install, then gcloud auth login.'; }
