#!/usr/bin/env bash
# What deploy.sh rollback runs.
set -euo pipefail
# What the VM ran before the last update
gcloud compute instances describe sidemount --zone=us-east1-b --project=acme-photos --quiet '--format=value(metadata.items.sidemount-previous-user-data)' >./user-data
gcloud compute instances describe sidemount --zone=us-east1-b --project=acme-photos --quiet '--format=value(metadata.items.user-data)' >./previous
gcloud compute instances add-metadata sidemount --zone=us-east1-b --metadata-from-file=user-data=./user-data,sidemount-previous-user-data=./previous --project=acme-photos --quiet
gcloud compute instances stop sidemount --zone=us-east1-b --project=acme-photos --quiet
gcloud compute instances start sidemount --zone=us-east1-b --project=acme-photos --quiet
