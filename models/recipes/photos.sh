#!/usr/bin/env bash
# photo-gray and photo-color, from openly licensed photographs alone; `photos.sh gray` or `photos.sh color`.
#
#   STEPS=200000 DEVICE=cuda bash models/recipes/photos.sh gray
#
# On a CPU 20,000 steps take two to six hours of one core; a GPU wants a larger BATCH. BASE=photo-gray goes on from the
# bundled weights, in their sizes; without it the weights are random and the sizes those below.
set -euo pipefail
. "$(dirname "$0")/common.sh"
which=${1:-gray}
data='40 photographs (61 megapixels) reduced at least 2 times, at three sizes: desktop wallpapers of free software '
data+='distributions; 14 CC0, 12 published as public domain, 6 GPL-2+, 4 CC-BY-4.0, 4 CC-BY-SA'

[ -d "$WORK/photos/half" ] || python3 "$(dirname "$0")/photos.py" "$DATA/train/photos40" "$WORK/photos"
case $which in
gray) channels=1 latent='[1, 2, 8]' set=bsd68 ;;
color) channels=3 latent='[3, 6, 24]' set=cbsd68 ;;
*) echo "expected gray or color, got $which" >&2 && exit 2 ;;
esac
# Three blocks in the refiner instead of one, and 40 channels at 1/2 instead of 48: weak noise is taken out there.
family=$(printf '"family": {"pyramid": {"channels": %s, "widths": [40, 64, 96], "encoder_blocks": [1, 1, 2],
  "decoder_blocks": [1, 1, 2], "refiner_blocks": 3, "latent": %s}},' "$channels" "$latent")
[ -z "${BASE:-}" ] || family="\"base\": \"$BASE\","
printf '{"name": "x", %s "steps": %s, "batch": %s, "crop": %s, "learning_rate": 0.001, "seed": 1, "loss": "psnr"}' \
  "$family" "${STEPS:-20000}" "${BATCH:-16}" "${CROP:-64}" >"$WORK/photo-$which.json"
train "photo-$which" --training-config "$WORK/photo-$which.json" --channels "$channels" --samples "$WORK/photos" \
  --device "${DEVICE:-cpu}" --data "$data"
"$LIMPID" evaluate "$DATA/test/$set" --models "$MODELS" --model "photo-$which" --sigma 15,25,50 --sheet "$WORK/photo-$which.png"
