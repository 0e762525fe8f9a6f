#!/usr/bin/env bash
# camera-gray and camera-color, from photographs with the noise of cameras and JPEG files; `camera.sh gray` or `camera.sh color`.
#
#   STEPS=200000 DEVICE=cuda BATCH=32 bash models/recipes/camera.sh color
#
# They start from photo-gray and photo-color and learn from the same photographs (photos.sh prepares them). In seventeen equal
# parts: raw sensor noise developed by a camera, with and without a JPEG file after it; the same by the shorter way over linear
# colours; white noise in JPEG files, most of them with coarse colours, and clipped; noise correlated between neighbours and
# channels; JPEG blocks alone; dead and hot pixels; sharpened and enlarged pictures. No real pair is among them. A second run, by
# the logarithm of the error, adds weak noise, clean pictures and white noise, which the first one harmed. camera-gray is what
# the second run ends with; camera-color is the mean of both runs' weights, because the second one alone takes out less of the
# noise of cameras.
set -euo pipefail
. "$(dirname "$0")/common.sh"
which=${1:-color}
photos=$WORK/photos
[ -d "$photos/woven" ] || { echo "run photos.sh $which first: it prepares $photos/woven" >&2 && exit 2; }
case $which in
gray) channels=1 steps=5000 rate=0.0008 seed=22 more=11729 set=bsd68 sampling='' shared='' ;;
color)
  channels=3 steps=16000 rate=0.001 seed=21 more=10730 set=cbsd68
  sampling=', "sampling": ["4:2:0", "4:2:0", "4:2:0", "4:2:2", "4:4:4"]' shared=', "shared": [0, 0.9]'
  ;;
*) echo "expected gray or color, got $which" >&2 && exit 2 ;;
esac
jpeg() { # quality FROM TO
  printf '{"jpeg": {"quality": [%s, %s], "tables": ["standard", "standard", "standard", "image_magick", "psnr_hvs"]%s}}' "$@" "$sampling"
}
white() { printf '{"gaussian": {"sigma": [%s, %s]}}' "$@"; }
smooth() { # sigma FROM TO, blur FROM TO
  printf '{"gaussian": {"sigma": [%s, %s], "blur": [%s, %s]%s}}' "$@" "$shared"
}
clip='{"clip": {}}'
camera='{"camera": {"shot": [3e-5, 0.02]}}'
short='{"camera_rgb": {"shot": [0.003, 0.16], "read": [0.001, 0.06]}}'
sharp='{"sharpen": {"amount": [0.2, 1.0]}}'
larger='{"resize": {"factor": [1.1, 2]}}'
cat >"$WORK/camera-$which.json" <<JSON
{"name": "camera-$which", "base": "photo-$which", "crop": 128, "batch": ${BATCH:-4}, "promote": "always",
 "steps": ${STEPS:-$steps}, "learning_rate": $rate, "seed": $seed, "loss": "mse", "corruption": {"random": [
  [$camera, $(jpeg 60 98)], [$camera, $(jpeg 75 98)], [$camera, $clip], [$short, $(jpeg 60 98)], [$short, $clip],
  [$(white 5 40), $(jpeg 60 98)], [$(white 5 30), $(jpeg 70 98)], [$(white 2 25), $(jpeg 75 98)], [$(white 0 50), $clip],
  [$(smooth 2 25 0.3 1.2), $clip], [$(smooth 1 14 0.4 1.2), $clip], [$(smooth 1 14 0.4 1.2), $(jpeg 85 98)],
  [$(smooth 2 30 0.3 1.5), $(jpeg 60 98)], $(jpeg 8 95), [{"salt_pepper": {"amount": [0, 0.12]}}, $(white 0 8), $clip],
  [$camera, $sharp, $(jpeg 75 98)], [$(white 5 25), $larger, $(jpeg 75 98)]]}}
JSON
data='40 photographs (61 megapixels), as they are and reduced by 1.5 to 4: desktop wallpapers of
free software distributions; 14 CC0, 12 published as public domain, 6 GPL-2+, 4 CC-BY-4.0, 4 CC-BY-SA; and 430 of the Berkeley
segmentation data (BSDS500 without the 68 of the test set), for research and education; and crops of the former with stripes
and weaves drawn into them'
train "camera-$which" --training-config "$WORK/camera-$which.json" --channels "$channels" --samples "$photos/woven" \
  --device "${DEVICE:-cpu}" --data "$data"

weak='{"camera": {"shot": [3e-5, 0.002]}}'
cat >"$WORK/camera-$which-second.json" <<JSON
{"name": "camera-$which", "base": "camera-$which", "crop": 128, "batch": ${BATCH:-4}, "promote": "always",
 "steps": ${STEPS:-$more}, "learning_rate": 0.0006, "seed": $((seed == 22 ? 32 : 31)), "loss": "psnr", "corruption": {"random": [
  [$camera, $(jpeg 60 98)], [$camera, $(jpeg 75 98)], [$camera, $clip], [$weak, $(jpeg 75 99)], [$weak, $clip],
  [$short, $(jpeg 60 98)], [$short, $clip],
  [$(white 5 40), $(jpeg 60 98)], [$(white 5 30), $(jpeg 70 98)], [$(white 2 25), $(jpeg 75 98)],
  [$(white 0 50), $clip], [$(white 0 50), $clip], [$(white 10 30), $clip], [$(white 0 4), $clip], [$(white 0 1), $clip],
  [$(smooth 2 25 0.3 1.2), $clip], [$(smooth 1 14 0.4 1.2), $clip], [$(smooth 1 14 0.4 1.2), $(jpeg 85 98)],
  [$(smooth 2 30 0.3 1.5), $(jpeg 60 98)], $(jpeg 8 50), $(jpeg 30 95), [{"salt_pepper": {"amount": [0, 0.12]}}, $(white 0 8), $clip],
  [$camera, $sharp, $(jpeg 75 98)], [$(white 5 25), $larger, $(jpeg 75 98)]]}}
JSON
# The runs that made the bundled weights were given minutes (100 and 104 on one thread of a busy machine); these are the steps they
# came to, so the rate of a run by steps does not follow quite the same curve.
train "camera-$which-second" --training-config "$WORK/camera-$which-second.json" --channels "$channels" --samples "$photos/woven" \
  --device "${DEVICE:-cpu}" --data "$data"
if [ "$which" = color ]; then
  trained=${DATA_DIR:-data}/models/camera-color
  python3 "$(dirname "$0")/average.py" "$trained/1" "$trained/2" "$WORK/camera-color-mean"
fi
"$LIMPID" evaluate "$DATA/test/$set" --models "$MODELS" --model "camera-$which" --sigma 15,25,50 --sheet "$WORK/camera-$which.png"
