#!/bin/sh
# Start PostgreSQL, on an empty PGDATA after making a database in it (postgres_recipe.py says which variables count).
set -eu

initialise() {
    password=${POSTGRES_PASSWORD:-}
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
        password=$(cat "$POSTGRES_PASSWORD_FILE")
    fi
    if [ -z "$password" ]; then
        echo "error: the database is to be made, but there is no password for it" >&2
        echo "hint: set POSTGRES_PASSWORD_FILE to a file that holds one and that user $(id -u) may read" >&2
        exit 1
    fi
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    # Made beside and moved at the end, PG_VERSION last: what was interrupted is begun again, never taken for whole.
    rm -rf "$new"
    find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
    # The arguments are meant to be several words.
    # shellcheck disable=SC2086
    initdb --pgdata="$new" --username="$user" --pwfile=/dev/stdin --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 ${POSTGRES_INITDB_ARGS:-} <<EOF
$password
EOF
    echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
    if [ "$database" != postgres ]; then
        echo "CREATE DATABASE \"$database\"" | postgres --single -D "$new" postgres >/dev/null
    fi
    find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv {} "$PGDATA/" \;
    sync
    mv "$new/PG_VERSION" "$PGDATA/"
    rmdir "$new"
}

if [ "${1:-postgres}" != postgres ]; then
    exec "$@"
fi
mkdir -p "$PGDATA"
chmod 0700 "$PGDATA" 2>/dev/null || echo "note: $PGDATA belongs to another user" >&2
new=$PGDATA/.being-made
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ ! -e "$new" ] && [ -n "$(find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found)" ]; then
        echo "error: $PGDATA holds files, but no database" >&2
        echo "hint: let PGDATA name an empty folder" >&2
        exit 1
    fi
    mkdir -p "$new"
    initialise
fi
shift $(($# > 0))
exec postgres -D "$PGDATA" -c listen_addresses='*' "$@"
