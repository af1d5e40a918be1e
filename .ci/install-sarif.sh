# Sourced by .ci/run: the SARIF validator for tests/reports/sarif_validator.rs. npm's package brings its own runtime; no .NET is needed.
tools="${TMPDIR:-/tmp}/havenlint-ci-tools"
export HAVENLINT_SARIF_MULTITOOL="$tools/node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool"
if [ ! -e "$HAVENLINT_SARIF_MULTITOOL" ]; then
    if ! command -v npm >/dev/null; then
        $sudo apt-get update -q
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q npm
    fi
    mkdir -p "$tools"
    # The pinned version, without scripts: all that its own script does is the chmod below.
    npm install --prefix "$tools" --no-save --no-audit --no-fund --ignore-scripts @microsoft/sarif-multitool@5.7.0
fi
chmod u+x "$HAVENLINT_SARIF_MULTITOOL"
