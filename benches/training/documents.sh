#!/bin/sh
# Fine-tuning on stained and creased pages (NoisyOffice) of one text, evaluated on those of another.
# Usage: documents.sh LIMPID DIRTY_DOCS [LENGTH...], where LENGTH is "--minutes 10" (the default) or "--steps N".
set -eu
limpid=$1 docs=$2
shift 2
[ $# -gt 0 ] || set -- --minutes 10
work=$(mktemp -d)
models=${MODELS:-models}
cp -r "$models" "$work/models"
. "$(dirname "$0")/../../models/recipes/pages.sh"
split_pages "$docs" "$work"
"$limpid" train --name pages --base photo-gray --samples "$work/train" "$@" --seed 1 --promote always \
    --models "$work/models" --checkpoint "$work/pages.checkpoint" 2>"$work/pages.log"
"$limpid" evaluate --model photo-gray "$work/test" --models "$work/models"
"$limpid" evaluate --model pages --no-baseline "$work/test" --models "$work/models"
