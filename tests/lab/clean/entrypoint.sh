#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# as the entry point of PostgreSQL's own image: a cluster at the first start, then the server, as the user postgres
set -e
bin=/usr/lib/postgresql/15/bin
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown -R postgres "$PGDATA" /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  $bin/initdb -D "$PGDATA" -A trust --no-sync > /dev/null
  echo 'host all all all trust' >> "$PGDATA/pg_hba.conf"
fi
exec $bin/postgres -D "$PGDATA" -c 'listen_addresses=*' -c unix_socket_directories=/var/run/postgresql
