# shellcheck shell=bash disable=SC2154
# What of the build is common to script/server, script/test and script/bench. Needs toolchain.sh.

absolute() { # PATH
  case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$PWD" "$1" ;; esac
}

# DIRECTORY [--release]: the style sheet, the static files and the WebAssembly that a server then serves from there
build_site() {
  local site=$1
  shift
  # cargo-leptos begins by emptying the directory and optimises again each time: seconds that a second start can spare.
  if [ -e "$site/.built" ] && [ -z "$(find app domain style public Cargo.toml Cargo.lock -newer "$site/.built" -print -quit)" ]; then
    return
  fi
  local begin
  begin=$(mktemp)
  # The server reads from the site how its files are named; cargo-leptos would put that beside the program.
  if ! LEPTOS_SITE_ROOT=$site LEPTOS_HASH_FILE_NAME=$(absolute "$site")/hash.txt cargo leptos build --frontend-only --precompress "$@"; then
    rm -f "$begin"
    return 1
  fi
  # The server sends what is compressed beforehand rather than compress it at each request. What --precompress makes of a
  # release is a sixth larger as gzip than it need be; of other builds it makes nothing.
  local effort=--fast
  case " $* " in *" --release "*) effort=--best ;; esac
  gzip --keep --force "$effort" "$site"/pkg/*.wasm "$site"/pkg/*.js "$site"/pkg/*.css
  touch -r "$begin" "$site/.built" # what was edited meanwhile is newer
  rm -f "$begin"
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
