#!/usr/bin/env bash
# From nothing to a running VM, and from one version to the next. `deploy.sh --help` explains it, docs/DEPLOY.md has
# the story. Every step can be repeated: what is there already is left alone.
set -euo pipefail

program=deploy.sh
dry_run=0
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

help() {
  cat <<'TEXT'
Usage: deploy.sh COMMAND --project PROJECT [options]

Commands, in the order one needs them
  up          setup, build, and create or update
  setup       services, image repository, bucket, identity with its role, address, firewall rule
  build       both images, from this checkout, and push them
  create      the VM
  update      replace what the VM runs by this version, and restart it
  rollback    bring back what it ran before the last update (again: forward), and restart it
  status      is it running, with which images, and does it answer
  delete      the VM, its address and the firewall rule; bucket, identity and images stay (needs --yes)
  render      print the user-data the VM gets

Options
  --project PROJECT        Google Cloud project
  --name NAME              what the VM and everything made for it is called (sidemount)
  --bucket BUCKET          bucket to mount (PROJECT-NAME)
  --region REGION          where images, bucket and address are (us-east1)
  --zone ZONE              where the VM is (REGION-b)
  --repository NAME        image repository (sidemount)
  --tag TAG                version of the images (the commit checked out)
  --sidecar-image IMAGE    instead of the one that build makes, which build leaves alone then
  --app-image IMAGE        instead of the demo app, likewise; look at the app's unit in the template too
  --template FILE          user-data template (gce/vm/cloud-init.yaml)
  --machine-type TYPE      (e2-small)
  --disk-size SIZE         boot disk, which also holds images, copies and what is owed (20GB)
  --cache-size SIZE        of that, for copies of what the bucket has (5GiB)
  --image-family FAMILY    Container-Optimized OS to start with (cos-stable)
  --network NETWORK        (default)
  --source-ranges RANGES   who may reach port 80 (0.0.0.0/0)
  --dry-run                print the commands as a script instead of running them; asks nobody anything
  --yes                    really delete
  --help
TEXT
}

command=
project='' name=sidemount bucket='' region=us-east1 zone='' repository=sidemount tag=''
sidecar_image='' app_image='' template=$here/cloud-init.yaml
machine_type=e2-small disk_size=20GB cache_size=5GiB image_family=cos-stable
network=default source_ranges=0.0.0.0/0 yes=0
sidecar_named=0 app_named=0

while (($# > 0)); do
  option=$1
  case $option in
    --help | -h) help && exit 0 ;;
    --dry-run) dry_run=1 && shift && continue ;;
    --yes) yes=1 && shift && continue ;;
    --*=*)
      set -- "${option%%=*}" "${option#*=}" "${@:2}"
      continue
      ;;
    --*) (($# > 1)) || usage_error "$option needs a value" ;;
    *)
      [[ -z $command ]] || usage_error "one command at a time: $command or $option"
      command=$option && shift && continue
      ;;
  esac
  value=$2
  case $option in
    --project) project=$value ;;
    --name) name=$value ;;
    --bucket) bucket=${value#gs://} ;;
    --region) region=$value ;;
    --zone) zone=$value ;;
    --repository) repository=$value ;;
    --tag) tag=$value ;;
    --sidecar-image) sidecar_image=$value ;;
    --app-image) app_image=$value ;;
    --template) template=$value ;;
    --machine-type) machine_type=$value ;;
    --disk-size) disk_size=$value ;;
    --cache-size) cache_size=$value ;;
    --image-family) image_family=$value ;;
    --network) network=$value ;;
    --source-ranges) source_ranges=$value ;;
    *) usage_error "there is no option $option" ;;
  esac
  shift 2
done

case $command in
  up | setup | build | create | update | rollback | status | delete | render) ;;
  '') help >&2 && exit 2 ;;
  *) usage_error "there is no command $command" ;;
esac
[[ -n $project ]] || usage_error '--project is missing'

