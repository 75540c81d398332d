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

# Builds everything that is released, and tries it (as root): an hour on two cores from a clean clone.
package: package-linux package-container package-static package-arm64 package-windows

# The .deb and the .rpm of this computer's processor.
package-linux:
    packaging/linux/build
    packaging/linux/test

# The container's image, with the program of the .deb.
package-container:
    packaging/container/build --packaged
    packaging/container/test

# The installer for Windows and the ZIP, tried under wine.
package-windows:
    packaging/windows/build
    packaging/windows/test target/cross/x86_64-pc-windows-gnu/dist/engage-host.exe
    packaging/windows/try-installer target/package/windows/*-setup.exe
    packaging/windows/unit-tests

# The static program, for any Linux on x86-64.
package-static:
    packaging/linux/build x86_64-unknown-linux-musl
    packaging/linux/test-foreign x86_64-unknown-linux-musl

# The .deb and the .rpm for arm64, tried in an emulator.
package-arm64:
    packaging/linux/build aarch64-unknown-linux-gnu
    packaging/linux/test-foreign aarch64-unknown-linux-gnu

# Accepts changed snapshots; read the diff before you commit it.
snapshots:
    INSTA_UPDATE=always cargo test --test it
    git diff --stat -- tests

# Runs each fuzz target for a while (needs the nightly toolchain and cargo-fuzz).
fuzz seconds="60":
    bash fuzz/run-each {{ seconds }}
