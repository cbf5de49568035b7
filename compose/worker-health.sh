#!/bin/sh
# Asks this very worker, by the name it took at its start.
set -eu
exec celery --app airflow.providers.celery.executors.celery_executor.app inspect --timeout 15 \
  ping --destination "$(cat /tmp/worker-name)"
