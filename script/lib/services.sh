# shellcheck shell=bash disable=SC2154
# Starts PostgreSQL, Temporal and Batchline's programs as children of the calling script, waits until each is ready, and
# stops them in reverse order however the script ends. Needs toolchain.sh.

service_names=() service_pids=() service_logs=()
# By default, glibc keeps an arena of freed memory for each of many threads. Two halve the memory of a long job.
export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-2}
stop_timeout=20 # seconds for an orderly shutdown before a program is killed

# NAME LOG COMMAND...
start_service() {
  local name=$1 log=$2
  shift 2
  mkdir -p "$(dirname "$log")"
  # Ends the child even if this script is killed by SIGKILL (Linux only).
  local with_us=()
  if setpriv --pdeathsig TERM true 2>/dev/null; then with_us=(setpriv --pdeathsig TERM); fi
  # A separate process group, so that Ctrl-C reaches only this script, which then stops everything in order.
  set -m
  NO_COLOR=1 "${with_us[@]+"${with_us[@]}"}" "$@" >>"$log" 2>&1 </dev/null &
  local pid=$!
  set +m
  service_names+=("$name") service_pids+=("$pid") service_logs+=("$log")
}

last_lines() { # LOG
  [ -s "$1" ] || return 0
  printf 'Last lines of %s:\n' "$1" >&2
  tail -n 15 "$1" | sed 's/^/    /' >&2
}

# Fails with the end of a service's log if the service has ended.
check_services() {
  local i
  for i in "${!service_pids[@]}"; do
    if ! kill -0 "${service_pids[i]}" 2>/dev/null; then
      last_lines "${service_logs[i]}"
      die "${service_names[i]} has ended unexpectedly; everything else is being stopped."
    fi
  done
}

# SECONDS NAME COMMAND...: repeats COMMAND until it succeeds
wait_until() {
  local deadline=$((SECONDS + $1)) name=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    check_services
    if [ "$SECONDS" -ge "$deadline" ]; then
      local i
      for i in "${!service_names[@]}"; do
        if [ "${service_names[i]}" = "$name" ]; then last_lines "${service_logs[i]}"; fi
      done
      die "$name was not ready in time."
    fi
    pause 0.1
  done
}

# Can be interrupted, unlike a plain sleep, because bash runs traps only between commands and during wait.
pause() {
  sleep "$1" &
  wait $! 2>/dev/null || true
}

