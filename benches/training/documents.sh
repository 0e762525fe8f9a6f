#!/bin/sh
# Fine-tuning on stained and creased pages (NoisyOffice). Two texts return in many typefaces: the pages of one are
# trained on, those of the other are only evaluated on. Usage: documents.sh LIMPID DIRTY_DOCS [LENGTH...], where
# LENGTH is "--minutes 10" (the default) or "--steps N".
set -eu
limpid=$1 docs=$2
shift 2
[ $# -gt 0 ] || set -- --minutes 10
work=$(mktemp -d)
models=${MODELS:-models}
cp -r "$models" "$work/models"
for side in clean noisy; do
    mkdir -p "$work/train/$side" "$work/test/$side"
    for page in "$docs/$side"/*.png; do
        name=$(basename "$page" .png)
        # The page's number tells its text: "There exist several methods ..." or "There are several classic ...".
        case $((name % 6)) in
        2) cp "$page" "$work/train/$side" ;;
        3) cp "$page" "$work/test/$side" ;;
        esac
    done
done
"$limpid" train --name pages --base photo-gray --samples "$work/train" "$@" --seed 1 --promote always \
    --models "$work/models" --checkpoint "$work/pages.checkpoint" 2>"$work/pages.log"
"$limpid" evaluate --model photo-gray "$work/test" --models "$work/models"
"$limpid" evaluate --model pages --no-baseline "$work/test" --models "$work/models"
