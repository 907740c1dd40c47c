# shellcheck shell=bash disable=SC2154
# The parts of the build that script/server, script/test and script/bench share. Needs toolchain.sh.

# DIRECTORY [dev|quick|release]: builds the style sheet, the static files and the WebAssembly, for a server to serve
build_site() {
  cargo run --quiet --locked -p xtask -- site "$1" --profile "${2:-dev}"
}

build_release() { # SITE-DIRECTORY
  say "Building server and worker"
  cargo build --release --locked -p server -p worker
  say "Building the WebAssembly, the style sheet and the static files"
  build_site "$1" release
}

# For running on this machine. Compiles in a fraction of the time.
build_quick() { # SITE-DIRECTORY
  say "Building server, worker and what browsers load (the first time takes some minutes)"
  cargo build --profile quick --locked -p server -p worker -p xtask
  "$target/quick/xtask" site "$1" --profile quick
}
