#!/bin/sh
# The 10 million case, end to end: fill a store, measure it as it grows, then ask it, cold and warm.
# Hours of work and about 30 GB of disk: not for CI. The folder is kept, and used again by the second command.
#
#   benchmarks/ten_million.sh FOLDER [RECORDS]
set -eu
folder=${1:?the folder that keeps the store}
records=${2:-10000000}
earshot=${EARSHOT:-.venv/bin/earshot}
mkdir -p "$folder"

"$earshot" bench store --posts "$records" --rules 1000 --step 500000 \
    --store-home "$folder/home" --json > "$folder/store.json"
"$earshot" bench queries --store-home "$folder/home" --rounds 5 --repeats 30 \
    --json > "$folder/queries.json"
echo "the figures lie in $folder/store.json and $folder/queries.json"
