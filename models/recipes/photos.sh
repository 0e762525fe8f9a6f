#!/usr/bin/env bash
# photo-gray and photo-color, from photographs; `photos.sh gray` or `photos.sh color`.
#
#   STEPS=200000 DEVICE=cuda BATCH=32 bash models/recipes/photos.sh gray
#
# photo-gray learns from large photographs, most of whose crops are smooth; then from small ones, dense with texture, by the
# mean squared error, which texture dominates; then from Berkeley's too; then from weak noise above all and on large crops,
# more of which is far from a border; last with stripes and weaves beside the photographs, which have few. photo-color
# learns in three runs, all but the first on large crops.
# On a CPU they take some hours of one core; a GPU wants a larger BATCH.
set -euo pipefail
. "$(dirname "$0")/common.sh"
which=${1:-gray}
own='40 photographs (61 megapixels), as they are and reduced by 1.5 to 4: desktop wallpapers of free software '
own+='distributions; 14 CC0, 12 published as public domain, 6 GPL-2+, 4 CC-BY-4.0, 4 CC-BY-SA'
berkeley='430 of the Berkeley segmentation data (BSDS500 without the 68 of the test set), for research and education'

photos=$WORK/photos
if [ ! -d "$photos/woven/cloth" ]; then
  rm -rf "$photos"
  python3 "$(dirname "$0")/photos.py" "$DATA/train/photos40" "$photos"
  cp -r "$photos/small" "$photos/mixed"
  cp -r "$DATA/train/bsd430" "$photos/mixed/berkeley"
  cp -r "$photos/mixed" "$photos/woven"
  python3 "$(dirname "$0")/textures.py" "$photos/small/half" "$photos/woven/cloth" 96
fi
case $which in
gray) channels=1 latent='[1, 2, 8]' set=bsd68 ;;
color) channels=3 latent='[3, 6, 24]' set=cbsd68 ;;
*) echo "expected gray or color, got $which" >&2 && exit 2 ;;
esac
# Three blocks in the refiner, and 40 channels at 1/2: weak noise is taken out there.
family=$(printf '"family": {"pyramid": {"channels": %s, "widths": [40, 64, 96], "encoder_blocks": [1, 1, 2],
  "decoder_blocks": [1, 1, 2], "refiner_blocks": 3, "latent": %s}}' "$channels" "$latent")
base="\"base\": \"photo-$which\""
white() { printf '{"gaussian": {"sigma": [%s, %s]}}' "$@"; }
# clipped FROM TO: what a file of 8 bits holds.
clipped() { printf '[%s, {"clip": {}}]' "$(white "$@")"; }

# run NAME PHOTOS CROP BATCH STEPS RATE SEED LOSS NOISE BEGIN
run() {
  local run="$which-$1" data=$own
  case $2 in mixed | woven) data+="; and $berkeley" ;; esac
  [ "$2" != woven ] || data+='; and crops of the former with stripes and weaves drawn into them'
  printf '{"name": "photo-%s", "crop": %s, "batch": %s, "promote": "always", "steps": %s, "learning_rate": %s, "seed": %s,
    "loss": "%s", "corruption": {"random": [%s]}, %s}' "$which" "$3" "${BATCH:-$4}" "${STEPS:-$5}" "${@:6}" >"$WORK/$run.json"
  train "$run" --training-config "$WORK/$run.json" --channels "$channels" --samples "$photos/$2" \
    --device "${DEVICE:-cpu}" --data "$data"
}

both="$(white 0 55), $(white 0 30)"
even="$both, $(clipped 0 55)"
if [ "$which" = color ]; then
  run first mixed 64 8 24000 0.0015 3 mse "$even" "$family"
  run second mixed 128 4 18000 0.0012 4 mse "$even" "$base"
  run third mixed 128 4 22000 0.0012 5 mse "$both, $(white 10 30), $(clipped 0 55)" "$base"
else
  run first large 64 8 42000 0.0015 3 psnr "$(white 0 55), $(clipped 0 55)" "$family"
  run second small 64 8 18000 0.001 4 mse "$even" "$base"
  run third mixed 64 16 20000 0.0008 5 mse "$even" "$base"
  run fourth mixed 128 4 14000 0.0008 6 mse "$both, $(white 5 20), $(white 5 20), $(clipped 0 55)" "$base"
  run fifth woven 128 4 34000 0.0012 7 mse "$both, $(white 10 30), $(clipped 0 55), $(clipped 5 35)" "$base"
fi
"$LIMPID" evaluate "$DATA/test/$set" --models "$MODELS" --model "photo-$which" --sigma 15,25,50 --sheet "$WORK/photo-$which.png"
