#!/usr/bin/env bash
# document: gray scans of text, freed of coffee stains, creases and wrinkles; trained on the pages of one text, evaluated on
# those of another.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/pages.sh"

split_pages "$DATA/real/dirty_docs" "$WORK/document"
learn() { # run, base, seed, more
  train "$1" --name document --base "$2" --samples "$WORK/document/train" --crop 256 --batch 2 --steps 4000 \
    --learning-rate 0.001 --seed "$3" --promote always "${@:4}" \
    --data 'NoisyOffice, simulated part: 30 pages of one text, as its authors offer it'
}
# Large crops: a stain is known by what is around it, and white is what most of a page is.
learn document photo-gray 1
# Strokes are narrow and must stay.
learn document-ink document 4 --ink-weight 3
"$LIMPID" evaluate "$WORK/document/test" --model document --models "$MODELS" --ink --sheet "$WORK/document.png"
