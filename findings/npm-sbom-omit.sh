#!/bin/sh
# One would guess: `npm sbom --omit dev` lists what `npm ls --omit dev` and `npm ci --omit dev` do: everything that is needed
# without the packages for development.
# What happens: a package that the project asks for itself is left out of the bill of materials as soon as a package for
# development asks for it too. A project that ships tslib and tests with rxjs, which needs tslib, is said to ship nothing.
# Ends with 0 while that is so, with 1 when it has changed. Needs Node 22 with npm and a package registry.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix tool npm@11.17.0
npm="node $folder/tool/node_modules/npm/bin/npm-cli.js"

listed() { # what is shipped beside these packages for development
  mkdir "$1"
  (
    cd "$1"
    echo "{\"name\": \"shop\", \"version\": \"1.0.0\", \"dependencies\": {\"tslib\": \"2.8.1\"}, \"devDependencies\": {$2}}" > package.json
    $npm install --silent --package-lock-only --no-audit --no-fund
    $npm sbom --silent --package-lock-only --omit dev --sbom-format cyclonedx > bill.json
    $npm ls --silent --package-lock-only --omit dev --all --json > tree.json
    node -e '
      const bill = require("./bill.json").components.map((one) => one.name)
      const tree = Object.keys(require("./tree.json").dependencies ?? {})
      console.log(`sbom: [${bill}], ls: [${tree}]`)'
  )
}

echo "npm $($npm --version)"
alone=$(listed alone '')
both=$(listed both '"rxjs": "7.8.2"')
echo "  tslib alone:           $alone"
echo "  rxjs for development:  $both"
[ "$alone" = "sbom: [tslib], ls: [tslib]" ] && [ "$both" = "sbom: [], ls: [tslib]" ]
