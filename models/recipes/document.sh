#!/usr/bin/env bash
# document: gray scans of text, freed of coffee stains, creases and wrinkles. Two texts return in many typefaces: the
# pages of one are trained on, those of the other are only evaluated on.
set -euo pipefail
. "$(dirname "$0")/common.sh"
pages=$DATA/real/dirty_docs

for side in clean noisy; do
  mkdir -p "$WORK/document/train/$side" "$WORK/document/test/$side"
  for page in "$pages/$side"/*.png; do
    name=$(basename "$page" .png)
    # The page's number tells its text: "There exist several methods ..." or "There are several classic ...".
    case $((name % 6)) in
    2) cp "$page" "$WORK/document/train/$side" ;;
    3) cp "$page" "$WORK/document/test/$side" ;;
    esac
  done
done
# Large crops: a stain is known by what is around it, and white is what most of a page is.
train document --base photo-gray --samples "$WORK/document/train" --crop 256 --batch 2 --steps 4000 \
  --learning-rate 0.001 --seed 1 --promote always --data 'NoisyOffice, simulated part: 30 pages of one text, as its authors offer it'
"$LIMPID" evaluate "$WORK/document/test" --model document --models "$MODELS" --ink --sheet "$WORK/document.png"
