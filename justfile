# What developers do often; `just --list` shows it.

# Runs a daemon from a fresh checkout, on ports that need no privilege.
serve:
    cargo run --release -- serve --init --http 127.0.0.1:8080 --https 127.0.0.1:8443

# The README's test command.
test:
    cargo test

# What has to pass before a change lands.
ci:
    bash .ci/run

# Builds the .deb, the .rpm and the container image, and tries them (as root; fifteen minutes).
package:
    packaging/linux/build
    packaging/linux/test
    packaging/container/build --packaged
    packaging/container/test

# Accepts changed snapshots; read the diff before you commit it.
snapshots:
    INSTA_UPDATE=always cargo test --test it
    git diff --stat -- tests

# Runs each fuzz target for a while (needs the nightly toolchain and cargo-fuzz).
fuzz seconds="60":
    bash fuzz/run-each {{ seconds }}