bucket=${bucket:-$project-$name}
zone=${zone:-$region-b}
must_match --project "$project" '([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]' 'the id of a project'
must_match --name "$name" '[a-z][a-z0-9-]{4,28}[a-z0-9]' '6 to 30 small letters, digits and dashes, beginning with a letter'
must_match --bucket "$bucket" '[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]' 'the name of a bucket'
must_match --region "$region" '[a-z]+-[a-z]+[0-9]+' 'a region, such as us-east1'
must_match --zone "$zone" "$region-[a-z]" "a zone of $region, such as $region-b"
must_match --repository "$repository" '[a-z]([a-z0-9-]{0,61}[a-z0-9])?' 'the name of a repository'
must_match --machine-type "$machine_type" '[a-z0-9-]+' 'a machine type, such as e2-small'
must_match --disk-size "$disk_size" '[0-9]+(GB|TB)' 'a size, such as 20GB'
must_match --cache-size "$cache_size" '[0-9]+(\.[0-9]+)?([KMGT](iB|B)?)' 'a size, such as 5GiB'
must_match --image-family "$image_family" 'cos-[a-z0-9-]+' 'a family of Container-Optimized OS, such as cos-stable'
must_match --network "$network" "[a-z]([a-z0-9-]{0,61}[a-z0-9])?" 'the name of a network'
must_match --source-ranges "$source_ranges" '[0-9a-f.:/]+(,[0-9a-f.:/]+)*' 'addresses, such as 203.0.113.0/24,198.51.100.7/32'
[[ -f $template ]] || usage_error "there is no file $template"
template_words=()
[[ $template == "$here/cloud-init.yaml" ]] || template_words=("--template=$template")

