#!/bin/sh
# Workers share the host name of the target that they measure, so each takes a name of its own.
set -eu
name="worker-$(cut -c1-8 /proc/sys/kernel/random/uuid)@perfproof"
printf '%s\n' "$name" > /tmp/worker-name
# Two workers in one network cannot both serve logs on one port; running logs are on the shared volume instead.
exec airflow celery worker --celery-hostname "$name" --skip-serve-logs
