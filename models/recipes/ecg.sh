#!/usr/bin/env bash
# ecg: one lead of an electrocardiogram at 360 Hz, freed of baseline wander, electrode motion and muscle noise.
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ -d "$WORK/ecg/test" ] || python3 "$(dirname "$0")/ecg.py" "$DATA/signals" "$WORK/ecg"
# Many blocks at 1/16 of the length, where they are cheap: baseline wander is slow, and seen only from afar.
cat >"$WORK/ecg.json" <<'JSON'
{"name": "ecg", "family": {"signal": {"channels": 1, "widths": [32, 48, 72], "encoder_blocks": [1, 1, 5],
  "decoder_blocks": [1, 1, 5], "refiner_blocks": 1, "latent": [1, 1, 2]}},
  "steps": 6000, "seed": 1, "loss": "psnr", "learning_rate": 0.002, "batch": 8, "crop": 2048}
JSON
train ecg --training-config "$WORK/ecg.json" --samples "$WORK/ecg/train" \
  --data 'MIT-BIH arrhythmia database, 10 records, with noise of the MIT-BIH noise stress test database (ODC-By 1.0)'
# Tells the service which changes are no larger than those of clean signals, as a share of their power: 7 in 10 clean windows of the
# training patients are changed by less.
python3 - "$(ls -d "$MODELS"/ecg/*/config.json | sort -V | tail -1)" <<'PY'
import json, sys
config = json.load(open(sys.argv[1]))
config["training"]["floor"] = 0.2
json.dump(config, open(sys.argv[1], "w"), indent=2)
PY
"$LIMPID" evaluate "$WORK/ecg/test" --model ecg --models "$MODELS"
