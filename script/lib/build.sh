# shellcheck shell=bash disable=SC2154
# The parts of the build that script/server, script/test and script/bench share. Needs toolchain.sh.

absolute() { # PATH
  case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$PWD" "$1" ;; esac
}

# DIRECTORY [--release]: builds the style sheet, the static files and the WebAssembly, for a server to serve from there
build_site() {
  local site=$1
  shift
  # cargo-leptos first empties the directory and then optimises again. Skipping this saves seconds on later starts.
  if [ -e "$site/.built" ] &&
    [ -z "$(find app check domain validator style public Cargo.toml Cargo.lock -newer "$site/.built" -print -quit)" ]; then
    return
  fi
  local scratch
  scratch=$(mktemp -d)
  touch "$scratch/begin"
  # The server reads the names of the files from the site. By default cargo-leptos would put them next to the program.
  if ! LEPTOS_SITE_ROOT=$site LEPTOS_HASH_FILE_NAME=$(absolute "$site")/hash.txt \
    cargo leptos build --frontend-only --split --lib-features split "$@" ||
    ! build_check "$scratch" "$@" ||
    ! node script/lib/publish.mjs "$site" "$scratch/check.js" "$scratch/check.wasm"; then
    rm -rf "$scratch"
    return 1
  fi
  touch -r "$scratch/begin" "$site/.built" # files edited during the build are newer
  rm -rf "$scratch"
}

# DIRECTORY [--release]: builds check.js and check.wasm, which check files in the browser
build_check() {
  local profile=dev built=debug
  if [ "${2:-}" = --release ]; then profile=wasm-release built=wasm-release; fi
  cargo build --locked -p check --features thread --target wasm32-unknown-unknown --profile "$profile" &&
    wasm-bindgen --target web --no-typescript --out-dir "$1" "$target/wasm32-unknown-unknown/$built/check.wasm" &&
    mv "$1/check_bg.wasm" "$1/check.wasm" || return 1
  if [ "$built" = debug ]; then return; fi
  wasm-opt -O3 "$1/check.wasm" -o "$1/check.wasm"
}

build_release_programs() {
  say "Building server and worker (the first time takes some minutes)"
  cargo build --release --locked -p server -p worker
}

build_release() { # SITE-DIRECTORY
  build_release_programs
  say "Building the WebAssembly, the style sheet and the static files"
  build_site "$1" --release
}