stop_service() { # PID NAME
  local pid=$1 deadline=$((SECONDS + stop_timeout))
  # On TERM PostgreSQL waits for its clients. INT is its orderly fast shutdown.
  local signal=TERM
  if [ "$2" = PostgreSQL ]; then signal=INT; fi
  kill -s "$signal" "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
  # Processes that are left in its group: it didn't end in time, or it left children behind.
  kill -s KILL -- "-$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

service_index() { # NAME
  local i
  for i in "${!service_names[@]}"; do
    if [ "${service_names[i]}" = "$1" ]; then
      printf '%s\n' "$i"
      return
    fi
  done
  die "no service is called $1."
}

service_pid() { # NAME
  printf '%s\n' "${service_pids[$(service_index "$1")]}"
}

signal_service() { # NAME SIGNAL
  kill -s "$2" "$(service_pid "$1")"
}

# NAME SIGNAL: ends a service with this signal and waits until it is gone
end_service() {
  local i pid
  i=$(service_index "$1")
  pid=${service_pids[i]}
  kill -s "$2" "$pid"
  wait "$pid" 2>/dev/null || true
  unset "service_names[i]" "service_pids[i]" "service_logs[i]"
}

stop_services() {
  local i
  trap '' INT TERM HUP # a second Ctrl-C must not leave anything behind
  local newest_first
  newest_first=$(printf '%s\n' "${!service_pids[@]}" | sort --numeric-sort --reverse)
  for i in $newest_first; do
    stop_service "${service_pids[i]}" "${service_names[i]}"
  done
  service_names=() service_pids=() service_logs=()
}

# Calls stop_services and then COMMAND when the script ends, for whatever reason.
stop_services_on_exit() { # [COMMAND...]
  local command=${*:-:}
  # shellcheck disable=SC2064 # COMMAND must be expanded now
  trap "status=\$?; stop_services; $command; exit \$status" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

port_is_taken() { # PORT [HOST]
  (exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null
}

require_free_port() { # PORT NAME VARIABLE EXAMPLE
  if port_is_taken "$1"; then
    die "port $1 ($2) is in use by another program; stop that, or choose another port: $3=$4 script/$(basename "$0")"
  fi
}

# Prints N free ports, reserved together so that they differ.
free_ports() {
  python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}

http_get() { # URL
  python3 - "$1" <<'PYTHON'
import shutil, sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
shutil.copyfileobj(opener.open(sys.argv[1], timeout=5), sys.stdout.buffer)
PYTHON
}

http_ok() { # URL
  http_get "$1" >/dev/null
}

# Runs a PostgreSQL program. PostgreSQL refuses to run as root, so it then runs as an unprivileged user with the only
# capability needed to traverse directories like /root to its programs and data.
postgres_user=
as_postgres=()
choose_postgres_user() {
  if [ "$(id -u)" != 0 ] || [ -n "$postgres_user" ]; then return; fi
  postgres_user=nobody
  if id postgres >/dev/null 2>&1; then postgres_user=postgres; fi
  local group
  group=$(id -gn "$postgres_user")
  # Changing the user clears the signal that start_service sets, so it is set again.
  local unprivileged=(setpriv --reuid="$postgres_user" --regid="$group" --clear-groups --pdeathsig INT)
  as_postgres=("${unprivileged[@]}" --inh-caps=+dac_override --ambient-caps=+dac_override
    --securebits=+no_setuid_fixup --) # the last makes access(2), which PostgreSQL calls on its programs, respect it
  if ! "${as_postgres[@]}" test -x "$postgres_home/bin/postgres" 2>/dev/null; then
    as_postgres=("${unprivileged[@]}" --)
    "${as_postgres[@]}" test -x "$postgres_home/bin/postgres" 2>/dev/null ||
      die "PostgreSQL does not run as root, and user $postgres_user cannot reach $postgres_home: run this as a normal user, or set BATCHLINE_CACHE to a directory that everybody can read."
  fi
}

# DIRECTORY PORT LOG [SETTING=VALUE...]: user postgres, reachable from this machine only, with this password if one is
# set, because a superuser can run programs as the user that the server runs as.
postgres_password=
start_postgres() {
  local data=$1 port=$2 log=$3 setting options=() auth=trust
  shift 3
  choose_postgres_user
  if [ -n "$postgres_password" ]; then auth=scram-sha-256; fi
  local major
  major=$("$postgres_home/bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  if [ ! -s "$data/PG_VERSION" ]; then
    local new=$data.new locale=(--locale=C.UTF-8)
    if [ "$major" -ge 17 ]; then locale=(--locale=C --locale-provider=builtin --builtin-locale=C.UTF-8); fi
    mkdir -p "$(dirname "$log")"
    rm -rf "$new"
    mkdir -p "$new"
    if [ -n "$postgres_user" ]; then chown "$postgres_user" "$new"; fi
    if ! "${as_postgres[@]+"${as_postgres[@]}"}" "$postgres_home/bin/initdb" --pgdata="$new" --username=postgres \
      --pwfile=<(printf '%s\n' "${postgres_password:-none}") --auth="$auth" --no-instructions --encoding=UTF8 "${locale[@]}" >>"$log" 2>&1; then
      last_lines "$log"
      die "PostgreSQL could not create its files in $new."
    fi
    mv "$new" "$data"
  elif [ "$(cat "$data/PG_VERSION")" != "$major" ]; then
    die "$data was written by PostgreSQL $(cat "$data/PG_VERSION") and this is $major: move that directory away to start with an empty database."
  fi
  for setting in listen_addresses=127.0.0.1 "port=$port" unix_socket_directories= max_connections=200 \
    shared_buffers=256MB max_wal_size=4GB "$@"; do
    options+=(-c "$setting")
  done
  start_service PostgreSQL "$log" "${as_postgres[@]+"${as_postgres[@]}"}" "$postgres_home/bin/postgres" -D "$data" "${options[@]}"
  wait_until 60 PostgreSQL postgres_answers "$port"
  if [ "$auth" != trust ] && grep -q 'trust$' "$data/pg_hba.conf"; then
    # An earlier version created it without a password.
    psql_on "$port" postgres --set=password="$postgres_password" <<<"alter role postgres password :'password'"
    sed -i 's/trust$/scram-sha-256/' "$data/pg_hba.conf"
    psql_on "$port" postgres --command='select pg_reload_conf()' >/dev/null
  fi
}

postgres_answers() { # PORT
  if [ ! -x "$postgres_home/bin/pg_isready" ]; then # npm's build of PostgreSQL has no client programs
    port_is_taken "$1"
    return
  fi
  "$postgres_home/bin/pg_isready" --quiet --host=127.0.0.1 --port="$1" --username=postgres
}

# PORT NAME
create_database() {
  psql_on "$1" postgres --command="create database \"$2\"" >/dev/null
}

# PORT DATABASE: makes the role batchline the owner of the database. The server and the worker use this role. Its
# password is DATABASE_PASSWORD if that is set.
create_application_role() {
  psql_on "$1" "$2" --single-transaction --file=script/lib/application_role.sql
}

psql_on() { # PORT DATABASE ARGUMENTS...
  local port=$1 database=$2
  shift 2
  PGPASSWORD=$postgres_password PGCONNECT_TIMEOUT=10 "$postgres_home/bin/psql" --no-psqlrc --quiet --no-align \
    --tuples-only --set=ON_ERROR_STOP=1 --host=127.0.0.1 --port="$port" --username=postgres --dbname="$database" "$@"
}

# PORT LOG [ARGUMENTS...]: in memory unless --db-filename is given, without its UI unless --ui-port is given
start_temporal() {
  local port=$1 log=$2
  shift 2
  case " $* " in *" --ui-port "*) ;; *) set -- --headless "$@" ;; esac
  start_service Temporal "$log" "$temporal_home/temporal" server start-dev --ip 127.0.0.1 --port "$port" \
    --log-level error "$@"
  wait_until 60 Temporal "$temporal_home/temporal" operator namespace describe --address "127.0.0.1:$port" \
    --namespace default
}

# PORT LOG: an S3 server that keeps its buckets in memory and accepts any credentials
start_object_store() {
  local port=$1 log=$2
  start_service S3 "$log" env PYTHONPATH="$moto_home" python3 -m moto.server --host 127.0.0.1 --port "$port"
  wait_until 60 S3 port_is_taken "$port"
}

# HOST:PORT [NAME]: the address at which a client on this machine reaches the listener
reachable() {
  case ${1%:*} in
    0.0.0.0 | '[::]' | 127.0.0.1 | localhost) printf '%s:%s\n' "${2:-127.0.0.1}" "${1##*:}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}
