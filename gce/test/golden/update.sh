#!/usr/bin/env bash
# What deploy.sh update runs.
set -euo pipefail
# What the VM runs from its next start on, and what it ran until now
gce/vm/deploy.sh render --project=acme-photos --bucket=acme-photos-sidemount --region=us-east1 --sidecar-image=us-east1-docker.pkg.dev/acme-photos/sidemount/sidemount:v1 --app-image=us-east1-docker.pkg.dev/acme-photos/sidemount/demo:v1 --cache-size=5GiB >./user-data
gcloud compute instances describe sidemount --zone=us-east1-b --project=acme-photos --quiet '--format=value(metadata.items.user-data)' >./previous
gcloud compute instances add-metadata sidemount --zone=us-east1-b --metadata-from-file=user-data=./user-data,sidemount-previous-user-data=./previous --project=acme-photos --quiet
gcloud compute instances stop sidemount --zone=us-east1-b --project=acme-photos --quiet
gcloud compute instances start sidemount --zone=us-east1-b --project=acme-photos --quiet
