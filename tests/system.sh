#!/usr/bin/env bash
# What the tests need beside Python: CMake, a C++ compiler and Chromium. What is missing is installed by apt-get
# where that is there and this user may, Chromium else by Playwright.
set -euo pipefail
cd "$(dirname "$0")/.."
playwright=.venv/bin/playwright
root=$([ "$(id -u)" = 0 ] && command -v apt-get || true)

missing() {
    command -v cmake >/dev/null || echo cmake
    command -v g++ >/dev/null || command -v clang++ >/dev/null || echo g++
    command -v chromium >/dev/null || [ -d "$(playwrights_own)" ] || echo chromium
}

playwrights_own() {
    $playwright install --dry-run chromium | awk -F ': +' '/Install location/ { print $2; exit }'
}

if [ -n "$root" ] && [ -n "$(missing)" ]; then
    apt-get update
    for package in $(missing); do  # one by one: Ubuntu has no package chromium
        DEBIAN_FRONTEND=noninteractive apt-get install -y "$package" || true
    done
fi
if [[ $(missing) == *chromium* ]]; then
    $playwright install ${root:+--with-deps} chromium || true
fi
needed=$(missing | paste -sd ' ' -)
if [ -n "$needed" ]; then
    echo "The tests need $needed: run \`sudo apt-get install $needed\` on Debian," \
        "\`$playwright install chromium\` for Chromium elsewhere," \
        "\`xcode-select --install\` and \`brew install cmake\` on macOS, then this again." >&2
    exit 1
fi
