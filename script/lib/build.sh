# shellcheck shell=bash disable=SC2154
# What of the build is common to script/server, script/test and script/bench. Needs toolchain.sh.

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
  if ! LEPTOS_SITE_ROOT=$site cargo leptos build --frontend-only --precompress "$@"; then
    rm -f "$begin"
    return 1
  fi
  # The server sends what is compressed beforehand rather than compress it at each request.
  case " $* " in *" --release "*) ;; *) python3 -m gzip --fast "$site"/pkg/*.wasm "$site"/pkg/*.js ;; esac
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
