#!/bin/sh
# Learning from noisy images alone against learning from clean ones, sigma 25: same start, same number of steps, same
# photographs. Usage: noisy-only.sh LIMPID PHOTOS BSD68 [STEPS]; needs python3 with numpy and pillow. BASE= starts from random
# weights instead of those of photo-gray.
set -eu
limpid=$1 photos=$2 bsd68=$3 steps=${4:-600}
here=$(dirname "$0")
work=$(mktemp -d)
models=${MODELS:-models}
base=${BASE-photo-gray}
python3 "$here/bake.py" 25 "$work/photos" "$photos"/*
cp -r "$models" "$work/models"

for scheme in clean noisy; do
    # Noise is added to clean samples while training; the other samples have theirs baked in.
    "$limpid" train --name "from-$scheme" ${base:+--base "$base"} --samples "$work/photos/$scheme" --scheme "$scheme" \
        --corruption '{"gaussian": {"sigma": 25}}' --steps "$steps" --seed 1 --promote always \
        --models "$work/models" --checkpoint "$work/$scheme.checkpoint" 2>"$work/$scheme.log"
done
for model in ${base:-} from-clean from-noisy; do
    "$limpid" evaluate --model "$model" --sigma 25 --no-baseline "$bsd68" --models "$work/models"
done
