#!/usr/bin/env bash
# What create-with-container.sh sidemount runs.
set -euo pipefail
gcloud compute instances describe sidemount --zone=us-east1-b --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud compute instances create-with-container sidemount --project=acme-photos --quiet --zone=us-east1-b --machine-type=e2-small --boot-disk-size=20GB --boot-disk-type=pd-balanced --service-account=sidemount@acme-photos.iam.gserviceaccount.com --scopes=cloud-platform --address=sidemount --tags=sidemount-http --metadata=google-logging-enabled=true --container-image=us-east1-docker.pkg.dev/acme-photos/sidemount/demo:v1 --container-privileged --container-restart-policy=always --container-env=GCS_BUCKET=acme-photos-sidemount,METADATA_SERVER_DETECTION=assume-present,SIDEMOUNT_CACHE_SIZE=5GiB,SIDEMOUNT_DRAIN_TIMEOUT=8s --container-mount-host-path=mount-path=/var/lib/sidemount,host-path=/var/lib/sidemount,mode=rw