registry=$region-docker.pkg.dev
repository_path=$registry/${project/://}/$repository
account=$name@$(
  # A project of an organisation's own domain (example.com:project) is written the other way round in accounts.
  if [[ $project == *:* ]]; then printf '%s.%s' "${project#*:}" "${project%%:*}"; else printf '%s' "$project"; fi
).iam.gserviceaccount.com
role_id=sidemount
tag_of_machine=$name-http

# The images are only named where they are needed: `setup` works before there is a commit.
name_images() {
  [[ -z $sidecar_image ]] || sidecar_named=1
  [[ -z $app_image ]] || app_named=1
  if [[ -z $tag && (-z $sidecar_image || -z $app_image) ]]; then tag=$(commit_tag); fi
  [[ -z $tag ]] || must_match --tag "$tag" '[A-Za-z0-9_][A-Za-z0-9._-]{0,127}' 'the tag of an image'
  sidecar_image=${sidecar_image:-$repository_path/sidemount:$tag}
  app_image=${app_image:-$repository_path/demo:$tag}
  must_match --sidecar-image "$sidecar_image" "$image_form" "$image_words"
  must_match --app-image "$app_image" "$image_form" "$image_words"
}

user_data() {
  render "$template" sidecar_image "$sidecar_image" app_image "$app_image" registry "$registry" \
    bucket "$bucket" cache_size "$cache_size"
}

gc() { run gcloud "$@" "--project=$project" --quiet; }
gc_unless() {
  local check=() make=()
  while [[ $1 != -- ]]; do check+=("$1") && shift; done
  shift
  make=("$@")
  unless gcloud "${check[@]}" "--project=$project" --quiet -- gcloud "${make[@]}" "--project=$project" --quiet
}
grant() { patiently gcloud "$@" "--project=$project" --quiet; }

permissions() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$top/gce/storage-permissions.txt" | paste -sd, -; }

setup() {
  note 'Services'
  gc services enable compute.googleapis.com storage.googleapis.com iam.googleapis.com \
    artifactregistry.googleapis.com logging.googleapis.com

  note 'Where images are kept'
  gc_unless artifacts repositories describe "$repository" "--location=$region" -- \
    artifacts repositories create "$repository" "--location=$region" --repository-format=docker \
    '--description=Images of sidemount and its app'

  note 'The bucket: private, access by role only, what is deleted or replaced can be restored for a week'
  gc_unless storage buckets describe "gs://$bucket" -- \
    storage buckets create "gs://$bucket" "--location=$region" --default-storage-class=STANDARD \
    --uniform-bucket-level-access --public-access-prevention --soft-delete-duration=7d
  check_bucket

  note 'The identity of the VM, which may use this bucket, fetch its images and write logs, and nothing else'
  gc_unless iam service-accounts describe "$account" -- \
    iam service-accounts create "$name" "--display-name=VM $name: sidemount and its app"
  make_role
  grant storage buckets add-iam-policy-binding "gs://$bucket" "--member=serviceAccount:$account" \
    "--role=projects/$project/roles/$role_id"
  grant artifacts repositories add-iam-policy-binding "$repository" "--location=$region" \
    "--member=serviceAccount:$account" --role=roles/artifactregistry.reader
  grant projects add-iam-policy-binding "$project" "--member=serviceAccount:$account" \
    --role=roles/logging.logWriter --condition=None

  note 'An address that stays the same when the VM is stopped and started, and the way to its port 80'
  gc_unless compute addresses describe "$name" "--region=$region" -- \
    compute addresses create "$name" "--region=$region"
  gc_unless compute firewall-rules describe "$name-http" -- \
    compute firewall-rules create "$name-http" "--network=$network" --direction=INGRESS --allow=tcp:80 \
    "--source-ranges=$source_ranges" "--target-tags=$tag_of_machine"
}

# A bucket that was there before is somebody's: it is not changed, but what it lacks is said.
check_bucket() {
  ((dry_run)) && return
  local uniform prevention
  IFS=$'\t' read -r uniform prevention < <(
    gcloud storage buckets describe "gs://$bucket" "--project=$project" --quiet \
      '--format=value(uniform_bucket_level_access,public_access_prevention)'
  ) || die "bucket gs://$bucket cannot be looked at." 'Another project may have a bucket of that name: choose another.'
  if [[ $uniform != True || $prevention != enforced ]]; then
    say "  warning: gs://$bucket is not private for certain. To make it so:"
    say "  gcloud storage buckets update gs://$bucket --uniform-bucket-level-access --public-access-prevention"
  fi
}

# Repeating brings an older role up to date with the list.
make_role() {
  local settings=('--title=sidemount' '--description=What sidemount asks of the bucket it mounts'
    "--permissions=$(permissions)" --stage=GA)
  if ((dry_run)); then
    gc_unless iam roles describe "$role_id" -- iam roles create "$role_id" "${settings[@]}"
  elif gcloud iam roles describe "$role_id" "--project=$project" --quiet >/dev/null 2>&1; then
    gc iam roles update "$role_id" "${settings[@]}"
  else
    gc iam roles create "$role_id" "${settings[@]}"
  fi
}

build() {
  need docker 'Install it: https://docs.docker.com/engine/install.'
  note "Images, for the VM's processor whatever this machine's is"
  local context=$top
  ((!dry_run)) || context=. # the script that is printed is for the top of a checkout
  gc auth configure-docker "$registry"
  # An image that was named is somebody else's to build.
  local target image targets=()
  ((sidecar_named)) || targets+=("sidecar $sidecar_image")
  ((app_named)) || targets+=("demo $app_image")
  for target in ${targets[@]+"${targets[@]}"}; do
    image=${target#* }
    run docker build --platform=linux/amd64 "--target=${target%% *}" "--tag=$image" "$context"
    run docker push "$image"
  done
}

create() {
  note 'The VM'
  in_file 'user-data' user_data
  gc_unless compute instances describe "$name" "--zone=$zone" -- \
    compute instances create "$name" "--zone=$zone" "--machine-type=$machine_type" \
    "--image-family=$image_family" --image-project=cos-cloud \
    "--boot-disk-size=$disk_size" --boot-disk-type=pd-balanced --shielded-secure-boot \
    "--service-account=$account" --scopes=cloud-platform \
    "--network=$network" "--address=$name" "--tags=$tag_of_machine" \
    --metadata=google-logging-enabled=true,enable-oslogin=TRUE \
    "--metadata-from-file=user-data=$folder/user-data"
}

# The last version is kept beside the new one, whole: its images and the options they were started with.
update() {
  note 'What the VM runs from its next start on, and what it ran until now'
  in_file 'user-data' user_data
  in_file 'previous' current_user_data
  if ((!dry_run)) && cmp -s "$folder/user-data" "$folder/previous"; then
    say '  it has this version already; starting it again'
    restart
    return
  fi
  swap_user_data
  restart
}

rollback() {
  note 'What the VM ran before the last update'
  in_file 'user-data' previous_user_data
  if ((!dry_run)) && [[ ! -s $folder/user-data ]]; then
    die "$name keeps no earlier version." 'update writes one; or run update with the --tag of the version you want.'
  fi
  in_file 'previous' current_user_data
  swap_user_data
  restart
}

swap_user_data() {
  gc compute instances add-metadata "$name" "--zone=$zone" \
    "--metadata-from-file=user-data=$folder/user-data,sidemount-previous-user-data=$folder/previous"
}

# Stopped, not reset: the app finishes its requests and sidemount sends what is owed.
restart() {
  gc compute instances stop "$name" "--zone=$zone"
  gc compute instances start "$name" "--zone=$zone"
}

current_user_data() { metadata_of user-data; }
previous_user_data() { metadata_of sidemount-previous-user-data; }
metadata_of() {
  local text
  text=$(gcloud compute instances describe "$name" "--zone=$zone" "--project=$project" --quiet \
    "--format=value(metadata.items.$1)")
  [[ -z $text ]] || printf '%s\n' "$text"
}

# Puts what a function prints into a file of that name in $folder; in the printed script, the folder one is in.
folder=''
in_file() {
  if ((dry_run)); then
    folder=.
    case $2 in
      user_data)
        quoted gce/vm/deploy.sh render "--project=$project" "--bucket=$bucket" "--region=$region" \
          "--sidecar-image=$sidecar_image" "--app-image=$app_image" "--cache-size=$cache_size" \
          ${template_words[@]+"${template_words[@]}"}
        ;;
      current_user_data) print_metadata_of user-data ;;
      previous_user_data) print_metadata_of sidemount-previous-user-data ;;
    esac
    printf ' >%s/%s\n' "$folder" "$1"
    return
  fi
  if [[ -z $folder ]]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
  fi
  "$2" >"$folder/$1"
}
print_metadata_of() {
  quoted gcloud compute instances describe "$name" "--zone=$zone" "--project=$project" --quiet \
    "--format=value(metadata.items.$1)"
}

