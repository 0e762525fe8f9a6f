#!/usr/bin/env bash
# photo-gray and photo-color, from openly licensed photographs alone; `photos.sh gray` or `photos.sh color`.
#
#   STEPS=200000 DEVICE=cuda BATCH=32 bash models/recipes/photos.sh gray
#
# A long run on large photographs, most of whose crops are smooth, then two on small ones, dense with texture, by the mean
# squared error, which texture dominates. On a CPU they take two to three hours of one core; a GPU wants a larger BATCH.
set -euo pipefail
. "$(dirname "$0")/common.sh"
which=${1:-gray}
data='40 photographs (61 megapixels), as they are and reduced by 1.5 to 4: desktop wallpapers of free software '
data+='distributions; 14 CC0, 12 published as public domain, 6 GPL-2+, 4 CC-BY-4.0, 4 CC-BY-SA'

[ -d "$WORK/photos/small" ] || python3 "$(dirname "$0")/photos.py" "$DATA/train/photos40" "$WORK/photos"
case $which in
gray) channels=1 latent='[1, 2, 8]' set=bsd68 ;;
color) channels=3 latent='[3, 6, 24]' set=cbsd68 ;;
*) echo "expected gray or color, got $which" >&2 && exit 2 ;;
esac
# Three blocks in the refiner, and 40 channels at 1/2: weak noise is taken out there.
family=$(printf '{"pyramid": {"channels": %s, "widths": [40, 64, 96], "encoder_blocks": [1, 1, 2],
  "decoder_blocks": [1, 1, 2], "refiner_blocks": 3, "latent": %s}}' "$channels" "$latent")
all='{"gaussian": {"sigma": [0, 55]}}'
clipped='[{"gaussian": {"sigma": [0, 55]}}, {"clip": {}}]'

# run NAME PHOTOS BATCH CONFIG: trains, unless that was done; RESUME=--resume goes on from its checkpoint.
run() {
  local run="$WORK/$which-$1"
  [ ! -f "$run.done" ] || return 0
  printf '{"name": "photo-%s", "batch": %s, "crop": 64, "promote": "always", %s}' "$which" "${BATCH:-$3}" "$4" >"$run.json"
  "$LIMPID" train --training-config "$run.json" --channels "$channels" --samples "$WORK/photos/$2" --models "$MODELS" \
    --checkpoint "$run.safetensors" ${RESUME:-} --device "${DEVICE:-cpu}" --data "$data"
  touch "$run.done"
}

base="\"base\": \"photo-$which\", \"corruption\": {\"random\": [$all, {\"gaussian\": {\"sigma\": [0, 30]}}, $clipped]}, \"loss\": \"mse\""
run first large 8 "\"family\": $family, \"corruption\": {\"random\": [$all, $clipped]}, \"loss\": \"psnr\",
  \"steps\": ${STEPS:-42000}, \"learning_rate\": 0.0015, \"seed\": 3"
run second small 8 "$base, \"steps\": ${STEPS:-18000}, \"learning_rate\": 0.001, \"seed\": 4"
run third small 16 "$base, \"steps\": ${STEPS:-5000}, \"learning_rate\": 0.0007, \"seed\": 5"
"$LIMPID" evaluate "$DATA/test/$set" --models "$MODELS" --model "photo-$which" --sigma 15,25,50 --sheet "$WORK/photo-$which.png"
