#!/usr/bin/env bash
# jpeg-gray, from photographs saved as JPEG files and nothing else done to them.
#
#   STEPS=200000 DEVICE=cuda BATCH=32 bash models/recipes/jpeg.sh
#
# It starts from photo-gray and learns from the same photographs (photos.sh prepares them): all qualities from 5 to 98, the tables
# of three encoders, blocks at any offset as a crop leaves them, a second file after the first, and weak noise under the blocks.
# The loss is the mean of decibels, so that weak blocks count as much as strong ones.
set -euo pipefail
. "$(dirname "$0")/common.sh"
photos=$WORK/photos
[ -d "$photos/woven" ] || { echo "run photos.sh gray first: it prepares $photos/woven" >&2 && exit 2; }
jpeg() { # quality FROM TO
  printf '{"jpeg": {"quality": [%s, %s], "tables": ["standard", "standard", "standard", "image_magick", "psnr_hvs"]}}' "$@"
}
white() { printf '{"gaussian": {"sigma": [%s, %s]}}' "$@"; }
cat >"$WORK/jpeg-gray.json" <<JSON
{"name": "jpeg-gray", "base": "photo-gray", "crop": 128, "batch": ${BATCH:-4}, "promote": "always",
 "steps": ${STEPS:-12000}, "learning_rate": 0.001, "seed": 41, "loss": "psnr", "corruption": {"random": [
  $(jpeg 5 15), $(jpeg 8 30), $(jpeg 15 60), $(jpeg 30 80), $(jpeg 60 95), $(jpeg 80 98),
  [$(jpeg 40 95), $(jpeg 20 95)], [$(white 0 3), $(jpeg 10 95)], [$(white 2 8), $(jpeg 20 80)], [$(white 2 8), $(jpeg 60 98)]]}}
JSON
train jpeg-gray --training-config "$WORK/jpeg-gray.json" --channels 1 --samples "$photos/woven" --device "${DEVICE:-cpu}" \
  --data '40 photographs (61 megapixels), as they are and reduced by 1.5 to 4: desktop wallpapers of
free software distributions; 14 CC0, 12 published as public domain, 6 GPL-2+, 4 CC-BY-4.0, 4 CC-BY-SA; and 430 of the Berkeley
segmentation data (BSDS500 without the 68 of the test set), for research and education; and crops of the former with stripes
and weaves drawn into them'
# Tells the service what it removes: of colour images it denoises the brightness alone.
python3 - "$(ls -d "$MODELS"/jpeg-gray/*/config.json | sort -V | tail -1)" <<'PY'
import json, sys
config = json.load(open(sys.argv[1]))
config["training"]["removes"] = "jpeg"
json.dump(config, open(sys.argv[1], "w"), indent=2)
PY
