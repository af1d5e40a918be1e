# Sourced by .ci/run: what tests/reports/accessibility.rs uses to look at the HTML report: Chromium of the distribution, axe-core, and
# puppeteer-core, which drives it and brings no browser of its own.
tools="${TMPDIR:-/tmp}/havenlint-ci-tools"
export HAVENLINT_BROWSER_MODULES="$tools/browser"
need=()
command -v chromium >/dev/null || need+=(chromium)
command -v npm >/dev/null || need+=(npm)
if [ ${#need[@]} -gt 0 ]; then
    $sudo apt-get update -q
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${need[@]}"
fi
if [ ! -e "$HAVENLINT_BROWSER_MODULES/node_modules/axe-core" ]; then
    mkdir -p "$HAVENLINT_BROWSER_MODULES"
    npm install --prefix "$HAVENLINT_BROWSER_MODULES" --no-save --no-audit --no-fund --ignore-scripts axe-core@4.10.3 puppeteer-core@24.10.0
fi
