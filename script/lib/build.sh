# shellcheck shell=bash disable=SC2154
# The builds of script/server, script/package, script/bench, script/chaos and script/pages: the programs, and in a
# directory what browsers load. Needs toolchain.sh.

build_release() { # SITE-DIRECTORY
  say "Building server and worker"
  cargo build --release --locked -p server -p worker
  say "Building the WebAssembly, the style sheet and the static files"
  cargo run --quiet --locked -p xtask -- site "$1" --profile release
}

# For running on this machine: compiles faster.
build_quick() { # SITE-DIRECTORY
  say "Building server, worker and what browsers load (the first time takes some minutes)"
  cargo build --profile quick --locked -p server -p worker -p xtask
  "$target/quick/xtask" site "$1" --profile quick
}
