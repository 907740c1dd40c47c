# shellcheck shell=bash disable=SC2154
# The builds of script/server, script/bench, script/chaos, script/pages and Docker: the programs, and in a directory what
# browsers load. Needs toolchain.sh.

build_release() { # SITE-DIRECTORY
  say "Building server and worker"
  cargo build --release --locked -p server -p worker
  say "Building the WebAssembly, the style sheet and the static files"
  cargo run --quiet --locked -p xtask -- site "$1" --profile release
}

# The generator of test files, after build_release. The other packages are named because otherwise common dependencies
# would be compiled again with fewer features.
build_testkit() {
  cargo build --release --locked -p server -p worker -p testkit --bin testkit
}

# For running on this machine: compiles faster.
build_quick() { # SITE-DIRECTORY
  say "Building server, worker and what browsers load (the first time takes some minutes)"
  cargo build --profile quick --locked -p server -p worker -p xtask
  "$target/quick/xtask" site "$1" --profile quick
}
