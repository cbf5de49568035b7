#!/bin/sh
# The password goes through a file in memory: a command line could be read by everybody on the host.
set -eu
umask 077
cat > /run/redis/redis.conf <<CONFIGURATION
bind * -::*
protected-mode yes
port 6379
dir /data
# What was queued outlives a restart, and is never dropped for room.
appendonly yes
maxmemory-policy noeviction
requirepass $REDISCLI_AUTH
CONFIGURATION
exec redis-server /run/redis/redis.conf
