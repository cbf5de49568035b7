#!/bin/sh
# Runs once, when the data directory is made: Airflow gets a database and a role that is no superuser.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'STATEMENTS'
\getenv word AIRFLOW_DATABASE_PASSWORD
create role airflow login password :'word';
create database airflow owner airflow;
STATEMENTS
