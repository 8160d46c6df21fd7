#!/usr/bin/env bash
# See gitindex at work on example-repo/: validate, render, install with pip, try to replace a released file, audit, verify.
# Needs no network once .venv is there, and leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"
# Neither the settings of pip and Git here nor a Git hook that calls us may decide what is shown.
export PIP_CONFIG_FILE=/dev/null GIT_CONFIG_GLOBAL=/dev/null
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

work=$(mktemp -d "${TMPDIR:-/tmp}/gitindex-demo.XXXXXX")
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

say() { printf '\n\n# %s\n' "$*"; }

run() {
    printf '\n$ %s\n' "${*//$work/\$TMP}"
    "$@" 2>&1 | sed "s|$work|\$TMP|g"
}

run_refused() {
    local status=0
    run "$@" || status=$?
    if [ "$status" -ne 1 ]; then
        echo "demo: exit code 1, the refusal, was expected, not $status" >&2
        exit 1
    fi
    echo "(exit code 1)"
}

say '1. Every file and every statement of the example repository keeps the rules'
run gitindex -C example-repo validate --all

say '2. The index as a static site'
run gitindex -C example-repo render --out "$work/site"
run ls "$work/site/emilie/prod/simple"

say '3. pip installs from the rendered pages into a fresh environment'
run python -m venv "$work/venv"
index=$(python -c 'import pathlib, sys; print(pathlib.Path(sys.argv[1]).as_uri())' "$work/site/emilie/prod/simple")/
run "$work/venv/bin/pip" --isolated --disable-pip-version-check --no-cache-dir \
    install --index-url "$index" csv-peek
run "$work/venv/bin/python" -c 'import csv_peek; print("imported csv_peek", csv_peek.__version__)'
printf 'Item,Unit price (EUR),Stock\nnut,0.05,100\nbolt,1,70\n' >"$work/stock.csv"
run "$work/venv/bin/csv-peek" "$work/stock.csv"

say '4. csv-peek 0.2.0 is released. Somebody builds it again with one more change, under the same version'
cp -R example-repo "$work/scratch"
git -C "$work/scratch" init --quiet --initial-branch=main
git -C "$work/scratch" add --all
git -C "$work/scratch" -c user.name=Emilie -c user.email=emilie@example.org -c commit.gpgsign=false \
    commit --quiet --message='What is published'
cp -R example-repo/src/csv-peek/0.2.0 "$work/changed"
echo '# one more change' >>"$work/changed/src/csv_peek/__init__.py"
python -m build --no-isolation --wheel --outdir "$work/dist" "$work/changed" >"$work/build.log" 2>&1 ||
    { cat "$work/build.log" >&2; exit 1; }
wheel="$work/dist/csv_peek-0.2.0-py3-none-any.whl"

say '   The front door: upload refuses it'
run_refused gitindex -C "$work/scratch" upload "$wheel" --index emilie/prod

say '   The back door: the manifest edited by hand, the new file put into the store. validate refuses the change'
python - "$work/scratch" "$wheel" <<'PYTHON'
import hashlib, json, pathlib, shutil, sys

repository, wheel = map(pathlib.Path, sys.argv[1:])
sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
manifest = repository / "indexes/emilie/prod/csv-peek/0.2.0.json"
release = json.loads(manifest.read_text(encoding="utf-8"))
for file in release["files"]:
    if file["filename"] == wheel.name:
        old = repository / "files" / file["hashes"]["sha256"][:2] / file["hashes"]["sha256"][2:]
        new = repository / "files" / sha256[:2] / sha256[2:]
        shutil.copytree(old, new)
        shutil.copyfile(wheel, new / wheel.name)
        file["hashes"]["sha256"] = sha256
        file["size"] = wheel.stat().st_size
manifest.write_text(json.dumps(release, indent=2) + "\n", encoding="utf-8")
PYTHON
run git -C "$work/scratch" --no-pager diff --unified=0 -- indexes
run_refused gitindex -C "$work/scratch" validate

say '   The door of the server: committed all the same, and pushed. The pusher sees why it is refused'
git clone --quiet --bare "$work/scratch" "$work/server.git"
printf '#!/bin/sh\nexec gitindex pre-receive\n' >"$work/server.git/hooks/pre-receive"
chmod +x "$work/server.git/hooks/pre-receive"
git -C "$work/scratch" remote add origin "$work/server.git"
git -C "$work/scratch" add --all
git -C "$work/scratch" -c user.name=Bob -c user.email=bob@example.org -c commit.gpgsign=false \
    commit --quiet --message='Build csv-peek 0.2.0 again'
run_refused git -C "$work/scratch" push --quiet origin main

say '5. Who was here before the guard? The history says'
run_refused gitindex -C "$work/scratch" audit

say '6. Every released file, read to its end'
run gitindex -C example-repo verify

say '7. Or live, without a site: the server reads the bare repository, and a push is served within a second'
printf '\n$ gitindex -C $TMP/server.git serve --port 0 &\n'
gitindex -C "$work/server.git" serve --port 0 --cache "$work/cache" 2>"$work/serve.log" &
server=$!
url=
for _ in $(seq 100); do
    url=$(sed -n 's/^Serving .* at \(http[^ ]*\) .*/\1/p' "$work/serve.log")
    [ -z "$url" ] || break
    sleep 0.1
done
sed "s|$work|\$TMP|g" "$work/serve.log"
run "$work/venv/bin/pip" --isolated --disable-pip-version-check --no-cache-dir \
    install --index-url "${url}emilie/prod/simple/" unit-convert
# The commit of before is taken back, since nothing that breaks the promise is ever served; then something better is made.
git -C "$work/scratch" reset --quiet --hard HEAD~1
gitindex -C "$work/scratch" yank csv-peek==0.2.0 --index emilie/prod --reason 'breaks on empty files' >/dev/null 2>&1
git -C "$work/scratch" add --all
git -C "$work/scratch" -c user.name=Emilie -c user.email=emilie@example.org -c commit.gpgsign=false \
    commit --quiet --message='Yank csv-peek 0.2.0'
run git -C "$work/scratch" push --quiet origin main
page="${url}emilie/prod/simple/csv-peek/"
for _ in $(seq 50); do
    python -c 'import sys, urllib.request as r; sys.exit(b"data-yanked" not in r.urlopen(sys.argv[1]).read())' "$page" && break
    sleep 0.1
done
run python -c 'import re, sys, urllib.request as r; print(*re.findall("data-yanked=[^>]*>[^<]*", r.urlopen(sys.argv[1]).read().decode()), sep="\n")' "$page"
kill "$server"
wait "$server"
server=

say 'Done. What was written lay in a temporary folder, and is gone.'
