#!/usr/bin/env bash
# The demo in one privileged container, started by the VM's container startup agent. Deprecated; see --help.
set -euo pipefail

program=create-with-container.sh
dry_run=0
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

help() {
  cat <<'TEXT'
Usage: create-with-container.sh --project PROJECT --image IMAGE [options]

One VM, one privileged container with sidemount, the demo app and nginx, started by the container startup agent of
Container-Optimized OS. Google is shutting that agent down:
  31 July 2026   from then on Google may refuse to create VMs this way
  31 July 2027   no updates for the agent and for VMs that use it
Use deploy.sh, which needs no agent and gives the container only what it needs. This is for those who have such VMs:
  gcloud compute instances list --filter=metadata.items.key:gce-container-declaration

Run `deploy.sh setup` and `deploy.sh build` first: bucket, identity, address, firewall rule and image are theirs.

Options
  --project PROJECT        Google Cloud project
  --image IMAGE            the demo image that deploy.sh build pushed
  --name NAME              as given to deploy.sh (sidemount)
  --bucket BUCKET          bucket to mount (PROJECT-NAME)
  --zone ZONE              (us-east1-b)
  --machine-type TYPE      (e2-small)
  --disk-size SIZE         (20GB)
  --cache-size SIZE        of that, for copies of what the bucket has (5GiB)
  --as-metadata            instances create with container-declaration.yaml, where gcloud has no create-with-container
  --dry-run                print the command instead of running it
  --help
TEXT
}

project='' image='' name=sidemount bucket='' zone=us-east1-b machine_type=e2-small disk_size=20GB cache_size=5GiB
as_metadata=0

while (($# > 0)); do
  option=$1
  case $option in
    --help | -h) help && exit 0 ;;
    --dry-run) dry_run=1 && shift && continue ;;
    --as-metadata) as_metadata=1 && shift && continue ;;
    --*=*)
      set -- "${option%%=*}" "${option#*=}" "${@:2}"
      continue
      ;;
    --*) (($# > 1)) || usage_error "$option needs a value" ;;
    *) usage_error "what is \"$option\"?" ;;
  esac
  value=$2
  case $option in
    --project) project=$value ;;
    --image) image=$value ;;
    --name) name=$value ;;
    --bucket) bucket=${value#gs://} ;;
    --zone) zone=$value ;;
    --machine-type) machine_type=$value ;;
    --disk-size) disk_size=$value ;;
    --cache-size) cache_size=$value ;;
    *) usage_error "there is no option $option" ;;
  esac
  shift 2
done

[[ -n $project ]] || usage_error '--project is missing'
[[ -n $image ]] || usage_error '--image is missing'
bucket=${bucket:-$project-$name}
must_match --project "$project" '[a-z][a-z0-9-]{4,28}[a-z0-9]' 'the id of a project'
must_match --image "$image" "$image_form" "$image_words"
must_match --name "$name" '[a-z][a-z0-9-]{4,28}[a-z0-9]' '6 to 30 small letters, digits and dashes, beginning with a letter'
must_match --bucket "$bucket" '[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]' 'the name of a bucket'
must_match --zone "$zone" '[a-z]+-[a-z]+[0-9]+-[a-z]' 'a zone, such as us-east1-b'
must_match --machine-type "$machine_type" '[a-z0-9-]+' 'a machine type, such as e2-small'
must_match --disk-size "$disk_size" '[0-9]+(GB|TB)' 'a size, such as 20GB'
must_match --cache-size "$cache_size" '[0-9]+(\.[0-9]+)?([KMGT](iB|B)?)' 'a size, such as 5GiB'

need_gcloud
head_of_script "$name"
machine=("$name" "--project=$project" --quiet "--zone=$zone" "--machine-type=$machine_type"
  "--boot-disk-size=$disk_size" --boot-disk-type=pd-balanced
  "--service-account=$name@$project.iam.gserviceaccount.com" --scopes=cloud-platform
  "--address=$name" "--tags=$name-http")
check=(gcloud compute instances describe "$name" "--zone=$zone" "--project=$project" --quiet)

((dry_run)) || say 'warning: the container startup agent is deprecated and ends on 31 July 2027; see --help.'
if ((as_metadata)); then
  if ((dry_run)); then
    declaration=container-declaration.yaml
    note "$declaration is gce/vm/container-declaration.yaml with image, bucket and cache_size filled in"
  else
    declaration=$(mktemp)
    trap 'rm -f "$declaration"' EXIT
    render "$here/container-declaration.yaml" image "$image" bucket "$bucket" cache_size "$cache_size" >"$declaration"
  fi
  unless "${check[@]}" -- gcloud compute instances create "${machine[@]}" \
    --image-family=cos-stable --image-project=cos-cloud --metadata=google-logging-enabled=true \
    "--metadata-from-file=gce-container-declaration=$declaration"
else
  unless "${check[@]}" -- gcloud compute instances create-with-container "${machine[@]}" \
    --metadata=google-logging-enabled=true \
    "--container-image=$image" --container-privileged --container-restart-policy=always \
    "--container-env=GCS_BUCKET=$bucket,METADATA_SERVER_DETECTION=assume-present,SIDEMOUNT_CACHE_SIZE=$cache_size,SIDEMOUNT_DRAIN_TIMEOUT=8s" \
    --container-mount-host-path=mount-path=/var/lib/sidemount,host-path=/var/lib/sidemount,mode=rw
fi