status() {
  local state address images
  if ((dry_run)); then
    gc compute instances describe "$name" "--zone=$zone" \
      '--format=value(status,networkInterfaces[0].accessConfigs[0].natIP)'
    return
  fi
  IFS=$'\t' read -r state address < <(
    gcloud compute instances describe "$name" "--zone=$zone" "--project=$project" --quiet \
      '--format=value(status,networkInterfaces[0].accessConfigs[0].natIP)'
  ) || die "there is no VM $name in $zone." "deploy.sh create --project $project"
  printf '%s  %s  http://%s/\n' "$name" "$state" "${address:--}"
  images=$(current_user_data | sed -nE "s#^ *(${image_form})( .*)?\$#  image  \\1#p")
  printf '%s\n' "$images"
  [[ $state == RUNNING && -n $address ]] || return 1
  need curl 'Install curl.'
  if curl --silent --show-error --fail --max-time 10 --output /dev/null "http://$address/"; then
    printf '  it answers\n'
  else
    printf '  it does not answer (yet): a new VM takes about two minutes. Its log:\n'
    printf '  %s\n' "$(quoted gcloud compute instances get-serial-port-output "$name" "--zone=$zone" "--project=$project")"
    return 1
  fi
}

delete() {
  ((yes || dry_run)) || usage_error 'delete needs --yes'
  note 'The VM, its address and its firewall rule'
  gone_or compute instances describe "$name" "--zone=$zone" -- compute instances delete "$name" "--zone=$zone"
  gone_or compute addresses describe "$name" "--region=$region" -- \
    compute addresses delete "$name" "--region=$region"
  gone_or compute firewall-rules describe "$name-http" -- compute firewall-rules delete "$name-http"
  note "Left: bucket gs://$bucket, account $account, role $role_id, images in $repository_path"
}
gone_or() {
  local check=()
  while [[ $1 != -- ]]; do check+=("$1") && shift; done
  shift
  if ((dry_run)) || gcloud "${check[@]}" "--project=$project" --quiet >/dev/null 2>&1; then
    gc "$@"
  else
    say "  gone already: $(quoted "${check[@]}")"
  fi
}

exists() {
  gcloud compute instances describe "$name" "--zone=$zone" "--project=$project" --quiet >/dev/null 2>&1
}

case $command in build | create | update | up | render) name_images ;; esac
[[ $command == render ]] || need_gcloud
[[ $command == render ]] || head_of_script "$command"
case $command in
  render) user_data ;;
  up)
    setup
    build
    # What is printed is for a project in which nothing was made yet.
    if ((!dry_run)) && exists; then update; else create; fi
    ((dry_run)) || say "Started. deploy.sh status --project $project --name $name tells when it answers."
    ;;
  *) "$command" ;;
esac
